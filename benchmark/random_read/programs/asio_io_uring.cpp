// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Random reads on Boost.Asio's own io_uring backend, without its epoll.
#define BOOST_ASIO_HAS_IO_URING 1
#define BOOST_ASIO_DISABLE_EPOLL 1

#include "random_read/asio_random_read.hpp"

#include <boost/asio/io_context.hpp>

namespace {

int read(int argc, char** argv)
{
    return benchmark::read_randomly<benchmark::asio_reader<boost::asio::io_context>>(
        argc, argv, "asio_io_uring");
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &read);
}
