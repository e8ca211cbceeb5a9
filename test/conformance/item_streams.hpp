// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "contexts.hpp"

#include "support/watchdog.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>

// What the tests of receive_stream and accept_stream share.
namespace conformance {

/// Lets the context run, also without work, until that is so. A host gives its ring
/// turns only while that has work.
template <class Ctx, class Predicate>
void poll_until(Ctx& ctx, Predicate predicate)
{
    const auto guard = net::make_work_guard(ring_of(ctx));
    const auto deadline = std::chrono::steady_clock::now() + test_support::watchdog_time;
    while (!predicate()) {
        BOOST_REQUIRE(std::chrono::steady_clock::now() < deadline);
        ctx.restart();
        ctx.poll();
    }
}

} // namespace conformance
