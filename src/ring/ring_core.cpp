// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/ring_core.hpp>

#include <algorithm>
#include <cassert>
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

/// What user data carries besides an id: the entry of a cancellation, of a time
/// limit, or one that only wakes a waiting thread.
constexpr std::uint64_t cancel_tag = std::uint64_t{1} << 63;
constexpr std::uint64_t limit_tag = std::uint64_t{1} << 62;
constexpr std::uint64_t wake_tag = ~std::uint64_t{0};
constexpr std::uint32_t max_generation = 0x3fffffff;
constexpr std::uint32_t no_slot = ~std::uint32_t{0};

constexpr backend::backend::timeout no_wait = backend::backend::timeout::zero();
/// How long to let the kernel recover, and a cancellation find its request.
constexpr backend::backend::timeout retry_wait = 1ms;
/// How long the destructor waits for what was given up and cancelled.
constexpr auto drain_deadline = 5s;

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

} // namespace

void stop_program(const std::string& reason) noexcept
{
    std::fprintf(stderr, "safer_ring: %s\n", reason.c_str());
    std::fflush(stderr);
    std::abort();
}

// ------------------------------------------------------------------ queue

void ring_core::queue::push_back(request& r) noexcept
{
    r.next_ = nullptr;
    (tail != nullptr ? tail->next_ : head) = &r;
    tail = &r;
}

request* ring_core::queue::pop_front() noexcept
{
    request* const r = head;
    if (r != nullptr) {
        head = r->next_;
        if (head == nullptr)
            tail = nullptr;
    }
    return r;
}

void ring_core::queue::remove(request& r) noexcept
{
    request* before = nullptr;
    for (request* at = head; at != nullptr && at != &r; at = at->next_)
        before = at;
    (before != nullptr ? before->next_ : head) = r.next_;
    if (tail == &r)
        tail = before;
}

// -------------------------------------------------------------- life, slots

ring_core::ring_core(std::unique_ptr<backend::backend> kernel)
    : kernel_(std::move(kernel)), free_slot_(no_slot)
{
}

ring_core::~ring_core()
{
    guard held(mutex_);
    std::size_t in_use = 0;
    for_each([&in_use](const request& r) { in_use += r.abandoned_ ? 0 : 1; });
    if (in_use != 0)
        stop_program("a ring is destroyed while operations are in flight whose handles are still "
                     "there; wait for them, or call shutdown(deadline):\n" +
                     describe_locked());
    while (request* const r = ready_.pop_front())
        std::exchange(r->continuation_, nullptr)->drop();
    const auto deadline = clock::now() + drain_deadline;
    while (in_flight_ != 0 && clock::now() < deadline)
        enter(held, 20ms);
    if (in_flight_ != 0)
        std::fprintf(stderr,
                     "safer_ring: %zu operations did not end within %lld s of their ring's "
                     "destruction; their memory is not freed:\n%s",
                     in_flight_, static_cast<long long>(drain_deadline.count()),
                     describe_locked().c_str());
}

request* ring_core::find(std::uint64_t id) const noexcept
{
    const auto index = static_cast<std::uint32_t>(id);
    if (index >= slots_.size() || slots_[index].generation != id >> 32)
        return nullptr;
    return slots_[index].op;
}

template <typename F>
void ring_core::for_each(F f)
{
    for (const slot& s : slots_)
        if (s.op != nullptr)
            f(*s.op);
}

// --------------------------------------------------------------- submission

void ring_core::submit(request* const* requests, std::size_t count)
{
    guard held(mutex_);
    std::size_t entries = 0;
    for (std::size_t i = 0; i < count; ++i)
        entries += requests[i]->has_time_limit ? 2 : 1;
    if (entries > found().submission_entries)
        throw std::length_error("safer_ring: a chain of " + std::to_string(entries) +
                                " entries does not fit into a submission queue of " +
                                std::to_string(found().submission_entries) +
                                ", and has to be submitted at once");
    slots_.reserve(slots_.size() + count);
    const auto now = coarse_now();
    for (std::size_t i = 0; i < count; ++i) {
        request& r = *requests[i];
        if (free_slot_ == no_slot) {
            slots_.push_back({nullptr, 1, no_slot});
            free_slot_ = static_cast<std::uint32_t>(slots_.size() - 1);
        }
        slot& s = slots_[free_slot_];
        r.id_ = r.name_ = (std::uint64_t{s.generation} << 32) | free_slot_;
        s.op = &r;
        free_slot_ = s.next_free;
        r.in_chain_ = count > 1;
        r.started_ = now;
        r.state_ = request::state::queued;
        r.lend();
        queued_.push_back(r);
        ++in_flight_;
    }
    if (waiting_) // Nobody else will, until something completes.
        flush(held);
}

