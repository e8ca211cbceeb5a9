// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Waiting for completions, calling who waits, telling what is in flight, and the end of a ring.

#include "waits.hpp"

#include <safer_ring/ring/ring_core.hpp>

#include "backend/fork_watch.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <sstream>
#include <string>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

namespace ring {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

/// How long the destructor waits for what was given up and cancelled.
constexpr auto drain_deadline = 5s;

constexpr clock::time_point never = clock::time_point::max();

/// Of who only looks.
constexpr clock::time_point already_due{};

/// Looking at the clock costs as much as an operation; for what is not measured
/// by it there is no need.
clock::time_point deadline_of(ring_core::duration limit) noexcept
{
    if (limit == ring_core::for_ever)
        return never;
    if (limit <= ring_core::duration::zero())
        return already_due;
    const clock::time_point now = clock::now();
    return limit < never - now ? now + limit : never;
}

/// That this thread is in a continuation of a ring: what it calls may drive the same one.
class resumed_here {
public:
    explicit resumed_here(const ring_core& core) noexcept : core_(&core), outer_(innermost)
    {
        innermost = this;
    }
    resumed_here(const resumed_here&) = delete;
    resumed_here& operator=(const resumed_here&) = delete;
    ~resumed_here() { innermost = outer_; }

    static std::size_t count(const ring_core& core) noexcept
    {
        std::size_t n = 0;
        for (const resumed_here* r = innermost; r != nullptr; r = r->outer_)
            n += r->core_ == &core ? 1 : 0;
        return n;
    }

private:
    static thread_local resumed_here* innermost;

    const ring_core* core_;
    resumed_here* outer_;
};

thread_local resumed_here* resumed_here::innermost = nullptr;

ring_core::duration time_until(clock::time_point deadline) noexcept
{
    if (deadline == never)
        return ring_core::for_ever;
    return deadline == already_due ? ring_core::duration::zero() : deadline - clock::now();
}

} // namespace

void stop_program(const std::string& reason) noexcept
{
    std::fprintf(stderr, "safer_ring: %s\n", reason.c_str());
    std::fflush(stderr);
    std::abort();
}

void stop_for_use_after_move(const char* call) noexcept
{
    stop_program(std::string(call) + " on an operation that was moved from; use what the move "
                                     "gave");
}

// -------------------------------------------------------------------- waiting

/// Flushes, and waits for news of any operation; false when there was no time
/// left to wait, and it has only looked.
bool ring_core::wait_once(guard& held, clock::time_point deadline)
{
    const duration left = time_until(deadline);
    const bool waits = left > duration::zero();
    leave_parent(held);
    if (!in_kernel_) {
        enter(held, waits ? left : duration::zero());
    } else {
        flush(held);
        if (waits) // What the kernel did not take for want of memory is tried again soon.
            sleep(held, flush_missed_ ? std::min(deadline, clock::now() + retry_wait) : deadline);
        else if (kernel_->has_completions()) // They bring that thread back at once.
            sleep(held, never);
    }
    return waits;
}

/// In the child of a fork the threads that were in the kernel, or waited for one, are
/// not there, and nobody comes back.
void ring_core::leave_parent(guard&) noexcept
{
    const unsigned process = backend::fork_watch::generation();
    if (std::exchange(process_, process) == process)
        return;
    in_kernel_ = false;
    claim_ = claim::none;
    resuming_ = 0;
    // Destroying it would wait for them (POSIX Threads in glibc).
    if (std::exchange(sleepers_, 0) != 0)
        ::new (&changed_) std::condition_variable_any;
}

/// Until the thread in the kernel is back.
void ring_core::sleep(guard& held, clock::time_point deadline)
{
    ++sleepers_;
    if (deadline == never)
        changed_.wait(held);
    else
        changed_.wait_until(held, deadline);
    --sleepers_;
}

/// By who will not go into the kernel again: one of the others has to.
void ring_core::hand_over() noexcept
{
    if (sleepers_ != 0 && !in_kernel_)
        changed_.notify_all();
}

bool ring_core::wait(const request& r, duration limit)
{
    guard held(mutex_);
    const auto deadline = deadline_of(limit);
    for (bool goes_on = true; goes_on && !has_news(r);)
        goes_on = wait_once(held, deadline);
    hand_over();
    return has_news(r);
}

/// Ends the wait of the thread in the kernel, and of those that wait for it.
void ring_core::wake(guard& held) noexcept
{
    if (sleepers_ != 0)
        changed_.notify_all();
    if (!in_kernel_)
        return;
    if (!write_no_op()) {
        flush(held);
        if (!write_no_op())
            return; // The kernel takes nothing more until that thread has taken completions.
    }
    flush(held);
}

// ------------------------------------------------------------- continuation

void ring_core::continue_with(request& r, continuation& c)
{
    guard held(mutex_);
    r.continuation_ = &c;
    ++continuations_;
    if (!has_news(r))
        return;
    make_due(r);
    wake(held);
}

void ring_core::discontinue(request& r) noexcept
{
    guard held(mutex_);
    stop_continuing(r);
    if (continuations_ == 0) // Who runs the ring for the others has none to wait for.
        wake(held);
}

