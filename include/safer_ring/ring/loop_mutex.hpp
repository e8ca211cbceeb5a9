// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

#include <atomic>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// The lock of a loop; does nothing in `threading::unsafe`.
///
/// A loop takes it twice for each operation, nearly always uncontended. So
/// that part is inline, and free of atomic read-modify-writes while the
/// process has a single thread, which glibc tells since 2.32. Who has to wait
/// sleeps on the word itself (futex(2)); not by std::atomic::wait, which counts
/// the sleepers in a table, to wake none in vain: of that, plugins and what was
/// compiled by another GCC may have one of their own.
class loop_mutex {
public:
    explicit loop_mutex(bool enabled) noexcept : enabled_(enabled) {}
    loop_mutex(const loop_mutex&) = delete;
    loop_mutex& operator=(const loop_mutex&) = delete;

    void lock() noexcept
    {
        if (!enabled_)
            return;
        if (single_threaded()) {
            state_.store(locked, std::memory_order_relaxed);
            return;
        }
        int expected = unlocked;
        if (!state_.compare_exchange_strong(expected, locked, std::memory_order_acquire,
                                            std::memory_order_relaxed))
            lock_contended();
    }

    void unlock() noexcept
    {
        if (!enabled_)
            return;
        if (single_threaded()) { // There is nobody to wake.
            state_.store(unlocked, std::memory_order_relaxed);
            return;
        }
        if (state_.exchange(unlocked, std::memory_order_release) == contended)
            wake_one();
    }

private:
    enum : int { unlocked, locked, contended };

    static bool single_threaded() noexcept
    {
#if __has_include(<sys/single_threaded.h>)
        return __libc_single_threaded != 0;
#else
        return false;
#endif
    }

    SAFER_RING_API void lock_contended() noexcept;
    SAFER_RING_API void wake_one() noexcept;

    std::atomic<int> state_{unlocked};
    static_assert(sizeof(std::atomic<int>) == sizeof(int)); // As futex(2) wants it.
    const bool enabled_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
