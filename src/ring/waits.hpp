// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/backend.hpp>

#include <chrono>

namespace safer_ring::inline SAFER_RING_ABI::ring {

inline constexpr backend::backend::timeout no_wait = backend::backend::timeout::zero();

/// How long to let the kernel recover when it is short of memory or of room
/// for completions, and a cancellation find its request.
inline constexpr backend::backend::timeout retry_wait = std::chrono::milliseconds(1);

} // namespace safer_ring::inline SAFER_RING_ABI::ring
