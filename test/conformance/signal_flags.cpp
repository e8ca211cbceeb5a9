// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>

#include <signal.h>

// Flags of signals, which Asio has since Boost 1.82.
#if __has_include(<boost/asio/signal_set_base.hpp>)

namespace conformance {
namespace {

using flags = net::signal_set_base::flags;
using net::error::invalid_argument;

/// The flags of the handler that is installed, as far as they are ours.
int installed_flags(int number)
{
    struct sigaction action {};
    ::sigaction(number, nullptr, &action);
    return action.sa_flags & (SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT);
}

BOOST_AUTO_TEST_SUITE(signal_flags)

BOOST_AUTO_TEST_CASE_TEMPLATE(flags_reach_the_kernel, Ctx, contexts)
{
    const std::pair<flags, int> expected[] = {
        {flags::none, 0},
        {flags::restart, SA_RESTART},
        {flags::no_child_stop, SA_NOCLDSTOP},
        {flags::no_child_wait, SA_NOCLDWAIT},
        {flags::restart | flags::no_child_stop, SA_RESTART | SA_NOCLDSTOP},
        {flags::dont_care, 0},
    };
    for (const auto& [wanted, installed] : expected) {
        test_support::handler_checks checks;
        Ctx ctx;
        signal_set_of<Ctx> set(ctx);
        set.add(SIGCHLD, wanted);
        BOOST_TEST(installed_flags(SIGCHLD) == installed);
        test_support::io_result result;
        set.async_wait(checks.into(result));
        ::raise(SIGCHLD);
        ctx.run();
        BOOST_TEST(result.number == SIGCHLD);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sets_that_want_different_flags_conflict, Ctx, contexts)
{
    Ctx ctx, other_ctx;
    signal_set_of<Ctx> first(ctx), second(other_ctx);
    error_code ec = test_support::garbage_error();
    first.add(SIGUSR1, flags::restart, ec);
    BOOST_TEST(ec == error_code());
    second.add(SIGUSR1, flags::none, ec);
    BOOST_TEST(ec == invalid_argument);
    BOOST_CHECK_THROW(second.add(SIGUSR1, flags::no_child_stop), boost::system::system_error);
    BOOST_TEST(installed_flags(SIGUSR1) == SA_RESTART);
    second.add(SIGUSR1, flags::restart, ec);
    BOOST_TEST(ec == error_code());
    // A set that has the signal already does not ask again.
    second.add(SIGUSR1, flags::none, ec);
    BOOST_TEST(ec == error_code());
    BOOST_TEST(installed_flags(SIGUSR1) == SA_RESTART);
    first.clear();
    second.clear();
    first.add(SIGUSR1, flags::none, ec);
    BOOST_TEST(ec == error_code());
    BOOST_TEST(installed_flags(SIGUSR1) == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(who_does_not_care_takes_what_others_want, Ctx, contexts)
{
    Ctx ctx;
    signal_set_of<Ctx> first(ctx, SIGUSR1), second(ctx), third(ctx);
    second.add(SIGUSR1, flags::restart);
    BOOST_TEST(installed_flags(SIGUSR1) == SA_RESTART);
    third.add(SIGUSR1);
    BOOST_TEST(installed_flags(SIGUSR1) == SA_RESTART);
    error_code ec;
    third.remove(SIGUSR1);
    third.add(SIGUSR1, flags::none, ec);
    BOOST_TEST(ec == invalid_argument);
    third.add(SIGKILL, flags::restart, ec);
    BOOST_TEST(ec == invalid_argument);
    third.add(-1, flags::restart, ec);
    BOOST_TEST(ec == invalid_argument);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance

#endif
