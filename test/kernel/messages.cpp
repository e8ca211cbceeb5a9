// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"
#include "watched_backend.hpp"

#include "support/blocking_peer.hpp"
#include "support/skip.hpp"

#include <safer_ring/backend/simulated.hpp>
#include <safer_ring/ring/io_ring.hpp>

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

// Messages from ring to ring, by the kernel that runs here and by hand.
namespace kernel {
namespace {

using namespace std::chrono_literals;
using namespace safer_ring;
using backend::opcode;
using test_support::unique_descriptor;

/// A ring on the kernel, whose messages go the one way or the other.
struct messaging {
    explicit messaging(bool by_kernel, unsigned completion_entries = 256,
                       bool refuses_multishot = false)
    {
        record->hides_messages = !by_kernel;
        record->refuses_multishot = refuses_multishot;
        options settings;
        settings.submission_entries = std::min(completion_entries, 64U);
        settings.completion_entries = completion_entries;
        ring.emplace(std::make_unique<watched_backend>(settings, record));
    }
    auto send(messaging& to, std::uint64_t value)
    {
        return ring->message_ring(to.ring->address(), value);
    }
    /// Returns when it is there.
    void deliver(messaging& to, std::uint64_t value)
    {
        static_cast<void>(send(to, value).submit().wait());
    }
    /// Says why there is nothing to see.
    void require(bool by_kernel) const
    {
        if (by_kernel && !ring->found().ring_messages)
            SAFER_RING_SKIP("no messages brought by the kernel (Linux 5.18)");
    }

