// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "test_of_every_operation.hpp"

#include "support/needs_io_uring.hpp"
#include "support/skip.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/spawn.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <exception>
#include <future>
#include <thread>
#include <tuple>

// What holds for every operation of every object: how it completes, with which
// tokens and on which executors.
namespace conformance {
namespace {

using net::error::operation_aborted;
using test_support::io_result;

constexpr auto use_tuple = net::as_tuple(net::use_awaitable);

BOOST_AUTO_TEST_SUITE(operations)

// ---- completion

SAFER_RING_TEST_OF_EVERY(completes_when_it_can, fires)
{
    trial t(k);
    for (int i = 0; i < 3; ++i) {
        io_result result;
        t.operation->prepare();
        result.initiating = true;
        t.operation->start(t.checks.into(result));
        result.initiating = false;
        if (k.has(waits)) {
            t.settle();
            BOOST_TEST(!result.done);
        }
        t.operation->fire();
        t.run();
        BOOST_TEST(result.ec == error_code());
        BOOST_TEST(result.bytes == t.operation->number());
        BOOST_TEST(!result.called_while_initiating);
    }
}

SAFER_RING_TEST_OF_EVERY(completes_when_it_could_before_it_was_started, fires)
{
    trial t(k);
    t.operation->fire();
    io_result result;
    result.initiating = true;
    t.operation->start(t.checks.into(result));
    result.initiating = false;
    t.run();
    BOOST_TEST(result.ec == error_code());
    BOOST_TEST(result.bytes == t.operation->number());
    BOOST_TEST(!result.called_while_initiating);
}

SAFER_RING_TEST_OF_EVERY(transfers_what_there_is_room_for, in_part)
{
    trial t(k);
    t.operation->enlarge();
    io_result result;
    t.operation->start(t.checks.into(result));
    t.run();
    BOOST_TEST(result.ec == error_code());
    BOOST_TEST(result.bytes > 0u);
    BOOST_TEST(result.bytes < std::size_t{16} << 20);
}

SAFER_RING_TEST_OF_EVERY(fails_when_the_object_is_closed, closes, opens)
{
    trial t(k);
    t.operation->close();
    io_result result;
    t.operation->start(t.checks.into(result));
    BOOST_TEST(!result.done);
    t.run();
    BOOST_TEST(result.ec == net::error::bad_descriptor);
    BOOST_TEST(result.bytes == 0u);
}

// ---- tokens

SAFER_RING_TEST_OF_EVERY(futures_become_ready, fires)
{
    trial t(k);
    test_support::running_context running(t.ctx);
    const auto wait = t.operation->start_with_future();
    t.operation->fire();
    BOOST_CHECK_NO_THROW(wait());
}

SAFER_RING_TEST_OF_EVERY(futures_carry_errors, waits | cancels)
{
    trial t(k);
    const auto wait = t.operation->start_with_future();
    t.settle();
    t.operation->cancel();
    t.run();
    BOOST_CHECK_EXCEPTION(wait(), boost::system::system_error,
                          [](const auto& e) { return e.code() == operation_aborted; });
}

SAFER_RING_TEST_OF_EVERY(deferred_operations_wait_for_their_handler, fires)
{
    trial t(k);
    const auto start = t.operation->start_deferred();
    t.settle();
    io_result result;
    start(any_handler(t.checks.into(result), t.ctx.get_executor()));
    BOOST_TEST(!result.done);
    t.operation->fire();
    t.run();
    BOOST_TEST(result.ec == error_code());
    BOOST_TEST(result.bytes == t.operation->number());
}

SAFER_RING_TEST_OF_EVERY(coroutines_await_with_every_token, fires)
{
    trial t(k);
    any_operation& operation = *t.operation;
    std::size_t ended = 0;
    std::exception_ptr error;
    net::co_spawn(
        t.ctx.get_executor(),
        [&]() -> net::awaitable<void> {
            // What completes them may come before they start: it stays.
            operation.fire();
            ended += co_await operation.start(net::use_awaitable) == operation.number();
            operation.prepare();
            operation.fire();
            const auto [ec, n] = co_await operation.start(use_tuple);
            BOOST_TEST(ec == error_code());
            ended += n == operation.number();
            operation.prepare();
            operation.fire();
            ended += co_await operation.start(net::deferred) == operation.number();
            operation.prepare();
            auto later = operation.start(net::as_tuple(net::deferred));
            operation.fire();
            ended += std::get<1>(co_await std::move(later)) == operation.number();
        },
        [&](std::exception_ptr e) { error = e; });
    t.run();
    BOOST_TEST(!error);
    BOOST_TEST(ended == 4u);
}

SAFER_RING_TEST_OF_EVERY(coroutines_get_errors, waits | cancels)
{
    trial t(k);
    error_code as_exception, as_value;
    net::co_spawn(
        t.ctx.get_executor(),
        [&]() -> net::awaitable<void> {
            try {
                co_await t.operation->start(net::use_awaitable);
            } catch (const boost::system::system_error& e) {
                as_exception = e.code();
            }
            t.operation->prepare();
            as_value = std::get<0>(co_await t.operation->start(use_tuple));
        },
        net::detached);
    t.settle();
    t.operation->cancel();
    test_support::run_until(t.ctx, [&] { return as_exception.failed(); });
    t.settle();
    t.operation->cancel();
    t.run();
    BOOST_TEST(as_exception == operation_aborted);
    BOOST_TEST(as_value == operation_aborted);
}

#if defined(SAFER_RING_TEST_STACKFUL)
SAFER_RING_TEST_OF_EVERY(stackful_coroutines_yield, fires)
{
    trial t(k);
    bool ended = false;
    net::spawn(
        t.ctx.get_executor(),
        [&](net::basic_yield_context<net::any_io_executor> yield) {
            error_code ec = test_support::garbage_error();
            t.operation->fire();
            BOOST_TEST(t.operation->start(yield[ec]) == t.operation->number());
            BOOST_TEST(ec == error_code());
            if (k.has(waits | cancels)) {
                net::post(t.ctx.get_executor(), [&] { t.operation->cancel(); });
                t.operation->prepare();
                t.operation->start(yield[ec]);
                BOOST_TEST(ec == operation_aborted);
            }
            ended = true;
        },
        net::detached);
    t.run();
    BOOST_TEST(ended);
}
#else
BOOST_AUTO_TEST_CASE(stackful_coroutines_yield, *test_support::needs_io_uring)
{
    SAFER_RING_SKIP("built without Boost.Context, or with a sanitizer, which knows nothing of its "
                    "stacks");
}
#endif

/// Runs the operation beside a timer until one of them has completed, and
/// gives what they completed with.
std::array<error_code, 2> race(trial& t, std::chrono::hours limit)
{
    std::array<error_code, 2> results{test_support::garbage_error(), test_support::garbage_error()};
    t.operation->prepare();
    net::experimental::make_parallel_group(t.operation->start(net::deferred),
                                           t.ctx.wait_for(limit, net::deferred))
        .async_wait(net::experimental::wait_for_one(),
                    t.checks.once([&](std::array<std::size_t, 2>, error_code first, std::size_t,
                                      error_code second, std::size_t) {
                        results = {first, second};
                    }));
    if (limit != std::chrono::hours(0))
        t.operation->fire();
    t.run();
    return results;
}

SAFER_RING_TEST_OF_EVERY(the_first_of_a_group_wins, fires)
{
    trial t(k);
    const auto [ec, of_timer] = race(t, std::chrono::hours(1));
    BOOST_TEST(ec == error_code());
    BOOST_TEST(of_timer == operation_aborted);
}

SAFER_RING_TEST_OF_EVERY(the_last_of_a_group_is_cancelled, waits | slots)
{
    trial t(k);
    const auto [ec, of_timer] = race(t, std::chrono::hours(0));
    BOOST_TEST(ec == operation_aborted);
    BOOST_TEST(of_timer == error_code());
}

SAFER_RING_TEST_OF_EVERY(results_go_through_channels, fires)
{
    using results =
        net::experimental::basic_channel<net::any_io_executor, net::experimental::channel_traits<>,
                                         void(error_code, std::size_t)>;
    trial t(k);
    results channel(t.ctx.get_executor());
    io_result received;
    channel.async_receive(t.checks.into(received));
    t.operation->start(t.checks.once([&](error_code ec, std::size_t n) {
        channel.async_send(ec, n, t.checks.once([](error_code) {}));
    }));
    t.operation->fire();
    t.run();
    BOOST_TEST(received.ec == error_code());
    BOOST_TEST(received.bytes == t.operation->number());
}

// ---- executors and allocators

SAFER_RING_TEST_OF_EVERY(handlers_run_on_the_strand_they_are_bound_to, fires)
{
    trial t(k);
    net::strand<net::any_io_executor> strand(t.ctx.get_executor());
    bool inside = false;
    t.operation->start(net::bind_executor(strand, t.checks.once([&](error_code, std::size_t) {
        inside = strand.running_in_this_thread();
    })));
    t.operation->fire();
    t.run();
    BOOST_TEST(inside);
}

/// The thread that calls a handler which is bound to the executor.
std::thread::id thread_of_handler(trial& t, const net::any_io_executor& executor)
{
    std::promise<std::thread::id> where;
    auto told = where.get_future();
    t.operation->start(
        net::bind_executor(executor, [where = std::move(where)](error_code, std::size_t) mutable {
            where.set_value(std::this_thread::get_id());
        }));
    t.operation->fire();
    t.run();
    return test_support::wait_for(told);
}

SAFER_RING_TEST_OF_EVERY(handlers_run_on_the_pool_they_are_bound_to, fires)
{
    trial t(k);
    net::thread_pool pool(1);
    BOOST_TEST((thread_of_handler(t, pool.get_executor()) != std::this_thread::get_id()));
    pool.join();
}

// What a handler is given goes behind its call, on a thread that nothing can
// wait for, and a socket must not outlive its context.
SAFER_RING_TEST_OF_EVERY(handlers_run_on_the_system_executor, fires, gives_an_object)
{
    trial t(k);
    BOOST_TEST((thread_of_handler(
                    t, net::require(net::system_executor(), net::execution::blocking.never)) !=
                std::this_thread::get_id()));
    // This one runs what it is given wherever it is given it, unless told not to.
    t.operation->prepare();
    BOOST_TEST((thread_of_handler(t, net::system_executor()) != std::thread::id()));
}

SAFER_RING_TEST_OF_EVERY(memory_comes_from_the_handlers_allocator, fires)
{
    test_support::allocation_counts counts;
    const test_support::counting_allocator<> allocator(counts);
    trial t(k);
    io_result result;
    int live = -1;
    t.operation->start(
        net::bind_allocator(allocator, t.checks.once([&](error_code ec, std::size_t n) {
            live = counts.live;
            result.store(ec, n);
        })));
    BOOST_TEST(counts.made > 0);
    t.operation->fire();
    t.run();
    BOOST_TEST(result.ec == error_code());
    BOOST_TEST(live == 0);
}

SAFER_RING_TEST_OF_EVERY(handlers_of_a_destroyed_context_are_destroyed_uncalled, 0)
{
    test_support::allocation_counts counts;
    {
        trial t(k);
        t.operation->start(
            net::bind_allocator(test_support::counting_allocator<>(counts), t.checks.never()));
        BOOST_TEST(counts.made > 0);
        // The object is destroyed first, and then the context.
    }
    {
        trial t(k);
        if (k.has(waits)) {
            t.operation->start(
                net::bind_allocator(test_support::counting_allocator<>(counts), t.checks.never()));
            t.settle();
        }
    }
    BOOST_TEST(counts.live == 0);
}

#if BOOST_ASIO_VERSION >= 102800
SAFER_RING_TEST_OF_EVERY(immediate_completions_use_the_immediate_executor, closes, opens)
{
    if (k.context == "boost__asio__io_context" && k.name.find("_file") != std::string::npos)
        SAFER_RING_SKIP("Asio's own files know no immediate executors");
    trial t(k);
    net::io_context other;
    t.operation->close();
    io_result result;
    t.operation->start(net::bind_immediate_executor(other.get_executor(), t.checks.into(result)));
    t.ctx.poll();
    BOOST_TEST(!result.done);
    // From there it goes on to the executor that the handler is bound to.
    other.run();
    t.run();
    BOOST_TEST(result.ec == net::error::bad_descriptor);
}
#else
BOOST_AUTO_TEST_CASE(immediate_completions_use_the_immediate_executor,
                     *test_support::needs_io_uring)
{
    SAFER_RING_SKIP("this Boost has no immediate executors, which came with 1.82");
}
#endif

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
