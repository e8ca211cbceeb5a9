// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Submission and completion; ring_core_cancellation.cpp and ring_core_waiting.cpp have the rest.

#include "waits.hpp"

#include <safer_ring/ring/message_operations.hpp>
#include <safer_ring/ring/ring_core.hpp>

#include "backend/fork_watch.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <stdexcept>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

namespace ring {
namespace {

using namespace std::chrono_literals;

/// As user data: nothing that anybody wants to know.
constexpr std::uint64_t ignored_tag = ~std::uint64_t{0};

/// The time of the last tick, which costs a quarter of the exact one.
std::chrono::steady_clock::time_point coarse_now() noexcept
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return std::chrono::steady_clock::time_point(std::chrono::seconds(now.tv_sec) +
                                                 std::chrono::nanoseconds(now.tv_nsec));
}

constexpr std::uint8_t link_flags = backend::entry_link | backend::entry_hard_link;

/// As the kernel's timeouts count (CLOCK_MONOTONIC), which is what the steady
/// clock is.
backend::kernel_time now_of_kernel() noexcept
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return {now.tv_sec, now.tv_nsec};
}

/// At the earliest now: the kernel refuses what lies before the clock's beginning.
backend::kernel_time from_now(const backend::kernel_time& time) noexcept
{
    constexpr std::int64_t second = 1'000'000'000;
    const backend::kernel_time now = now_of_kernel();
    if (time.seconds < 0 || time.nanoseconds < 0)
        return now;
    const std::int64_t nanoseconds = now.nanoseconds + time.nanoseconds;
    return {now.seconds + time.seconds + nanoseconds / second, nanoseconds % second};
}

bool is_over(const backend::kernel_time& point) noexcept
{
    const backend::kernel_time now = now_of_kernel();
    return std::pair(now.seconds, now.nanoseconds) >= std::pair(point.seconds, point.nanoseconds);
}

std::size_t entries_of(const request& r) noexcept
{
    return r.has_time_limit ? 2 : 1;
}

[[noreturn, gnu::cold]] void throw_no_room(std::size_t wanted, std::size_t entries)
{
    throw std::length_error("safer_ring: a chain of " + std::to_string(wanted) +
                            " entries does not fit into a submission queue of " +
                            std::to_string(entries) + ", and has to be submitted at once");
}

} // namespace

ring_core::ring_core(std::unique_ptr<backend::backend> kernel)
    : kernel_(std::move(kernel)), registry_(*kernel_), process_(backend::fork_watch::generation())
{
}

// --------------------------------------------------------------- submission

void ring_core::submit(request& r)
{
    guard held(mutex_);
    require_room(entries_of(r));
    r.id_ = slots_.insert(r);
    begin(r);
    flush_beside(held);
}

void ring_core::submit(request* const* requests, std::size_t count, std::uint8_t link)
{
    guard held(mutex_);
    std::size_t entries = 0;
    for (std::size_t i = 0; i < count; ++i)
        entries += entries_of(*requests[i]);
    require_room(entries);
    std::size_t known = 0;
    try {
        for (; known < count; ++known) {
            if (requests[known]->id_ != operation_id::none)
                stop_program("an operation is in a chain twice");
            requests[known]->id_ = slots_.insert(*requests[known]);
        }
    } catch (...) {
        while (known-- != 0)
            slots_.erase(std::exchange(requests[known]->id_, operation_id::none));
        throw;
    }
    for (std::size_t i = 0; i < count; ++i) {
        request& r = *requests[i];
        r.entry_flags |= i + 1 != count ? link : std::uint8_t{0};
        r.in_chain_ = count > 1;
        r.waits_for_turn_ = i != 0;
        r.behind_ = i + 1 != count ? requests[i + 1]->id_ : operation_id::none;
        begin(r);
    }
    flush_beside(held);
}

void ring_core::require_room(std::size_t entries) const
{
    if (entries > found().submission_entries)
        throw_no_room(entries, found().submission_entries);
}

void ring_core::begin(request& r) noexcept
{
    r.name_ = r.id_;
    r.cancel_requested_ = false;
    r.times_out_ = false;
    r.over_.store(false, std::memory_order_relaxed);
    r.has_begun_ = false;
    r.lend();
    r.state_ = request::state::queued;
    queued_.push_back(r);
}

