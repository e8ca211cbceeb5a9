// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/operation_request.hpp>
#include <safer_ring/ring/ring_core.hpp>

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

/// The states of an operation. Each transition takes the operation by rvalue
/// and gives it back in its next state, so that what makes no sense in a state
/// does not compile.
struct building {};
struct submitted {};
struct completed {};

template <typename Op, typename State>
class operation;

namespace ring {

/// The two ends of what an operation handle holds on to.
template <typename Op>
using request_ptr = std::unique_ptr<ops::request<Op>>;

/// For a handle that was moved from: C++ lets it be called.
template <typename Op>
ops::request<Op>& held_by(const request_ptr<Op>& request, const char* call) noexcept
{
    if (!request)
        stop_for_use_after_move(call);
    return *request;
}

inline backend::kernel_time to_kernel_time(std::chrono::nanoseconds time) noexcept
{
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(time);
    return {whole.count(), (time - whole).count()};
}

} // namespace ring

// Compilers quote the lines with the deleted functions to who calls one.
// clang-format off

/// An operation that is being put together; its buffer is in it already.
///
/// *Thread safety*: distinct operations may be used at once.
template <typename Op>
class SAFER_RING_CONSUMABLE(unconsumed) operation<Op, building> {
public:
    SAFER_RING_RETURNS(unconsumed) operation(ring::ring_core& core, Op&& op)
        : core_(&core), request_(std::make_unique<ops::request<Op>>(std::move(op)))
    {
    }
    SAFER_RING_RETURNS(unconsumed) operation(operation&&) noexcept = default;
    operation& operator=(operation&&) noexcept = default;
    operation(const operation&) = delete; // An operation has one owner: pass it on by std::move().
    operation& operator=(const operation&) = delete; // An operation has one owner: pass it on by std::move().
    ~operation() = default;

    /// Where in the file, in bytes; the file's own position otherwise, which the kernel
    /// does not move behind what goes past the page cache (O_DIRECT).
    SAFER_RING_NOT_AFTER_MOVE operation at(std::uint64_t offset) &&
        requires requires(Op& op) { op.offset; }
    {
        request("at()").op().offset = offset;
        return std::move(*this);
    }

    /// Puts what comes in behind the `size()` of the buffer, which keeps what is
    /// in it. Where less room is left there than was consumed in front, the bytes
    /// move to the front of the memory first.
    SAFER_RING_NOT_AFTER_MOVE operation append() &&
        requires requires(Op& op) { op.appends; }
    {
        request("append()").op().appends = true;
        return std::move(*this);
    }

    /// Cancels it after that time, unless it is complete; it fails with
    /// ETIMEDOUT then, or, as a part of a chain, with ECANCELED. Counts from the
    /// flush, for all parts of a chain; what is held back, as by `drained`, is not
    /// flushed before it begins.
    SAFER_RING_NOT_AFTER_MOVE operation within(std::chrono::nanoseconds limit) &&
    {
        request("within()").has_time_limit = true;
        request("within()").time_limit = ring::to_kernel_time(limit);
        return std::move(*this);
    }

    /// Begins when everything that was submitted before is complete, streams aside,
    /// and what is submitted after it when it is complete; a chain does so as a
    /// whole. The ring holds it back that long, so it begins in a call that drives
    /// the ring.
    SAFER_RING_NOT_AFTER_MOVE operation drained() &&
    {
        request("drained()").entry_flags |= backend::entry_drain;
        return std::move(*this);
    }

    /// Queues it; the kernel gets it with the next `flush`, `wait`, `poll` or
    /// `run` of the ring, together with all that was queued until then. Throws
    /// std::bad_alloc, and std::length_error for one with a time limit where the
    /// submission queue has a single entry; the operation is as it was then.
    SAFER_RING_NOT_AFTER_MOVE operation<Op, submitted> submit() &&
    {
        core_->submit(request("submit()"));
        return {*core_, std::move(request_)};
    }

