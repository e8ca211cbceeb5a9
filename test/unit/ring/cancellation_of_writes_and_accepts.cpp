// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulated_loop.hpp"

#include <boost/test/unit_test.hpp>

#include <fcntl.h>

// What becomes of writes and accepts when their descriptor is cancelled or
// closed.

using namespace unit;

BOOST_AUTO_TEST_SUITE(writes_before_the_end)

BOOST_FIXTURE_TEST_CASE(writes_started_before_close_are_sent_in_order, simulated_loop)
{
    connection c(*this);
    std::deque<std::string> data;
    std::string all;
    std::vector<record*> sent;
    in_handler([&] {
        for (int i = 0; i < 10; ++i) {
            data.emplace_back(i % 3 == 0 ? 300 : 20, static_cast<char>('a' + i));
            all += data.back();
            sent.push_back(&start<send_from>(*c, direction::write, data.back()));
        }
        c.close();
    });
    run();
    BOOST_TEST(c.peer.read_to_end() == all);
    for (const record* r : sent)
        BOOST_TEST(r->result > 0);
    BOOST_TEST(everything_is_back());
    BOOST_TEST(submitted(opcode::send).empty());
}

BOOST_FIXTURE_TEST_CASE(writes_started_before_a_synchronous_call_come_before_it, simulated_loop)
{
    connection c(*this);
    std::string data = "first ";
    start<send_from>(*c, direction::write, data);
    loop.attempt_writes(*c);
    BOOST_REQUIRE(::send(c.socket.get(), "second", 6, 0) == 6);
    BOOST_TEST(c.peer.read(12) == "first second");
    run();
    BOOST_TEST(records.back().result == 6);
}

BOOST_FIXTURE_TEST_CASE(only_what_would_block_is_cancelled, simulated_loop)
{
    connection c(*this);
    std::string large(1 << 20, 'x');
    record& filling = start<send_from>(*c, direction::write, large);
    poll();
    std::string data = "does not fit";
    std::string bulk(1 << 20, 'y');
    record& small = start<send_from>(*c, direction::write, data);
    record& behind = start<send_from>(*c, direction::write, bulk);
    poll();
    c.close();
    std::fill(bulk.begin(), bulk.end(), '!'); // Not read any more.
    poll();
    BOOST_TEST(small.result == -ECANCELED);
    BOOST_TEST(behind.result == -ECANCELED);
    BOOST_TEST(c.peer.read_to_end().size() == static_cast<std::size_t>(filling.result));
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(a_held_write_reads_only_its_copy_after_the_close, simulated_loop)
{
    connection c(*this);
    auto data = std::make_unique<std::string>("staged data");
    kernel->hold(opcode::send);
    record& r = start<send_from>(*c, direction::write, *data);
    poll();
    c.close();
    std::fill(data->begin(), data->end(), '!');
    data.reset();
    kernel->release();
    poll();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(c.peer.read_to_end() == "staged data");
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(a_cancelled_write_that_was_sent_after_all_says_so, simulated_loop)
{
    connection c(*this);
    std::string data = "sent";
    kernel->hold(opcode::send);
    record& r = start<send_from>(*c, direction::write, data);
    poll();
    loop.cancel(*c);
    kernel->release();
    poll();
    BOOST_TEST(r.result == 4); // Else whoever goes on would send it twice.
    BOOST_TEST(c.peer.read(4) == "sent");
    BOOST_TEST(everything_is_back());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cancelled_accept)

namespace {

struct pending_accept : listening_loop {
    std::size_t address_size = 0;
    record& r = start<accept_one>(*handle, direction::read, &address_size);

    pending_accept() { poll(); }
    /// Cancels; then a connection comes.
    test_support::unique_descriptor late_client()
    {
        kernel->hold(opcode::accept);
        loop.cancel(*handle);
        auto peer = client();
        kernel->release();
        poll();
        BOOST_TEST(r.result == -ECANCELED);
        return peer;
    }
};

} // namespace

BOOST_FIXTURE_TEST_CASE(an_accepted_socket_that_was_there_is_delivered, pending_accept)
{
    const auto peer = client();
    kernel->step();
    loop.cancel(*handle);
    poll();
    const test_support::unique_descriptor accepted(r.result);
    BOOST_TEST(accepted.get() >= 0);
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(a_late_one_is_given_first_to_the_next_accept, pending_accept)
{
    const auto peer = late_client();
    record& wait = start<wait_for_events>(*handle, direction::read, short{POLLIN});
    poll();
    BOOST_TEST(wait.result == 0);
    std::size_t size = 0;
    record& next = start<accept_one>(*handle, direction::read, &size);
    poll();
    const test_support::unique_descriptor accepted(next.result);
    BOOST_TEST(test_support::local_port(peer.get()) != 0);
    BOOST_TEST(accepted.get() >= 0);
    BOOST_TEST(size == sizeof(sockaddr_in));
    BOOST_TEST(submitted(opcode::accept).size() == 1U);
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(a_late_one_is_given_to_a_synchronous_accept, pending_accept)
{
    const auto peer = late_client();
    BOOST_TEST(loop.has_leftover(*handle));
    const test_support::unique_descriptor taken(loop.take_leftover_socket(*handle));
    BOOST_TEST(taken.get() >= 0);
    BOOST_TEST(!loop.has_leftover(*handle));
    BOOST_TEST(loop.take_leftover_socket(*handle) == -1);
}

BOOST_FIXTURE_TEST_CASE(closing_the_listener_closes_what_was_accepted, pending_accept)
{
    for (const bool late : {false, true}) {
        if (late) {
            handle = loop.open(listener.get());
            start<accept_one>(*handle, direction::read, &address_size);
            poll();
            kernel->hold(opcode::accept);
        }
        test_support::blocking_peer peer(client());
        if (!late)
            kernel->step();
        loop.close(std::exchange(handle, nullptr));
        kernel->release();
        poll();
        BOOST_TEST(records.back().result == -ECANCELED);
        BOOST_TEST(peer.read_to_end_or_reset().empty()); // It ends, so nobody holds it open.
        BOOST_TEST(everything_is_back());
    }
}

BOOST_AUTO_TEST_SUITE_END()
