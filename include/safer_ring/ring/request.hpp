// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/io_result.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// What is called when a request has completed, once, by a thread that polls
/// or runs the ring.
class continuation {
public:
    virtual void resume() = 0;
    /// The ring goes away before anybody has polled or run it.
    virtual void drop() noexcept = 0;

protected:
    continuation() = default;
    ~continuation() = default;
};

/// Names a submitted operation, also when it is over.
enum class request_id : std::uint64_t {};

/// One entry with all that the kernel may look at until its last completion:
/// the handle that a program has may go, this stays.
class request {
public:
    request(const request&) = delete;
    request& operator=(const request&) = delete;
    virtual ~request() = default;

    /// Fills a fresh entry, all but user data and flags.
    virtual void prepare(backend::submission_entry& entry) noexcept = 0;
    /// The bytes of its buffers are the kernel's from here on, ...
    virtual void lend() noexcept {}
    /// ... and the program's again.
    virtual void take_back(int result) noexcept { static_cast<void>(result); }
    /// What it is and what it is made on, without the code.
    [[nodiscard]] virtual io_error subject() const noexcept = 0;
    /// Where its buffer is, if it has one.
    [[nodiscard]] virtual const void* memory() const noexcept { return nullptr; }

    /// Zero or a positive result, or the negated errno.
    [[nodiscard]] int result() const noexcept { return result_; }
    [[nodiscard]] bool cancel_requested() const noexcept { return cancel_requested_; }
    [[nodiscard]] request_id id() const noexcept { return static_cast<request_id>(name_); }
    /// Complete: the ring does not know it any more, unless somebody is to be
    /// told of it.
    [[nodiscard]] bool is_over() const noexcept { return over_.load(std::memory_order_acquire); }

    std::uint8_t entry_flags = 0;
    bool has_time_limit = false;
    backend::kernel_time time_limit{};

protected:
    request() = default;

private:
    friend class ring_core;

    enum class state : std::uint8_t {
        idle,      ///< The program's: not submitted yet, or complete.
        queued,    ///< Will be written to the submission queue at the next flush.
        in_kernel, ///< The kernel owes a completion.
        ready,     ///< Complete, and its continuation is due.
    };

    state state_ = state::idle;
    bool cancel_requested_ = false;
    bool abandoned_ = false; // Nobody holds it: it is destroyed when it completes.
    bool in_chain_ = false;  // Others fail with it.
    std::atomic<bool> over_{false};
    int result_ = 0;
    std::uint64_t id_ = 0; // Zero while the engine does not have it.
    std::uint64_t name_ = 0;
    request* next_ = nullptr; // In the queue that it is in.
    continuation* continuation_ = nullptr;
    std::chrono::steady_clock::time_point started_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
