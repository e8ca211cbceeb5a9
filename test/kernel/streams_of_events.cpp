// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "streams.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

// Streams of readiness and of time, on the kernel that runs here.
namespace kernel {
namespace {

using backend::opcode;
using steady = std::chrono::steady_clock;

BOOST_AUTO_TEST_SUITE(streams_of_events, *needs_io_uring)

BOOST_AUTO_TEST_CASE(events_are_told_each_time_they_come)
{
    for (const bool old : {false, true}) {
        watched w(old);
        auto [near, far] = test_support::local_descriptor_pair();
        auto polling = w.ring.poll_stream(near.get(), POLLIN);
        w.settle();
        BOOST_TEST(!polling.try_next());
        for (int i = 0; i < 10; ++i) {
            send_text(far, "x");
            const auto events = polling.next().wait();
            BOOST_TEST((events.value() & POLLIN) != 0);
            char byte = 0;
            BOOST_TEST(::recv(near.get(), &byte, 1, MSG_DONTWAIT) == 1);
        }
        w.settle();
        // Single requests tell what was so when they were made.
        while (old && polling.try_next())
            w.settle();
        BOOST_TEST(polling.queued() == 0U);
        polling.cancel();
        BOOST_TEST((polling.next().wait().code() == std::errc::operation_canceled));
        BOOST_TEST(polling.is_over());
        BOOST_TEST(w.record->refused == (old ? 1U : 0U));
        if (!old)
            BOOST_TEST(w.record->count(opcode::poll_add) == 1U);
    }
}

BOOST_AUTO_TEST_CASE(events_that_nobody_takes_are_one_item)
{
    for (const bool old : {false, true}) {
        watched w(old);
        auto [near, far] = test_support::local_descriptor_pair();
        auto polling = w.ring.poll_stream(near.get(), POLLIN | POLLRDHUP);
        w.settle();
        for (int i = 0; i < 100; ++i) {
            send_text(far, "x");
            w.settle();
            BOOST_TEST(polling.queued() == 1U);
        }
        // No storm of what goes on being so.
        if (old)
            BOOST_TEST(w.record->count(opcode::poll_add) == 2U);
        far.reset();
        w.settle();
        int events = polling.next().wait().value();
        if (old) { // The one that was told had not seen the end yet.
            BOOST_TEST(events == POLLIN);
            events = polling.next().wait().value();
        }
        BOOST_TEST((events & POLLRDHUP) != 0);
    }
}

BOOST_AUTO_TEST_CASE(what_is_so_already_is_told)
{
    for (const bool old : {false, true}) {
        watched w(old);
        auto [near, far] = test_support::local_descriptor_pair();
        send_text(far, "x");
        auto polling = w.ring.poll_stream(near.get(), POLLIN);
        BOOST_TEST(polling.next().wait().value() == POLLIN);
    }
}

BOOST_AUTO_TEST_CASE(what_is_always_so_is_asked_for_again_when_it_was_taken)
{
    for (const bool old : {false, true}) {
        watched w(old);
        const unique_descriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
        auto polling = w.ring.poll_stream(null.get(), POLLIN);
        for (unsigned taken = 0; taken < 3; ++taken) {
            for (int i = 0; i < 3; ++i)
                w.settle();
            BOOST_TEST(polling.queued() == 1U);
            BOOST_TEST(w.record->count(opcode::poll_add) == 2U + taken);
            BOOST_TEST(polling.next().wait().value() == POLLIN);
        }
        polling.cancel();
        while (!polling.is_over())
            static_cast<void>(polling.next().wait());
        BOOST_TEST(w.record->refused == (old ? 1U : 0U));
    }
}

BOOST_AUTO_TEST_CASE(poll_of_no_descriptor_ends_with_the_error)
{
    io_ring ring;
    auto polling = ring.poll_stream(-1, POLLIN);
    const auto end = polling.next().wait();
    BOOST_TEST((end.code() == std::errc::bad_file_descriptor));
    BOOST_TEST(end.error().message() == "poll stream: Bad file descriptor");
    BOOST_TEST(polling.is_over());
}

BOOST_AUTO_TEST_CASE(intervals_are_counted_until_they_are_taken)
{
    for (const bool old : {false, true}) {
        watched w(old);
        const auto begin = steady::now();
        auto ticking = w.ring.timeout_stream(2ms);
        std::uint64_t count = 0;
        for (int i = 0; i < 5; ++i) {
            const auto passed = ticking.next().wait();
            BOOST_TEST(passed.value() >= 1U);
            count += passed.value();
            BOOST_TEST((steady::now() - begin >= 2ms * count));
        }
        // Nobody takes any for a while: one item.
        for (std::uint64_t several = 0; several < 3; count += several) {
            BOOST_TEST(w.ring.timeout(10ms).submit().wait().result().has_value());
            w.settle();
            BOOST_TEST(ticking.queued() == 1U);
            several = ticking.next().wait().value();
            BOOST_TEST(!ticking.try_next());
        }
        BOOST_TEST((steady::now() - begin >= 2ms * count));
        ticking.cancel();
        while (!ticking.is_over())
            static_cast<void>(ticking.next().wait());
        BOOST_TEST(w.ring.in_flight() == 0U);
    }
}

BOOST_AUTO_TEST_CASE(interval_of_nothing_is_refused)
{
    io_ring ring;
    BOOST_CHECK_THROW(static_cast<void>(ring.timeout_stream(0ns)), std::invalid_argument);
    BOOST_CHECK_THROW(static_cast<void>(ring.timeout_stream(-1s)), std::invalid_argument);
    BOOST_TEST(ring.in_flight() == 0U);
}

BOOST_AUTO_TEST_CASE(full_completion_queue_ends_neither)
{
    watched w(false, 8);
    const unique_descriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    auto ticking = w.ring.timeout_stream(1ms);
    auto polling = w.ring.poll_stream(event.get(), POLLIN);
    w.ring.flush();
    for (int round = 0; round < 3; ++round) {
        // Nobody looks while these come.
        const auto until = steady::now() + 30ms;
        while (steady::now() < until)
            BOOST_REQUIRE(::eventfd_write(event.get(), 1) == 0);
        w.settle();
        BOOST_TEST(polling.next().wait().value() == POLLIN);
        BOOST_TEST(ticking.next().wait().value() >= 1U);
        w.settle();
        BOOST_TEST(polling.queued() == 0U); // Though it is readable as ever.
    }
}

BOOST_AUTO_TEST_CASE(first_event_that_finds_the_completion_queue_full_is_told_once)
{
    watched w(false, 8);
    const unique_descriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const unique_descriptor other(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    auto ticking = w.ring.timeout_stream(1ms);
    auto polling = w.ring.poll_stream(event.get(), POLLIN);
    w.ring.flush();
    const auto until = steady::now() + 30ms;
    while (steady::now() < until) // In these calls the kernel completes what is due.
        BOOST_REQUIRE(::eventfd_write(other.get(), 1) == 0);
    BOOST_REQUIRE(::eventfd_write(event.get(), 1) == 0);
    w.settle();
    BOOST_TEST(polling.next().wait().value() == POLLIN);
    w.settle();
    BOOST_TEST(polling.queued() == 0U); // Though it is readable as ever.
}

BOOST_AUTO_TEST_CASE(streams_of_a_thread_that_has_exited_go_on)
{
    io_ring ring;
    const auto both = test_support::local_descriptor_pair();
    std::optional<stream<streams::poll>> polling;
    std::optional<stream<streams::timeout>> ticking;
    std::thread([&] {
        polling.emplace(ring.poll_stream(both.first.get(), POLLIN));
        ticking.emplace(ring.timeout_stream(1ms));
        ring.flush();
    }).join();
    send_text(both.second, "x");
    BOOST_TEST(polling->next().wait().value() == POLLIN);
    BOOST_TEST(ticking->next().wait().value() >= 1U);
}

BOOST_AUTO_TEST_CASE(no_descriptor_is_nothing_that_time_is_on)
{
    io_ring ring;
    auto ticking = ring.timeout_stream(1ms);
    ring.cancel(-1);
    BOOST_TEST(ticking.next().wait().value() > 0U);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
