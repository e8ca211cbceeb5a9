// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The server on boost::asio::io_context, with the executor that Asio has where none is named.

#include "http/http_server.hpp"

namespace {

int serve(int argc, char** argv)
{
    using context = boost::asio::io_context;
    return benchmark::serve_http<context, boost::asio::any_io_executor>(argc, argv, "asio_epoll");
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &serve);
}
