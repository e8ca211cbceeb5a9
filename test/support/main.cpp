// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Boost.Test itself, and the main function of every test program.

#define BOOST_TEST_ALTERNATIVE_INIT_API
#define BOOST_TEST_NO_MAIN
#include <boost/test/included/unit_test.hpp>

#include "support/needs_io_uring.hpp"
#include "support/outcome_counter.hpp"

#include <cstdlib>
#include <cstring>
#include <iostream>

namespace {

bool initialise()
{
    boost::unit_test::framework::register_observer(test_support::outcomes());
    test_support::skip_contexts_without_io_uring();
    return true;
}

} // namespace

int main(int argc, char* argv[])
{
    // What a hanging program has printed must be there when it is killed.
    std::cout << std::unitbuf;

    // Left alone, a fatal signal gives a core dump and the sanitizers' report; Boost.Test would
    // go on with the next test case in a broken process.
    setenv("BOOST_TEST_CATCH_SYSTEM_ERRORS", "no", 0);

    const int result = boost::unit_test::unit_test_main(&initialise, argc, argv);

    for (int i = 1; i < argc; ++i)
        if (std::strncmp(argv[i], "--list_", std::strlen("--list_")) == 0)
            return result;

    const test_support::outcome_counter& outcomes = test_support::outcomes();
    outcomes.print_totals();
    if (result != 0)
        return result;
    return outcomes.any_failed() || outcomes.nothing_ran() ? EXIT_FAILURE : EXIT_SUCCESS;
}
