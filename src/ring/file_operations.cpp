// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "sigpipe_blocked.hpp"

#include <safer_ring/ring/file_operations.hpp>
#include <safer_ring/ring/socket_operations.hpp>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <new>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

/// preadv2(2): the file system, or a filter of system calls, has no such flag.
bool has_no_flag(ssize_t result) noexcept
{
    return result == -EOPNOTSUPP || result == -ENOSYS;
}

/// Whether a write that is ready waits all the same for what does not fit. To other devices than
/// terminals what one call brings may be one message.
bool waits_for_room(int fd) noexcept
{
    if ((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0)
        return false;
    struct stat status {};
    return ::fstat(fd, &status) != 0 || !S_ISCHR(status.st_mode) || ::isatty(fd) == 1;
}

std::uint8_t bit(direction way) noexcept
{
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(way));
}

} // namespace

void look_at_file(descriptor& d) noexcept
{
    struct stat status {};
    if (::fstat(d.fd, &status) != 0) {
        d.kind = file_kind::regular; // EBADF will be told by the first call.
        return;
    }
    const bool has_positions = S_ISREG(status.st_mode) || S_ISBLK(status.st_mode);
    d.kind = has_positions ? file_kind::regular : file_kind::other;
    const int flags = ::fcntl(d.fd, F_GETFL);
    if (flags < 0)
        return;
    d.direct = (flags & O_DIRECT) != 0;
    d.appends = (flags & O_APPEND) != 0;
    // Such a write ends with a wait for the disk (O_SYNC has this bit too).
    if ((flags & O_DSYNC) != 0)
        d.refuses_nowait |= bit(direction::write);
}

file_operation::file_operation(direction way, std::size_t size_bytes, std::uint64_t offset) noexcept
    : offset_(offset), size_bytes_(one_call(size_bytes)), way_(way)
{
}

/// With O_DIRECT, RWF_NOWAIT only means that no lock is waited for: the call
/// still waits for the disk (ext4, Linux 6.18).
bool file_operation::attempts_first(event_loop& loop) noexcept
{
    const bool may = !descriptor_->direct && (descriptor_->refuses_nowait & bit(way_)) == 0;
    // Linux 5.9 and 5.10 answer 0 also where it would have to read ahead (preadv2(2), BUGS). What came
    // with 5.11 is the time-out of a wait.
    doubts_end_ = way_ == direction::read && descriptor_->kind == file_kind::regular &&
                  !loop.found().wait_timeout;
    at_once_ = may && reads_at_once(loop);
    return may && !at_once_;
}

/// Whether the position of the file is ours to move, and not the kernel's. With reads it moves when the
/// bytes are accepted: what a cancelled read brings in late is not missing from the stream. With writes
/// the kernel does it, but for those past the page cache that end behind the call that submits them
/// (kiocb_done() in Linux's io_uring/rw.c): one after the other, they would all go to the same place.
bool file_operation::moves_position() const noexcept
{
    return offset_ == at_position &&
           (way_ == direction::read || (descriptor_->direct && !descriptor_->appends));
}

/// Whether a request with RWF_NOWAIT, straight into the caller's memory, is the
/// better attempt: it costs less than a system call of its own, and from the
/// page cache the kernel either copies within the call that submits it, or
/// fails with EAGAIN. Where there may be several threads, long copies that one of
/// them makes under the lock of the ring would keep the others from theirs.
///
/// The position of a stream stays ours to move when the bytes are accepted.
bool file_operation::reads_at_once(event_loop& loop) const noexcept
{
    constexpr std::size_t longest_among_threads_bytes = 64 * 1024;
    return way_ == direction::read && offset_ != at_position && loop.gathers_starts() &&
           (loop.one_thread() || size_bytes_ <= longest_among_threads_bytes) &&
           loop.found().nowait_reads && descriptor_->kind == file_kind::regular &&
           memory(0) != nullptr;
}

/// Nobody who closes, cancels or asks for the size is to wait for a disk.
bool file_operation::can_perform() const noexcept
{
    return way_ == direction::write && !descriptor_->direct &&
           (descriptor_->refuses_nowait & bit(way_)) == 0;
}

bool file_operation::perform(int fd) noexcept
{
    // Before a pipe is closed, cancelled, or used by a synchronous call.
    if (way_ == direction::write && descriptor_->kind == file_kind::other &&
        state() != io_state::performing) {
        sigpipe_blocked blocked;
        const bool done = attempt(fd);
        if (done && result_ == -EPIPE)
            blocked.take();
        return done;
    }
    return attempt(fd);
}

bool file_operation::attempt(int fd) noexcept
{
    // Ready without RWF_NOWAIT: a read does not wait then, and a write does
    // not as long as it fits in a page of a pipe (pipe(7), PIPE_BUF).
    const bool plain = refused_ && by_readiness_;
    if (refused_ && !plain)
        return false;
    for (;;) {
        std::size_t limit = size_bytes_ - done_bytes_;
        const bool holds_lock = state() != io_state::performing;
        if (plain && way_ == direction::write && limit > PIPE_BUF &&
            (holds_lock || waits_for_room(fd)))
            limit = PIPE_BUF;
        const ssize_t n =
            transfer_now(fd, done_bytes_, limit, next_offset(), plain ? 0 : RWF_NOWAIT);
        if (would_block(n) || (n == 0 && doubts_end_ && !plain))
            return false;
        if (has_no_flag(n) && !plain) {
            refused_ = true;
            return by_readiness_ && attempt(fd);
        }
        if (n <= 0) { // The end of the file, or an error.
            conclude_with(static_cast<int>(n));
            return true;
        }
        done_bytes_ += static_cast<std::uint32_t>(n);
        // A short count is the end of the file, or the edge of what is cached.
        if (done_bytes_ == size_bytes_ || descriptor_->kind != file_kind::regular) {
            conclude_with(0);
            return true;
        }
    }
}

