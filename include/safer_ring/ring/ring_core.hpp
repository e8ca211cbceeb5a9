// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/backend.hpp>
#include <safer_ring/ring/loop_mutex.hpp>
#include <safer_ring/ring/request.hpp>

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Prints the reason on standard error and ends the program: for what a program
/// must not do and C++ cannot refuse.
[[noreturn]] SAFER_RING_API void stop_program(const std::string& reason) noexcept;

/// The engine under io_ring: a queue of requests that wait to be submitted, and
/// those that the kernel has.
///
/// One lock guards everything, system calls excepted. One thread at a time
/// waits in the kernel; the others wait for it to come back.
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

    /// Queues `requests`, one behind the other; more than one are a chain, which
    /// is submitted as one. Throws std::length_error when a chain is longer than
    /// the submission queue, and std::bad_alloc, both without effect.
    SAFER_RING_API void submit(request* const* requests, std::size_t count);

    /// Hands what is queued to the kernel.
    SAFER_RING_API void flush();

    /// Flushes, and waits until `r` is complete or the time is over; true when
    /// it is complete.
    SAFER_RING_API bool wait(const request& r, duration limit);
    /// Has `c` resumed by who polls or runs the ring when `r` is complete.
    SAFER_RING_API void continue_with(request& r, continuation& c);

    /// Asks for the end of `r`; what it completes with tells what came of it.
    SAFER_RING_API void cancel(request_id id);
    SAFER_RING_API void cancel_descriptor(int fd);
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

    struct queue {
        request* head = nullptr;
        request* tail = nullptr;
        void push_back(request& r) noexcept;
        request* pop_front() noexcept;
        void remove(request& r) noexcept;
    };
    struct slot {
        request* op;
        std::uint32_t generation;
        std::uint32_t next_free;
    };

    void fill_submissions() noexcept;
    bool write_chain() noexcept;
    void write_entry(request& r) noexcept;
    void flush(guard& held) noexcept;
    bool enter(guard& held, duration limit);
    void reap() noexcept;
    void complete(const backend::completion_entry& entry) noexcept;
    void finish(request& r, int result) noexcept;
    void cancel(guard& held, request& r) noexcept;
    void request_cancel(request& r) noexcept;
    void wake(guard& held) noexcept;
    bool resume_one(guard& held);
    std::size_t drive(duration limit, std::size_t most);
    request* find(std::uint64_t id) const noexcept;
    std::string describe_locked() const;
    template <typename F>
    void for_each(F f);

    loop_mutex mutex_{true};
    std::condition_variable_any changed_;
    std::unique_ptr<backend::backend> kernel_;
    std::vector<slot> slots_;
    std::uint32_t free_slot_;
    queue queued_;
    queue ready_;
    std::size_t in_flight_ = 0; // Queued or in the kernel.
    std::size_t in_kernel_ = 0;
    std::size_t to_continue_ = 0; // Continuations that are still to be resumed.
    std::size_t sleepers_ = 0;
    bool waiting_ = false;       // A thread waits in the kernel.
    bool cancel_missed_ = false; // A cancellation did not find its request.
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
