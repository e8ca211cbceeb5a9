// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/backend.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI::backend {

/// How a simulated kernel misbehaves. Every number without a unit is a
/// probability from 0 to 1; the defaults are a kernel that behaves.
///
/// The same plan gives the same decisions in the same order, so that a run of
/// one thread replays from its seed.
struct simulation_plan {
    std::uint64_t seed = 1;

    double enter_error = 0;        ///< enter fails: EINTR, EAGAIN, EBUSY or ENOMEM.
    double partial_submission = 0; ///< enter takes only the first entries of the batch, or chains.
    double short_count = 0;        ///< A receive or a send moves less than it could.
    double interrupted = 0;        ///< A request ends with EINTR, nothing done.
    double would_block = 0;        ///< A request ends with EAGAIN, nothing done.
    double no_buffers = 0;         ///< A receive ends with ENOBUFS although there are buffers.
    double connection_error = 0;   ///< ECONNRESET, EPIPE, ECONNABORTED, ECONNREFUSED and others.
    double lost_thread = 0;        ///< An ECANCELED that nobody asked for.
    double spurious_ready = 0;     ///< A poll request reports what is not so.
    double late_start = 0;         ///< A request is looked at some enters later.
    double late_completion = 0;    ///< A request is executed, and its completion comes later.
    double missed_cancel = 0;      ///< A cancellation answers ENOENT or EALREADY and has no effect.
    double reorder = 0;            ///< Completions of one turn come in any order.
    double end_takes_buffer = 0;   ///< End of file uses up a provided buffer.
    double error_takes_buffer = 0; ///< So does an error, as when a worker had chosen it.

    /// The longest that the late ones above are late, in calls of enter.
    unsigned longest_delay_enters = 4;

    /// While completions overflow, nothing is submitted: EBUSY (before Linux 5.19).
    bool refuses_when_overflowing = false;

    bool buffer_ring = true;        ///< Buffers chosen by the kernel exist.
    bool receive_poll_first = true; ///< receive_poll_first is understood.
    bool wait_timeout = true;       ///< The wait has one of its own: Linux 5.11.
    bool nowait_reads = true;       ///< Reads with RWF_NOWAIT never outlive their call.
    bool zero_copy_send = false;    ///< It exists.
    /// It exists; each completion is the last of its request, as a kernel may have it.
    bool multishot_receive = false;

    /// A plan in which everything happens now and then.
    [[nodiscard]] static SAFER_RING_API simulation_plan random(std::uint64_t seed);

    /// One line, to be printed when a test fails.
    [[nodiscard]] SAFER_RING_API std::string describe() const;
};

/// The kernel's side of a `simulated_backend`, and a test's hold on it.
///
/// It executes entries by non-blocking system calls on real descriptors. As
/// the kernel does, it keeps a reference to the file of every request, and
/// goes on with what is held when the backend is gone already.
///
/// Thread safety: all members may be called from any thread.
class SAFER_RING_API simulation {
public:
    explicit simulation(const simulation_plan& plan = {});
    simulation(const simulation&) = delete;
    simulation& operator=(const simulation&) = delete;
    ~simulation();

    [[nodiscard]] const simulation_plan& plan() const noexcept;

    // ---- failures

    /// The calls of the seam that can fail.
    enum class call : std::uint8_t { enter, register_buffer_ring, close_when_drained };

    /// The n-th call from now on, counted from one, and the `times - 1` behind
    /// it answer `-error` without effect.
    void fail_nth(call which, unsigned n, int error, unsigned times = 1);

    /// Takes back the failures of this call that are still to come.
    void fail_no_more(call which);

    /// The n-th entry of this kind that begins from now on ends with `-error`,
    /// without being executed.
    void fail_nth(opcode op, unsigned n, int error);

    /// True when no failure that was asked for is still to come.
    [[nodiscard]] bool failures_spent() const;

    [[nodiscard]] unsigned count(call which) const;
    [[nodiscard]] unsigned count(opcode op) const;

    // ---- holding

    /// Requests of this kind, those in flight and those to come, are not
    /// executed until they are released, and cannot be cancelled meanwhile.
    void hold(opcode op);
    /// The same for all requests on this descriptor.
    void hold_descriptor(int fd);
    /// The same for all requests but no-ops, closes and cancellations.
    void hold_everything();

    /// Zero-copy sends are executed, and that the kernel has let go of the memory
    /// is not told until they are released.
    void hold_notifications();

    /// Ends all holding. What can be executed now is, also when it was to be
    /// cancelled; of the rest, what was to be cancelled ends with ECANCELED.
    void release();

    /// Threads that are to wait for completions stop at the door of `enter`,
    /// which has done nothing for them yet, ...
    void hold_waits();
    /// ... blocks until one is there ...
    void await_held_wait();
    /// ... and lets them in.
    void release_waits();

    /// Lets the kernel do what it can do by itself, between two enters.
    void step();

    /// Posts a completion that belongs to no request.
    void post(const completion_entry& completion);

    // ---- watching

    struct request_info {
        opcode op;
        int fd; ///< The number at submission, which may be another file's by now.
        std::uint64_t user_data;
        bool held;
        bool cancel_requested;
        submission_entry entry;
    };

    /// Requests whose completion has not been posted.
    [[nodiscard]] std::vector<request_info> in_flight() const;
    [[nodiscard]] std::size_t in_flight_count() const;

    /// Entries as they were submitted, oldest first.
    [[nodiscard]] std::vector<submission_entry> submitted() const;

    struct memory_range {
        const std::byte* begin;
        std::size_t size_bytes;
        [[nodiscard]] bool overlaps(const void* data, std::size_t size) const noexcept
        {
            const auto* const other = static_cast<const std::byte*>(data);
            return begin < other + size && other < begin + size_bytes;
        }
    };

    /// Memory that requests in flight may still read or write: what their
    /// entries point to, and all buffers on offer.
    [[nodiscard]] std::vector<memory_range> referenced_memory() const;

    /// Buffers that could be chosen now.
    [[nodiscard]] unsigned buffers_on_offer() const;

    /// True once the backend is destroyed.
    [[nodiscard]] bool closed() const;

    /// True while the calling thread is inside the simulation: its own system
    /// calls and allocations are not those of the code under test.
    [[nodiscard]] static bool executing() noexcept;

private:
    friend class simulated_backend;
    struct state;
    std::unique_ptr<state> state_;
};

/// A backend without a ring: queues of the same layout, executed by a
/// `simulation` that the test keeps hold of.
class SAFER_RING_API simulated_backend final : public backend {
public:
    simulated_backend(std::shared_ptr<simulation> kernel, const options& settings);

    /// Drops all requests that are not held.
    ~simulated_backend() override;

    int enter(unsigned to_submit, unsigned min_complete, const timeout* wait) noexcept override;
    int register_buffer_ring(provided_buffer* ring, unsigned count,
                             std::uint16_t group) noexcept override;
    int unregister_buffer_ring(std::uint16_t group) noexcept override;
    int close_when_drained(int fd) noexcept override;
    int register_file_table(unsigned count) noexcept override;
    int update_file(unsigned index, int fd) noexcept override;
    int register_buffer_table(unsigned count) noexcept override;
    int update_buffer(unsigned index, void* data, std::size_t size_bytes) noexcept override;

private:
    std::shared_ptr<simulation> kernel_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::backend
