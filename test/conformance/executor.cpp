// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/counting_allocator.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <vector>

// The executor: its properties, its comparisons, and what can be made of it.

// Parts of Asio that newer Boosts deprecate are tested for as long as they are there.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace conformance {
namespace {

using boost::test_tools::per_element;
using ints = std::vector<int>;
using test_support::allocation_counts;
using test_support::counting_allocator;
using test_support::handler_checks;
namespace execution = net::execution;

BOOST_AUTO_TEST_SUITE(executor)

BOOST_AUTO_TEST_CASE_TEMPLATE(executor_models_the_executor_concept, Ctx, contexts)
{
    using executor_type = executor_of<Ctx>;
    BOOST_TEST(execution::is_executor<executor_type>::value);
    BOOST_TEST(!execution::is_executor<Ctx>::value);
    BOOST_TEST((std::is_base_of_v<net::execution_context, Ctx>));
    BOOST_TEST(std::is_nothrow_copy_constructible_v<executor_type>);
    BOOST_TEST(std::is_nothrow_move_constructible_v<executor_type>);
    BOOST_TEST(!std::is_copy_constructible_v<Ctx>);
    BOOST_TEST((std::is_convertible_v<executor_type, net::any_io_executor>));
#if !defined(BOOST_ASIO_NO_TS_EXECUTORS)
    BOOST_TEST(net::is_executor<executor_type>::value);
#endif
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_property_can_be_required_and_preferred, Ctx, contexts)
{
    using executor_type = executor_of<Ctx>;
    const auto accepts = []<class Property>(Property) {
        return net::can_require<executor_type, Property>::value &&
               net::can_prefer<executor_type, Property>::value;
    };
    BOOST_TEST(accepts(execution::blocking.possibly));
    BOOST_TEST(accepts(execution::blocking.never));
    BOOST_TEST(accepts(execution::relationship.fork));
    BOOST_TEST(accepts(execution::relationship.continuation));
    BOOST_TEST(accepts(execution::outstanding_work.tracked));
    BOOST_TEST(accepts(execution::outstanding_work.untracked));
    BOOST_TEST(accepts(execution::allocator(std::allocator<void>())));
    BOOST_TEST(accepts(execution::allocator));
    BOOST_TEST((!net::can_require<executor_type, execution::blocking_t::always_t>::value));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_property_can_be_queried, Ctx, contexts)
{
    Ctx ctx;
    const auto ex = ctx.get_executor();
    BOOST_TEST((net::query(ex, execution::blocking) == execution::blocking.possibly));
    BOOST_TEST((net::query(ex, execution::relationship) == execution::relationship.fork));
    BOOST_TEST(
        (net::query(ex, execution::outstanding_work) == execution::outstanding_work.untracked));
    BOOST_TEST((net::query(ex, execution::mapping) == execution::mapping.thread));
#if BOOST_ASIO_VERSION >= 103700
    BOOST_TEST((net::query(ex, execution::inline_exception_handling) ==
                execution::inline_exception_handling.capture));
#endif
    BOOST_TEST(&net::query(ex, execution::context) == &ctx);
    BOOST_TEST((net::query(ex, execution::allocator) == std::allocator<void>()));
    BOOST_TEST((std::is_same_v<decltype(net::query(ex, execution::context)), Ctx&>));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(required_properties_are_seen_by_queries, Ctx, contexts)
{
    Ctx ctx;
    const auto ex = ctx.get_executor();
    const auto never = net::require(ex, execution::blocking.never);
    BOOST_TEST((net::query(never, execution::blocking) == execution::blocking.never));
    const auto possibly = net::require(never, execution::blocking.possibly);
    BOOST_TEST((net::query(possibly, execution::blocking) == execution::blocking.possibly));
    const auto next = net::require(ex, execution::relationship.continuation);
    BOOST_TEST((net::query(next, execution::relationship) == execution::relationship.continuation));
    const auto both = net::require(next, execution::blocking.never);
    BOOST_TEST((net::query(both, execution::relationship) == execution::relationship.continuation));
    BOOST_TEST((net::query(both, execution::blocking) == execution::blocking.never));
    const auto tracked = net::require(both, execution::outstanding_work.tracked);
    BOOST_TEST(
        (net::query(tracked, execution::outstanding_work) == execution::outstanding_work.tracked));
    BOOST_TEST((net::query(tracked, execution::blocking) == execution::blocking.never));
    BOOST_TEST(&net::query(tracked, execution::context) == &ctx);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(executors_compare_by_context_and_properties, Ctx, contexts)
{
    Ctx ctx;
    Ctx other;
    const auto ex = ctx.get_executor();
    BOOST_TEST((ex == ctx.get_executor()));
    BOOST_TEST((ex != other.get_executor()));
    const auto never = net::require(ex, execution::blocking.never);
    BOOST_TEST((ex != never));
    BOOST_TEST((ex == net::require(never, execution::blocking.possibly)));
    BOOST_TEST((ex != net::require(ex, execution::relationship.continuation)));
    auto assigned = other.get_executor();
    assigned = ex;
    BOOST_TEST((assigned == ex));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(execute_runs_inside_at_once_and_outside_later, Ctx, contexts)
{
    Ctx ctx;
    ints order;
    const auto ex = ctx.get_executor();
    ex.execute([&] {
        order.push_back(1);
        ex.execute([&] { order.push_back(2); });
        order.push_back(3);
    });
    BOOST_TEST(order.empty());
    BOOST_TEST(ctx.run() == 1u);
    BOOST_TEST(order == (ints{1, 2, 3}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(execute_that_never_blocks_is_queued, Ctx, contexts)
{
    Ctx ctx;
    ints order;
    const auto ex = net::require(ctx.get_executor(), execution::blocking.never);
    ex.execute([&] {
        ex.execute([&] { order.push_back(2); });
        order.push_back(1);
    });
    BOOST_TEST(ctx.run() == 2u);
    BOOST_TEST(order == (ints{1, 2}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(execute_of_a_continuation_is_queued, Ctx, contexts)
{
    Ctx ctx;
    ints order;
    const auto ex = net::require(ctx.get_executor(), execution::blocking.never,
                                 execution::relationship.continuation);
    net::post(ctx, [&] {
        ex.execute([&] { order.push_back(2); });
        order.push_back(1);
    });
    BOOST_TEST(ctx.run() == 2u);
    BOOST_TEST(order == (ints{1, 2}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(tracked_executors_keep_run_going, Ctx, contexts)
{
    Ctx ctx;
    {
        auto tracked = net::require(ctx.get_executor(), execution::outstanding_work.tracked);
        auto copy = tracked;
        auto moved = std::move(tracked);
        const auto untracked = net::require(copy, execution::outstanding_work.untracked);
        ctx.poll();
        BOOST_TEST(!ctx.stopped());
        BOOST_TEST((untracked == ctx.get_executor()));
    }
    ctx.poll();
    BOOST_TEST(ctx.stopped());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(assigning_tracked_executors_moves_their_work, Ctx, contexts)
{
    Ctx first;
    Ctx second;
    {
        auto a = net::require(first.get_executor(), execution::outstanding_work.tracked);
        auto b = net::require(second.get_executor(), execution::outstanding_work.tracked);
        a = b;
        first.poll();
        BOOST_TEST(first.stopped());
        b = net::require(first.get_executor(), execution::outstanding_work.tracked);
        second.poll();
        BOOST_TEST(!second.stopped());
    }
    second.poll();
    BOOST_TEST(second.stopped());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(allocator_property_is_used, Ctx, contexts)
{
    allocation_counts counts;
    {
        Ctx ctx;
        const counting_allocator<> allocator(counts);
        const auto ex = net::require(ctx.get_executor(), execution::blocking.never,
                                     execution::allocator(allocator));
        BOOST_TEST((net::query(ex, execution::allocator) == allocator));
        bool given_back = false;
        ex.execute([&] { given_back = counts.live == 0; });
        BOOST_TEST(counts.made > 0);
        ctx.run();
        BOOST_TEST(given_back);
        ex.execute([] {});
    }
    BOOST_TEST(counts.live == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(allocator_of_a_posted_function_is_used, Ctx, contexts)
{
    allocation_counts counts;
    Ctx ctx;
    const counting_allocator<> allocator(counts);
    bool given_back = false;
    const auto function = [&] { given_back = counts.live == 0; };
    net::post(ctx, net::bind_allocator(allocator, function));
    BOOST_TEST(counts.made > 0);
    ctx.run();
    BOOST_TEST(given_back);
    net::defer(ctx, net::bind_allocator(allocator, function));
    net::dispatch(ctx, net::bind_allocator(allocator, function));
    ctx.restart();
    ctx.run();
    BOOST_TEST(counts.live == 0);
    BOOST_TEST(counts.made >= 3);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(running_in_this_thread_holds_inside_of_run_only, Ctx, contexts)
{
    Ctx ctx;
    Ctx other;
    const auto ex = ctx.get_executor();
    BOOST_TEST(!ex.running_in_this_thread());
    bool inside = false;
    bool inside_of_other = true;
    bool nested = false;
    net::post(ctx, [&] {
        inside = ex.running_in_this_thread();
        inside_of_other = other.get_executor().running_in_this_thread();
        net::post(other, [&] { nested = ex.running_in_this_thread(); });
        other.run();
    });
    ctx.run();
    BOOST_TEST(inside);
    BOOST_TEST(!inside_of_other);
    BOOST_TEST(nested);
    BOOST_TEST(!ex.running_in_this_thread());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(any_io_executor_of_it_behaves_the_same, Ctx, contexts)
{
    Ctx ctx;
    const net::any_io_executor any = ctx.get_executor();
    BOOST_TEST(&net::query(any, execution::context) == static_cast<net::execution_context*>(&ctx));
    BOOST_TEST((any == net::any_io_executor(ctx.get_executor())));
    BOOST_REQUIRE(any.template target<executor_of<Ctx>>() != nullptr);
    BOOST_TEST((*any.template target<executor_of<Ctx>>() == ctx.get_executor()));
    ints order;
    net::post(any, [&] {
        order.push_back(1);
        net::dispatch(any, [&] { order.push_back(2); });
        net::post(any, [&] { order.push_back(4); });
        order.push_back(3);
    });
    BOOST_TEST(ctx.run() == 2u);
    BOOST_TEST(order == (ints{1, 2, 3, 4}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(any_io_executor_keeps_work_and_properties, Ctx, contexts)
{
    Ctx ctx;
    const net::any_io_executor any = ctx.get_executor();
    {
        const auto tracked = net::prefer(any, execution::outstanding_work.tracked);
        ctx.poll();
        BOOST_TEST(!ctx.stopped());
    }
    ctx.poll();
    BOOST_TEST(ctx.stopped());
    const auto never = net::require(any, execution::blocking.never);
    bool called = false;
    ctx.restart();
    net::post(ctx, [&] {
        never.execute([&] { called = true; });
        BOOST_TEST(!called);
    });
    ctx.run();
    BOOST_TEST(called);
    auto guard = net::make_work_guard(any);
    ctx.restart();
    ctx.poll();
    BOOST_TEST(!ctx.stopped());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(strand_of_it_runs_in_order_and_knows_itself, Ctx, contexts)
{
    Ctx ctx;
    strand_of<Ctx> strand(ctx.get_executor());
    const auto other = net::make_strand(ctx);
    BOOST_TEST((strand == strand_of<Ctx>(strand)));
    BOOST_TEST((strand != other));
    BOOST_TEST(&net::query(strand, execution::context) == &ctx);
    ints order;
    bool inside = false;
    bool inside_of_other = true;
    net::post(strand, [&] {
        inside = strand.running_in_this_thread();
        inside_of_other = other.running_in_this_thread();
        net::post(strand, [&] { order.push_back(4); });
        net::dispatch(strand, [&] { order.push_back(1); });
        order.push_back(2);
    });
    net::post(strand, [&] { order.push_back(3); });
    ctx.run();
    BOOST_TEST(inside);
    BOOST_TEST(!inside_of_other);
    BOOST_TEST(order == (ints{1, 2, 3, 4}), per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timer_on_a_strand_completes_on_the_strand, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    strand_of<Ctx> strand(ctx.get_executor());
    net::basic_waitable_timer<std::chrono::steady_clock,
                              net::wait_traits<std::chrono::steady_clock>, strand_of<Ctx>>
        timer(strand, std::chrono::milliseconds(1));
    bool inside = false;
    timer.async_wait(checks.once([&](error_code) { inside = strand.running_in_this_thread(); }));
    ctx.run();
    BOOST_TEST(inside);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(old_executor_interface_works, Ctx, contexts)
{
#if defined(BOOST_ASIO_NO_TS_EXECUTORS)
    SAFER_RING_SKIP("this build leaves the old executor interface out");
#else
    Ctx ctx;
    const auto ex = ctx.get_executor();
    BOOST_TEST(&ex.context() == &ctx);
    ints order;
    const std::allocator<void> allocator;
    ex.dispatch(
        [&] {
            order.push_back(1);
            ex.dispatch([&] { order.push_back(2); }, allocator);
            ex.post([&] { order.push_back(4); }, allocator);
            ex.defer([&] { order.push_back(5); }, allocator);
            order.push_back(3);
        },
        allocator);
    BOOST_TEST(order.empty());
    BOOST_TEST(ctx.run() == 3u);
    std::sort(order.begin() + 3, order.end());
    BOOST_TEST(order == (ints{1, 2, 3, 4, 5}), per_element());
#endif
}

BOOST_AUTO_TEST_CASE_TEMPLATE(old_executor_interface_counts_work, Ctx, contexts)
{
#if defined(BOOST_ASIO_NO_TS_EXECUTORS)
    SAFER_RING_SKIP("this build leaves the old executor interface out");
#else
    Ctx ctx;
    const auto ex = ctx.get_executor();
    ex.on_work_started();
    ctx.poll();
    BOOST_TEST(!ctx.stopped());
    ex.on_work_finished();
    BOOST_TEST(ctx.stopped());
#endif
}

BOOST_AUTO_TEST_CASE_TEMPLATE(old_polymorphic_executor_holds_it, Ctx, contexts)
{
#if defined(BOOST_ASIO_NO_TS_EXECUTORS)
    SAFER_RING_SKIP("this build leaves the old executor interface out");
#else
    Ctx ctx;
    const net::executor any(ctx.get_executor());
    bool called = false;
    net::post(any, [&] { called = true; });
    BOOST_TEST(&any.context() == static_cast<net::execution_context*>(&ctx));
    BOOST_TEST(ctx.run() == 1u);
    BOOST_TEST(called);
#endif
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nested_strand_class_works, Ctx, contexts)
{
#if defined(BOOST_ASIO_NO_EXTENSIONS)
    SAFER_RING_SKIP("io_context::strand is an extension left out of this build");
#else
    Ctx ctx;
    typename Ctx::strand strand(ctx);
    ints order;
    bool inside = false;
    net::post(strand, [&] {
        inside = strand.running_in_this_thread();
        net::dispatch(strand, [&] { order.push_back(1); });
        order.push_back(2);
    });
    net::post(strand, [&] { order.push_back(3); });
    net::defer(ctx, net::bind_executor(strand, [&] { order.push_back(4); }));
    ctx.run();
    BOOST_TEST(inside);
    BOOST_TEST(order == (ints{1, 2, 3, 4}), per_element());
#endif
}

BOOST_AUTO_TEST_CASE_TEMPLATE(deprecated_members_of_the_nested_strand_work, Ctx, contexts)
{
#if defined(BOOST_ASIO_NO_DEPRECATED) || defined(BOOST_ASIO_NO_EXTENSIONS)
    SAFER_RING_SKIP("this build leaves the deprecated members out");
#elif BOOST_ASIO_VERSION >= 103200
    SAFER_RING_SKIP("net::io_context::strand has them no longer");
#else
    Ctx ctx;
    typename Ctx::strand strand(ctx);
    ints order;
    bool inside = false;
    strand.post([&] {
        inside = strand.running_in_this_thread();
        strand.post([&] { order.push_back(4); });
        strand.dispatch([&] { order.push_back(1); });
        order.push_back(2);
    });
    strand.dispatch([&] { order.push_back(3); });
    BOOST_TEST(order.empty());
    auto wrapped = strand.wrap([&](int n) { order.push_back(n); });
    auto posted = strand.post(net::use_future);
    ctx.run();
    posted.get();
    BOOST_TEST(inside);
    BOOST_TEST(order == (ints{1, 2, 3, 4}), per_element());
    wrapped(5);
    ctx.restart();
    ctx.run();
    BOOST_TEST(order == (ints{1, 2, 3, 4, 5}), per_element());

    // An argument is passed on as it is, also one that std::bind would call.
    order.clear();
    strand.wrap([&](auto&& function) { order.push_back(function() + 1); })(
        std::bind([] { return 7; }));
    strand.wrap([&, calls = 0](int by) mutable { order.push_back(++calls + by); })(8);
    ctx.restart();
    ctx.run();
    BOOST_TEST(order == (ints{8, 9}), per_element());

    // What is bound to another strand runs on both.
    strand_of<Ctx> other(ctx.get_executor());
    int on_both = 0;
    const auto count = [&] {
        on_both += strand.running_in_this_thread() && other.running_in_this_thread() ? 1 : 0;
    };
    strand.post(net::bind_executor(other, count));
    strand.dispatch(net::bind_executor(other, count));
    strand.wrap(net::bind_executor(other, [&](int) { count(); }))(1);
    ctx.restart();
    ctx.run();
    BOOST_TEST(on_both == 3);

    // On the strand it is called at once.
    order.clear();
    strand.post([&] {
        strand.dispatch(net::bind_executor(other, [&] { order.push_back(1); }));
        strand.wrap(net::bind_executor(other, [&](int n) { order.push_back(n); }))(2);
        order.push_back(3);
    });
    ctx.restart();
    ctx.run();
    BOOST_TEST(order == (ints{1, 2, 3}), per_element());

    // Another context has work until what is bound to it has come there.
    Ctx elsewhere;
    bool came = false;
    strand.post(net::bind_executor(elsewhere.get_executor(), [&] { came = true; }));
    elsewhere.poll();
    BOOST_TEST(!elsewhere.stopped());
    ctx.restart();
    ctx.run();
    elsewhere.run();
    BOOST_TEST(came);
#endif
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nested_strand_may_outlive_its_context, Ctx, contexts)
{
#if defined(BOOST_ASIO_NO_EXTENSIONS)
    SAFER_RING_SKIP("io_context::strand is an extension left out of this build");
#else
    std::optional<typename Ctx::strand> strand;
    bool called = false;
    {
        Ctx ctx;
        strand.emplace(ctx);
        net::post(*strand, [&, kept = *strand] { called = true; });
        ctx.run();
        net::post(*strand, [kept = *strand] {});
    }
    BOOST_TEST(called);
    strand.reset();
#endif
}

BOOST_AUTO_TEST_CASE_TEMPLATE(deprecated_members_work, Ctx, contexts)
{
#if defined(BOOST_ASIO_NO_DEPRECATED)
    SAFER_RING_SKIP("this build leaves the deprecated members out");
#elif BOOST_ASIO_VERSION >= 103200
    SAFER_RING_SKIP("from Boost 1.87 on, net::io_context has no work, post() and dispatch(), and "
                    "what its wrap() returns cannot be called for want of them");
#else
    Ctx ctx;
    ints order;
    {
        typename Ctx::work work(ctx);
        const typename Ctx::work copy(work);
        ctx.poll();
        BOOST_TEST(!ctx.stopped());
        BOOST_TEST(&work.get_io_context() == &ctx);
    }
    ctx.poll();
    BOOST_TEST(ctx.stopped());
    ctx.restart();
    ctx.post([&] {
        order.push_back(1);
        ctx.dispatch([&] { order.push_back(2); });
        order.push_back(3);
    });
    auto wrapped = ctx.wrap([&](int n) { order.push_back(n); });
    wrapped(4);
    BOOST_TEST(order.empty());
    const typename Ctx::count_type n = ctx.run();
    BOOST_TEST(n == 2u);
    BOOST_TEST(order == (ints{1, 2, 3, 4}), per_element());
    ctx.wrap([&](auto&& function) { order.push_back(function() + 1); })(
        std::bind([] { return 7; }));
    ctx.wrap([&, calls = 0](int by) mutable { order.push_back(++calls + by); })(8);
    ctx.restart();
    ctx.run();
    BOOST_TEST(order == (ints{1, 2, 3, 4, 8, 9}), per_element());
    strand_of<Ctx> strand(ctx.get_executor());
    bool on_strand = false;
    ctx.wrap(net::bind_executor(strand, [&](int) { on_strand = strand.running_in_this_thread(); }))(
        1);
    ctx.restart();
    ctx.run();
    BOOST_TEST(on_strand);
#endif
}

BOOST_AUTO_TEST_CASE_TEMPLATE(work_guard_of_a_strand_and_of_an_objects_executor, Ctx, contexts)
{
    Ctx ctx;
    timer_of<Ctx> timer(ctx);
    auto of_timer = net::make_work_guard(timer.get_executor());
    auto of_strand = net::make_work_guard(strand_of<Ctx>(ctx.get_executor()));
    BOOST_TEST((of_timer.get_executor() == ctx.get_executor()));
    of_timer.reset();
    ctx.poll();
    BOOST_TEST(!ctx.stopped());
    of_strand.reset();
    ctx.poll();
    BOOST_TEST(ctx.stopped());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
