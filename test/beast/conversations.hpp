// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "kernel/kernel.hpp"

#include <safer_ring/beast.hpp>

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <exception>
#include <string>
#include <utility>

// Conversations of HTTP and WebSocket between two coroutines.
namespace kernel {

namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using safer_ring::awaitable;
using safer_ring::use_awaitable;

inline constexpr std::chrono::seconds patience{30};

/// Runs both ends of a conversation to their end and rethrows what they throw.
template <class Server, class Client>
void converse(Server server, Client client)
{
    context ioc(1);
    acceptor listening(ioc, {net::ip::address_v4::loopback(), 0});
    const auto endpoint = listening.local_endpoint();
    int ended = 0;
    const auto rethrow = [&](std::exception_ptr thrown) {
        ++ended;
        if (thrown != nullptr)
            std::rethrow_exception(thrown);
    };
    net::co_spawn(
        ioc,
        [&]() -> awaitable<> {
            co_await server(safer_ring::tcp_stream(co_await listening.async_accept(use_awaitable)));
        },
        rethrow);
    net::co_spawn(
        ioc,
        [&]() -> awaitable<> {
            safer_ring::tcp_stream stream(ioc);
            stream.expires_after(patience);
            co_await stream.async_connect(endpoint, use_awaitable);
            co_await client(std::move(stream));
        },
        rethrow);
    ioc.run();
    BOOST_TEST(ended == 2);
}

using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

/// Answers requests with their own bodies until the client closes.
template <class Stream>
awaitable<> serve_http(Stream& stream)
{
    beast::flat_buffer buffer;
    for (;;) {
        request asked;
        const auto [error, size] =
            co_await http::async_read(stream, buffer, asked, safer_ring::use_awaitable_tuple);
        if (error == http::error::end_of_stream)
            co_return;
        if (error)
            throw boost::system::system_error(error);
        response answer(http::status::ok, asked.version());
        answer.keep_alive(asked.keep_alive());
        answer.body() = asked.body();
        answer.prepare_payload();
        co_await http::async_write(stream, answer, use_awaitable);
    }
}

template <class Stream>
awaitable<> ask_http(Stream& stream)
{
    beast::flat_buffer buffer;
    for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{300'000}}) {
        request asked(http::verb::post, "/", 11);
        asked.set(http::field::host, "localhost");
        asked.body().assign(size, 'b');
        asked.prepare_payload();
        co_await http::async_write(stream, asked, use_awaitable);
        response answer;
        co_await http::async_read(stream, buffer, answer, use_awaitable);
        BOOST_TEST(answer.result() == http::status::ok);
        BOOST_TEST((answer.body() == asked.body()));
    }
}

template <class Stream>
awaitable<> serve_websocket(websocket::stream<Stream>& stream)
{
    stream.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
    co_await stream.async_accept(use_awaitable);
    beast::flat_buffer buffer;
    for (;;) {
        const auto [error, size] =
            co_await stream.async_read(buffer, safer_ring::use_awaitable_tuple);
        if (error == websocket::error::closed)
            co_return;
        if (error)
            throw boost::system::system_error(error);
        stream.text(stream.got_text());
        co_await stream.async_write(buffer.cdata(), use_awaitable);
        buffer.clear();
    }
}

template <class Stream>
awaitable<> ask_websocket(websocket::stream<Stream>& stream)
{
    stream.set_option(websocket::stream_base::timeout::suggested(beast::role_type::client));
    co_await stream.async_handshake("localhost", "/", use_awaitable);
    for (const std::size_t size : {std::size_t{1}, std::size_t{5000}, std::size_t{200'000}}) {
        const std::string sent(size, 'w');
        stream.text(size == 1);
        co_await stream.async_write(net::buffer(sent), use_awaitable);
        co_await stream.async_ping({}, use_awaitable);
        beast::flat_buffer got;
        co_await stream.async_read(got, use_awaitable);
        BOOST_TEST(stream.got_text() == (size == 1));
        BOOST_TEST((beast::buffers_to_string(got.data()) == sent));
    }
    co_await stream.async_close(websocket::close_code::normal, use_awaitable);
}

} // namespace kernel
