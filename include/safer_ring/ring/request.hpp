// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/entry.hpp>
#include <safer_ring/ring/io_result.hpp>
#include <safer_ring/ring/loop_mutex.hpp>
#include <safer_ring/ring/recycled.hpp>
#include <safer_ring/ring/slot_table.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace safer_ring::inline SAFER_RING_ABI::ring {

using engine_lock = std::unique_lock<loop_mutex>;

/// What is called when a request has completed, once, by a thread that polls
/// or runs the ring.
class continuation : public recycled {
public:
    /// Under the engine's lock, before `resume`: whoever destroys what it waited for
    /// comes too late from here on.
    virtual void claim(engine_lock& held) noexcept { static_cast<void>(held); }
    virtual void resume() = 0;
    /// The ring goes away before anybody has polled or run it.
    virtual void drop() noexcept = 0;

protected:
    continuation() = default;
    ~continuation() = default;
};

class request;

/// A place in a queue.
struct request_hook {
    request* previous = nullptr;
    request* next = nullptr;
};

/// One entry with all that the kernel may look at until its last completion:
/// the handle that a program has may go, this stays.
///
/// All virtual members but the destructor are called under the engine's lock.
class request : public recycled {
public:
    request(const request&) = delete;
    request& operator=(const request&) = delete;
    virtual ~request() = default;

    /// Fills a fresh entry, all but user data and flags.
    virtual void prepare(backend::submission_entry& entry) noexcept = 0;
    /// The bytes of its buffers are the kernel's from here on, ...
    virtual void lend() noexcept {}
    /// ... and the program's again. Gives what the result is in the end.
    virtual int take_back(int result, std::uint32_t flags) noexcept
    {
        static_cast<void>(flags);
        return result;
    }
    /// Of a last completion: whether it is to be submitted once more instead of
    /// being complete.
    [[nodiscard]] virtual bool goes_on(int result, std::uint32_t flags) noexcept
    {
        static_cast<void>(result);
        static_cast<void>(flags);
        return false;
    }
    /// A completion behind which there will be others (IORING_CQE_F_MORE).
    virtual void part(int result, std::uint32_t flags) noexcept
    {
        static_cast<void>(result);
        static_cast<void>(flags);
    }
    /// Of the parts there is one that nobody has taken.
    [[nodiscard]] virtual bool has_part() const noexcept { return false; }
    /// It is not to be in the kernel for now: asked behind `part`, and when it
    /// goes on. It keeps its place in the ring meanwhile.
    [[nodiscard]] virtual bool pauses() const noexcept { return false; }
    /// It pauses because what it needs has run out, ...
    [[nodiscard]] virtual bool is_starved() const noexcept { return false; }
    /// ... and whether there is some for it in this turn of the ring.
    [[nodiscard]] virtual bool is_supplied(std::uint64_t turn) noexcept
    {
        static_cast<void>(turn);
        return true;
    }
    /// What it is and what it is made on, without the code.
    [[nodiscard]] virtual io_error subject() const noexcept = 0;
    /// -1 stands for no descriptor, and nothing is on that.
    [[nodiscard]] virtual bool is_on(int fd) const noexcept
    {
        return fd >= 0 && subject().descriptor == fd;
    }
    [[nodiscard]] virtual bool is_on_registered(std::uint32_t index) const noexcept
    {
        static_cast<void>(index);
        return false;
    }
    /// Where its buffer is, if it has one.
    [[nodiscard]] virtual const void* memory() const noexcept { return nullptr; }

    /// Zero or a positive result, or the negated errno.
    [[nodiscard]] int result() const noexcept { return result_; }
    [[nodiscard]] bool cancel_requested() const noexcept { return cancel_requested_; }
    [[nodiscard]] operation_id id() const noexcept { return name_; }
    /// Complete: the ring does not know it any more, unless somebody is to be
    /// told of it.
    [[nodiscard]] bool is_over() const noexcept { return over_.load(std::memory_order_acquire); }

