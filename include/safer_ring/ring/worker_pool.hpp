// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/event_loop.hpp>

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Forgets threads of the parent of this process: of those that a child of fork(2)
/// inherited there are the handles only. To join one may never end, and to detach it might
/// hit a new thread that has its memory. Throws std::bad_alloc, and then nothing has happened.
SAFER_RING_API void forget_inherited(std::vector<std::thread>&& threads);

/// Work that blocks and that the kernel cannot do for us. It runs on a thread
/// of a pool; its handler runs in the loop, as that of any operation.
class background_operation : public operation {
public:
    /// The blocking part. Runs once at most, on a thread of the pool, without
    /// any lock held.
    virtual void perform() noexcept = 0;

protected:
    background_operation() = default;
    ~background_operation() = default;
};

/// A few threads for calls that block. They are started when work is there
/// and none is free, up to a bound, and stay until the end; what is started
/// beyond waits in a queue, in order.
///
/// All signals are blocked on them, so that a program's signals reach its own
/// threads. Those that `pin_this_thread` has pinned do not hand it on to them.
///
/// Thread safety: all members may be called from any thread.
class worker_pool {
public:
    /// Starts no thread yet. `most_threads` is at least one.
    SAFER_RING_API worker_pool(event_loop& loop, std::size_t most_threads) noexcept;
    worker_pool(const worker_pool&) = delete;
    worker_pool& operator=(const worker_pool&) = delete;
    SAFER_RING_API ~worker_pool();

    /// Queues `op` and counts it as the loop's work until its handler has run.
    /// Throws std::system_error, and then nothing has happened, when there is
    /// no thread and none can be made.
    SAFER_RING_API void start(background_operation& op);

    /// Around fork(2), after which a child has no threads: lets the calls in progress
    /// end and joins the threads, ...
    SAFER_RING_API void pause();
    /// ... and goes on, in parent and child, with what is still queued. Throws
    /// std::system_error when there is no thread for it and none can be made.
    SAFER_RING_API void resume();

    /// Lets the calls in progress end, joins the threads, and hands every
    /// operation back to the loop, which destroys what it does not run.
    /// A blocking call cannot be ended from outside, so this lasts as long as
    /// the longest of them.
    SAFER_RING_API void shutdown();

private:
    void run() noexcept;
    void add_thread();
    void leave_parent();

    event_loop& loop_;
    const std::size_t most_threads_;
    std::mutex mutex_;
    std::condition_variable changed_;
    operation_queue queue_;
    std::size_t queued_ = 0;
    std::size_t idle_ = 0; // Threads that wait for work.
    std::vector<std::thread> threads_;
    unsigned process_; // In which they are; a child of it has none.
    bool stopping_ = false;
    bool pausing_ = false;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
