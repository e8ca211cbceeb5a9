// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/simulated_context.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <optional>
#include <string>
#include <sys/socket.h>

// What a cancelled operation brings when it is too late stays with its I/O
// object, and is the first that any later call on it gets.
using namespace simulated;

namespace {

/// A socket whose read was cancelled and then received "late data".
struct socket_with_leftover {
    simulated_context ring;
    local_socket socket{*ring.context};
    std::optional<test_support::blocking_peer> peer;
    std::array<char, 64> memory{};

    socket_with_leftover()
    {
        auto [ours, theirs] = test_support::local_descriptor_pair();
        socket.assign(net::local::stream_protocol(), ours.release());
        peer.emplace(std::move(theirs));
        ring.kernel->hold(opcode::recv);
        error_code aborted;
        socket.async_read_some(net::buffer(memory),
                               [&](const error_code& ec, std::size_t) { aborted = ec; });
        ring.poll();
        socket.cancel();
        peer->write("late data");
        ring.kernel->release();
        ring.settle();
        BOOST_REQUIRE(aborted == net::error::operation_aborted);
        BOOST_REQUIRE(memory[0] == '\0');
    }

    std::string read_some(std::size_t most, int flags = 0)
    {
        std::string bytes(most, '\0');
        bytes.resize(socket.receive(net::buffer(bytes), flags));
        return bytes;
    }
};

/// A socket whose read was cancelled and then met the peer's reset: a local
/// socket is reset when its peer closes with data unread.
struct socket_with_late_error {
    simulated_context ring;
    local_socket socket{*ring.context};

    socket_with_late_error()
    {
        auto [ours, theirs] = test_support::local_descriptor_pair();
        socket.assign(net::local::stream_protocol(), ours.release());
        socket.write_some(net::buffer("unread", 6));
        ring.kernel->hold(opcode::recv);
        std::array<char, 64> memory{};
        error_code aborted;
        socket.async_read_some(net::buffer(memory),
                               [&](const error_code& ec, std::size_t) { aborted = ec; });
        ring.poll();
        socket.cancel();
        theirs.reset();
        ring.kernel->release();
        ring.settle();
        BOOST_REQUIRE(aborted == net::error::operation_aborted);
    }
};

struct acceptor_with_leftover {
    simulated_context ring;
    tcp_acceptor acceptor{*ring.context, {net::ip::address_v4::loopback(), 0}};
    test_support::unique_descriptor client;

