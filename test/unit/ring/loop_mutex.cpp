// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/loop_mutex.hpp>

#include <boost/test/unit_test.hpp>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

using safer_ring::ring::loop_mutex;

BOOST_AUTO_TEST_SUITE(loop_lock)

BOOST_AUTO_TEST_CASE(threads_that_contend_exclude_each_other_and_all_get_through)
{
    constexpr int threads = 4;
    constexpr int rounds = 50'000;
    loop_mutex mutex(true);
    long count = 0; // Not atomic: the sum is wrong if two are ever inside.
    std::vector<std::thread> all;
    for (int i = 0; i < threads; ++i)
        all.emplace_back([&] {
            for (int j = 0; j < rounds; ++j) {
                const std::lock_guard held(mutex);
                ++count;
            }
        });
    for (std::thread& t : all)
        t.join();
    BOOST_TEST(count == long{threads} * rounds);
}

BOOST_AUTO_TEST_CASE(a_thread_started_while_it_is_held_waits_for_it)
{
    for (int i = 0; i < 200; ++i) {
        loop_mutex mutex(true);
        int written = 0;
        int seen = -1;
        mutex.lock(); // In a process of one thread this is a plain store.
        std::thread other([&] {
            const std::lock_guard held(mutex);
            seen = written;
        });
        written = i;
        mutex.unlock();
        other.join();
        BOOST_TEST(seen == i);
    }
}

BOOST_AUTO_TEST_CASE(a_condition_can_be_waited_for_with_it)
{
    loop_mutex mutex(true);
    std::condition_variable_any changed;
    int turn = 0;
    const auto play = [&](int mine) {
        for (int i = 0; i < 1000; ++i) {
            std::unique_lock held(mutex);
            changed.wait(held, [&] { return turn == mine; });
            turn = 1 - mine;
            changed.notify_one();
        }
    };
    std::thread other(play, 1);
    play(0);
    other.join();
    BOOST_TEST(turn == 0);
}

BOOST_AUTO_TEST_CASE(one_that_is_disabled_excludes_nobody)
{
    loop_mutex mutex(false);
    mutex.lock();
    mutex.lock();
    mutex.unlock();
    BOOST_TEST(true);
}

BOOST_AUTO_TEST_SUITE_END()