/// In front of what was submitted later. It is nobody's link any more.
void ring_core::submit_again(request& r) noexcept
{
    r.entry_flags &= static_cast<std::uint8_t>(~link_flags);
    r.has_begun_to_end = false;
    r.times_out_ = false;
    r.state_ = request::state::queued;
    queued_.push_front(r);
}

void ring_core::write_entry(request& r) noexcept
{
    backend::submission_entry* entry = kernel_->next_submission();
    *entry = {};
    if (r.cancel_requested_)
        prepare_skipped(r, *entry);
    else
        r.prepare(*entry);
    entry->flags |= r.entry_flags & static_cast<std::uint8_t>(~backend::entry_drain);
    entry->user_data = static_cast<std::uint64_t>(r.id_);
    r.state_ = request::state::in_kernel;
    r.has_begun_ = true;
    r.started_ = flushed_at_;
    requests_in_kernel_ += r.is_endless ? 0 : 1;
    draining_ = draining_ || (r.entry_flags & backend::entry_drain) != 0;
    if (!r.has_time_limit || r.is_skipped_)
        return;
    if (!std::exchange(r.limit_is_running_, true))
        r.time_limit = from_now(r.time_limit);
    note_limit(r);
    entry->flags |= backend::entry_link;
    backend::submission_entry* limit = kernel_->next_submission();
    *limit = {};
    limit->op = backend::opcode::link_timeout;
    limit->address = reinterpret_cast<std::uint64_t>(&r.time_limit);
    limit->length = 1;
    limit->op_flags = backend::timeout_absolute;
    limit->flags = r.entry_flags & link_flags; // The chain goes on behind it.
    limit->user_data = ignored_tag;
}

/// Of the first request with all that is linked to it.
std::size_t ring_core::entries_of_next() const noexcept
{
    std::size_t entries = 0;
    for (const request* r = queued_.front(); r != nullptr; r = queued_.behind(*r)) {
        entries += entries_of(*r);
        if ((r->entry_flags & link_flags) == 0)
            break;
    }
    return entries;
}

void ring_core::write_next() noexcept
{
    for (bool more = true; more;) {
        request& r = *queued_.pop_front();
        more = (r.entry_flags & link_flags) != 0;
        write_entry(r);
    }
}

/// Whether the first chain may be written. What is drained is held back here:
/// the kernel would hold back all entries behind it, cancellations of what it
/// waits for among them, and find none of these (io_drain_req in Linux 6.18).
bool ring_core::may_begin() noexcept
{
    if (requests_in_kernel_ == 0) {
        draining_ = false;
        return true;
    }
    // A stream that goes on, which nothing drained waits for, and which waits for nothing.
    if (queued_.front()->is_endless && queued_.front()->has_begun_)
        return true;
    if (draining_)
        return false;
    for (const request* r = queued_.front(); r != nullptr; r = queued_.behind(*r)) {
        if ((r->entry_flags & backend::entry_drain) != 0)
            return false;
        if ((r->entry_flags & link_flags) == 0)
            break;
    }
    return true;
}

/// The thread in the kernel might take only a part of the first chain: the number
/// of entries that it came to submit may have been submitted by others since, and
/// would be filled up with these. The kernel breaks a chain where a call ends; a
/// time limit would come too late for its request.
bool ring_core::next_might_be_broken() const noexcept
{
    return claim_ != claim::none && entries_of_next() > 1;
}

/// As many chains as there is room for as a whole.
void ring_core::fill_submissions() noexcept
{
    if (queued_.front() != nullptr) {
        flushed_at_ = coarse_now();
        // A thread in the kernel may make more room meanwhile, never less.
        std::size_t room = found().submission_entries - kernel_->unsubmitted();
        for (; queued_.front() != nullptr && may_begin(); write_next()) {
            const std::size_t entries = entries_of_next();
            if (entries > room || next_might_be_broken())
                break;
            room -= entries;
        }
    }
    kernel_->publish();
}

void ring_core::flush()
{
    guard held(mutex_);
    flush(held);
}

