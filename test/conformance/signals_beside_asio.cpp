// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/handler_checks.hpp"
#include "support/needs_io_uring.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <optional>

#include <signal.h>

// Signal sets where others handle signals too: Asio's own sets in the same
// process, which share no handler with ours, and the program's own handlers.
namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

using asio_set = signal_set_of<net::io_context>;
using our_set = signal_set_of<safer_ring::io_context>;

void (*installed_handler(int number))(int)
{
    struct sigaction action {};
    ::sigaction(number, nullptr, &action);
    return action.sa_handler;
}

/// Asio's context and ours, each with a set.
struct side_by_side {
    handler_checks checks;
    net::io_context asio;
    safer_ring::io_context ours;
    std::optional<asio_set> asios_set{std::in_place, asio};
    std::optional<our_set> our_own{std::in_place, ours};
    io_result asios_result, our_result;

    void wait()
    {
        asios_set->async_wait(checks.into(asios_result));
        our_own->async_wait(checks.into(our_result));
    }
    void end()
    {
        asios_set.reset();
        our_own.reset();
        asio.restart();
        asio.run();
        ours.restart();
        ours.run();
    }
};

extern "C" void do_nothing(int) {}

BOOST_AUTO_TEST_SUITE(signals_beside_asio)

BOOST_AUTO_TEST_CASE(different_signals_do_not_meet, *test_support::needs_io_uring)
{
    side_by_side both;
    both.asios_set->add(SIGUSR1);
    both.our_own->add(SIGUSR2);
    both.wait();
    ::raise(SIGUSR2);
    run_until_done(both.ours, both.our_result);
    both.asio.poll();
    BOOST_TEST(!both.asios_result.done);
    ::raise(SIGUSR1);
    run_until_done(both.asio, both.asios_result);
    BOOST_TEST(both.our_result.number == SIGUSR2);
    BOOST_TEST(both.asios_result.number == SIGUSR1);
}

BOOST_AUTO_TEST_CASE(signal_of_asios_set_is_refused, *test_support::needs_io_uring)
{
    side_by_side both;
    both.asios_set->add(SIGUSR1);
    error_code ec;
    both.our_own->add(SIGUSR1, ec);
    BOOST_TEST(ec == boost::system::errc::device_or_resource_busy);
    BOOST_CHECK_THROW(our_set(both.ours, SIGUSR1), boost::system::system_error);
    both.our_own->remove(SIGUSR1);
    both.wait();
    ::raise(SIGUSR1);
    run_until_done(both.asio, both.asios_result);
    BOOST_TEST(both.asios_result.number == SIGUSR1);
    BOOST_TEST(!both.our_result.done);
    // It is free as soon as Asio's sets have let it go.
    both.asios_set->clear();
    both.our_own->add(SIGUSR1);
    ::raise(SIGUSR1);
    run_until_done(both.ours, both.our_result);
    BOOST_TEST(both.our_result.number == SIGUSR1);
}

// Asio does not look for the handler it replaces, and nobody tells us.
BOOST_AUTO_TEST_CASE(asios_set_takes_the_signal_of_ours, *test_support::needs_io_uring)
{
    side_by_side both;
    both.our_own->add(SIGUSR1);
    both.asios_set->add(SIGUSR1);
    both.wait();
    ::raise(SIGUSR1);
    run_until_done(both.asio, both.asios_result);
    both.ours.poll();
    BOOST_TEST(!both.our_result.done);
    // No further set of ours takes it back,
    error_code ec;
    our_set second(both.ours);
    second.add(SIGUSR1, ec);
    BOOST_TEST(ec == boost::system::errc::device_or_resource_busy);
    // and the last one of ours does not disarm it.
    both.our_own->remove(SIGUSR1);
    io_result again;
    both.asios_set->async_wait(both.checks.into(again));
    ::raise(SIGUSR1);
    run_until_done(both.asio, again);
    BOOST_TEST(again.number == SIGUSR1);
    both.end();
    BOOST_TEST((installed_handler(SIGUSR1) == SIG_DFL));
    BOOST_TEST(both.our_result.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_of_the_program_is_replaced, Ctx, contexts)
{
    for (void (*const before)(int) : {&do_nothing, SIG_IGN}) {
        ::signal(SIGUSR1, before);
        handler_checks checks;
        Ctx ctx;
        {
            signal_set_of<Ctx> set(ctx, SIGUSR1);
            io_result result;
            set.async_wait(checks.into(result));
            ::raise(SIGUSR1);
            run_until_done(ctx, result);
            BOOST_TEST(result.number == SIGUSR1);
        }
        BOOST_TEST((installed_handler(SIGUSR1) == SIG_DFL));
    }
}

// Asio restores the default over it.
BOOST_AUTO_TEST_CASE(handler_that_the_program_installs_later_stays, *test_support::needs_io_uring)
{
    safer_ring::io_context ctx;
    {
        const our_set set(ctx, SIGUSR1);
        ::signal(SIGUSR1, &do_nothing);
    }
    BOOST_TEST((installed_handler(SIGUSR1) == &do_nothing));
    ::signal(SIGUSR1, SIG_DFL);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
