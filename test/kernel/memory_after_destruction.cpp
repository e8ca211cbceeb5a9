// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"

#include <support/connected_pair.hpp>
#include <support/handler_checks.hpp>
#include <support/run_until.hpp>
#include <support/skip.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

// Contract: once cancel, close, release or destruction has returned, memory
// that came in through a plain Asio call is not touched, on any thread.

namespace kernel {
namespace {

using test_support::connected_pair;

/// A session that owns its socket and its buffer, destroyed with a read
/// pending. Its memory is then filled with a pattern by "the next owner".
struct session {
    explicit session(socket s) : connection(std::move(s)) {}

    socket connection;
    std::array<unsigned char, 4096> buffer{};
};

bool is_filled_with(const void* memory, std::size_t size, int value)
{
    const auto* bytes = static_cast<const unsigned char*>(memory);
    return std::all_of(bytes, bytes + size, [&](unsigned char b) { return b == value; });
}

/// Two threads that agree on nothing but the context: one starts reads on
/// sessions and destroys them with their buffers, the other runs the loop
/// while data arrives for all of them.
void destroy_while_another_thread_completes(int hint)
{
    constexpr int rounds = 200;
    constexpr int sessions_per_round = 8;
    context ioc(hint);
    auto work = net::make_work_guard(ioc);
    std::thread runner([&] { ioc.run(); });
    std::atomic<int> called{0};

    for (int round = 0; round < rounds; ++round) {
        std::vector<std::unique_ptr<session>> sessions;
        std::vector<test_support::blocking_peer> peers;
        for (int i = 0; i < sessions_per_round; ++i) {
            auto [mine, peer] = test_support::connect_to_peer<socket>(ioc);
            sessions.push_back(std::make_unique<session>(std::move(mine)));
            peers.push_back(std::move(peer));
        }
        for (auto& s : sessions)
            s->connection.async_read_some(net::buffer(s->buffer),
                                          [&called](error_code, std::size_t) { ++called; });
        // The data races with the destruction on purpose.
        std::thread sender([&peers] {
            for (auto& peer : peers)
                peer.write("0123456789");
        });
        std::vector<std::unique_ptr<unsigned char[]>> reused;
        for (auto& s : sessions) {
            s.reset();
            auto next_owner = std::make_unique<unsigned char[]>(sizeof(session));
            std::memset(next_owner.get(), 0x5A, sizeof(session));
            reused.push_back(std::move(next_owner));
        }
        sender.join();
        for (const auto& memory : reused)
            BOOST_REQUIRE(is_filled_with(memory.get(), sizeof(session), 0x5A));
    }
    work.reset();
    runner.join();
    BOOST_TEST(called == rounds * sessions_per_round);
}

} // namespace

BOOST_AUTO_TEST_SUITE(memory_after_destruction, *needs_io_uring)

BOOST_AUTO_TEST_CASE(sessions_destroyed_by_one_thread_while_a_cooperative_loop_completes_them)
{
    destroy_while_another_thread_completes(1);
}

BOOST_AUTO_TEST_CASE(sessions_destroyed_by_one_thread_while_a_shared_loop_completes_them)
{
    destroy_while_another_thread_completes(-1);
}

BOOST_AUTO_TEST_CASE(cancelled_read_leaves_the_memory_alone_and_the_data_with_the_socket)
{
    context ioc(1);
    auto [mine, peer] = test_support::connect_to_peer<socket>(ioc);
    std::array<char, 64> buffer;
    buffer.fill('#');
    bool aborted = false;
    mine.async_read_some(net::buffer(buffer), [&](error_code ec, std::size_t) {
        aborted = ec == net::error::operation_aborted;
    });
    ioc.poll();
    mine.cancel();
    peer.write("late");
    ioc.restart();
    ioc.run();
    BOOST_TEST(aborted);
    BOOST_TEST(is_filled_with(buffer.data(), buffer.size(), '#'));
    std::array<char, 4> later{};
    BOOST_TEST(net::read(mine, net::buffer(later)) == 4u);
    BOOST_TEST(std::string(later.data(), 4) == "late");
}

BOOST_AUTO_TEST_CASE(large_write_is_not_read_from_after_close)
{
    context ioc(1);
    auto [mine, peer] = test_support::connect_to_peer<socket>(ioc);
    // More than socket buffers take, so that the rest waits for room.
    std::vector<char> data(16 * 1024 * 1024, 'a');
    std::size_t written = 0;
    error_code result;
    net::async_write(mine, net::buffer(data), [&](error_code ec, std::size_t n) {
        result = ec;
        written = n;
    });
    while (ioc.poll() != 0) {
    }
    mine.close();
    std::fill(data.begin(), data.end(), 'b');
    ioc.restart();
    ioc.run();
    BOOST_TEST(result == net::error::operation_aborted);
    const std::string received = peer.read_to_end();
    BOOST_TEST(received.size() == written);
    BOOST_TEST(received.find('b') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(context_is_destroyed_by_a_thread_that_never_ran_it)
{
    test_support::handler_checks checks;
    auto ioc = std::make_unique<context>(1);
    constexpr int operations = 1000;
    test_support::allow_descriptors(2 * operations + 100);
    std::vector<test_support::blocking_peer> peers;
    for (int i = 0; i < operations; ++i) {
        auto [mine, peer] = test_support::connect_to_peer<socket>(*ioc);
        auto owned = std::make_shared<session>(std::move(mine));
        auto& s = *owned;
        s.connection.async_read_some(net::buffer(s.buffer), checks.never_with(std::move(owned)));
        peers.push_back(std::move(peer));
    }
    // The thread that submits the requests is gone when they are cancelled.
    std::thread([&] { ioc->poll(); }).join();
    std::thread([&] { ioc.reset(); }).join();
    for (auto& peer : peers)
        BOOST_TEST(peer.read_to_end().empty()); // closed, nothing sent
}

BOOST_AUTO_TEST_CASE(read_survives_the_exit_of_the_thread_that_submitted_it)
{
    for (const int hint : {1, -1}) {
        context ioc(hint);
        auto [mine, peer] = test_support::connect_to_peer<socket>(ioc);
        std::array<char, 16> buffer{};
        std::size_t size = 0;
        error_code result = test_support::garbage_error();
        mine.async_read_some(net::buffer(buffer), [&](error_code ec, std::size_t n) {
            result = ec;
            size = n;
        });
        std::thread([&] { ioc.poll(); }).join();
        peer.write("still here");
        ioc.restart();
        ioc.run();
        BOOST_TEST(!result);
        BOOST_TEST(std::string(buffer.data(), size) == "still here");
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace kernel
