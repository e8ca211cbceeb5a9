// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>
#include <safer_ring/ring/operation.hpp>

#include <chrono>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// What the loop needs of a queue of timers; one for each clock.
/// Called under the loop's lock.
class timer_queue_base {
public:
    timer_queue_base() = default;
    timer_queue_base(const timer_queue_base&) = delete;
    timer_queue_base& operator=(const timer_queue_base&) = delete;

    [[nodiscard]] virtual bool empty() const noexcept = 0;

    /// How long until the earliest timer is due, at most `limit`.
    [[nodiscard]] virtual std::chrono::nanoseconds
    wait_duration(std::chrono::nanoseconds limit) const = 0;

    /// Moves the operations of due timers to `ready`, earliest first.
    virtual void take_due(operation_queue& ready) = 0;

    /// Moves all operations to `ops`.
    virtual void take_all(operation_queue& ops) noexcept = 0;

protected:
    ~timer_queue_base() = default;

private:
    friend class event_loop;
    timer_queue_base* next_ = nullptr;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
