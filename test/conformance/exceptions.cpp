// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/blocking_peer.hpp"
#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <deque>
#include <stdexcept>
#include <string>
#include <vector>

// Exceptions leave run(), and nothing else is lost by it.
namespace conformance {
namespace {

using namespace std::chrono_literals;
using test_support::handler_checks;

struct thrown : std::runtime_error {
    explicit thrown(int n) : std::runtime_error("thrown by a handler"), number(n) {}
    int number;
};

/// Calls `ctx.run()` until it returns, and counts the exceptions it let out.
template <class Ctx>
int run_and_count_exceptions(Ctx& ctx)
{
    for (int exceptions = 0;; ++exceptions) {
        try {
            ctx.run();
            return exceptions;
        } catch (const thrown&) {
        }
    }
}

BOOST_AUTO_TEST_SUITE(exceptions)

BOOST_AUTO_TEST_CASE_TEMPLATE(exception_leaves_run_and_the_next_run_goes_on, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    int last = 0;
    net::post(ctx, checks.once([&] { last = 1; }));
    net::post(ctx, checks.once([] { throw thrown(7); }));
    net::post(ctx, checks.once([&] { last = 3; }));
    BOOST_CHECK_EXCEPTION(ctx.run(), thrown, [](const thrown& e) { return e.number == 7; });
    BOOST_TEST(last == 1);
    BOOST_TEST(!ctx.stopped());
    BOOST_TEST(ran(ctx, ctx.run(), 1u));
    BOOST_TEST(last == 3);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(exception_leaves_every_function_of_the_run_family, Ctx, contexts)
{
    const auto expect = [](auto call) {
        handler_checks checks;
        Ctx ctx;
        net::post(ctx, checks.once([] { throw thrown(1); }));
        net::post(ctx, checks.once([] {}));
        BOOST_CHECK_THROW(call(ctx), thrown);
        BOOST_TEST(call(ctx) == 1u);
    };
    expect([](Ctx& ctx) { return ctx.run(); });
    expect([](Ctx& ctx) { return ctx.run_one(); });
    expect([](Ctx& ctx) { return ctx.poll(); });
    expect([](Ctx& ctx) { return ctx.poll_one(); });
    expect([](Ctx& ctx) { return ctx.run_for(1h); });
    expect([](Ctx& ctx) { return ctx.run_one_for(1h); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_that_throws_is_counted_as_done, Ctx, contexts)
{
    Ctx ctx;
    net::post(ctx, [] { throw thrown(1); });
    BOOST_CHECK_THROW(ctx.run(), thrown);
    BOOST_TEST(ctx.stopped());
    BOOST_TEST(ran(ctx, ctx.run(), 0u));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(anything_can_be_thrown, Ctx, contexts)
{
    Ctx ctx;
    net::post(ctx, [] { throw 42; });
    BOOST_CHECK_THROW(ctx.run(), int);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(exception_among_expired_timers_loses_no_other, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    std::deque<timer_of<Ctx>> timers;
    int calls = 0;
    const auto now = std::chrono::steady_clock::now();
    for (int i = 0; i < 20; ++i) {
        timers.emplace_back(ctx, now - 1s + std::chrono::milliseconds(i));
        timers.back().async_wait(checks.once([&calls, i](error_code) {
            ++calls;
            if (i % 5 == 2)
                throw thrown(i);
        }));
    }
    BOOST_TEST(run_and_count_exceptions(ctx) == 4);
    BOOST_TEST(calls == 20);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(exception_among_completed_reads_loses_no_other, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    std::deque<test_support::socket_and_peer<socket_of<Ctx>>> pairs;
    std::deque<std::array<char, 16>> buffers;
    int right = 0;
    for (int i = 0; i < 20; ++i) {
        auto& pair = pairs.emplace_back(test_support::connect_to_peer<socket_of<Ctx>>(ctx));
        auto& buffer = buffers.emplace_back();
        pair.socket.async_read_some(
            net::buffer(buffer), checks.once([&, i](error_code ec, std::size_t n) {
                if (!ec && std::string(buffer.data(), n) == std::to_string(i))
                    ++right;
                if (i % 5 == 2)
                    throw thrown(i);
            }));
    }
    ctx.poll();
    for (int i = 0; i < 20; ++i) {
        auto& pair = pairs[static_cast<std::size_t>(i)];
        pair.peer.write(std::to_string(i));
        pair.peer.wait_delivered();
    }
    ctx.restart();
    BOOST_TEST(run_and_count_exceptions(ctx) == 4);
    BOOST_TEST(right == 20);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(exception_of_a_nested_poll_passes_through_the_handler, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    bool caught = false;
    net::post(ctx, checks.once([&] {
        try {
            ctx.poll();
        } catch (const thrown&) {
            caught = true;
        }
    }));
    net::post(ctx, checks.once([] { throw thrown(1); }));
    net::post(ctx, checks.once([] {}));
    BOOST_TEST(ran(ctx, ctx.run(), 2u));
    BOOST_TEST(caught);
}

// A function that execute() calls at once does not throw into the handler
// that called execute(): run() rethrows what was caught when that handler has
// ended.
BOOST_AUTO_TEST_CASE_TEMPLATE(exception_of_an_immediate_execute_leaves_run_later, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    bool went_on = false;
    net::post(ctx, checks.once([&] {
        ctx.get_executor().execute(checks.once([] { throw thrown(5); }));
        went_on = true;
    }));
    net::post(ctx, checks.once([] {}));
    BOOST_CHECK_EXCEPTION(ctx.run(), thrown, [](const thrown& e) { return e.number == 5; });
    BOOST_TEST(went_on);
    BOOST_TEST(ran(ctx, ctx.run(), 1u));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(several_exceptions_of_one_handler_are_multiple_exceptions, Ctx,
                              contexts)
{
    Ctx ctx;
    net::post(ctx, [&] {
        ctx.get_executor().execute([] { throw thrown(1); });
        ctx.get_executor().execute([] { throw thrown(2); });
    });
    const auto holds_the_first = [](const net::multiple_exceptions& e) {
        try {
            std::rethrow_exception(e.first_exception());
        } catch (const thrown& first) {
            return first.number == 1;
        }
    };
    BOOST_CHECK_EXCEPTION(ctx.run(), net::multiple_exceptions, holds_the_first);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(exception_of_a_dispatched_function_leaves_run, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    net::post(ctx, checks.once([&] { net::dispatch(ctx, checks.once([] { throw thrown(3); })); }));
    net::post(ctx, checks.once([] {}));
    BOOST_CHECK_THROW(ctx.run(), thrown);
    BOOST_TEST(ran(ctx, ctx.run(), 1u));
}

#if !defined(BOOST_ASIO_NO_DEPRECATED) && BOOST_ASIO_VERSION < 103200
BOOST_AUTO_TEST_CASE_TEMPLATE(exception_of_what_the_context_dispatches_is_the_callers, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    bool caught = false;
    net::post(ctx, checks.once([&] {
        try {
            ctx.dispatch([] { throw thrown(4); });
        } catch (const thrown& e) {
            caught = e.number == 4;
        }
    }));
    ctx.run();
    BOOST_TEST(caught);
}
#endif

BOOST_AUTO_TEST_CASE_TEMPLATE(exception_on_a_strand_leaves_it_usable, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    strand_of<Ctx> strand(ctx.get_executor());
    int calls = 0;
    net::post(strand, checks.once([] { throw thrown(1); }));
    for (int i = 0; i < 5; ++i)
        net::post(strand, checks.once([&] { ++calls; }));
    BOOST_TEST(run_and_count_exceptions(ctx) == 1);
    BOOST_TEST(calls == 5);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
