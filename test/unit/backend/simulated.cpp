// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "unit/ring/simulated_loop.hpp"

#include "support/watchdog.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <thread>

using namespace unit;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(simulated_backend)

namespace {

/// The seam as the ring layer uses it, without the ring layer.
struct bare_backend {
    explicit bare_backend(const simulation_plan& plan = {}, unsigned completions = 16)
        : kernel(std::make_shared<simulation>(plan)), seam(make_seam(kernel, completions))
    {
    }

    static std::unique_ptr<backend::simulated_backend>
    make_seam(const std::shared_ptr<simulation>& kernel, unsigned completions)
    {
        options settings;
        settings.submission_entries = 4;
        settings.completion_entries = completions;
        return std::make_unique<backend::simulated_backend>(kernel, settings);
    }

    backend::submission_entry& add(opcode op, std::uint64_t user_data, int fd = -1)
    {
        backend::submission_entry* entry = seam->next_submission();
        BOOST_REQUIRE(entry != nullptr);
        *entry = {};
        entry->op = op;
        entry->fd = fd;
        entry->user_data = user_data;
        seam->publish();
        return *entry;
    }

    backend::submission_entry& add_receive(std::uint64_t user_data, int fd, std::string& buffer)
    {
        auto& entry = add(opcode::recv, user_data, fd);
        entry.address = reinterpret_cast<std::uint64_t>(buffer.data());
        entry.length = static_cast<std::uint32_t>(buffer.size());
        return entry;
    }

    int flush()
    {
        constexpr auto no_wait = backend::backend::timeout::zero();
        return seam->enter(seam->unsubmitted(), 0, &no_wait);
    }

    std::vector<std::pair<std::uint64_t, int>> reap()
    {
        std::vector<std::pair<std::uint64_t, int>> found;
        seam->for_each_completion(
            [&](const backend::completion_entry& c) { found.emplace_back(c.user_data, c.result); });
        return found;
    }

    std::shared_ptr<simulation> kernel;
    std::unique_ptr<backend::simulated_backend> seam;
};

using results = std::vector<std::pair<std::uint64_t, int>>;

} // namespace

BOOST_FIXTURE_TEST_CASE(the_submission_queue_is_bounded_and_first_in_first_out, bare_backend)
{
    for (std::uint64_t i = 1; i <= 4; ++i)
        add(opcode::nop, i);
    BOOST_TEST(seam->next_submission() == nullptr);
    BOOST_TEST(seam->unsubmitted() == 4U);
    constexpr auto no_wait = backend::backend::timeout::zero();
    BOOST_TEST(seam->enter(1, 0, &no_wait) == 1);
    BOOST_TEST((reap() == results{{1, 0}}));
    BOOST_TEST(seam->next_submission() != nullptr);
    BOOST_TEST(flush() == 3);
    BOOST_TEST((reap() == results{{2, 0}, {3, 0}, {4, 0}}));
    BOOST_TEST(!seam->needs_enter());
}

BOOST_AUTO_TEST_CASE(completions_that_overflow_are_kept_and_given_in_order)
{
    bare_backend b({}, 2);
    for (std::uint64_t i = 1; i <= 4; ++i)
        b.add(opcode::nop, i);
    BOOST_TEST(b.flush() == 4);
    BOOST_TEST(b.seam->needs_enter());
    BOOST_TEST((b.reap() == results{{1, 0}, {2, 0}}));
    BOOST_TEST(!b.seam->has_completions());
    b.flush();
    BOOST_TEST((b.reap() == results{{3, 0}, {4, 0}}));
    b.flush();
    BOOST_TEST(!b.seam->needs_enter());
}

BOOST_AUTO_TEST_CASE(an_old_kernel_takes_nothing_while_completions_overflow)
{
    simulation_plan plan;
    plan.refuses_when_overflowing = true;
    bare_backend b(plan, 2);
    for (std::uint64_t i = 1; i <= 3; ++i)
        b.add(opcode::nop, i);
    BOOST_TEST(b.flush() == 3);
    b.add(opcode::nop, 4);
    BOOST_TEST(b.flush() == -EBUSY);
    BOOST_TEST(b.reap().size() == 2U);
    BOOST_TEST(b.flush() == 1);
    BOOST_TEST((b.reap() == results{{3, 0}, {4, 0}}));
}

