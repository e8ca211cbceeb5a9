// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Cancelling requests, and giving them up.

#include <safer_ring/ring/ring_core.hpp>

#include <algorithm>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

namespace ring {
namespace {

/// When the kernel has told of a time limit, if it does.
std::chrono::steady_clock::time_point latest_end(const backend::kernel_time& limit) noexcept
{
    using clock = std::chrono::steady_clock;
    constexpr auto grace = std::chrono::milliseconds(2);
    constexpr auto last = std::chrono::duration_cast<std::chrono::seconds>(
        clock::time_point::max().time_since_epoch());
    if (limit.seconds >= last.count() - 1)
        return clock::time_point::max();
    return clock::time_point(std::chrono::seconds(limit.seconds) +
                             std::chrono::nanoseconds(limit.nanoseconds) + grace);
}

} // namespace

/// `r` may be gone afterwards, if nobody holds it.
void ring_core::cancel(request& r) noexcept
{
    if (r.id_ == operation_id::none || r.cancel_requested_)
        return;
    r.cancel_requested_ = true;
    if (r.state_ == request::state::in_kernel)
        return ask_for_cancellation(r);
    if (r.in_chain_) // It keeps its place, and does nothing there.
        return drop_cancelled_chain(r);
    if (r.state_ == request::state::queued)
        queued_.remove(r);
    else if (std::exchange(r.starved_, false))
        starved_.remove(r);
    finish(r, -ECANCELED, 0);
}

/// One that has not begun, and of which everything is cancelled by now, is over: what it is drained
/// behind may never be.
void ring_core::drop_cancelled_chain(request& r) noexcept
{
    const auto goes_on = [](const request& part) {
        return (part.entry_flags & (backend::entry_link | backend::entry_hard_link)) != 0;
    };
    request* first = &r;
    while (first->to_submit_.previous != nullptr && goes_on(*first->to_submit_.previous))
        first = first->to_submit_.previous;
    for (const request* part = first; part != nullptr; part = queued_.behind(*part)) {
        if (!part->cancel_requested_)
            return;
        if (!goes_on(*part))
            break;
    }
    for (bool more = true; more;) {
        request& part = *first;
        first = queued_.behind(part);
        more = goes_on(part) && first != nullptr;
        queued_.remove(part);
        part.behind_ = operation_id::none;
        finish(part, -ECANCELED, 0);
    }
}

/// `r` has completed, or has but its notification to come: the next one of its
/// chain begins, where a cancellation finds it.
void ring_core::give_turn(request& r) noexcept
{
    request* const next = slots_.find(std::exchange(r.behind_, operation_id::none));
    if (next == nullptr)
        return;
    next->waits_for_turn_ = false;
    note_limit(*next);
    if (!next->cancel_requested_ || next->has_begun_to_end)
        return;
    ask_for_cancellation(*next);
    flush_missed_ = true;
}

/// What was cancelled before it went fails.
void ring_core::prepare_skipped(request& r, backend::submission_entry& entry) noexcept
{
    r.is_skipped_ = true;
    r.has_begun_to_end = true;
    prepare_failure(entry);
}

/// Time limits are the kernel's (IORING_OP_LINK_TIMEOUT), but they are lost with the thread that has
/// submitted them, and do not reach what a worker carries out (both seen on Linux 6.18). So who is in the
/// kernel comes back a little later than each is over, and looks.
void ring_core::note_limit(const request& r) noexcept
{
    if (r.limit_is_running_ && !r.waits_for_turn_ && !r.times_out_)
        next_limit_ = std::min(next_limit_, latest_end(r.time_limit));
}

void ring_core::enforce_limits() noexcept
{
    if (next_limit_ == clock::time_point::max())
        return;
    const auto now = clock::now();
    if (now < next_limit_)
        return;
    next_limit_ = clock::time_point::max();
    slots_.for_each([this, now](request& r) {
        const bool runs = r.limit_is_running_ && r.state_ == request::state::in_kernel &&
                          !r.waits_for_turn_ && !r.cancel_requested_ && !r.has_begun_to_end;
        if (runs && !r.times_out_ && latest_end(r.time_limit) <= now) {
            r.times_out_ = true;
            ask_for_cancellation(r);
        } else if (runs) {
            note_limit(r);
        }
    });
}

bool ring_core::write_cancellation(const request& r) noexcept
{
    backend::submission_entry* entry = kernel_->next_submission();
    if (entry == nullptr)
        return false;
    *entry = {};
    entry->op = backend::opcode::async_cancel;
    entry->address = static_cast<std::uint64_t>(r.id_);
    entry->user_data = cancellation_tag | static_cast<std::uint64_t>(r.id_);
    return true;
}

void ring_core::ask_for_cancellation(request& r) noexcept
{
    if (!write_cancellation(r))
        miss_cancellation(r);
}

void ring_core::miss_cancellation(request& r) noexcept
{
    if (std::exchange(r.cancel_missed_, true))
        return;
    missed_.push_back(r);
    ++missed_count_;
}

void ring_core::forget_missed(request& r) noexcept
{
    if (!std::exchange(r.cancel_missed_, false))
        return;
    missed_.remove(r);
    --missed_count_;
}

/// For each one once, before any is asked for another time: those that cannot be
/// cancelled, as what a disk is doing, are to take nobody's room for good.
void ring_core::ask_again() noexcept
{
    if (to_ask_ == 0 && std::exchange(cancel_again_, false))
        to_ask_ = missed_count_;
    for (to_ask_ = std::min(to_ask_, missed_count_); to_ask_ != 0; --to_ask_) {
        request& r = *missed_.front();
        if (!write_cancellation(r))
            return;
        forget_missed(r);
    }
}

/// Also for requests that ended without the kernel's help.
void ring_core::send_cancellations(guard& held) noexcept
{
    kernel_->publish();
    flush(held);
    if (!in_kernel_)
        reap();
    wake(held);
}

void ring_core::cancel(operation_id id)
{
    guard held(mutex_);
    request* const r = slots_.find(id);
    if (r == nullptr)
        return;
    cancel(*r);
    send_cancellations(held);
}

void ring_core::cancel_descriptor(int fd)
{
    guard held(mutex_);
    slots_.for_each([this, fd](request& r) {
        if (r.is_on(fd))
            cancel(r);
    });
    send_cancellations(held);
}

void ring_core::cancel_registered(std::uint32_t index)
{
    guard held(mutex_);
    slots_.for_each([this, index](request& r) {
        if (r.is_on_registered(index))
            cancel(r);
    });
    send_cancellations(held);
}

void ring_core::cancel_all()
{
    guard held(mutex_);
    slots_.for_each([this](request& r) { cancel(r); });
    send_cancellations(held);
}

continuation* ring_core::abandon(std::unique_ptr<request> r) noexcept
{
    guard held(mutex_);
    continuation* const waiting = stop_continuing(*r);
    if (r->id_ == operation_id::none) {
        held.unlock();
        r.reset();
        return waiting;
    }
    r->abandoned_ = true;
    cancel(*r.release());
    send_cancellations(held);
    return waiting;
}

} // namespace ring
} // namespace safer_ring::inline SAFER_RING_ABI
