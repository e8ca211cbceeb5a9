// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulated_loop.hpp"

#include <safer_ring/ring/timer_queue.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <list>
#include <map>
#include <random>

using namespace unit;

BOOST_AUTO_TEST_SUITE(timer_queue)

namespace {

/// Microseconds on a clock that the test sets.
struct set_clock {
    using time_type = std::int64_t;
    struct posix_duration {
        std::int64_t us;
        [[nodiscard]] std::int64_t total_microseconds() const { return us; }
    };
    static inline time_type current_us = 0;

    static time_type now() { return current_us; }
    static bool less_than(time_type a, time_type b) { return a < b; }
    static std::int64_t subtract(time_type a, time_type b) { return a - b; }
    static posix_duration to_posix_duration(std::int64_t us) { return {us}; }
};

/// Counts hours, as Asio's traits of a clock of std::chrono that does.
struct hours_clock : set_clock {
    using period_type = std::chrono::hours::period;
    struct posix_duration {
        std::int64_t hours;
        [[nodiscard]] std::int64_t ticks() const { return hours; }
        [[nodiscard]] std::int64_t total_microseconds() const
        {
            BOOST_TEST(std::abs(hours) < 1'000'000); // More would not fit.
            return hours * 3'600'000'000;
        }
    };
    static time_type now() { return 1000; }
    static posix_duration to_posix_duration(std::int64_t hours) { return {hours}; }
};

class wait_for_timer final : public ring::timer_operation {
public:
    explicit wait_for_timer(int n) noexcept : number(n) {}
    void complete(ring::event_loop&) override {}
    void destroy() noexcept override {}
    int number;
};

struct queue_of_timers {
    using queue_type = ring::timer_queue<set_clock>;

    queue_of_timers() { set_clock::current_us = 1000; }

    bool add(std::int64_t expiry_us, queue_type::per_timer& timer, int number)
    {
        return queue.add(expiry_us, timer, waits.emplace_back(number));
    }
    std::vector<int> due()
    {
        ring::operation_queue ready;
        queue.take_due(ready);
        return numbers(ready);
    }
    static std::vector<int> numbers(ring::operation_queue& ops)
    {
        std::vector<int> found;
        while (auto* op = ops.pop_front())
            found.push_back(static_cast<wait_for_timer*>(op)->number);
        return found;
    }

    queue_type queue;
    std::list<queue_type::per_timer> timers;
    std::list<wait_for_timer> waits;
};

using expected = std::vector<int>;
using std::chrono::microseconds;

} // namespace

BOOST_FIXTURE_TEST_CASE(due_timers_come_earliest_first_and_no_others, queue_of_timers)
{
    auto &a = timers.emplace_back(), &b = timers.emplace_back(), &c = timers.emplace_back();
    BOOST_TEST(add(3000, a, 1));
    BOOST_TEST(add(2000, b, 2));  // Now the first to be due.
    BOOST_TEST(!add(4000, c, 3)); // Not the first.
    BOOST_TEST(due().empty());
    set_clock::current_us = 3000;
    BOOST_TEST(due() == (expected{2, 1}));
    BOOST_TEST(!queue.empty());
    set_clock::current_us = 4000;
    BOOST_TEST(due() == (expected{3}));
    BOOST_TEST(queue.empty());
}

BOOST_FIXTURE_TEST_CASE(the_wait_is_until_the_earliest_rounded_up_and_bounded, queue_of_timers)
{
    auto &a = timers.emplace_back(), &b = timers.emplace_back();
    add(9000, a, 1);
    add(1500, b, 2);
    BOOST_TEST((queue.wait_duration(std::chrono::seconds(1)) == microseconds(501)));
    BOOST_TEST((queue.wait_duration(microseconds(100)) == microseconds(100)));
    set_clock::current_us = 2000;
    BOOST_TEST((queue.wait_duration(std::chrono::seconds(1)) == microseconds(0)));
}

BOOST_AUTO_TEST_CASE(times_that_are_too_far_to_be_counted_in_microseconds_are_far)
{
    static constexpr auto limit = std::chrono::hours(3);
    const auto wait_until = [](std::int64_t expiry) {
        ring::timer_queue<hours_clock> queue;
        ring::timer_queue<hours_clock>::per_timer timer;
        wait_for_timer wait(0);
        queue.add(expiry, timer, wait);
        return queue.wait_duration(limit);
    };
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    for (const std::int64_t far : {most, most - 12345, most / 3600, std::int64_t{1003}})
        BOOST_TEST((wait_until(far) == limit));
    BOOST_TEST((wait_until(1002) == std::chrono::hours(2) + microseconds(1)));
    for (const std::int64_t past : {-most + 1000, -most + 12345, -most / 3600, std::int64_t{999}})
        BOOST_TEST((wait_until(past) == microseconds(0)));
}

BOOST_FIXTURE_TEST_CASE(several_waits_on_one_timer_end_together_in_order, queue_of_timers)
{
    auto& a = timers.emplace_back();
    BOOST_TEST(add(2000, a, 1));
    BOOST_TEST(!add(2000, a, 2)); // Nothing new to wake for.
    BOOST_TEST(!add(2000, a, 3));
    set_clock::current_us = 2000;
    BOOST_TEST(due() == (expected{1, 2, 3}));
}

BOOST_FIXTURE_TEST_CASE(cancelling_takes_as_many_waits_as_asked_for, queue_of_timers)
{
    auto& a = timers.emplace_back();
    for (int n = 1; n <= 3; ++n)
        add(2000, a, n);
    ring::operation_queue cancelled;
    BOOST_TEST(queue.cancel(a, cancelled, 1) == 1U);
    BOOST_TEST(numbers(cancelled) == (expected{1}));
    BOOST_TEST(waits.front().cancelled);
    BOOST_TEST(queue.cancel(a, cancelled) == 2U);
    BOOST_TEST(numbers(cancelled) == (expected{2, 3}));
    BOOST_TEST(queue.empty());
    BOOST_TEST(queue.cancel(a, cancelled) == 0U);
}

