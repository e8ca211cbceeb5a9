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
};

/// Signals of one loop. The handler of a signal writes its number to a pipe
/// that all loops with a hub poll; the first to read it tells all hubs, so
/// that every set of the process that has the signal gets it.
///
/// Thread safety: all members may be called from any thread.
class signal_hub {
public:
    /// Throws std::system_error, for instance for want of descriptors.
    SAFER_RING_API explicit signal_hub(event_loop& loop);
    signal_hub(const signal_hub&) = delete;
    signal_hub& operator=(const signal_hub&) = delete;
    SAFER_RING_API ~signal_hub();

    // Each answers zero or an errno.
    SAFER_RING_API int add(signal_set& set, int signal_number);
    SAFER_RING_API int remove(signal_set& set, int signal_number);
    SAFER_RING_API int clear(signal_set& set);

    SAFER_RING_API void cancel(signal_set& set);
    SAFER_RING_API void cancel(std::uint64_t id);

    /// Queues a wait; a signal that came before completes it at once. With
    /// `id`, the wait can be cancelled by the number written there.
    SAFER_RING_API void start(signal_set& set, signal_operation& op, std::uint64_t* id);

    /// Hands over all waits, for a context that goes away.
    SAFER_RING_API void shutdown();

private:
    friend class signal_operation;
    friend struct signal_state;
    class pipe_reader;

    static constexpr std::size_t max_signal_number = _NSIG;

    int remove_registration(signal_registration** place);
    void deliver(int signal_number);

    event_loop& loop_;
    descriptor* pipe_ = nullptr;
    signal_hub* next_ = nullptr;
    std::array<signal_registration*, max_signal_number> table_{};
    std::unordered_map<std::uint64_t, signal_operation*> cancellable_;
    std::uint64_t last_id_ = 0;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
