// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/watchdog.hpp"

#include <boost/test/unit_test.hpp>

using test_support::test_case_watchdog;

// Every test case of every program is watched, since many of them call run(), or wait(), without a
// limit of time.
BOOST_TEST_GLOBAL_FIXTURE(test_case_watchdog);
