// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "worker.hpp"

#include <future>
#include <shared_mutex>
#include <stdexcept>

// I/O objects that several threads use at once. Only what replaces an object,
// and what changes a timer or a resolver, has it for itself: those are the
// program's to serialise.
namespace stress {

class channel {
public:
    explicit channel(complaints& wrong) : wrong_(wrong) {}
    channel(const channel&) = delete;
    channel& operator=(const channel&) = delete;
    virtual ~channel() = default;

    /// Starts an operation of `by`'s.
    virtual void start(worker& by) = 0;
    /// Cancels whatever is pending.
    virtual void cancel() = 0;
    /// Destroys the objects, with all that is pending, and makes new ones.
    virtual void replace() = 0;
    /// When nothing is pending any more: is everything there that was sent?
    virtual void settle() {}

protected:
    std::shared_mutex mutex_;
    complaints& wrong_;
};

/// The end of an operation that a test waits for.
template <class T>
T settled(std::future<T> future)
{
    if (future.wait_for(test_support::watchdog_time) != std::future_status::ready)
        throw std::runtime_error("what was sent does not come");
    return future.get();
}

} // namespace stress
