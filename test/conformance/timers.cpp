// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

// Waiting, cancelling, moving and destroying timers.
namespace conformance {
namespace {

using namespace std::chrono_literals;
using boost::test_tools::per_element;
using ints = std::vector<int>;
using steady = std::chrono::steady_clock;
using test_support::handler_checks;
using test_support::io_result;

BOOST_AUTO_TEST_SUITE(timers)

BOOST_AUTO_TEST_CASE_TEMPLATE(wait_completes_not_before_its_time, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    timer_of<Ctx> timer(ctx);
    const auto start = steady::now();
    timer.expires_after(10ms);
    BOOST_TEST((timer.expiry() >= start + 10ms));
    io_result result;
    timer.async_wait(checks.into(result));
    BOOST_TEST(!result.done);
    BOOST_TEST(ran(ctx, ctx.run(), 1u));
    BOOST_TEST(result.ec == error_code());
    BOOST_TEST((steady::now() >= start + 10ms));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(wait_for_a_time_that_has_passed_completes_but_not_at_once, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    timer_of<Ctx> timer(ctx, steady::now() - 1h);
    io_result result;
    result.initiating = true;
    timer.async_wait(checks.into(result));
    result.initiating = false;
    ctx.run();
    BOOST_TEST(result.ec == error_code());
    BOOST_TEST(!result.called_while_initiating);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timer_that_was_never_set_is_due, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    timer_of<Ctx> timer(ctx);
    io_result result;
    timer.async_wait(checks.into(result));
    ctx.run();
    BOOST_TEST(result.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timers_expire_in_order_of_their_times, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    ints order;
    std::deque<timer_of<Ctx>> timers;
    // Times of one beginning keep their order also when this thread pauses in between.
    const auto start = steady::now();
    for (const int ms : {5, 1, 9, 3, 7}) {
        timers.emplace_back(ctx, start + std::chrono::milliseconds(ms));
        timers.back().async_wait(checks.once([&order, ms](error_code) { order.push_back(ms); }));
    }
    ctx.run();
    BOOST_TEST(order == (ints{1, 3, 5, 7, 9}), per_element());
}

/// The order of timers that are all due at the same time.
template <class Ctx>
ints order_at_one_time(int count)
{
    handler_checks checks;
    Ctx ctx;
    ints order;
    std::vector<timer_of<Ctx>> timers;
    for (int i = 0; i < count; ++i) {
        timers.emplace_back(ctx);
        timers.back().async_wait(checks.once([&order, i](error_code) { order.push_back(i); }));
    }
    ctx.run();
    return order;
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timers_of_one_time_expire_in_the_order_that_asio_has, Ctx, contexts)
{
    BOOST_TEST((order_at_one_time<Ctx>(3) == ints{0, 1, 2}));
    for (const int count : {4, 7, 20})
        BOOST_TEST((order_at_one_time<Ctx>(count) == order_at_one_time<net::io_context>(count)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_hundred_thousand_timers_expire_in_order, Ctx, contexts)
{
    constexpr std::size_t count = 100'000;
    Ctx ctx;
    std::minstd_rand random(20260101);
    const auto start = steady::now();
    std::deque<timer_of<Ctx>> timers;
    steady::time_point last{};
    std::size_t expired = 0;
    std::size_t disorder = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const auto expiry = start + std::chrono::microseconds(random() % 300'000);
        timers.emplace_back(ctx, expiry).async_wait([&, expiry](error_code ec) {
            if (!ec)
                ++expired;
            if (expiry < last)
                ++disorder;
            last = expiry;
        });
    }
    BOOST_TEST(ran(ctx, ctx.run(), count));
    BOOST_TEST(expired == count);
    BOOST_TEST(disorder == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_hundred_thousand_timers_are_cancelled, Ctx, contexts)
{
    constexpr std::size_t count = 100'000;
    Ctx ctx;
    std::deque<timer_of<Ctx>> timers;
    std::size_t aborted = 0;
    for (std::size_t i = 0; i < count; ++i)
        timers.emplace_back(ctx, 1h + std::chrono::microseconds(i * 7919 % count))
            .async_wait([&](error_code ec) { aborted += ec == net::error::operation_aborted; });
    std::size_t cancelled = 0;
    for (std::size_t i = 0; i < count; ++i)
        cancelled += timers[i * 7 % count].cancel();
    BOOST_TEST(cancelled == count);
    ctx.run();
    BOOST_TEST(aborted == count);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timers_set_in_handlers_that_are_earlier_go_first, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    ints order;
    timer_of<Ctx> late(ctx, 1h);
    timer_of<Ctx> early(ctx);
    late.async_wait(checks.once([&](error_code) { order.push_back(2); }));
    net::post(ctx, [&] {
        early.expires_after(1ms);
        early.async_wait(checks.once([&](error_code) {
            order.push_back(1);
            late.cancel();
        }));
    });
    ctx.run();
    BOOST_TEST(order == (ints{1, 2}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(waits_on_one_timer_complete_first_in_first_out, Ctx, contexts)
{
    handler_checks checks;
    for (const bool cancel : {false, true}) {
        Ctx ctx;
        ints order;
        timer_of<Ctx> timer(ctx, cancel ? steady::duration(1h) : steady::duration(1ms));
        for (int i = 0; i < 5; ++i)
            timer.async_wait(checks.once([&order, i](error_code) { order.push_back(i); }));
        if (cancel)
            BOOST_TEST(timer.cancel() == 5u);
        ctx.run();
        BOOST_TEST(order == (ints{0, 1, 2, 3, 4}), per_element());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_aborts_and_counts_the_waits, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    timer_of<Ctx> timer(ctx, 1h);
    BOOST_TEST(timer.cancel() == 0u);
    io_result first, second;
    timer.async_wait(checks.into(first));
    timer.async_wait(checks.into(second));
    BOOST_TEST(timer.cancel() == 2u);
    BOOST_TEST(timer.cancel() == 0u);
    BOOST_TEST(!first.done);
    ctx.run();
    BOOST_TEST(first.ec == net::error::operation_aborted);
    BOOST_TEST(second.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_one_aborts_the_oldest_wait, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    timer_of<Ctx> timer(ctx, 1h);
    io_result first, second;
    timer.async_wait(checks.into(first));
    timer.async_wait(checks.into(second));
    BOOST_TEST(timer.cancel_one() == 1u);
    ctx.poll();
    BOOST_TEST(first.ec == net::error::operation_aborted);
    BOOST_TEST(!second.done);
    BOOST_TEST(timer.cancel_one() == 1u);
    BOOST_TEST(timer.cancel_one() == 0u);
    ctx.run();
    BOOST_TEST(second.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_leaves_other_timers_alone, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const auto expiry = steady::now() + 2ms;
    timer_of<Ctx> first(ctx, expiry), second(ctx, expiry), third(ctx, expiry);
    io_result results[3];
    first.async_wait(checks.into(results[0]));
    second.async_wait(checks.into(results[1]));
    third.async_wait(checks.into(results[2]));
    BOOST_TEST(second.cancel() == 1u);
    ctx.run();
    BOOST_TEST(results[0].ec == error_code());
    BOOST_TEST(results[1].ec == net::error::operation_aborted);
    BOOST_TEST(results[2].ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(wait_that_has_expired_can_no_longer_be_cancelled, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const auto now = steady::now();
    timer_of<Ctx> first(ctx, now - 2s);
    timer_of<Ctx> second(ctx, now - 1s);
    std::size_t cancelled = 99;
    io_result result;
    second.async_wait(checks.into(result));
    first.async_wait(checks.once([&](error_code) { cancelled = second.cancel(); }));
    ctx.run();
    BOOST_TEST(cancelled == 0u);
    BOOST_TEST(result.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timer_may_be_destroyed_by_an_earlier_handler_of_its_batch, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    const auto now = steady::now();
    timer_of<Ctx> first(ctx, now - 2s);
    auto second = std::make_unique<timer_of<Ctx>>(ctx, now - 1s);
    io_result result;
    second->async_wait(checks.into(result));
    first.async_wait(checks.once([&](error_code) { second.reset(); }));
    ctx.run();
    BOOST_TEST(result.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(setting_the_expiry_cancels_the_waits, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    timer_of<Ctx> timer(ctx, 1h);
    io_result first, second, third;
    timer.async_wait(checks.into(first));
    BOOST_TEST(timer.expires_after(2h) == 1u);
    timer.async_wait(checks.into(second));
    BOOST_TEST(timer.expires_at(steady::now() + 1ms) == 1u);
    timer.async_wait(checks.into(third));
    ctx.run();
    BOOST_TEST(first.ec == net::error::operation_aborted);
    BOOST_TEST(second.ec == net::error::operation_aborted);
    BOOST_TEST(third.ec == error_code());
    BOOST_TEST(timer.expires_after(1h) == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timer_can_be_set_again_in_its_own_handler, Ctx, contexts)
{
    Ctx ctx;
    timer_of<Ctx> timer(ctx, 1ms);
    int ticks = 0;
    std::function<void(error_code)> tick = [&](error_code ec) {
        BOOST_TEST(ec == error_code());
        if (++ticks == 10)
            return;
        BOOST_TEST(timer.expires_at(timer.expiry() + 1ms) == 0u);
        timer.async_wait(tick);
    };
    timer.async_wait(tick);
    BOOST_TEST(ran(ctx, ctx.run(), 10u));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(destruction_aborts_the_waits, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    io_result result;
    {
        timer_of<Ctx> timer(ctx, 1h);
        timer.async_wait(checks.into(result));
    }
    BOOST_TEST(!result.done);
    BOOST_TEST(ran(ctx, ctx.run(), 1u));
    BOOST_TEST(result.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(moved_timer_takes_its_waits_along, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    io_result expires, cancelled;
    timer_of<Ctx> first(ctx, 1ms);
    first.async_wait(checks.into(expires));
    const auto expiry = first.expiry();
    timer_of<Ctx> second(std::move(first));
    BOOST_TEST((second.expiry() == expiry));
    ctx.run();
    BOOST_TEST(expires.ec == error_code());
    second.expires_after(1h);
    second.async_wait(checks.into(cancelled));
    std::optional<timer_of<Ctx>> third(std::move(second));
    BOOST_TEST(third->cancel() == 1u);
    ctx.restart();
    ctx.run();
    BOOST_TEST(cancelled.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timer_moved_among_many_keeps_the_order, Ctx, contexts)
{
    Ctx ctx;
    ints order;
    const auto start = steady::now();
    std::vector<timer_of<Ctx>> timers; // Grows, and so moves every timer often.
    for (int i = 0; i < 100; ++i) {
        const int ms = i * 37 % 100;
        timers.emplace_back(ctx, start + std::chrono::microseconds(100 * ms));
        timers.back().async_wait([&order, ms](error_code ec) {
            if (!ec)
                order.push_back(ms);
        });
    }
    ctx.run();
    BOOST_TEST(order.size() == 100u);
    BOOST_TEST(std::is_sorted(order.begin(), order.end()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(move_assignment_aborts_the_targets_waits, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    io_result of_target, of_source;
    timer_of<Ctx> target(ctx, 1h);
    target.async_wait(checks.into(of_target));
    timer_of<Ctx> source(ctx, 1ms);
    source.async_wait(checks.into(of_source));
    target = std::move(source);
    ctx.run();
    BOOST_TEST(of_target.ec == net::error::operation_aborted);
    BOOST_TEST(of_source.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timer_moves_to_another_context_by_assignment, Ctx, contexts)
{
    handler_checks checks;
    Ctx first;
    Ctx second;
    timer_of<Ctx> timer(first, 1h);
    timer = timer_of<Ctx>(second, 1ms);
    io_result result;
    timer.async_wait(checks.into(result));
    BOOST_TEST(ran(first, first.run(), 0u));
    BOOST_TEST(ran(second, second.run(), 1u));
    BOOST_TEST(result.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_wait_returns_when_it_is_time, Ctx, contexts)
{
    Ctx ctx;
    timer_of<Ctx> timer(ctx, 5ms);
    timer.wait();
    BOOST_TEST((steady::now() >= timer.expiry()));
    error_code ec = test_support::garbage_error();
    timer.expires_at(steady::now() - 1s);
    timer.wait(ec);
    BOOST_TEST(ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_cancels_one_wait_of_several, Ctx, contexts)
{
    for (const auto type : {net::cancellation_type::terminal, net::cancellation_type::partial,
                            net::cancellation_type::total}) {
        handler_checks checks;
        Ctx ctx;
        timer_of<Ctx> timer(ctx, 1h);
        io_result first, second, third;
        net::cancellation_signal signal;
        timer.async_wait(checks.into(first));
        timer.async_wait(net::bind_cancellation_slot(signal.slot(), checks.into(second)));
        timer.async_wait(checks.into(third));
        signal.emit(type);
        ctx.poll();
        BOOST_TEST(!first.done);
        BOOST_TEST(second.ec == net::error::operation_aborted);
        BOOST_TEST(!third.done);
        BOOST_TEST(timer.cancel() == 2u);
        ctx.restart();
        ctx.run();
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_after_completion_does_nothing, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    net::cancellation_signal signal;
    timer_of<Ctx> timer(ctx, 1ms);
    io_result first, second;
    timer.async_wait(net::bind_cancellation_slot(signal.slot(), checks.into(first)));
    ctx.run();
    signal.emit(net::cancellation_type::terminal);
    BOOST_TEST(first.ec == error_code());
    timer.expires_after(1ms);
    timer.async_wait(checks.into(second));
    signal.emit(net::cancellation_type::terminal);
    ctx.restart();
    ctx.run();
    BOOST_TEST(second.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_wait_is_ended_by_a_signal, Ctx, contexts)
{
    struct sigaction ignoring = {}, before = {};
    ignoring.sa_handler = [](int) {};
    BOOST_REQUIRE(::sigaction(SIGUSR1, &ignoring, &before) == 0);
    Ctx ctx;
    timer_of<Ctx> timer(ctx, 1h);
    const pthread_t waiter = ::pthread_self();
    std::atomic<bool> over{false};
    std::thread interrupter([&] {
        while (!over) { // It may not be waiting yet.
            ::pthread_kill(waiter, SIGUSR1);
            std::this_thread::yield();
        }
    });
    error_code ec;
    timer.wait(ec);
    over = true;
    interrupter.join();
    BOOST_TEST(ec == net::error::interrupted);
    ::sigaction(SIGUSR1, &before, nullptr);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(far_future_and_far_past_are_understood, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    timer_of<Ctx> never(ctx, (steady::time_point::max)());
    timer_of<Ctx> always(ctx, (steady::time_point::min)());
    io_result far, past;
    never.async_wait(checks.into(far));
    always.async_wait(checks.into(past));
    test_support::run_until_done(ctx, past);
    BOOST_TEST(past.ec == error_code());
    ctx.run_for(5ms);
    BOOST_TEST(!far.done);
    BOOST_TEST(never.cancel() == 1u);
    ctx.run();
    BOOST_TEST(far.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