    std::shared_ptr<watch> record = std::make_shared<watch>();
    std::optional<io_ring> ring;
};

const auto both_ways = boost::unit_test::data::make({false, true});

BOOST_AUTO_TEST_SUITE(messages_from_ring_to_ring, *needs_io_uring)

BOOST_DATA_TEST_CASE(come_whole_and_in_order, both_ways, by_kernel)
{
    messaging here(by_kernel), there(by_kernel);
    here.require(by_kernel);
    const std::uint64_t values[] = {0,
                                    1,
                                    0x80000000,
                                    0xffffffff,
                                    0x123456789abcdef0,
                                    std::uint64_t{1} << 63,
                                    std::numeric_limits<std::uint64_t>::max()};
    auto messages = there.ring->messages();
    std::vector<operation<ops::message_ring, submitted>> sending;
    for (const std::uint64_t value : values)
        sending.push_back(here.send(there, value).submit());
    for (auto& each : sending) {
        const auto sent = std::move(each).wait().result();
        BOOST_TEST(sent.value() == 0);
    }
    for (const std::uint64_t value : values)
        BOOST_TEST(messages.next().wait().value() == value);
    BOOST_TEST(!messages.try_next());
    BOOST_TEST(here.record->count(opcode::msg_ring) == (by_kernel ? std::size(values) : 0U));
}

BOOST_DATA_TEST_CASE(of_many_go_to_the_kernel_in_one_call, both_ways, by_kernel)
{
    messaging here(by_kernel), there(by_kernel);
    here.require(by_kernel);
    constexpr int count = 32;
    const unsigned before = here.record->enters;
    std::vector<operation<ops::message_ring, submitted>> sending;
    for (int i = 0; i < count; ++i)
        sending.push_back(here.send(there, 1).submit());
    here.ring->flush();
    for (auto& each : sending) {
        const auto sent = std::move(each).wait().result();
        BOOST_TEST(sent.value() == 0);
    }
    BOOST_TEST(here.record->enters - before < 4U);
    BOOST_TEST(there.record->enters == 0U);
}

BOOST_DATA_TEST_CASE(wake_the_threads_that_wait_for_them, both_ways, by_kernel)
{
    messaging here(by_kernel), there(by_kernel);
    here.require(by_kernel);
    constexpr std::uint64_t rounds = 2000;
    // Written and read as what a message is about: each by one thread at a time.
    std::uint64_t passed_on = 0;
    std::thread echo([&] {
        auto messages = there.ring->messages();
        for (std::uint64_t i = 0; i < rounds; ++i) {
            const std::uint64_t value = messages.next().wait().value();
            if (value != passed_on)
                passed_on = 0;
            ++passed_on;
            static_cast<void>(there.send(here, value + 1).submit().wait());
        }
    });
    auto answers = here.ring->messages();
    std::uint64_t expected = 0;
    for (std::uint64_t i = 0; i < rounds; ++i) {
        passed_on = i * 2;
        here.deliver(there, passed_on);
        expected += answers.next().wait().value() == i * 2 + 1 && passed_on == i * 2 + 1 ? 1 : 0;
    }
    echo.join();
    BOOST_TEST(expected == rounds);
}

BOOST_DATA_TEST_CASE(of_several_threads_are_all_there_each_in_its_order, both_ways, by_kernel)
{
    // With a completion queue that is too small for them.
    messaging there(by_kernel, 8);
    there.require(by_kernel);
    constexpr std::uint64_t senders = 3, each = 2000;
    const ring_address address = there.ring->address();
    std::vector<std::thread> threads;
    for (std::uint64_t sender = 0; sender < senders; ++sender)
        threads.emplace_back([&, sender] {
            messaging here(by_kernel, 64);
            std::vector<operation<ops::message_ring, submitted>> sending;
            for (std::uint64_t i = 0; i < each; ++i) {
                sending.push_back(here.ring->message_ring(address, sender << 32 | i).submit());
                if (sending.size() == 16)
                    sending.clear(); // Of which some are cancelled: `i` tells.
            }
            for (auto& one : sending)
                static_cast<void>(std::move(one).wait());
            static_cast<void>(
                here.ring->message_ring(address, sender << 32 | each).submit().wait());
        });
    auto messages = there.ring->messages();
    std::vector<std::uint64_t> next(senders, 0);
    bool in_order = true;
    for (unsigned ended = 0; ended < senders;) {
        const std::uint64_t value = messages.next().wait().value();
        const std::uint64_t sender = value >> 32, i = value & 0xffffffff;
        in_order = in_order && i >= next[sender];
        next[sender] = i + 1;
        ended += i == each ? 1 : 0;
    }
    for (std::thread& t : threads)
        t.join();
    BOOST_TEST(in_order);
    BOOST_TEST(!messages.try_next());
}

BOOST_DATA_TEST_CASE(are_kept_until_they_are_taken_however_many, both_ways, by_kernel)
{
    messaging here(by_kernel), there(by_kernel, 8);
    here.require(by_kernel);
    constexpr std::uint64_t count = 20'000;
    unsigned failed = 0;
    for (std::uint64_t i = 0; i < count; ++i)
        here.send(there, i).submit().then(
            [&](operation<ops::message_ring, completed> over) { failed += over.result() ? 0 : 1; });
    here.ring->run();
    BOOST_TEST(failed == 0U);
    auto messages = there.ring->messages();
    std::uint64_t in_order = 0;
    for (std::uint64_t i = 0; i < count; ++i)
        in_order += messages.next().wait().value() == i ? 1 : 0;
    BOOST_TEST(in_order == count);
}

BOOST_DATA_TEST_CASE(to_the_ring_itself_come_too, both_ways, by_kernel)
{
    messaging ring(by_kernel);
    ring.require(by_kernel);
    auto messages = ring.ring->messages();
    auto sending = ring.send(ring, 7).submit();
    BOOST_TEST(messages.next().wait().value() == 7U);
    const auto sent = std::move(sending).wait().result();
    BOOST_TEST(sent.value() == 0);
}

BOOST_DATA_TEST_CASE(call_back_whoever_runs_the_ring, both_ways, by_kernel)
{
    messaging here(by_kernel), there(by_kernel);
    here.require(by_kernel);
    std::uint64_t sum = 0;
    auto messages = there.ring->messages();
    std::thread running([&] {
        for (int i = 0; i < 100; ++i) {
            messages.next().then([&](io_result<std::uint64_t> value) { sum += value.value(); });
            there.ring->run();
        }
    });
    for (std::uint64_t i = 1; i <= 100; ++i)
        BOOST_TEST(here.send(there, i).submit().wait().result().value() == 0);
    running.join();
    BOOST_TEST(sum == 5050U);
}

BOOST_DATA_TEST_CASE(to_a_ring_that_is_gone_fail, both_ways, by_kernel)
{
    messaging here(by_kernel);
    here.require(by_kernel);
    std::optional<messaging> there(std::in_place, by_kernel);
    const ring_address address = there->ring->address();
    auto early = here.ring->message_ring(address, 1);
    auto queued = here.ring->message_ring(address, 2).submit();
    auto taken = here.ring->message_ring(address, 3).submit().wait();
    BOOST_TEST(taken.result().value() == 0);
    auto late = here.ring->message_ring(address, 4).submit();
    there.reset();
    auto after = here.ring->message_ring(address, 5).submit().wait();
    BOOST_TEST(after.result().code().value() == EPIPE);
    BOOST_TEST(after.result().error().message().find("message to a ring") == 0U);
    const auto early_result = std::move(early).submit().wait().result();
    BOOST_TEST(early_result.code().value() == EPIPE);
    // One that was in the queue of the kernel's submissions already.
    const auto late_result = std::move(late).wait().result();
    BOOST_TEST(late_result.code().value() == EPIPE);
    const auto queued_result = std::move(queued).wait().result();
    BOOST_TEST(queued_result.value() == 0);
}

/// The number that the ring had is another file's, or another ring's.
BOOST_AUTO_TEST_CASE(never_get_to_a_stranger)
{
    messaging here(true), elsewhere(true);
    here.require(true);
    const auto [reader, writer] = test_support::pipe_descriptor_pair();
    std::optional<messaging> there(std::in_place, true);
    // The message waits in the kernel for the read.
    auto [reading, sending] = here.ring->submit_linked(
        here.ring->read(reader.get(), owned_buffer(1)), here.send(*there, 1));
    here.ring->flush();
    there.reset();
    std::vector<std::unique_ptr<messaging>> strangers; // On all numbers that are free now.
    std::vector<operation<ops::message_ring, building>> expected; // So that there is room.
    while (strangers.size() < 4)
        strangers.push_back(std::make_unique<messaging>(true));
    for (const auto& each : strangers)
        expected.push_back(each->send(*each, 2));
    BOOST_REQUIRE(::write(writer.get(), "x", 1) == 1);
    const auto read_result = std::move(reading).wait().result();
    BOOST_TEST(read_result.value() == 1U);
    static_cast<void>(std::move(sending).wait()); // It was there when this began.
    for (const auto& each : strangers) {
        auto messages = each->ring->messages();
        each->ring->poll();
        BOOST_TEST(!messages.try_next());
    }
}

BOOST_AUTO_TEST_CASE(do_not_keep_the_kernel_s_ring_once_they_are_over)
{
    messaging here(true);
    here.require(true);
    const auto open_descriptors = [] {
        int count = 0;
        for (int fd = 0; fd < 256; ++fd)
            count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
        return count;
    };
    const int before = open_descriptors();
    std::optional<ring_address> address;
    {
        messaging there(true);
        address = there.ring->address();
        static_cast<void>(here.ring->message_ring(*address, 1).submit().wait());
    }
    BOOST_TEST(open_descriptors() == before + 1); // The eventfd.
    address.reset();
    BOOST_TEST(open_descriptors() == before);
}

BOOST_DATA_TEST_CASE(behind_what_they_are_linked_to_come_when_that_has_succeeded, both_ways,
                     by_kernel)
{
    messaging here(by_kernel), there(by_kernel);
    here.require(by_kernel);
    const auto [reader, writer] = test_support::pipe_descriptor_pair();
    auto messages = there.ring->messages();
    auto [reading, sending] = here.ring->submit_linked(
        here.ring->read(reader.get(), owned_buffer(1)), here.send(there, 1));
    here.ring->poll();
    there.ring->poll();
    BOOST_TEST(!messages.try_next());
    BOOST_REQUIRE(::write(writer.get(), "x", 1) == 1);
    const auto read_result = std::move(reading).wait().result();
    BOOST_TEST(read_result.value() == 1U);
    const auto sent = std::move(sending).wait().result();
    BOOST_TEST(sent.value() == 0);
    BOOST_TEST(messages.next().wait().value() == 1U);

    auto [failing, dropped] =
        here.ring->submit_linked(here.ring->read(-1, owned_buffer(1)), here.send(there, 2));
    const auto failing_result = std::move(failing).wait().result();
    BOOST_TEST(failing_result.code().value() == EBADF);
    const auto dropped_result = std::move(dropped).wait().result();
    BOOST_TEST(dropped_result.code().value() == ECANCELED);
    here.deliver(there, 3);
    BOOST_TEST(messages.next().wait().value() == 3U);
}

BOOST_DATA_TEST_CASE(cancelled_in_a_chain_do_not_come, both_ways, by_kernel)
{
    messaging here(by_kernel), there(by_kernel);
    here.require(by_kernel);
    const auto [reader, writer] = test_support::pipe_descriptor_pair();
    auto messages = there.ring->messages();
    {
        auto [reading, sending] = here.ring->submit_linked(
            here.ring->read(reader.get(), owned_buffer(1)), here.send(there, 1));
        here.ring->flush();
    }
    BOOST_TEST(here.ring->shutdown(20s));
    here.deliver(there, 2);
    BOOST_TEST(messages.next().wait().value() == 2U);
}

BOOST_DATA_TEST_CASE(have_one_stream_at_a_time_and_are_not_lost_between_two, both_ways, by_kernel)
{
    messaging here(by_kernel), there(by_kernel);
    here.require(by_kernel);
    {
        auto first = there.ring->messages();
        BOOST_CHECK_THROW(static_cast<void>(there.ring->messages()), std::logic_error);
        here.deliver(there, 1);
        here.deliver(there, 2);
        BOOST_TEST(first.next().wait().value() == 1U);
    }
    here.deliver(there, 3);
    auto second = there.ring->messages();
    BOOST_TEST(second.next().wait().value() == 2U);
    BOOST_TEST(second.next().wait().value() == 3U);
    // The waiting one is woken also while the one before comes to its end.
    bool called = false;
    second.next().then([&](io_result<std::uint64_t> value) { called = value.value() == 4; });
    here.deliver(there, 4);
    there.ring->run();
    BOOST_TEST(called);
    second.cancel();
    BOOST_TEST(second.next().wait().code().value() == ECANCELED);
}

BOOST_AUTO_TEST_CASE(by_hand_are_waited_for_where_a_poll_completes_once)
{
    messaging here(false), there(false, 64, true);
    auto messages = there.ring->messages();
    for (std::uint64_t i = 0; i < 100; ++i)
        here.deliver(there, i);
    for (int i = 0; i < 50; ++i)
        there.ring->poll();
    const unsigned polls = there.record->count(opcode::poll_add);
    for (int i = 0; i < 50; ++i) // It does not tell again what nobody has taken.
        there.ring->poll();
    BOOST_TEST(there.record->count(opcode::poll_add) == polls);
    for (std::uint64_t i = 0; i < 100; ++i)
        BOOST_TEST(messages.next().wait().value() == i);
    here.deliver(there, 100);
    BOOST_TEST(messages.next().wait().value() == 100U);
}

BOOST_DATA_TEST_CASE(do_not_hinder_a_shutdown, both_ways, by_kernel)
{
    messaging here(by_kernel), there(by_kernel);
    here.require(by_kernel);
    auto messages = there.ring->messages();
    here.deliver(there, 1);
    BOOST_TEST(there.ring->shutdown(20s));
    BOOST_TEST(messages.next().wait().value() == 1U);
    BOOST_TEST(messages.next().wait().code().value() == ECANCELED);
}

BOOST_AUTO_TEST_CASE(come_from_and_to_rings_on_other_backends)
{
    messaging here(true);
    const auto kernel = std::make_shared<backend::simulation>(backend::simulation_plan());
    options settings;
    settings.submission_entries = 16;
    settings.completion_entries = 32;
    io_ring simulated(std::make_unique<backend::simulated_backend>(kernel, settings));
    auto to_simulated = simulated.messages();
    auto from_simulated = here.ring->messages();
    auto there = here.ring->message_ring(simulated.address(), 1).submit();
    auto back = simulated.message_ring(here.ring->address(), 2).submit();
    const auto there_result = std::move(there).wait().result();
    BOOST_TEST(there_result.value() == 0);
    const auto back_result = std::move(back).wait().result();
    BOOST_TEST(back_result.value() == 0);
    BOOST_TEST(to_simulated.next().wait().value() == 1U);
    BOOST_TEST(from_simulated.next().wait().value() == 2U);
}

/// Rings come and go while others send to them.
BOOST_DATA_TEST_CASE(to_rings_that_go_away_meanwhile_touch_nothing_of_theirs, both_ways, by_kernel)
{
    messaging(by_kernel).require(by_kernel);
    std::mutex mutex;
    std::optional<ring_address> address;
    std::atomic<bool> ended = false;
    std::atomic<unsigned> delivered = 0, refused = 0, other = 0;
    std::vector<std::thread> senders;
    for (int i = 0; i < 2; ++i)
        senders.emplace_back([&] {
            messaging here(by_kernel);
            while (!ended) {
                std::optional<ring_address> to;
                {
                    const std::lock_guard held(mutex);
                    to = address;
                }
                if (!to)
                    continue;
                const auto result = here.ring->message_ring(*to, 1).submit().wait().result();
                ++(result ? delivered : result.code().value() == EPIPE ? refused : other);
            }
        });
    for (int rings = 0; rings < 200 || delivered == 0 || refused == 0; ++rings) {
        messaging there(by_kernel, 16);
        auto messages = there.ring->messages();
        {
            const std::lock_guard held(mutex);
            address = there.ring->address();
        }
        BOOST_TEST(messages.next().wait().value() == 1U);
        BOOST_TEST(there.ring->shutdown(20s));
    }
    ended = true;
    for (std::thread& t : senders)
        t.join();
    BOOST_TEST(other == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