    /// Others fail with it.
    [[nodiscard]] bool is_in_chain() const noexcept { return in_chain_; }

    std::uint8_t entry_flags = 0;
    bool has_time_limit = false;
    /// False for what has an effect also when it was interrupted.
    bool may_be_repeated = true;
    /// It ends when somebody cancels it: nothing drained waits for that.
    bool is_endless = false;
    /// Set by `part`: there is nothing left to cancel, and only the last
    /// completion is missing.
    bool has_begun_to_end = false;
    /// From the first time that it is written to the submission queue on; from
    /// then on the point in time.
    backend::kernel_time time_limit{};

protected:
    request() = default;

private:
    friend class ring_core;

    enum class state : std::uint8_t {
        idle,      ///< The program's: not submitted yet, or complete.
        queued,    ///< Will be written to the submission queue at the next flush.
        in_kernel, ///< The kernel owes a completion.
        paused,    ///< Waits for its parts to be taken, or for what it needs.
    };

    state state_ = state::idle;
    bool cancel_requested_ = false;
    bool abandoned_ = false; // Nobody holds it: it is destroyed when it completes.
    bool in_chain_ = false;
    bool waits_for_turn_ = false; // In a chain, until the one before has completed.
    bool is_skipped_ = false; // Cancelled before it went; the kernel has its place in the chain.
    bool limit_is_running_ = false;
    bool times_out_ = false;     // The engine has asked for its end, for the kernel had not.
    bool due_ = false;           // Its continuation is to be resumed.
    bool pausing_ = false;       // The kernel was asked to end it, so that it pauses.
    bool starved_ = false;       // Among those that wait for what they need.
    bool cancel_missed_ = false; // Among those whose cancellation is to be asked for again.
    bool has_begun_ = false;     // The kernel has had it since it was submitted.
    std::atomic<bool> over_{false};
    int result_ = 0;
    operation_id id_ = operation_id::none; // While the engine has it.
    operation_id name_ = operation_id::none;
    operation_id behind_ = operation_id::none; // In a chain, the one that waits for this one.
    request_hook to_submit_;                   // While the kernel has it, to be cancelled.
    request_hook to_continue_;
    continuation* continuation_ = nullptr;
    std::chrono::steady_clock::time_point started_;
};

/// What fails when it is carried out, with EBADF, and has no effect: the end of no descriptor. An entry that
/// is refused when it is submitted would take its chain along, with what stands in front.
inline void prepare_failure(backend::submission_entry& entry) noexcept
{
    entry = {};
    entry.op = backend::opcode::close;
    entry.fd = -1;
}

/// Requests in a row, first in, first out.
template <request_hook request::*Hook>
class request_queue {
public:
    [[nodiscard]] request* front() const noexcept { return head_; }
    [[nodiscard]] static request* behind(const request& r) noexcept { return (r.*Hook).next; }

    void push_back(request& r) noexcept
    {
        r.*Hook = {tail_, nullptr};
        (tail_ != nullptr ? (tail_->*Hook).next : head_) = &r;
        tail_ = &r;
    }
    void push_front(request& r) noexcept
    {
        r.*Hook = {nullptr, head_};
        (head_ != nullptr ? (head_->*Hook).previous : tail_) = &r;
        head_ = &r;
    }
    void remove(request& r) noexcept
    {
        const auto [previous, next] = r.*Hook;
        (previous != nullptr ? (previous->*Hook).next : head_) = next;
        (next != nullptr ? (next->*Hook).previous : tail_) = previous;
    }
    request* pop_front() noexcept
    {
        request* const r = head_;
        if (r == nullptr)
            return nullptr;
        head_ = (r->*Hook).next;
        (head_ != nullptr ? (head_->*Hook).previous : tail_) = nullptr;
        return r;
    }

private:
    request* head_ = nullptr;
    request* tail_ = nullptr;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
