// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/manual_clock.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <string>
#include <thread>
#include <vector>

// Timers of every clock: the standard ones and the user's own.
namespace conformance {
namespace {

using namespace std::chrono_literals;
using boost::test_tools::per_element;
using ints = std::vector<int>;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until;

template <class Ctx, class Clock>
using manual_timer_of = timer_of<Ctx, Clock, test_support::polling_wait_traits<Clock>>;

template <class Ctx, class Clock>
void wait_on_clock()
{
    handler_checks checks;
    Ctx ctx;
    const auto start = Clock::now();
    timer_of<Ctx, Clock> timer(ctx);
    timer.expires_after(3ms);
    io_result result;
    timer.async_wait(checks.into(result));
    ctx.run();
    BOOST_TEST(result.ec == error_code());
    BOOST_TEST((Clock::now() >= start + 3ms));
    timer.expires_after(1h);
    io_result cancelled;
    timer.async_wait(checks.into(cancelled));
    BOOST_TEST(timer.cancel() == 1u);
    ctx.restart();
    ctx.run();
    BOOST_TEST(cancelled.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_SUITE(timer_clocks)

BOOST_AUTO_TEST_CASE_TEMPLATE(steady_clock_timer, Ctx, contexts)
{
    wait_on_clock<Ctx, std::chrono::steady_clock>();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(system_clock_timer, Ctx, contexts)
{
    wait_on_clock<Ctx, std::chrono::system_clock>();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(high_resolution_clock_timer, Ctx, contexts)
{
    wait_on_clock<Ctx, std::chrono::high_resolution_clock>();
}

// A loop that was held up finds data and its time-out at once: the data came in
// time, and its handler must have the chance to cancel the timer.
BOOST_AUTO_TEST_CASE_TEMPLATE(data_goes_before_a_time_out_that_is_due_with_it, Ctx, contexts)
{
    struct tag {};
    using clock = test_support::manual_clock<tag>;
    Ctx ctx;
    auto [socket, peer] = test_support::connect_to_peer<local_socket_of<Ctx>>(ctx);
    manual_timer_of<Ctx, clock> timer(ctx);
    timer.expires_after(1s);
    std::vector<std::string> order;
    timer.async_wait([&](error_code) { order.push_back("time-out"); });
    std::array<char, 8> data;
    socket.async_read_some(net::buffer(data),
                           [&](error_code, std::size_t) { order.push_back("data"); });
    ctx.poll(); // Both wait.
    BOOST_TEST(order.empty());
    peer.write("x");
    clock::advance(2s);
    ctx.restart();
    ctx.run();
    BOOST_TEST(order == (std::vector<std::string>{"data", "time-out"}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timers_of_different_clocks_run_side_by_side, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    ints order;
    // Of both clocks there is one that is not due.
    timer_of<Ctx, std::chrono::steady_clock> first(ctx, 2ms), third(ctx, 1h);
    timer_of<Ctx, std::chrono::system_clock> second(ctx), last(ctx, 1h);
    last.async_wait(checks.once([&](error_code) { order.push_back(4); }));
    third.async_wait(checks.once([&](error_code) {
        order.push_back(3);
        last.cancel();
    }));
    first.async_wait(checks.once([&](error_code) {
        order.push_back(1);
        second.expires_after(2ms);
        second.async_wait(checks.once([&](error_code) {
            order.push_back(2);
            third.cancel();
        }));
    }));
    ctx.run();
    BOOST_TEST(order == (ints{1, 2, 3, 4}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(manual_clock_decides_when_its_timers_expire, Ctx, contexts)
{
    struct tag {};
    using clock = test_support::manual_clock<tag>;
    handler_checks checks;
    Ctx ctx;
    manual_timer_of<Ctx, clock> timer(ctx);
    timer.expires_after(1h);
    io_result result;
    timer.async_wait(checks.into(result));
    ctx.run_for(5ms);
    BOOST_TEST(!result.done);
    clock::advance(59min);
    ctx.run_for(5ms);
    BOOST_TEST(!result.done);
    clock::advance(1min);
    ctx.run();
    BOOST_TEST(result.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(manual_clock_moved_by_another_thread_is_seen, Ctx, contexts)
{
    struct tag {};
    using clock = test_support::manual_clock<tag>;
    handler_checks checks;
    Ctx ctx;
    manual_timer_of<Ctx, clock> timer(ctx);
    timer.expires_after(1h);
    io_result result;
    timer.async_wait(checks.into(result));
    std::thread mover([] { clock::advance(2h); });
    ctx.run();
    mover.join();
    BOOST_TEST(result.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(manual_clock_orders_its_timers_by_its_own_time, Ctx, contexts)
{
    struct tag {};
    using clock = test_support::manual_clock<tag>;
    handler_checks checks;
    Ctx ctx;
    ints order;
    manual_timer_of<Ctx, clock> timers[3] = {manual_timer_of<Ctx, clock>(ctx),
                                             manual_timer_of<Ctx, clock>(ctx),
                                             manual_timer_of<Ctx, clock>(ctx)};
    for (const int i : {2, 0, 1}) {
        timers[i].expires_after(std::chrono::hours(i + 1));
        timers[i].async_wait(checks.once([&order, i](error_code) { order.push_back(i); }));
    }
    clock::advance(2h);
    run_until(ctx, [&] { return order.size() == 2; });
    ctx.restart();
    ctx.run_for(5ms);
    BOOST_TEST(order == (ints{0, 1}), per_element());
    clock::advance(1h);
    ctx.run();
    BOOST_TEST(order == (ints{0, 1, 2}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(manual_clock_that_steps_back_delays_its_timers, Ctx, contexts)
{
    struct tag {};
    using clock = test_support::manual_clock<tag>;
    handler_checks checks;
    Ctx ctx;
    manual_timer_of<Ctx, clock> timer(ctx);
    timer.expires_after(10ms);
    io_result result;
    timer.async_wait(checks.into(result));
    clock::advance(-1h);
    clock::advance(10ms);
    ctx.run_for(5ms);
    BOOST_TEST(!result.done);
    clock::advance(1h);
    ctx.run();
    BOOST_TEST(result.ec == error_code());
}

// The usual wait traits say that the expiry is an hour away, so nothing calls
// for another look at the clock until some other timer of the context expires.
BOOST_AUTO_TEST_CASE_TEMPLATE(clock_that_steps_forward_is_seen_when_another_timer_expires, Ctx,
                              contexts)
{
    struct tag {};
    using clock = test_support::manual_clock<tag>;
    handler_checks checks;
    Ctx ctx;
    timer_of<Ctx, clock> stepped(ctx);
    stepped.expires_after(1h);
    io_result result;
    stepped.async_wait(checks.into(result));
    timer_of<Ctx> other(ctx);
    // Both in one handler: the other timer cannot expire before the step, after which nobody would look.
    net::post(ctx, [&] {
        other.expires_after(5ms);
        other.async_wait(checks.once([](error_code) {}));
        clock::advance(2h);
    });
    BOOST_TEST(ran(ctx, ctx.run(), 3u));
    BOOST_TEST(result.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(manual_clock_timers_can_be_cancelled_and_moved, Ctx, contexts)
{
    struct tag {};
    using clock = test_support::manual_clock<tag>;
    handler_checks checks;
    Ctx ctx;
    manual_timer_of<Ctx, clock> timer(ctx);
    timer.expires_after(1h);
    io_result first, second;
    timer.async_wait(checks.into(first));
    BOOST_TEST(timer.cancel() == 1u);
    timer.async_wait(checks.into(second));
    manual_timer_of<Ctx, clock> moved(std::move(timer));
    clock::advance(1h);
    ctx.run();
    BOOST_TEST(first.ec == net::error::operation_aborted);
    BOOST_TEST(second.ec == error_code());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
