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
/// Asio gives every TLS stream two timers of its own untyped kind, as Beast
/// does the WebSocket stream: see websocket_stream.
template <typename NextLayer = tcp_stream>
using ssl_stream = boost::beast::ssl_stream<NextLayer>;

} // namespace safer_ring::inline SAFER_RING_ABI
