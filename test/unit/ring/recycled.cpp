// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/recycled.hpp>

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace {

/// As a callback that has captured a vector of floats for wide instructions.
template <std::size_t Alignment>
struct alignas(Alignment) aligned : safer_ring::ring::recycled {
    char bytes[Alignment] = {};
};

/// How many of a few objects that are there at once are not where they have to be.
template <std::size_t Alignment>
int misplaced()
{
    std::vector<std::unique_ptr<aligned<Alignment>>> objects;
    int count = 0;
    for (int i = 0; i < 9; ++i) {
        objects.push_back(std::make_unique<aligned<Alignment>>());
        // The compiler takes it for granted where it sees it.
        const volatile auto address = reinterpret_cast<std::uintptr_t>(objects.back().get());
        count += address % Alignment != 0 ? 1 : 0;
    }
    return count;
}

} // namespace

BOOST_AUTO_TEST_SUITE(recycled_memory)

BOOST_AUTO_TEST_CASE(object_is_where_its_alignment_wants_it)
{
    for (int twice = 0; twice < 2; ++twice) {
        BOOST_TEST(misplaced<alignof(std::max_align_t)>() == 0);
        BOOST_TEST(misplaced<32>() == 0);
        BOOST_TEST(misplaced<64>() == 0);
        BOOST_TEST(misplaced<256>() == 0);
        BOOST_TEST(misplaced<4096>() == 0);
    }
}

BOOST_AUTO_TEST_SUITE_END()
