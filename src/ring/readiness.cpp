// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/event_loop.hpp>

#include <poll.h>
#include <utility>

// What a poll tells is not always what lets a call go through, and not always for who asked.

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Of what one event has brought, Asio performs what waits for urgent data before reads, which
/// go past the mark and leave nothing of it. Null: what waits for it is not back from another
/// thread, or from the kernel, and the read is to come after it.
io_operation* event_loop::urgent_first(guard& held, io_operation& op)
{
    if (op.descriptor_->front(direction::except) == nullptr)
        return &op;
    reap();
    hand_back(held);
    io_operation* const urgent = op.descriptor_->front(direction::except);
    if (urgent == nullptr)
        return &op;
    if (urgent->state_ != io_state::ready) {
        pollfd there{op.descriptor_->fd, POLLPRI, 0};
        if (!op.needs_perform_ || ::poll(&there, 1, 0) != 1 || (there.revents & POLLPRI) == 0)
            return &op;
        pause(held, op);
        return nullptr;
    }
    ready_.remove(urgent);
    operation_queue behind;
    behind.push_back(&op);
    behind.splice_back(ready_);
    ready_.splice_back(behind);
    return urgent;
}

/// Receives that are in the kernel would throw urgent data away, and are begun anew, by readiness.
void event_loop::mind_urgent_data(guard& held, descriptor& d)
{
    if (std::exchange(d.minds_urgent_data, true))
        return;
    const io_operation* const receive = d.front(direction::read);
    if (receive == nullptr || receive->state_ != io_state::in_kernel ||
        receive->submitted_as_ != backend::opcode::recv || receive->cancel_requested_)
        return;
    // As if its thread had gone, since nobody has asked for its end.
    bool asked = ask_to_cancel(receive->id_);
    while (flush_published() && !asked)
        asked = ask_to_cancel(receive->id_);
    hand_back(held); // To flush may have taken completions.
}

void event_loop::note_vain_poll(io_operation& op, int events) noexcept
{
    // Of a splice, either descriptor may be the one with the error.
    if ((events & POLLERR) != 0 && (events & ~(POLLERR | POLLRDHUP)) == 0 &&
        op.role_ != io_operation::role::in_two_lines)
        op.waits_for_edge_ = op.doubts_errors_ = true;
}

/// A poll may tell, for as long as it likes, of what lets no call go through: that a socket
/// which is not connected has room, and not the one it sends to (unix_dgram_poll() in Linux's
/// af_unix.c), or that a datagram socket was shut down. Who polls again at once would do
/// nothing else; Asio, which hears of changes only, sleeps. So from the second time on it is
/// attempted once more in a while, and polled again behind that. Not who waits for urgent data:
/// that is woken once by each ordinary segment, and has to come before what reads.
bool event_loop::pauses(io_operation& op, bool was_paused) noexcept
{
    if (op.submitted_as_ != backend::opcode::poll_add || op.result_ <= 0 ||
        op.role_ == io_operation::role::unending)
        return false;
    note_vain_poll(op, op.result_);
    if (op.direction_ == direction::except)
        return false;
    const bool again = op.was_in_vain_;
    op.was_in_vain_ = true;
    return again && !was_paused;
}

void event_loop::pause(guard& held, io_operation& op)
{
    op.needs_perform_ = true;
    op.is_paused_ = true;
    if (paused_.empty())
        paused_since_ = std::chrono::steady_clock::now();
    paused_.push_back(&op);
    if (driver_ == nullptr) // Which looks at it in any case.
        wake_waiter(held);
}

/// Their attempts come before what the kernel has brought.
void event_loop::end_pauses() noexcept
{
    if (!paused_.empty() && std::chrono::steady_clock::now() - paused_since_ >= vain_pause)
        ready_.splice_back(paused_);
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