/// A completion that brings the thread in the kernel back.
bool ring_core::write_no_op() noexcept
{
    backend::submission_entry* entry = kernel_->next_submission();
    if (entry == nullptr)
        return false;
    *entry = {};
    entry->user_data = ignored_tag;
    kernel_->publish();
    return true;
}

/// As far as the kernel takes it; what is left goes with the next call, or
/// with the thread that comes back from the kernel. True when it has taken
/// completions on the way.
bool ring_core::flush(guard&) noexcept
{
    constexpr int most_failures = 64;
    if (claim_ == claim::fresh && kernel_->unsubmitted() == 0)
        claim_ = claim::none; // It has taken its entries itself.
    bool called_back = false;
    bool has_reaped = false;
    for (int failures = 0; failures < most_failures;) {
        fill_submissions();
        // The thread in the kernel would wait beyond a limit that it does not know of.
        if (in_kernel_ && next_limit_ < known_limit_ && write_no_op())
            known_limit_ = next_limit_;
        if (kernel_->unsubmitted() == 0) {
            if (called_back || queued_.front() == nullptr || !may_begin() ||
                !next_might_be_broken())
                return has_reaped;
            // It has to wait for the thread in the kernel.
            flush_missed_ = true;
            called_back = write_no_op();
        }
        const unsigned count = kernel_->unsubmitted();
        if (claim_ == claim::fresh)
            claim_ = claim::stale;
        const int taken = kernel_->enter(count, 0, &no_wait);
        if (taken > 0) {
            failures = 0;
            continue;
        }
        ++failures;
        if (!in_kernel_)
            has_reaped = reap() || has_reaped; // EBUSY: it wants room for completions first.
        else if (taken == -EBUSY)
            break;
    }
    flush_missed_ = true;
    return has_reaped;
}

/// While a thread is in the kernel, since nobody else will until something completes. What the
/// kernel has no memory for is tried again, a thousand times, and then left to that thread;
/// where it wants completions taken, they bring that thread back.
void ring_core::flush_beside(guard& held) noexcept
{
    for (int tries = 0; in_kernel_ && tries < 1000; ++tries) {
        flush(held);
        if (kernel_->unsubmitted() == 0 || kernel_->has_completions())
            return;
        sleep(held, std::chrono::steady_clock::now() + retry_wait);
    }
}

/// One system call: flush, and wait for something to complete. No thread may
/// be in the kernel already.
void ring_core::enter(guard& held, duration limit)
{
    enforce_limits();
    ask_again();
    flush_missed_ = false;
    const bool gave_something = supply();
    fill_submissions();
    // More than the queue holds. What completes meanwhile may be what the caller waits for.
    if (queued_.front() != nullptr && flush(held))
        limit = duration::zero();
    // Asked again by the call after this one, which has to wait in between: what a
    // disk is doing may answer EALREADY for long.
    cancel_again_ = missed_count_ != 0;
    if (gave_something && starved_.front() != nullptr)
        limit = duration::zero(); // For the others there may be something left.
    else if (cancel_again_ || flush_missed_ || starved_.front() != nullptr)
        limit = std::min<duration>(limit, retry_wait);
    if (next_limit_ != clock::time_point::max())
        limit = std::clamp<duration>(next_limit_ - clock::now(), duration::zero(), limit);
    const unsigned count = kernel_->unsubmitted();
    const bool blocks = limit != duration::zero() && !kernel_->has_completions();
    if (!blocks && count == 0 && !kernel_->needs_enter())
        return reap_and_flush(held);
    in_kernel_ = true;
    known_limit_ = next_limit_;
    claim_ = count != 0 ? claim::fresh : claim::none;
    held.unlock();
    const int error = kernel_->enter(count, blocks ? 1 : 0,
                                     !blocks             ? &no_wait
                                     : limit == for_ever ? nullptr
                                                         : &limit);
    if (error == -EAGAIN || error == -EBUSY || error == -ENOMEM)
        kernel_->enter(0, 1, &retry_wait);
    held.lock();
    in_kernel_ = false;
    claim_ = claim::none;
    reap_and_flush(held);
    if (sleepers_ != 0)
        changed_.notify_all();
    if (error < 0 && !backend::is_transient(error))
        throw std::system_error(-error, std::system_category(),
                                kernel_->is_inherited()
                                    ? "safer_ring: the ring belongs to the process that called "
                                      "fork(); its child has to make one of its own"
                                    : "safer_ring: io_uring_enter failed; the ring cannot go on");
}

