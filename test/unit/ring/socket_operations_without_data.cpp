// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulated_loop.hpp"

#include <boost/test/unit_test.hpp>

using namespace unit;

// The socket operations that carry no data: accept, connect, readiness, wait.

BOOST_AUTO_TEST_SUITE(accept_operation)

BOOST_FIXTURE_TEST_CASE(gives_the_socket_and_the_peers_address, listening_loop)
{
    const auto peer = client();
    std::size_t address_size = 0;
    record& with_address = start<accept_one>(*handle, direction::read, &address_size);
    run();
    const test_support::unique_descriptor accepted(with_address.result);
    BOOST_TEST(accepted.get() >= 0);
    BOOST_TEST(address_size == sizeof(sockaddr_in));
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(an_aborted_connection_is_passed_over_unless_asked_for, listening_loop)
{
    for (const int error : {ECONNABORTED, EPROTO}) {
        const auto peer = client();
        kernel->fail_nth(opcode::accept, 1, error);
        record& silent = start<accept_one>(*handle, direction::read);
        run();
        const test_support::unique_descriptor accepted(silent.result);
        BOOST_TEST(accepted.get() >= 0);
        kernel->fail_nth(opcode::accept, 1, error);
        record& telling = start<accept_one>(*handle, direction::read, nullptr, true);
        run();
        BOOST_TEST(telling.result == -error);
    }
}

BOOST_FIXTURE_TEST_CASE(on_a_listener_that_does_not_block_it_waits_for_readiness, listening_loop)
{
    make_nonblocking(listener.get());
    record& r = start<accept_one>(*handle, direction::read);
    while (submitted(opcode::poll_add).empty())
        poll();
    const auto peer = client();
    run();
    const test_support::unique_descriptor accepted(r.result);
    BOOST_TEST(accepted.get() >= 0);
}

BOOST_FIXTURE_TEST_CASE(errors_are_reported_and_the_address_block_comes_back, listening_loop)
{
    for (const int error : {ENOBUFS, ENOMEM, EPERM}) {
        std::size_t address_size = 0;
        kernel->fail_nth(opcode::accept, 1, error);
        record& r = start<accept_one>(*handle, direction::read, &address_size);
        run();
        BOOST_TEST(r.result == -error);
        BOOST_TEST(everything_is_back());
    }
}

BOOST_FIXTURE_TEST_CASE(a_lack_of_descriptors_is_reported_only_when_there_is_a_connection,
                        listening_loop)
{
    for (const int error : {EMFILE, ENFILE}) {
        kernel->fail_nth(opcode::accept, 1, error);
        record& r = start<accept_one>(*handle, direction::read);
        for (int i = 0; i < 10; ++i)
            poll();
        BOOST_TEST(r.open()); // It waits for a connection instead.
        kernel->fail_nth(opcode::accept, 1, error);
        const auto peer = client();
        run();
        BOOST_TEST(r.result == -error);
        const test_support::unique_descriptor left(::accept(listener.get(), nullptr, nullptr));
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(connect_operation)

BOOST_FIXTURE_TEST_CASE(connects_with_an_address_of_its_own, simulated_loop)
{
    const auto listener = test_support::loopback_listener();
    for (const bool nonblocking : {false, true}) {
        test_support::unique_descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (nonblocking) // EAGAIN, then readiness and SO_ERROR.
            make_nonblocking(socket.get());
        ring::descriptor* handle = loop.open(socket.get());
        sockaddr_in address = test_support::local_address(listener.get());
        record& r = start<connect_to>(*handle, direction::write, &address, sizeof address);
        std::memset(&address, 0xff, sizeof address); // The caller's is not needed any more.
        run();
        BOOST_TEST(r.result == 0);
        BOOST_TEST(everything_is_back());
        loop.close(handle);
    }
}

BOOST_FIXTURE_TEST_CASE(a_refusal_is_reported, simulated_loop)
{
    sockaddr_in address{};
    {
        const auto listener = test_support::loopback_listener();
        address = test_support::local_address(listener.get());
    }
    for (const bool nonblocking : {false, true}) {
        test_support::unique_descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (nonblocking)
            make_nonblocking(socket.get());
        ring::descriptor* handle = loop.open(socket.get());
        record& r = start<connect_to>(*handle, direction::write, &address, sizeof address);
        run();
        BOOST_TEST(r.result == -ECONNREFUSED);
        loop.close(handle);
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(readiness_operation)

BOOST_FIXTURE_TEST_CASE(calls_when_ready_and_waits_again_for_eagain, simulated_loop)
{
    connection c(*this);
    int calls = 0;
    record& r = start<call_when_ready>(*c, direction::read, short{POLLIN}, false,
                                       [&](int) -> ssize_t { return ++calls < 3 ? -EAGAIN : 7; });
    poll();
    BOOST_TEST(calls == 0);
    c.peer.write("x");
    run();
    BOOST_TEST(calls == 3);
    BOOST_TEST(r.result == 7);
    BOOST_TEST(submitted(opcode::poll_add).size() == 2U); // The third comes behind a pause.
}

BOOST_FIXTURE_TEST_CASE(tries_before_it_waits_if_asked_to, simulated_loop)
{
    connection c(*this);
    record& r = start<call_when_ready>(*c, direction::write, short{POLLOUT}, true,
                                       [](int) -> ssize_t { return 5; });
    BOOST_TEST(r.open()); // Its handler is not called from inside the start.
    run();
    BOOST_TEST(r.result == 5);
    BOOST_TEST(submitted(opcode::poll_add).empty());
}

BOOST_FIXTURE_TEST_CASE(tries_ever_more_rarely_where_data_comes_just_after_the_start,
                        simulated_loop)
{
    connection c(*this);
    int attempts_in_vain = 0;
    bool arrived = false;
    const auto receive = [&](int) -> ssize_t {
        if (!arrived)
            ++attempts_in_vain;
        return arrived ? 1 : -EAGAIN;
    };
    c.peer.write("x"); // The kernel finds the descriptor ready whenever it looks.
    const auto converse = [&](bool early) {
        arrived = early;
        record& r = start<call_when_ready>(*c, direction::read, short{POLLIN}, true, receive);
        arrived = true;
        poll();
        BOOST_TEST(r.result == 1);
    };
    for (int i = 0; i < 500; ++i)
        converse(false);
    BOOST_TEST(attempts_in_vain >= 2);
    BOOST_TEST(attempts_in_vain <= 15);
    const auto polls = [this] { return submitted(opcode::poll_add).size(); };
    for (int i = 0; i < 100; ++i)
        converse(true); // One of these finds the data at its start,
    const auto before = polls();
    converse(true); // and from then on all of them do.
    BOOST_TEST(polls() == before);
}

BOOST_FIXTURE_TEST_CASE(error_left_on_the_descriptor_is_for_the_first_that_reads, simulated_loop)
{
    connection c(*this);
    c.handle->leftover_error = -ECONNREFUSED;
    const auto succeed = [](int) -> ssize_t { return 3; };
    record& urgent = start<call_when_ready>(*c, direction::except, short{POLLPRI}, false, succeed);
    record& write = start<call_when_ready>(*c, direction::write, short{POLLOUT}, false, succeed);
    poll();
    BOOST_TEST(urgent.open());
    BOOST_TEST(write.result == 3);
    // It would find something, and what was left came first.
    record& read = start<call_when_ready>(*c, direction::read, short{POLLIN}, true, succeed);
    record& behind = start<call_when_ready>(*c, direction::read, short{POLLIN}, false, succeed);
    poll();
    BOOST_TEST(read.result == -ECONNREFUSED);
    BOOST_TEST(behind.open());
    c.peer.write("x");
    poll();
    BOOST_TEST(behind.result == 3);
    c.close();
    poll();
    BOOST_TEST(everything_is_back());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(wait_operation)

BOOST_FIXTURE_TEST_CASE(is_level_triggered_and_takes_nothing, simulated_loop)
{
    connection c(*this);
    c.peer.write("x");
    for (int i = 0; i < 3; ++i) {
        record& r = start<wait_for_events>(*c, direction::read, short{POLLIN});
        run();
        BOOST_TEST(r.result == 0);
    }
    record& writable = start<wait_for_events>(*c, direction::write, short{POLLOUT});
    run();
    BOOST_TEST(writable.result == 0);
}

BOOST_AUTO_TEST_SUITE_END()
