// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio.hpp>

#include "support/needs_io_uring.hpp"

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

using test_support::needs_io_uring;
using test_support::no_io_uring;

} // namespace kernel
