// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <boost/test/tree/observer.hpp>
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <iosfwd>
#include <map>
#include <string>

namespace test_support {

/// Counts test cases as passed, failed and skipped, and prints every failed and every skipped one.
/// Boost.Test's own report knows of a skip only through preconditions, and not of its reason.
class outcome_counter : public boost::unit_test::test_observer {
public:
    explicit outcome_counter(std::ostream& out) : out_(out) {}

    void note_skip(boost::unit_test::test_unit_id id, std::string reason);

    /// The last line of a program's output, from which the test driver adds up its totals.
    void print_totals() const;

    bool any_failed() const { return failed_ != 0; }
    bool nothing_ran() const { return passed_ + failed_ + skipped_ == 0; }

    void test_unit_start(const boost::unit_test::test_unit& unit) override;
    void test_unit_finish(const boost::unit_test::test_unit& unit, unsigned long) override;
    void test_unit_skipped(const boost::unit_test::test_unit& unit,
                           boost::unit_test::const_string reason) override;

private:
    void count_skipped(const boost::unit_test::test_unit& unit, const std::string& reason);

    std::ostream& out_;

    // The reasons given so far for test units that have not finished.
    std::map<boost::unit_test::test_unit_id, std::string> skip_reasons_;

    std::size_t passed_ = 0;
    std::size_t failed_ = 0;
    std::size_t skipped_ = 0;
};

/// The counter of this program.
outcome_counter& outcomes();

} // namespace test_support
