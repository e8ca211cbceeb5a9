// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"

#include <support/blocking_peer.hpp>
#include <support/forking.hpp>
#include <support/handler_checks.hpp>
#include <support/lowered_limit.hpp>
#include <support/run_until.hpp>
#include <support/skip.hpp>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>
#include <vector>

// What only sets of ours do.
namespace kernel {
namespace {

using signal_set = net::basic_signal_set<safer_ring::executor>;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

BOOST_AUTO_TEST_SUITE(signals, *needs_io_uring)

// Two threads that make the first sets of a context have a service each, of which one goes.
BOOST_AUTO_TEST_CASE(service_that_goes_before_its_context_takes_no_work_with_it)
{
    handler_checks checks;
    context ctx;
    {
        const safer_ring::detail::signal_set_service twin(ctx);
    }
    timer soon(ctx, std::chrono::milliseconds(1));
    io_result result;
    soon.async_wait(checks.into(result));
    ctx.run();
    BOOST_TEST(result.done);
    ctx.restart();
    BOOST_TEST(ctx.run() == 0U); // Which would wait for what has less than no work.
}

BOOST_AUTO_TEST_CASE(waits_of_sets_without_signals_go_with_the_context)
{
    for (const bool cancellable : {false, true}) {
        handler_checks checks;
        net::cancellation_signal end;
        auto ctx = std::make_unique<context>();
        auto set = std::make_shared<signal_set>(*ctx, SIGUSR1);
        signal_set& waits = *set;
        auto handler = checks.never_with(std::move(set));
        if (cancellable)
            waits.async_wait(net::bind_cancellation_slot(end.slot(), std::move(handler)));
        else
            waits.async_wait(std::move(handler));
        waits.clear();
        ctx->poll();
    }
}

// What Asio throws there, and not what the ring's layer does.
BOOST_AUTO_TEST_CASE(want_of_descriptors_is_told_as_asio_tells_it)
{
    const auto told = [](const auto& f) {
        try {
            f();
            return false;
        } catch (const boost::system::system_error& e) {
            return e.code() == net::error::no_descriptors &&
                   std::string(e.what()).find("RLIMIT_NOFILE") != std::string::npos;
        }
    };
    context ctx;
    BOOST_TEST(test_support::ended_well(test_support::fork_child([&] {
        // UBSan wants a descriptor when it looks at an object's type for the first time: here, at
        // those of what is thrown and of the service.
        const bool before = told([] {
            safer_ring::detail::as_asio(
                [] { throw std::system_error(EMFILE, std::system_category(), "RLIMIT_NOFILE"); });
        });
        {
            context other;
            const signal_set set(other);
        }
        const test_support::no_more_descriptors limit;
        return before && told([&] { const signal_set set(ctx, SIGUSR1); });
    })));
}

BOOST_AUTO_TEST_CASE(child_at_its_limit_hears_its_own_signals_and_no_others)
{
    handler_checks checks;
    context ctx;
    signal_set set(ctx, SIGUSR1);
    io_result heard;
    set.async_wait(checks.into(heard));
    ctx.poll();
    const pid_t child = [&] {
        const test_support::lowered_limit limit(RLIMIT_NOFILE, 100);
        std::vector<test_support::unique_descriptor> all;
        for (int fd = -1; (fd = ::dup(STDERR_FILENO)) >= 0;)
            all.emplace_back(fd);
        return test_support::fork_child([&] {
            all.clear();
            ctx.poll();
            const bool too_early = heard.done;
            ::raise(SIGUSR1);
            run_until_done(ctx, heard);
            return !too_early && heard.number == SIGUSR1;
        });
    }();
    BOOST_TEST(test_support::ended_well(child));
    ctx.restart();
    ctx.poll();
    BOOST_TEST(!heard.done);
    ::raise(SIGUSR1);
    run_until_done(ctx, heard);
    BOOST_TEST(heard.number == SIGUSR1);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