BOOST_FIXTURE_TEST_CASE(one_wait_can_be_cancelled_and_only_once, queue_of_timers)
{
    auto& a = timers.emplace_back();
    add(2000, a, 1);
    add(2000, a, 2);
    ring::operation_queue cancelled;
    queue.cancel_one(waits.front(), cancelled);
    BOOST_TEST(numbers(cancelled) == (expected{1}));
    queue.cancel_one(waits.front(), cancelled);
    BOOST_TEST(cancelled.empty());
    set_clock::current_us = 2000;
    BOOST_TEST(due() == (expected{2}));
    BOOST_TEST(!waits.back().cancelled);
    queue.cancel_one(waits.back(), cancelled);
    BOOST_TEST(cancelled.empty());
}

BOOST_FIXTURE_TEST_CASE(a_moved_timer_keeps_its_waits_and_its_place, queue_of_timers)
{
    auto &a = timers.emplace_back(), &b = timers.emplace_back(), &moved = timers.emplace_back();
    add(3000, a, 1);
    add(2000, b, 2);
    queue.move(moved, a);
    ring::operation_queue cancelled;
    BOOST_TEST(queue.cancel(a, cancelled) == 0U);
    set_clock::current_us = 5000;
    BOOST_TEST(due() == (expected{2, 1}));
    add(6000, moved, 3);
    BOOST_TEST(queue.cancel(moved, cancelled) == 1U);
    BOOST_TEST(numbers(cancelled) == (expected{3}));
}

BOOST_FIXTURE_TEST_CASE(moving_an_idle_timer_moves_nothing, queue_of_timers)
{
    auto &a = timers.emplace_back(), &b = timers.emplace_back();
    queue.move(b, a);
    BOOST_TEST(queue.empty());
    BOOST_TEST(add(2000, b, 1));
}

BOOST_FIXTURE_TEST_CASE(all_waits_are_handed_over_at_the_end, queue_of_timers)
{
    auto &a = timers.emplace_back(), &b = timers.emplace_back();
    add(3000, a, 1);
    add(2000, b, 2);
    add(3000, a, 3);
    ring::operation_queue all;
    queue.take_all(all);
    auto found = numbers(all);
    std::sort(found.begin(), found.end());
    BOOST_TEST(found == (expected{1, 2, 3}));
    BOOST_TEST(queue.empty());
}

BOOST_FIXTURE_TEST_CASE(the_heap_keeps_its_order_under_random_use, queue_of_timers)
{
    std::mt19937 random(7);
    std::map<int, std::int64_t> pending; // Wait to expiry.
    std::vector<std::pair<queue_type::per_timer*, int>> armed;
    for (int n = 0; n < 2000; ++n) {
        auto& timer = timers.emplace_back();
        const auto expiry = static_cast<std::int64_t>(random() % 100000) + 2000;
        add(expiry, timer, n);
        pending[n] = expiry;
        armed.emplace_back(&timer, n);
        if (random() % 3 == 0) {
            const auto& [victim, number] = armed[random() % armed.size()];
            ring::operation_queue cancelled;
            BOOST_REQUIRE(queue.cancel(*victim, cancelled) == pending.count(number));
            pending.erase(number);
        }
        if (random() % 5 == 0) {
            auto& [from, number] = armed[random() % armed.size()];
            auto& to = timers.emplace_back();
            queue.move(to, *from);
            from = &to;
        }
    }
    std::int64_t last = 0;
    for (set_clock::current_us = 2000; set_clock::current_us < 110000; set_clock::current_us += 500)
        for (const int n : due()) {
            BOOST_REQUIRE(pending.count(n) == 1U);
            BOOST_REQUIRE(pending[n] <= set_clock::current_us);
            BOOST_REQUIRE(pending[n] >= last);
            last = pending[n];
            pending.erase(n);
        }
    BOOST_TEST(pending.empty());
}

BOOST_FIXTURE_TEST_CASE(the_loop_runs_due_timers_and_waits_for_them, simulated_loop)
{
    struct steady {
        using time_type = std::chrono::steady_clock::time_point;
        struct posix_duration {
            std::chrono::steady_clock::duration d;
            [[nodiscard]] std::int64_t total_microseconds() const
            {
                return std::chrono::duration_cast<microseconds>(d).count();
            }
        };
        static time_type now() { return std::chrono::steady_clock::now(); }
        static bool less_than(time_type a, time_type b) { return a < b; }
        static auto subtract(time_type a, time_type b) { return a - b; }
        static posix_duration to_posix_duration(std::chrono::steady_clock::duration d)
        {
            return {d};
        }
    };
    class wait final : public ring::timer_operation {
    public:
        explicit wait(bool& done) : done_(done) {}
        void complete(ring::event_loop&) override { done_ = true; }
        void destroy() noexcept override {}

    private:
        bool& done_;
    };
    ring::timer_queue<steady> steady_queue;
    decltype(steady_queue)::per_timer timer;
    bool done = false;
    wait op(done);
    loop.add(steady_queue);
    {
        auto held = loop.lock();
        const auto expiry = steady::now() + std::chrono::milliseconds(5);
        BOOST_TEST(steady_queue.add(expiry, timer, op));
        loop.work_started();
        loop.timer_added(held);
    }
    BOOST_TEST(run() == 1U); // Returns since the wait was all the work there was.
    BOOST_TEST(done);
    loop.remove(steady_queue);
}

BOOST_AUTO_TEST_SUITE_END()
