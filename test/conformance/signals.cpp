// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <csignal>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include <signal.h>
#include <unistd.h>

// Signal sets.
namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

/// Whether the process does with `number` what it did in the beginning.
bool is_default(int number)
{
    struct sigaction action {};
    ::sigaction(number, nullptr, &action);
    return action.sa_handler == SIG_DFL;
}

BOOST_AUTO_TEST_SUITE(signals)

BOOST_AUTO_TEST_CASE_TEMPLATE(wait_completes_with_the_signals_number, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    signal_set_of<Ctx> set(ctx, SIGUSR1, SIGUSR2);
    for (const int number : {SIGUSR1, SIGUSR2}) {
        io_result result;
        set.async_wait(checks.into(result));
        ctx.restart();
        ctx.poll();
        BOOST_TEST(!result.done);
        ::raise(number);
        run_until_done(ctx, result);
        BOOST_TEST(result.ec == error_code());
        BOOST_TEST(result.number == number);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_from_another_thread_wakes_run, Ctx, contexts)
{
    for (const int hint : {1, 2}) {
        handler_checks checks;
        Ctx ctx(hint);
        signal_set_of<Ctx> set(ctx, SIGUSR1);
        io_result result;
        set.async_wait(checks.into(result));
        std::thread sender([] { ::kill(::getpid(), SIGUSR1); });
        ctx.run();
        sender.join();
        BOOST_TEST(result.number == SIGUSR1);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_poll_is_enough_for_a_signal, Ctx, running_contexts)
{
    handler_checks checks;
    Ctx ctx;
    signal_set_of<Ctx> signals(ctx, SIGUSR1);
    bool came = false;
    signals.async_wait(checks.once([&](error_code, int) { came = true; }));
    ctx.poll();
    ::raise(SIGUSR1);
    ctx.poll();
    BOOST_TEST(came);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_before_the_wait_is_remembered, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    signal_set_of<Ctx> set(ctx, SIGUSR1);
    ::raise(SIGUSR1);
    io_result result;
    set.async_wait(checks.into(result));
    ctx.run();
    BOOST_TEST(result.number == SIGUSR1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signals_before_the_waits_are_counted, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    signal_set_of<Ctx> set(ctx, SIGUSR1);
    for (int i = 0; i < 3; ++i)
        ::raise(SIGUSR1);
    for (int i = 0; i < 3; ++i) {
        io_result result;
        set.async_wait(checks.into(result));
        run_until_done(ctx, result);
        BOOST_TEST(result.number == SIGUSR1);
    }
    io_result none;
    set.async_wait(checks.into(none));
    ctx.restart();
    ctx.poll();
    BOOST_TEST(!none.done);
    set.cancel();
    ctx.restart();
    ctx.run();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_signal_completes_all_waits_of_a_set_in_order, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    signal_set_of<Ctx> set(ctx, SIGUSR1);
    std::vector<int> order;
    for (int i = 0; i < 4; ++i)
        set.async_wait(checks.once([&order, i](error_code ec, int number) {
            if (!ec && number == SIGUSR1)
                order.push_back(i);
        }));
    ::raise(SIGUSR1);
    ctx.run();
    BOOST_TEST(order == (std::vector<int>{0, 1, 2, 3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(several_sets_get_the_same_signal, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    signal_set_of<Ctx> first(ctx, SIGUSR1), second(ctx, SIGUSR1, SIGUSR2), other(ctx, SIGUSR2);
    io_result results[3];
    first.async_wait(checks.into(results[0]));
    second.async_wait(checks.into(results[1]));
    other.async_wait(checks.into(results[2]));
    ::raise(SIGUSR1);
    run_until_done(ctx, results[0]);
    run_until_done(ctx, results[1]);
    ctx.poll();
    BOOST_TEST(!results[2].done);
    other.cancel();
    ctx.run();
}

template <class Ctx>
void check_both_get_the_signal(Ctx& first_ctx, Ctx& second_ctx)
{
    handler_checks checks;
    signal_set_of<Ctx> first(first_ctx, SIGUSR1), second(second_ctx, SIGUSR1);
    io_result first_result, second_result;
    first.async_wait(checks.into(first_result));
    second.async_wait(checks.into(second_result));
    ::raise(SIGUSR1);
    first_ctx.run();
    second_ctx.run();
    BOOST_TEST(first_result.number == SIGUSR1);
    BOOST_TEST(second_result.number == SIGUSR1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(several_contexts_get_the_same_signal, Ctx, contexts)
{
    Ctx first_ctx, second_ctx;
    check_both_get_the_signal(first_ctx, second_ctx);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_that_goes_leaves_the_signal_to_the_other, Ctx, contexts)
{
    handler_checks checks;
    Ctx first_ctx;
    signal_set_of<Ctx> first(first_ctx, SIGUSR1);
    {
        Ctx second_ctx;
        signal_set_of<Ctx> second(second_ctx, SIGUSR1);
        second.async_wait(checks.never());
        second_ctx.poll();
    }
    io_result result;
    first.async_wait(checks.into(result));
    ::raise(SIGUSR1);
    first_ctx.run();
    BOOST_TEST(result.number == SIGUSR1);
}

// Whoever reads the pipe tells the sets of all contexts, which one without locks cannot bear.
BOOST_AUTO_TEST_CASE_TEMPLATE(context_without_locks_is_the_only_one_with_signals, Ctx,
                              running_contexts)
{
    constexpr int unsafe = BOOST_ASIO_CONCURRENCY_HINT_UNSAFE;
    constexpr std::array<int, 2> hints[] = {{unsafe, 1}, {2, unsafe}, {unsafe, unsafe}};
    for (const auto& [first_hint, second_hint] : hints) {
        handler_checks checks;
        Ctx second_ctx(second_hint);
        io_result first_result, second_result;
        {
            Ctx first_ctx(first_hint);
            signal_set_of<Ctx> first(first_ctx, SIGUSR1);
            for (int attempt = 0; attempt < 2; ++attempt)
                BOOST_CHECK_THROW((signal_set_of<Ctx>{second_ctx, SIGUSR2}), std::logic_error);
            BOOST_TEST(is_default(SIGUSR2));
            first.async_wait(checks.into(first_result));
            ::raise(SIGUSR1);
            first_ctx.run();
            BOOST_TEST(first_result.number == SIGUSR1);
        }
        signal_set_of<Ctx> second(second_ctx, SIGUSR1);
        second.async_wait(checks.into(second_result));
        ::raise(SIGUSR1);
        second_ctx.run();
        BOOST_TEST(second_result.number == SIGUSR1);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(contexts_with_some_locks_share_signals, Ctx, running_contexts)
{
    Ctx first_ctx(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO);
    Ctx second_ctx(BOOST_ASIO_CONCURRENCY_HINT_SAFE);
    check_both_get_the_signal(first_ctx, second_ctx);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_aborts_the_waits, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    signal_set_of<Ctx> set(ctx, SIGUSR1);
    io_result first, second, third;
    set.async_wait(checks.into(first));
    set.async_wait(checks.into(second));
    ctx.poll();
    set.cancel();
    BOOST_TEST(!first.done);
    ctx.restart();
    ctx.run();
    BOOST_TEST(first.ec == net::error::operation_aborted);
    BOOST_TEST(first.number == 0);
    BOOST_TEST(second.ec == net::error::operation_aborted);
    set.async_wait(checks.into(third));
    ::raise(SIGUSR1);
    ctx.restart();
    ctx.run();
    BOOST_TEST(third.number == SIGUSR1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_of_cancellation_ends_one_wait, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    signal_set_of<Ctx> set(ctx, SIGUSR1);
    net::cancellation_signal cancellation;
    io_result first, second;
    set.async_wait(net::bind_cancellation_slot(cancellation.slot(), checks.into(first)));
    set.async_wait(checks.into(second));
    cancellation.emit(net::cancellation_type::total);
    run_until_done(ctx, first);
    BOOST_TEST(first.ec == net::error::operation_aborted);
    BOOST_TEST(!second.done);
    ::raise(SIGUSR1);
    run_until_done(ctx, second);
    BOOST_TEST(second.number == SIGUSR1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(destruction_aborts_the_waits, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    io_result result;
    {
        signal_set_of<Ctx> set(ctx, SIGUSR1);
        set.async_wait(checks.into(result));
    }
    ctx.run();
    BOOST_TEST(result.ec == net::error::operation_aborted);
    BOOST_TEST(is_default(SIGUSR1));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signals_are_added_removed_and_cleared, Ctx, contexts)
{
    Ctx ctx;
    BOOST_TEST(is_default(SIGUSR1));
    signal_set_of<Ctx> set(ctx);
    error_code ec = test_support::garbage_error();
    set.add(SIGUSR1, ec);
    BOOST_TEST(ec == error_code());
    set.add(SIGUSR1);
    set.add(SIGUSR2);
    BOOST_TEST(!is_default(SIGUSR1));
    set.remove(SIGUSR1);
    BOOST_TEST(is_default(SIGUSR1));
    BOOST_TEST(!is_default(SIGUSR2));
    set.remove(SIGUSR1);
    set.clear();
    BOOST_TEST(is_default(SIGUSR2));
    set.add(-1, ec);
    BOOST_TEST(ec == net::error::invalid_argument);
    set.add(SIGKILL, ec);
    BOOST_TEST(ec == net::error::invalid_argument);
    BOOST_CHECK_THROW(set.add(10'000), boost::system::system_error);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_stays_handled_until_its_last_set_is_gone, Ctx, contexts)
{
    Ctx ctx;
    std::optional<signal_set_of<Ctx>> first(std::in_place, ctx, SIGUSR1);
    std::optional<signal_set_of<Ctx>> second(std::in_place, ctx, SIGUSR1);
    first.reset();
    BOOST_TEST(!is_default(SIGUSR1));
    second.reset();
    BOOST_TEST(is_default(SIGUSR1));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(removed_signal_no_longer_completes_a_wait, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    signal_set_of<Ctx> set(ctx, SIGUSR1, SIGUSR2);
    signal_set_of<Ctx> keeps_it_harmless(ctx, SIGUSR1);
    io_result result, other;
    set.async_wait(checks.into(result));
    keeps_it_harmless.async_wait(checks.into(other));
    set.remove(SIGUSR1);
    ::raise(SIGUSR1);
    run_until_done(ctx, other);
    BOOST_TEST(!result.done);
    ::raise(SIGUSR2);
    run_until_done(ctx, result);
    BOOST_TEST(result.number == SIGUSR2);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_ends_a_server_that_waits, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    io_result accept;
    acceptor.async_accept(checks.into(accept));
    signal_set_of<Ctx> set(ctx, SIGTERM, SIGINT);
    set.async_wait(checks.once([&](error_code, int) { acceptor.close(); }));
    std::thread sender([] { ::kill(::getpid(), SIGTERM); });
    ctx.run();
    sender.join();
    BOOST_TEST(accept.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
