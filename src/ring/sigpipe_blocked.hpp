// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

#include <csignal>
#include <ctime>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Keeps a SIGPIPE that the calling thread brings upon itself from being
/// delivered.
class sigpipe_blocked {
public:
    sigpipe_blocked() noexcept
    {
        ::sigemptyset(&sigpipe_);
        ::sigaddset(&sigpipe_, SIGPIPE);
        sigset_t pending;
        ::sigpending(&pending);
        was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
        ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
    }
    sigpipe_blocked(const sigpipe_blocked&) = delete;
    sigpipe_blocked& operator=(const sigpipe_blocked&) = delete;
    ~sigpipe_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    /// Takes the signal of a write that failed with EPIPE.
    void take() noexcept
    {
        const timespec at_once{};
        if (!was_pending_)
            ::sigtimedwait(&sigpipe_, nullptr, &at_once);
    }

private:
    sigset_t sigpipe_;
    sigset_t before_;
    bool was_pending_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
