// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/descriptor.hpp>
#include <safer_ring/ring/event_loop.hpp>
#include <safer_ring/ring/lent_buffer.hpp>
#include <safer_ring/ring/registry.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

/// Reading and writing files with the memory of the operation, without handlers.
namespace safer_ring::inline SAFER_RING_ABI::ring {

/// How much of its buffer a transfer is asked for: some bytes at least, or all.
enum class transfer_extent { some, all };

/// Moves bytes between a buffer of its own and a file that has positions, from an
/// offset on, until as many are moved as were asked for, the file ends, or an error
/// occurs.
///
/// Who asked for some bytes is told of the first that come: behind them, a file that
/// looks like one on a disk may wait for more, as /proc/kmsg does, and those of some
/// FUSE servers.
///
/// The kernel works on the buffer itself, however long it takes: the operation, and
/// with it the buffer, stays until the kernel has let go. Nobody who cancels or closes
/// waits for that. A buffer that is registered with the ring is used as such.
class SAFER_RING_API owned_transfer_operation : public io_operation {
protected:
    /// `bytes` is the part of `memory` that is to be filled or written.
    owned_transfer_operation(direction way, transfer_extent extent,
                             std::unique_ptr<lent_bytes> memory, std::span<const std::byte> bytes,
                             std::uint64_t offset) noexcept
        : memory_(std::move(memory)), bytes_(bytes), offset_(offset), way_(way), extent_(extent)
    {
    }
    ~owned_transfer_operation();

    /// The buffer, which the kernel has let go of.
    std::unique_ptr<lent_bytes> take_memory() noexcept { return std::move(memory_); }

    /// Moved for good, whatever `result()` says, which is negative for an error.
    [[nodiscard]] std::size_t moved_bytes() const noexcept { return moved_bytes_; }
    [[nodiscard]] bool is_all_moved() const noexcept { return moved_bytes_ == bytes_.size(); }

    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    bool can_perform() const noexcept final;
    bool perform(int fd) noexcept final;
    void deliver(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;
    void keep_for_later(event_loop& loop) noexcept final;
    std::unique_ptr<lent_memory> surrender() noexcept final;

private:
    [[nodiscard]] bool is_done() const noexcept
    {
        return is_all_moved() || (extent_ == transfer_extent::some && moved_bytes_ != 0);
    }
    [[nodiscard]] std::span<const std::byte> left() const noexcept
    {
        return bytes_.subspan(moved_bytes_);
    }
    void get_back() noexcept;

    std::unique_ptr<lent_bytes> memory_;
    std::span<const std::byte> bytes_;
    std::uint64_t offset_;
    std::size_t moved_bytes_ = 0;
    registered_range range_;
    worker_descriptor file_of_worker_;
    direction way_;
    transfer_extent extent_;
    bool is_lent_ = false;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
