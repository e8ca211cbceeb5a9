// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/backend.hpp>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Calls event_loop::drive for a loop that no thread runs, on the threads of
/// somebody else's loop.
///
/// All members are called under the lock of the event_loop, from any thread,
/// and must not call it back.
class driver {
public:
    /// There is something to do: arrange for a call of drive(), soon.
    virtual void wake() noexcept = 0;

    /// Nothing more to do for now: call drive() when the loop's descriptor
    /// becomes readable, or after `wait` (event_loop::wait_forever: no timer).
    virtual void wait_for(backend::backend::timeout wait) noexcept = 0;

    /// The loop has no work, so nothing of it should keep the other one
    /// running.
    virtual void rest() noexcept = 0;

    /// This process was forked, and in place of `ready_descriptor()` there is another
    /// one. What this throws, the loop throws, and asks again.
    virtual void moved_to_child(int ready_descriptor) { static_cast<void>(ready_descriptor); }

protected:
    ~driver() = default;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
