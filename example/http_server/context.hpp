// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

// The one place that decides which event loop the server runs on. Everything else names only the
// aliases below, and every I/O object is typed with `executor`: an untyped one, such as
// `net::steady_timer`, would bring in Asio's own reactor beside the ring.
//
// With HTTP_SERVER_ON_ASIO defined the same sources make a server on Asio itself. That is what the
// benchmarks compare with.

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>

#ifdef HTTP_SERVER_ON_ASIO
#include <boost/asio/io_context.hpp>
#else
#include <safer_ring/asio.hpp>
#endif

#include <chrono>
#include <exception>
#include <string>

namespace http_server {

namespace net = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using tcp = net::ip::tcp;

#ifdef HTTP_SERVER_ON_ASIO
using io_context = net::io_context;
#else
using io_context = safer_ring::io_context;
#endif

using executor = io_context::executor_type;
using steady_clock = std::chrono::steady_clock;
using acceptor = net::basic_socket_acceptor<tcp, executor>;
using socket = net::basic_stream_socket<tcp, executor>;
using stream = beast::basic_stream<tcp, executor>;
using timer = net::basic_waitable_timer<steady_clock, net::wait_traits<steady_clock>, executor>;

template <class T>
using task = net::awaitable<T, executor>;

// Errors come back as values. An exception is left for what a session cannot deal with.
constexpr net::as_tuple_t<net::use_awaitable_t<executor>> as_tuple_awaitable;

// For what co_spawn starts and nobody waits for: out of memory, say, it would be gone without a word.
// The exception leaves run(), and main() reports it.
constexpr auto rethrow = [](std::exception_ptr error) {
    if (error)
        std::rethrow_exception(error);
};

// The name in the line printed at the start, such as "io_uring".
std::string backend_name(io_context& context);

// What the landing page says about the backend: several lines of text.
std::string describe_backend(io_context& context);

} // namespace http_server