    void wait() & = delete; // Not submitted yet: std::move(operation).submit() first.
    void wait() && = delete; // Not submitted yet: std::move(operation).submit() first.
    void is_done() const = delete; // Not submitted yet: std::move(operation).submit() first.
    void cancel() = delete; // Not submitted yet: std::move(operation).submit() first.
    void take() = delete; // Not submitted yet: std::move(operation).submit().wait() first.
    void submit() & = delete; // As std::move(operation).submit().

private:
    friend class io_ring;

    ops::request<Op>& request(const char* call) const { return ring::held_by<Op>(request_, call); }

    ring::ring_core* core_;
    ring::request_ptr<Op> request_;
};

/// An operation on its way. Its buffer is the kernel's: under AddressSanitizer
/// the bytes are poisoned until it is complete.
///
/// *Destroyed before it is complete*, it is cancelled; the buffer goes back
/// where it came from when the kernel has let go of it.
///
/// *Lifetime*: the ring has to live until it is complete.
///
/// *Thread safety*: distinct operations may be used at once.
template <typename Op>
class SAFER_RING_CONSUMABLE(unconsumed) operation<Op, submitted> {
public:
    SAFER_RING_RETURNS(unconsumed)
    operation(ring::ring_core& core, ring::request_ptr<Op>&& request) noexcept
        : core_(&core), request_(std::move(request))
    {
    }
    SAFER_RING_RETURNS(unconsumed) operation(operation&&) noexcept = default;
    SAFER_RING_SETS(unconsumed) operation& operator=(operation&& other) noexcept
    {
        operation taken(std::move(other));
        std::swap(core_, taken.core_);
        std::swap(request_, taken.request_);
        return *this;
    }
    operation(const operation&) = delete; // An operation has one owner: pass it on by std::move().
    operation& operator=(const operation&) = delete; // An operation has one owner: pass it on by std::move().
    ~operation()
    {
        if (request_ && !request_->is_over())
            core_->abandon(std::move(request_));
    }

    /// Whether it is complete, as far as the ring has looked.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE bool is_done() const
    {
        return request("is_done()").is_over();
    }

    /// Flushes the ring and waits until it is complete.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE operation<Op, completed> wait() &&
    {
        if (!request("wait()").is_over())
            core_->wait(*request_, ring::ring_core::for_ever);
        return operation<Op, completed>(std::move(request_));
    }
    /// The same for so long at most; true when it is complete, and `wait()`
    /// returns at once.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE bool wait_for(std::chrono::nanoseconds limit)
    {
        return request("wait_for()").is_over() || core_->wait(*request_, limit);
    }

    /// Asks for its end. It completes with ECANCELED, or with what it achieved
    /// before; what is being done by a disk cannot be ended. The kernel finds one
    /// that is linked to another only when that is over, and it has begun: it may
    /// have been done by then. One that was not flushed yet is not done.
    SAFER_RING_NOT_AFTER_MOVE void cancel()
    {
        if (!request("cancel()").is_over())
            core_->cancel(request_->id());
    }

    /// For `io_ring::cancel`, also from another thread and when it is over.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE ring::operation_id id() const
    {
        return request("id()").id();
    }

    /// Calls `handler(operation<Op, completed>)` from the ring's `poll` or
    /// `run` when it is complete.
    template <typename F>
    SAFER_RING_NOT_AFTER_MOVE void then(F handler) &&
    {
        auto next = std::make_unique<callback<F>>(std::move(handler), std::move(request_));
        ring::request& to_continue = ring::held_by<Op>(next->request, "then()");
        core_->continue_with(to_continue, *next.release());
    }

    /// In any coroutine, which is resumed by the ring's `poll` or `run`; gives
    /// the completed operation.
    SAFER_RING_NOT_AFTER_MOVE auto operator co_await() &&
    {
        request("co_await");
        return awaiter(*core_, std::move(request_));
    }

