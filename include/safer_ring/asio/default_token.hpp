// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

/// Coroutines on safer_ring::executor, and I/O objects whose operations need
/// no token there.
///
/// @code
/// using socket = safer_ring::with_as_tuple<
///     net::basic_stream_socket<net::local::stream_protocol, safer_ring::executor>>;
/// safer_ring::io_context context;
/// socket near(context), far(context);
/// net::local::connect_pair(near, far);
/// auto read = [](socket& from) -> safer_ring::awaitable<void> {
///     char byte = 0;
///     auto [error, size] = co_await from.async_read_some(net::buffer(&byte, 1));
///     assert(!error && size == 1 && byte == 'x');
/// };
/// net::co_spawn(context, read(near), net::detached);
/// net::write(far, net::buffer("x", 1));
/// context.run();
/// @endcode

#include <safer_ring/asio/executor.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace safer_ring::inline SAFER_RING_ABI {

/// A coroutine that runs on a safer_ring::io_context. Its executor is known
/// at compile time, so that nothing goes through any_io_executor.
template <typename T = void>
using awaitable = boost::asio::awaitable<T, executor>;

/// Errors are thrown.
inline constexpr boost::asio::use_awaitable_t<executor> use_awaitable;

/// Errors come first in the tuple that co_await gives.
inline constexpr boost::asio::as_tuple_t<boost::asio::use_awaitable_t<executor>>
    use_awaitable_tuple(use_awaitable);

/// `Object`, any I/O object or stream that can be rebound to an executor, with
/// `Token` as the default of its operations.
template <typename Object, typename Token>
using with_default_token = typename Object::template rebind_executor<
    typename Token::template executor_with_default<typename Object::executor_type>>::other;

template <typename Object>
using with_use_awaitable = with_default_token<Object, boost::asio::use_awaitable_t<executor>>;

template <typename Object>
using with_as_tuple =
    with_default_token<Object, boost::asio::as_tuple_t<boost::asio::use_awaitable_t<executor>>>;

} // namespace safer_ring::inline SAFER_RING_ABI
