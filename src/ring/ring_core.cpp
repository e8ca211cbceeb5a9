// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Submission, completion and cancellation; ring_core_waiting.cpp has what waits.

#include <safer_ring/ring/ring_core.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

namespace ring {
namespace {

using namespace std::chrono_literals;

/// What user data carries besides an id: the answer to a cancellation, or
/// nothing that anybody wants to know.
constexpr std::uint64_t cancel_tag = std::uint64_t{1} << 63;
constexpr std::uint64_t ignored_tag = ~std::uint64_t{0};

constexpr backend::backend::timeout no_wait = backend::backend::timeout::zero();
/// How long to let the kernel recover, and a cancellation find its request.
constexpr backend::backend::timeout retry_wait = 1ms;

bool is_transient(int error) noexcept
{
    return error == -EINTR || error == -EAGAIN || error == -EBUSY || error == -ETIME ||
           error == -ENOMEM;
}

/// The time of the last tick, which costs a quarter of the exact one.
std::chrono::steady_clock::time_point coarse_now() noexcept
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return std::chrono::steady_clock::time_point(std::chrono::seconds(now.tv_sec) +
                                                 std::chrono::nanoseconds(now.tv_nsec));
}

constexpr std::uint8_t link_flags = backend::entry_link | backend::entry_hard_link;

std::size_t entries_of(const request& r) noexcept
{
    return r.has_time_limit ? 2 : 1;
}

} // namespace

ring_core::ring_core(std::unique_ptr<backend::backend> kernel)
    : kernel_(std::move(kernel)), registry_(*kernel_)
{
}

// --------------------------------------------------------------- submission

void ring_core::submit(request* const* requests, std::size_t count, std::uint8_t link)
{
    guard held(mutex_);
    std::size_t entries = 0;
    for (std::size_t i = 0; i < count; ++i)
        entries += entries_of(*requests[i]);
    if (entries > found().submission_entries)
        throw std::length_error("safer_ring: a chain of " + std::to_string(entries) +
                                " entries does not fit into a submission queue of " +
                                std::to_string(found().submission_entries) +
                                ", and has to be submitted at once");
    std::size_t known = 0;
    try {
        for (; known < count; ++known)
            requests[known]->id_ = slots_.insert(*requests[known]);
    } catch (...) {
        while (known-- != 0)
            slots_.erase(std::exchange(requests[known]->id_, operation_id::none));
        throw;
    }
    const auto now = coarse_now();
    for (std::size_t i = 0; i < count; ++i) {
        request& r = *requests[i];
        r.name_ = r.id_;
        r.entry_flags |= i + 1 != count ? link : std::uint8_t{0};
        r.in_chain_ = count > 1;
        r.started_ = now;
        r.cancel_requested_ = false;
        r.over_.store(false, std::memory_order_relaxed);
        r.lend();
        submit_again(r);
    }
    if (in_kernel_) // Nobody else will, until something completes.
        flush(held);
}

void ring_core::submit_again(request& r) noexcept
{
    r.state_ = request::state::queued;
    queued_.push_back(r);
}

void ring_core::write_entry(request& r) noexcept
{
    backend::submission_entry* entry = kernel_->next_submission();
    *entry = {};
    r.prepare(*entry);
    entry->flags |= r.entry_flags;
    entry->user_data = static_cast<std::uint64_t>(r.id_);
    r.state_ = request::state::in_kernel;
    if (!r.has_time_limit)
        return;
    entry->flags |= backend::entry_link;
    backend::submission_entry* limit = kernel_->next_submission();
    *limit = {};
    limit->op = backend::opcode::link_timeout;
    limit->address = reinterpret_cast<std::uint64_t>(&r.time_limit);
    limit->length = 1;
    limit->flags = r.entry_flags & link_flags; // The chain goes on behind it.
    limit->user_data = ignored_tag;
}

/// Writes the first request with all that is linked to it, unless there is no
/// room for all of them.
bool ring_core::write_chain() noexcept
{
    std::size_t entries = 0;
    for (const request* r = queued_.front(); r != nullptr; r = queued_.behind(*r)) {
        entries += entries_of(*r);
        if ((r->entry_flags & link_flags) == 0)
            break;
    }
    if (entries > found().submission_entries - kernel_->unsubmitted())
        return false;
    for (bool more = true; more;) {
        request& r = *queued_.pop_front();
        more = (r.entry_flags & link_flags) != 0;
        write_entry(r);
        if (r.cancel_requested_)
            cancel_missed_ = true; // Asked for again as soon as all are there.
    }
    return true;
}

void ring_core::fill_submissions() noexcept
{
    while (queued_.front() != nullptr && write_chain()) {
    }
    kernel_->publish();
}

void ring_core::flush()
{
    guard held(mutex_);
    flush(held);
}

/// As far as the kernel takes it; what is left goes with the next call, or
/// with the thread that comes back from the kernel.
void ring_core::flush(guard&) noexcept
{
    constexpr int most_failures = 64;
    for (int failures = 0; failures < most_failures;) {
        fill_submissions();
        const unsigned count = kernel_->unsubmitted();
        if (count == 0)
            return;
        const int taken = kernel_->enter(count, 0, &no_wait);
        if (taken > 0) {
            failures = 0;
            continue;
        }
        ++failures;
        if (!in_kernel_)
            reap(); // EBUSY: it wants room for completions first.
        else if (taken == -EBUSY)
            break;
    }
    flush_missed_ = true;
}

