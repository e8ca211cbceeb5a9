// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/injected_failures.hpp"
#include "support/simulated_context.hpp"

#include <boost/test/unit_test.hpp>

#include <memory>
#include <new>

// Services that a program adds to a context itself.
using namespace simulated;

namespace {

/// In the older style, whose constructor takes the io_context.
class added_service : public safer_ring::io_context::service {
public:
    inline static net::execution_context::id id;
    explicit added_service(safer_ring::io_context& owner) : safer_ring::io_context::service(owner)
    {
    }
};

BOOST_AUTO_TEST_SUITE(services)

BOOST_AUTO_TEST_CASE(what_could_not_be_added_for_want_of_memory_stays_the_callers)
{
    for (unsigned fail_at = 1;; ++fail_at) {
        simulated_context ring;
        auto made = std::make_unique<added_service>(*ring.context);
        bool failed = false;
        try {
            const injected::allocation_failure failure(fail_at);
            net::add_service(*ring.context, made.get());
        } catch (const std::bad_alloc&) {
            failed = true;
        }
        const bool has_it = net::has_service<added_service>(*ring.context);
        BOOST_TEST(has_it == !failed);
        if (has_it)
            static_cast<void>(made.release());
        if (!failed)
            break;
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
