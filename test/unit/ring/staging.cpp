// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulated_loop.hpp"

#include <safer_ring/ring/staging.hpp>

#include <boost/test/unit_test.hpp>

#include <set>
#include <stdexcept>
#include <string>

using namespace unit;

BOOST_AUTO_TEST_SUITE(staging_pool)

BOOST_AUTO_TEST_CASE(blocks_do_not_overlap_and_have_the_size_asked_for)
{
    constexpr std::size_t large_bytes = 4096;
    ring::staging_pool pool(large_bytes);
    std::vector<std::pair<ring::staged, unsigned char>> blocks;
    for (int i = 0; i < 600; ++i) {
        const bool large = i % 3 == 0;
        const auto pattern = static_cast<unsigned char>(i % 251);
        blocks.emplace_back(pool.acquire(large ? large_bytes : 1), pattern);
        std::memset(blocks.back().first.data, pattern,
                    large ? large_bytes : ring::staging_pool::small_size_bytes);
    }
    BOOST_TEST(pool.outstanding() == 600U);
    for (int i = 0; i < 600; ++i) {
        auto& [block, pattern] = blocks[static_cast<std::size_t>(i)];
        const std::size_t size = i % 3 == 0 ? large_bytes : ring::staging_pool::small_size_bytes;
        const auto* bytes = reinterpret_cast<const unsigned char*>(block.data);
        BOOST_REQUIRE(
            std::all_of(bytes, bytes + size, [p = pattern](unsigned char c) { return c == p; }));
        pool.release(block);
        BOOST_REQUIRE(!block);
    }
    BOOST_TEST(pool.outstanding() == 0U);
}

BOOST_AUTO_TEST_CASE(the_last_block_given_back_is_the_first_to_be_used_again)
{
    ring::staging_pool pool(4096);
    ring::staged a = pool.acquire(10);
    ring::staged b = pool.acquire(10);
    auto* const where_a = a.data;
    auto* const where_b = b.data;
    pool.release(a);
    pool.release(b);
    BOOST_TEST(pool.acquire(10).data == where_b);
    BOOST_TEST(pool.acquire(10).data == where_a);
}

BOOST_AUTO_TEST_CASE(a_block_is_of_the_least_size_that_fits)
{
    constexpr std::size_t small = ring::staging_pool::small_size_bytes;
    ring::staging_pool pool(8 * small);
    std::uint32_t expected = 0;
    for (const std::size_t size : {small, 2 * small, 4 * small, 8 * small}) {
        ring::staged fits = pool.acquire(size);
        BOOST_TEST(fits.size_class == expected++);
        pool.release(fits);
        if (size == 8 * small)
            break;
        ring::staged next = pool.acquire(size + 1);
        BOOST_TEST(next.size_class == expected);
        pool.release(next);
    }
}

BOOST_AUTO_TEST_CASE(a_large_size_below_the_small_one_is_as_good)
{
    constexpr std::size_t small = ring::staging_pool::small_size_bytes;
    ring::staging_pool pool(64);
    ring::staged a = pool.acquire(small);
    ring::staged b = pool.acquire(small);
    std::memset(a.data, 'a', small);
    std::memset(b.data, 'b', small);
    BOOST_TEST(std::string(reinterpret_cast<const char*>(a.data), small) ==
               std::string(small, 'a'));
    pool.release(a);
    pool.release(b);
}

BOOST_AUTO_TEST_CASE(after_a_burst_the_memory_goes_back_to_the_system)
{
    constexpr std::size_t large_bytes = 4096;
    ring::staging_pool pool(large_bytes);
    const auto burst = [&](std::size_t slabs) {
        std::vector<ring::staged> blocks;
        while (pool.slabs() < slabs)
            blocks.push_back(pool.acquire(large_bytes));
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            BOOST_REQUIRE(pool.slabs() == slabs); // Not while anything is outstanding.
            pool.release(blocks[i]);
        }
    };
    const auto quiet = [&](unsigned times) {
        for (unsigned i = 0; i < times; ++i) {
            ring::staged one = pool.acquire(large_bytes);
            pool.release(one);
        }
    };
    constexpr std::size_t kept = ring::staging_pool::kept_slabs;
    constexpr unsigned patience = ring::staging_pool::patience;
    burst(kept);
    quiet(patience);
    BOOST_TEST(pool.slabs() == kept);
    burst(kept + 8);
    quiet(patience - 2);
    BOOST_TEST(pool.slabs() == kept + 8);
    quiet(1);
    BOOST_TEST(pool.slabs() == 0U);
    ring::staged again = pool.acquire(large_bytes);
    std::memset(again.data, 1, large_bytes);
    pool.release(again);
}

