// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#define BOOST_TEST_MODULE unit
#include <boost/test/unit_test.hpp>

#include "support/watchdog.hpp"

using test_support::test_case_watchdog;
BOOST_TEST_GLOBAL_FIXTURE(test_case_watchdog);
