// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/simulated_ring.hpp"

#include "support/child_process.hpp"
#include "support/connected_pair.hpp"
#include "support/thread_state.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

// The engine under io_ring where the kernel does what it seldom does.
using namespace simulated;
using namespace std::chrono_literals;
using safer_ring::completed;
using safer_ring::operation;
using safer_ring::submitted;
using test_support::sleeps;
namespace ops = safer_ring::ops;

BOOST_AUTO_TEST_SUITE(io_rings)

// ------------------------------------------------------------- once more

BOOST_FIXTURE_TEST_CASE(request_that_nobody_cancelled_is_submitted_once_more, ring_with_pipe)
{
    constexpr int restart_system_call = 512; // Of a worker, whose process was stopped: ERESTARTSYS.
    for (const int error : {ECANCELED, EINTR, restart_system_call}) {
        const unsigned before = kernel->count(opcode::read);
        kernel->fail_nth(opcode::read, 1, error);
        write_plain("text");
        auto [result, buffer] = read().submit().wait().take();
        BOOST_TEST(result.has_value());
        BOOST_TEST(buffer.text() == "text");
        BOOST_TEST(kernel->count(opcode::read) == before + 2);
    }
}

BOOST_FIXTURE_TEST_CASE(request_that_was_cancelled_is_not_submitted_once_more, ring_with_pipe)
{
    kernel->hold(opcode::read);
    auto reading = read().submit();
    ring->flush();
    reading.cancel();
    kernel->release(); // Ends it with ECANCELED.
    const auto result = std::move(reading).wait().result();
    BOOST_TEST((result.code() == std::errc::operation_canceled));
    BOOST_TEST(kernel->count(opcode::read) == 1U);
}

BOOST_FIXTURE_TEST_CASE(part_of_a_chain_is_not_submitted_once_more, ring_with_pipe)
{
    kernel->fail_nth(opcode::read, 1, ECANCELED);
    write_plain("text");
    auto [reading, behind] = ring->submit_linked(read(), ring->nop());
    BOOST_TEST((std::move(reading).wait().result().code() == std::errc::operation_canceled));
    BOOST_TEST((std::move(behind).wait().result().code() == std::errc::operation_canceled));
    BOOST_TEST(kernel->count(opcode::read) == 1U);
    BOOST_TEST(all_back());
}

BOOST_FIXTURE_TEST_CASE(ECANCELED_is_a_time_limit_only_when_the_time_is_over, ring_with_pipe)
{
    kernel->fail_nth(opcode::read, 1, ECANCELED);
    write_plain("text");
    BOOST_TEST(read().within(1h).submit().wait().take().second.text() == "text");
    const auto late = read().within(0s).submit().wait().result();
    BOOST_TEST((late.code() == std::errc::timed_out));
    const auto negative = read().within(-1h).submit().wait().result();
    BOOST_TEST((negative.code() == std::errc::timed_out));
    auto unlimited = read().within(std::chrono::nanoseconds::max()).submit();
    ring->poll();
    unlimited.cancel();
    const auto cancelled = std::move(unlimited).wait().result();
    BOOST_TEST((cancelled.code() == std::errc::operation_canceled));
    BOOST_TEST(all_back());
}

BOOST_FIXTURE_TEST_CASE(time_limit_goes_on_when_the_request_is_submitted_once_more, ring_with_pipe)
{
    kernel->fail_nth(opcode::read, 1, EINTR);
    write_plain("text");
    const auto result = read().within(1h).submit().wait().result();
    BOOST_TEST(result.has_value());
    std::vector<std::uint64_t> limits;
    for (const auto& entry : kernel->submitted())
        if (entry.op == opcode::link_timeout) {
            BOOST_TEST((entry.op_flags & safer_ring::backend::timeout_absolute) != 0U);
            limits.push_back(entry.address);
        }
    BOOST_TEST(limits.size() == 2U);
    BOOST_TEST(limits.front() == limits.back());
}

