// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio.hpp>

#include "support/skip.hpp"

#include <boost/asio.hpp>

#include <string>

// Names for the tests on the real ring.
namespace kernel {

namespace net = boost::asio;
using net::ip::tcp;
using error_code = boost::system::error_code;
using context = safer_ring::io_context;
using socket = net::basic_stream_socket<tcp, safer_ring::executor>;
using acceptor = net::basic_socket_acceptor<tcp, safer_ring::executor>;
using timer =
    net::basic_waitable_timer<std::chrono::steady_clock,
                              net::wait_traits<std::chrono::steady_clock>, safer_ring::executor>;

/// Why tests on the real ring cannot run here, or an empty string.
inline std::string no_io_uring()
{
    const safer_ring::features found = safer_ring::features::probe();
    return found.io_uring ? "" : found.notes.empty() ? "no io_uring" : found.notes.front();
}

inline const auto needs_io_uring = test_support::unless(&no_io_uring);

} // namespace kernel
