// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "streams.hpp"

#include "kernel.hpp"

#include "support/address_space.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <poll.h>
#include <thread>
#include <vector>

#include <unistd.h>

// Streams that one thread has, while another one runs their ring.
namespace kernel {
namespace {

/// Runs the ring until it goes, whether or not somebody waits.
class runner {
public:
    explicit runner(io_ring& ring)
        : thread_([this, &ring] {
              while (!ended_)
                  ring.run();
          })
    {
    }
    ~runner() { end(); }
    void end()
    {
        ended_ = true;
        if (thread_.joinable())
            thread_.join();
    }

private:
    std::atomic<bool> ended_ = false;
    std::thread thread_;
};

/// Lets the other thread get so far as it gets: another point in each round. It does not
/// yield, since on a busy machine that gives up a whole slice of time.
void pass_time(int round)
{
    const auto until = std::chrono::steady_clock::now() + round % 64 * 500ns;
    while (std::chrono::steady_clock::now() < until)
        ;
}

constexpr int rounds = 10000;

BOOST_AUTO_TEST_SUITE(streams_of_threads, *needs_io_uring)

BOOST_AUTO_TEST_CASE(stream_destroyed_while_it_is_about_to_call_back_calls_or_drops_the_callback)
{
    const auto [reader, writer] = test_support::pipe_descriptor_pair();
    BOOST_REQUIRE(::write(writer.get(), "x", 1) == 1); // Readable at once, in each round.
    io_ring ring;
    runner running(ring);
    const auto alive = std::make_shared<int>();
    std::atomic<int> calls = 0, wrong = 0;
    for (int round = 0; round < rounds; ++round) {
        std::optional polling(ring.poll_stream(reader.get(), POLLIN));
        polling->next().then([&, alive](io_result<int> events) {
            ++calls;
            wrong += events.value() == POLLIN ? 0 : 1;
        });
        pass_time(round);
    }
    running.end();
    BOOST_TEST(alive.use_count() == 1);
    BOOST_TEST(calls > 0);
    BOOST_TEST(calls <= rounds);
    BOOST_TEST(wrong == 0);
    BOOST_TEST(ring.shutdown(20s));
}

BOOST_AUTO_TEST_CASE(stream_destroyed_while_a_coroutine_is_about_to_go_on_gives_its_item_or_nothing)
{
    const auto [reader, writer] = test_support::pipe_descriptor_pair();
    BOOST_REQUIRE(::write(writer.get(), "x", 1) == 1);
    io_ring ring;
    std::atomic<int> resumed = 0, wrong = 0;
    std::vector<task> waiting; // They go when nobody resumes them any more.
    {
        const runner running(ring);
        for (int round = 0; round < rounds; ++round) {
            std::optional polling(ring.poll_stream(reader.get(), POLLIN));
            waiting.push_back([](auto& from, auto& count, auto& errors) -> task {
                const io_result<int> events = co_await from.next();
                ++count;
                errors += events.value() == POLLIN ? 0 : 1;
            }(*polling, resumed, wrong));
            pass_time(round);
        }
    }
    BOOST_TEST(resumed > 0);
    BOOST_TEST(wrong == 0);
    BOOST_TEST(ring.shutdown(20s));
}

/// The end is the last that is called for: nothing holds the stream then.
BOOST_AUTO_TEST_CASE(stream_destroyed_while_it_is_about_to_tell_of_its_end_calls_or_drops)
{
    io_ring ring;
    runner running(ring);
    const auto alive = std::make_shared<int>();
    std::atomic<int> calls = 0, wrong = 0;
    for (int round = 0; round < rounds; ++round) {
        std::optional polling(ring.poll_stream(-1, POLLIN));
        polling->next().then([&, alive](io_result<int> events) {
            ++calls;
            wrong += events.code().value() == EBADF ? 0 : 1;
        });
        pass_time(round);
    }
    running.end();
    BOOST_TEST(alive.use_count() == 1);
    BOOST_TEST(calls > 0);
    BOOST_TEST(wrong == 0);
    BOOST_TEST(ring.shutdown(20s));
}

BOOST_AUTO_TEST_CASE(memory_of_buffers_goes_with_the_last_stream_while_another_thread_runs,
                     *needs_buffer_ring)
{
    const auto [reader, writer] = test_support::pipe_descriptor_pair();
    io_ring ring;
    ring.read(reader.get(), owned_buffer(1)).submit().then([](auto) {});
    runner other(ring);
    const auto turns = [&] {
        for (int i = 0; i < 10; ++i)
            BOOST_TEST(ring.nop().submit().wait().result().has_value());
    };
    turns();
    // The allocator has some for each thread as well: a quarter of what is looked for.
    const std::size_t before = test_support::address_space_bytes();
    constexpr std::size_t size_bytes = std::size_t{1} << 22;
    for (const bool stream_goes_first : {true, false}) {
        std::optional<buffer_ring> buffers(std::in_place, ring, 64, size_bytes);
        std::optional<connection> c(std::in_place, ring, *buffers);
        turns();
        if (stream_goes_first)
            c.reset();
        buffers.reset();
        c.reset();
        const auto limit = std::chrono::steady_clock::now() + test_support::watchdog_time / 2;
        while (test_support::address_space_bytes() > before + 32 * size_bytes &&
               std::chrono::steady_clock::now() < limit)
            turns();
        BOOST_TEST(test_support::address_space_bytes() < before + 32 * size_bytes);
    }
    BOOST_TEST(::write(writer.get(), "x", 1) == 1);
    other.end();
    ring.run(); // If that thread has not begun yet.
}

BOOST_AUTO_TEST_CASE(stream_tells_how_much_it_has_while_another_thread_takes_its_end)
{
    io_ring ring;
    for (int i = 0; i < 200; ++i) {
        auto polling = ring.poll_stream(-1, POLLIN);
        std::atomic<bool> is_told = false;
        polling.next().then([&](io_result<int>) { is_told = true; });
        std::thread other([&] { ring.run(); });
        while (!is_told)
            BOOST_TEST_REQUIRE(polling.queued() == 0U);
        other.join();
        BOOST_TEST(polling.is_over());
    }
}

BOOST_AUTO_TEST_CASE(callback_may_destroy_its_stream)
{
    const auto [reader, writer] = test_support::pipe_descriptor_pair();
    BOOST_REQUIRE(::write(writer.get(), "x", 1) == 1);
    io_ring ring;
    for (const int fd : {reader.get(), -1}) { // With an item, and with the end.
        std::optional polling(ring.poll_stream(fd, POLLIN));
        int calls = 0;
        polling->next().then([&](io_result<int>) {
            polling.reset();
            ++calls;
        });
        ring.run();
        BOOST_TEST(calls == 1);
    }
    BOOST_TEST(ring.shutdown(20s));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