BOOST_FIXTURE_TEST_CASE(a_wait_ends_by_readiness_or_by_its_time, bare_backend)
{
    auto [socket, other] = test_support::local_descriptor_pair();
    std::string buffer(8, '.');
    add_receive(1, socket.get(), buffer);
    BOOST_TEST(flush() == 1);
    constexpr backend::backend::timeout moment = 1ms;
    BOOST_TEST(seam->enter(0, 1, &moment) == -ETIME);
    ssize_t sent = 0;
    std::thread writer([&, fd = other.get()] { sent = ::send(fd, "abc", 3, 0); });
    BOOST_TEST(seam->enter(0, 1, nullptr) == 0);
    writer.join();
    BOOST_TEST(sent == 3);
    BOOST_TEST((reap() == results{{1, 3}}));
    BOOST_TEST(buffer == "abc.....");
}

BOOST_FIXTURE_TEST_CASE(an_enter_of_another_thread_ends_the_wait, bare_backend)
{
    auto [socket, other] = test_support::local_descriptor_pair();
    std::string buffer(8, '.');
    add_receive(1, socket.get(), buffer);
    int entered = 0;
    std::thread waiter([&] { entered = seam->enter(1, 1, nullptr); });
    while (kernel->in_flight_count() == 0)
        std::this_thread::yield();
    add(opcode::nop, 7);
    constexpr auto no_wait = backend::backend::timeout::zero();
    BOOST_TEST(seam->enter(1, 0, &no_wait) == 1);
    waiter.join();
    BOOST_TEST(entered == 1);
    BOOST_TEST((reap() == results{{7, 0}}));
}

