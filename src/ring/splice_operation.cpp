// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "sigpipe_blocked.hpp"

#include <safer_ring/ring/socket_operations.hpp>
#include <safer_ring/ring/splice_operation.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

/// SPLICE_F_NONBLOCK is about the pipe only; a socket is asked for its mode
/// (tcp_splice_read(), splice_to_socket(), Linux 6.18), which its user may have
/// changed since.
int ensure_nonblocking(int fd) noexcept
{
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0)
        return errno;
    if ((flags & O_NONBLOCK) == 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return errno;
    return 0;
}

bool is_ready(int fd, short events) noexcept
{
    pollfd p{fd, events, 0};
    return ::poll(&p, 1, 0) != 0;
}

/// `call`, without the SIGPIPE that it may raise, or the negated errno.
template <typename F>
ssize_t without_sigpipe(F&& call) noexcept
{
    sigpipe_blocked blocked;
    ssize_t n = 0;
    do
        n = call();
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    const int error = errno;
    if (error == EPIPE)
        blocked.take();
    return -error;
}

} // namespace

int look_at_end(int fd, splice_kind& kind) noexcept
{
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        return -errno;
    kind = S_ISFIFO(status.st_mode)   ? splice_kind::pipe
           : S_ISSOCK(status.st_mode) ? splice_kind::socket
                                      : splice_kind::file;
    return 0;
}

// ----------------------------------------------------------------- target

void splice_target::start(event_loop& loop, descriptor& to, splice_operation& source)
{
    source_ = &source;
    native_ = to.fd;
    self_ = shared_from_this();
    try {
        loop.start_internal(to, direction::write, *this);
    } catch (...) {
        self_.reset();
        throw;
    }
}

void splice_target::let_go(event_loop& loop) noexcept
{
    source_ = nullptr;
    if (ended_ || !self_)
        return; // It is in the loop's hands, and goes when it is completed.
    ended_ = true;
    loop.leave(*this);
    self_.reset(); // The caller has another reference.
}

bool splice_target::takes_turn(event_loop& loop) noexcept
{
    if (!std::exchange(has_turn_, true) && source_ != nullptr && source_->has_turn_)
        loop.resume(*source_);
    return false;
}

void splice_target::prepare(event_loop&, backend::submission_entry& entry) noexcept
{
    entry.op = backend::opcode::nop; // Never comes to it.
}

io_operation::step splice_target::settle(event_loop&) noexcept
{
    return step::done;
}

/// Cancelled where the bytes go: once the lock is released, no byte goes there
/// any more, and the splice is cancelled when this is completed.
void splice_target::discard(event_loop& loop) noexcept
{
    if (ended_)
        return;
    {
        const std::lock_guard held(mutex); // A call that is under way does not block.
        ended_ = true;
    }
    if (descriptor_ != nullptr) // Else its start has failed, and nothing comes behind.
        loop.count_work();      // What was in line only is now to be completed.
    if (source_ == nullptr)
        return;
    source_id_ = source_->id();
    loop.request_end(*source_);
}

void splice_target::complete(event_loop& loop)
{
    const auto self = std::move(self_);
    if (source_id_ != operation_id::none)
        loop.cancel(source_id_);
}

void splice_target::destroy() noexcept
{
    const auto self = std::move(self_);
}

// ----------------------------------------------------------------- source

splice_operation::splice_operation(std::shared_ptr<splice_target> target, end from, end to,
                                   std::size_t size_bytes) noexcept
    : io_operation(role::in_two_lines), target_(std::move(target)), from_(from), to_(to),
      size_bytes_(one_call(size_bytes)),
      waiting_(from.kind == splice_kind::file ? waiting::for_target : waiting::for_source)
{
}

void splice_operation::end_worker() noexcept
{
    source_of_worker_.reset();
    target_of_worker_.reset();
}

void splice_operation::stage(event_loop& loop)
{
    loop_ = &loop;
}

bool splice_operation::takes_turn(event_loop&) noexcept
{
    has_turn_ = true;
    return target_->has_turn() || target_->ended();
}

bool splice_operation::attempts_first(event_loop&) noexcept
{
    return !by_worker() && target_->has_turn();
}