// --------------------------------------------------------------- completion

/// By the thread that was in the kernel, or while there is none. False when there
/// were no completions.
bool ring_core::reap() noexcept
{
    const unsigned count = kernel_->for_each_completion(
        [this](const backend::completion_entry& entry) { complete(entry); });
    detach_orphans(); // Of which one may have been the last stream.
    return count != 0;
}

void ring_core::reap_and_flush(guard& held) noexcept
{
    reap();
    if (std::exchange(flush_missed_, false))
        flush(held);
}

void ring_core::complete(const backend::completion_entry& entry) noexcept
{
    if (entry.user_data == ignored_tag)
        return;
    if (is_message(entry.user_data))
        return take_message(entry);
    request* const r = slots_.find(static_cast<operation_id>(entry.user_data & ~cancellation_tag));
    if ((entry.user_data & cancellation_tag) != 0) {
        // The request may be between two states, where nothing finds it (ENOENT)
        // or where it goes on all the same (EALREADY). Before its turn in a chain
        // nothing finds it either, and then it is asked for again.
        if (entry.result < 0 && r != nullptr && r->state_ == request::state::in_kernel &&
            (r->cancel_requested_ || r->pausing_ || r->times_out_) && !r->has_begun_to_end &&
            !(r->waits_for_turn_ && entry.result == -ENOENT))
            miss_cancellation(*r);
        return;
    }
    if (r == nullptr || r->state_ != request::state::in_kernel)
        return;
    if (r->behind_ != operation_id::none)
        give_turn(*r);
    if ((entry.flags & backend::completion_more) != 0) {
        r->result_ = entry.result; // What the notification behind it is about.
        r->part(entry.result, entry.flags);
        if (r->has_part())
            make_due(*r);
        if (r->pauses() && !r->pausing_ && !r->cancel_requested_) {
            r->pausing_ = true;
            ask_for_cancellation(*r);
            flush_missed_ = true; // Not only when somebody comes by again.
        }
        return;
    }
    requests_in_kernel_ -= r->is_endless ? 0 : 1;
    if (requests_in_kernel_ == 0 && queued_.front() != nullptr)
        flush_missed_ = true; // Something drained may begin.
    forget_missed(*r);
    r->pausing_ = false;
    // Of two completions of one request the first has the result, errors too.
    const bool is_notification = (entry.flags & backend::completion_notification) != 0;
    int result = r->is_skipped_    ? -ECANCELED
                 : is_notification ? r->result_
                                   : backend::as_of_system_call(entry.result);
    // A worker that was at it has been interrupted, and says no more than that.
    if (result == -EINTR && r->may_be_repeated &&
        (r->cancel_requested_ || (r->limit_is_running_ && is_over(r->time_limit))))
        result = -ECANCELED;
    // What is linked to a request of such a thread is failed with this: the memory is ours, and there.
    if (result == -EFAULT && r->in_chain_)
        result = -ECANCELED;
    // A polled request of a thread that has exited is failed with ECANCELED
    // when its descriptor becomes ready, with nothing consumed.
    const bool undone = (result == -EINTR || result == -ECANCELED) && !r->in_chain_ &&
                        !r->cancel_requested_ && r->may_be_repeated && !ran_out_of_time(*r, result);
    if (undone || r->goes_on(result, entry.flags))
        return go_on(*r);
    finish(*r, result, entry.flags);
}

/// Whether it was its time limit that cancelled it.
bool ring_core::ran_out_of_time(const request& r, int result) noexcept
{
    return result == -ECANCELED && r.limit_is_running_ && !r.in_chain_ && !r.cancel_requested_ &&
           is_over(r.time_limit);
}

/// A request that the kernel has completed, and that is not over.
void ring_core::go_on(request& r) noexcept
{
    if (r.has_part())
        make_due(r);
    if (!r.pauses())
        return submit_again(r);
    r.state_ = request::state::paused;
    r.starved_ = r.is_starved();
    if (r.starved_)
        starved_.push_back(r);
}

