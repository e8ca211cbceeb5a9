// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/socket_operations.hpp>
#include <safer_ring/ring/zero_copy_send.hpp>

#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

/// Of a zero-copy send: an ordinary one may do better. EINVAL is what a kernel
/// answers that does not know it, or may not; ENOBUFS and ENOMEM come from
/// RLIMIT_MEMLOCK, too.
bool is_for_want_of_zero_copy(int result) noexcept
{
    return result == -EOPNOTSUPP || result == -EINVAL || result == -ENOBUFS || result == -ENOMEM;
}

} // namespace

zero_copy_send_operation::~zero_copy_send_operation()
{
    get_back();
}

void zero_copy_send_operation::get_back() noexcept
{
    if (is_lent_ && memory_ != nullptr)
        memory_->get_back();
    is_lent_ = false;
    range_.reset();
}

void zero_copy_send_operation::prepare(event_loop& loop, backend::submission_entry& entry) noexcept
{
    if (by_readiness_) {
        prepare_poll(entry, POLLOUT);
        return;
    }
    if (!loop.found().zero_copy_send)
        copies_ = true;
    const auto bytes = memory_->bytes();
    entry.op = copies_ ? backend::opcode::send : backend::opcode::send_zc;
    entry.address = reinterpret_cast<std::uint64_t>(bytes.data());
    entry.length = one_call(bytes.size());
    entry.op_flags = MSG_NOSIGNAL;
    if (!copies_) {
        range_.look_in(loop.registrations());
        range_.find(bytes.data());
        range_.prepare(entry, backend::opcode::send_zc);
    }
    memory_->lend();
    is_lent_ = true;
}

io_operation::step zero_copy_send_operation::settle(event_loop&) noexcept
{
    get_back();
    if (by_readiness_) {
        if (result_ <= 0)
            return step::done;
        by_readiness_ = false;
        polled_ = std::exchange(result_, -ECANCELED);
        return step::again;
    }
    if (would_block(result_)) { // The kernel waits itself, but where it could not arm a poll.
        event_loop::note_vain_poll(*this, std::exchange(polled_, 0));
        by_readiness_ = true;
        return step::again;
    }
    if (!copies_ && is_for_want_of_zero_copy(result_)) {
        copies_ = true;
        return step::again;
    }
    return step::done;
}

bool zero_copy_send_operation::perform(int fd) noexcept
{
    const auto bytes = memory_->bytes();
    ssize_t n = 0;
    do
        n = ::send(fd, bytes.data(), one_call(bytes.size()), MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    n = n < 0 ? -errno : n;
    if (would_block(n))
        return false;
    result_ = static_cast<int>(n);
    return true;
}

void zero_copy_send_operation::deliver(event_loop&) noexcept
{
    get_back();
}

void zero_copy_send_operation::discard(event_loop&) noexcept
{
    get_back(); // What was sent was sent: the result stays.
}

std::unique_ptr<lent_memory> zero_copy_send_operation::surrender() noexcept
{
    return std::move(memory_);
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
