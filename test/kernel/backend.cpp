// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"

#include <support/blocking_peer.hpp>
#include <support/skip.hpp>
#include <support/watchdog.hpp>

#include <safer_ring/backend/backend.hpp>

#include <boost/test/unit_test.hpp>

#include <future>
#include <poll.h>
#include <unistd.h>

// The seam below the ring layer, as a kernel and the waits that stand in for
// its own keep to it.

namespace kernel {

BOOST_AUTO_TEST_SUITE(backend_of_the_kernel, *needs_io_uring)

/// What is left in the queue might be what the wait would be for.
BOOST_AUTO_TEST_CASE(who_could_not_submit_all_does_not_wait)
{
    using namespace safer_ring::backend;
    const auto ends = test_support::local_descriptor_pair();
    const auto ring = make_io_uring({}, false);
    submission_entry* const entry = ring->next_submission();
    *entry = {};
    entry->op = opcode::poll_add;
    entry->fd = ends.first.get();
    entry->op_flags = POLLIN;
    ring->publish();
    auto taken = std::async(std::launch::async, [&] { return ring->enter(2, 1, nullptr); });
    const bool is_back = taken.wait_for(test_support::watchdog_time) == std::future_status::ready;
    BOOST_TEST(is_back);
    if (!is_back)
        BOOST_TEST(::write(ends.second.get(), "x", 1) == 1);
    BOOST_TEST(taken.get() == 1);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace kernel
