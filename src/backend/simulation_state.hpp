// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/simulated.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <poll.h>
#include <set>
#include <sys/uio.h>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI::backend {

/// splitmix64: small, and the same on every platform.
class random_source {
public:
    explicit random_source(std::uint64_t seed) noexcept : state_(seed) {}

    std::uint64_t next() noexcept
    {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31);
    }
    /// From zero to `bound - 1`.
    std::size_t below(std::size_t bound) noexcept { return next() % bound; }
    bool chance(double probability) noexcept
    {
        return probability > 0 && static_cast<double>(next() >> 11) * 0x1.0p-53 < probability;
    }
    int pick(std::initializer_list<int> values) noexcept
    {
        return values.begin()[below(values.size())];
    }

private:
    std::uint64_t state_;
};

/// Marks the calling thread as being inside the simulation.
class executing_scope {
public:
    executing_scope() noexcept;
    executing_scope(const executing_scope&) = delete;
    executing_scope& operator=(const executing_scope&) = delete;
    ~executing_scope();

private:
    bool outer_;
};

struct simulation::state {
    explicit state(const simulation_plan& p);
    state(const state&) = delete;
    state& operator=(const state&) = delete;
    ~state();

    using guard = std::unique_lock<std::mutex>;
    using clock = std::chrono::steady_clock;

    /// An entry that was taken and has not been executed.
    struct request {
        submission_entry entry;
        int file = -1;            // Our reference to the file.
        bool nonblocking = false; // Of the file, at submission.
        bool held = false;
        bool cancel_requested = false; // While held.
        bool connecting = false;
        bool notifies = false;    // It was sent; that the memory is let go is still to be told.
        unsigned start_delay = 0; // In enters.
        std::vector<submission_entry> behind;  // Linked to it, not begun.
        std::optional<submission_entry> limit; // The link_timeout that is running.
        std::optional<clock::time_point> due;  // Of a timeout.
        std::optional<clock::time_point> limit_due;
    };

    /// Bytes for memory of the program.
    struct copied {
        void* to = nullptr;
        std::vector<std::byte> data;
    };

    /// What execution brought: the memory is written and the completion
    /// posted together.
    struct outcome {
        opcode op = opcode::nop;
        completion_entry completion{};
        std::vector<std::byte> data;
        std::vector<iovec> to;    // Where the data goes, into one after the other.
        std::vector<copied> also; // Addresses, ancillary data and lengths.
        unsigned delay = 0;       // In enters.
    };

    struct buffer_group {
        provided_buffer* ring = nullptr;
        unsigned count = 0;
        std::uint16_t head = 0;
        [[nodiscard]] unsigned available() const noexcept;
    };

    struct failure {
        unsigned at;
        unsigned times;
        int error;
    };

    // simulated.cpp: the protocol of the queues
    int enter(unsigned to_submit, unsigned min_complete, const backend::timeout* wait);
    unsigned take(unsigned to_submit);
    void note(const submission_entry& entry);
    void begin(const std::vector<submission_entry>& chain);
    void submit(request& r);
    int wait_for(guard& held, unsigned target, const backend::timeout* wait);
    void progress();
    void deliver_outcomes();
    void finish(outcome& o);
    void post(const completion_entry& completion);
    void flush_overflow();
    void update_attention();
    void wake_waiters();
    void close_ring();
    void finish_closed();
    int due_failure(call which);

    // simulated_registrations.cpp: what is registered
    [[nodiscard]] static int duplicate(int fd);
    [[nodiscard]] int registered_file(std::int64_t index) const noexcept;
    [[nodiscard]] int descriptor_of(const submission_entry& entry) const noexcept;
    int set_file(std::int64_t index, int fd);
    int install(const submission_entry& entry, int fd);
    int close_file(const submission_entry& entry);
    int resolve_registered_memory(submission_entry& entry) const noexcept;

