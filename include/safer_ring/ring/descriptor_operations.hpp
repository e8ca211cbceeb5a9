// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/descriptor.hpp>
#include <safer_ring/ring/event_loop.hpp>

#include <cstddef>
#include <cstdint>
#include <sys/types.h>

/// Reads and writes on what is no socket: pipes, terminals, devices, eventfd
/// and their kin, regular files as far as a stream goes.
namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Finds out how `fd` is to be read and written. Zero, or the errno with which
/// epoll refuses descriptors of this kind altogether.
SAFER_RING_API int choose_transfer_mode(int fd, transfer_mode& mode) noexcept;

/// Reads some bytes straight into the caller's memory, by a non-blocking call
/// once the descriptor is ready.
///
/// The kernel is never given a buffer of ours for it. It would be another one
/// than the caller's, and its length shows: eventfd and inotify refuse one that
/// is too short, a terminal ends its lines in it, and a pipe in packet mode
/// (O_DIRECT, pipe(2)) throws away what does not fit. The mode of a pipe cannot
/// be asked for at its read end. Nothing is consumed before the call, so that a
/// cancelled read leaves everything where it was.
class SAFER_RING_API descriptor_read_operation : public io_operation {
protected:
    explicit descriptor_read_operation(std::size_t size_bytes) noexcept : size_bytes_(size_bytes) {}
    ~descriptor_read_operation() = default;

    [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }

    /// preadv2(2) at the current position into the caller's buffers, with
    /// `flags`; the result, or the negated errno.
    virtual ssize_t read_now(int fd, int flags) noexcept = 0;

    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    bool attempts_first(event_loop& loop) const noexcept final;
    bool perform(int fd) noexcept final;
    void deliver(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;

private:
    std::size_t size_bytes_;
    std::uint32_t submitted_in_turn_ = 0;
    bool found_nothing_ = false;
};

/// Writes some bytes. For a pipe, up to a staging buffer of them is copied when
/// the operation starts and submitted with everything else of the turn;
/// everything else is written straight from the caller's memory without
/// blocking, and what does not fit waits for readiness.
///
/// A write that finds no reader fails with EPIPE and raises no SIGPIPE. One
/// that was copied comes later than the call that started it, so that the
/// signal would end programs that a write within that call had not.
class SAFER_RING_API descriptor_write_operation : public io_operation {
protected:
    /// With `may_stage` the bytes may be copied before the descriptor is ready.
    descriptor_write_operation(std::size_t size_bytes, bool may_stage) noexcept
        : size_bytes_(size_bytes), may_stage_(may_stage)
    {
    }
    ~descriptor_write_operation() = default;

    /// Whether small writes to `d` are to be staged.
    static bool stages(const descriptor& d) noexcept
    {
        return d.transfer.load(std::memory_order_relaxed) == transfer_mode::pipe;
    }

    [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }

    /// Copies the caller's bytes, all of them, to `out`.
    virtual void gather(std::byte* out) noexcept = 0;

    /// pwritev2(2) at the current position from the caller's buffers, with
    /// `flags`; the result, or the negated errno.
    virtual ssize_t write_now(int fd, int flags) noexcept = 0;

    void stage(event_loop& loop) final;
    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    bool attempts_first(event_loop& loop) const noexcept final;
    bool can_perform() const noexcept final { return true; }
    bool perform(int fd) noexcept final;
    void deliver(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;

private:
    std::size_t size_bytes_;
    staged staged_;
    bool may_stage_;
    bool by_readiness_ = true;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