void splice_operation::prepare(event_loop&, backend::submission_entry& entry) noexcept
{
    if (target_->ended()) { // `settle` tells; the result of this is no worker's.
        end_worker();
        waiting_ = waiting::for_source;
        entry.op = backend::opcode::nop;
        return;
    }
    if (descriptor_->has_leftover())
        waiting_ = waiting::for_target;
    switch (waiting_) {
    case waiting::for_source:
        return prepare_poll(entry, POLLIN);
    case waiting::for_target:
        entry.fd = target_->native();
        return prepare_poll(entry, POLLOUT);
    case waiting::for_worker:
        entry.op = backend::opcode::splice;
        entry.fd = target_of_worker_.get();
        entry.file_index = source_of_worker_.get();
        entry.address = from_.offset;
        entry.offset = to_.offset;
        entry.length = size_bytes_;
        entry.op_flags = SPLICE_F_NONBLOCK;
        return;
    }
}

io_operation::step splice_operation::settle(event_loop&) noexcept
{
    if (waiting_ == waiting::for_worker) {
        end_worker();
        waiting_ = from_.kind == splice_kind::file ? waiting::for_target : waiting::for_source;
        const bool was_late = would_block(result_); // Others had the pipe's room, or its bytes.
        if (was_late)
            wait_for_other_end();
        if (was_late && !target_->ended())
            return step::again;
        conclude_with(was_late ? -ECANCELED : result_);
        return step::done;
    }
    if (target_->ended())
        result_ = -ECANCELED;
    if (result_ < 0)
        return step::done;
    if (!by_worker())
        return step::perform;
    int error = descriptor_->share_for_worker(source_of_worker_);
    if (error == 0)
        error = target_->share_for_worker(target_of_worker_);
    if (error != 0) {
        result_ = error;
        return step::done;
    }
    waiting_ = waiting::for_worker;
    result_ = -ECANCELED;
    return step::again;
}

/// A terminal that does not block may be what has nothing, or no room, and not the pipe.
void splice_operation::wait_for_other_end() noexcept
{
    if (target_->ended())
        return;
    if (waiting_ == waiting::for_target && is_ready(target_->native(), POLLOUT))
        waiting_ = waiting::for_source;
    else if (waiting_ == waiting::for_source && is_ready(descriptor_->fd, POLLIN))
        waiting_ = waiting::for_target;
}

bool splice_operation::perform(int fd) noexcept
{
    // Bytes that a cancelled receive brought in come before what the socket has.
    std::array<std::byte, PIPE_BUF> leftover;
    std::size_t leftover_bytes = 0;
    if (from_.kind == splice_kind::socket) {
        leftover_bytes =
            loop_->take_leftover(*descriptor_, leftover.data(),
                                 std::min<std::size_t>(size_bytes_, leftover.size()), true);
        const int error = leftover_bytes == 0 ? loop_->take_leftover_error(*descriptor_) : 0;
        if (error != 0) {
            result_ = error;
            return true;
        }
    }
    ssize_t n = 0;
    {
        const std::lock_guard held(target_->mutex);
        if (target_->ended()) {
            result_ = -ECANCELED;
            return true;
        }
        int error = 0;
        if (from_.kind == splice_kind::socket)
            error = ensure_nonblocking(fd);
        if (error == 0 && (to_.kind == splice_kind::socket || leftover_bytes != 0))
            error = ensure_nonblocking(target_->native());
        if (error != 0)
            n = -error;
        else if (leftover_bytes != 0)
            n = without_sigpipe(
                [&] { return ::write(target_->native(), leftover.data(), leftover_bytes); });
        else
            n = without_sigpipe([&] {
                return ::splice(fd, nullptr, target_->native(), nullptr, size_bytes_,
                                SPLICE_F_NONBLOCK);
            });
        if (would_block(n))
            waiting_ = leftover_bytes == 0 && !is_ready(fd, POLLIN) ? waiting::for_source
                                                                    : waiting::for_target;
    }
    if (would_block(n))
        return false;
    if (leftover_bytes != 0 && n > 0)
        loop_->take_leftover(*descriptor_, leftover.data(), static_cast<std::size_t>(n), false);
    conclude_with(n);
    return true;
}

void splice_operation::conclude_with(ssize_t result) noexcept
{
    result_ = static_cast<int>(result);
    moved_ = std::max(result_, 0);
}

void splice_operation::deliver(event_loop& loop) noexcept
{
    end_worker(); // Of one that was cancelled before it began: `settle` has not seen it.
    target_->let_go(loop);
}

void splice_operation::discard(event_loop& loop) noexcept
{
    if (waiting_ == waiting::for_worker && result_ > 0)
        moved_ = result_; // What was moved was moved.
    end_worker();
    waiting_ = waiting::for_source;
    result_ = -ECANCELED;
    target_->let_go(loop);
}

/// As of a file_operation.
std::unique_ptr<lent_memory> splice_operation::surrender() noexcept
{
    source_of_worker_.leak();
    target_of_worker_.leak();
    return nullptr;
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
