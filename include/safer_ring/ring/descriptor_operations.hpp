// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/descriptor.hpp>
#include <safer_ring/ring/event_loop.hpp>

#include <cstddef>
#include <cstdint>
#include <limits.h>
#include <sys/types.h>

/// Reads and writes on what is no socket: pipes, terminals, devices, eventfd
/// and their kin, regular files as far as a stream goes.
namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Finds out how `fd` is to be read and written. Zero, or the errno with which
/// epoll refuses descriptors of this kind altogether.
SAFER_RING_API int choose_transfer_mode(int fd, transfer_mode& mode) noexcept;

/// Reads some bytes straight into the caller's memory by a non-blocking call:
/// within the call that starts it, or once the descriptor is ready.
///
/// The kernel is never given a buffer of ours for it. It would be another one
/// than the caller's, and its length shows: eventfd and inotify refuse one that
/// is too short, a terminal ends its lines in it, and a pipe in packet mode
/// (O_DIRECT, pipe(2)) throws away what does not fit. The mode of a pipe cannot
/// be asked for at its read end. Nothing is consumed before the call, so that a
/// cancelled read leaves everything where it was.
class SAFER_RING_API descriptor_read_operation : public io_operation {
protected:
    descriptor_read_operation() noexcept = default;
    ~descriptor_read_operation() = default;

    /// preadv2(2) at the current position into the caller's buffers, with
    /// `flags`; the result, or the negated errno.
    virtual ssize_t read_now(int fd, int flags) noexcept = 0;

    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    bool attempts_first(event_loop& loop) noexcept final;
    bool attempts_later(event_loop& loop) const noexcept final;
    bool perform(int fd) noexcept final;
    void deliver(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;

private:
    std::uint32_t submitted_in_turn_ = 0;
    bool found_nothing_ = false;
};

/// Writes some bytes straight from the caller's memory by a non-blocking call:
/// within the call that starts it, or once the descriptor is ready.
///
/// Where that call finds no room time and again, as when a program streams to
/// itself, the next ones are made when the handlers that are ready have run,
/// among them those of who reads: then neither end has to wait. Small ones never
/// are: the handler that starts one may go on to wait for the answer.
///
/// Small ones are not copied and submitted with the turn, as a socket's are: a
/// write to a pipe costs less than a request (64 bytes: 0.65 instead of 1.27 µs
/// with the read).
///
/// One that finds no reader raises SIGPIPE, where it is made within the call
/// that starts it or by a thread in run(), as Asio's does; one that is attempted
/// since the descriptor is about to be closed or cancelled does not.
class SAFER_RING_API descriptor_write_operation : public io_operation {
protected:
    explicit descriptor_write_operation(std::size_t size_bytes) noexcept
        : is_small_(size_bytes <= PIPE_BUF)
    {
    }
    ~descriptor_write_operation() = default;

    /// pwritev2(2) at the current position from the caller's buffers, with
    /// `flags`; the result, or the negated errno.
    virtual ssize_t write_now(int fd, int flags) noexcept = 0;

    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    bool attempts_first(event_loop& loop) noexcept final;
    bool attempts_elsewhere() const noexcept final { return true; }
    bool attempts_later(event_loop&) const noexcept final { return !is_small_; }
    bool attempts_again(event_loop& loop) noexcept final;
    bool can_perform() const noexcept final { return true; }
    bool perform(int fd) noexcept final;
    void deliver(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;

private:
    bool is_small_;
    bool found_no_room_ = false;
    bool repeated_ = false;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
