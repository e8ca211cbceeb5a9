// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/slot_table.hpp>

#include <boost/test/unit_test.hpp>

#include <set>

namespace ring = safer_ring::ring;

BOOST_AUTO_TEST_SUITE(slot_table)

namespace {

struct table_of_slots {
    int first = 1;
    int second = 2;
    ring::slot_table<int> table;
};

std::uint32_t slot_of(ring::operation_id id)
{
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(id));
}

} // namespace

BOOST_FIXTURE_TEST_CASE(finds_what_was_inserted_until_it_is_erased, table_of_slots)
{
    const auto a = table.insert(first);
    const auto b = table.insert(second);
    BOOST_TEST((a != b));
    BOOST_TEST(table.find(a) == &first);
    BOOST_TEST(table.find(b) == &second);
    BOOST_TEST(table.size() == 2U);
    table.erase(a);
    BOOST_TEST(table.find(a) == nullptr);
    BOOST_TEST(table.find(b) == &second);
    BOOST_TEST(table.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_stale_id_does_not_find_the_next_owner_of_its_slot, table_of_slots)
{
    const auto stale = table.insert(first);
    table.erase(stale);
    const auto current = table.insert(second);
    BOOST_TEST(slot_of(current) == slot_of(stale)); // Else the test shows nothing.
    BOOST_TEST(table.find(stale) == nullptr);
    BOOST_TEST(table.find(current) == &second);
}

BOOST_FIXTURE_TEST_CASE(an_id_is_never_none_and_never_has_the_bit_of_cancellations, table_of_slots)
{
    BOOST_TEST(table.find(ring::operation_id::none) == nullptr);
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 10000; ++i) {
        const auto id = table.insert(first);
        BOOST_REQUIRE((id != ring::operation_id::none));
        BOOST_REQUIRE((static_cast<std::uint64_t>(id) >> 63) == 0U);
        BOOST_REQUIRE(seen.insert(static_cast<std::uint64_t>(id)).second);
        BOOST_REQUIRE(table.find(ring::operation_id::none) == nullptr);
        table.erase(id);
    }
}

BOOST_FIXTURE_TEST_CASE(an_id_beyond_the_table_finds_nothing, table_of_slots)
{
    BOOST_TEST(table.find(static_cast<ring::operation_id>(std::uint64_t{1} << 32 | 77)) == nullptr);
    table.insert(first);
    BOOST_TEST(table.find(static_cast<ring::operation_id>(~std::uint64_t{0})) == nullptr);
}

BOOST_FIXTURE_TEST_CASE(visits_what_is_in_it, table_of_slots)
{
    const auto a = table.insert(first);
    table.insert(second);
    table.erase(a);
    std::vector<int*> visited;
    table.for_each([&](int& op) { visited.push_back(&op); });
    BOOST_TEST(visited.size() == 1U);
    BOOST_TEST(visited.front() == &second);
}

BOOST_AUTO_TEST_SUITE_END()