    // simulated_memory.cpp: where the bytes are
    [[nodiscard]] static std::vector<iovec> parts_of(const submission_entry& e);
    [[nodiscard]] static std::size_t length_of(const submission_entry& e);
    void shorten(std::size_t& length);
    std::size_t prepare_to_fill(const submission_entry& e, outcome& o);
    std::vector<std::byte> gather(const submission_entry& e);
    static void deliver(const outcome& o);
    static void add_memory_of(std::vector<memory_range>& ranges, const submission_entry& e);
    static void add_memory_of(std::vector<memory_range>& ranges, const outcome& o);
    static void add_memory_of(std::vector<memory_range>& ranges, const buffer_group& group);

    // simulated_execution.cpp: the requests
    bool attempt(request& r);
    void read_at_once(request& r);
    bool notify(request& r);
    std::optional<int> execute(request& r, outcome& o, short revents);
    std::optional<int> injected_result(const request& r);
    std::optional<int> receive(request& r, outcome& o);
    std::optional<int> receive_message(request& r, outcome& o);
    std::optional<int> send(request& r);
    std::optional<int> read(request& r, outcome& o);
    std::optional<int> write(request& r);
    std::optional<int> accept(request& r, outcome& o);
    std::optional<int> connect(request& r);
    int open(const submission_entry& entry);
    int splice(const request& r);
    void cancel(const submission_entry& entry);
    bool run_out(request& r);
    [[nodiscard]] std::optional<clock::time_point> earliest_timer() const;
    void end(request& r, int result);
    void keep_buffer(const submission_entry& e, outcome& o) noexcept;
    [[nodiscard]] static bool is_short(const submission_entry& e, std::size_t moved_bytes);
    void follow(request& r, int result);
    void complete(const submission_entry& entry, int result);
    void add_outcome(outcome&& o);
    void drop(request& r) noexcept;
    [[nodiscard]] static short events_of(const request& r) noexcept;
    [[nodiscard]] static bool never_waits(const request& r) noexcept;

    [[nodiscard]] bool is_held(const submission_entry& entry) const;
    [[nodiscard]] unsigned delay() noexcept
    {
        return 1 + static_cast<unsigned>(random.below(plan.longest_delay_enters));
    }

    const simulation_plan plan;
    mutable std::mutex mutex;
    random_source random;

    std::vector<submission_entry> sq;
    std::vector<completion_entry> cq;
    unsigned sq_head = 0; // These five are shared with the ring layer, by atomic access.
    unsigned sq_tail = 0;
    unsigned sq_flags = 0;
    unsigned cq_head = 0;
    unsigned cq_tail = 0;
    std::deque<completion_entry> overflow;

    std::list<request> requests;
    std::list<outcome> outcomes;
    std::map<std::uint16_t, buffer_group> groups;
    std::vector<int> files;            // Registered, -1 where there is none.
    std::vector<memory_range> buffers; // The same of memory, null where there is none.
    std::vector<int> close_when_drained;
    std::vector<submission_entry> history;
    bool closed = false;

    std::set<opcode> held_opcodes;
    std::set<int> held_descriptors;
    bool holds_everything = false;
    bool holds_notifications = false;
    bool waits_are_held = false;
    unsigned held_waits = 0;
    std::condition_variable held_waits_changed;

    std::map<call, unsigned> calls;
    std::map<call, std::vector<failure>> call_failures;
    std::map<opcode, unsigned> entries;
    std::map<opcode, std::vector<failure>> entry_failures;

    // One eventfd for each waiting thread: a shared one would be drained by
    // the first to wake.
    std::vector<int> idle_wakers;
    std::vector<int> active_wakers;
};

/// Copies to or from memory of the program, which AddressSanitizer watches: what
/// is freed is found. What is poisoned because it was lent to the kernel is not.
void copy_as_kernel(void* to, const void* from, std::size_t size_bytes) noexcept;

/// The bit of the submission queue's flags that asks for an enter.
inline constexpr unsigned simulation_attention = 1;

} // namespace safer_ring::inline SAFER_RING_ABI::backend
