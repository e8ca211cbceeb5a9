// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Messages over datagrams, local sockets and pipes on safer_ring::io_context.

#include <safer_ring/asio.hpp>

#include "channels/ping_pong.hpp"

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &benchmark::pass_messages<safer_ring::io_context>);
}
