// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/backend.hpp>
#include <safer_ring/ring/buffer_group.hpp>
#include <safer_ring/ring/loop_mutex.hpp>
#include <safer_ring/ring/mailbox.hpp>
#include <safer_ring/ring/registry.hpp>
#include <safer_ring/ring/request.hpp>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Prints the reason on standard error and ends the program: for what a program
/// must not do and C++ cannot refuse.
[[noreturn]] SAFER_RING_API void stop_program(const std::string& reason) noexcept;
/// The same for a call on an operation that was moved from. Out of line, since
/// putting the text together would keep the check from being inlined.
[[noreturn]] SAFER_RING_API void stop_for_use_after_move(const char* call) noexcept;

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
    /// The same for one alone.
    SAFER_RING_API void submit(request& r);

    /// Hands what is queued to the kernel.
    SAFER_RING_API void flush();

    /// Flushes, and waits until `r` is complete or has a part, or the time is
    /// over; true when there is something.
    SAFER_RING_API bool wait(const request& r, duration limit);
    /// Has `c` resumed by who polls or runs the ring when that is so.
    SAFER_RING_API void continue_with(request& r, continuation& c);
    /// Takes that back.
    SAFER_RING_API void discontinue(request& r) noexcept;
    /// Calls `take`, which takes parts of `r` under the lock; if `r` has paused
    /// for that, it goes on.
    template <typename F>
    void take_from(request& r, F&& take)
    {
        guard held(mutex_);
        take_from(held, r, take);
    }
    /// The same by who is resumed, and has the lock.
    template <typename F>
    void take_from(engine_lock& held, request& r, F&& take)
    {
        take();
        unpause(held, r);
    }

    /// Offers the kernel these buffers under a number of their own, for as long
    /// as somebody besides the ring has a pointer to them. Throws std::system_error.
    SAFER_RING_API void attach(const std::shared_ptr<buffer_group>& buffers);
    /// Their buffer_ring is gone; they are taken back when nobody else has a pointer to them.
    SAFER_RING_API void orphan(std::shared_ptr<buffer_group>&& buffers) noexcept;

    /// Where messages to this ring go; made when it is asked for, which throws
    /// std::system_error and std::bad_alloc.
    [[nodiscard]] SAFER_RING_API std::shared_ptr<mailbox> messages();
    /// `r` is who takes them from now on, as this reader of the mailbox; throws
    /// std::logic_error while another one does that nobody has cancelled.
    SAFER_RING_API void give_messages_to(const request& r, std::uint64_t reader);

    /// Asks for the end of `r`; what it completes with tells what came of it.
    SAFER_RING_API void cancel(operation_id id);
    SAFER_RING_API void cancel_descriptor(int fd);
    SAFER_RING_API void cancel_registered(std::uint32_t index);
    SAFER_RING_API void cancel_all();
    /// The program gives `r` up, which is cancelled, and destroyed when it is
    /// complete. Gives who waited for it and is not going to be resumed.
    SAFER_RING_API continuation* abandon(std::unique_ptr<request> r) noexcept;

    /// Resumes what is due; see io_ring.
    SAFER_RING_API std::size_t poll();
    SAFER_RING_API std::size_t run();
    SAFER_RING_API std::size_t run_one(duration limit);

    SAFER_RING_API bool shutdown(duration limit);
    [[nodiscard]] SAFER_RING_API std::string describe();
    [[nodiscard]] SAFER_RING_API std::size_t in_flight();

