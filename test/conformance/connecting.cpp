// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <vector>

// Connecting, what can go wrong with it, and who owns a port.
namespace conformance {
namespace {

using test_support::full_listener;
using test_support::handler_checks;
using test_support::io_result;

tcp::endpoint loopback(unsigned short port)
{
    return {net::ip::address_v4::loopback(), port};
}

/// An endpoint where nobody listens: its port is bound, so that nobody else
/// gets it, but a connection to it is refused.
class refusing_endpoint {
public:
    refusing_endpoint() : socket_(context_, loopback(0)) {}
    tcp::endpoint get() const { return socket_.local_endpoint(); }

private:
    net::io_context context_;
    tcp::socket socket_;
};

BOOST_AUTO_TEST_SUITE(connecting)

BOOST_AUTO_TEST_CASE_TEMPLATE(async_connect_opens_a_closed_socket, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> client(ctx);
    io_result result;
    result.initiating = true;
    client.async_connect(acceptor.local_endpoint(), checks.into(result));
    result.initiating = false;
    BOOST_TEST(client.is_open());
    ctx.run();
    BOOST_TEST(result.ec == error_code());
    BOOST_TEST(!result.called_while_initiating);
    BOOST_TEST((client.remote_endpoint() == acceptor.local_endpoint()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(async_connect_keeps_what_was_opened_and_bound, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> client(ctx, loopback(0));
    const auto bound = client.local_endpoint();
    io_result result;
    client.async_connect(acceptor.local_endpoint(), checks.into(result));
    ctx.run();
    BOOST_TEST(result.ec == error_code());
    BOOST_TEST((client.local_endpoint() == bound));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(refused_connection_is_reported, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const refusing_endpoint nobody;
    socket_of<Ctx> client(ctx);
    io_result result;
    client.async_connect(nobody.get(), checks.into(result));
    ctx.run();
    BOOST_TEST(result.ec == net::error::connection_refused);
    error_code ec;
    socket_of<Ctx> second(ctx);
    second.connect(nobody.get(), ec);
    BOOST_TEST(ec == net::error::connection_refused);
    BOOST_CHECK_THROW(socket_of<Ctx>(ctx).connect(nobody.get()), boost::system::system_error);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(socket_that_was_refused_can_be_closed_and_connected, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const refusing_endpoint nobody;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> client(ctx);
    io_result refused, connected;
    client.async_connect(nobody.get(), checks.once([&](error_code ec) {
        refused.store(ec);
        client.close();
        client.async_connect(acceptor.local_endpoint(), checks.into(connected));
    }));
    ctx.run();
    BOOST_TEST(refused.ec == net::error::connection_refused);
    BOOST_TEST(connected.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connecting_a_connected_socket_fails, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> client(ctx);
    client.connect(acceptor.local_endpoint());
    io_result result;
    client.async_connect(acceptor.local_endpoint(), checks.into(result));
    ctx.run();
    BOOST_TEST(result.ec == net::error::already_connected);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_connect_of_a_non_blocking_socket_waits, Ctx, contexts)
{
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> client(ctx, tcp::v4());
    client.non_blocking(true);
    error_code ec = test_support::garbage_error();
    client.connect(acceptor.local_endpoint(), ec);
    BOOST_TEST(ec == error_code());
    BOOST_TEST(client.non_blocking());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connect_in_progress_is_aborted_by_cancel, Ctx, contexts)
{
    handler_checks checks;
    const full_listener busy;
    Ctx ctx;
    socket_of<Ctx> client(ctx);
    io_result result;
    client.async_connect(loopback(busy.port()), checks.into(result));
    ctx.poll();
    BOOST_TEST(!result.done);
    client.cancel();
    BOOST_TEST(!result.done);
    ctx.restart();
    ctx.run();
    BOOST_TEST(result.ec == net::error::operation_aborted);
    BOOST_TEST(client.is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connect_after_a_cancelled_one_that_goes_on_is_refused, Ctx, contexts)
{
    handler_checks checks;
    const full_listener busy;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> client(ctx);
    io_result first, second;
    client.async_connect(loopback(busy.port()), checks.into(first));
    ctx.poll();
    client.cancel();
    // Not to be taken for a connect to here: the kernel goes on with the first.
    client.async_connect(acceptor.local_endpoint(), checks.into(second));
    test_support::run_until_done(ctx, second);
    BOOST_TEST(first.ec == net::error::operation_aborted);
    BOOST_TEST(second.ec == net::error::already_started);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connect_in_progress_is_aborted_by_close, Ctx, contexts)
{
    handler_checks checks;
    const full_listener busy;
    Ctx ctx;
    socket_of<Ctx> client(ctx);
    for (const bool submitted : {false, true}) {
        io_result result;
        client.async_connect(loopback(busy.port()), checks.into(result));
        if (submitted)
            ctx.poll();
        client.close();
        ctx.restart();
        ctx.run();
        BOOST_TEST(result.ec == net::error::operation_aborted);
        BOOST_TEST(!client.is_open());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connect_in_progress_is_aborted_by_destruction, Ctx, contexts)
{
    handler_checks checks;
    const full_listener busy;
    Ctx ctx;
    auto client = std::make_unique<socket_of<Ctx>>(ctx);
    io_result result;
    client->async_connect(loopback(busy.port()), checks.into(result));
    ctx.poll();
    client.reset();
    ctx.restart();
    ctx.run();
    BOOST_TEST(result.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connect_in_progress_is_aborted_by_a_signal, Ctx, contexts)
{
    for (const auto type : {net::cancellation_type::terminal, net::cancellation_type::partial,
                            net::cancellation_type::total}) {
        handler_checks checks;
        const full_listener busy;
        Ctx ctx;
        socket_of<Ctx> client(ctx);
        net::cancellation_signal signal;
        io_result result;
        client.async_connect(loopback(busy.port()),
                             net::bind_cancellation_slot(signal.slot(), checks.into(result)));
        ctx.poll();
        signal.emit(type);
        ctx.restart();
        ctx.run();
        BOOST_TEST(result.ec == net::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(range_connect_goes_on_behind_a_refusal, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const refusing_endpoint nobody;
    auto acceptor = loopback_acceptor(ctx);
    const std::vector<tcp::endpoint> range{nobody.get(), acceptor.local_endpoint()};
    socket_of<Ctx> async_client(ctx), sync_client(ctx);
    tcp::endpoint reached;
    net::async_connect(async_client, range, checks.once([&](error_code ec, tcp::endpoint endpoint) {
        BOOST_TEST(ec == error_code());
        reached = endpoint;
    }));
    ctx.run();
    BOOST_TEST((reached == acceptor.local_endpoint()));
    error_code ec;
    BOOST_TEST((net::connect(sync_client, range, ec) == acceptor.local_endpoint()));
    BOOST_TEST(ec == error_code());
    BOOST_TEST(sync_client.is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(range_connect_reports_the_last_error, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const refusing_endpoint nobody;
    const std::vector<tcp::endpoint> range{nobody.get(), nobody.get()};
    const std::vector<tcp::endpoint> none;
    socket_of<Ctx> client(ctx);
    io_result refused, empty;
    net::async_connect(client, range, checks.into(refused));
    ctx.run();
    BOOST_TEST(refused.ec == net::error::connection_refused);
    net::async_connect(client, none, checks.into(empty));
    ctx.restart();
    ctx.run();
    BOOST_TEST(empty.ec == net::error::not_found);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(range_connect_asks_its_condition, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto first = loopback_acceptor(ctx);
    auto second = loopback_acceptor(ctx);
    const std::array<tcp::endpoint, 2> range{first.local_endpoint(), second.local_endpoint()};
    socket_of<Ctx> client(ctx);
    const auto only_second = [&](const error_code&, const tcp::endpoint& next) {
        return next == second.local_endpoint();
    };
    tcp::endpoint reached;
    net::async_connect(
        client, range, only_second,
        checks.once([&](error_code, tcp::endpoint endpoint) { reached = endpoint; }));
    ctx.run();
    BOOST_TEST((reached == second.local_endpoint()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(iterator_connect_gives_the_iterator, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const refusing_endpoint nobody;
    auto acceptor = loopback_acceptor(ctx);
    const std::vector<tcp::endpoint> range{nobody.get(), acceptor.local_endpoint()};
    socket_of<Ctx> client(ctx);
    auto reached = range.end();
    net::async_connect(client, range.begin(), range.end(),
                       checks.once([&](error_code, std::vector<tcp::endpoint>::const_iterator at) {
                           reached = at;
                       }));
    ctx.run();
    BOOST_TEST((reached == range.begin() + 1));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(many_connections_are_made_at_once, Ctx, contexts)
{
    constexpr std::size_t count = 100;
    BOOST_REQUIRE(test_support::allow_descriptors(2 * count + 64));
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    std::deque<socket_of<Ctx>> clients, servers;
    std::size_t connected = 0, accepted = 0;
    for (std::size_t i = 0; i < count; ++i) {
        acceptor.async_accept(servers.emplace_back(ctx),
                              checks.once([&](error_code ec) { accepted += !ec; }));
        clients.emplace_back(ctx).async_connect(
            acceptor.local_endpoint(), checks.once([&](error_code ec) { connected += !ec; }));
    }
    ctx.run();
    BOOST_TEST(connected == count);
    BOOST_TEST(accepted == count);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(address_in_use_is_reported, Ctx, contexts)
{
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    acceptor_of<Ctx> second(ctx, tcp::v4());
    error_code ec;
    second.bind(acceptor.local_endpoint(), ec);
    BOOST_TEST(ec == net::error::address_in_use);
    BOOST_CHECK_THROW(acceptor_of<Ctx>(ctx, acceptor.local_endpoint(), false),
                      boost::system::system_error);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(port_is_free_at_once_after_close, Ctx, contexts)
{
    for (const bool reuse : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        acceptor_of<Ctx> acceptor(ctx, loopback(0), reuse);
        const auto endpoint = acceptor.local_endpoint();
        socket_of<Ctx> server(ctx);
        std::deque<io_result> results;
        for (int i = 0; i < 20; ++i) {
            acceptor.async_accept(server, checks.into(results.emplace_back()));
            if (i % 2 == 0) {
                ctx.restart();
                ctx.poll();
            }
            acceptor.close();
            error_code ec;
            acceptor_of<Ctx> next(ctx, tcp::v4());
            next.set_option(net::socket_base::reuse_address(reuse));
            next.bind(endpoint, ec);
            BOOST_TEST(ec == error_code());
            next.listen(net::socket_base::max_listen_connections, ec);
            BOOST_TEST(ec == error_code());
            acceptor = std::move(next);
        }
        acceptor.close();
        ctx.restart();
        ctx.run();
        for (const auto& result : results)
            BOOST_TEST(result.ec == net::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(port_is_free_at_once_after_destruction, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    tcp::endpoint endpoint = loopback(0);
    for (int i = 0; i < 20; ++i) {
        acceptor_of<Ctx> acceptor(ctx, endpoint, false);
        endpoint = acceptor.local_endpoint();
        acceptor.async_accept(checks.once([](error_code ec, socket_of<Ctx>) {
            BOOST_TEST(ec == net::error::operation_aborted);
        }));
        ctx.restart();
        ctx.poll();
    }
    ctx.restart();
    ctx.run();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(number_of_a_closed_socket_can_be_used_again_in_the_handler, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto trigger = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
    auto old = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> byte{}, old_buffer{}, new_buffer{};
    io_result old_read, new_read;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> fresh(ctx);
    bool same_number = false;
    old.socket.async_read_some(net::buffer(old_buffer), checks.into(old_read));
    trigger.socket.async_read_some(net::buffer(byte), checks.once([&](error_code, std::size_t) {
        const int number = old.socket.native_handle();
        old.socket.close();
        fresh.open(tcp::v4());
        same_number = fresh.native_handle() == number;
        fresh.connect(acceptor.local_endpoint());
        fresh.async_read_some(net::buffer(new_buffer), checks.into(new_read));
    }));
    ctx.poll();
    trigger.peer.write("x");
    ctx.restart();
    test_support::run_until(ctx, [&] { return old_read.done; });
    auto server = acceptor.accept();
    net::write(server, net::buffer("fresh", 5));
    test_support::run_until_done(ctx, new_read);
    BOOST_TEST(same_number);
    BOOST_TEST(old_read.ec == net::error::operation_aborted);
    BOOST_TEST(new_read.ec == error_code());
    BOOST_TEST(std::string(new_buffer.data(), 5) == "fresh");
    BOOST_TEST(old_buffer[0] == '\0');
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operation_queued_before_close_never_meets_the_next_file, Ctx,
                              contexts)
{
    for (int round = 0; round < 50; ++round) {
        handler_checks checks;
        Ctx ctx;
        auto [old_end, old_peer] = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 8> old_buffer{}, new_buffer{};
        io_result old_read, new_read;
        old_end.async_read_some(net::buffer(old_buffer), checks.into(old_read));
        old_end.close();
        auto [new_end, new_peer] = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
        new_peer.write("new");
        new_end.async_read_some(net::buffer(new_buffer), checks.into(new_read));
        ctx.run();
        BOOST_TEST(old_read.ec == net::error::operation_aborted);
        BOOST_TEST(new_read.bytes == 3u);
        BOOST_TEST(old_buffer[0] == '\0');
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
