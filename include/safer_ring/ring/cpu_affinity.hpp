// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

#include <vector>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// The processors that the calling thread may use, in ascending order; never
/// empty. In a container or under taskset(1) they are fewer than the machine
/// has. Throws std::bad_alloc.
[[nodiscard]] SAFER_RING_API std::vector<int> usable_cpus();

/// Lets the calling thread run on `cpu` only. Zero, or an errno: EINVAL for a
/// processor that the process may not use.
SAFER_RING_API int pin_this_thread(int cpu) noexcept;

/// What `usable_cpus` was before the calling thread was pinned so; empty when it never
/// was. For the threads that it makes, which inherit its processor otherwise.
[[nodiscard]] SAFER_RING_API const std::vector<int>& cpus_before_pinning() noexcept;

/// Lets the calling thread run on all of `cpus`, in ascending order. Zero, or an errno;
/// with none there is nothing to do.
SAFER_RING_API int use_cpus(const std::vector<int>& cpus) noexcept;

} // namespace safer_ring::inline SAFER_RING_ABI::ring
