// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/backend.hpp>
#include <safer_ring/ring/loop_mutex.hpp>
#include <safer_ring/ring/registry.hpp>
#include <safer_ring/ring/request.hpp>

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Prints the reason on standard error and ends the program: for what a program
/// must not do and C++ cannot refuse.
[[noreturn]] SAFER_RING_API void stop_program(const std::string& reason) noexcept;

/// The engine under io_ring: a queue of requests that wait to be submitted, and
/// those that the kernel has.
///
/// One lock guards everything, system calls excepted. One thread at a time
/// waits in the kernel; the others wait for it to come back, and leave all
/// completions to it: one taken from under it might be the one that its call
/// was to return for.
///
/// Thread safety: every public member may be called from any thread.
class ring_core {
public:
    using duration = std::chrono::nanoseconds;
    static constexpr duration for_ever = duration::max();

    SAFER_RING_API explicit ring_core(std::unique_ptr<backend::backend> kernel);
    ring_core(const ring_core&) = delete;
    ring_core& operator=(const ring_core&) = delete;
    /// Stops the program when a request is in flight that somebody holds.
    SAFER_RING_API ~ring_core();

    [[nodiscard]] const features& found() const noexcept { return kernel_->found(); }

    [[nodiscard]] registry& registrations() noexcept { return *registry_; }

    /// Queues `requests`, one behind the other; more than one are a chain, which
    /// is submitted as one, with `link` in the flags of all but the last. Throws
    /// std::length_error when a chain is longer than the submission queue, and
    /// std::bad_alloc, both without effect.
    SAFER_RING_API void submit(request* const* requests, std::size_t count, std::uint8_t link = 0);

    /// Hands what is queued to the kernel.
    SAFER_RING_API void flush();

    /// Flushes, and waits until `r` is complete or has a part, or the time is
    /// over; true when there is something.
    SAFER_RING_API bool wait(const request& r, duration limit);
    /// Has `c` resumed by who polls or runs the ring when that is so.
    SAFER_RING_API void continue_with(request& r, continuation& c);

    /// Asks for the end of `r`; what it completes with tells what came of it.
    SAFER_RING_API void cancel(operation_id id);
    SAFER_RING_API void cancel_descriptor(int fd);
    SAFER_RING_API void cancel_registered(std::uint32_t index);
    SAFER_RING_API void cancel_all();
    /// The program gives `r` up, which is cancelled, and destroyed when it is
    /// complete.
    SAFER_RING_API void abandon(std::unique_ptr<request> r) noexcept;

    /// Resumes what is due; see io_ring.
    SAFER_RING_API std::size_t poll();
    SAFER_RING_API std::size_t run();
    SAFER_RING_API std::size_t run_one(duration limit);

    SAFER_RING_API bool shutdown(duration limit);
    [[nodiscard]] SAFER_RING_API std::string describe();
    [[nodiscard]] SAFER_RING_API std::size_t in_flight();

private:
    using guard = std::unique_lock<loop_mutex>;
    using clock = std::chrono::steady_clock;

    void submit_again(request& r) noexcept;
    void fill_submissions() noexcept;
    bool write_chain() noexcept;
    void write_entry(request& r) noexcept;
    void flush(guard& held) noexcept;
    void enter(guard& held, duration limit);
    void reap() noexcept;
    void complete(const backend::completion_entry& entry) noexcept;
    void finish(request& r, int result, std::uint32_t flags) noexcept;

    bool wait_once(guard& held, clock::time_point deadline);
    void sleep(guard& held, clock::time_point deadline);
    void hand_over() noexcept;
    void wake(guard& held) noexcept;
    void make_due(request& r) noexcept;
    continuation& take_due(request& r) noexcept;
    bool resume_one(guard& held);
    std::size_t drive(duration limit, std::size_t most);

    void ask_for_cancellation(request& r) noexcept;
    void cancel(request& r) noexcept;
    void send_cancellations(guard& held) noexcept;
    void drain(guard& held) noexcept;
    [[nodiscard]] std::string describe_locked() const;

    loop_mutex mutex_{true};
    std::condition_variable_any changed_;
    std::unique_ptr<backend::backend> kernel_;
    registry_owner registry_;
    slot_table<request> slots_; // What is queued or in the kernel.
    request_queue<&request::to_submit_> queued_;
    request_queue<&request::to_continue_> due_;
    std::size_t continuations_ = 0; // That are still to be resumed.
    std::size_t sleepers_ = 0;
    bool in_kernel_ = false;     // A thread is, without the lock, and reaps when it is back.
    bool cancel_missed_ = false; // A cancellation did not find its request.
    bool flush_missed_ = false;  // The kernel wanted the completions taken first.
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
