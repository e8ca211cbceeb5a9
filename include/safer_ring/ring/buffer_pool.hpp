// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/owned_buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace safer_ring::inline SAFER_RING_ABI {

namespace ring {
class registrable_memory;
struct registration_access;
} // namespace ring

/// A fixed number of buffers of one size, allocated once, page-aligned.
///
/// *At the bound* it does not grow: `try_acquire()` is empty until a buffer
/// comes back, and counts that.
///
/// *Registered* with a ring by `io_ring::register_buffers`, reads and writes of
/// that ring cost less with its buffers. All their pages are used from then on,
/// and locked in memory.
///
/// *Lifetime*: buffers may outlive the pool; the memory is unmapped with the
/// last of them, and of its registrations. A pool that was moved from has no buffers.
///
/// *Thread safety*: all members may be called, and buffers destroyed, by any
/// threads at once. A lock is held for a few instructions.
///
/// Under AddressSanitizer the bytes of buffers that are back are poisoned.
///
/// @code
/// safer_ring::buffer_pool pool(64, 4096);
/// if (std::optional<safer_ring::owned_buffer> buffer = pool.try_acquire())
///     assert(buffer->size() == 4096);
/// assert(pool.statistics().available == 64);
/// @endcode
class buffer_pool {
public:
    /// `count` buffers of `size_bytes` each, which are multiples of a page
    /// apart. Pages are used when touched. Throws std::bad_alloc, and
    /// std::invalid_argument when one of the two is zero.
    SAFER_RING_API buffer_pool(std::size_t count, std::size_t size_bytes);
    SAFER_RING_API buffer_pool(buffer_pool&& other) noexcept;
    SAFER_RING_API buffer_pool& operator=(buffer_pool&& other) noexcept;
    SAFER_RING_API ~buffer_pool();

    /// A buffer of full size, or nothing when all are in use. Allocates nothing.
    /// The bytes are what their last user left there.
    [[nodiscard]] SAFER_RING_API std::optional<owned_buffer> try_acquire() noexcept;

    struct statistics_type {
        std::size_t count = 0;     ///< Of all buffers.
        std::size_t available = 0; ///< Of those that are here.
        std::size_t least_available = 0;
        std::uint64_t acquired = 0; ///< Since the beginning.
        std::uint64_t refused = 0;  ///< Of the calls that found none.
    };
    [[nodiscard]] SAFER_RING_API statistics_type statistics() const noexcept;

    /// Of one buffer.
    [[nodiscard]] SAFER_RING_API std::size_t size_bytes() const noexcept;

private:
    friend struct ring::registration_access;

    class state;
    /// Throws std::invalid_argument for a pool that was moved from.
    [[nodiscard]] SAFER_RING_API ring::registrable_memory& memory() const;

    state* state_;
};

} // namespace safer_ring::inline SAFER_RING_ABI
