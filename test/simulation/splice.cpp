// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/injected_failures.hpp"
#include "support/simulated_context.hpp"

#include "support/blocking_peer.hpp"

#include <safer_ring/asio/splice.hpp>

#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/writable_pipe.hpp>
#include <boost/test/unit_test.hpp>

#include <new>

using namespace simulated;

BOOST_AUTO_TEST_SUITE(splices)

BOOST_AUTO_TEST_CASE(one_that_cannot_begin_for_want_of_memory_is_no_work)
{
    bool happened = true;
    for (unsigned fail_at = 1; happened; ++fail_at) {
        simulated_context ring;
        auto [from_end, writer] = test_support::pipe_descriptor_pair();
        auto [reader, to_end] = test_support::pipe_descriptor_pair();
        net::basic_readable_pipe<executor> from(*ring.context, from_end.release());
        net::basic_writable_pipe<executor> to(*ring.context, to_end.release());
        bool threw = false;
        {
            const injected::allocation_failure failure(fail_at);
            try {
                safer_ring::async_splice(from, to, 16, [](error_code, std::size_t) {});
            } catch (const std::bad_alloc&) {
                threw = true;
            }
            injected::allocation_failure::disarm();
            happened = failure.happened();
        }
        ring.poll();
        BOOST_TEST(ring.context->stopped() == threw);
    }
}

BOOST_AUTO_TEST_SUITE_END()
