// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/event_loop.hpp>
#include <safer_ring/ring/timer_queue_base.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <ratio>
#include <utility>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Microseconds from `now` until `time`, at most `most`; negative when it has passed.
template <typename Traits>
std::int64_t microseconds_until(const typename Traits::time_type& time,
                                const typename Traits::time_type& now, std::int64_t most)
{
    const auto left = Traits::to_posix_duration(Traits::subtract(time, now));
    // The longest times of a clock that counts seconds, say, are more microseconds
    // than can be counted.
    if constexpr (requires { typename Traits::period_type; }) {
        using ticks = std::chrono::duration<double, typename Traits::period_type>;
        using us = std::chrono::duration<double, std::micro>;
        const us about = ticks(static_cast<double>(left.ticks()));
        if (about >= us(static_cast<double>(most)))
            return most;
        if (about < us::zero())
            return -1;
    }
    return std::min<std::int64_t>(left.total_microseconds(), most);
}

/// A wait on a timer.
class timer_operation : public operation {
public:
    bool cancelled = false;
    std::uint64_t id = 0;

protected:
    timer_operation() = default;
    ~timer_operation() = default;

private:
    template <typename Traits>
    friend class timer_queue;

    void* timer_ = nullptr; // The queue's part of the timer, while it waits there.
};

/// Timers of one clock, ordered by its own time. `Traits` is Asio's notion of
/// a time traits class: time_type, now(), less_than(), subtract(),
/// to_posix_duration().
///
/// A binary heap of (time, timer); a timer without waits is not in it, and
/// one that never expires only in the list.
template <typename Traits>
class timer_queue final : public timer_queue_base {
public:
    using time_type = typename Traits::time_type;

    /// The queue's part of a timer. Its address identifies the timer; `move`
    /// changes it.
    class per_timer {
    public:
        per_timer() = default;
        per_timer(const per_timer&) = delete;
        per_timer& operator=(const per_timer&) = delete;

    private:
        friend class timer_queue;
        operation_queue waits_;
        std::size_t index_ = not_in_heap;
        per_timer* next_ = nullptr;
        per_timer* previous_ = nullptr;
        bool listed_ = false;
    };

    /// Adds a wait. True when the loop has to be told: this wait is now the first to be
    /// due, or it is work that no earlier wait stands for, of a timer that never expires.
    bool add(const time_type& expiry, per_timer& timer, timer_operation& op)
    {
        if (!timer.listed_) {
            if (never_expires(expiry)) {
                timer.index_ = not_in_heap;
            } else {
                heap_.push_back({expiry, &timer});
                timer.index_ = heap_.size() - 1;
                up(timer.index_);
            }
            timer.next_ = timers_;
            timer.previous_ = nullptr;
            if (timers_ != nullptr)
                timers_->previous_ = &timer;
            timers_ = &timer;
            timer.listed_ = true;
        }
        const bool first_wait = timer.waits_.empty();
        timer.waits_.push_back(&op);
        op.timer_ = &timer;
        return first_wait && (timer.index_ == 0 || timer.index_ == not_in_heap);
    }

    /// Moves up to `most` waits of `timer` to `cancelled`; answers how many.
    std::size_t cancel(per_timer& timer, operation_queue& cancelled,
                       std::size_t most = std::numeric_limits<std::size_t>::max())
    {
        std::size_t n = 0;
        while (n < most && !timer.waits_.empty()) {
            timer_operation* op = pop(timer);
            op->cancelled = true;
            cancelled.push_back(op);
            ++n;
        }
        if (timer.waits_.empty())
            remove(timer);
        return n;
    }

    /// The same for one wait, unless it has left the queue already.
    void cancel_one(timer_operation& op, operation_queue& cancelled)
    {
        if (op.timer_ == nullptr)
            return;
        auto& timer = *static_cast<per_timer*>(std::exchange(op.timer_, nullptr));
        timer.waits_.remove(&op);
        op.cancelled = true;
        cancelled.push_back(&op);
        if (timer.waits_.empty())
            remove(timer);
    }

