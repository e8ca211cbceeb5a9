// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/socket_path.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <deque>
#include <string>
#include <vector>

#include <unistd.h>

// Where our contract goes beyond what Asio's own context does. These tests
// run on ours only; each says what Asio does instead.
namespace conformance {
namespace {

using test_support::connect_to_peer;
using test_support::handler_checks;
using test_support::io_result;

BOOST_AUTO_TEST_SUITE(beyond_asio)

// Every operation completes. When the last data and the end of the stream
// come together, Asio's epoll reactor completes one read with the end, takes
// the edge for used up, and never looks at the reads behind it.
BOOST_AUTO_TEST_CASE_TEMPLATE(every_pending_read_ends_with_the_stream, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    std::vector<error_code> errors;
    for (int i = 0; i < 4; ++i)
        socket.async_read_some(net::buffer(buffer), checks.once([&](error_code ec, std::size_t) {
            errors.push_back(ec);
        }));
    ctx.poll();
    peer.write("last");
    peer.close();
    ctx.restart();
    ctx.run();
    BOOST_REQUIRE_EQUAL(errors.size(), 4u);
    BOOST_TEST(errors[0] == error_code());
    for (std::size_t i = 1; i < 4; ++i)
        BOOST_TEST(errors[i] == net::error::eof);
}

// The same for a read that is started when an earlier one has seen the end:
// with Asio's epoll reactor it waits for ever.
BOOST_AUTO_TEST_CASE_TEMPLATE(end_of_the_stream_is_eof_again_and_again, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    peer.close();
    for (int i = 0; i < 3; ++i) {
        io_result first, second;
        socket.async_read_some(net::buffer(buffer), checks.into(first));
        socket.async_read_some(net::buffer(buffer), checks.into(second));
        ctx.restart();
        ctx.run();
        BOOST_TEST(first.ec == net::error::eof);
        BOOST_TEST(second.ec == net::error::eof);
    }
}

// A success is one. The kernel refuses a local connection when the listener's
// queue is full; Asio of Boost 1.81 waits until the unconnected socket polls
// as writable, which it does at once, and reports that it is connected.
BOOST_AUTO_TEST_CASE_TEMPLATE(local_connect_to_a_full_listener_does_not_claim_success, Ctx,
                              our_contexts)
{
    using local = net::local::stream_protocol;
    const test_support::socket_path path;
    handler_checks checks;
    Ctx ctx;
    local_acceptor_of<Ctx> acceptor(ctx, local());
    acceptor.bind(local::endpoint(path.string()));
    acceptor.listen(0);
    std::deque<local_socket_of<Ctx>> clients;
    std::deque<io_result> results;
    for (int i = 0; i < 4; ++i)
        clients.emplace_back(ctx).async_connect(local::endpoint(path.string()),
                                                checks.into(results.emplace_back()));
    ctx.run_for(std::chrono::milliseconds(20));
    for (std::size_t i = 0; i < results.size(); ++i)
        if (results[i].done && !results[i].ec) {
            error_code ec;
            clients[i].remote_endpoint(ec);
            BOOST_TEST(ec == error_code());
        }
    for (auto& client : clients)
        client.close();
    acceptor.close();
    ctx.restart();
    ctx.run();
}

// A signal may outlive what it belonged to. Asio's slot keeps the address of
// the socket's implementation, and emitting the signal reads it although the
// socket is gone.
BOOST_AUTO_TEST_CASE_TEMPLATE(signal_after_destruction_does_no_harm, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    net::cancellation_signal signal;
    std::array<char, 16> buffer{};
    io_result read;
    {
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        socket.async_read_some(net::buffer(buffer),
                               net::bind_cancellation_slot(signal.slot(), checks.into(read)));
        ctx.poll();
    }
    signal.emit(net::cancellation_type::terminal);
    ctx.restart();
    ctx.run();
    signal.emit(net::cancellation_type::terminal);
    BOOST_TEST(read.ec == net::error::operation_aborted);
}

// A signal follows its operation when the socket is moved. Asio's slot keeps
// looking at the socket it was moved from, and the signal is lost.
BOOST_AUTO_TEST_CASE_TEMPLATE(signal_reaches_an_operation_whose_socket_was_moved, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    net::cancellation_signal signal;
    std::array<char, 16> buffer{};
    io_result read;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    socket.async_read_some(net::buffer(buffer),
                           net::bind_cancellation_slot(signal.slot(), checks.into(read)));
    ctx.poll();
    socket_of<Ctx> moved(std::move(socket));
    signal.emit(net::cancellation_type::terminal);
    ctx.restart();
    test_support::run_until_done(ctx, read);
    BOOST_TEST(read.ec == net::error::operation_aborted);
    BOOST_TEST(moved.is_open());
}

// A read that is ended by close() does not have its data delivered, however
// the race between the data and the close ends.
BOOST_AUTO_TEST_CASE_TEMPLATE(close_discards_what_has_come, Ctx, our_contexts)
{
    for (int round = 0; round < 50; ++round) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 16> buffer{};
        io_result read;
        socket.async_read_some(net::buffer(buffer), checks.into(read));
        ctx.poll();
        peer.write("data");
        peer.wait_delivered();
        socket.close();
        buffer.fill('#');
        ctx.restart();
        ctx.run();
        BOOST_TEST(read.ec == net::error::operation_aborted);
        BOOST_TEST(buffer[0] == '#');
    }
}

// A local socket cannot wait for room in a backlog unless it blocks (connect(2),
// EAGAIN), but polls as ready. Asio, whose sockets never block, takes that for
// success.
BOOST_AUTO_TEST_CASE_TEMPLATE(connect_that_finds_no_room_is_no_success, Ctx, our_contexts)
{
    using local = net::local::stream_protocol;
    handler_checks checks;
    Ctx ctx;
    const test_support::socket_path path;
    const local::endpoint endpoint(path.string());
    local_acceptor_of<Ctx> acceptor(ctx);
    acceptor.open();
    acceptor.bind(endpoint);
    acceptor.listen(0);
    local_socket_of<Ctx> first(ctx), waiting(ctx), impatient(ctx, local());
    first.connect(endpoint);
    io_result connected, refused, again;
    waiting.async_connect(endpoint, checks.into(connected));
    impatient.non_blocking(true);
    impatient.async_connect(endpoint, checks.into(refused));
    test_support::run_until_done(ctx, refused);
    BOOST_TEST(refused.ec == net::error::would_block);
    BOOST_TEST(!connected.done);
    acceptor.accept();
    test_support::run_until_done(ctx, connected);
    BOOST_TEST(connected.ec == error_code());
    BOOST_TEST((waiting.remote_endpoint() == endpoint));
    acceptor.accept();
    impatient.async_connect(endpoint, checks.into(again));
    test_support::run_until_done(ctx, again);
    BOOST_TEST(again.ec == error_code());
    BOOST_TEST((impatient.remote_endpoint() == endpoint));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
