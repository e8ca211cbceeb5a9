// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#if defined(BOOST_ASIO_HAS_BOOST_DATE_TIME) && !defined(BOOST_ASIO_NO_DEPRECATED)

#include <boost/asio/deadline_timer.hpp>
#include <boost/date_time/posix_time/posix_time_types.hpp>

#include <memory>
#include <vector>

// Deadline timers, which keep the time of Boost.DateTime, with its infinities.

// Parts of Asio that newer Boosts deprecate are tested for as long as they are there.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace conformance {
namespace {

namespace pt = boost::posix_time;
using namespace std::chrono_literals;
using boost::test_tools::per_element;
using net::error::operation_aborted;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

using traits = net::time_traits<pt::ptime>;
template <class Ctx, class Traits = traits>
using deadline_timer_of = net::basic_deadline_timer<pt::ptime, Traits, executor_of<Ctx>>;

BOOST_AUTO_TEST_SUITE(deadline_timers)

BOOST_AUTO_TEST_CASE_TEMPLATE(deadline_timer_expires, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const pt::ptime start = traits::now();
    deadline_timer_of<Ctx> timer(ctx, pt::milliseconds(3));
    BOOST_TEST((timer.expires_at() >= start + pt::milliseconds(3)));
    BOOST_TEST((timer.expires_from_now() <= pt::milliseconds(3)));
    io_result result;
    timer.async_wait(checks.into(result));
    BOOST_TEST(!result.done);
    BOOST_TEST(ran(ctx, ctx.run(), 1u));
    BOOST_TEST(result.ec == error_code());
    BOOST_TEST((timer.expires_at() <= traits::now()));
    BOOST_TEST(timer.expires_from_now().is_negative());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_waits, Ctx, contexts)
{
    Ctx ctx;
    deadline_timer_of<Ctx> timer(ctx, traits::now() + pt::milliseconds(2));
    timer.wait();
    BOOST_TEST((timer.expires_at() <= traits::now()));
    error_code ec = test_support::garbage_error();
    for (const pt::ptime& past : {pt::ptime(pt::neg_infin), pt::ptime(pt::min_date_time)}) {
        timer.expires_at(past);
        timer.wait(ec);
        BOOST_TEST(ec == error_code());
    }
}

/// A clock that reaches the end of time after it was looked at once.
struct ending_clock_traits : traits {
    inline static int looked_at = 0;
    static pt::ptime now() { return looked_at++ == 0 ? traits::now() : pt::ptime(pt::pos_infin); }
};

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_wait_for_infinity_lasts_until_then, Ctx, contexts)
{
    // Asio hands the number that stands for infinity to select(2).
    if constexpr (is_ours<Ctx>) {
        Ctx ctx;
        deadline_timer_of<Ctx, ending_clock_traits> timer(ctx, pt::ptime(pt::pos_infin));
        ending_clock_traits::looked_at = 0;
        timer.wait();
        BOOST_TEST(ending_clock_traits::looked_at == 2);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timers_expire_in_the_order_of_their_times, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const pt::ptime now = traits::now();
    const pt::ptime times[] = {now + pt::milliseconds(4), pt::ptime(pt::neg_infin),
                               now + pt::milliseconds(2), now - pt::hours(1),
                               pt::ptime(pt::min_date_time)};
    std::vector<deadline_timer_of<Ctx>> timers;
    std::vector<int> order;
    for (int i = 0; i < 5; ++i) {
        timers.emplace_back(ctx, times[i]);
        timers.back().async_wait(checks.once([&order, i](error_code ec) {
            BOOST_TEST(!ec);
            order.push_back(i);
        }));
    }
    ctx.run();
    BOOST_TEST(order == (std::vector<int>{1, 4, 3, 2, 0}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_way_to_set_the_expiry_cancels_what_waits, Ctx, contexts)
{
    using timer = deadline_timer_of<Ctx>;
    std::size_t (*const ways[])(timer&, error_code&) = {
        [](timer& t, error_code&) { return t.cancel(); },
        [](timer& t, error_code& ec) { return t.cancel(ec); },
        [](timer& t, error_code&) { return t.cancel_one() + t.cancel_one() + t.cancel_one(); },
        [](timer& t, error_code& ec) { return t.cancel_one(ec) + t.cancel_one(ec); },
        [](timer& t, error_code&) { return t.expires_at(traits::now() + pt::hours(2)); },
        [](timer& t, error_code& ec) { return t.expires_at(traits::now() + pt::hours(2), ec); },
        [](timer& t, error_code&) { return t.expires_from_now(pt::hours(2)); },
        [](timer& t, error_code& ec) { return t.expires_from_now(pt::hours(2), ec); },
        [](timer& t, error_code&) { return t.expires_at(pt::ptime(pt::pos_infin)); },
        [](timer& t, error_code&) { return t.expires_from_now(pt::time_duration(pt::pos_infin)); },
        [](timer& t, error_code&) { return t.expires_from_now(pt::time_duration(pt::neg_infin)); },
    };
    for (const auto way : ways)
        for (const pt::ptime& expiry : {traits::now() + pt::hours(1), pt::ptime(pt::pos_infin)}) {
            handler_checks checks;
            Ctx ctx;
            timer t(ctx, expiry);
            io_result first, second;
            t.async_wait(checks.into(first));
            t.async_wait(checks.into(second));
            error_code ec;
            BOOST_TEST(way(t, ec) == 2u);
            BOOST_TEST(ec == error_code());
            BOOST_TEST(!first.done);
            ctx.run();
            BOOST_TEST(first.ec == operation_aborted);
            BOOST_TEST(second.ec == operation_aborted);
        }
}

// Nor does a time that is none, which Boost.DateTime orders behind all others.
BOOST_AUTO_TEST_CASE_TEMPLATE(infinity_the_last_day_and_no_time_at_all_never_come, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    std::vector<deadline_timer_of<Ctx>> timers;
    timers.emplace_back(ctx);
    for (const auto special : {pt::pos_infin, pt::not_a_date_time, pt::max_date_time})
        timers.emplace_back(ctx, pt::ptime(special));
    BOOST_TEST(timers[0].expires_at().is_not_a_date_time());
    BOOST_TEST(timers[0].expires_from_now().is_not_a_date_time());
    BOOST_TEST(timers[1].expires_from_now().is_pos_infinity());
    std::vector<io_result> never(timers.size());
    for (std::size_t i = 0; i < timers.size(); ++i)
        timers[i].async_wait(checks.into(never[i]));
    deadline_timer_of<Ctx> soon(ctx, pt::milliseconds(1));
    io_result other;
    soon.async_wait(checks.into(other));
    ctx.run_for(5ms);
    run_until_done(ctx, other);
    BOOST_TEST(other.ec == error_code());
    for (std::size_t i = 0; i < timers.size(); ++i) {
        BOOST_TEST(!never[i].done);
        BOOST_TEST(timers[i].cancel() == 1u);
    }
    ctx.run();
    for (const io_result& result : never)
        BOOST_TEST(result.ec == operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(wait_for_infinity_is_work_until_it_is_cancelled, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    deadline_timer_of<Ctx> timer(ctx, pt::ptime(pt::pos_infin));
    for (int round = 0; round < 2; ++round) {
        io_result first, second;
        timer.async_wait(checks.into(first));
        ctx.poll();
        BOOST_TEST(!ctx.stopped());
        timer.async_wait(checks.into(second));
        ctx.poll();
        BOOST_TEST(!ctx.stopped());
        BOOST_TEST(!first.done);
        net::post(ctx, [&] { BOOST_TEST(timer.cancel() == 2u); });
        ctx.run();
        BOOST_TEST(first.ec == operation_aborted);
        BOOST_TEST(second.ec == operation_aborted);
        ctx.restart();
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(negative_infinity_is_due, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    deadline_timer_of<Ctx> timer(ctx, pt::ptime(pt::neg_infin));
    BOOST_TEST(timer.expires_from_now().is_neg_infinity());
    io_result result, again;
    timer.async_wait(checks.into(result));
    ctx.run();
    timer.expires_from_now(pt::time_duration(pt::neg_infin));
    timer.async_wait(checks.into(again));
    ctx.restart();
    ctx.run();
    BOOST_TEST(result.ec == error_code());
    BOOST_TEST(again.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timers_are_moved_and_destroyed, Ctx, contexts)
{
    for (const pt::ptime& expiry : {pt::ptime(pt::pos_infin), traits::now() + pt::hours(1)}) {
        handler_checks checks;
        Ctx ctx;
        io_result moved, replaced, destroyed;
        {
            deadline_timer_of<Ctx> source(ctx, expiry);
            source.async_wait(checks.into(moved));
            deadline_timer_of<Ctx> target(std::move(source));
            BOOST_TEST((target.expires_at() == expiry));
            deadline_timer_of<Ctx> other(ctx, expiry);
            other.async_wait(checks.into(replaced));
            other = std::move(target);
            ctx.poll();
            BOOST_TEST(replaced.ec == operation_aborted);
            BOOST_TEST(!moved.done);
            other.async_wait(checks.into(destroyed));
        }
        ctx.restart();
        ctx.run();
        BOOST_TEST(moved.ec == operation_aborted);
        BOOST_TEST(destroyed.ec == operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_is_destroyed_with_waits_pending, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    for (const pt::ptime& expiry : {pt::ptime(pt::pos_infin), traits::now() + pt::hours(1)}) {
        auto owned = std::make_unique<deadline_timer_of<Ctx>>(ctx, expiry);
        auto& timer = *owned;
        timer.async_wait(checks.never());
        timer.async_wait(checks.never_with(std::move(owned)));
    }
    ctx.poll();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(waits_are_cancelled_by_slot, Ctx, contexts)
{
    for (const auto type : {net::cancellation_type::terminal, net::cancellation_type::partial,
                            net::cancellation_type::total})
        for (const pt::ptime& expiry : {pt::ptime(pt::pos_infin), traits::now() + pt::hours(1)}) {
            handler_checks checks;
            Ctx ctx;
            net::cancellation_signal signal;
            deadline_timer_of<Ctx> timer(ctx, expiry);
            io_result result, other;
            timer.async_wait(net::bind_cancellation_slot(signal.slot(), checks.into(result)));
            timer.async_wait(checks.into(other));
            ctx.poll();
            signal.emit(type);
            run_until_done(ctx, result);
            BOOST_TEST(result.ec == operation_aborted);
            BOOST_TEST(!other.done);
            timer.cancel();
            ctx.restart();
            ctx.run();
        }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(completion_tokens, Ctx, contexts)
{
    Ctx ctx;
    deadline_timer_of<Ctx> timer(ctx, pt::milliseconds(1)), never(ctx, pt::ptime(pt::pos_infin));
    net::thread_pool pool(1);
    auto expired = timer.async_wait(net::use_future);
    auto aborted = never.async_wait(net::bind_executor(pool, net::use_future));
    bool tuple = false;
    net::co_spawn(
        ctx,
        [&]() -> net::awaitable<void, executor_of<Ctx>> {
            auto [ec] =
                co_await timer.async_wait(net::as_tuple(net::use_awaitable_t<executor_of<Ctx>>()));
            tuple = !ec;
            never.cancel();
        },
        net::detached);
    ctx.run();
    expired.get();
    BOOST_TEST(tuple);
    BOOST_CHECK_THROW(test_support::wait_for(aborted), boost::system::system_error);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance

#endif
