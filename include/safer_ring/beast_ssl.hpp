// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

/// Boost.Beast's streams over TLS on safer_ring::executor. Programs that
/// include this link OpenSSL.

#include <safer_ring/beast.hpp>

#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket/ssl.hpp>

namespace safer_ring::inline SAFER_RING_ABI {

/// TLS over a stream of ours.
///
/// Asio gives every TLS stream two timers for net::any_io_executor, whatever
/// the executor of the next layer is. Without the drop-in they are Asio's own,
/// and the first ones on a context start a thread and an epoll descriptor of
/// Asio's. Handlers run on the ring's context all the same.
template <typename NextLayer = tcp_stream>
using ssl_stream = boost::beast::ssl_stream<NextLayer>;

} // namespace safer_ring::inline SAFER_RING_ABI