/// One system call: flush, and wait for something to complete. No thread may
/// be in the kernel already.
void ring_core::enter(guard& held, duration limit)
{
    if (std::exchange(cancel_missed_, false))
        slots_.for_each([this](request& r) {
            if (r.state_ == request::state::in_kernel && r.cancel_requested_)
                ask_for_cancellation(r);
        });
    flush_missed_ = false;
    fill_submissions();
    if (queued_.front() != nullptr) // More than the queue holds.
        flush(held);
    if (cancel_missed_ || flush_missed_)
        limit = std::min<duration>(limit, retry_wait);
    const unsigned count = kernel_->unsubmitted();
    const bool blocks = limit != duration::zero() && !kernel_->has_completions();
    if (!blocks && count == 0 && !kernel_->needs_enter())
        return reap();
    in_kernel_ = true;
    held.unlock();
    const int error = kernel_->enter(count, blocks ? 1 : 0,
                                     !blocks             ? &no_wait
                                     : limit == for_ever ? nullptr
                                                         : &limit);
    if ((error == -EAGAIN || error == -EBUSY || error == -ENOMEM) && !kernel_->has_completions())
        kernel_->enter(0, 1, &retry_wait);
    held.lock();
    in_kernel_ = false;
    reap();
    if (std::exchange(flush_missed_, false))
        flush(held);
    if (sleepers_ != 0)
        changed_.notify_all();
    if (error < 0 && !is_transient(error))
        throw std::system_error(-error, std::system_category(),
                                "safer_ring: io_uring_enter failed; the ring cannot go on");
}

// --------------------------------------------------------------- completion

/// By the thread that was in the kernel, or while there is none.
void ring_core::reap() noexcept
{
    kernel_->for_each_completion(
        [this](const backend::completion_entry& entry) { complete(entry); });
}

void ring_core::complete(const backend::completion_entry& entry) noexcept
{
    if (entry.user_data == ignored_tag)
        return;
    request* const r = slots_.find(static_cast<operation_id>(entry.user_data & ~cancel_tag));
    if ((entry.user_data & cancel_tag) != 0) {
        // The request may be between two states, where nothing finds it.
        cancel_missed_ = cancel_missed_ || (entry.result == -ENOENT && r != nullptr);
        return;
    }
    if (r == nullptr || r->state_ != request::state::in_kernel)
        return;
    if ((entry.flags & backend::completion_more) != 0) {
        r->part(entry.result, entry.flags);
        if (r->has_part())
            make_due(*r);
        return;
    }
    int result = entry.result;
    const bool alone = !r->in_chain_ && !r->cancel_requested_;
    if (result == -ECANCELED && alone && r->has_time_limit)
        result = -ETIMEDOUT;
    // A polled request of a thread that has exited is failed with ECANCELED when
    // its descriptor becomes ready, with nothing consumed.
    const bool undone = result == -EINTR || result == -ECANCELED;
    if ((undone && alone && r->may_be_repeated) || r->goes_on(result, entry.flags))
        return submit_again(*r);
    finish(*r, result, entry.flags);
}

/// The request is the program's again, or, when that has given it up, gone.
void ring_core::finish(request& r, int result, std::uint32_t flags) noexcept
{
    r.result_ = r.take_back(result, flags);
    r.state_ = request::state::idle;
    slots_.erase(std::exchange(r.id_, operation_id::none));
    if (r.abandoned_)
        return delete &r;
    make_due(r);
    r.over_.store(true, std::memory_order_release); // Its holder may destroy it from here on.
}

// ------------------------------------------------------------- cancellation

void ring_core::ask_for_cancellation(request& r) noexcept
{
    backend::submission_entry* entry = kernel_->next_submission();
    if (entry == nullptr) {
        cancel_missed_ = true; // The next call asks again.
        return;
    }
    *entry = {};
    entry->op = backend::opcode::async_cancel;
    entry->address = static_cast<std::uint64_t>(r.id_);
    entry->user_data = cancel_tag | static_cast<std::uint64_t>(r.id_);
}

/// `r` may be gone afterwards, if nobody holds it.
void ring_core::cancel(request& r) noexcept
{
    if (r.id_ == operation_id::none || r.cancel_requested_)
        return;
    r.cancel_requested_ = true;
    if (r.state_ == request::state::in_kernel)
        return ask_for_cancellation(r);
    if (r.in_chain_) { // It keeps its place, and is looked for when it is in the kernel.
        cancel_missed_ = true;
        return;
    }
    queued_.remove(r);
    finish(r, -ECANCELED, 0);
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

void ring_core::abandon(std::unique_ptr<request> r) noexcept
{
    guard held(mutex_);
    if (std::exchange(r->continuation_, nullptr) != nullptr)
        --continuations_;
    if (std::exchange(r->due_, false))
        due_.remove(*r);
    if (r->id_ == operation_id::none) {
        held.unlock();
        return r.reset();
    }
    r->abandoned_ = true;
    cancel(*r.release());
    send_cancellations(held);
}

// ------------------------------------------------------------------- telling

std::size_t ring_core::in_flight()
{
    const guard held(mutex_);
    return slots_.size();
}

std::string ring_core::describe()
{
    const guard held(mutex_);
    return describe_locked();
}

std::string ring_core::describe_locked() const
{
    std::ostringstream text;
    const auto now = clock::now();
    slots_.for_each([&](const request& r) {
        const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(now - r.started_);
        text << "  " << r.subject().message();
        if (const void* const memory = r.memory(); memory != nullptr)
            text << ", buffer " << memory;
        text << ": " << (r.state_ == request::state::queued ? "not submitted yet" : "in the kernel")
             << ", started " << age.count() << " ms ago"
             << (r.cancel_requested_ ? ", cancelled" : "")
             << (r.abandoned_ ? ", given up by the program" : "") << '\n';
    });
    return text.str();
}

} // namespace ring
} // namespace safer_ring::inline SAFER_RING_ABI
