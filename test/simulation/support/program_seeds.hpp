// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "random_program.hpp"

#include "support/watchdog.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <string_view>

namespace programs {

inline std::size_t open_descriptors()
{
    constexpr int most = 1024;
    std::size_t count = 0;
    for (int fd = 0; fd < most; ++fd)
        count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return count;
}

inline random_program::totals_type run_program(std::uint64_t seed, bool simulated,
                                               std::size_t steps)
{
    random_program program(seed, simulated);
    program.run(steps);
    for (const std::string& problem : program.problems())
        BOOST_ERROR(problem << "\n" << program.describe());
    BOOST_REQUIRE(program.problems().empty());
    return program.totals();
}

/// Runs programs of consecutive seeds until so many steps are made, and with
/// SAFER_RING_SOAK=full for `test_support::soak_time`.
/// SAFER_RING_SEED runs the one of that seed, and nothing is to be expected of
/// its totals.
inline std::optional<random_program::totals_type> run_programs(bool simulated, std::uint64_t steps)
{
    constexpr std::size_t steps_of_each = 4000;
    const char* const one = std::getenv("SAFER_RING_SEED");
    const char* const soak = std::getenv("SAFER_RING_SOAK");
    const bool is_soak = soak != nullptr && std::string_view(soak) == "full";
    const auto soak_end = std::chrono::steady_clock::now() + test_support::soak_time;
    random_program::totals_type all;
    const auto goes_on = [&](std::uint64_t next) {
        if (one != nullptr)
            return next == 1;
        return all.steps < steps || (is_soak && std::chrono::steady_clock::now() < soak_end);
    };
    for (std::uint64_t next = 1; goes_on(next); ++next) {
        const std::size_t descriptors = open_descriptors();
        const random_program::totals_type t = run_program(
            one != nullptr ? std::strtoull(one, nullptr, 10) : next, simulated, steps_of_each);
        BOOST_REQUIRE_MESSAGE(open_descriptors() == descriptors,
                              "descriptors are lost, or closed that were not the program's: "
                              "SAFER_RING_SEED="
                                  << next << " replays it");
        all.steps += t.steps;
        all.submitted += t.submitted;
        all.over += t.over;
        all.cancelled += t.cancelled;
        all.late_results += t.late_results;
        all.given_up += t.given_up;
        all.callbacks += t.callbacks;
        all.coroutines += t.coroutines;
        all.dropped_callbacks += t.dropped_callbacks;
        all.chains += t.chains;
        all.timed_out += t.timed_out;
        all.drained += t.drained;
        all.bytes += t.bytes;
        all.items += t.items;
        all.descriptors += t.descriptors;
        all.closed += t.closed;
        all.connections += t.connections;
        all.registrations += t.registrations;
        all.messages += t.messages;
        all.splices += t.splices;
        all.zero_copy_sends += t.zero_copy_sends;
        all.in_parts += t.in_parts;
    }
    BOOST_TEST_MESSAGE(
        all.steps << " steps, " << all.submitted << " operations, of which " << all.cancelled
                  << " cancelled, " << all.late_results << " cancelled with a result, "
                  << all.given_up << " given up, " << all.timed_out << " timed out, " << all.drained
                  << " drained, " << all.chains << " chains, " << all.callbacks << " callbacks, "
                  << all.dropped_callbacks << " callbacks dropped, " << all.coroutines
                  << " coroutines, " << all.bytes << " bytes, " << all.items
                  << " items of streams, " << all.descriptors << " descriptors, " << all.closed
                  << " closed, " << all.connections << " connections, " << all.registrations
                  << " changes of registrations, " << all.messages << " messages, " << all.splices
                  << " splices, " << all.zero_copy_sends << " zero-copy sends, " << all.in_parts
                  << " vectored operations and messages");
    if (one != nullptr)
        return std::nullopt;
    BOOST_TEST(all.submitted > all.steps / 10);
    BOOST_TEST(all.bytes > all.steps);
    for (const std::uint64_t count :
         {all.cancelled, all.given_up, all.callbacks, all.coroutines, all.chains, all.drained,
          all.items, all.descriptors, all.closed, all.connections, all.registrations, all.messages,
          all.splices, all.in_parts})
        BOOST_TEST(count > all.steps / 10000);
    if (simulated)
        BOOST_TEST(all.zero_copy_sends > all.steps / 10000);
    return all;
}

} // namespace programs
