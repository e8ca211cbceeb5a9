// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"
#include "piped_ring.hpp"
#include "task.hpp"

#include "support/child_process.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstdlib>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

// Who is told of what a ring without Asio has done: callbacks, coroutines, and several threads.
namespace kernel {
namespace {

using namespace std::chrono_literals;
using namespace safer_ring;

BOOST_AUTO_TEST_SUITE(who_drives_a_ring, *needs_io_uring)

BOOST_FIXTURE_TEST_CASE(callbacks_are_called_by_who_polls_or_runs, piped)
{
    std::string order;
    read().submit().then([&](operation<ops::read, completed> done) {
        auto [result, buffer] = std::move(done).take();
        order += buffer.text();
        write("again").submit().then(
            [&](operation<ops::write<owned_buffer>, completed>) { order += " written"; });
    });
    BOOST_TEST(ring.poll() == 0U);
    BOOST_TEST(write("first").submit().wait().result().value() == 5U);
    BOOST_TEST(order.empty()); // Not by who waits.
    BOOST_TEST(ring.run() == 2U);
    BOOST_TEST(order == "first written");
    BOOST_TEST(ring.run_one(0s) == 0U);
}

BOOST_FIXTURE_TEST_CASE(coroutines_wait_for_operations, piped)
{
    std::string got;
    const task reads = [](piped& p, std::string& into) -> task {
        for (int i = 0; i < 3; ++i) {
            auto [result, buffer] = (co_await p.read().submit()).take();
            into += buffer.text();
        }
    }(*this, got);
    const task writes = [](piped& p) -> task {
        for (const char* text : {"a", "b", "c"}) {
            const auto written = (co_await p.write(text).submit()).result();
            BOOST_TEST(written.value() == 1U);
            co_await p.ring.timeout(1ms).submit();
        }
    }(*this);
    ring.run();
    BOOST_TEST(got == "abc");
    BOOST_TEST(all_back());
}

BOOST_FIXTURE_TEST_CASE(coroutine_destroyed_while_it_waits_gives_its_buffer_back, piped)
{
    task waiting = [](piped& p) -> task { co_await p.read().submit(); }(*this);
    ring.flush();
    waiting.reset();
    BOOST_TEST(ring.in_flight() == 0U);
    BOOST_TEST(all_back());
    BOOST_TEST(ring.run() == 0U);
}

BOOST_AUTO_TEST_CASE(threads_submit_wait_and_cancel_at_once)
{
    io_ring ring;
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        auto ends = test_support::pipe_descriptor_pair();
        threads.emplace_back(
            [&ring, &wrong, reader = std::move(ends.first), writer = std::move(ends.second)] {
                for (int i = 0; i < 200; ++i) {
                    auto reading = ring.read(reader.get(), owned_buffer(8)).submit();
                    if (i % 3 == 0) {
                        reading.cancel();
                        wrong += std::move(reading).wait().result() ? 1 : 0;
                        continue;
                    }
                    auto writing = ring.write(writer.get(), owned_buffer::copy_of("x")).submit();
                    wrong += std::move(reading).wait().take().second.text() == "x" ? 0 : 1;
                    wrong += std::move(writing).wait().result() ? 0 : 1;
                }
            });
    }
    for (std::thread& t : threads)
        t.join();
    BOOST_TEST(wrong == 0);
    BOOST_TEST(ring.in_flight() == 0U);
}

BOOST_FIXTURE_TEST_CASE(operation_of_a_thread_that_has_exited_goes_on, piped)
{
    std::optional<operation<ops::read, submitted>> reading;
    std::thread([&] {
        reading.emplace(read().submit());
        ring.flush();
    }).join();
    BOOST_TEST(::write(writer.get(), "later", 5) == 5);
    BOOST_TEST(std::move(*reading).wait().take().second.text() == "later");
}

BOOST_AUTO_TEST_CASE(ring_destroyed_while_another_thread_is_in_a_callback_stops_the_program)
{
    const std::string said = test_support::last_words([] {
        std::optional<io_ring> ring(std::in_place);
        std::promise<void> begun, never;
        ring->nop().submit().then([&](auto) {
            begun.set_value();
            never.get_future().wait();
        });
        std::thread runner([&] { ring->run(); });
        begun.get_future().wait();
        ring.reset();
        never.set_value();
        runner.join();
    });
    BOOST_TEST(said.find("a ring is destroyed while a thread waits for it, or drives it") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(callback_may_exit_beside_a_ring_that_is_static)
{
    const auto [said, status] = test_support::in_a_child([] {
        static io_ring ring;
        ring.nop().submit().then([](auto) { std::exit(7); });
        ring.run();
    });
    BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 7), said);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