BOOST_AUTO_TEST_CASE(releasing_nothing_does_nothing)
{
    ring::staging_pool pool(4096);
    ring::staged nothing;
    pool.release(nothing);
    BOOST_TEST(pool.outstanding() == 0U);
}

BOOST_AUTO_TEST_CASE(past_its_bound_it_gives_blocks_from_the_heap_which_go_back_there)
{
    // Blocks as large as a slab: the bound of slabs is reached with as many.
    constexpr std::size_t slab_bytes = std::size_t{256} * 1024;
    ring::staging_pool pool(slab_bytes);
    std::vector<ring::staged> blocks;
    std::set<std::uint32_t> classes;
    for (int i = 0; i < 300; ++i) {
        blocks.push_back(pool.acquire(slab_bytes));
        classes.insert(blocks.back().size_class);
    }
    BOOST_TEST(classes.size() == 2U); // Slab and heap, else the test shows nothing.
    std::memset(blocks.back().data, 1, slab_bytes);
    // The leak checker of AddressSanitizer sees it if one does not go back.
    for (ring::staged& block : blocks)
        pool.release(block);
    BOOST_TEST(pool.outstanding() == 0U);
}

BOOST_AUTO_TEST_CASE(pages_are_aligned_and_hold_what_was_asked_for)
{
    using pool_type = ring::staging_pool;
    pool_type pool(4096);
    std::vector<ring::staged> blocks;
    for (const std::size_t size : {std::size_t{1}, std::size_t{4096}, std::size_t{4097},
                                   pool_type::largest_pages_bytes, std::size_t{1} << 30}) {
        blocks.push_back(pool.acquire_pages(size));
        const std::size_t room = pool_type::size_of_pages(blocks.back());
        BOOST_TEST(room >= std::min(size, pool_type::largest_pages_bytes));
        BOOST_TEST(room <= pool_type::largest_pages_bytes);
        BOOST_TEST(reinterpret_cast<std::uintptr_t>(blocks.back().data) % ring::page_bytes == 0U);
        std::memset(blocks.back().data, 'x', room); // All of it is there.
    }
    BOOST_TEST(pool.outstanding() == blocks.size());
    for (auto& block : blocks)
        pool.release(block);
    BOOST_TEST(pool.outstanding() == 0U);
    auto again = pool.acquire_pages(pool_type::largest_pages_bytes);
    BOOST_TEST(pool_type::size_of_pages(again) == pool_type::largest_pages_bytes);
    // Never released: the pool finds it all the same, or the sanitizer tells.
}

