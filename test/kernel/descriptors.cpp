// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"

#include <support/blocking_peer.hpp>
#include <support/run_until.hpp>
#include <support/skip.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <thread>
#include <unistd.h>
#include <vector>

// The contract on memory and on what is lost, for pipes.

namespace kernel {
namespace {

using test_support::check_call;
using test_support::unique_descriptor;
using readable_pipe = net::basic_readable_pipe<safer_ring::executor>;
using writable_pipe = net::basic_writable_pipe<safer_ring::executor>;

/// A pipe that is known to take what staged writes need.
writable_pipe used_pipe(context& ioc, int read_end, int write_end)
{
    writable_pipe pipe(ioc, write_end);
    pipe.async_write_some(net::buffer("x", 1), [](error_code, std::size_t) {});
    ioc.restart();
    ioc.run();
    char byte = 0;
    check_call(::read(read_end, &byte, 1), "read", read_end);
    return pipe;
}

std::string read_to_end(int fd)
{
    std::string all;
    std::array<char, 65536> part;
    while (const int n = check_call(::read(fd, part.data(), part.size()), "read", fd))
        all.append(part.data(), static_cast<std::size_t>(n));
    return all;
}

/// One thread runs the loop while data arrives; another destroys pipes and
/// their buffers, and gives the memory to the next owner.
void destroy_readers_while_another_thread_completes(int hint)
{
    struct session {
        session(context& ioc, int fd) : pipe(ioc, fd) {}
        readable_pipe pipe;
        std::array<unsigned char, 4096> buffer{};
    };
    constexpr int rounds = 200;
    constexpr std::size_t sessions_per_round = 8;
    context ioc(hint);
    auto work = net::make_work_guard(ioc);
    std::thread runner([&] { ioc.run(); });
    std::atomic<std::size_t> called{0};
    for (int round = 0; round < rounds; ++round) {
        std::vector<std::unique_ptr<session>> sessions;
        std::vector<unique_descriptor> writers;
        std::vector<unique_descriptor> readers; // So that nobody writes to a pipe without one.
        for (std::size_t i = 0; i < sessions_per_round; ++i) {
            auto [read_end, write_end] = test_support::pipe_descriptor_pair();
            readers.emplace_back(::dup(read_end.get()));
            writers.push_back(std::move(write_end));
            sessions.push_back(std::make_unique<session>(ioc, read_end.release()));
            auto& s = *sessions.back();
            s.pipe.async_read_some(net::buffer(s.buffer),
                                   [&called](error_code, std::size_t) { ++called; });
        }
        // The data races with the destruction on purpose.
        std::thread sender([&writers] {
            for (const auto& writer : writers)
                check_call(::write(writer.get(), "0123456789", 10), "write", writer.get());
        });
        std::vector<std::unique_ptr<unsigned char[]>> reused;
        for (auto& s : sessions) {
            s.reset();
            reused.push_back(std::make_unique<unsigned char[]>(sizeof(session)));
            std::memset(reused.back().get(), 0x5A, sizeof(session));
        }
        sender.join();
        for (const auto& memory : reused)
            BOOST_REQUIRE(std::all_of(memory.get(), memory.get() + sizeof(session),
                                      [](unsigned char b) { return b == 0x5A; }));
    }
    work.reset();
    runner.join();
    BOOST_TEST(called == rounds * sessions_per_round);
}

} // namespace

BOOST_AUTO_TEST_SUITE(descriptors, *needs_io_uring)

BOOST_AUTO_TEST_CASE(readers_destroyed_by_one_thread_while_a_cooperative_loop_completes_them)
{
    destroy_readers_while_another_thread_completes(1);
}

BOOST_AUTO_TEST_CASE(readers_destroyed_by_one_thread_while_a_shared_loop_completes_them)
{
    destroy_readers_while_another_thread_completes(-1);
}

BOOST_AUTO_TEST_CASE(large_pending_write_is_not_read_from_after_destruction)
{
    context ioc(1);
    auto [read_end, write_end] = test_support::pipe_descriptor_pair();
    auto pipe =
        std::make_unique<writable_pipe>(used_pipe(ioc, read_end.get(), write_end.release()));
    std::vector<char> data(1 << 20, 'a');
    error_code result;
    std::size_t written = 0;
    net::async_write(*pipe, net::buffer(data), [&](error_code ec, std::size_t n) {
        result = ec;
        written = n;
    });
    ioc.restart();
    ioc.poll();
    pipe.reset();
    std::fill(data.begin(), data.end(), 'b');
    ioc.restart();
    ioc.run();
    BOOST_TEST(result == net::error::operation_aborted);
    const std::string received = read_to_end(read_end.get());
    BOOST_TEST(received.size() == written);
    BOOST_TEST(received.find('b') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(small_write_that_waits_for_room_is_cancelled_whole_or_sent_whole)
{
    context ioc(1);
    for (int round = 0; round < 100; ++round) {
        auto [read_end, write_end] = test_support::pipe_descriptor_pair();
        writable_pipe pipe = used_pipe(ioc, read_end.get(), write_end.release());
        const std::string filling(1 << 16, 'f');
        check_call(::write(pipe.native_handle(), filling.data(), filling.size()), "write", -1);
        auto text = std::make_unique<std::string>(100, 't');
        bool sent = false;
        pipe.async_write_some(net::buffer(*text), [&](error_code ec, std::size_t n) {
            sent = !ec;
            BOOST_TEST(n == (ec ? 0u : 100u));
        });
        ioc.restart();
        ioc.poll();
        std::thread drain([fd = read_end.get()] {
            std::array<char, 4096> part;
            for (int i = 0; i < 4; ++i)
                check_call(::read(fd, part.data(), part.size()), "read", fd);
        });
        pipe.cancel();
        *text = std::string(100, '!');
        drain.join();
        ioc.restart();
        ioc.run();
        pipe.close();
        const std::string rest = read_to_end(read_end.get());
        BOOST_TEST(static_cast<bool>(std::count(rest.begin(), rest.end(), 't') == 100) == sent);
        BOOST_TEST(rest.find('!') == std::string::npos);
    }
}

/// Numbers through a pipe, the reads cancelled from another thread than the one
/// that runs them.
BOOST_AUTO_TEST_CASE(reads_cancelled_from_another_thread_lose_nothing)
{
    constexpr std::uint32_t numbers = 20'000;
    constexpr int cancellations = 1000;
    for (const int hint : {1, -1}) {
        context ioc(hint);
        auto [read_end, write_end] = test_support::pipe_descriptor_pair();
        readable_pipe pipe(ioc, read_end.release());
        test_support::running_context running(ioc);
        std::thread sender([fd = std::move(write_end)] {
            for (std::uint32_t i = 0; i < numbers; ++i)
                check_call(::write(fd.get(), &i, sizeof i), "write", fd.get());
        });
        std::string got;
        bool ended = false;
        std::array<char, 512> buffer;
        for (int i = 0; !ended; ++i) {
            std::promise<void> done;
            pipe.async_read_some(net::buffer(buffer), [&](error_code ec, std::size_t n) {
                got.append(buffer.data(), n);
                ended = ec == net::error::eof;
                done.set_value();
            });
            if (i < cancellations)
                pipe.cancel();
            test_support::wait_for(done.get_future());
        }
        sender.join();
        BOOST_REQUIRE(got.size() == numbers * sizeof(std::uint32_t));
        for (std::uint32_t i = 0; i < numbers; ++i) {
            std::uint32_t number = 0;
            std::memcpy(&number, got.data() + i * sizeof number, sizeof number);
            BOOST_REQUIRE(number == i);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace kernel