void ring_core::unpause(guard& held, request& r) noexcept
{
    if (r.state_ != request::state::paused || r.pauses())
        return;
    submit_again(r);
    if (in_kernel_)
        flush(held);
}

/// Of what ran out there is some again: once for each turn, so that not all go
/// for the little there is. True when some was given out. Those that got it may
/// not need it now, and so the next turn, which has something for others, is not
/// to wait for them. There is nothing at all only where there was no memory for
/// the copies that let a part of the buffers go round.
bool ring_core::supply() noexcept
{
    if (starved_.front() == nullptr)
        return false;
    ++turn_;
    bool gave_something = false;
    for (request *r = starved_.front(), *next = nullptr; r != nullptr; r = next) {
        next = starved_.behind(*r);
        if (!r->is_supplied(turn_))
            continue;
        gave_something = true;
        starved_.remove(*r);
        r->starved_ = false;
        if (!r->pauses())
            submit_again(*r);
    }
    return gave_something;
}

/// The request is the program's again, or, when that has given it up, gone.
void ring_core::finish(request& r, int result, std::uint32_t flags) noexcept
{
    // The operation is told that it was cancelled: it may have to do something then.
    r.result_ = r.take_back(result, flags);
    if (ran_out_of_time(r, r.result_))
        r.result_ = -ETIMEDOUT;
    r.state_ = request::state::idle;
    slots_.erase(std::exchange(r.id_, operation_id::none));
    if (r.abandoned_)
        return delete &r;
    make_due(r);
    r.over_.store(true, std::memory_order_release); // Its holder may destroy it from here on.
}

// ------------------------------------------------------------------- buffers

void ring_core::attach(const std::shared_ptr<buffer_group>& buffers)
{
    const guard held(mutex_);
    detach_orphans();
    std::size_t number = 0;
    while (number != buffers_.size() && buffers_[number])
        ++number;
    if (number > std::numeric_limits<std::uint16_t>::max())
        throw std::system_error(ENOSPC, std::system_category(),
                                "safer_ring: a ring has room for 65536 buffer rings");
    if (number == buffers_.size())
        buffers_.emplace_back();
    buffers->attach(*kernel_, static_cast<std::uint16_t>(number));
    buffers_[number] = buffers;
}

void ring_core::orphan(std::shared_ptr<buffer_group>&& buffers) noexcept
{
    const guard held(mutex_);
    buffers->is_orphan = true;
    buffers.reset();
    ++orphans_;
    detach_orphans();
}

/// What still has a pointer to one is a request that the kernel may complete with a buffer of it.
void ring_core::detach_orphans() noexcept
{
    for (std::size_t number = 0; orphans_ != 0 && number != buffers_.size(); ++number) {
        std::shared_ptr<buffer_group>& buffers = buffers_[number];
        if (!buffers || !buffers->is_orphan || buffers.use_count() != 1)
            continue;
        buffers->detach(*kernel_);
        buffers.reset();
        --orphans_;
    }
}

// ------------------------------------------------------------------ messages

std::shared_ptr<mailbox> ring_core::messages()
{
    const guard held(mutex_);
    if (!messages_)
        messages_ =
            std::make_shared<mailbox>(found().ring_messages ? kernel_->ready_descriptor() : -1);
    return messages_;
}

void ring_core::give_messages_to(const request& r, std::uint64_t reader)
{
    const guard held(mutex_);
    const request* const other = slots_.find(messages_to_);
    if (other != nullptr && !other->cancel_requested_)
        throw std::logic_error("safer_ring: a ring has one stream of messages at a time, and "
                               "there is one that goes on");
    messages_to_ = r.id_;
    messages_->pass_on(reader);
}

void ring_core::take_message(const backend::completion_entry& entry) noexcept
{
    if (!messages_) // Nobody could have sent it.
        return;
    messages_->arrive(entry.user_data << 32 | static_cast<std::uint32_t>(entry.result));
    if (request* const r = slots_.find(messages_to_))
        make_due(*r);
}

} // namespace ring
} // namespace safer_ring::inline SAFER_RING_ABI
