// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <boost/test/unit_test.hpp>

#include <functional>
#include <string>
#include <utility>

namespace test_support {

/// Ends the running test case and counts it as skipped instead of passed, unless a check of it has
/// already failed. Callable from helpers and fixtures: it throws what Boost.Test takes for a
/// deliberate end of the test case, so the call has to be made on the thread of the test case,
/// and not below a frame that swallows every exception.
[[noreturn]] void skip(const std::string& reason);

/// Notes why the test unit `id` is about to be skipped by a precondition.
void note_skip_reason(boost::unit_test::test_unit_id id, std::string reason);

/// What decides before a test unit is run, as unless() below has it.
inline auto runs_unless(std::function<std::string()> why_not)
{
    return [why_not = std::move(why_not)](boost::unit_test::test_unit_id id) {
        std::string reason = why_not();
        const bool run = reason.empty();
        if (!run)
            note_skip_reason(id, std::move(reason));
        return boost::test_tools::assertion_result(run);
    };
}

/// Decorator that skips a test case or a suite when `why_not` returns a reason, that is anything
/// but the empty string:
///
///     BOOST_AUTO_TEST_CASE(name, *test_support::unless(missing_feature))
inline boost::unit_test::decorator::precondition unless(std::function<std::string()> why_not)
{
    return boost::unit_test::decorator::precondition(runs_unless(std::move(why_not)));
}

} // namespace test_support

/// Skips the rest of the running test case, with the reason printed.
#define SAFER_RING_SKIP(reason) ::test_support::skip(reason)
