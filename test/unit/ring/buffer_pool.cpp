// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/buffer_pool.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <sys/mman.h>

using safer_ring::buffer_pool;
using safer_ring::owned_buffer;

namespace {

std::vector<owned_buffer> take_all(buffer_pool& pool)
{
    std::vector<owned_buffer> all;
    while (std::optional<owned_buffer> buffer = pool.try_acquire())
        all.push_back(std::move(*buffer));
    return all;
}

} // namespace

BOOST_AUTO_TEST_SUITE(buffer_pools)

BOOST_AUTO_TEST_CASE(pool_gives_as_many_buffers_as_it_has_and_then_none)
{
    buffer_pool pool(5, 1000);
    std::vector<owned_buffer> all = take_all(pool);
    BOOST_TEST(all.size() == 5U);
    for (std::size_t i = 0; i < all.size(); ++i) {
        BOOST_TEST(all[i].size() == 1000U);
        BOOST_TEST(reinterpret_cast<std::uintptr_t>(all[i].data()) % 4096 == 0U);
        std::memset(all[i].data(), static_cast<int>(i), all[i].size());
    }
    for (std::size_t i = 0; i < all.size(); ++i)
        BOOST_TEST(std::all_of(all[i].bytes().begin(), all[i].bytes().end(),
                               [i](std::byte b) { return b == static_cast<std::byte>(i); }));
    BOOST_TEST(!pool.try_acquire());
    all.pop_back();
    BOOST_TEST(pool.try_acquire().has_value());
}

BOOST_AUTO_TEST_CASE(buffer_comes_back_whole_whatever_was_done_to_it)
{
    buffer_pool pool(1, 100);
    {
        std::optional<owned_buffer> buffer = pool.try_acquire();
        buffer->resize(50);
        buffer->consume(20);
    }
    std::optional<owned_buffer> again = pool.try_acquire();
    BOOST_REQUIRE(again);
    BOOST_TEST(again->size() == 100U);
    BOOST_TEST(again->capacity() == 100U);
}

BOOST_AUTO_TEST_CASE(statistics_tell_of_the_busiest_moment_and_of_refusals)
{
    buffer_pool pool(4, 64);
    BOOST_TEST(pool.size_bytes() == 64U);
    {
        const auto first = pool.try_acquire(), second = pool.try_acquire();
        BOOST_TEST(pool.statistics().available == 2U);
    }
    auto now = pool.statistics();
    BOOST_TEST(now.count == 4U);
    BOOST_TEST(now.available == 4U);
    BOOST_TEST(now.least_available == 2U);
    BOOST_TEST(now.acquired == 2U);
    BOOST_TEST(now.refused == 0U);
    take_all(pool);
    now = pool.statistics();
    BOOST_TEST(now.least_available == 0U);
    BOOST_TEST(now.acquired == 6U);
    BOOST_TEST(now.refused == 1U);
}

BOOST_AUTO_TEST_CASE(buffers_outlive_their_pool)
{
    auto pool = std::make_unique<buffer_pool>(3, 5000);
    std::vector<owned_buffer> all = take_all(*pool);
    all.erase(all.begin());
    pool.reset();
    for (owned_buffer& buffer : all)
        std::memset(buffer.data(), 7, buffer.size());
    std::thread([&all] { all.clear(); }).join();
}

/// Whether there is memory at this page (mincore(2)).
bool is_mapped(void* page)
{
    unsigned char resident = 0;
    return ::mincore(page, 1, &resident) == 0;
}

BOOST_AUTO_TEST_CASE(memory_is_unmapped_with_the_last_buffer_of_a_pool_that_is_gone)
{
    auto pool = std::make_unique<buffer_pool>(3, 5000);
    std::vector<owned_buffer> all = take_all(*pool);
    void* const page = all.front().data();
    pool.reset();
    all.pop_back();
    all.pop_back();
    BOOST_TEST(is_mapped(page));
    all.clear();
    BOOST_TEST(!is_mapped(page));
}

BOOST_AUTO_TEST_CASE(pool_moves_with_its_buffers_out)
{
    buffer_pool first(2, 64);
    std::optional<owned_buffer> buffer = first.try_acquire();
    buffer_pool second = std::move(first);
    BOOST_TEST(second.statistics().available == 1U);
    auto& moved_from = first;
    BOOST_TEST(!moved_from.try_acquire());
    BOOST_TEST(moved_from.statistics().count == 0U);
    buffer.reset();
    BOOST_TEST(second.statistics().available == 2U);
    second = buffer_pool(7, 64);
    BOOST_TEST(second.statistics().count == 7U);
}

BOOST_AUTO_TEST_CASE(pool_of_nothing_and_pool_of_too_much_are_refused)
{
    BOOST_CHECK_THROW(buffer_pool(0, 64), std::invalid_argument);
    BOOST_CHECK_THROW(buffer_pool(64, 0), std::invalid_argument);
    BOOST_CHECK_THROW(buffer_pool(1, ~std::size_t{0}), std::bad_alloc);
    BOOST_CHECK_THROW(buffer_pool(~std::uint32_t{0}, std::size_t{1} << 40), std::bad_alloc);
}

BOOST_AUTO_TEST_CASE(buffers_go_round_between_threads)
{
    constexpr std::size_t count = 8;
    buffer_pool pool(count, 64);
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&pool, &wrong, t] {
            for (int i = 0; i < 2000; ++i) {
                std::optional<owned_buffer> mine = pool.try_acquire();
                if (!mine)
                    continue;
                std::memset(mine->data(), t, mine->size());
                std::optional<owned_buffer> another = pool.try_acquire();
                if (another)
                    std::memset(another->data(), t + 10, another->size());
                wrong += static_cast<int>(mine->bytes().back()) == t ? 0 : 1;
            }
        });
    for (std::thread& t : threads)
        t.join();
    BOOST_TEST(wrong == 0);
    BOOST_TEST(pool.statistics().available == count);
}

BOOST_AUTO_TEST_SUITE_END()