BOOST_FIXTURE_TEST_CASE(close_is_never_repeated, ring_with_pipe)
{
    for (const int error : {EINTR, ECANCELED}) {
        const unsigned before = kernel->count(opcode::close);
        safer_ring::owned_descriptor descriptor(::dup(reader.get()));
        const int fd = descriptor.get();
        kernel->fail_nth(opcode::close, 1, error);
        const auto result = ring->close(std::move(descriptor)).submit().wait().result();
        BOOST_TEST(result.code().value() == error);
        BOOST_TEST(kernel->count(opcode::close) == before + 1);
        ::close(fd); // What failed here was not executed.
    }
}

struct connecting : ring_with_pipe {
    auto connect()
    {
        return ring->connect(pair.first.get(), reinterpret_cast<const sockaddr*>(&address), size)
            .submit()
            .wait()
            .result();
    }
    std::pair<test_support::unique_descriptor, test_support::unique_descriptor> pair =
        test_support::local_descriptor_pair();
    sockaddr_un address{AF_UNIX, "/nonexistent/safer_ring"};
    socklen_t size = sizeof address;
};

BOOST_FIXTURE_TEST_CASE(connection_that_was_made_although_interrupted_is_a_success, connecting)
{
    kernel->fail_nth(opcode::connect, 1, EISCONN);
    BOOST_TEST(connect().code().value() == EISCONN); // It was connected before.
    kernel->fail_nth(opcode::connect, 1, EINTR);
    kernel->fail_nth(opcode::connect, 2, EISCONN);
    BOOST_TEST(connect().has_value());
    BOOST_TEST(kernel->count(opcode::connect) == 3U);
    BOOST_TEST(kernel->count(opcode::poll_add) == 0U);
}

BOOST_FIXTURE_TEST_CASE(connection_that_goes_on_although_interrupted_is_waited_for, connecting)
{
    kernel->fail_nth(opcode::connect, 1, EALREADY);
    BOOST_TEST(connect().code().value() == EALREADY); // Somebody else's.
    kernel->fail_nth(opcode::connect, 1, EINTR);
    kernel->fail_nth(opcode::connect, 2, EALREADY);
    BOOST_TEST(connect().has_value());
    BOOST_TEST(kernel->count(opcode::poll_add) == 1U);
    kernel->fail_nth(opcode::connect, 1, ECANCELED);
    kernel->fail_nth(opcode::connect, 2, ECONNREFUSED);
    BOOST_TEST(connect().code().value() == ECONNREFUSED);
}

// ------------------------------------------------------------ cancellation

BOOST_FIXTURE_TEST_CASE(queued_operation_is_cancelled_without_the_kernel, ring_with_pipe)
{
    auto reading = read().submit();
    reading.cancel();
    BOOST_TEST(reading.is_done());
    BOOST_TEST(ring->in_flight() == 0U);
    BOOST_TEST(kernel->submitted().empty());
    auto [result, buffer] = std::move(reading).wait().take();
    BOOST_TEST((result.code() == std::errc::operation_canceled));
    BOOST_TEST(result.was_cancelled());
    BOOST_TEST(buffer.capacity() == buffer_bytes);
    {
        auto dropped = read().submit();
    }
    BOOST_TEST(ring->in_flight() == 0U);
    BOOST_TEST(kernel->submitted().empty());
}

BOOST_FIXTURE_TEST_CASE(operation_that_is_given_up_is_cancelled, ring_with_pipe)
{
    {
        auto dropped = read().submit();
        ring->flush();
        BOOST_TEST(!all_back());
    }
    BOOST_TEST(kernel->count(opcode::async_cancel) == 1U);
    ring->poll();
    BOOST_TEST(ring->in_flight() == 0U);
    BOOST_TEST(kernel->in_flight_count() == 0U);
    BOOST_TEST(all_back());
}

