// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "backend/fork_watch.hpp"

#include <safer_ring/ring/cpu_affinity.hpp>
#include <safer_ring/ring/worker_pool.hpp>

#include <algorithm>
#include <csignal>
#include <new>
#include <pthread.h>
#include <signal.h>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

/// A thread inherits the signal mask of its maker, so that a signal can never
/// arrive on it, not even before its first instruction.
class signal_blocker {
public:
    signal_blocker() noexcept
    {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    signal_blocker(const signal_blocker&) = delete;
    signal_blocker& operator=(const signal_blocker&) = delete;
    ~signal_blocker() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_;
};

} // namespace

worker_pool::worker_pool(event_loop& loop, std::size_t most_threads) noexcept
    : loop_(loop), most_threads_(std::max<std::size_t>(most_threads, 1)),
      process_(backend::fork_watch::generation())
{
}

worker_pool::~worker_pool()
{
    shutdown();
}

void worker_pool::add_thread()
{
    const signal_blocker blocked;
    threads_.emplace_back([this, cpus = cpus_before_pinning()] {
        static_cast<void>(use_cpus(cpus)); // Where that is refused they share a processor.
        run();
    });
}

void forget_inherited(std::vector<std::thread>&& threads)
{
    struct keeper {
        std::mutex mutex;
        std::vector<std::vector<std::thread>> kept;
    };
    static auto& all = *new keeper; // Never destroyed, as none of them may be.
    if (threads.empty())
        return;
    const std::lock_guard held(all.mutex);
    all.kept.push_back(std::move(threads));
    threads.clear();
}

/// In a child of the process that has the threads: those that wait are not there.
void worker_pool::leave_parent()
{
    const unsigned process = backend::fork_watch::generation();
    if (process_ == process)
        return;
    forget_inherited(std::move(threads_)); // Which may throw.
    process_ = process;
    // Whoever was to end the pause has not, or this would be its process.
    pausing_ = false;
    // Destroying it would wait for them (POSIX Threads in glibc).
    if (std::exchange(idle_, 0) != 0)
        ::new (&changed_) std::condition_variable;
}

void worker_pool::start(background_operation& op)
{
    {
        const std::lock_guard lock(mutex_);
        leave_parent();
        if (!stopping_) {
            if (queued_ >= idle_ && threads_.size() < most_threads_ && !pausing_) {
                try {
                    add_thread();
                } catch (...) {
                    // Those that are there do the work, only later.
                    if (threads_.empty())
                        throw;
                }
            }
            loop_.work_started();
            queue_.push_back(&op);
            ++queued_;
            changed_.notify_one();
            return;
        }
    }
    // Started by a handler's destructor while the context goes away.
    loop_.work_started();
    operation_queue late;
    late.push_back(&op);
    loop_.post_deferred(late, nullptr);
}

void worker_pool::run() noexcept
{
    std::unique_lock lock(mutex_);
    while (!stopping_ && !pausing_) {
        auto* const op = static_cast<background_operation*>(queue_.pop_front());
        if (op == nullptr) {
            ++idle_;
            changed_.wait(lock);
            --idle_;
            continue;
        }
        --queued_;
        lock.unlock();
        op->perform();
        operation_queue done;
        done.push_back(op);
        loop_.post_deferred(done, nullptr);
        lock.lock();
    }
}

void worker_pool::shutdown()
{
    std::vector<std::thread> threads;
    operation_queue rest;
    {
        const std::lock_guard lock(mutex_);
        leave_parent();
        stopping_ = true;
        threads.swap(threads_);
        rest.splice_back(queue_);
        queued_ = 0;
    }
    changed_.notify_all();
    for (std::thread& thread : threads)
        thread.join();
    loop_.post_deferred(rest, nullptr);
}

void worker_pool::pause()
{
    std::vector<std::thread> threads;
    {
        const std::lock_guard lock(mutex_);
        leave_parent();
        pausing_ = true;
        threads.swap(threads_);
    }
    changed_.notify_all();
    for (std::thread& thread : threads)
        thread.join();
}

void worker_pool::resume()
{
    const std::lock_guard lock(mutex_);
    leave_parent();
    pausing_ = false;
    if (stopping_)
        return;
    while (threads_.size() < std::min(queued_, most_threads_)) {
        try {
            add_thread();
        } catch (...) {
            if (threads_.empty())
                throw;
            return;
        }
    }
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
