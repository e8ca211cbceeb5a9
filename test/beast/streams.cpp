// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "conversations.hpp"

#include <safer_ring/asio/owned_buffers.hpp>
#include <support/machinery.hpp>
#include <support/skip.hpp>

// Beast's streams on the ring: HTTP and WebSocket.

namespace kernel {
namespace {

using namespace std::chrono_literals;

using tuple_acceptor = safer_ring::with_as_tuple<acceptor>;
using throwing_stream = safer_ring::with_use_awaitable<safer_ring::tcp_stream>;
using tuple_stream = safer_ring::with_as_tuple<safer_ring::tcp_stream>;

BOOST_AUTO_TEST_SUITE(beast_streams, *needs_io_uring)

BOOST_AUTO_TEST_CASE(http_echo)
{
    const std::size_t before = test_support::living_threads().size();
    converse(
        [&](safer_ring::tcp_stream stream) -> awaitable<> {
            stream.expires_after(patience);
            co_await serve_http(stream);
        },
        [&](safer_ring::tcp_stream stream) -> awaitable<> {
            co_await ask_http(stream);
            // Socket and time-outs are on the ring: nothing of Asio's own is behind them.
            BOOST_TEST(test_support::living_threads().size() == before);
            stream.socket().shutdown(tcp::socket::shutdown_both);
        });
}

BOOST_AUTO_TEST_CASE(silent_peer_is_timed_out)
{
    converse(
        [](safer_ring::tcp_stream stream) -> awaitable<> {
            stream.expires_after(2ms);
            beast::flat_buffer buffer;
            request asked;
            const auto [error, size] =
                co_await http::async_read(stream, buffer, asked, safer_ring::use_awaitable_tuple);
            BOOST_TEST((error == beast::error::timeout));
        },
        [](safer_ring::tcp_stream stream) -> awaitable<> {
            char byte = 0;
            const auto [error, size] = co_await stream.async_read_some(
                net::buffer(&byte, 1), safer_ring::use_awaitable_tuple);
            BOOST_TEST(!!error);
        });
}

BOOST_AUTO_TEST_CASE(operations_without_a_token)
{
    context ioc(1);
    bool done = false;
    net::co_spawn(
        ioc,
        [&]() -> awaitable<> {
            tuple_acceptor listening(co_await net::this_coro::executor,
                                     tcp::endpoint(net::ip::address_v4::loopback(), 0));
            throwing_stream client(ioc);
            client.expires_after(patience);
            co_await client.async_connect(listening.local_endpoint());
            auto [error, peer] = co_await listening.async_accept();
            BOOST_TEST(error == error_code());
            tuple_stream server(std::move(peer));
            request asked(http::verb::get, "/", 11), got;
            BOOST_TEST(co_await http::async_write(client, asked) > 0u);
            beast::flat_buffer buffer;
            auto [read_error, size] = co_await http::async_read(server, buffer, got);
            BOOST_TEST(read_error == error_code());
            BOOST_TEST(got.method() == http::verb::get);
            client.close();
            auto [end, none] = co_await http::async_read(server, buffer, got);
            BOOST_TEST((end == http::error::end_of_stream));
            server.close();
            auto [closed, nothing] = co_await server.async_read_some(buffer.prepare(1));
            BOOST_TEST(!!closed);
            try {
                co_await client.async_read_some(buffer.prepare(1));
            } catch (const boost::system::system_error&) {
                done = true;
            }
        },
        net::detached);
    ioc.run();
    BOOST_TEST(done);
}

BOOST_AUTO_TEST_CASE(websocket_echo)
{
    converse(
        [](safer_ring::tcp_stream stream) -> awaitable<> {
            safer_ring::websocket_stream<> ws(std::move(stream));
            ws.next_layer().expires_never();
            co_await serve_websocket(ws);
        },
        [](safer_ring::tcp_stream stream) -> awaitable<> {
            safer_ring::websocket_stream<> ws(std::move(stream));
            ws.next_layer().expires_never();
            co_await ask_websocket(ws);
        });
}

BOOST_AUTO_TEST_CASE(owned_buffers_are_read_and_written_by_streams_over_streams)
{
    static constexpr auto token = safer_ring::use_awaitable;
    converse(
        [](safer_ring::tcp_stream stream) -> awaitable<> {
            stream.expires_after(patience);
            auto [size, question] =
                co_await safer_ring::async_read(stream, safer_ring::owned_buffer(8), token);
            BOOST_TEST(question.text() == "question");
            safer_ring::websocket_stream<> ws(std::move(stream));
            ws.next_layer().expires_never();
            co_await ws.async_accept(token);
            auto [read, message] =
                co_await safer_ring::async_read_some(ws, safer_ring::owned_buffer(100), token);
            BOOST_TEST(message.text() == "message");
            co_await safer_ring::async_write(ws, std::move(message).freeze(), token);
        },
        [](safer_ring::tcp_stream stream) -> awaitable<> {
            stream.expires_after(patience);
            co_await safer_ring::async_write(stream, safer_ring::owned_buffer::copy_of("question"),
                                             token);
            safer_ring::websocket_stream<> ws(std::move(stream));
            ws.next_layer().expires_never();
            co_await ws.async_handshake("localhost", "/", token);
            co_await safer_ring::async_write(ws, safer_ring::owned_buffer::copy_of("message"),
                                             token);
            auto [read, message] =
                co_await safer_ring::async_read_some(ws, safer_ring::owned_buffer(100), token);
            BOOST_TEST(message.text() == "message");
            BOOST_TEST(ws.is_message_done());
        });
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
