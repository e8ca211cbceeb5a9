// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The same on safer_ring::io_context, through the drop-in.

#include <safer_ring/drop_in.hpp>

#include "http/http_server.hpp"

namespace {

int serve(int argc, char** argv)
{
    using context = safer_ring::io_context;
    return benchmark::serve_http<context, boost::asio::any_io_executor>(argc, argv, "drop_in");
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &serve);
}
