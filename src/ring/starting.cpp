// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "waits.hpp"

#include <safer_ring/ring/event_loop.hpp>

#include <thread>

// How an operation begins, and who takes it to the kernel when that is not the turn.

namespace safer_ring::inline SAFER_RING_ABI::ring {

void event_loop::start(descriptor& d, direction dir, io_operation& op, loop_thread* self,
                       operation_id* id)
{
    do_start(d, dir, op, self, id, true);
}

void event_loop::start_internal(descriptor& d, direction dir, io_operation& op)
{
    do_start(d, dir, op, nullptr, nullptr, false);
}

inline void event_loop::do_start(descriptor& d, direction dir, io_operation& op, loop_thread* self,
                                 operation_id* id, bool counts)
{
    guard held(mutex_);
    put_posted_first(self);
    if (!kernel_) { // Started by a handler's destructor after the memory was set aside.
        count_work();
        op.result_ = -ECANCELED;
        make_ready(op);
        return;
    }
    if (d.stream != nullptr && dir == direction::read &&
        op.role_ != io_operation::role::next_item) {
        count_work();
        op.result_ = stream_is_open;
        make_ready(op);
        return wake_one(held);
    }
    op.stage(*this);
    try {
        op.id_ = slots_.insert(op);
    } catch (...) {
        op.discard(*this);
        throw;
    }
    if (counts && self != nullptr && one_thread())
        ++self->private_work; // The handler that runs now keeps the count above zero.
    else if (counts)
        count_work();
    if (id != nullptr)
        *id = op.id_;
    op.descriptor_ = &d;
    op.direction_ = dir;
    d.push_back(op);
    if (dir == direction::except)
        mind_urgent_data(held, d);

    // Others may wait for what it does.
    const bool has_effect =
        counts && self == nullptr && dir == direction::write && !d.concurrent && !shut_down_;
    if (!comes_next(held, op, has_effect)) {
        op.state_ = io_state::queued;
        write_was_queued_ = write_was_queued_ || dir == direction::write;
        write_was_started_ = write_was_started_ || dir == direction::write;
        return end_rest(held, self);
    }
    begin_started(held, op, self, has_effect);
    if (dir == direction::write && op.needs_perform_)
        write_was_started_ = true;
    if (op.state_ == io_state::ready && (self == nullptr || !one_thread()))
        wake_one(held);
    if (op.state_ == io_state::queued)
        end_rest(held, self);
    const bool goes_alone = has_effect ? !op.attempts_elsewhere() : op.begins_within_start();
    if (goes_alone && op.state_ == io_state::pending)
        submit_alone(held, op);
    submit_started(held, self);
}

/// What stands before it may have ended: of what has an effect, that is looked for.
bool event_loop::comes_next(guard& held, const io_operation& op, bool has_effect)
{
    if (!has_turn(op) && has_effect && kernel_->has_completions()) {
        reap();
        hand_back(held);
    }
    return has_turn(op);
}

inline void event_loop::begin_started(guard& held, io_operation& op, const loop_thread* self,
                                      bool has_effect)
{
    const bool at_once = has_effect && op.attempts_elsewhere() && op.can_perform();
    if (op.attempts_first(*this) || at_once) {
        if (!perform_unlocked(held, op))
            return begin(op);
        make_ready(op);
        begin_next(op);
    } else if (self != nullptr && op.attempts_later(*this)) {
        op.needs_perform_ = true;
        op.state_ = io_state::ready;
        write_was_put_off_ = write_was_put_off_ || op.direction_ == direction::write;
        (runs_late() ? late_ : ready_).push_back(&op);
    } else {
        begin(op);
    }
}

/// What a handler has posted runs before the handlers of operations that end at once
/// in what it calls afterwards.
void event_loop::put_posted_first(loop_thread* self) noexcept
{
    if (self != nullptr && one_thread())
        ready_.splice_back(self->private_ready);
}

/// What it waits for may be no work, as the request of a stream that is in the kernel.
void event_loop::end_rest(guard& held, const loop_thread* self)
{
    if (driver_ != nullptr && self == nullptr)
        wake_waiter(held);
}

/// A start that nobody else may flush for long.
void event_loop::submit_started(guard& held, loop_thread* self)
{
    if (pending_.empty() || !waiting_)
        return;
    // Not left to the turn that the caller may be in: its handler may wait for
    // what it started, while another thread of the host is free.
    if (driver_ != nullptr)
        return wake_waiter(held);
    if (one_thread() || self == nullptr) {
        // The request would belong to the calling thread, which may exit, or
        // not enter the kernel for long: leave it to the waiting one.
        wake_waiter(held);
        return;
    }
    submit_unlocked(held);
}

/// What has to begin within the call, or has an effect and is started elsewhere than in a handler: those who
/// run the loop may be busy for long, or there are none yet. Others stay in the queue, for a request belongs
/// to who submits it, and that thread may exit. The lock stays held: as soon as it is released, this may have
/// completed and the loop be out of work, and gone.
void event_loop::submit_alone(guard& held, io_operation& op)
{
    if (driver_ != nullptr || kernel_->is_inherited())
        return;
    if (marker_is_out_) // By who may be on its way into the kernel.
        let_published_go(0);
    pending_.remove(&op);
    operation_queue others;
    others.splice_back(pending_);
    pending_.push_back(&op);
    do
        fill_submissions();
    while (flush_published() && !pending_.empty());
    others.splice_back(pending_); // Without room, it waits for its turn there.
    pending_.splice_back(others);
    hand_back(held);
}

/// Entries in front of so many of the caller's own are those of a thread that is about to submit them, and
/// are to stay that thread's. But what the kernel has refused stays there.
void event_loop::let_published_go(unsigned own) noexcept
{
    constexpr int most_yields = 64;
    for (int i = 0; i < most_yields && !has_refused_ && kernel_->unsubmitted() > own; ++i)
        std::this_thread::yield();
}

unsigned event_loop::submit_before_blocking()
{
    guard held(mutex_);
    submit_all(held);
    return kernel_ && !kernel_->is_inherited() ? kernel_->completions_so_far() : 0;
}

/// Asio makes a write, and begins a connect, where a handler starts it: it is not lost when
/// run_one() returns behind that handler, which has stopped the loop, thrown, or lasted beyond the
/// time that run_for() has. With them goes all that is pending; reads alone wait for the next turn,
/// since nobody sees them.
void event_loop::end_run() noexcept
{
    guard held(mutex_);
    if (write_was_started_)
        submit_all(held);
}

void event_loop::submit_all(guard& held)
{
    if (!kernel_ || kernel_->is_inherited())
        return;
    write_was_started_ = false;
    hurry_writes(held);
    const bool looks_behind = has_queued_write();
    if (pending_.empty() && !looks_behind && !has_refused_)
        return;
    // In each round one ends, or is refused for now, which it may be again and again.
    for (std::size_t rounds = slots_.size() + 1; rounds != 0; --rounds) {
        if (looks_behind)
            reap();
        if (pending_.empty() && !has_refused_)
            break;
        fill_submissions();
        if (!flush_published())
            break;
    }
    write_was_started_ = has_refused_ || !pending_.empty();
    hand_back(held);
}

unsigned event_loop::completions_so_far()
{
    const guard held(mutex_);
    return kernel_ && !kernel_->is_inherited() ? kernel_->completions_so_far() : 0;
}

/// Whether a write stands behind another, which may end, or has.
bool event_loop::has_queued_write() noexcept
{
    const auto has_one = [](const descriptor& d) {
        for (const io_operation* op = d.front(direction::write); op != nullptr; op = op->after_)
            if (op->state_ == io_state::queued)
                return true;
        return false;
    };
    if (!write_was_queued_)
        return false;
    if (write_is_queued_at_ != nullptr && has_one(*write_is_queued_at_))
        return true; // For as long as its peer does not read: others are not looked at each time.
    for (write_is_queued_at_ = descriptors_; write_is_queued_at_ != nullptr;
         write_is_queued_at_ = write_is_queued_at_->next)
        if (has_one(*write_is_queued_at_))
            return true;
    write_was_queued_ = false;
    return false;
}

/// Writes that were put off to the end of the turn are attempted, for it may not end while somebody
/// waits for their effect.
void event_loop::hurry_writes(guard& held)
{
    if (!write_was_put_off_)
        return;
    hurry_late();
    bool is_left = false;
    for (operation* op = ready_.front(); op != nullptr; op = operation_queue::after(*op)) {
        if (!op->is_io() || !is_put_off_write(static_cast<io_operation&>(*op)))
            continue;
        attempt_writes(held, *static_cast<io_operation&>(*op).descriptor_);
        is_left = is_left || is_put_off_write(static_cast<io_operation&>(*op));
    }
    write_was_put_off_ = is_left;
}

bool event_loop::is_put_off_write(const io_operation& op) noexcept
{
    return op.needs_perform_ && op.state_ == io_state::ready && !op.is_parents_ &&
           op.direction_ == direction::write && op.attempts_later(*this);
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
