// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The server on boost::asio::io_context, with its executor in the types.

#include "http/http_server.hpp"

namespace {

int serve(int argc, char** argv)
{
    using context = boost::asio::io_context;
    return benchmark::serve_http<context, boost::asio::io_context::executor_type>(
        argc, argv, "asio_epoll_typed");
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &serve);
}
