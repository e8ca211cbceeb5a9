// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/outcome_counter.hpp"

#include "support/skip.hpp"

#include <boost/test/execution_monitor.hpp>
#include <boost/test/results_collector.hpp>
#include <boost/test/tree/traverse.hpp>
#include <boost/test/tree/visitor.hpp>

#include <iostream>
#include <utility>

namespace test_support {

namespace ut = boost::unit_test;

namespace {

// Calls a function for every test case in a tree, whether enabled or not.
template <class Function>
class case_visitor : public ut::test_tree_visitor {
public:
    explicit case_visitor(Function function) : function_(std::move(function)) {}

    void visit(const ut::test_case& test_case) override { function_(test_case); }

private:
    Function function_;
};

std::string single_line(std::string text)
{
    for (char& c : text)
        if (c == '\n' || c == '\r')
            c = ' ';
    return text;
}

// A unit that --run_test left out is disabled just as one that its author disabled. Only the
// latter was not asked for by whoever runs the tests, and has to show.
bool left_out_by_filter(const ut::test_unit& unit)
{
    if (unit.is_enabled())
        return false;
    for (const ut::test_unit* u = &unit;;) {
        if (u->p_default_status == ut::test_unit::RS_DISABLED)
            return false;
        if (u->p_parent_id == ut::INV_TEST_UNIT_ID)
            return true;
        u = &ut::framework::get(u->p_parent_id, ut::TUT_ANY);
    }
}

} // namespace

void outcome_counter::note_skip(ut::test_unit_id id, std::string reason)
{
    skip_reasons_[id] = single_line(std::move(reason));
}

void outcome_counter::print_totals() const
{
    out_ << passed_ << " passed, " << failed_ << " failed, " << skipped_ << " skipped" << std::endl;
}

void outcome_counter::test_unit_start(const ut::test_unit& unit)
{
    skip_reasons_.erase(unit.p_id);
}

void outcome_counter::test_unit_finish(const ut::test_unit& unit, unsigned long)
{
    if (unit.p_type != ut::TUT_CASE)
        return;
    const auto reason = skip_reasons_.find(unit.p_id);
    if (!ut::results_collector.results(unit.p_id).passed()) {
        ++failed_;
        out_ << "FAILED: " << unit.full_name() << std::endl;
    } else if (reason != skip_reasons_.end())
        count_skipped(unit, reason->second);
    else
        ++passed_;
    skip_reasons_.erase(unit.p_id);
}

void outcome_counter::test_unit_skipped(const ut::test_unit& unit, ut::const_string reason)
{
    if (left_out_by_filter(unit))
        return;
    std::string text(reason.begin(), reason.end());
    const auto noted = skip_reasons_.find(unit.p_id);
    if (noted != skip_reasons_.end()) {
        text = noted->second;
        skip_reasons_.erase(noted);
    }
    // A skipped suite is reported once, not for each of its test cases.
    auto count = [&](const ut::test_case& test_case) { count_skipped(test_case, text); };
    case_visitor visitor(count);
    ut::traverse_test_tree(unit.p_id, visitor, true);
}

void outcome_counter::count_skipped(const ut::test_unit& unit, const std::string& reason)
{
    ++skipped_;
    out_ << "SKIPPED: " << unit.full_name() << ": " << reason << std::endl;
}

outcome_counter& outcomes()
{
    static outcome_counter counter(std::cout);
    return counter;
}

void skip(const std::string& reason)
{
    outcomes().note_skip(ut::framework::current_test_case_id(), reason);
    throw boost::execution_aborted();
}

void note_skip_reason(ut::test_unit_id id, std::string reason)
{
    outcomes().note_skip(id, std::move(reason));
}

} // namespace test_support
