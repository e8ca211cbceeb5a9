// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <cstdlib>
#include <string_view>

namespace stress {

/// Whether the long form of each test was asked for: ./dev test --full.
inline bool is_full_run()
{
    const char* soak = std::getenv("SAFER_RING_SOAK");
    return soak != nullptr && std::string_view(soak) == "full";
}

} // namespace stress
