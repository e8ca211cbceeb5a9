// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring.hpp>

#include <cstdlib>
#include <string>
#include <string_view>

namespace stress {

/// Whether the long form of each test was asked for: ./dev test --full.
inline bool is_full_run()
{
    const char* soak = std::getenv("SAFER_RING_SOAK");
    return soak != nullptr && std::string_view(soak) == "full";
}

/// Why nothing of this program can run here; empty when it can.
inline std::string no_io_uring()
{
    const safer_ring::features found = safer_ring::features::probe();
    return found.io_uring ? "" : found.notes.empty() ? "no io_uring" : found.notes.front();
}

} // namespace stress