    void submit() = delete; // It is submitted already.
    void at(std::uint64_t) = delete; // It is submitted already: say so before submit().
    void append() = delete; // It is submitted already: say so before submit().
    void within(std::chrono::nanoseconds) = delete; // It is submitted already: say so before submit().
    void drained() = delete; // It is submitted already: say so before submit().
    void wait() & = delete; // As std::move(operation).wait().
    void take() = delete; // Not complete yet: std::move(operation).wait() first.
    void result() const = delete; // Not complete yet: std::move(operation).wait() first.

private:
    friend class io_ring;

    // clang-format on
    template <typename F>
    struct callback final : ring::continuation {
        callback(F&& f, ring::request_ptr<Op>&& r) : handler(std::move(f)), request(std::move(r)) {}
        void resume() override
        {
            const std::unique_ptr<callback> self(this);
            handler(operation<Op, completed>(std::move(request)));
        }
        void drop() noexcept override { delete this; }
        F handler;
        ring::request_ptr<Op> request;
    };

    struct awaiter final : ring::continuation {
        awaiter(ring::ring_core& c, ring::request_ptr<Op>&& r) noexcept
            : core(&c), request(std::move(r))
        {
        }
        awaiter(awaiter&&) = delete;
        /// The coroutine may be destroyed while it waits.
        ~awaiter()
        {
            if (request && core != nullptr)
                core->abandon(std::move(request));
        }
        bool await_ready() const noexcept { return request->is_over(); }
        void await_suspend(std::coroutine_handle<> handle)
        {
            coroutine = handle;
            core->continue_with(*request, *this);
        }
        operation<Op, completed> await_resume()
        {
            return operation<Op, completed>(std::move(request));
        }
        void resume() override { coroutine.resume(); }
        void drop() noexcept override { core = nullptr; }

        ring::ring_core* core;
        ring::request_ptr<Op> request;
        std::coroutine_handle<> coroutine;
    };
    // clang-format off

    ops::request<Op>& request(const char* call) const { return ring::held_by<Op>(request_, call); }

    ring::ring_core* core_;
    ring::request_ptr<Op> request_;
};

/// An operation that is over, with its result and its buffer. It does not need
/// its ring any more.
template <typename Op>
class SAFER_RING_CONSUMABLE(unconsumed) operation<Op, completed> {
public:
    using result_type = io_result<typename Op::value_type>;

    SAFER_RING_RETURNS(unconsumed) explicit operation(ring::request_ptr<Op>&& request) noexcept
        : request_(std::move(request))
    {
    }
    SAFER_RING_RETURNS(unconsumed) operation(operation&&) noexcept = default;
    operation& operator=(operation&&) noexcept = default;
    operation(const operation&) = delete; // An operation has one owner: pass it on by std::move().
    operation& operator=(const operation&) = delete; // An operation has one owner: pass it on by std::move().
    ~operation() = default;

    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE result_type result() const
    {
        return ring::held_by<Op>(request_, "result()").outcome();
    }

    /// Result and buffer, buffers, message or new descriptor as a pair; the
    /// result alone where there is none of them.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE auto take() &&
    {
        const ring::request_ptr<Op> over = std::move(request_);
        ops::request<Op>& request = ring::held_by<Op>(over, "take()");
        if constexpr (requires(Op& op) { op.buffer; })
            return std::pair(request.outcome(), std::move(request.op().buffer));
        else if constexpr (requires(Op& op) { op.buffers; })
            return std::pair(request.outcome(), std::move(request.op().buffers));
        else if constexpr (requires(Op& op) { op.message; })
            return std::pair(request.outcome(), std::move(request.op().message));
        else if constexpr (requires(Op& op) { op.descriptor; })
            return std::pair(request.outcome(), std::move(request.op().descriptor));
        else
            return request.outcome();
    }

    void take() & = delete; // Once only: std::move(operation).take().
    void submit() = delete; // It is complete: make a new one.
    void wait() = delete; // It is complete already.
    void cancel() = delete; // It is complete already.

private:
    ring::request_ptr<Op> request_;
};

// clang-format on

} // namespace safer_ring::inline SAFER_RING_ABI