    acceptor_with_leftover()
    {
        ring.kernel->hold(opcode::accept);
        error_code aborted;
        acceptor.async_accept([&](const error_code& ec, const tcp_socket&) { aborted = ec; });
        ring.poll();
        acceptor.cancel();
        client = test_support::loopback_client(acceptor.local_endpoint().port());
        ring.kernel->release();
        ring.settle();
        BOOST_REQUIRE(aborted == net::error::operation_aborted);
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(leftovers)

BOOST_FIXTURE_TEST_CASE(a_synchronous_read_gets_them_first, socket_with_leftover)
{
    peer->write(", then more");
    BOOST_TEST(read_some(4) == "late");
    BOOST_TEST(read_some(64) == " data");
    BOOST_TEST(read_some(64) == ", then more");
    BOOST_TEST(ring.everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(a_synchronous_read_without_memory_leaves_them, socket_with_leftover)
{
    error_code ec;
    BOOST_TEST(socket.receive(net::mutable_buffer(nullptr, 4), 0, ec) == 0u);
    BOOST_TEST(ec == net::error::fault);
    BOOST_TEST(read_some(64) == "late data");
}

/// tcp(7), MSG_TRUNC.
BOOST_AUTO_TEST_CASE(a_synchronous_read_that_only_counts_them_drops_them)
{
    simulated_context ring;
    tcp_acceptor acceptor(*ring.context, {net::ip::address_v4::loopback(), 0});
    test_support::blocking_peer peer(
        test_support::loopback_client(acceptor.local_endpoint().port()));
    tcp_socket socket = acceptor.accept();
    ring.kernel->hold(opcode::recv);
    std::string room(8, '#');
    socket.async_read_some(net::buffer(room), [](const error_code&, std::size_t) {});
    ring.poll();
    socket.cancel();
    peer.write("abcdefgh");
    peer.wait_delivered();
    ring.kernel->release();
    ring.settle();
    BOOST_TEST(socket.receive(net::mutable_buffer(nullptr, 3), MSG_TRUNC) == 3u);
    BOOST_TEST(socket.receive(net::buffer(room, 2), MSG_TRUNC) == 2u);
    BOOST_TEST(room == "########");
    BOOST_TEST(socket.receive(net::buffer(room)) == 3u);
    BOOST_TEST(room == "fgh#####");
}

BOOST_FIXTURE_TEST_CASE(peeking_shows_them_and_leaves_them, socket_with_leftover)
{
    BOOST_TEST(read_some(64, net::socket_base::message_peek) == "late data");
    BOOST_TEST(read_some(64) == "late data");
}

BOOST_FIXTURE_TEST_CASE(peeking_passes_over_an_empty_buffer, socket_with_leftover)
{
    std::string bytes(64, '\0');
    const std::array<net::mutable_buffer, 2> buffers{net::mutable_buffer(), net::buffer(bytes)};
    socket.non_blocking(true);
    error_code ec;
    const std::size_t size = socket.receive(buffers, net::socket_base::message_peek, ec);
    BOOST_TEST(bytes.substr(0, size) == "late data");
    BOOST_TEST(read_some(64) == "late data");
}

BOOST_FIXTURE_TEST_CASE(an_asynchronous_read_gets_them_first, socket_with_leftover)
{
    peer->write(", then more");
    std::string bytes(64, '\0');
    std::size_t size = 0;
    socket.async_read_some(net::buffer(bytes), [&](const error_code&, std::size_t n) { size = n; });
    ring.poll();
    BOOST_TEST(bytes.substr(0, size) == "late data");
}

BOOST_FIXTURE_TEST_CASE(they_are_scattered_over_several_buffers, socket_with_leftover)
{
    std::string first(3, '\0');
    std::string second(64, '\0');
    const std::array<net::mutable_buffer, 2> buffers{net::buffer(first), net::buffer(second)};
    BOOST_TEST(socket.read_some(buffers) == 9U);
    BOOST_TEST(first == "lat");
    BOOST_TEST(second.substr(0, 6) == "e data");
}

BOOST_FIXTURE_TEST_CASE(available_counts_them, socket_with_leftover)
{
    BOOST_TEST(socket.available() == 9U);
    peer->write("1234");
    BOOST_TEST(socket.available() == 13U);
    local_socket::bytes_readable command;
    socket.io_control(command);
    BOOST_TEST(command.get() == 13U);
}

BOOST_FIXTURE_TEST_CASE(waits_for_readability_see_them, socket_with_leftover)
{
    socket.wait(net::socket_base::wait_read);
    bool readable = false;
    socket.async_wait(net::socket_base::wait_read, [&](const error_code& ec) { readable = !ec; });
    ring.poll();
    BOOST_TEST(readable);
}

BOOST_FIXTURE_TEST_CASE(they_move_with_the_socket, socket_with_leftover)
{
    local_socket moved(std::move(socket));
    std::string bytes(64, '\0');
    BOOST_TEST(moved.read_some(net::buffer(bytes)) == 9U);
    socket = std::move(moved);
}

BOOST_FIXTURE_TEST_CASE(closing_drops_them, socket_with_leftover)
{
    socket.close();
    BOOST_TEST(ring.everything_is_back());
    BOOST_TEST(ring.kernel->buffers_on_offer() == small_options().receive_buffer_count);
}

BOOST_FIXTURE_TEST_CASE(an_error_that_came_too_late_is_the_next_reads, socket_with_late_error)
{
    error_code reported;
    std::array<char, 4> bytes{};
    socket.async_read_some(net::buffer(bytes),
                           [&](const error_code& ec, std::size_t) { reported = ec; });
    ring.poll();
    BOOST_TEST(reported == net::error::connection_reset);
}

BOOST_FIXTURE_TEST_CASE(an_error_that_came_too_late_is_the_next_synchronous_reads,
                        socket_with_late_error)
{
    error_code reported;
    std::array<char, 4> bytes{};
    socket.read_some(net::buffer(bytes, 0), reported);
    BOOST_TEST(!reported); // Reading nothing is not told anything.
    socket.read_some(net::buffer(bytes), reported);
    BOOST_TEST(reported == net::error::connection_reset);
    socket.read_some(net::buffer(bytes), reported);
    BOOST_TEST(reported == net::error::eof); // As the kernel does, the error is told once.
}

BOOST_FIXTURE_TEST_CASE(a_synchronous_accept_gets_the_socket, acceptor_with_leftover)
{
    tcp::endpoint from;
    tcp_socket accepted = acceptor.accept(from);
    BOOST_TEST(accepted.is_open());
    BOOST_TEST(from.port() == test_support::local_port(client.get()));
}

BOOST_FIXTURE_TEST_CASE(a_synchronous_accept_gets_a_socket_whose_peer_has_gone,
                        acceptor_with_leftover)
{
    const linger reset{1, 0};
    BOOST_REQUIRE(::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    client.reset();
    tcp::endpoint from;
    error_code ec;
    tcp_socket accepted(*ring.context);
    acceptor.accept(accepted, from, ec);
    BOOST_TEST(ec == error_code());
    BOOST_TEST(accepted.is_open());
}

BOOST_FIXTURE_TEST_CASE(an_asynchronous_accept_gets_the_socket, acceptor_with_leftover)
{
    tcp_socket accepted(*ring.context);
    tcp::endpoint from;
    acceptor.async_accept(accepted, from, [](const error_code&) {});
    ring.poll();
    BOOST_TEST(accepted.is_open());
    BOOST_TEST(from.port() == test_support::local_port(client.get()));
}

BOOST_FIXTURE_TEST_CASE(a_wait_of_an_acceptor_sees_the_socket, acceptor_with_leftover)
{
    acceptor.wait(net::socket_base::wait_read);
    BOOST_TEST(acceptor.accept().is_open());
}

BOOST_AUTO_TEST_SUITE_END()
