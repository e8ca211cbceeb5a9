// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "test_of_every_operation.hpp"

#include <boost/test/unit_test.hpp>

#include <functional>
#include <vector>

#include <fcntl.h>

// How every operation of every object is ended before its time, and what does
// not end it.
namespace conformance {
namespace {

using net::error::operation_aborted;
using test_support::io_result;

BOOST_AUTO_TEST_SUITE(ends_of_operations)

/// Operations that wait one behind the other: two, where one is not alone.
struct waiting {
    explicit waiting(const kind& k, bool seen_by_run = true)
        : t(k), results(k.has(is_alone) ? 1 : 2)
    {
        for (io_result& result : results)
            t.operation->start(t.checks.into(result));
        if (seen_by_run)
            t.settle();
        expect_nothing_done();
    }

    void expect_nothing_done() const
    {
        for (const io_result& result : results)
            BOOST_TEST(!result.done);
    }

    /// Nothing was called by what has just been done, but is by run().
    void expect_aborted()
    {
        expect_nothing_done();
        t.run();
        for (const io_result& result : results) {
            BOOST_TEST(result.ec == operation_aborted);
            BOOST_TEST(result.bytes == 0u);
        }
    }

    trial t;
    std::vector<io_result> results;
};

SAFER_RING_TEST_OF_EVERY(cancel_aborts_what_waits, waits | cancels)
{
    for (const bool seen_by_run : {false, true}) {
        waiting w(k, seen_by_run);
        w.t.operation->cancel();
        w.expect_aborted();
        if (k.has(fires))
            w.t.expect_usable();
    }
}

SAFER_RING_TEST_OF_EVERY(cancel_with_nothing_pending_does_nothing, cancels | fires)
{
    trial t(k);
    t.operation->cancel();
    t.expect_usable();
}

SAFER_RING_TEST_OF_EVERY(a_slot_aborts_one_that_waits, waits | slots)
{
    const std::size_t count = k.has(is_alone) ? 1 : 2;
    for (const auto type : all_types)
        for (std::size_t ended = 0; ended < count; ++ended) {
            trial t(k);
            std::vector<net::cancellation_signal> signals(count);
            std::vector<io_result> results(count);
            for (std::size_t i = 0; i < count; ++i)
                t.operation->start(
                    net::bind_cancellation_slot(signals[i].slot(), t.checks.into(results[i])));
            t.settle();
            signals[ended].emit(type);
            BOOST_TEST(!results[ended].done);
            test_support::run_until_done(t.ctx, results[ended]);
            BOOST_TEST(results[ended].ec == operation_aborted);
            signals[ended].emit(type); // Too late for anybody.
            t.settle();
            if (count == 1)
                continue;
            const io_result& other = results[1 - ended];
            BOOST_TEST(!other.done);
            if (k.has(fires))
                t.operation->fire();
            else
                t.operation->cancel();
            t.run();
            BOOST_TEST(other.ec == (k.has(fires) ? error_code() : error_code(operation_aborted)));
        }
}

SAFER_RING_TEST_OF_EVERY(a_slot_used_late_changes_nothing, slots | fires)
{
    for (const auto type : all_types) {
        trial t(k);
        net::cancellation_signal signal;
        io_result result;
        t.operation->start(net::bind_cancellation_slot(signal.slot(), t.checks.into(result)));
        t.operation->fire();
        t.run();
        signal.emit(type);
        BOOST_TEST(result.ec == error_code());
        t.expect_usable();
    }
}

SAFER_RING_TEST_OF_EVERY(close_aborts_what_waits, waits | closes)
{
    for (const bool seen_by_run : {false, true}) {
        waiting w(k, seen_by_run);
        w.t.operation->close();
        w.expect_aborted();
    }
}

SAFER_RING_TEST_OF_EVERY(destruction_aborts_what_waits, waits)
{
    for (const bool seen_by_run : {false, true}) {
        waiting w(k, seen_by_run);
        w.t.operation->destroy();
        w.expect_aborted();
    }
}

SAFER_RING_TEST_OF_EVERY(what_waits_moves_with_its_object, waits | moves)
{
    for (const bool seen_by_run : {false, true}) {
        trial t(k);
        io_result result, aborted;
        t.operation->start(t.checks.into(result));
        if (seen_by_run)
            t.settle();
        t.operation->move();
        t.settle();
        BOOST_TEST(!result.done);
        if (k.has(fires)) {
            t.operation->fire();
            t.run();
            BOOST_TEST(result.ec == error_code());
            t.operation->prepare();
            t.operation->start(t.checks.into(aborted));
            t.settle();
            t.operation->move();
            t.operation->cancel();
            t.run();
            BOOST_TEST(aborted.ec == operation_aborted);
        } else {
            t.operation->cancel();
            t.run();
            BOOST_TEST(result.ec == operation_aborted);
        }
    }
}

SAFER_RING_TEST_OF_EVERY(what_does_not_wait_moves_with_its_object, fires | moves, waits)
{
    trial t(k);
    io_result result;
    t.operation->start(t.checks.into(result));
    t.operation->move();
    t.run();
    BOOST_TEST(result.ec == error_code());
    t.expect_usable();
}

SAFER_RING_TEST_OF_EVERY(release_aborts_what_waits, waits | releases)
{
    for (const bool seen_by_run : {false, true}) {
        waiting w(k, seen_by_run);
        const test_support::unique_descriptor released(w.t.operation->release());
        BOOST_TEST(::fcntl(released.get(), F_GETFD) >= 0);
        w.expect_aborted();
        BOOST_TEST(::fcntl(released.get(), F_GETFD) >= 0);
    }
}

/// Ends the operation right after it was started. It may have been done by then.
void end_at_once(const kind& k, const std::function<void(any_operation&)>& end)
{
    trial t(k);
    io_result result;
    t.operation->start(t.checks.into(result));
    end(*t.operation);
    BOOST_TEST(!result.done);
    t.run();
    if (result.ec)
        BOOST_TEST(result.ec == operation_aborted);
    else
        BOOST_TEST(result.bytes == t.operation->number());
}

SAFER_RING_TEST_OF_EVERY(what_does_not_wait_is_done_or_aborted, fires, waits)
{
    end_at_once(k, [](any_operation& o) { o.destroy(); });
    if (k.has(cancels))
        end_at_once(k, [](any_operation& o) { o.cancel(); });
    if (k.has(closes))
        end_at_once(k, [](any_operation& o) { o.close(); });
    if (k.has(releases))
        end_at_once(k, [](any_operation& o) {
            const test_support::unique_descriptor released(o.release());
            BOOST_TEST(::fcntl(released.get(), F_GETFD) >= 0);
        });
}

SAFER_RING_TEST_OF_EVERY(what_does_not_wait_is_done_or_aborted_by_its_slot, fires | slots, waits)
{
    for (const auto type : all_types) {
        trial t(k);
        net::cancellation_signal signal;
        io_result result;
        t.operation->start(net::bind_cancellation_slot(signal.slot(), t.checks.into(result)));
        signal.emit(type);
        t.run();
        if (result.ec)
            BOOST_TEST(result.ec == operation_aborted);
        else
            BOOST_TEST(result.bytes == t.operation->number());
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
