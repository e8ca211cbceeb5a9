// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/simulated_ring.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <vector>

// Two streams of messages of one ring, of which the first was cancelled.
using namespace simulated;
using namespace std::chrono_literals;
using safer_ring::io_result;

namespace {

struct messaging : ring_with_pipe {
    /// Returns when it is there.
    void deliver(std::uint64_t value)
    {
        static_cast<void>(ring->message_ring(ring->address(), value).submit().wait());
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(message_streams)

BOOST_FIXTURE_TEST_CASE(callback_whose_message_the_next_stream_has_taken_waits_for_the_end,
                        messaging)
{
    kernel->hold(opcode::poll_add); // The end of the first one takes its time.
    auto first = ring->messages();
    deliver(1);
    std::vector<int> errors;
    first.next().then([&](io_result<std::uint64_t> end) { errors.push_back(end.code().value()); });
    first.cancel();
    auto second = ring->messages();
    BOOST_TEST(second.next().wait().value() == 1U);
    ring->poll();
    BOOST_TEST(errors.empty());
    deliver(2);
    ring->poll();
    BOOST_TEST(errors.empty());
    kernel->release();
    ring->run();
    BOOST_TEST(errors == std::vector{ECANCELED});
    BOOST_TEST(first.is_over());
    BOOST_TEST(second.next().wait().value() == 2U);
}

BOOST_FIXTURE_TEST_CASE(stream_that_has_ended_leaves_messages_to_the_next_one, messaging)
{
    auto first = ring->messages();
    first.cancel();
    ring->poll();
    BOOST_TEST(ring->in_flight() == 0U);
    auto second = ring->messages();
    deliver(1);
    BOOST_TEST(first.queued() == 0U);
    BOOST_TEST(first.next().wait().code().value() == ECANCELED);
    BOOST_TEST(second.queued() == 1U);
    BOOST_TEST(second.next().wait().value() == 1U);
}

BOOST_FIXTURE_TEST_CASE(stream_that_is_refused_takes_nothing_from_who_has_the_messages, messaging)
{
    auto first = ring->messages();
    deliver(1);
    BOOST_CHECK_THROW(static_cast<void>(ring->messages()), std::logic_error);
    deliver(2);
    BOOST_TEST(first.queued() == 2U);
    first.cancel();
    BOOST_TEST(first.next().wait().value() == 1U); // Before the end, while there is no other.
    BOOST_TEST(first.next().wait().value() == 2U);
    BOOST_TEST(first.next().wait().code().value() == ECANCELED);
}

BOOST_AUTO_TEST_SUITE_END()
