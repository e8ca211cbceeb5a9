// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/backend/simulated.hpp>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

// Requests that are linked, and those with a time.

BOOST_AUTO_TEST_SUITE(simulated_chains)

namespace {

using namespace safer_ring;
using backend::opcode;
using results = std::vector<std::pair<std::uint64_t, int>>;

constexpr backend::kernel_time at_once{0, 0};
constexpr backend::kernel_time an_hour{3600, 0};

struct chained {
    explicit chained(const backend::simulation_plan& plan = {})
        : kernel(std::make_shared<backend::simulation>(plan)), seam(kernel, sizes())
    {
        BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
        ::fcntl(ends[0], F_SETFL, 0); // A request that waits, in the kernel.
    }
    ~chained()
    {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    static options sizes()
    {
        options settings;
        settings.submission_entries = 16;
        settings.completion_entries = 32;
        return settings;
    }
    backend::submission_entry& add(opcode op, std::uint64_t user_data, std::uint8_t flags = 0)
    {
        backend::submission_entry* entry = seam.next_submission();
        *entry = {};
        entry->op = op;
        entry->fd = ends[0];
        entry->user_data = user_data;
        entry->flags = flags;
        if (op == opcode::read) {
            entry->address = reinterpret_cast<std::uint64_t>(memory);
            entry->offset = backend::file_position;
            entry->length = sizeof memory;
        }
        seam.publish();
        return *entry;
    }
    void add_timer(opcode op, std::uint64_t user_data, const backend::kernel_time& time,
                   std::uint8_t flags = 0, std::uint32_t op_flags = 0)
    {
        auto& entry = add(op, user_data, flags);
        entry.address = reinterpret_cast<std::uint64_t>(&time);
        entry.op_flags = op_flags;
    }
    int flush()
    {
        constexpr auto no_wait = backend::backend::timeout::zero();
        return seam.enter(seam.unsubmitted(), 0, &no_wait);
    }
    results reap()
    {
        results found;
        seam.for_each_completion(
            [&](const backend::completion_entry& c) { found.emplace_back(c.user_data, c.result); });
        return found;
    }
    void write(const char* text, std::size_t size_bytes) const
    {
        BOOST_REQUIRE(::write(ends[1], text, size_bytes) == static_cast<ssize_t>(size_bytes));
    }

    int ends[2]{};
    char memory[4]{};
    std::shared_ptr<backend::simulation> kernel;
    backend::simulated_backend seam;
};

} // namespace

BOOST_FIXTURE_TEST_CASE(what_is_linked_begins_when_the_one_before_has_succeeded_in_full, chained)
{
    add(opcode::read, 1, backend::entry_link);
    add(opcode::nop, 2);
    add(opcode::nop, 3);
    BOOST_TEST(flush() == 3);
    BOOST_TEST((reap() == results{{3, 0}}));
    write("full", 4);
    flush();
    BOOST_TEST((reap() == results{{1, 4}, {2, 0}}));
}

BOOST_FIXTURE_TEST_CASE(failure_and_short_count_end_a_chain_but_not_a_hard_link, chained)
{
    write("abc", 3);
    add(opcode::read, 1, backend::entry_link);
    add(opcode::nop, 2, backend::entry_link);
    add(opcode::nop, 3);
    add(opcode::read, 4, backend::entry_hard_link).fd = -1;
    add(opcode::nop, 5);
    flush();
    BOOST_TEST((reap() == results{{1, 3}, {2, -ECANCELED}, {3, -ECANCELED}, {4, -EBADF}, {5, 0}}));
}

BOOST_FIXTURE_TEST_CASE(cancellation_ends_a_chain_and_does_not_find_what_has_not_begun, chained)
{
    add(opcode::read, 1, backend::entry_link);
    add(opcode::nop, 2);
    add(opcode::async_cancel, 3).address = 2;
    flush();
    BOOST_TEST((reap() == results{{3, -ENOENT}}));
    add(opcode::async_cancel, 4).address = 1;
    flush();
    BOOST_TEST((reap() == results{{1, -ECANCELED}, {2, -ECANCELED}, {4, 0}}));
    BOOST_TEST(kernel->in_flight_count() == 0U);
}

BOOST_FIXTURE_TEST_CASE(time_limit_cancels_and_a_result_ends_the_limit, chained)
{
    add(opcode::read, 1, backend::entry_link);
    add_timer(opcode::link_timeout, 2, at_once, backend::entry_link);
    add(opcode::nop, 3);
    flush();
    flush();
    BOOST_TEST((reap() == results{{2, -ETIME}, {1, -ECANCELED}, {3, -ECANCELED}}));
    write("full", 4);
    add(opcode::read, 4, backend::entry_link);
    add_timer(opcode::link_timeout, 5, an_hour, backend::entry_link);
    add(opcode::nop, 6);
    flush();
    BOOST_TEST((reap() == results{{4, 4}, {5, -ECANCELED}, {6, 0}}));
    add_timer(opcode::link_timeout, 7, an_hour);
    flush();
    BOOST_TEST((reap() == results{{7, -EINVAL}}));
}

BOOST_FIXTURE_TEST_CASE(timeout_ends_a_chain_unless_it_is_to_be_a_success, chained)
{
    add_timer(opcode::timeout, 1, at_once, backend::entry_link);
    add(opcode::nop, 2);
    add_timer(opcode::timeout, 3, at_once, backend::entry_link, backend::timeout_is_success);
    add(opcode::nop, 4);
    add_timer(opcode::timeout, 5, an_hour);
    flush();
    seam.enter(0, 3, nullptr);
    BOOST_TEST((reap() == results{{1, -ETIME}, {2, -ECANCELED}, {3, -ETIME}, {4, 0}}));
    add(opcode::async_cancel, 6).address = 5;
    flush();
    BOOST_TEST((reap() == results{{5, -ECANCELED}, {6, 0}}));
}

BOOST_AUTO_TEST_CASE(partial_submission_takes_whole_chains)
{
    backend::simulation_plan plan;
    plan.partial_submission = 1;
    chained with(plan);
    for (std::uint64_t round = 0; round < 50; ++round) {
        for (std::uint64_t i = 0; i < 4; ++i)
            with.add(opcode::nop, i, i % 2 == 0 ? backend::entry_link : std::uint8_t{0});
        while (with.seam.unsubmitted() != 0)
            BOOST_TEST(with.flush() % 2 == 0);
        with.reap();
    }
}

BOOST_AUTO_TEST_SUITE_END()
