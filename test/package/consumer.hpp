// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>

#include <chrono>

namespace consumer {

/// Runs a context with a posted handler and a timer: true if both were called.
inline bool run()
{
    namespace net = boost::asio;
    using clock = std::chrono::steady_clock;

    safer_ring::io_context context;
    bool posted = false;
    bool expired = false;
    net::post(context, [&posted] { posted = true; });
    net::basic_waitable_timer<clock, net::wait_traits<clock>, safer_ring::executor> timer(
        context, std::chrono::milliseconds(1));
    timer.async_wait([&expired](const boost::system::error_code& error) { expired = !error; });
    context.run();
    return posted && expired;
}

} // namespace consumer
