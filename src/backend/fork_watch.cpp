// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "fork_watch.hpp"

#include <atomic>
#include <cstddef>
#include <mutex>
#include <new>
#include <pthread.h>
#include <system_error>

namespace safer_ring::inline SAFER_RING_ABI::backend {
namespace {

/// Never destroyed: objects of static storage may hold rings.
struct watches {
    std::mutex mutex;
    fork_watch* first = nullptr;
};

watches& all() noexcept
{
    alignas(watches) static std::byte memory[sizeof(watches)];
    static watches* const the_watches = ::new (memory) watches;
    return *the_watches;
}

std::atomic<unsigned> forks{0};

} // namespace

unsigned fork_watch::generation() noexcept
{
    return forks.load(std::memory_order_relaxed);
}

void fork_watch::before_fork() noexcept
{
    all().mutex.lock();
}

void fork_watch::in_parent() noexcept
{
    all().mutex.unlock();
}

void fork_watch::in_child() noexcept
{
    forks.fetch_add(1, std::memory_order_relaxed);
    for (fork_watch* w = all().first; w != nullptr; w = w->next_)
        w->forked();
    all().mutex.unlock();
}

void fork_watch::watch_forks()
{
    static const int error = ::pthread_atfork(&before_fork, &in_parent, &in_child);
    if (error != 0)
        throw std::system_error(error, std::system_category(), "safer_ring: pthread_atfork");
    const std::lock_guard held(all().mutex);
    previous_ = nullptr; // It may have watched before.
    next_ = all().first;
    if (next_ != nullptr)
        next_->previous_ = this;
    all().first = this;
    is_watching_ = true;
}

void fork_watch::ignore_forks() noexcept
{
    if (!is_watching_)
        return;
    const std::lock_guard held(all().mutex);
    (previous_ != nullptr ? previous_->next_ : all().first) = next_;
    if (next_ != nullptr)
        next_->previous_ = previous_;
    is_watching_ = false;
}

} // namespace safer_ring::inline SAFER_RING_ABI::backend
