// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"

#include "simulation/support/program_seeds.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

// The random programs of test/simulation/programs.cpp on the kernel that runs
// here. What it does when is not in a seed: a failing one may pass next time.

BOOST_AUTO_TEST_SUITE(random_programs, *kernel::needs_io_uring)

BOOST_AUTO_TEST_CASE(every_buffer_is_in_one_place_and_no_byte_is_lost)
{
    programs::run_programs(false, 100'000);
}

BOOST_AUTO_TEST_SUITE_END()
