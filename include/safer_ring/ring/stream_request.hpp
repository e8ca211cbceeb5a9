// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/ring_core.hpp>
#include <safer_ring/ring/stream_kinds.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Who waits for the next item of a stream.
class stream_waiter : public continuation {
public:
    /// The stream goes away.
    virtual void give_up() noexcept = 0;

protected:
    stream_waiter() = default;
    ~stream_waiter() = default;
};

/// A stream as the engine knows it. What completions bring stays in it until it
/// is taken, all under the engine's lock.
///
/// Multishot until the kernel refuses that (EINVAL), or has nothing to wait for, and
/// single requests, one behind the other, from then on. A last completion that the
/// kernel made for reasons of its own, such as a full completion queue, is followed
/// by the next request.
template <typename Kind>
class stream_request final : public request {
public:
    stream_request(Kind&& kind, const stream_limits& limits)
        : kind_(std::move(kind)), limits_(limits)
    {
        if (limits.high_water == 0 || limits.low_water >= limits.high_water)
            throw std::invalid_argument("safer_ring: the low-water mark of a stream has to be "
                                        "below its high-water mark");
        may_be_repeated = false; // Decided here.
        is_endless = true;
    }

    // ---- by the engine

    void prepare(backend::submission_entry& entry) noexcept override
    {
        if (!is_polling_)
            return kind_.prepare(entry, is_multishot_);
        entry.op = backend::opcode::poll_add;
        entry.fd = kind_.subject().descriptor;
        entry.op_flags = POLLIN;
    }
    void part(int result, std::uint32_t flags) noexcept override
    {
        is_proven_ = true;
        static_cast<void>(take_in(result, flags));
        if constexpr (requires { kind_.begins_anew(result, flags); })
            begins_anew_ = begins_anew_ || kind_.begins_anew(result, flags);
    }
    [[nodiscard]] bool goes_on(int result, std::uint32_t flags) noexcept override
    {
        begins_anew_ = false;
        // The kernel lacks the multishot, or refuses the request for what it is,
        // and then again.
        if (result == -EINVAL && is_multishot_ && !is_proven_) {
            is_multishot_ = simplify();
            return true;
        }
        // Asked for more of what remains so, the kernel would answer at once, for ever. For
        // want of room for completions it ends one that way as well, but not the next.
        if constexpr (requires { Kind::remains(result); })
            if (is_multishot_ && !is_proven_ && Kind::remains(result))
                is_multishot_ = !std::exchange(has_ended_early_, true);
        // Of a descriptor that is non-blocking the kernel does not wait for more.
        const bool was_polling = std::exchange(is_polling_, result == -EAGAIN);
        const bool is_of_poll = is_polling_ || (was_polling && result >= 0);
        // For a pause, or because the thread that submitted it has exited.
        const bool undone = (result == -ECANCELED || result == -EINTR) && !cancel_requested();
        // A worker of the kernel may have kept the buffer that it had chosen.
        if (result < 0 && (is_of_poll || undone) && (flags & backend::completion_buffer) != 0)
            static_cast<void>(take_in(result, flags));
        const streams::outcome what =
            is_of_poll || undone ? streams::outcome::goes_on : take_in(result, flags);
        if (is_lost_)
            end_ = -ENOMEM;
        else if (what == streams::outcome::is_over)
            end_ = result == -EINTR && cancel_requested() ? -ECANCELED : result;
        else if (cancel_requested())
            end_ = -ECANCELED;
        is_starved_ = !end_ && what == streams::outcome::starves;
        return !end_;
    }
    int take_back(int result, std::uint32_t) noexcept override
    {
        if (!end_) // It was cancelled while the kernel did not have it.
            end_ = is_lost_ ? -ENOMEM : result;
        return *end_;
    }
    [[nodiscard]] bool has_part() const noexcept override { return kind_.size() != 0; }
    [[nodiscard]] bool pauses() const noexcept override
    {
        return is_held_back_ || is_starved_ || is_lost_ || begins_anew_;
    }
    [[nodiscard]] bool is_starved() const noexcept override { return is_starved_; }
    [[nodiscard]] bool is_supplied(std::uint64_t turn) noexcept override
    {
        if constexpr (requires { kind_.is_supplied(turn); })
            is_starved_ = !kind_.is_supplied(turn);
        return !is_starved_;
    }
    [[nodiscard]] io_error subject() const noexcept override { return kind_.subject(); }

