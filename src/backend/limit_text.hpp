// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

#include <optional>
#include <string>
#include <sys/resource.h>

namespace safer_ring::inline SAFER_RING_ABI::backend {

/// The soft limit of RLIMIT_..., for a message, if there is one.
inline std::optional<std::string> limit_text(int resource)
{
    rlimit limit{};
    ::getrlimit(static_cast<__rlimit_resource>(resource), &limit);
    if (limit.rlim_cur == RLIM_INFINITY)
        return std::nullopt;
    return std::to_string(limit.rlim_cur);
}

} // namespace safer_ring::inline SAFER_RING_ABI::backend
