// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The echo server on safer_ring::io_context; its source is that of the Asio programs.

#include <safer_ring/asio.hpp>

#include "echo/asio_echo.hpp"

namespace {

int serve(int argc, char** argv)
{
    return benchmark::serve_echo<safer_ring::io_context>(
        argc, argv, "safer_ring", [](const safer_ring::io_context& context) {
            return benchmark::details{{"ring", context.features().describe()}};
        });
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &serve);
}