BOOST_AUTO_TEST_CASE(pages_get_small_where_plenty_are_outstanding)
{
    using pool_type = ring::staging_pool;
    pool_type pool(4096);
    std::vector<ring::staged> blocks;
    const auto size_of_next = [&] {
        blocks.push_back(pool.acquire_pages(pool_type::largest_pages_bytes));
        return pool_type::size_of_pages(blocks.back());
    };
    for (std::size_t total = 0; total < pool_type::plenty_bytes;)
        total += size_of_next();
    BOOST_TEST(size_of_next() == pool_type::frugal_pages_bytes);
    for (auto& block : blocks)
        pool.release(block);
    BOOST_TEST(size_of_next() == pool_type::largest_pages_bytes);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(receive_buffers)

namespace {

struct buffers_on_a_backend {
    std::shared_ptr<simulation> kernel = std::make_shared<simulation>();
    backend::simulated_backend backend{kernel, small_options()};
};

} // namespace

BOOST_FIXTURE_TEST_CASE(all_are_on_offer_once_registered, buffers_on_a_backend)
{
    const ring::receive_buffers buffers(backend, 8, 100);
    BOOST_TEST(buffers.available());
    BOOST_TEST(buffers.size_bytes() == 100U);
    BOOST_TEST(buffers.outstanding() == 0U);
    BOOST_TEST(kernel->buffers_on_offer() == 8U);
    for (const auto& range : kernel->referenced_memory())
        BOOST_TEST((range.size_bytes == 100U || range.size_bytes == 8 * 16U));
}

BOOST_FIXTURE_TEST_CASE(one_that_was_taken_is_on_offer_again_when_given_back, buffers_on_a_backend)
{
    ring::receive_buffers buffers(backend, 2, 16);
    // More often than there are buffers, so that the ring wraps around.
    for (std::uint32_t i = 0; i < 100000; ++i) {
        buffers.taken(i % 2);
        BOOST_REQUIRE(buffers.outstanding() == 1U);
        buffers.give_back(i % 2);
        BOOST_REQUIRE(buffers.outstanding() == 0U);
    }
}

BOOST_FIXTURE_TEST_CASE(small_receives_shorten_the_buffers_and_one_cut_off_restores_them,
                        buffers_on_a_backend)
{
    constexpr unsigned many = 1024;
    ring::receive_buffers buffers(backend, 4, 4096);
    const auto length_when_offered_again = [&](std::uint32_t id) {
        buffers.taken(id);
        buffers.give_back(id);
        return buffers.length_bytes(id);
    };
    for (const unsigned length : {2048U, 1024U, 512U, 512U}) {
        for (unsigned i = 0; i < many - 1; ++i)
            buffers.learn(256, false, false);
        buffers.learn(length == 2048U ? 2048 : 256, false, false); // Half is small.
        BOOST_TEST(length_when_offered_again(0) == length);
    }
    for (unsigned i = 0; i < many; ++i)
        buffers.learn(257, i == many / 2, i == many / 2);
    BOOST_TEST(length_when_offered_again(1) == 4096U);
}

BOOST_FIXTURE_TEST_CASE(filling_a_buffer_takes_back_one_step_where_the_rest_is_not_told,
                        buffers_on_a_backend)
{
    ring::receive_buffers buffers(backend, 4, 4096);
    const auto length_when_offered_again = [&] {
        buffers.taken(0);
        buffers.give_back(0);
        return buffers.length_bytes(0);
    };
    for (unsigned i = 0; i < 3 * 1024; ++i)
        buffers.learn(1, false, false);
    for (const unsigned length : {512U, 1024U, 2048U, 4096U, 4096U}) {
        BOOST_TEST(length_when_offered_again() == length);
        buffers.learn(length, true, false);
    }
}

BOOST_FIXTURE_TEST_CASE(one_receive_that_is_not_small_keeps_the_length, buffers_on_a_backend)
{
    ring::receive_buffers buffers(backend, 4, 4096);
    for (unsigned i = 0; i < 5000; ++i)
        buffers.learn(i % 1000 == 0 ? 2049 : 1, false, false);
    buffers.taken(2);
    buffers.give_back(2);
    BOOST_TEST(buffers.length_bytes(2) == 4096U);
}

BOOST_FIXTURE_TEST_CASE(buffers_of_different_lengths_do_not_overlap, buffers_on_a_backend)
{
    constexpr std::uint32_t count = 8;
    ring::receive_buffers buffers(backend, count, 4096);
    for (std::uint32_t id = 0; id < count; ++id) {
        buffers.taken(id);
        buffers.give_back(id);
        for (unsigned i = 0; i < 512; ++i) // Two of each length.
            buffers.learn(1, false, false);
    }
    std::set<unsigned> lengths;
    std::vector<std::pair<const std::byte*, unsigned>> ranges;
    for (std::uint32_t id = 0; id < count; ++id) {
        ranges.emplace_back(buffers.data(id), buffers.length_bytes(id));
        lengths.insert(buffers.length_bytes(id));
    }
    BOOST_TEST(lengths.size() == 4U);
    std::sort(ranges.begin(), ranges.end());
    for (std::size_t i = 1; i < ranges.size(); ++i)
        BOOST_TEST((ranges[i - 1].first + ranges[i - 1].second <= ranges[i].first));
    const auto offered = kernel->referenced_memory();
    for (const auto& range : ranges)
        BOOST_TEST(std::any_of(offered.begin(), offered.end(), [&](const auto& r) {
            return r.begin == range.first && r.size_bytes == range.second;
        }));
}

BOOST_FIXTURE_TEST_CASE(a_count_that_cannot_be_is_refused_with_its_reason, buffers_on_a_backend)
{
    for (const unsigned count : {3U, 65536U})
        BOOST_CHECK_EXCEPTION(ring::receive_buffers(backend, count, 16), std::invalid_argument,
                              [](const std::exception& e) {
                                  return std::string(e.what()).find("power of two") !=
                                         std::string::npos;
                              });
    for (const unsigned count :
         {4U, 0U}) // A stream makes buffers of that size where there are none.
        BOOST_CHECK_THROW(ring::receive_buffers(backend, count, 0), std::invalid_argument);
    BOOST_TEST(!ring::receive_buffers(backend, 0, 16).available());
}

BOOST_FIXTURE_TEST_CASE(a_refusal_by_the_kernel_is_told_apart_from_a_lack, buffers_on_a_backend)
{
    kernel->fail_nth(simulation::call::register_buffer_ring, 1, EINVAL);
    const ring::receive_buffers lacking(backend, 4, 16);
    BOOST_TEST(!lacking.available());
    BOOST_TEST(std::string(lacking.reason()).find("5.19") != std::string::npos);
    kernel->fail_nth(simulation::call::register_buffer_ring, 1, ENOMEM);
    const ring::receive_buffers without_memory(backend, 4, 16);
    BOOST_TEST(!without_memory.available());
    BOOST_TEST(std::string(without_memory.reason()).find("RLIMIT_MEMLOCK") != std::string::npos);
    kernel->fail_nth(simulation::call::register_buffer_ring, 1, EPERM);
    const ring::receive_buffers refused(backend, 4, 16);
    BOOST_TEST(!refused.available());
    BOOST_TEST(std::string(refused.reason()).find("refused") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(another_ring_is_offered_what_nobody_holds, buffers_on_a_backend)
{
    ring::receive_buffers buffers(backend, 128, 512); // Half of them in reserve.
    const auto other_kernel = std::make_shared<simulation>();
    decltype(backend) other{other_kernel, small_options()};
    const auto is_offered = [&](std::uint32_t id) {
        const auto offered = other_kernel->referenced_memory();
        return std::any_of(offered.begin(), offered.end(),
                           [&](const auto& r) { return r.begin == buffers.data(id); });
    };
    buffers.taken(3);
    buffers.move_to(other);
    BOOST_TEST(buffers.available());
    BOOST_TEST(other_kernel->buffers_on_offer() == 64U);
    BOOST_TEST(is_offered(2));
    BOOST_TEST(!is_offered(3));
    buffers.give_back(3);
    BOOST_TEST(buffers.outstanding() == 0U);
    buffers.ran_out();
    BOOST_TEST(other_kernel->buffers_on_offer() == 128U);
    BOOST_TEST(is_offered(3));
}

BOOST_FIXTURE_TEST_CASE(what_is_held_comes_back_where_another_ring_refuses_them,
                        buffers_on_a_backend)
{
    ring::receive_buffers buffers(backend, 4, 512);
    const auto other_kernel = std::make_shared<simulation>();
    decltype(backend) other{other_kernel, small_options()};
    other_kernel->fail_nth(simulation::call::register_buffer_ring, 1, EINVAL);
    buffers.taken(3);
    buffers.move_to(other);
    BOOST_TEST(!buffers.available());
    buffers.give_back(3);
    buffers.ran_out();
    BOOST_TEST(buffers.outstanding() == 0U);
    BOOST_TEST(other_kernel->buffers_on_offer() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
