// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// Accepting and connecting, in every form there is.
namespace conformance {
namespace {

using namespace std::chrono_literals;
using test_support::handler_checks;
using test_support::io_result;
using test_support::loopback_client;

/// Sends a byte from one to the other, to prove that they are connected.
template <class One, class Other>
void expect_connected(One& one, Other& other)
{
    char byte = 0;
    net::write(one, net::buffer("x", 1));
    net::read(other, net::buffer(&byte, 1));
    BOOST_TEST(byte == 'x');
}

BOOST_AUTO_TEST_SUITE(acceptors)

BOOST_AUTO_TEST_CASE_TEMPLATE(async_accept_into_a_socket, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> server(ctx), client(ctx);
    io_result accepted, connected;
    acceptor.async_accept(server, checks.into(accepted));
    client.async_connect(acceptor.local_endpoint(), checks.into(connected));
    ctx.run();
    BOOST_TEST(accepted.ec == error_code());
    BOOST_TEST(connected.ec == error_code());
    BOOST_TEST((server.remote_endpoint() == client.local_endpoint()));
    expect_connected(client, server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(async_accept_into_a_socket_with_endpoint, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> server(ctx), client(ctx);
    tcp::endpoint from;
    io_result accepted;
    acceptor.async_accept(server, from, checks.into(accepted));
    client.connect(acceptor.local_endpoint());
    ctx.run();
    BOOST_TEST(accepted.ec == error_code());
    BOOST_TEST((from == client.local_endpoint()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(async_accept_gives_a_socket, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> client(ctx);
    std::optional<socket_of<Ctx>> server;
    acceptor.async_accept(checks.once([&](error_code ec, socket_of<Ctx> socket) {
        BOOST_TEST(ec == error_code());
        server.emplace(std::move(socket));
    }));
    client.connect(acceptor.local_endpoint());
    ctx.run();
    BOOST_REQUIRE(server.has_value());
    BOOST_TEST((server->get_executor() == ctx.get_executor()));
    expect_connected(client, *server);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(async_accept_gives_a_socket_and_an_endpoint, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> client(ctx);
    tcp::endpoint from;
    acceptor.async_accept(from, checks.once([&](error_code ec, socket_of<Ctx> socket) {
        BOOST_TEST(ec == error_code());
        BOOST_TEST((socket.remote_endpoint() == from));
    }));
    client.connect(acceptor.local_endpoint());
    ctx.run();
    BOOST_TEST((from == client.local_endpoint()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(async_accept_gives_a_socket_of_another_context, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    Ctx other;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> client(ctx), second_client(ctx);
    std::deque<socket_of<Ctx>> servers;
    tcp::endpoint from;
    const auto keep = [&](error_code ec, socket_of<Ctx> socket) {
        BOOST_TEST(ec == error_code());
        servers.push_back(std::move(socket));
    };
    acceptor.async_accept(other, checks.once(keep));
    acceptor.async_accept(other.get_executor(), from, checks.once(keep));
    client.connect(acceptor.local_endpoint());
    second_client.connect(acceptor.local_endpoint());
    ctx.run();
    BOOST_REQUIRE_EQUAL(servers.size(), 2u);
    BOOST_TEST((from == second_client.local_endpoint()));
    for (auto& server : servers)
        BOOST_TEST((server.get_executor() == other.get_executor()));
    std::array<char, 4> buffer{};
    io_result read;
    net::async_read(servers.front(), net::buffer(buffer), checks.into(read));
    net::write(client, net::buffer("data", 4));
    BOOST_TEST(ran(other, other.run(), 1u));
    BOOST_TEST(read.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(async_accept_gives_a_socket_with_another_executor, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    strand_of<Ctx> strand(ctx.get_executor());
    socket_of<Ctx> client(ctx);
    using strand_socket = net::basic_stream_socket<tcp, strand_of<Ctx>>;
    acceptor.async_accept(strand, checks.once([&](error_code ec, strand_socket socket) {
        BOOST_TEST(ec == error_code());
        BOOST_TEST((socket.get_executor() == strand));
        expect_connected(client, socket);
    }));
    client.connect(acceptor.local_endpoint());
    ctx.run();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(async_accept_into_a_socket_on_another_context, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    Ctx other;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> server(other), client(ctx);
    io_result accepted, read;
    acceptor.async_accept(server, checks.into(accepted));
    client.connect(acceptor.local_endpoint());
    ctx.run();
    BOOST_TEST(accepted.ec == error_code());
    std::array<char, 4> buffer{};
    net::async_read(server, net::buffer(buffer), checks.into(read));
    net::write(client, net::buffer("data", 4));
    BOOST_TEST(ran(other, other.run(), 1u));
    BOOST_TEST(read.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(async_accept_into_a_socket_of_asios_context, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    net::io_context other;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<net::io_context> server(other);
    socket_of<Ctx> client(ctx);
    io_result accepted, read;
    acceptor.async_accept(server, checks.into(accepted));
    client.connect(acceptor.local_endpoint());
    ctx.run();
    BOOST_TEST(accepted.ec == error_code());
    std::array<char, 4> buffer{};
    net::async_read(server, net::buffer(buffer), checks.into(read));
    net::write(client, net::buffer("data", 4));
    other.run();
    BOOST_TEST(read.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_accept_in_every_form, Ctx, contexts)
{
    Ctx ctx;
    Ctx other;
    auto acceptor = loopback_acceptor(ctx);
    std::vector<socket_of<Ctx>> clients;
    for (int i = 0; i < 6; ++i) {
        clients.emplace_back(ctx);
        clients.back().connect(acceptor.local_endpoint());
    }
    tcp::endpoint from;
    error_code ec = test_support::garbage_error();
    socket_of<Ctx> into(ctx);
    acceptor.accept(into);
    expect_connected(clients[0], into);
    socket_of<Ctx> with_endpoint(other);
    acceptor.accept(with_endpoint, from, ec);
    BOOST_TEST(ec == error_code());
    BOOST_TEST((from == clients[1].local_endpoint()));
    expect_connected(clients[1], with_endpoint);
    auto given = acceptor.accept();
    expect_connected(clients[2], given);
    auto given_with_endpoint = acceptor.accept(from);
    BOOST_TEST((from == clients[3].local_endpoint()));
    expect_connected(clients[3], given_with_endpoint);
    auto of_other = acceptor.accept(other, ec);
    BOOST_TEST((of_other.get_executor() == other.get_executor()));
    expect_connected(clients[4], of_other);
    auto of_executor = acceptor.accept(other.get_executor(), from);
    BOOST_TEST((from == clients[5].local_endpoint()));
    expect_connected(clients[5], of_executor);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(several_accepts_complete_in_order, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    std::vector<int> order;
    std::deque<socket_of<Ctx>> servers;
    for (int i = 0; i < 10; ++i)
        acceptor.async_accept(servers.emplace_back(ctx), checks.once([&order, i](error_code ec) {
            if (!ec)
                order.push_back(i);
        }));
    std::deque<socket_of<Ctx>> clients;
    for (int i = 0; i < 10; ++i)
        clients.emplace_back(ctx).connect(acceptor.local_endpoint());
    ctx.run();
    BOOST_REQUIRE_EQUAL(order.size(), 10u);
    BOOST_TEST(std::is_sorted(order.begin(), order.end()));
    for (std::size_t i = 0; i < 10; ++i)
        BOOST_TEST((servers[i].remote_endpoint() == clients[i].local_endpoint()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(accept_into_an_open_socket_is_refused, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> open(ctx, tcp::v4());
    io_result result;
    acceptor.async_accept(open, checks.into(result));
    ctx.run();
    BOOST_TEST(result.ec == net::error::already_open);
    error_code ec;
    acceptor.accept(open, ec);
    BOOST_TEST(ec == net::error::already_open);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(accept_on_a_closed_acceptor_fails, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    acceptor_of<Ctx> acceptor(ctx);
    socket_of<Ctx> server(ctx);
    io_result result;
    acceptor.async_accept(server, checks.into(result));
    BOOST_TEST(!result.done);
    ctx.run();
    BOOST_TEST(result.ec == net::error::bad_descriptor);
    error_code ec;
    acceptor.accept(server, ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    BOOST_CHECK_THROW(acceptor.accept(), boost::system::system_error);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(accept_without_listen_is_an_invalid_argument, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    acceptor_of<Ctx> acceptor(ctx, tcp::endpoint(net::ip::address_v4::loopback(), 0));
    acceptor_of<Ctx> deaf(ctx, tcp::v4());
    deaf.bind(tcp::endpoint(net::ip::address_v4::loopback(), 0));
    error_code ec;
    socket_of<Ctx> server(ctx);
    deaf.accept(server, ec);
    BOOST_TEST(ec == net::error::invalid_argument);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(close_cancel_and_destruction_abort_accepts, Ctx, contexts)
{
    for (const int how : {0, 1, 2}) {
        handler_checks checks;
        Ctx ctx;
        auto acceptor = std::make_unique<acceptor_of<Ctx>>(loopback_acceptor(ctx));
        socket_of<Ctx> server(ctx);
        io_result into, moved;
        acceptor->async_accept(server, checks.into(into));
        acceptor->async_accept(checks.into(moved));
        ctx.poll();
        if (how == 0)
            acceptor->close();
        if (how == 1)
            acceptor->cancel();
        if (how == 2)
            acceptor.reset();
        BOOST_TEST(!into.done);
        ctx.restart();
        BOOST_TEST(ran(ctx, ctx.run(), 2u));
        BOOST_TEST(into.ec == net::error::operation_aborted);
        BOOST_TEST(moved.ec == net::error::operation_aborted);
        BOOST_TEST(!server.is_open());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(acceptor_accepts_after_a_cancel, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> server(ctx);
    io_result first, second;
    acceptor.async_accept(server, checks.into(first));
    ctx.poll();
    acceptor.cancel();
    acceptor.async_accept(server, checks.into(second));
    const auto client = loopback_client(acceptor.local_endpoint().port());
    ctx.restart();
    ctx.run();
    BOOST_TEST(first.ec == net::error::operation_aborted);
    BOOST_TEST(second.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(acceptor_moves_with_its_accepts, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto first = loopback_acceptor(ctx);
    socket_of<Ctx> server(ctx);
    io_result accepted;
    first.async_accept(server, checks.into(accepted));
    acceptor_of<Ctx> second(std::move(first));
    BOOST_TEST(!first.is_open());
    acceptor_of<Ctx> third(ctx);
    third = std::move(second);
    ctx.poll();
    const auto client = loopback_client(third.local_endpoint().port());
    ctx.restart();
    ctx.run();
    BOOST_TEST(accepted.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(acceptor_wait_is_level_triggered, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    io_result early, first, again;
    acceptor.async_wait(acceptor_of<Ctx>::wait_read, checks.into(early));
    ctx.poll();
    BOOST_TEST(!early.done);
    const auto client = loopback_client(acceptor.local_endpoint().port());
    ctx.restart();
    ctx.run();
    acceptor.async_wait(acceptor_of<Ctx>::wait_read, checks.into(first));
    ctx.restart();
    ctx.run();
    acceptor.async_wait(acceptor_of<Ctx>::wait_read, checks.into(again));
    ctx.restart();
    ctx.run();
    BOOST_TEST(early.ec == error_code());
    BOOST_TEST(first.ec == error_code());
    BOOST_TEST(again.ec == error_code());
    acceptor.wait(acceptor_of<Ctx>::wait_read);
    auto server = acceptor.accept();
    BOOST_TEST(server.is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(non_blocking_accept_would_block, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    acceptor.non_blocking(true);
    BOOST_TEST(acceptor.non_blocking());
    socket_of<Ctx> server(ctx);
    error_code ec;
    acceptor.accept(server, ec);
    BOOST_TEST(ec == net::error::would_block);
    io_result accepted;
    acceptor.async_accept(server, checks.into(accepted));
    ctx.poll();
    BOOST_TEST(!accepted.done);
    const auto client = loopback_client(acceptor.local_endpoint().port());
    ctx.restart();
    ctx.run();
    BOOST_TEST(accepted.ec == error_code());
    server.close();
    const auto second_client = loopback_client(acceptor.local_endpoint().port());
    test_support::wait_readable(acceptor.native_handle());
    acceptor.accept(server, ec);
    BOOST_TEST(ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(released_acceptor_goes_on_elsewhere, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    Ctx other;
    auto first = loopback_acceptor(ctx);
    socket_of<Ctx> server(ctx);
    io_result aborted, accepted;
    first.async_accept(server, checks.into(aborted));
    ctx.poll();
    const int fd = first.release();
    BOOST_TEST(!first.is_open());
    acceptor_of<Ctx> second(other, tcp::v4(), fd);
    ctx.restart();
    ctx.run();
    BOOST_TEST(aborted.ec == net::error::operation_aborted);
    second.async_accept(server, checks.into(accepted));
    const auto client = loopback_client(second.local_endpoint().port());
    other.run();
    BOOST_TEST(accepted.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(acceptor_options_are_set_and_read, Ctx, contexts)
{
    Ctx ctx;
    acceptor_of<Ctx> acceptor(ctx, tcp::v4());
    acceptor.set_option(net::socket_base::reuse_address(true));
    net::socket_base::reuse_address reuse;
    acceptor.get_option(reuse);
    BOOST_TEST(reuse.value());
    acceptor.set_option(net::socket_base::enable_connection_aborted(true));
    net::socket_base::enable_connection_aborted enabled;
    acceptor.get_option(enabled);
    BOOST_TEST(enabled.value());
    acceptor.set_option(net::socket_base::enable_connection_aborted(false));
    acceptor.get_option(enabled);
    BOOST_TEST(!enabled.value());
    acceptor.bind(tcp::endpoint(net::ip::address_v4::loopback(), 0));
    acceptor.listen();
    acceptor.listen(net::socket_base::max_listen_connections);
    BOOST_TEST(acceptor.local_endpoint().port() != 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(accept_over_ip_version_six, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    acceptor_of<Ctx> acceptor(ctx, tcp::v6());
    error_code ec;
    acceptor.set_option(net::ip::v6_only(true));
    acceptor.bind(tcp::endpoint(net::ip::address_v6::loopback(), 0), ec);
    if (ec) {
        SAFER_RING_SKIP("no IPv6 loopback here: " + ec.message());
    }
    acceptor.listen();
    socket_of<Ctx> client(ctx);
    io_result connected;
    client.async_connect(acceptor.local_endpoint(), checks.into(connected));
    acceptor.async_accept(checks.once([&](error_code accept_ec, socket_of<Ctx> server) {
        BOOST_TEST(accept_ec == error_code());
        BOOST_TEST((server.remote_endpoint() == client.local_endpoint()));
    }));
    ctx.run();
    BOOST_TEST(connected.ec == error_code());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
