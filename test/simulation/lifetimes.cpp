// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/ended_operation.hpp"

#include <boost/test/unit_test.hpp>

// Every operation, ended in every way, with its completion coming at every
// time: the caller's memory belongs to its next owner as soon as the call
// that ended the operation has returned.
using namespace simulated;

namespace {

void end_in_every_way(operation what)
{
    for (const ending how : {ending::destruction, ending::close, ending::cancel, ending::signal,
                             ending::context, ending::context_elsewhere})
        for (const timing when : {timing::prompt, timing::early, timing::late, timing::never})
            BOOST_TEST_CONTEXT("ended by " << how << ", completion " << when)
            {
                const std::size_t descriptors = open_descriptors();
                {
                    ended_operation operation(what, how, when);
                    operation.run();
                }
                BOOST_TEST(open_descriptors() == descriptors);
            }
}

} // namespace

BOOST_AUTO_TEST_SUITE(lifetimes)

BOOST_AUTO_TEST_CASE(of_a_pending_read)
{
    end_in_every_way(operation::read);
}

BOOST_AUTO_TEST_CASE(of_a_pending_accept)
{
    end_in_every_way(operation::accept);
}

BOOST_AUTO_TEST_CASE(of_a_connect_in_progress)
{
    end_in_every_way(operation::connect);
}

BOOST_AUTO_TEST_CASE(of_a_pending_write_from_a_copy)
{
    end_in_every_way(operation::small_write);
}

BOOST_AUTO_TEST_CASE(of_a_pending_write_from_the_callers_memory)
{
    end_in_every_way(operation::large_write);
}

BOOST_AUTO_TEST_SUITE_END()
