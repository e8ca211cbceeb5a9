// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/buffer_group.hpp>

#include <cstddef>
#include <memory>

namespace safer_ring::inline SAFER_RING_ABI {

class io_ring;

using ring::buffer_ring_statistics;
using ring::buffer_use;

/// Buffers that the kernel chooses from when there is something to receive, so
/// that an idle connection holds none; `io_ring::receive_stream` uses them.
///
/// *What comes out* is an owned_buffer over the chosen memory. Destroyed, on
/// any thread, it goes back on offer; several at once, where enough are left.
///
/// *At the bound* nobody starves: of `count` buffers a quarter, at least one,
/// always goes round. What comes in while no more than that are left is copied
/// to a buffer of the heap. A receive that finds none at all is begun again when one
/// is back, and no more of them at once than there are buffers. `statistics()`
/// tells how often either happened: more buffers avoid it.
///
/// *Lifetime*: streams keep what they need of it, buffers too. It may be
/// destroyed before or after them and its ring, but not while another thread
/// destroys the ring.
///
/// *Thread safety*: `statistics` may be called, and buffers destroyed, by any
/// threads at once.
///
/// *Kernel requirement*: Linux 5.19 (IORING_REGISTER_PBUF_RING); 6.12 for
/// `buffer_use::in_parts` (IOU_PBUF_RING_INC).
///
/// @code
/// safer_ring::io_ring ring;
/// if (ring.found().buffer_ring) {
///     safer_ring::buffer_ring buffers(ring, 64, 4096);
///     assert(buffers.statistics().available == 64);
/// }
/// @endcode
class buffer_ring {
public:
    /// `count` buffers, a power of two up to 32768, of `size_bytes` each. Pages
    /// are used when touched. Throws std::invalid_argument, std::bad_alloc, and
    /// std::system_error with EINVAL where the kernel has no such thing, or
    /// ENOMEM for RLIMIT_MEMLOCK.
    ///
    /// Buffers used in parts should be large: what several receives brought
    /// lies side by side, and a buffer goes back when the last part of it is
    /// destroyed. A part has no capacity beyond its bytes. Datagrams are refused: one
    /// would be cut where the buffer ends, of which others have used a part.
    SAFER_RING_API buffer_ring(io_ring& ring, std::size_t count, std::size_t size_bytes,
                               buffer_use use = buffer_use::whole);
    buffer_ring(buffer_ring&&) noexcept = default;
    SAFER_RING_API buffer_ring& operator=(buffer_ring&& other) noexcept;
    SAFER_RING_API ~buffer_ring();

    [[nodiscard]] SAFER_RING_API buffer_ring_statistics statistics() const noexcept;
    /// Of one buffer.
    [[nodiscard]] SAFER_RING_API std::size_t size_bytes() const noexcept;

private:
    friend class io_ring;

    std::shared_ptr<ring::buffer_group> group_; // Null after a move.
};

} // namespace safer_ring::inline SAFER_RING_ABI