BOOST_AUTO_TEST_CASE(cancellation_that_finds_nothing_is_asked_for_again)
{
    safer_ring::backend::simulation_plan plan;
    plan.missed_cancel = 0.9; // With ENOENT or EALREADY, and no effect.
    for (plan.seed = 1; plan.seed <= 20; ++plan.seed) {
        ring_with_pipe with(plan);
        auto reading = with.read().submit();
        with.ring->flush();
        reading.cancel();
        const auto result = std::move(reading).wait().result();
        BOOST_TEST((result.code() == std::errc::operation_canceled));
    }
}

// As many as the queue holds are what a disk is doing, and cannot be cancelled.
BOOST_FIXTURE_TEST_CASE(cancellations_that_find_nothing_leave_room_for_others, ring_with_pipe)
{
    kernel->hold_descriptor(other.get());
    std::vector<decltype(read().submit())> stuck;
    while (stuck.size() != 2U * ring->found().submission_entries)
        stuck.push_back(ring->read(other.get(), safer_ring::owned_buffer(1)).submit());
    auto reading = read().submit();
    ring->flush();
    ring->cancel_all();
    for (int i = 0; i != 20; ++i)
        ring->poll();
    BOOST_TEST(reading.is_done());
    BOOST_TEST(!stuck.front().is_done());
    kernel->release();
    BOOST_TEST(ring->shutdown(1h));
    BOOST_TEST(stuck.back().is_done());
}

BOOST_FIXTURE_TEST_CASE(linked_operation_is_cancelled_when_it_begins, ring_with_pipe)
{
    auto [first, second] = ring->submit_in_order(read(), ring->read(other.get(), buffer()));
    ring->flush();
    second.cancel();
    BOOST_TEST(!second.wait_for(0s)); // Nothing finds it before.
    write_plain("text");
    BOOST_TEST(std::move(first).wait().result().has_value());
    auto [result, back] = std::move(second).wait().take();
    BOOST_TEST((result.code() == std::errc::operation_canceled));
}

BOOST_FIXTURE_TEST_CASE(linked_operation_is_not_asked_for_again_before_its_turn, ring_with_pipe)
{
    auto [first, second, third] =
        ring->submit_in_order(read(), read(), ring->read(other.get(), buffer()));
    ring->flush();
    third.cancel();
    const auto look = [&] {
        for (int i = 0; i < 20; ++i)
            ring->poll();
    };
    look();
    BOOST_TEST(kernel->count(opcode::async_cancel) == 1U);
    write_plain("text");
    look();
    BOOST_TEST(first.is_done());
    BOOST_TEST(kernel->count(opcode::async_cancel) == 1U);
    write_plain("text");
    while (!second.is_done())
        ring->poll();
    BOOST_TEST(kernel->count(opcode::async_cancel) == 2U); // Without another call.
    look();
    BOOST_TEST(third.is_done());
    BOOST_TEST(kernel->count(opcode::async_cancel) == 2U);
    const auto result = std::move(third).wait().result();
    BOOST_TEST((result.code() == std::errc::operation_canceled));
}

/// The sockets that cannot, and a process that may not lock as much memory.
BOOST_AUTO_TEST_CASE(what_cannot_be_sent_without_a_copy_is_copied)
{
    for (const int error : {EOPNOTSUPP, ENOMEM, ENOBUFS}) {
        safer_ring::backend::simulation_plan plan;
        plan.zero_copy_send = true;
        ring_with_pipe with(plan);
        const auto [near, far] = test_support::local_descriptor_pair();
        with.kernel->fail_nth(opcode::send_zc, 1, error);
        auto [sent, back] =
            with.ring->send_zero_copy(near.get(), safer_ring::owned_buffer::copy_of("text"))
                .submit()
                .wait()
                .take();
        BOOST_TEST(sent.has_value());
        BOOST_TEST(back.text() == "text");
        BOOST_TEST(with.kernel->count(opcode::send) == 1U);
        char received[8];
        BOOST_TEST(::recv(far.get(), received, sizeof received, MSG_DONTWAIT) == 4);
    }
}

