// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "driven_loop.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <string>

using namespace unit;

BOOST_AUTO_TEST_SUITE(driver)

/// The completion that the loop would wait for is of what waits in the queue.
BOOST_AUTO_TEST_CASE(what_the_kernel_refuses_is_submitted_before_the_loop_waits)
{
    for (const int error : {EINTR, EAGAIN, EBUSY, ENOMEM}) {
        driven_loop l;
        connection c(l);
        std::string buffer(8, '\0');
        const record& received = l.start<receive_into>(*c, direction::read, buffer);
        l.kernel->fail_nth(simulation::call::enter, 1, error);
        l.drive();
        BOOST_TEST(l.kernel->in_flight_count() == 1U);
        c.peer.write("x");
        l.kernel->step();
        l.drive();
        BOOST_TEST(received.result == 1);
        BOOST_TEST(l.driver.is_resting);
    }
}

BOOST_AUTO_TEST_SUITE_END()
