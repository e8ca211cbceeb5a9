// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/machinery.hpp"
#include "support/needs_io_uring.hpp"
#include "support/tls_identity.hpp"

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/test/unit_test.hpp>

#include <csignal>
#include <exception>
#include <string>

// What a program uses of Asio and Beast brings no thread and no reactor of its
// own along: TLS, WebSocket, timers, signals, time limits.
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using net::ip::tcp;
using stream = websocket::stream<beast::ssl_stream<beast::tcp_stream>>;
using test_support::machinery_of_this_process;

net::awaitable<void> echo_once(tcp::acceptor& acceptor, net::ssl::context& tls)
{
    stream ws(beast::tcp_stream(co_await acceptor.async_accept(net::use_awaitable)), tls);
    beast::get_lowest_layer(ws).expires_after(std::chrono::seconds(30));
    co_await ws.next_layer().async_handshake(net::ssl::stream_base::server, net::use_awaitable);
    beast::get_lowest_layer(ws).expires_never();
    ws.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
    co_await ws.async_accept(net::use_awaitable);
    beast::flat_buffer text;
    co_await ws.async_read(text, net::use_awaitable);
    co_await ws.async_write(text.data(), net::use_awaitable);
    beast::error_code closed;
    co_await ws.async_read(text, net::redirect_error(net::use_awaitable, closed));
    BOOST_TEST((closed == websocket::error::closed));
}

net::awaitable<std::string> ask_once(tcp::resolver::results_type peers, net::ssl::context& tls)
{
    stream ws(co_await net::this_coro::executor, tls);
    beast::get_lowest_layer(ws).expires_after(std::chrono::seconds(30));
    co_await beast::get_lowest_layer(ws).async_connect(peers, net::use_awaitable);
    co_await ws.next_layer().async_handshake(net::ssl::stream_base::client, net::use_awaitable);
    beast::get_lowest_layer(ws).expires_never();
    co_await ws.async_handshake("localhost", "/", net::use_awaitable);
    co_await ws.async_write(net::buffer("ping", 4), net::use_awaitable);
    beast::flat_buffer text;
    co_await ws.async_read(text, net::use_awaitable);
    co_await ws.async_close(websocket::close_code::normal, net::use_awaitable);
    co_return beast::buffers_to_string(text.data());
}

BOOST_AUTO_TEST_SUITE(no_hidden_machinery)

BOOST_AUTO_TEST_CASE(one_thread_serves_tls_websockets_timers_and_signals,
                     *test_support::needs_io_uring)
{
    const test_support::tls_identity identity;
    auto server_tls = identity.server();
    auto client_tls = identity.client(true);
    const auto before = machinery_of_this_process();

    safer_ring::io_context ctx(1);
    tcp::acceptor acceptor(ctx, tcp::endpoint(net::ip::address_v4::loopback(), 0));
    net::signal_set signals(ctx, SIGUSR2);
    signals.async_wait([](beast::error_code, int) {});
    std::string answer;
    std::exception_ptr failure;
    const auto store = [&](std::exception_ptr thrown) {
        if (thrown != nullptr)
            failure = thrown;
    };

    tcp::resolver resolver(ctx);
    resolver.async_resolve("127.0.0.1", std::to_string(acceptor.local_endpoint().port()),
                           [&](beast::error_code ec, tcp::resolver::results_type peers) {
                               BOOST_TEST(ec == beast::error_code());
                               net::co_spawn(ctx, echo_once(acceptor, server_tls), store);
                               net::co_spawn(ctx, ask_once(std::move(peers), client_tls),
                                             [&](std::exception_ptr thrown, std::string text) {
                                                 store(thrown);
                                                 answer = std::move(text);
                                                 const auto now = machinery_of_this_process();
                                                 // One more thread, which has looked the name up.
                                                 BOOST_TEST(now.threads == before.threads + 1);
                                                 BOOST_TEST(now.epoll_descriptors ==
                                                            before.epoll_descriptors);
                                                 signals.cancel();
                                             });
                           });
    BOOST_TEST(machinery_of_this_process().epoll_descriptors == before.epoll_descriptors);
    ctx.run();
    if (failure != nullptr)
        std::rethrow_exception(failure);
    BOOST_TEST(answer == "ping");
}

#if BOOST_ASIO_VERSION >= 103200

BOOST_AUTO_TEST_CASE(time_limits_of_operations_are_kept_on_the_ring, *test_support::needs_io_uring)
{
    const auto before = machinery_of_this_process();
    safer_ring::io_context ctx(1);
    tcp::acceptor acceptor(ctx, tcp::endpoint(net::ip::address_v4::loopback(), 0));
    beast::error_code ended;
    acceptor.async_accept(
        net::cancel_after(std::chrono::milliseconds(1), [&](beast::error_code ec, tcp::socket) {
            ended = ec;
            const auto now = machinery_of_this_process();
            BOOST_TEST(now.threads == before.threads);
            BOOST_TEST(now.epoll_descriptors == before.epoll_descriptors);
        }));
    ctx.run();
    BOOST_TEST(ended == net::error::operation_aborted);
}

#endif

BOOST_AUTO_TEST_SUITE_END()

} // namespace