    /// `target` takes the place of `source`.
    void move(per_timer& target, per_timer& source) noexcept
    {
        while (!source.waits_.empty()) {
            timer_operation* op = pop(source);
            op->timer_ = &target;
            target.waits_.push_back(op);
        }
        target.index_ = std::exchange(source.index_, not_in_heap);
        if (target.index_ != not_in_heap)
            heap_[target.index_].timer = &target;
        target.listed_ = std::exchange(source.listed_, false);
        target.next_ = std::exchange(source.next_, nullptr);
        target.previous_ = std::exchange(source.previous_, nullptr);
        if (!target.listed_)
            return;
        (target.previous_ != nullptr ? target.previous_->next_ : timers_) = &target;
        if (target.next_ != nullptr)
            target.next_->previous_ = &target;
    }

    [[nodiscard]] bool empty() const noexcept override { return heap_.empty(); }

    [[nodiscard]] std::chrono::nanoseconds
    wait_duration(std::chrono::nanoseconds limit) const override
    {
        const std::int64_t limit_us = limit.count() / 1000;
        const std::int64_t us = microseconds_until<Traits>(heap_[0].time, Traits::now(), limit_us);
        if (us < 0)
            return std::chrono::nanoseconds::zero();
        // Rounded up, so that the loop does not spin through the last part of
        // a microsecond.
        return us >= limit_us ? limit : std::chrono::microseconds(us + 1);
    }

    void take_due(operation_queue& ready) override
    {
        if (heap_.empty())
            return;
        const time_type now = Traits::now();
        while (!heap_.empty() && !Traits::less_than(now, heap_[0].time)) {
            per_timer& timer = *heap_[0].timer;
            while (!timer.waits_.empty())
                ready.push_back(pop(timer));
            remove(timer);
        }
    }

    void take_all(operation_queue& ops) noexcept override
    {
        while (timers_ != nullptr) {
            per_timer& timer = *timers_;
            while (!timer.waits_.empty())
                ops.push_back(pop(timer));
            remove(timer);
        }
    }

private:
    static constexpr std::size_t not_in_heap = ~std::size_t{0};

    struct entry {
        time_type time;
        per_timer* timer;
    };

    static timer_operation* pop(per_timer& timer) noexcept
    {
        auto* op = static_cast<timer_operation*>(timer.waits_.pop_front());
        op->timer_ = nullptr;
        return op;
    }

    static bool never_expires(const time_type& t)
    {
        if constexpr (requires { t.is_pos_infinity(); })
            return t.is_pos_infinity();
        else
            return false;
    }

    void remove(per_timer& timer) noexcept
    {
        if (!timer.listed_)
            return;
        if (const std::size_t i = timer.index_; i != not_in_heap) {
            const std::size_t last = heap_.size() - 1;
            if (i != last) {
                swap(i, last);
                heap_.pop_back();
                if (i > 0 && Traits::less_than(heap_[i].time, heap_[(i - 1) / 2].time))
                    up(i);
                else
                    down(i);
            } else {
                heap_.pop_back();
            }
        }
        (timer.previous_ != nullptr ? timer.previous_->next_ : timers_) = timer.next_;
        if (timer.next_ != nullptr)
            timer.next_->previous_ = timer.previous_;
        timer.next_ = timer.previous_ = nullptr;
        timer.index_ = not_in_heap;
        timer.listed_ = false;
    }

    void up(std::size_t i)
    {
        while (i > 0) {
            const std::size_t parent = (i - 1) / 2;
            if (!Traits::less_than(heap_[i].time, heap_[parent].time))
                break;
            swap(i, parent);
            i = parent;
        }
    }

    // Equal times are exchanged as in Asio's queue, so that timers of one time expire in
    // the order in which they do there.
    void down(std::size_t i)
    {
        for (std::size_t child = 2 * i + 1; child < heap_.size(); child = 2 * i + 1) {
            if (child + 1 < heap_.size() &&
                !Traits::less_than(heap_[child].time, heap_[child + 1].time))
                ++child;
            if (Traits::less_than(heap_[i].time, heap_[child].time))
                break;
            swap(i, child);
            i = child;
        }
    }

    void swap(std::size_t a, std::size_t b) noexcept
    {
        std::swap(heap_[a], heap_[b]);
        heap_[a].timer->index_ = a;
        heap_[b].timer->index_ = b;
    }

    std::vector<entry> heap_;
    per_timer* timers_ = nullptr;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
