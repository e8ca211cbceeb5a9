// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "open_stream.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <string>
#include <sys/socket.h>

// A loop before a fork; what a child does is seen on the real ring only.

using namespace unit;

namespace {

BOOST_AUTO_TEST_SUITE(forks)

BOOST_FIXTURE_TEST_CASE(nothing_is_with_the_kernel_and_goes_on_afterwards, simulated_loop)
{
    connection c(*this), other(*this);
    receiving stream(*this, *other, stream_limits());
    std::string buffer(16, ' '), text;
    const record& begun = start<receive_into>(*c, direction::read, buffer);
    stream.next(text);
    poll();
    BOOST_TEST(kernel->in_flight_count() == 2U);
    loop.prepare_fork();
    BOOST_TEST(kernel->in_flight_count() == 0U);
    BOOST_TEST(begun.open());
    c.peer.write("plain");
    other.peer.write("of the stream");
    run();
    BOOST_TEST(begun.result == 5);
    BOOST_TEST(text == "of the stream");
}

/// As on Asio, where a call that starts an operation tries it.
BOOST_FIXTURE_TEST_CASE(what_was_started_has_begun, simulated_loop)
{
    connection c(*this);
    std::string buffer(16, ' ');
    c.peer.write("there");
    const record& r = start<receive_into>(*c, direction::read, buffer);
    loop.prepare_fork();
    BOOST_TEST(submitted(opcode::recv).size() == 1U);
    c.peer.write(", and more");
    run();
    BOOST_TEST(r.result == 5);
}

BOOST_FIXTURE_TEST_CASE(what_was_cancelled_stays_cancelled, simulated_loop)
{
    connection c(*this);
    std::string buffer(16, ' ');
    kernel->hold(opcode::recv);
    const record& r = start<receive_into>(*c, direction::read, buffer);
    poll();
    loop.cancel(last_id);
    kernel->release();
    loop.prepare_fork();
    poll();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(submitted(opcode::recv).size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(what_the_kernel_keeps_is_waited_for_in_vain_and_ends_all_the_same,
                        simulated_loop)
{
    connection c(*this);
    std::string buffer(16, ' ');
    kernel->hold(opcode::recv);
    const record& r = start<receive_into>(*c, direction::read, buffer);
    poll();
    loop.prepare_fork();
    BOOST_TEST(kernel->in_flight_count() == 1U);
    c.peer.write("bytes");
    kernel->release();
    run();
    BOOST_TEST(r.result == 5);
}

/// By the other process, which asked for it as well.
BOOST_FIXTURE_TEST_CASE(connection_that_has_come_about_meanwhile_is_a_success, simulated_loop)
{
    const auto listener = test_support::loopback_listener();
    const sockaddr_in address = test_support::local_address(listener.get());
    for (const bool was_taken_back : {true, false}) {
        const test_support::unique_descriptor socket(
            ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        ring::descriptor* const d = loop.open(socket.get());
        if (was_taken_back) {
            kernel->fail_nth(opcode::connect, 1, ECANCELED);
            kernel->fail_nth(opcode::connect, 2, EISCONN);
        } else {
            kernel->fail_nth(opcode::connect, 1, EISCONN);
        }
        const record& r = start<connect_to>(*d, direction::write, &address, sizeof address);
        run();
        BOOST_TEST(r.result == (was_taken_back ? 0 : -EISCONN));
        loop.close(d);
    }
}

/// The same, of a connection that is still to come about.
BOOST_FIXTURE_TEST_CASE(connection_that_goes_on_is_waited_for_if_it_is_its_own, simulated_loop)
{
    const auto listener = test_support::loopback_listener();
    const sockaddr_in address = test_support::local_address(listener.get());
    for (const bool was_taken_back : {true, false}) {
        const test_support::unique_descriptor socket(
            ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        ring::descriptor* const d = loop.open(socket.get());
        if (was_taken_back)
            kernel->fail_nth(opcode::connect, 1, ECANCELED);
        kernel->fail_nth(opcode::connect, was_taken_back ? 2 : 1, EALREADY);
        const record& r = start<connect_to>(*d, direction::write, &address, sizeof address);
        run();
        BOOST_TEST(r.result == (was_taken_back ? 0 : -EALREADY));
        BOOST_TEST(submitted(opcode::poll_add).size() == 1U);
        loop.close(d);
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
