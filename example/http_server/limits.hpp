// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace http_server {

// What one client may take from the server.
struct limits {
    // A kept-alive connection that asks for nothing is closed after this time.
    std::chrono::milliseconds idle_timeout{30'000};
    // From the first byte of a request to the end of its header, however slowly the bytes trickle
    // in. A request body has the same time again.
    std::chrono::milliseconds header_timeout{10'000};
    // For each block of a response to be taken over by the client's side.
    std::chrono::milliseconds write_timeout{30'000};
    // From the first signal to the end of the process, for requests under way.
    std::chrono::milliseconds stop_timeout{2'000};
    std::uint32_t header_bytes = 16 * 1024;
    // Nothing here takes a body. One of up to this size is read and thrown away, so that the
    // connection can be kept.
    std::uint64_t body_bytes = 64 * 1024;
    std::size_t requests_per_connection = 100'000;
    // 0: as many as the limit of open descriptors allows. The files that are being sent come on
    // top: where one finds no descriptor, the answer is 503.
    std::size_t connections = 0;
};

} // namespace http_server