BOOST_FIXTURE_TEST_CASE(a_cancellation_ends_its_request_and_says_so, bare_backend)
{
    auto [socket, other] = test_support::local_descriptor_pair();
    std::string buffer(8, '.');
    add_receive(1, socket.get(), buffer);
    add(opcode::async_cancel, 2).address = 1;
    add(opcode::async_cancel, 3).address = 1;
    flush();
    BOOST_TEST((reap() == results{{1, -ECANCELED}, {2, 0}, {3, -ENOENT}}));
    BOOST_TEST(kernel->in_flight_count() == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_held_request_can_be_neither_executed_nor_cancelled, bare_backend)
{
    auto [socket, other] = test_support::local_descriptor_pair();
    std::string buffer(8, '.');
    kernel->hold_descriptor(socket.get());
    add_receive(1, socket.get(), buffer);
    BOOST_REQUIRE(::send(other.get(), "abc", 3, 0) == 3);
    add(opcode::async_cancel, 2).address = 1;
    flush();
    BOOST_TEST((reap() == results{{2, -EALREADY}}));
    const auto flying = kernel->in_flight();
    BOOST_REQUIRE(flying.size() == 1U);
    BOOST_TEST(flying[0].held);
    BOOST_TEST(flying[0].cancel_requested);
    BOOST_TEST(buffer == "........");
    const auto memory = kernel->referenced_memory();
    BOOST_REQUIRE(memory.size() == 1U);
    BOOST_TEST(memory[0].overlaps(buffer.data(), buffer.size()));
    kernel->release();
    BOOST_TEST((reap() == results{{1, 3}})); // Late: with data although it was cancelled.
    BOOST_TEST(buffer == "abc.....");
}

BOOST_FIXTURE_TEST_CASE(a_request_keeps_its_file_when_the_number_is_closed, bare_backend)
{
    auto [socket, other] = test_support::local_descriptor_pair();
    std::string buffer(8, '.');
    add_receive(1, socket.get(), buffer);
    flush();
    socket.reset();
    BOOST_REQUIRE(::send(other.get(), "abc", 3, MSG_NOSIGNAL) == 3);
    flush();
    BOOST_TEST((reap() == results{{1, 3}}));
    // Now the last reference is gone.
    BOOST_TEST(::send(other.get(), "abc", 3, MSG_NOSIGNAL) == -1);
}

BOOST_FIXTURE_TEST_CASE(a_bad_descriptor_is_a_result, bare_backend)
{
    std::string buffer(8, '.');
    add_receive(1, -1, buffer);
    BOOST_TEST(flush() == 1);
    BOOST_TEST((reap() == results{{1, -EBADF}}));
}

BOOST_FIXTURE_TEST_CASE(buffers_are_chosen_in_the_order_they_were_offered_in, bare_backend)
{
    auto [socket, other] = test_support::local_descriptor_pair();
    std::array<backend::provided_buffer, 2> ring_of_two{};
    std::array<std::string, 2> memory{std::string(4, '.'), std::string(4, '.')};
    BOOST_TEST(seam->register_buffer_ring(ring_of_two.data(), 2, 3) == 0);
    const auto receive = [&, fd = socket.get()](std::uint64_t user_data) {
        auto& entry = add(opcode::recv, user_data, fd);
        entry.flags = backend::entry_buffer_select;
        entry.buffer_group = 3;
        entry.length = 4;
    };
    BOOST_REQUIRE(::send(other.get(), "aaaabbbb", 8, 0) == 8);
    receive(1);
    flush();
    BOOST_TEST((reap() == results{{1, -ENOBUFS}}));
    for (std::uint16_t i = 0; i < 2; ++i) {
        ring_of_two[i].address = reinterpret_cast<std::uint64_t>(memory[i].data());
        ring_of_two[i].length = 4;
        ring_of_two[i].id = static_cast<std::uint16_t>(40 + i);
    }
    std::atomic_ref(ring_of_two[0].tail).store(2, std::memory_order_release);
    BOOST_TEST(kernel->buffers_on_offer() == 2U);
    receive(2);
    receive(3);
    flush();
    std::vector<std::uint32_t> flags;
    seam->for_each_completion(
        [&](const backend::completion_entry& c) { flags.push_back(c.flags); });
    BOOST_REQUIRE(flags.size() == 2U);
    BOOST_TEST((flags[0] >> backend::completion_buffer_shift) == 40U);
    BOOST_TEST((flags[0] & backend::completion_socket_nonempty) != 0U);
    BOOST_TEST((flags[1] >> backend::completion_buffer_shift) == 41U);
    BOOST_TEST((flags[1] & backend::completion_socket_nonempty) == 0U);
    BOOST_TEST(memory[0] == "aaaa");
    BOOST_TEST(memory[1] == "bbbb");
}

BOOST_FIXTURE_TEST_CASE(the_nth_call_fails_as_often_as_asked_for, bare_backend)
{
    kernel->fail_nth(simulation::call::enter, 2, EBUSY, 2);
    kernel->fail_nth(opcode::nop, 2, EINVAL);
    add(opcode::nop, 1);
    BOOST_TEST(flush() == 1);
    add(opcode::nop, 2);
    BOOST_TEST(flush() == -EBUSY);
    BOOST_TEST(!kernel->failures_spent());
    BOOST_TEST(flush() == -EBUSY);
    BOOST_TEST(flush() == 1);
    BOOST_TEST(kernel->failures_spent());
    BOOST_TEST((reap() == results{{1, 0}, {2, -EINVAL}}));
    BOOST_TEST(kernel->count(simulation::call::enter) == 4U);
    BOOST_TEST(kernel->count(opcode::nop) == 2U);
}

BOOST_FIXTURE_TEST_CASE(held_requests_outlive_the_backend, bare_backend)
{
    auto [socket, other] = test_support::local_descriptor_pair();
    std::string held_buffer(8, '.');
    std::string free_buffer(8, '.');
    kernel->hold(opcode::recv);
    add_receive(1, socket.get(), held_buffer);
    add(opcode::poll_add, 2, socket.get()).op_flags = POLLIN;
    flush();
    int ends[2];
    BOOST_REQUIRE(::pipe(ends) == 0);
    const test_support::unique_descriptor watch(ends[0]);
    BOOST_TEST(seam->close_when_drained(ends[1]) == 0);
    seam.reset();
    BOOST_TEST(kernel->closed());
    BOOST_TEST(kernel->in_flight_count() == 1U); // The poll request is gone.
    pollfd hung_up{watch.get(), POLLIN, 0};
    BOOST_TEST(::poll(&hung_up, 1, 0) == 0);
    BOOST_REQUIRE(::send(other.get(), "late", 4, 0) == 4);
    kernel->release();
    BOOST_TEST(held_buffer == "late....");
    BOOST_TEST(kernel->in_flight_count() == 0U);
    BOOST_TEST(::poll(&hung_up, 1, 0) == 1);
}

BOOST_AUTO_TEST_CASE(the_same_seed_makes_the_same_trouble)
{
    const auto trouble = [](std::uint64_t seed) {
        simulation_plan plan = simulation_plan::random(seed);
        bare_backend b(plan);
        auto [socket, other] = test_support::local_descriptor_pair();
        std::vector<int> seen;
        std::string buffer(64, '.');
        for (std::uint64_t i = 0; i < 200; ++i) {
            BOOST_REQUIRE(::send(other.get(), "0123456789abcdef", 16, 0) == 16);
            if (b.seam->unsubmitted() < 4)
                b.add_receive(i, socket.get(), buffer);
            seen.push_back(b.flush());
            for (const auto& [user_data, result] : b.reap())
                seen.push_back(result);
        }
        return std::pair(plan.describe(), seen);
    };
    BOOST_TEST((trouble(1) == trouble(1)));
    BOOST_TEST((trouble(2) == trouble(2)));
    BOOST_TEST((trouble(1).second != trouble(2).second));
}

BOOST_AUTO_TEST_SUITE_END()