/// What has been moved counts; an error behind it will come again.
void file_operation::conclude_with(int result) noexcept
{
    result_ = done_bytes_ != 0 ? static_cast<int>(done_bytes_) : result;
}

bool file_operation::acquire(event_loop& loop) noexcept
{
    if (block_)
        return true;
    try {
        block_ = loop.staging().acquire_pages(size_bytes_ - done_bytes_);
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

/// The block is acquired, and a write copied, no earlier than here: an
/// operation that is still to be submitted has not been cancelled, so that the
/// caller's memory is still there; and most need no block.
void file_operation::prepare(event_loop& loop, backend::submission_entry& entry) noexcept
{
    if (refused_)
        descriptor_->refuses_nowait |= bit(way_);
    if (descriptor_->kind == file_kind::other) {
        by_readiness_ = true;
        refused_ = (descriptor_->refuses_nowait & bit(way_)) != 0;
        prepare_poll(entry, way_ == direction::write ? POLLOUT : POLLIN);
        return;
    }
    if (at_once_) {
        entry.op = backend::opcode::read;
        entry.op_flags = RWF_NOWAIT;
        entry.address = reinterpret_cast<std::uint64_t>(memory(done_bytes_));
        entry.length = size_bytes_ - done_bytes_;
        entry.offset = next_offset();
        return;
    }
    if (!acquire(loop)) {
        entry.op = backend::opcode::nop; // `settle` tells what happened.
        return;
    }
    in_block_bytes_ = static_cast<std::uint32_t>(
        std::min<std::size_t>(size_bytes_ - done_bytes_, staging_pool::size_of_pages(block_)));
    entry.offset = next_offset();
    if (moves_position())
        entry.offset = static_cast<std::uint64_t>(::lseek(descriptor_->fd, 0, SEEK_CUR));
    entry.op = way_ == direction::write ? backend::opcode::write : backend::opcode::read;
    if (way_ == direction::write)
        copy(block_.data, in_block_bytes_, done_bytes_);
    entry.address = reinterpret_cast<std::uint64_t>(block_.data);
    entry.length = in_block_bytes_;
    if (by_worker_) {
        entry.fd = file_of_worker_.get();
        entry.flags = backend::entry_async;
    }
}

io_operation::step file_operation::settle(event_loop&) noexcept
{
    if (by_readiness_)
        return result_ > 0 ? step::perform : step::done;
    if (at_once_)
        return settle_at_once();
    if (!block_) {
        conclude_with(-ENOMEM);
        return step::done;
    }
    // EAGAIN: the user made the descriptor non-blocking, which means nothing
    // for a file on a disk, but the ring takes it at its word where the file
    // system has no RWF_NOWAIT.
    if (would_block(result_) && !by_worker_) {
        by_worker_ = true;
        const int error = descriptor_->share_for_worker(file_of_worker_);
        if (error == 0)
            return step::again;
        result_ = error;
    }
    if (result_ <= 0) {
        conclude_with(result_);
        return step::done;
    }
    const auto moved = static_cast<std::uint32_t>(result_);
    if (moves_position())
        ::lseek(descriptor_->fd, static_cast<off_t>(moved), SEEK_CUR);
    const bool more = moved == in_block_bytes_ && done_bytes_ + moved != size_bytes_;
    if (more && !cancel_requested()) {
        if (way_ == direction::read)
            copy(block_.data, moved, done_bytes_);
        done_bytes_ += moved;
        return step::again;
    }
    in_block_bytes_ = moved;
    block_has_data_ = way_ == direction::read;
    if (way_ == direction::write)
        done_bytes_ += moved;
    result_ = static_cast<int>(done_bytes_ + (block_has_data_ ? moved : 0));
    return step::done;
}

/// As `perform` does: until all is there, the file ends, or nothing more is
/// cached.
io_operation::step file_operation::settle_at_once() noexcept
{
    refused_ = has_no_flag(result_);
    if (refused_ || would_block(result_)) {
        at_once_ = false;
        return step::again;
    }
    if (result_ > 0)
        done_bytes_ += static_cast<std::uint32_t>(result_);
    if (result_ > 0 && done_bytes_ != size_bytes_)
        return step::again;
    conclude_with(result_);
    return step::done;
}

void file_operation::deliver(event_loop& loop) noexcept
{
    if (block_has_data_)
        copy(block_.data, in_block_bytes_, done_bytes_);
    else if (result_ < 0)
        conclude_with(result_); // Cancelled behind the first block.
    block_has_data_ = false;
    loop.staging().release(block_);
}

void file_operation::discard(event_loop& loop) noexcept
{
    block_has_data_ = false;
    if (block_) // The pool may have been set aside.
        loop.staging().release(block_);
    conclude_with(-ECANCELED);
}

void file_operation::keep_for_later(event_loop& loop) noexcept
{
    if (!by_readiness_ && way_ == direction::write && result_ > 0) {
        done_bytes_ += static_cast<std::uint32_t>(result_);
        if (moves_position())
            ::lseek(descriptor_->fd, static_cast<off_t>(result_), SEEK_CUR);
    }
    discard(loop);
}

/// A worker of a kernel that has not let go in time may still look its number up:
/// that stays open, so that it never becomes another file's.
std::unique_ptr<lent_memory> file_operation::surrender() noexcept
{
    file_of_worker_.leak();
    return nullptr;
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