    // ---- by who has the stream

    /// An item, or the end, if either is there.
    [[nodiscard]] std::optional<typename Kind::result_type> take(ring_core& core)
    {
        std::optional<typename Kind::result_type> taken;
        core.take_from(*this, [&] { take_into(taken); });
        return taken;
    }
    /// By who waited for it and is about to be called, under the engine's lock: does
    /// not need the stream any more.
    void claim(ring_core& core, engine_lock& held,
               std::optional<typename Kind::result_type>& into) noexcept
    {
        core.take_from(held, *this, [&] { take_into(into); });
        set_waiter(nullptr); // Who sees this may destroy it, without the lock when it is over.
    }
    [[nodiscard]] std::size_t queued(ring_core& core)
    {
        std::size_t count = 0;
        core.take_from(*this, [&] { count = kind_.size(); });
        return count;
    }
    /// Also beside who takes it.
    [[nodiscard]] bool end_is_taken() const noexcept
    {
        return end_is_taken_.load(std::memory_order_acquire);
    }

    void check_waiter() const
    {
        if (waiter_.load(std::memory_order_relaxed) != nullptr)
            stop_program("an item of a stream is asked for whose next one is waited for already");
    }
    void check_next() const
    {
        check_waiter();
        if (end_is_taken())
            stop_program("next() on a stream that is over; is_over() tells");
    }
    void set_waiter(stream_waiter* waiter) noexcept
    {
        waiter_.store(waiter, std::memory_order_release);
    }

    static void give_up(ring_core& core, std::unique_ptr<stream_request> r) noexcept
    {
        // Also when the ring is gone.
        if (r->is_over() && r->waiter_.load(std::memory_order_acquire) == nullptr)
            return;
        // Whom another thread has begun to call does not count any more.
        if (continuation* const waiting = core.abandon(std::move(r)))
            static_cast<stream_waiter*>(waiting)->give_up();
    }

private:
    void take_into(std::optional<typename Kind::result_type>& taken)
    {
        if (kind_.size() != 0) {
            taken.emplace(kind_.take(cancel_requested()));
            is_held_back_ = is_held_back_ && kind_.size() > low_water();
        } else if (end_ && !end_is_taken()) {
            end_is_taken_.store(true, std::memory_order_release);
            io_error error = kind_.subject();
            error.code = std::error_code(-*end_, std::system_category());
            taken.emplace(Kind::end(error, cancel_requested()));
        }
    }
    [[nodiscard]] streams::outcome take_in(int result, std::uint32_t flags) noexcept
    {
        const streams::outcome what = kind_.take_in(result, flags);
        is_lost_ = is_lost_ || what == streams::outcome::is_lost;
        is_held_back_ = is_held_back_ || kind_.size() >= high_water();
        return what;
    }

    [[nodiscard]] bool simplify() noexcept
    {
        if constexpr (requires { kind_.simplify(); })
            return kind_.simplify();
        else
            return false;
    }
    [[nodiscard]] std::size_t high_water() const noexcept
    {
        if constexpr (requires { Kind::high_water(is_multishot_); })
            return Kind::high_water(is_multishot_);
        else
            return limits_.high_water;
    }
    [[nodiscard]] std::size_t low_water() const noexcept
    {
        return std::min(limits_.low_water, high_water() - 1);
    }

    Kind kind_;
    stream_limits limits_;
    bool is_multishot_ = true;
    bool is_polling_ = false;      // Until there is something, where the kernel does not wait.
    bool is_proven_ = false;       // It has completed as a multishot does.
    bool has_ended_early_ = false; // With its first completion.
    bool is_held_back_ = false;    // From the high-water mark down to the low one.
    bool is_starved_ = false;
    bool begins_anew_ = false; // As soon as the kernel has given the request back.
    bool is_lost_ = false;
    std::atomic<bool> end_is_taken_{false};
    std::optional<int> end_; // Zero, or the negated errno.
    std::atomic<stream_waiter*> waiter_{nullptr};
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
