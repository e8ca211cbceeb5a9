// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "recorded_operations.hpp"

#include <boost/test/unit_test.hpp>

#include <array>

using namespace unit;

BOOST_AUTO_TEST_SUITE(operation_queue)

namespace {

struct queued_operations {
    record ignored;
    std::array<posted, 4> ops{
        posted(reporter{&ignored, nullptr, "", {}}), posted(reporter{&ignored, nullptr, "", {}}),
        posted(reporter{&ignored, nullptr, "", {}}), posted(reporter{&ignored, nullptr, "", {}})};
    ring::operation_queue queue;

    std::vector<std::size_t> drain()
    {
        std::vector<std::size_t> order;
        while (ring::operation* op = queue.pop_front())
            order.push_back(static_cast<std::size_t>(static_cast<posted*>(op) - ops.data()));
        return order;
    }
};

using expected = std::vector<std::size_t>;

} // namespace

BOOST_FIXTURE_TEST_CASE(gives_back_in_the_order_of_arrival, queued_operations)
{
    BOOST_TEST(queue.empty());
    BOOST_TEST(queue.pop_front() == nullptr);
    for (posted& op : ops)
        queue.push_back(&op);
    BOOST_TEST(queue.front() == &ops[0]);
    BOOST_TEST(drain() == (expected{0, 1, 2, 3}));
    BOOST_TEST(queue.empty());
}

BOOST_FIXTURE_TEST_CASE(lets_go_from_the_front_the_middle_and_the_end, queued_operations)
{
    for (posted& op : ops)
        queue.push_back(&op);
    queue.remove(&ops[1]);
    queue.remove(&ops[3]);
    queue.remove(&ops[0]);
    queue.push_back(&ops[1]);
    BOOST_TEST(drain() == (expected{2, 1}));
}

BOOST_FIXTURE_TEST_CASE(takes_over_another_queue_behind_its_own, queued_operations)
{
    ring::operation_queue other;
    queue.splice_back(other); // Nothing into nothing.
    BOOST_TEST(queue.empty());
    other.push_back(&ops[2]);
    other.push_back(&ops[3]);
    queue.push_back(&ops[0]);
    queue.splice_back(other);
    BOOST_TEST(other.empty());
    queue.push_back(&ops[1]);
    queue.remove(&ops[2]); // Its links must be the new queue's.
    BOOST_TEST(drain() == (expected{0, 3, 1}));
}

BOOST_AUTO_TEST_SUITE_END()