/// Gives what was to be resumed.
continuation* ring_core::stop_continuing(request& r) noexcept
{
    continuation* const waiting = std::exchange(r.continuation_, nullptr);
    if (waiting != nullptr)
        --continuations_;
    if (std::exchange(r.due_, false))
        due_.remove(r);
    return waiting;
}

continuation& ring_core::take_due(request& r) noexcept
{
    due_.remove(r);
    r.due_ = false;
    --continuations_;
    return *std::exchange(r.continuation_, nullptr);
}

/// In the child of a fork, those that other threads were in are forgotten, and perhaps this one.
void ring_core::leave_resumed() noexcept
{
    if (resuming_ != 0)
        --resuming_;
}

bool ring_core::resume_one(guard& held)
{
    request* r = due_.front();
    // A stream of messages may have had some that are another one's by now.
    for (; r != nullptr && !has_news(*r); r = due_.front()) {
        due_.remove(*r);
        r->due_ = false;
    }
    if (r == nullptr)
        return false;
    continuation& c = take_due(*r);
    c.claim(held); // With the lock given up, it may be destroyed.
    ++resuming_;
    const resumed_here here(*this);
    held.unlock();
    try {
        c.resume();
    } catch (...) {
        held.lock();
        leave_resumed();
        hand_over();
        throw;
    }
    held.lock();
    leave_resumed();
    return true;
}

std::size_t ring_core::drive(duration limit, std::size_t most)
{
    guard held(mutex_);
    const auto deadline = deadline_of(limit);
    std::size_t n = 0;
    for (bool goes_on = true;;) {
        while (n != most && resume_one(held))
            ++n;
        if (!goes_on || n == most || continuations_ == 0)
            break;
        goes_on = wait_once(held, deadline);
    }
    if (n != most && queued_.front() != nullptr)
        flush(held); // What nobody is told of is to be on its way all the same.
    hand_over();
    return n;
}

std::size_t ring_core::poll()
{
    guard held(mutex_);
    wait_once(held, already_due);
    std::size_t n = 0;
    while (resume_one(held))
        ++n;
    hand_over();
    return n;
}

std::size_t ring_core::run()
{
    return drive(for_ever, ~std::size_t{0});
}

std::size_t ring_core::run_one(duration limit)
{
    return drive(limit, 1);
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
        text << "  " << r.subject().message();
        if (const void* const memory = r.memory(); memory != nullptr)
            text << ", buffer " << memory;
        using milliseconds = std::chrono::milliseconds;
        if (r.state_ == request::state::in_kernel)
            text << ": in the kernel, submitted "
                 << std::chrono::duration_cast<milliseconds>(now - r.started_).count() << " ms ago";
        else
            text << (r.state_ == request::state::queued ? ": not submitted yet"
                     : r.starved_                       ? ": waits for a buffer"
                                                        : ": waits until its items are taken");
        text << (r.cancel_requested_ ? ", cancelled" : "")
             << (r.abandoned_ ? ", given up by the program" : "") << '\n';
    });
    return text.str();
}

// ------------------------------------------------------------------- the end

bool ring_core::shutdown(duration limit)
{
    cancel_all();
    guard held(mutex_);
    const auto deadline = deadline_of(limit);
    for (bool goes_on = true; goes_on && slots_.size() != 0;)
        goes_on = wait_once(held, deadline);
    hand_over();
    return slots_.size() == 0;
}

/// For the memory of what was given up.
void ring_core::drain(guard& held) noexcept
{
    const char* why = "";
    try {
        const auto deadline = deadline_of(drain_deadline);
        for (bool goes_on = true; goes_on && slots_.size() != 0;)
            goes_on = wait_once(held, deadline);
    } catch (const std::exception& e) {
        why = e.what();
    }
    if (slots_.size() != 0)
        std::fprintf(stderr,
                     "safer_ring: %zu operations did not end within %lld s of their ring's "
                     "destruction; their memory is not freed:\n%s%s\n",
                     slots_.size(), static_cast<long long>(drain_deadline.count()),
                     describe_locked().c_str(), why);
}

ring_core::~ring_core()
{
    guard held(mutex_);
    leave_parent(held);
    // A callback of this thread's own may have called exit(3), and the ring be a variable with static
    // storage.
    if (in_kernel_ || sleepers_ != 0 || resuming_ > resumed_here::count(*this))
        stop_program(
            "a ring is destroyed while a thread waits for it, or drives it; destroy it when all "
            "have returned");
    if (messages_)
        messages_->close();
    // What a callback holds goes with it, operations too; so without the lock.
    while (request* const r = due_.front()) {
        continuation& c = take_due(*r);
        held.unlock();
        c.drop();
        held.lock();
    }
    std::size_t in_use = 0;
    slots_.for_each([&in_use](const request& r) { in_use += r.abandoned_ ? 0 : 1; });
    if (in_use != 0)
        stop_program("a ring is destroyed while operations are in flight whose handle, callback or "
                     "coroutine is still there; wait for them, or call shutdown(deadline):\n" +
                     describe_locked());
    drain(held);
    for (const std::shared_ptr<buffer_group>& buffers : buffers_)
        if (buffers)
            buffers->forget_ring();
}

} // namespace ring
} // namespace safer_ring::inline SAFER_RING_ABI