void ring_core::write_entry(request& r) noexcept
{
    backend::submission_entry* entry = kernel_->next_submission();
    *entry = {};
    r.prepare(*entry);
    entry->flags |= r.entry_flags;
    entry->user_data = r.id_;
    r.state_ = request::state::in_kernel;
    ++in_kernel_;
    if (!r.has_time_limit)
        return;
    entry->flags |= backend::entry_link;
    backend::submission_entry* limit = kernel_->next_submission();
    *limit = {};
    limit->op = backend::opcode::link_timeout;
    limit->address = reinterpret_cast<std::uint64_t>(&r.time_limit);
    limit->length = 1;
    limit->flags = r.entry_flags & link_flags; // The chain goes on behind it.
    limit->user_data = limit_tag;
}

/// Writes the first request with all that is linked to it, unless there is no
/// room for all of them.
bool ring_core::write_chain() noexcept
{
    unsigned entries = 0;
    for (const request* r = queued_.head; r != nullptr; r = r->next_) {
        entries += r->has_time_limit ? 2 : 1;
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
    while (queued_.head != nullptr && write_chain()) {
    }
    kernel_->publish();
}

void ring_core::flush()
{
    guard held(mutex_);
    flush(held);
}

/// As far as the kernel takes it; what is left goes with the next call.
void ring_core::flush(guard&) noexcept
{
    constexpr int attempts = 64;
    for (int i = 0; i < attempts; ++i) {
        fill_submissions();
        const unsigned count = kernel_->unsubmitted();
        if (count == 0)
            return;
        if (kernel_->enter(count, 0, &no_wait) < 0)
            reap(); // EBUSY: it wants room for completions first.
    }
}

/// One system call: flush, and wait for something to complete. True when
/// something has.
bool ring_core::enter(guard& held, duration limit)
{
    if (std::exchange(cancel_missed_, false))
        for_each([this](request& r) {
            if (r.state_ == request::state::in_kernel && r.cancel_requested_)
                request_cancel(r);
        });
    fill_submissions();
    while (queued_.head != nullptr) { // More than the queue holds.
        const unsigned before = kernel_->unsubmitted();
        flush(held);
        if (kernel_->unsubmitted() == before)
            break;
    }
    if (cancel_missed_)
        limit = std::min<duration>(limit, retry_wait);
    const unsigned count = kernel_->unsubmitted();
    const bool blocks = limit != duration::zero() && !kernel_->has_completions();
    if (!blocks && count == 0 && !kernel_->needs_enter()) {
        const std::size_t there = in_flight_;
        reap();
        return in_flight_ != there;
    }
    waiting_ = waiting_ || blocks;
    held.unlock();
    const int error = kernel_->enter(count, blocks ? 1 : 0,
                                     !blocks             ? &no_wait
                                     : limit == for_ever ? nullptr
                                                         : &limit);
    if ((error == -EAGAIN || error == -EBUSY || error == -ENOMEM) && !kernel_->has_completions())
        kernel_->enter(0, 1, &retry_wait);
    held.lock();
    if (blocks)
        waiting_ = false;
    const std::size_t before = in_flight_;
    reap();
    if (sleepers_ != 0)
        changed_.notify_all();
    if (error < 0 && !is_transient(error))
        throw std::system_error(-error, std::system_category(),
                                "safer_ring: io_uring_enter failed; the ring cannot go on");
    return in_flight_ != before;
}

// --------------------------------------------------------------- completion

void ring_core::reap() noexcept
{
    kernel_->for_each_completion(
        [this](const backend::completion_entry& entry) { complete(entry); });
}

void ring_core::complete(const backend::completion_entry& entry) noexcept
{
    if (entry.user_data == wake_tag)
        return;
    if ((entry.user_data & cancel_tag) != 0) {
        // The request may be between two states, where nothing finds it.
        const request* r = find(entry.user_data & ~cancel_tag);
        cancel_missed_ = cancel_missed_ || (entry.result == -ENOENT && r != nullptr);
        return;
    }
    if ((entry.user_data & limit_tag) != 0)
        return;
    request* const r = find(entry.user_data);
    if (r == nullptr || r->state_ != request::state::in_kernel)
        return;
    --in_kernel_;
    int result = entry.result;
    const bool alone = !r->in_chain_ && !r->cancel_requested_;
    if (result == -ECANCELED && alone && r->has_time_limit)
        result = -ETIMEDOUT;
    // A polled request of a thread that has exited is failed with ECANCELED when
    // its descriptor becomes ready, with nothing consumed.
    if (alone && (result == -EINTR || result == -ECANCELED)) {
        r->state_ = request::state::queued;
        queued_.push_back(*r);
        return;
    }
    finish(*r, result);
}

/// The request is the program's again, or, when that has given it up, gone.
void ring_core::finish(request& r, int result) noexcept
{
    r.result_ = result;
    r.take_back(result);
    const auto index = static_cast<std::uint32_t>(r.id_);
    slot& s = slots_[index];
    s.op = nullptr;
    s.generation = s.generation == max_generation ? 1 : s.generation + 1;
    s.next_free = std::exchange(free_slot_, index);
    r.id_ = 0;
    --in_flight_;
    if (r.abandoned_)
        return delete &r;
    r.state_ = request::state::idle;
    if (r.continuation_ != nullptr) {
        r.state_ = request::state::ready;
        ready_.push_back(r);
    }
    r.over_.store(true, std::memory_order_release); // Its holder may destroy it from here on.
}

bool ring_core::wait(const request& r, duration limit)
{
    guard held(mutex_);
    const bool forever = limit == for_ever;
    const auto deadline = forever ? clock::time_point::max() : clock::now() + limit;
    while (r.id_ != 0) {
        const duration left = forever ? for_ever : duration(deadline - clock::now());
        if (left <= duration::zero() && !forever) {
            enter(held, duration::zero());
            return r.id_ == 0;
        }
        if (!waiting_) {
            enter(held, left);
            continue;
        }
        // The thread in the kernel will tell when it is back.
        flush(held);
        ++sleepers_;
        if (forever)
            changed_.wait(held);
        else
            changed_.wait_until(held, deadline);
        --sleepers_;
    }
    if (sleepers_ != 0)
        changed_.notify_all(); // Somebody has to go into the kernel for the others.
    return true;
}

// ------------------------------------------------------------- continuation

void ring_core::continue_with(request& r, continuation& c)
{
    guard held(mutex_);
    r.continuation_ = &c;
    ++to_continue_;
    if (r.id_ != 0)
        return;
    r.state_ = request::state::ready;
    ready_.push_back(r);
    wake(held);
}

bool ring_core::resume_one(guard& held)
{
    request* const r = ready_.pop_front();
    if (r == nullptr)
        return false;
    r->state_ = request::state::idle;
    --to_continue_;
    continuation& c = *std::exchange(r->continuation_, nullptr);
    held.unlock();
    c.resume();
    held.lock();
    return true;
}

std::size_t ring_core::drive(duration limit, std::size_t most)
{
    const bool forever = limit == for_ever;
    const auto deadline = forever ? clock::time_point::max() : clock::now() + limit;
    std::size_t n = 0;
    bool looked = false;
    guard held(mutex_);
    for (;;) {
        while (n != most && resume_one(held))
            ++n;
        const duration left = forever ? for_ever : duration(deadline - clock::now());
        if (n == most || to_continue_ == 0 || (looked && left <= duration::zero()))
            break;
        looked = true;
        if (!waiting_) {
            enter(held, std::max(left, duration::zero()));
        } else {
            flush(held);
            ++sleepers_;
            if (forever)
                changed_.wait(held);
            else
                changed_.wait_until(held, deadline);
            --sleepers_;
        }
    }
    if (sleepers_ != 0)
        changed_.notify_all();
    return n;
}

std::size_t ring_core::poll()
{
    return drive(duration::zero(), ~std::size_t{0});
}

std::size_t ring_core::run()
{
    return drive(for_ever, ~std::size_t{0});
}

std::size_t ring_core::run_one(duration limit)
{
    return drive(limit, 1);
}

/// Ends the wait of the thread in the kernel, and of those that wait for it.
void ring_core::wake(guard&) noexcept
{
    if (sleepers_ != 0)
        changed_.notify_all();
    if (!waiting_)
        return;
    backend::submission_entry* entry = kernel_->next_submission();
    if (entry == nullptr)
        return; // The waiting thread comes back for what the queue is full of.
    *entry = {};
    entry->user_data = wake_tag;
    kernel_->publish();
    kernel_->enter(kernel_->unsubmitted(), 0, &no_wait);
}

// ------------------------------------------------------------- cancellation

void ring_core::request_cancel(request& r) noexcept
{
    r.cancel_requested_ = true;
    backend::submission_entry* entry = kernel_->next_submission();
    if (entry == nullptr) {
        cancel_missed_ = true; // The next call asks again.
        return;
    }
    *entry = {};
    entry->op = backend::opcode::async_cancel;
    entry->address = r.id_;
    entry->user_data = cancel_tag | r.id_;
}

void ring_core::cancel(request_id id)
{
    guard held(mutex_);
    if (request* const r = find(static_cast<std::uint64_t>(id)); r != nullptr)
        cancel(held, *r);
    wake(held);
}

/// `r` may be gone afterwards, if nobody holds it.
void ring_core::cancel(guard& held, request& r) noexcept
{
    if (r.id_ == 0 || r.cancel_requested_)
        return;
    if (r.state_ == request::state::queued && !r.in_chain_) {
        r.cancel_requested_ = true;
        queued_.remove(r);
        return finish(r, -ECANCELED);
    }
    if (r.state_ == request::state::queued) {
        r.cancel_requested_ = true; // It keeps its place in the chain, and is looked for there.
        cancel_missed_ = true;
        return;
    }
    request_cancel(r);
    flush(held);
    reap();
}

void ring_core::cancel_descriptor(int fd)
{
    guard held(mutex_);
    for_each([&](request& r) {
        if (r.subject().descriptor == fd)
            cancel(held, r);
    });
    wake(held);
}

void ring_core::cancel_all()
{
    guard held(mutex_);
    for_each([&](request& r) { cancel(held, r); });
    wake(held);
}

void ring_core::abandon(std::unique_ptr<request> r) noexcept
{
    guard held(mutex_);
    if (std::exchange(r->continuation_, nullptr) != nullptr)
        --to_continue_;
    if (r->state_ == request::state::ready)
        ready_.remove(*r);
    if (r->id_ == 0) {
        held.unlock();
        return r.reset();
    }
    r->abandoned_ = true;
    cancel(held, *r.release());
    wake(held);
}

bool ring_core::shutdown(duration limit)
{
    const auto deadline = clock::now() + limit;
    cancel_all();
    guard held(mutex_);
    while (in_flight_ != 0) {
        const auto left = deadline - clock::now();
        if (left <= duration::zero())
            return false;
        if (waiting_) {
            ++sleepers_;
            changed_.wait_until(held, deadline);
            --sleepers_;
        } else {
            enter(held, std::min<duration>(left, 20ms));
        }
    }
    return true;
}

// ------------------------------------------------------------------- telling

std::size_t ring_core::in_flight()
{
    const guard held(mutex_);
    return in_flight_;
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
    for (const slot& s : slots_) {
        if (s.op == nullptr)
            continue;
        const request& r = *s.op;
        const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(now - r.started_);
        text << "  " << r.subject().message();
        if (const void* const memory = r.memory(); memory != nullptr)
            text << ", buffer " << memory;
        text << ": " << (r.state_ == request::state::queued ? "not submitted yet" : "in the kernel")
             << ", started " << age.count() << " ms ago"
             << (r.cancel_requested_ ? ", cancelled" : "")
             << (r.abandoned_ ? ", given up by the program" : "") << '\n';
    }
    return text.str();
}

} // namespace ring
} // namespace safer_ring::inline SAFER_RING_ABI
