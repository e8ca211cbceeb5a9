// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "sigpipe_blocked.hpp"

#include <safer_ring/ring/descriptor_operations.hpp>

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

/// Whether files of this kind can be waited for: 0, EPERM, or another errno.
/// Only epoll_ctl(2) tells; poll(2) reports the others as ready.
int try_epoll(int fd, mode_t file_mode) noexcept
{
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) // No descriptor to be had: what is most likely has to do.
        return S_ISREG(file_mode) || S_ISDIR(file_mode) ? EPERM : 0;
    epoll_event event{};
    const int error = ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
    ::close(epoll);
    return error;
}

/// An attempt that was put off shows that one at the start may have been in
/// vain; these are tried again, but not at once.
void note_success(attempts& early) noexcept
{
    if (early.pay())
        early.succeeded();
    else
        early.come_nearer();
}

int set_nonblocking(int fd) noexcept
{
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return errno;
    return 0;
}

/// Whether a pipe is that of a standard stream, which other processes have
/// open too, and which none of them expects to become non-blocking.
bool is_standard_stream(const struct stat& pipe) noexcept
{
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        struct stat standard {};
        if (::fstat(fd, &standard) == 0 && standard.st_dev == pipe.st_dev &&
            standard.st_ino == pipe.st_ino)
            return true;
    }
    return false;
}

/// Makes `call(flags)` so that it does not block. RWF_NOWAIT (Linux 4.14;
/// pipes: 6.4) is between us and the kernel, and costs 0.03 µs more a call;
/// O_NONBLOCK is seen by everyone who has the file open.
template <typename F>
ssize_t call_without_blocking(descriptor& d, int fd, F&& call) noexcept
{
    const transfer_mode mode = d.transfer.load(std::memory_order_relaxed);
    if (mode == transfer_mode::unpollable) {
        const ssize_t n = call(0);
        return would_block(n) ? -EOPNOTSUPP : n; // There is nothing to wait for.
    }
    if (mode != transfer_mode::nonblocking) {
        if (mode != transfer_mode::settable) {
            const ssize_t n = call(RWF_NOWAIT);
            if (n != -EOPNOTSUPP && n != -ENOSYS)
                return n;
        }
        if (const int error = set_nonblocking(fd); error != 0)
            return -error;
        d.transfer.store(transfer_mode::nonblocking, std::memory_order_relaxed);
    }
    return call(0);
}

} // namespace

int choose_transfer_mode(int fd, transfer_mode& mode) noexcept
{
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        return errno;
    mode = transfer_mode::nowait;
    if (S_ISSOCK(status.st_mode))
        return 0;
    if (S_ISFIFO(status.st_mode)) {
        if (!is_standard_stream(status))
            mode = transfer_mode::settable;
        return 0;
    }
    const int error = try_epoll(fd, status.st_mode);
    if (error == EPERM)
        mode = transfer_mode::unpollable;
    return error == EPERM ? 0 : error;
}

// ------------------------------------------------------------------- read

bool descriptor_read_operation::attempts_first(event_loop&) noexcept
{
    return descriptor_->early_reads.pay() ||
           descriptor_->transfer.load(std::memory_order_relaxed) == transfer_mode::unpollable;
}

bool descriptor_read_operation::attempts_later(event_loop&) const noexcept
{
    return descriptor_->late_reads;
}

void descriptor_read_operation::prepare(event_loop& loop, backend::submission_entry& entry) noexcept
{
    submitted_in_turn_ = loop.current_turn();
    if (found_nothing_ && !was_submitted()) {
        descriptor_->early_reads.failed();
        descriptor_->late_reads = false;
    }
    prepare_poll(entry, POLLIN);
}

io_operation::step descriptor_read_operation::settle(event_loop& loop) noexcept
{
    if (submitted_in_turn_ == loop.current_turn()) {
        descriptor_->late_reads = true;
        if (!found_nothing_)
            descriptor_->early_reads.come_nearer();
    }
    return result_ > 0 ? step::perform : step::done;
}

bool descriptor_read_operation::perform(int fd) noexcept
{
    const ssize_t n =
        call_without_blocking(*descriptor_, fd, [&](int flags) { return read_now(fd, flags); });
    found_nothing_ = would_block(n);
    if (found_nothing_)
        return false;
    result_ = static_cast<int>(n);
    return true;
}

void descriptor_read_operation::deliver(event_loop&) noexcept
{
    if (descriptor_ == nullptr)
        return;
    // Some errors come without readiness: the write end of a pipe never becomes
    // readable.
    if (!was_submitted() || result_ < 0)
        note_success(descriptor_->early_reads);
}

void descriptor_read_operation::discard(event_loop&) noexcept
{
    result_ = -ECANCELED;
}

// ------------------------------------------------------------------ write

bool descriptor_write_operation::attempts_first(event_loop&) noexcept
{
    return is_small_ || descriptor_->early_writes.pay() ||
           descriptor_->transfer.load(std::memory_order_relaxed) == transfer_mode::unpollable;
}

bool descriptor_write_operation::attempts_again(event_loop&) noexcept
{
    if (was_submitted())
        return false;
    attempts& repeated = descriptor_->repeated_writes;
    const bool again = !repeated_ && repeated.pay();
    if (repeated_)
        repeated.failed();
    else if (!again)
        repeated.come_nearer();
    repeated_ = again;
    return again;
}

void descriptor_write_operation::prepare(event_loop&, backend::submission_entry& entry) noexcept
{
    if (found_no_room_ && !is_small_ && !was_submitted())
        descriptor_->early_writes.failed();
    prepare_poll(entry, POLLOUT);
}

io_operation::step descriptor_write_operation::settle(event_loop&) noexcept
{
    return result_ > 0 ? step::perform : step::done;
}

bool descriptor_write_operation::perform(int fd) noexcept
{
    const auto write = [&] {
        return call_without_blocking(*descriptor_, fd,
                                     [&](int flags) { return write_now(fd, flags); });
    };
    ssize_t n = 0;
    if (state() == io_state::performing) {
        n = write();
    } else { // Before the descriptor is closed, cancelled, or used by a synchronous call.
        sigpipe_blocked blocked;
        n = write();
        if (n == -EPIPE)
            blocked.take();
    }
    found_no_room_ = would_block(n);
    if (found_no_room_)
        return false;
    result_ = static_cast<int>(n);
    return true;
}

void descriptor_write_operation::deliver(event_loop&) noexcept
{
    if (descriptor_ == nullptr || was_submitted())
        return;
    note_success(descriptor_->early_writes);
    if (repeated_)
        descriptor_->repeated_writes.succeeded();
}

void descriptor_write_operation::discard(event_loop&) noexcept
{
    // Bytes that were written were written: the result stays.
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
