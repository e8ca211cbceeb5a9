// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/event_loop.hpp>

#include <cassert>

// A loop that is driven by another one. To the rest of the loop it looks as if
// a thread were always waiting in the kernel: waking that thread is waking the
// driver.

namespace safer_ring::inline SAFER_RING_ABI::ring {

void event_loop::hand_to(driver& d)
{
    const guard held(mutex_);
    assert(late_.empty());
    driver_ = &d;
    waiting_ = true;
}

void event_loop::wake_driver()
{
    guard held(mutex_);
    wake_waiter(held);
}

/// The last of it is taken off under the lock: whichever turn sees that there is none lets the
/// driver's loop go, with which this one may be destroyed.
void event_loop::driven_work_finished(long count)
{
    for (long now = outstanding_work_.load(std::memory_order_relaxed); now > count;)
        if (outstanding_work_.compare_exchange_weak(now, now - count, std::memory_order_acq_rel,
                                                    std::memory_order_relaxed))
            return;
    guard held(mutex_);
    if (outstanding_work_.fetch_sub(count, std::memory_order_acq_rel) == count)
        stop_all(held);
}

/// What has come since the last turn's flush. It counts as a turn of the
/// kernel, so that it is not mistaken for what the flush completed at once.
/// Timers wait for the flush where something has been started: on Asio it might
/// have completed by now, and its handler would come before theirs.
void event_loop::look_again()
{
    if (batch_ != 0 || !due_.empty() || shut_down_)
        return;
    ++turn_;
    take_stock(pending_.empty());
}

void event_loop::finish_drive(guard& held, bool is_whole)
{
    if (!held.owns_lock()) // A handler has thrown.
        held.lock();
    if (shut_down_)
        return;
    if (!is_whole && write_was_started_) // The host may have been stopped.
        submit_all(held);
    // Who has the turn comes by here behind it; until then nobody else can do more.
    if (marker_is_out_)
        return wake_for_ready(held);
    // The kernel may have refused what is in the queue for it.
    const bool more = ready_.holds_more_than(&turn_marker_) || batch_ != 0 || !due_.empty() ||
                      !pending_.empty() || kernel_->unsubmitted() != 0 || !to_cancel_.empty() ||
                      kernel_->has_completions();
    if (more)
        return wake_waiter(held);
    if (outstanding_work_.load(std::memory_order_acquire) == 0)
        return driver_->rest();
    driver_->wait_for(wait_duration(wait_forever));
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
