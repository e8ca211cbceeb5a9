// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/event_loop.hpp>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace safer_ring::inline SAFER_RING_ABI::ring {

class signal_hub;
struct signal_set;

/// A wait for a signal of a set.
class signal_operation : public operation {
public:
    int signal_number = 0;
    bool cancelled = false;

protected:
    signal_operation() = default;
    SAFER_RING_API ~signal_operation();

private:
    friend class signal_hub;

    signal_set* set_ = nullptr; // While it waits there.
    signal_hub* hub_ = nullptr; // Set when an id can cancel it.
    std::uint64_t id_ = 0;
};

/// One signal of one set.
struct signal_registration {
    int signal_number = 0;
    std::size_t undelivered = 0;
    signal_set* set = nullptr;
    signal_registration* next_in_set = nullptr;
    signal_registration* next_in_table = nullptr;
    signal_registration* previous_in_table = nullptr;
};

/// A set of signals and the waits for them.
struct signal_set {
    operation_queue waits;
    signal_registration* signals = nullptr;
    signal_set* next_waiting = nullptr; // While there are waits.
    signal_set* previous_waiting = nullptr;
};

/// Signals of one loop. The handler of a signal writes its number to a pipe
/// that all loops with a hub poll; the first to read it tells all hubs, so
/// that every set of the process that has the signal gets it.
///
/// Thread safety: all members may be called from any thread.
///
/// A signal has one handler in a process. The first set that has the signal
/// installs ours in place of whatever was there, the last one restores the
/// default; a handler that somebody else has installed meanwhile stays.
class signal_hub {
public:
    /// `respected` is a handler that is never replaced: that of another
    /// library whose own sets would fall silent.
    ///
    /// Throws std::system_error, for instance for want of descriptors, and
    /// std::logic_error when there is another hub and the loop of one of the two is not
    /// safe to be touched by other threads.
    SAFER_RING_API explicit signal_hub(event_loop& loop, void (*respected)(int) = nullptr);
    signal_hub(const signal_hub&) = delete;
    signal_hub& operator=(const signal_hub&) = delete;
    SAFER_RING_API ~signal_hub();

    /// Stands for "whatever flags others want".
    static constexpr int any_flags = -1;

    // Each answers zero or an errno.

    /// `flags` are those of sigaction(2): SA_RESTART, SA_NOCLDSTOP and
    /// SA_NOCLDWAIT. All sets of the process that have the signal share them.
    /// EINVAL: another set wants other flags. EBUSY: the respected handler is
    /// installed.
    SAFER_RING_API int add(signal_set& set, int signal_number, int flags = any_flags);
    SAFER_RING_API int remove(signal_set& set, int signal_number);
    SAFER_RING_API int clear(signal_set& set);

    /// `self` is the calling thread's state when it runs the loop, null otherwise.
    SAFER_RING_API void cancel(signal_set& set, loop_thread* self);
    SAFER_RING_API void cancel(std::uint64_t id, loop_thread* self);

    /// Queues a wait; a signal that came before completes it at once. With
    /// `id`, the wait can be cancelled by the number written there.
    SAFER_RING_API void start(signal_set& set, signal_operation& op, std::uint64_t* id,
                              loop_thread* self);

    /// Hands over all waits, for a context that goes away.
    SAFER_RING_API void shutdown();

private:
    friend class signal_operation;
    friend struct signal_state;
    class pipe_reader;

    static constexpr std::size_t max_signal_number = _NSIG;

    int remove_registration(signal_registration** place);
    void push_wait(signal_set& set, signal_operation& op) noexcept;
    void take_wait(signal_set& set, signal_operation& op) noexcept;
    signal_operation* take_wait(signal_set& set) noexcept;
    void deliver(int signal_number);

    event_loop& loop_;
    void (*const respected_)(int);
    descriptor* pipe_ = nullptr;
    signal_hub* next_ = nullptr;
    signal_set* waiting_ = nullptr; // Sets with waits, whether they have signals or not.
    std::array<signal_registration*, max_signal_number> table_{};
    std::unordered_map<std::uint64_t, signal_operation*> cancellable_;
    std::uint64_t last_id_ = 0;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
