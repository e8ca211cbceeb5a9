// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/program_seeds.hpp"
#include "support/sanitizer.hpp"

#include <boost/test/unit_test.hpp>

// Seeded random programs on the ring without Asio, whose kernel is simulated.
namespace {

// The first of them again under a sanitizer, where each takes five times as long.
#if defined(SAFER_RING_TEST_ADDRESS_SANITIZER) || defined(SAFER_RING_TEST_THREAD_SANITIZER)
constexpr std::uint64_t steps = 400'000;
#else
constexpr std::uint64_t steps = 1'000'000;
#endif

} // namespace

BOOST_AUTO_TEST_SUITE(random_programs)

BOOST_AUTO_TEST_CASE(every_buffer_is_in_one_place_and_no_byte_is_lost_whatever_the_kernel_does)
{
    const auto totals = programs::run_programs(true, steps);
    if (!totals)
        return;
    BOOST_TEST(totals->late_results > 100U);
    BOOST_TEST(totals->timed_out > 100U);
    BOOST_TEST(totals->dropped_callbacks > 10U);
}

BOOST_AUTO_TEST_SUITE_END()
