// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/backend.hpp>
#include <safer_ring/ring/owned_buffer.hpp>
#include <safer_ring/ring/staging.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

namespace safer_ring::inline SAFER_RING_ABI::ring {

class ring_core;

/// How the kernel uses up the buffers of a ring.
enum class buffer_use : std::uint8_t {
    whole, ///< One for each receive.
    /// Receive by receive, until nothing is left of it: Linux 6.12. Before 6.15, threads that
    /// share a ring whose completion queue has been full may get each other's bytes (687b2bae0eff).
    in_parts,
};

struct buffer_ring_statistics {
    std::size_t count = 0;           ///< Of all buffers.
    std::size_t available = 0;       ///< Of those that the kernel may choose.
    std::size_t least_available = 0; ///< In its busiest moment.
    std::uint64_t received = 0;      ///< Receives that used a buffer.
    std::uint64_t copied = 0;        ///< Of these, those whose bytes went to the heap.
    std::uint64_t exhausted = 0;     ///< Receives that found no buffer and had to wait.
};

/// What is behind a buffer_ring: the memory, which lives until nobody has a
/// pointer to this and all buffers are back, and the kernel's offer, which
/// lives until nobody but the ring has a pointer to this.
///
/// *Order of locks*: that of the engine comes before that in here, so that
/// buffers may be destroyed under the former.
class buffer_group final : public buffer_origin {
public:
    /// `core`, if any, is what its buffer_ring detaches it from. Throws
    /// std::invalid_argument and std::bad_alloc.
    SAFER_RING_API static std::shared_ptr<buffer_group>
    make(ring_core* core, std::size_t count, std::size_t size_bytes, buffer_use use);

    /// By the engine: the offer begins, which throws std::system_error, and
    /// ends.
    void attach(backend::backend& kernel, std::uint16_t number);
    void detach(backend::backend& kernel) noexcept;
    void forget_ring() noexcept;
    /// Null when the ring is gone.
    [[nodiscard]] ring_core* core() const noexcept;

    [[nodiscard]] std::uint16_t number() const noexcept { return number_; }
    [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }
    [[nodiscard]] buffer_use use() const noexcept { return use_; }

    /// What a completion of a receive brought, of which there are `size_bytes`
    /// in the buffer that `flags` name. A copy, when that is wanted or few
    /// buffers are left, and there is memory for one.
    [[nodiscard]] SAFER_RING_API owned_buffer take(std::uint32_t flags, std::size_t size_bytes,
                                                   bool as_copy) noexcept;
    /// For the buffer that the kernel chooses behind the one of `flags`, in a
    /// bundle; to be asked before `take`.
    [[nodiscard]] SAFER_RING_API std::uint32_t behind(std::uint32_t flags) const noexcept;
    /// How much of a buffer of a bundle there is before the next one begins; to be
    /// asked before `take`.
    [[nodiscard]] SAFER_RING_API std::size_t room(std::uint32_t flags) const noexcept;
    /// By the engine, which guards it: whether its buffer_ring is gone.
    bool is_orphan = false;

    /// A receive found no buffer.
    SAFER_RING_API void note_exhaustion() noexcept;
    /// Whether one that found none may try again: in each turn as many as there
    /// are buffers.
    [[nodiscard]] SAFER_RING_API bool supplies(std::uint64_t turn) noexcept;

    void give_back(std::byte* memory) noexcept override;

    [[nodiscard]] SAFER_RING_API buffer_ring_statistics statistics() const noexcept;

private:
    /// Of one buffer.
    struct record {
        std::uint32_t used_bytes = 0; ///< That the kernel has filled.
        std::uint32_t views = 0;      ///< Buffers that show a part of it.
        std::uint16_t place = 0;      ///< In the ring, where it was offered last.
        std::uint16_t next = 0;       ///< Which was offered behind it.
        bool is_offered = false;
    };

    buffer_group(ring_core* core, std::size_t count, std::size_t size_bytes, buffer_use use);
    ~buffer_group();

    void abandon() noexcept;
    void offer(std::uint32_t id) noexcept;
    [[nodiscard]] backend::provided_buffer& entry_at(unsigned place) const noexcept
    {
        return ring_[place & (statistics_.count - 1)];
    }
    void publish() noexcept;
    [[nodiscard]] std::byte* data(std::uint32_t id) const noexcept
    {
        return memory_.data() + std::size_t{id} * stride_bytes_;
    }

    ring_core* core_;
    const std::size_t size_bytes_;
    const std::size_t stride_bytes_;
    const buffer_use use_;
    std::uint16_t number_ = 0;
    mapped_memory ring_memory_;
    mapped_memory memory_;
    backend::provided_buffer* ring_ = nullptr;
    std::unique_ptr<record[]> records_;
    mutable std::mutex mutex_;  // Of all below.
    std::size_t untouched_ = 0; // Offered buffers that nothing is known to be in.
    std::size_t views_ = 0;     // Owned buffers that show this memory.
    std::uint16_t tail_ = 0;
    std::uint16_t published_tail_ = 0;
    std::uint64_t turn_ = 0;
    std::size_t left_in_turn_ = 0;
    bool abandoned_ = false;
    buffer_ring_statistics statistics_; // `available`: offered, and not used up.
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
