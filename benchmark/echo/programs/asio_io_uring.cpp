// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The echo server on Boost.Asio's own io_uring backend. It is chosen by these two macros, which
// must be the same in every translation unit of a program; this one has only one.
#define BOOST_ASIO_HAS_IO_URING 1
#define BOOST_ASIO_DISABLE_EPOLL 1

#include "echo/asio_echo.hpp"

#include <boost/asio/io_context.hpp>

namespace {

int serve(int argc, char** argv)
{
    return benchmark::serve_echo<boost::asio::io_context>(
        argc, argv, "asio_io_uring",
        [](const boost::asio::io_context&) { return benchmark::details{}; });
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &serve);
}
