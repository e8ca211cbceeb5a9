// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

/// Boost.Beast's streams on safer_ring::executor. They are Beast's classes,
/// with all that Beast says of them; <safer_ring/beast_ssl.hpp> has those that
/// need OpenSSL.

#include <safer_ring/asio.hpp>
#include <safer_ring/asio/default_token.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/rate_policy.hpp>
#include <boost/beast/websocket/stream.hpp>

namespace safer_ring::inline SAFER_RING_ABI {

/// beast::tcp_stream, on the ring: socket and time-outs.
template <typename RatePolicy = boost::beast::unlimited_rate_policy>
using basic_tcp_stream = boost::beast::basic_stream<boost::asio::ip::tcp, executor, RatePolicy>;
using tcp_stream = basic_tcp_stream<>;

/// Beast's WebSocket stream over `NextLayer`.
///
/// Its time-outs are on the ring from Boost 1.82 on. Before, Beast gives it a
/// timer of type net::steady_timer, whatever the executor of the next layer
/// is; without the drop-in, that timer is Asio's own, and the first one starts
/// a thread and an epoll descriptor of Asio's. Handlers run on the ring's
/// context all the same.
template <typename NextLayer = tcp_stream>
using websocket_stream = boost::beast::websocket::stream<NextLayer>;

} // namespace safer_ring::inline SAFER_RING_ABI
