// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The same with our executor in the types.

#include <safer_ring/asio.hpp>

#include "http/http_server.hpp"

namespace {

int serve(int argc, char** argv)
{
    using context = safer_ring::io_context;
    return benchmark::serve_http<context, safer_ring::executor>(argc, argv, "safer_ring");
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &serve);
}
