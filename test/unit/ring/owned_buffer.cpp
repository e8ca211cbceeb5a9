// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/shared_buffer.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <vector>

using safer_ring::owned_buffer;
using safer_ring::shared_buffer;

namespace {

/// Notes what comes back.
class noting_origin : public safer_ring::ring::buffer_origin {
public:
    void give_back(std::byte* memory) noexcept override { came_back.push_back(memory); }

    owned_buffer make()
    {
        return safer_ring::ring::buffer_access::make(memory_.data(), memory_.size(), this);
    }

    std::vector<std::byte*> came_back;

private:
    std::array<std::byte, 64> memory_{};
};

std::uintptr_t address(const owned_buffer& buffer)
{
    return reinterpret_cast<std::uintptr_t>(buffer.data());
}

} // namespace

BOOST_AUTO_TEST_SUITE(owned_buffers)

BOOST_AUTO_TEST_CASE(buffer_has_one_owner_who_can_be_changed_without_failing)
{
    static_assert(!std::is_copy_constructible_v<owned_buffer>);
    static_assert(!std::is_copy_assignable_v<owned_buffer>);
    static_assert(std::is_nothrow_move_constructible_v<owned_buffer>);
    static_assert(std::is_nothrow_move_assignable_v<owned_buffer>);
    static_assert(!std::is_convertible_v<std::size_t, owned_buffer>);
    owned_buffer first(10);
    const std::byte* const bytes = first.data();
    owned_buffer second = std::move(first);
    BOOST_TEST(second.data() == bytes);
    owned_buffer third;
    third = std::move(second);
    BOOST_TEST(third.data() == bytes);
    BOOST_TEST(third.size() == 10U);
}

BOOST_AUTO_TEST_CASE(fresh_buffer_is_as_long_as_was_asked_for)
{
    for (const std::size_t size : {0U, 1U, 511U, 512U, 4096U, 100'000U}) {
        const owned_buffer buffer(size);
        BOOST_TEST(buffer.size() == size);
        BOOST_TEST(buffer.capacity() == size);
        BOOST_TEST(buffer.empty() == (size == 0));
    }
}

BOOST_AUTO_TEST_CASE(address_is_one_for_direct_io)
{
    BOOST_TEST(address(owned_buffer(512)) % 512 == 0U);
    BOOST_TEST(address(owned_buffer(2048)) % 512 == 0U);
    BOOST_TEST(address(owned_buffer(4096)) % 4096 == 0U);
    BOOST_TEST(address(owned_buffer(1 << 20)) % 4096 == 0U);
}

BOOST_AUTO_TEST_CASE(buffer_is_resized_within_its_capacity_only)
{
    owned_buffer buffer(8);
    std::memcpy(buffer.data(), "12345678", 8);
    buffer.resize(3);
    BOOST_TEST(buffer.text() == "123");
    BOOST_TEST(buffer.spare().size() == 5U);
    BOOST_TEST(buffer.spare().data() == buffer.data() + 3);
    buffer.resize(8);
    BOOST_TEST(buffer.text() == "12345678");
    BOOST_CHECK_EXCEPTION(buffer.resize(9), std::length_error, [](const std::length_error& e) {
        return std::strstr(e.what(), "of 8 bytes cannot be resized to 9") != nullptr;
    });
    BOOST_TEST(buffer.text() == "12345678");
}

BOOST_AUTO_TEST_CASE(consumed_bytes_leave_the_front)
{
    owned_buffer buffer = owned_buffer::copy_of("12345678");
    const std::byte* const begin = buffer.data();
    buffer.consume(3);
    BOOST_TEST(buffer.text() == "45678");
    BOOST_TEST(buffer.capacity() == 5U);
    BOOST_CHECK_THROW(buffer.resize(6), std::length_error);
    buffer.resize(2);
    buffer.consume(100);
    BOOST_TEST(buffer.empty());
    BOOST_TEST(buffer.capacity() == 8U);
    BOOST_TEST(buffer.data() == begin);
}

BOOST_AUTO_TEST_CASE(memory_goes_back_where_it_came_from_once)
{
    noting_origin origin;
    {
        owned_buffer buffer = origin.make();
        buffer.consume(10);
        owned_buffer elsewhere = std::move(buffer);
        BOOST_TEST(origin.came_back.empty());
        elsewhere = owned_buffer(3);
        BOOST_TEST(origin.came_back.size() == 1U);
    }
    BOOST_TEST(origin.came_back.size() == 1U);
    owned_buffer buffer = origin.make();
    std::byte* const begin = buffer.data();
    buffer.consume(10);
    std::thread([taken = std::move(buffer)] {}).join();
    BOOST_REQUIRE(origin.came_back.size() == 2U);
    BOOST_TEST(origin.came_back[1] == begin);
}

BOOST_AUTO_TEST_CASE(buffer_assigned_to_itself_stays)
{
    noting_origin origin;
    owned_buffer buffer = origin.make();
    owned_buffer& same = buffer;
    buffer = std::move(same);
    BOOST_TEST(origin.came_back.empty());
    BOOST_TEST(buffer.size() == 64U);
}

BOOST_AUTO_TEST_CASE(frozen_bytes_go_back_with_the_last_copy)
{
    static_assert(std::is_nothrow_copy_constructible_v<shared_buffer>);
    static_assert(std::is_same_v<decltype(shared_buffer().data()), const std::byte*>);
    noting_origin origin;
    owned_buffer buffer = origin.make();
    std::memcpy(buffer.data(), "message", 7);
    buffer.resize(7);
    shared_buffer first = std::move(buffer).freeze();
    shared_buffer second = first, third;
    third = second;
    second.consume(4);
    BOOST_TEST(first.text() == "message");
    BOOST_TEST(second.text() == "age");
    first = {};
    third = std::move(second);
    BOOST_TEST(third.text() == "age");
    BOOST_TEST(origin.came_back.empty());
    third.consume(100);
    BOOST_TEST(third.empty());
    third = shared_buffer();
    BOOST_TEST(origin.came_back.size() == 1U);
}

BOOST_AUTO_TEST_CASE(frozen_bytes_are_shared_between_threads)
{
    noting_origin origin;
    {
        owned_buffer buffer = origin.make();
        std::memset(buffer.data(), 'x', buffer.size());
        const shared_buffer shared = std::move(buffer).freeze();
        std::atomic<int> wrong = 0;
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([copy = shared, &wrong] {
                for (int n = 0; n < 1000; ++n) {
                    const shared_buffer another = copy;
                    wrong += another.text().back() == 'x' ? 0 : 1;
                }
            });
        for (std::thread& t : threads)
            t.join();
        BOOST_TEST(wrong == 0);
    }
    BOOST_TEST(origin.came_back.size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()