BOOST_AUTO_TEST_CASE(zero_copy_send_that_is_cancelled_is_not_told_why_it_could_not_be_one)
{
    safer_ring::backend::simulation_plan plan;
    plan.zero_copy_send = true;
    ring_with_pipe with(plan);
    const auto [near, far] = test_support::local_descriptor_pair();
    with.kernel->fail_nth(opcode::send_zc, 1, EOPNOTSUPP);
    auto sending =
        with.ring->send_zero_copy(near.get(), safer_ring::owned_buffer::copy_of("text")).submit();
    with.ring->flush();
    sending.cancel();
    auto [result, back] = std::move(sending).wait().take();
    BOOST_TEST((result.code() == std::errc::operation_canceled));
    BOOST_TEST(result.was_cancelled());
    BOOST_TEST(back.text() == "text");
    BOOST_TEST(with.kernel->count(opcode::send) == 0U);
}

// Its turn is there when the send is over, which may be long before its buffer is back.
BOOST_AUTO_TEST_CASE(operation_behind_a_zero_copy_send_is_cancelled_before_the_notification)
{
    safer_ring::backend::simulation_plan plan;
    plan.zero_copy_send = true;
    ring_with_pipe with(plan);
    const test_support::unique_descriptor udp(::socket(AF_INET, SOCK_DGRAM, 0));
    sockaddr_in self{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
    socklen_t size = sizeof self;
    auto* const address = reinterpret_cast<sockaddr*>(&self);
    BOOST_REQUIRE(::bind(udp.get(), address, size) == 0);
    BOOST_REQUIRE(::getsockname(udp.get(), address, &size) == 0);
    BOOST_REQUIRE(::connect(udp.get(), address, size) == 0);
    with.kernel->hold_notifications();
    auto [first, sending, behind] = with.ring->submit_in_order(
        with.read(),
        with.ring->send_zero_copy(udp.get(), safer_ring::owned_buffer::copy_of("text")),
        with.ring->read(with.other.get(), with.buffer()));
    with.ring->flush();
    behind.cancel();
    with.write_plain("text");
    const auto result = std::move(behind).wait().result();
    BOOST_TEST((result.code() == std::errc::operation_canceled));
    BOOST_TEST(!sending.is_done());
    with.kernel->release();
    const auto sent = std::move(sending).wait().result();
    BOOST_TEST(sent.has_value());
}

BOOST_FIXTURE_TEST_CASE(drained_operation_waits_and_can_be_cancelled, ring_with_pipe)
{
    auto early = read().submit();
    auto drained = ring->nop().drained().submit();
    auto late = ring->nop().submit();
    ring->poll();
    BOOST_TEST(!drained.wait_for(0s));
    BOOST_TEST(!late.wait_for(0s));
    write_plain("text");
    ring->poll();
    ring->poll();
    BOOST_TEST(early.is_done());
    const auto of_drained = std::move(drained).wait().result();
    BOOST_TEST(of_drained.has_value());
    const auto of_late = std::move(late).wait().result();
    BOOST_TEST(of_late.has_value());

    auto pending = read().submit();
    auto held_back = ring->nop().drained().submit();
    ring->flush();
    held_back.cancel();
    BOOST_TEST(held_back.is_done());
    auto again = ring->nop().drained().submit();
    ring->flush();
    pending.cancel(); // Nothing that is drained is in its way.
    const auto of_pending = std::move(pending).wait().result();
    BOOST_TEST(!of_pending.has_value());
    const auto of_again = std::move(again).wait().result();
    BOOST_TEST(of_again.has_value());
}

BOOST_FIXTURE_TEST_CASE(nothing_begins_beside_a_drained_operation, ring_with_pipe)
{
    auto drained = read().drained().submit();
    auto late = ring->nop().submit();
    ring->poll();
    BOOST_TEST(kernel->count(opcode::read) == 1U);
    BOOST_TEST(kernel->count(opcode::nop) == 0U);
    write_plain("text");
    const auto of_late = std::move(late).wait().result();
    BOOST_TEST(of_late.has_value());
    BOOST_TEST(drained.is_done());
}

BOOST_FIXTURE_TEST_CASE(drained_operation_does_not_wait_for_streams, ring_with_pipe)
{
    auto events = ring->poll_stream(reader.get(), POLLIN);
    ring->poll();
    BOOST_TEST(kernel->in_flight_count() == 1U);
    auto drained = ring->nop().drained().submit();
    auto late = ring->nop().submit();
    ring->poll();
    ring->poll();
    BOOST_TEST(drained.is_done());
    BOOST_TEST(late.is_done());
    write_plain("text");
    const auto event = events.next().wait();
    BOOST_TEST(event.has_value());
}

// ------------------------------------------------------------------ driving

BOOST_FIXTURE_TEST_CASE(run_hands_to_the_kernel_what_nobody_is_told_of, ring_with_pipe)
{
    auto first = write("first").submit();
    BOOST_TEST(ring->run() == 0U);
    BOOST_TEST(kernel->count(opcode::write) == 1U);
    std::optional<operation<ops::write<safer_ring::owned_buffer>, submitted>> farewell;
    ring->nop().submit().then([&](auto) { farewell.emplace(write("farewell").submit()); });
    BOOST_TEST(ring->run() == 1U);
    BOOST_TEST(kernel->count(opcode::write) == 2U);
}

BOOST_FIXTURE_TEST_CASE(poll_flushes_and_looks_without_a_callback, ring_with_pipe)
{
    write_plain("text");
    auto reading = read().submit();
    BOOST_TEST(ring->poll() == 0U);
    BOOST_TEST(kernel->count(opcode::read) == 1U);
    BOOST_TEST(reading.is_done());
}

BOOST_FIXTURE_TEST_CASE(failure_of_the_ring_itself_is_thrown_and_loses_nothing, ring_with_pipe)
{
    auto reading = read().submit();
    ring->flush();
    write_plain("text");
    kernel->fail_nth(simulation::call::enter, 1, EBADF);
    BOOST_CHECK_THROW(static_cast<void>(reading.wait_for(1s)), std::system_error);
    const safer_ring::owned_buffer back = std::move(reading).wait().take().second;
    BOOST_TEST(back.text() == "text");
}

/// One thread is on its way into the kernel, to wait for a read that is complete
/// by then.
struct ring_with_waiter : ring_with_pipe {
    ring_with_waiter()
    {
        kernel->hold_waits();
        waiter = std::thread([this, reading = read().submit()]() mutable {
            text = std::move(reading).wait().take().second.text();
        });
        kernel->await_held_wait();
        write_plain("for the waiter");
        kernel->step();
    }
    ~ring_with_waiter()
    {
        kernel->release_waits();
        // Brings one back that lost what it was to return for.
        const auto bring_back = ring->nop().submit();
        waiter.join();
        BOOST_TEST(text == "for the waiter");
    }
    std::thread waiter;
    std::string text;
};

BOOST_FIXTURE_TEST_CASE(completions_are_left_to_the_thread_in_the_kernel_by_cancellations,
                        ring_with_waiter)
{
    auto mine = ring->read(other.get(), buffer()).submit();
    BOOST_TEST(ring->in_flight() == 2U);
    mine.cancel();
    ring->cancel(other.get());
    ring->cancel_all();
    BOOST_TEST(ring->in_flight() == 2U);
    kernel->release_waits();
    const auto of_mine = std::move(mine).wait().result();
    BOOST_TEST(!of_mine.has_value());
}

BOOST_FIXTURE_TEST_CASE(completions_are_left_to_the_thread_in_the_kernel_by_failing_flushes,
                        ring_with_waiter)
{
    for (const int error : {EBUSY, EAGAIN, EINTR}) {
        kernel->fail_nth(simulation::call::enter, 1, error);
        auto mine = ring->nop().submit();
        ring->flush();
        BOOST_TEST(!mine.is_done());
    }
    BOOST_TEST(ring->in_flight() == 4U); // The kernel has done all of them.
}

BOOST_FIXTURE_TEST_CASE(completions_are_left_to_the_thread_in_the_kernel_by_who_polls,
                        ring_with_waiter)
{
    std::atomic<pid_t> id = 0;
    std::atomic<bool> over = false;
    std::thread poller([&] {
        id = static_cast<pid_t>(::syscall(SYS_gettid));
        auto mine = ring->nop().submit();
        static_cast<void>(mine.wait_for(0s));
        ring->poll();
        over = true;
    });
    while (!over && (id == 0 || !sleeps(id)))
        std::this_thread::yield();
    BOOST_TEST(!over); // It waits for the other.
    BOOST_TEST(ring->in_flight() == 2U);
    kernel->release_waits();
    poller.join();
}

// ------------------------------------------------------------------ the end

BOOST_FIXTURE_TEST_CASE(ring_waits_for_what_was_given_up_and_ends_late, ring_with_pipe)
{
    kernel->hold(opcode::read);
    {
        auto dropped = read().submit();
        ring->flush();
    }
    // Lets it end when the destructor has asked for that, in vain.
    std::thread kernel_thread([this] {
        kernel->await_held_wait();
        BOOST_TEST(kernel->in_flight().front().cancel_requested);
        kernel->release();
        kernel->release_waits();
    });
    kernel->hold_waits();
    ring.reset();
    kernel_thread.join();
    BOOST_TEST(all_back());
}

BOOST_AUTO_TEST_CASE(memory_of_what_never_ends_is_kept_and_the_ring_says_so)
{
    // What is kept would be a leak of this process.
    const auto [text, status] = test_support::in_a_child([] {
        ring_with_pipe with;
        with.kernel->hold(opcode::read);
        {
            auto dropped = with.read().submit();
            with.ring->flush();
        }
        with.ring.reset();
        const bool kept = !with.all_back();
        const std::byte* const page = with.kernel->referenced_memory().at(0).begin;
        unsigned char resident = 0; // mincore(2) fails where nothing is mapped.
        const bool mapped = ::mincore(const_cast<std::byte*>(page), 1, &resident) == 0;
        ::_exit(kept && mapped ? 0 : 1);
    });
    BOOST_TEST(status == 0, text);
    BOOST_TEST(text.find("their memory is not freed") != std::string::npos);
    BOOST_TEST(text.find("read of 64 bytes on descriptor ") != std::string::npos);
    BOOST_TEST(text.find("given up by the program") != std::string::npos);
}

/// Also when the thread in the kernel would not come back by itself.
BOOST_FIXTURE_TEST_CASE(what_the_kernel_has_no_memory_for_is_submitted_when_it_has, ring_with_pipe)
{
    bool is_read = false;
    read().submit().then([&](operation<ops::read, completed> over) {
        is_read = std::move(over).take().second.text() == "x";
    });
    std::atomic<pid_t> id{0};
    std::thread waiting([&] {
        id = ::gettid();
        ring->run();
    });
    while (id == 0 || kernel->in_flight_count() == 0 || !sleeps(id))
        std::this_thread::yield();
    kernel->fail_nth(simulation::call::enter, 1, ENOMEM, 200);
    std::promise<void> called;
    ring->nop().submit().then([&](operation<ops::nop, completed>) { called.set_value(); });
    called.get_future().wait();
    write_plain("x");
    waiting.join();
    BOOST_TEST(is_read);
}

BOOST_AUTO_TEST_SUITE_END()
