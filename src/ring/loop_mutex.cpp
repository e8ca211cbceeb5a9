// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/loop_mutex.hpp>

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

/// The lock is held for less than a system call takes.
constexpr int attempts_before_sleep = 16;
constexpr int attempts_before_yield = 12;

void pause_for(int attempt) noexcept
{
    if (attempt >= attempts_before_yield)
        ::sched_yield();
#if defined(__x86_64__) || defined(__i386__)
    else
        __builtin_ia32_pause();
#endif
}

} // namespace

void loop_mutex::lock_contended() noexcept
{
    while (state_.exchange(contended, std::memory_order_acquire) != unlocked) {
        for (int i = 0; i != attempts_before_sleep; ++i) {
            pause_for(i);
            if (state_.load(std::memory_order_relaxed) != contended)
                break;
        }
        if (state_.load(std::memory_order_relaxed) == contended) // As the kernel will see it, too.
            ::syscall(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, contended, nullptr, nullptr, 0);
    }
}

void loop_mutex::wake_one() noexcept
{
    ::syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
