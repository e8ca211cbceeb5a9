// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/backend.hpp>
#include <safer_ring/ring/buffer_group.hpp>
#include <safer_ring/ring/lent_memory.hpp>
#include <safer_ring/ring/staging.hpp>

#include <cstddef>
#include <memory>

/// Memory that the kernel may still use after its context is gone.
namespace safer_ring::inline SAFER_RING_ABI::ring::quarantine {

/// Closes the ring of `kernel` and keeps the memory until the last of its
/// requests is gone. That moment is seen by a pipe: its write end belongs to
/// the ring, so the read end hangs up when the kernel drops the ring.
/// Never throws; what cannot be watched is kept for good.
SAFER_RING_API void keep(std::unique_ptr<backend::backend> kernel, receive_buffers&& buffers,
                         std::unique_ptr<staging_pool> staging, lent_memories lent = {},
                         std::shared_ptr<buffer_group> stream_buffers = nullptr) noexcept;

/// Frees what the kernel has let go of. Called whenever a loop is made or
/// goes; answers the number of rings still held.
SAFER_RING_API std::size_t reclaim() noexcept;

} // namespace safer_ring::inline SAFER_RING_ABI::ring::quarantine
