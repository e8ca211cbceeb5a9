// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/needs_io_uring.hpp"

#include <safer_ring/backend/features.hpp>

#include <boost/test/framework.hpp>
#include <boost/test/tree/test_unit.hpp>
#include <boost/test/tree/traverse.hpp>
#include <boost/test/tree/visitor.hpp>

#include <string_view>

namespace test_support {

namespace ut = boost::unit_test;

namespace {

bool is_for_a_context_that_needs_io_uring([[maybe_unused]] std::string_view test_case)
{
#if defined(BOOST_ASIO_HAS_IO_URING)
    return true; // Asio's context has a ring as well then.
#else
    for (const std::string_view context : {"safer_ring", "drop_in_context", "host_context"})
        if (test_case.find(context) != std::string_view::npos)
            return true;
    return false;
#endif
}

class adds_precondition : public ut::test_tree_visitor {
    void visit(const ut::test_case& test_case) override
    {
        if (is_for_a_context_that_needs_io_uring(test_case.p_name.get()))
            ut::framework::get<ut::test_case>(test_case.p_id)
                .add_precondition(runs_unless(&no_io_uring));
    }
};

} // namespace

std::string no_io_uring()
{
    static const safer_ring::features found = safer_ring::features::probe();
    return found.io_uring ? "" : found.notes.empty() ? "no io_uring" : found.notes.front();
}

void skip_contexts_without_io_uring()
{
    adds_precondition visitor;
    ut::traverse_test_tree(ut::framework::master_test_suite(), visitor, true);
}

} // namespace test_support