private:
    using guard = engine_lock;
    using clock = std::chrono::steady_clock;

    /// What the thread in the kernel may still take out of the submission queue.
    enum class claim : std::uint8_t {
        none,
        fresh, ///< What it came to submit, ...
        stale, ///< ... or as many entries, whichever they are: others may have submitted those.
    };

    /// What user data carries besides an id: it is the answer to a cancellation.
    static constexpr std::uint64_t cancellation_tag = std::uint64_t{1} << 63;

    void require_room(std::size_t entries) const;
    void begin(request& r) noexcept;
    void submit_again(request& r) noexcept;
    [[nodiscard]] bool may_begin() noexcept;
    SAFER_RING_API void unpause(guard& held, request& r) noexcept;
    [[nodiscard]] static bool ran_out_of_time(const request& r, int result) noexcept;
    void go_on(request& r) noexcept;
    [[nodiscard]] bool supply() noexcept;
    continuation* stop_continuing(request& r) noexcept;
    void detach_orphans() noexcept;
    void fill_submissions() noexcept;
    [[nodiscard]] std::size_t entries_of_next() const noexcept;
    [[nodiscard]] bool next_might_be_broken() const noexcept;
    void write_next() noexcept;
    static void prepare_skipped(request& r, backend::submission_entry& entry) noexcept;
    void write_entry(request& r) noexcept;
    bool write_no_op() noexcept;
    bool flush(guard& held) noexcept;
    void flush_beside(guard& held) noexcept;
    void enter(guard& held, duration limit);
    bool reap() noexcept;
    void reap_and_flush(guard& held) noexcept;
    void complete(const backend::completion_entry& entry) noexcept;
    void give_turn(request& r) noexcept;
    void finish(request& r, int result, std::uint32_t flags) noexcept;
    void take_message(const backend::completion_entry& entry) noexcept;

    [[nodiscard]] static bool has_news(const request& r) noexcept
    {
        return r.id_ == operation_id::none || r.has_part();
    }
    bool wait_once(guard& held, clock::time_point deadline);
    void sleep(guard& held, clock::time_point deadline);
    void hand_over() noexcept;
    void wake(guard& held) noexcept;
    void make_due(request& r) noexcept
    {
        if (r.continuation_ == nullptr || r.due_)
            return;
        r.due_ = true;
        due_.push_back(r);
    }
    continuation& take_due(request& r) noexcept;
    bool resume_one(guard& held);
    void leave_resumed() noexcept;
    std::size_t drive(duration limit, std::size_t most);

    [[nodiscard]] bool write_cancellation(const request& r) noexcept;
    void ask_for_cancellation(request& r) noexcept;
    void ask_again() noexcept;
    void miss_cancellation(request& r) noexcept;
    void forget_missed(request& r) noexcept;
    void leave_parent(guard& held) noexcept;
    void note_limit(const request& r) noexcept;
    void enforce_limits() noexcept;
    void cancel(request& r) noexcept;
    void drop_cancelled_chain(request& r) noexcept;
    void send_cancellations(guard& held) noexcept;
    void drain(guard& held) noexcept;
    [[nodiscard]] std::string describe_locked() const;

    loop_mutex mutex_{true};
    std::condition_variable_any changed_;
    std::unique_ptr<backend::backend> kernel_;
    registry_owner registry_;
    clock::time_point flushed_at_;
    // No request has a time limit that is over before.
    clock::time_point next_limit_ = clock::time_point::max();
    // What the thread in the kernel knows of that.
    clock::time_point known_limit_ = clock::time_point::max();
    slot_table<request> slots_; // What is queued or in the kernel.
    request_queue<&request::to_submit_> queued_;
    request_queue<&request::to_continue_> due_;
    // Paused for want of something, the longest waiting first.
    request_queue<&request::to_submit_> starved_;
    // Of these a cancellation did not find the request, or there was no room for it.
    request_queue<&request::to_submit_> missed_;
    std::size_t missed_count_ = 0;
    std::size_t to_ask_ = 0; // Of those, the first, before the others have their turn again.
    unsigned process_;       // To which threads in the kernel and sleepers belong.
    std::uint64_t turn_ = 0;
    std::vector<std::shared_ptr<buffer_group>> buffers_; // Each at its number.
    std::size_t orphans_ = 0;                            // Of these, whose buffer_ring is gone.
    std::shared_ptr<mailbox> messages_;
    operation_id messages_to_ = operation_id::none; // Who takes them.
    std::size_t continuations_ = 0;                 // That are still to be resumed.
    std::size_t sleepers_ = 0;
    std::size_t resuming_ = 0; // Continuations that have not returned yet.
    claim claim_ = claim::none;
    std::size_t requests_in_kernel_ = 0; // But for endless ones.
    bool draining_ = false;              // Of those one is drained: nothing begins beside it.
    bool in_kernel_ = false;    // A thread is, without the lock, and reaps when it is back.
    bool cancel_again_ = false; // The next call asks for the missed ones again.
    bool flush_missed_ = false; // The kernel wanted the completions taken first.
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
