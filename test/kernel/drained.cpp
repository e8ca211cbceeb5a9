// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "streams.hpp"

#include <boost/test/unit_test.hpp>

#include <string>
#include <tuple>
#include <utility>

// Operations that wait for everything before them, and streams, which are nothing that is waited for.
namespace kernel {
namespace {

/// A stream that stops at each second piece, and a pair of sockets on which nothing comes.
struct beside_a_stream {
    beside_a_stream() { std::tie(quiet, quiet_far) = test_support::local_descriptor_pair(); }

    auto receive_for_ever() { return ring.receive(quiet.get(), owned_buffer(16)); }

    /// What comes behind a pause is there within a few turns of the ring, and so is the end.
    void sends_and_gets_all()
    {
        for (int round = 0; round < 3; ++round) {
            std::string expected, text;
            for (int i = 0; i < 6; ++i) {
                send_text(c.far, piece(i));
                expected += piece(i);
            }
            for (int i = 0; i < 5; ++i)
                ring.poll(); // It stops.
            while (text.size() < expected.size()) {
                auto item = c.receiving.next().wait_for(test_support::watchdog_time / 2);
                BOOST_REQUIRE(item.has_value());
                text += item->second.text();
            }
            BOOST_TEST(text == expected);
        }
        c.far.reset();
        const auto end = c.receiving.next().wait_for(test_support::watchdog_time / 2);
        BOOST_REQUIRE(end.has_value());
        BOOST_TEST(c.receiving.is_over());
    }

    io_ring ring;
    buffer_ring buffers{ring, 16, 4}; // A buffer for each piece, or two.
    connection c{ring, buffers, stream_limits{2, 1}};
    unique_descriptor quiet, quiet_far;
};

BOOST_AUTO_TEST_SUITE(drained_operations, *needs_buffer_ring)

BOOST_FIXTURE_TEST_CASE(stream_goes_on_beside_one_that_is_held_back, beside_a_stream)
{
    auto early = receive_for_ever().submit();
    ring.flush();
    auto drained = ring.nop().drained().submit();
    sends_and_gets_all();
    BOOST_TEST(!drained.is_done());
    early.cancel();
    const auto of_early = std::move(early).wait().result();
    BOOST_TEST(!of_early.has_value());
    const auto of_drained = std::move(drained).wait().result();
    BOOST_TEST(of_drained.has_value());
}

BOOST_FIXTURE_TEST_CASE(stream_goes_on_beside_one_that_is_under_way, beside_a_stream)
{
    auto drained = receive_for_ever().drained().submit();
    ring.flush();
    auto late = ring.nop().submit();
    sends_and_gets_all();
    BOOST_TEST(!late.is_done());
    drained.cancel();
    const auto of_drained = std::move(drained).wait().result();
    BOOST_TEST(!of_drained.has_value());
    const auto of_late = std::move(late).wait().result();
    BOOST_TEST(of_late.has_value());
}

BOOST_FIXTURE_TEST_CASE(stream_that_is_submitted_behind_one_waits_for_it, beside_a_stream)
{
    auto drained = receive_for_ever().drained().submit();
    ring.flush();
    connection late(ring, buffers);
    send_text(late.far, "late");
    BOOST_TEST(!late.receiving.next().wait_for(0s).has_value());
    send_text(quiet_far, "now");
    const auto of_drained = std::move(drained).wait().result();
    BOOST_TEST(of_drained.has_value());
    const auto [result, buffer] = late.receiving.next().wait();
    BOOST_TEST(buffer.text() == "late");
}

BOOST_FIXTURE_TEST_CASE(chain_that_is_held_back_ends_when_all_of_it_is_cancelled, beside_a_stream)
{
    auto early = receive_for_ever().submit();
    ring.flush();
    auto [first, second, third] = ring.submit_linked(ring.nop().drained(), ring.nop(), ring.nop());
    ring.flush();
    second.cancel();
    first.cancel();
    BOOST_TEST(!first.is_done());
    third.cancel();
    BOOST_TEST((first.is_done() && second.is_done() && third.is_done()));
    for (auto* each : {&first, &second, &third}) {
        const auto result = std::move(*each).wait().result();
        BOOST_TEST((result.code() == std::errc::operation_canceled));
    }
    BOOST_TEST(!early.is_done());
    auto [given_up, also] = ring.submit_linked(ring.nop().drained(), ring.nop());
    {
        auto gone = std::move(given_up);
        also.cancel();
    }
    BOOST_TEST(also.is_done());
    BOOST_TEST(ring.in_flight() == 2U); // The receive and the stream.
    BOOST_TEST(ring.shutdown(20s));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
