// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The echo server on Boost.Asio as it comes: readiness from epoll.

#include "echo/asio_echo.hpp"

#include <boost/asio/io_context.hpp>

namespace {

int serve(int argc, char** argv)
{
    return benchmark::serve_echo<boost::asio::io_context>(
        argc, argv, "asio_epoll",
        [](const boost::asio::io_context&) { return benchmark::details{}; });
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &serve);
}
