// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulated_loop.hpp"

#include <boost/test/unit_test.hpp>

#include <poll.h>

// What polls tell, and who is asked first.
using namespace unit;

BOOST_AUTO_TEST_SUITE(readiness)

// A read would go past the mark. Ordinary data wakes it in vain, which must not make it late.
BOOST_FIXTURE_TEST_CASE(who_waits_for_urgent_data_is_asked_before_each_read, simulated_loop)
{
    connection c(*this);
    int calls = 0;
    const record& urgent =
        start<call_when_ready>(*c, direction::except, short{POLLIN}, false, [&](int) -> ssize_t {
            ++calls;
            return -EAGAIN;
        });
    c.peer.write("xy");
    for (int i = 0; i < 5; ++i)
        poll();
    BOOST_TEST(calls > 2);
    for (int i = 0; i < 2; ++i) {
        const int before = calls;
        int at_read = 0;
        std::string buffer(1, '.');
        start_named<receive_into>(
            "", [&] { at_read = calls; }, *c, direction::read, buffer);
        while (at_read == 0)
            poll();
        BOOST_TEST(at_read > before);
    }
    c.close();
    poll();
    BOOST_TEST(urgent.result == -ECANCELED);
}

BOOST_AUTO_TEST_SUITE_END()
