// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

// What run(), poll() and their relatives do and return, and what stop() and
// restart() mean.
namespace conformance {
namespace {

using namespace std::chrono_literals;
using boost::test_tools::per_element;
using ints = std::vector<int>;
using test_support::handler_checks;

BOOST_AUTO_TEST_SUITE(run_family)

BOOST_AUTO_TEST_CASE_TEMPLATE(posted_functions_run_in_order, Ctx, running_contexts)
{
    Ctx ctx;
    ints order;
    for (int i = 0; i < 1000; ++i)
        net::post(ctx, [&order, i] { order.push_back(i); });
    BOOST_TEST(order.empty());
    BOOST_TEST(ctx.run() == 1000u);
    ints expected(1000);
    for (int i = 0; i < 1000; ++i)
        expected[static_cast<std::size_t>(i)] = i;
    BOOST_TEST(order == expected, per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(dispatch_outside_of_run_is_queued, Ctx, running_contexts)
{
    Ctx ctx;
    ints order;
    net::post(ctx, [&] { order.push_back(1); });
    net::dispatch(ctx, [&] { order.push_back(2); });
    BOOST_TEST(order.empty());
    BOOST_TEST(ctx.run() == 2u);
    BOOST_TEST(order == (ints{1, 2}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(dispatch_inside_of_a_handler_is_immediate, Ctx, running_contexts)
{
    Ctx ctx;
    ints order;
    net::post(ctx, [&] {
        order.push_back(1);
        net::dispatch(ctx, [&] { order.push_back(2); });
        order.push_back(3);
    });
    BOOST_TEST(ctx.run() == 1u);
    BOOST_TEST(order == (ints{1, 2, 3}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(dispatch_in_a_handler_of_another_context_is_queued, Ctx,
                              running_contexts)
{
    Ctx ctx;
    Ctx other;
    bool called = false;
    net::post(ctx, [&] { net::dispatch(other, [&] { called = true; }); });
    ctx.run();
    BOOST_TEST(!called);
    BOOST_TEST(other.run() == 1u);
    BOOST_TEST(called);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(defer_inside_of_a_handler_is_queued, Ctx, running_contexts)
{
    Ctx ctx;
    ints order;
    net::post(ctx, [&] {
        net::defer(ctx, [&] { order.push_back(2); });
        order.push_back(1);
    });
    BOOST_TEST(ctx.run() == 2u);
    BOOST_TEST(order == (ints{1, 2}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(post_in_a_handler_goes_behind_what_was_posted_before, Ctx,
                              running_contexts)
{
    Ctx ctx;
    ints order;
    net::post(ctx, [&] {
        order.push_back(1);
        net::post(ctx, [&] { order.push_back(3); });
        net::post(ctx, [&] { order.push_back(4); });
    });
    net::post(ctx, [&] { order.push_back(2); });
    BOOST_TEST(ctx.run() == 4u);
    BOOST_TEST(order == (ints{1, 2, 3, 4}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_without_work_returns_and_is_stopped, Ctx, running_contexts)
{
    const auto expect = [](auto call) {
        Ctx ctx;
        BOOST_TEST(!ctx.stopped());
        BOOST_TEST(call(ctx) == 0u);
        BOOST_TEST(ctx.stopped());
    };
    expect([](Ctx& ctx) { return ctx.run(); });
    expect([](Ctx& ctx) { return ctx.run_one(); });
    expect([](Ctx& ctx) { return ctx.poll(); });
    expect([](Ctx& ctx) { return ctx.poll_one(); });
    expect([](Ctx& ctx) { return ctx.run_for(1h); });
    expect([](Ctx& ctx) { return ctx.run_one_for(1h); });
    expect([](Ctx& ctx) { return ctx.run_until(std::chrono::steady_clock::now() + 1h); });
    expect([](Ctx& ctx) { return ctx.run_one_until(std::chrono::system_clock::now() + 1h); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_last_handler_stops_the_context_until_restart, Ctx,
                              running_contexts)
{
    Ctx ctx;
    int calls = 0;
    net::post(ctx, [&] { ++calls; });
    BOOST_TEST(ctx.run() == 1u);
    BOOST_TEST(ctx.stopped());
    net::post(ctx, [&] { ++calls; });
    BOOST_TEST(ctx.run() == 0u);
    BOOST_TEST(ctx.poll() == 0u);
    BOOST_TEST(ctx.run_one() == 0u);
    BOOST_TEST(calls == 1);
    ctx.restart();
    BOOST_TEST(!ctx.stopped());
    BOOST_TEST(ctx.run() == 1u);
    BOOST_TEST(calls == 2);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(run_one_runs_exactly_one_handler, Ctx, running_contexts)
{
    Ctx ctx;
    int calls = 0;
    for (int i = 0; i < 3; ++i)
        net::post(ctx, [&] { ++calls; });
    BOOST_TEST(ctx.run_one() == 1u);
    BOOST_TEST(calls == 1);
    BOOST_TEST(ctx.poll_one() == 1u);
    BOOST_TEST(calls == 2);
    BOOST_TEST(!ctx.stopped());
    BOOST_TEST(ctx.run_one_for(1h) == 1u);
    BOOST_TEST(calls == 3);
    BOOST_TEST(ctx.stopped());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(poll_runs_what_is_ready_and_what_that_posts, Ctx, running_contexts)
{
    Ctx ctx;
    auto work = net::make_work_guard(ctx);
    int calls = 0;
    net::post(ctx, [&] {
        ++calls;
        net::post(ctx, [&] { ++calls; });
    });
    BOOST_TEST(ctx.poll() == 2u);
    BOOST_TEST(calls == 2);
    BOOST_TEST(ctx.poll() == 0u);
    BOOST_TEST(ctx.poll_one() == 0u);
    BOOST_TEST(!ctx.stopped());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timed_runs_return_while_work_is_outstanding, Ctx, running_contexts)
{
    Ctx ctx;
    auto work = net::make_work_guard(ctx);
    const auto soon = [] { return std::chrono::steady_clock::now() + 2ms; };
    BOOST_TEST(ctx.run_for(2ms) == 0u);
    BOOST_TEST(ctx.run_one_for(2ms) == 0u);
    BOOST_TEST(ctx.run_until(soon()) == 0u);
    BOOST_TEST(ctx.run_one_until(soon()) == 0u);
    BOOST_TEST(!ctx.stopped());
    net::post(ctx, [] {});
    net::post(ctx, [] {});
    std::size_t ran = 0;
    while (ran < 2)
        ran += ctx.run_for(20ms);
    BOOST_TEST(ran + ctx.run_for(2ms) == 2u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(run_until_a_time_that_has_passed_runs_nothing, Ctx, running_contexts)
{
    Ctx ctx;
    int calls = 0;
    net::post(ctx, [&] { ++calls; });
    const auto past = std::chrono::steady_clock::now() - 1s;
    BOOST_TEST(ctx.run_until(past) == 0u);
    BOOST_TEST(ctx.run_one_until(past) == 0u);
    BOOST_TEST(calls == 0);
    BOOST_TEST(!ctx.stopped());
    BOOST_TEST(ctx.run() == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(poll_inside_of_a_handler_runs_the_other_handlers, Ctx,
                              running_contexts)
{
    Ctx ctx;
    ints order;
    std::size_t inner = 0;
    net::post(ctx, [&] {
        net::post(ctx, [&] { order.push_back(3); });
        net::post(ctx, [&] { order.push_back(4); });
        order.push_back(1);
        inner = ctx.poll();
        order.push_back(5);
    });
    net::post(ctx, [&] { order.push_back(2); });
    BOOST_TEST(ctx.run() == 1u);
    BOOST_TEST(inner == 3u);
    BOOST_TEST(order == (ints{1, 2, 3, 4, 5}), per_element());
}

// With a concurrency hint of one, Asio's nested poll leaves some of what the
// handler itself has posted for later, so that only the sum is compared.
BOOST_AUTO_TEST_CASE_TEMPLATE(poll_inside_of_a_handler_runs_handlers_with_hint_one, Ctx,
                              running_contexts)
{
    Ctx ctx(1);
    int calls = 0;
    std::size_t inner = 0;
    net::post(ctx, [&] {
        net::post(ctx, [&] { ++calls; });
        inner = ctx.poll();
        BOOST_TEST(inner >= 1u);
    });
    net::post(ctx, [&] { ++calls; });
    const std::size_t outer = ctx.run();
    BOOST_TEST(inner + outer == 3u);
    BOOST_TEST(calls == 2);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(poll_one_inside_of_a_handler_runs_one, Ctx, running_contexts)
{
    Ctx ctx;
    ints order;
    net::post(ctx, [&] {
        BOOST_TEST(ctx.poll_one() == 1u);
        order.push_back(2);
    });
    net::post(ctx, [&] { order.push_back(1); });
    net::post(ctx, [&] { order.push_back(3); });
    BOOST_TEST(ctx.run() == 2u);
    BOOST_TEST(order == (ints{1, 2, 3}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(run_one_inside_of_a_handler_runs_one, Ctx, running_contexts)
{
    Ctx ctx;
    ints order;
    net::post(ctx, [&] {
        BOOST_TEST(ctx.run_one() == 1u);
        order.push_back(2);
    });
    net::post(ctx, [&] { order.push_back(1); });
    BOOST_TEST(ctx.run() == 1u);
    BOOST_TEST(order == (ints{1, 2}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(stop_ends_a_nested_run_and_the_outer_one, Ctx, running_contexts)
{
    Ctx ctx;
    std::size_t inner = 0;
    net::post(ctx, [&] { inner = ctx.run(); });
    net::post(ctx, [] {});
    net::post(ctx, [&] { ctx.stop(); });
    net::post(ctx, [] {});
    BOOST_TEST(ctx.run() == 1u);
    BOOST_TEST(inner == 2u);
    BOOST_TEST(ctx.stopped());
    ctx.restart();
    BOOST_TEST(ctx.run() == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(dispatch_is_immediate_in_nested_polls_too, Ctx, running_contexts)
{
    Ctx ctx;
    ints order;
    net::post(ctx, [&] { ctx.poll(); });
    net::post(ctx, [&] {
        net::dispatch(ctx, [&] { order.push_back(1); });
        order.push_back(2);
    });
    ctx.run();
    BOOST_TEST(order == (ints{1, 2}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(work_guard_keeps_run_from_returning, Ctx, running_contexts)
{
    Ctx ctx;
    auto work = net::make_work_guard(ctx);
    BOOST_TEST(work.owns_work());
    BOOST_TEST(ctx.poll() == 0u);
    BOOST_TEST(!ctx.stopped());
    std::thread other([&] { work.reset(); });
    BOOST_TEST(ctx.run() == 0u);
    other.join();
    BOOST_TEST(!work.owns_work());
    BOOST_TEST(ctx.stopped());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_copy_of_a_work_guard_counts, Ctx, running_contexts)
{
    Ctx ctx;
    auto first = net::make_work_guard(ctx);
    auto second = first;
    auto third = std::move(first);
    BOOST_TEST(!first.owns_work());
    third.reset();
    ctx.poll();
    BOOST_TEST(!ctx.stopped());
    second.reset();
    ctx.poll();
    BOOST_TEST(ctx.stopped());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(work_guard_reset_in_a_handler_ends_run, Ctx, running_contexts)
{
    Ctx ctx;
    auto work = net::make_work_guard(ctx.get_executor());
    net::post(ctx, [&] { work.reset(); });
    BOOST_TEST(ctx.run() == 1u);
    BOOST_TEST(ctx.stopped());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(stop_before_run_leaves_the_work, Ctx, running_contexts)
{
    Ctx ctx;
    int calls = 0;
    net::post(ctx, [&] { ++calls; });
    ctx.stop();
    BOOST_TEST(ctx.stopped());
    BOOST_TEST(ctx.run() == 0u);
    BOOST_TEST(ctx.poll_one() == 0u);
    BOOST_TEST(calls == 0);
    ctx.restart();
    BOOST_TEST(ctx.run() == 1u);
    BOOST_TEST(calls == 1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(stop_in_a_handler_ends_run_behind_it, Ctx, running_contexts)
{
    Ctx ctx;
    ints order;
    net::post(ctx, [&] { order.push_back(1); });
    net::post(ctx, [&] {
        ctx.stop();
        order.push_back(2);
    });
    net::post(ctx, [&] { order.push_back(3); });
    BOOST_TEST(ctx.run() == 2u);
    BOOST_TEST(order == (ints{1, 2}), per_element());
    ctx.restart();
    BOOST_TEST(ctx.run() == 1u);
    BOOST_TEST(order == (ints{1, 2, 3}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(stop_in_a_handler_ends_poll_too, Ctx, running_contexts)
{
    Ctx ctx;
    net::post(ctx, [&] { ctx.stop(); });
    net::post(ctx, [] {});
    BOOST_TEST(ctx.poll() == 1u);
    BOOST_TEST(ctx.poll() == 0u);
    ctx.restart();
    BOOST_TEST(ctx.poll() == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(stop_from_another_thread_wakes_run, Ctx, running_contexts)
{
    for (const int hint : {1, 2}) {
        Ctx ctx(hint);
        auto work = net::make_work_guard(ctx);
        std::promise<void> inside;
        net::post(ctx, [&] { inside.set_value(); });
        auto runner = std::async(std::launch::async, [&] { return ctx.run(); });
        test_support::wait_for(inside.get_future());
        ctx.stop();
        BOOST_TEST(test_support::wait_for(runner) == 1u);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(stop_keeps_pending_timers_for_the_next_run, Ctx, running_contexts)
{
    handler_checks checks;
    Ctx ctx;
    timer_of<Ctx> timer(ctx, 1ms);
    test_support::io_result result;
    timer.async_wait(checks.into(result));
    net::post(ctx, [&] { ctx.stop(); });
    BOOST_TEST(ctx.run() == 1u);
    BOOST_TEST(!result.done);
    ctx.restart();
    BOOST_TEST(ctx.run() == 1u);
    BOOST_TEST(result.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(run_counts_completion_handlers, Ctx, running_contexts)
{
    handler_checks checks;
    Ctx ctx;
    timer_of<Ctx> first(ctx, 1ms);
    timer_of<Ctx> second(ctx, 2ms);
    first.async_wait(checks.once([](error_code) {}));
    second.async_wait(checks.once([](error_code) {}));
    net::post(ctx, checks.once([] {}));
    BOOST_TEST(ctx.run() == 3u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(reset_is_restart, Ctx, running_contexts)
{
#if defined(BOOST_ASIO_NO_DEPRECATED)
    SAFER_RING_SKIP("reset() is deprecated and left out of this build");
#elif BOOST_ASIO_VERSION >= 103200
    SAFER_RING_SKIP("net::io_context has no reset() from Boost 1.87 on");
#else
    Ctx ctx;
    ctx.stop();
    ctx.reset();
    BOOST_TEST(!ctx.stopped());
#endif
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_concurrency_hint_runs, Ctx, running_contexts)
{
    for (const int hint : {BOOST_ASIO_CONCURRENCY_HINT_1, BOOST_ASIO_CONCURRENCY_HINT_UNSAFE,
                           BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO, BOOST_ASIO_CONCURRENCY_HINT_SAFE,
                           BOOST_ASIO_CONCURRENCY_HINT_DEFAULT, 2, 16}) {
        handler_checks checks;
        Ctx ctx(hint);
        timer_of<Ctx> timer(ctx, 1ms);
        timer.async_wait(checks.once([](error_code ec) { BOOST_TEST(ec == error_code()); }));
        net::post(ctx, checks.once([&] { net::post(ctx, checks.once([] {})); }));
        BOOST_TEST(ctx.run() == 3u);
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
