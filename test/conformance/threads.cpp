// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

// Any thread may run a context, leave it, exit, and leave the rest to others.
namespace conformance {
namespace {

using namespace std::chrono_literals;
using test_support::handler_checks;
using test_support::io_result;
using test_support::wait_for;

/// Runs `function` on a thread of its own and waits until that has exited.
template <class Function>
void on_a_thread(Function function)
{
    std::thread(std::move(function)).join();
}

BOOST_AUTO_TEST_SUITE(threads)

/// Also of what goes to the kernel while it waits for the end of others there.
BOOST_AUTO_TEST_CASE_TEMPLATE(close_on_another_thread_than_runs_ends_what_has_just_begun, Ctx,
                              contexts)
{
    Ctx ctx;
    auto work = net::make_work_guard(ctx);
    std::thread running([&] { ctx.run(); });
    for (int round = 0; round < 50; ++round) {
        auto [socket, peer] = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 8> buffer{};
        std::atomic<int> aborted{0};
        const auto end = [&](error_code ec) {
            aborted += ec == net::error::operation_aborted ? 1 : 0;
        };
        socket.async_wait(net::socket_base::wait_error, end);
        std::atomic<bool> turned{false}; // It is in the kernel, or about to be.
        net::post(ctx, [&] { turned = true; });
        while (!turned)
            std::this_thread::yield();
        socket.async_read_some(net::buffer(buffer), [&](error_code ec, std::size_t) { end(ec); });
        socket.close();
        while (aborted != 2)
            std::this_thread::yield();
    }
    work.reset();
    running.join();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(poll_in_one_thread_and_run_in_another, Ctx, contexts)
{
    for (const int hint : {1, 2}) {
        handler_checks checks;
        Ctx ctx(hint);
        auto [socket, peer] = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 8> buffer{};
        io_result result;
        on_a_thread([&] { ctx.poll(); });
        ctx.restart();
        socket.async_read_some(net::buffer(buffer), checks.into(result));
        on_a_thread([&] { ctx.poll(); });
        BOOST_TEST(!result.done);
        peer.write("hello");
        on_a_thread([&] { ctx.run(); });
        BOOST_TEST(result.ec == error_code());
        BOOST_TEST(result.bytes == 5u);
    }
}

/// What a thread starts and leaves pending when it exits.
template <class Ctx>
struct pending_operations {
    explicit pending_operations(Ctx& ctx)
        : acceptor(loopback_acceptor(ctx)),
          connection(test_support::connect_to_peer<socket_of<Ctx>>(ctx)), accepted(ctx), timer(ctx)
    {
    }

    void start(handler_checks& checks)
    {
        connection.socket.async_read_some(net::buffer(buffer), checks.into(read));
        acceptor.async_accept(accepted, checks.into(accept));
        timer.expires_after(20ms);
        timer.async_wait(checks.into(wait));
    }

    void expect_success() const
    {
        BOOST_TEST(read.ec == error_code());
        BOOST_TEST(std::string(buffer.data(), read.bytes) == "data");
        BOOST_TEST(accept.ec == error_code());
        BOOST_TEST(accepted.is_open());
        BOOST_TEST(wait.ec == error_code());
    }

    acceptor_of<Ctx> acceptor;
    test_support::socket_and_peer<socket_of<Ctx>> connection;
    socket_of<Ctx> accepted;
    timer_of<Ctx> timer;
    std::array<char, 8> buffer{};
    io_result read, accept, wait;
};

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_outlive_the_thread_that_ran_first, Ctx, contexts)
{
    for (const int hint : {1, 2}) {
        handler_checks checks;
        Ctx ctx(hint);
        pending_operations<Ctx> pending(ctx);
        on_a_thread([&] {
            net::post(ctx, [&] {
                pending.start(checks);
                net::post(ctx, [&] { ctx.stop(); });
            });
            ctx.run();
        });
        pending.connection.peer.write("data");
        const auto client = test_support::loopback_client(pending.acceptor.local_endpoint().port());
        ctx.restart();
        on_a_thread([&] { ctx.run(); });
        pending.expect_success();
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_outlive_a_thread_that_waited_for_them, Ctx, contexts)
{
    for (const int hint : {1, 2}) {
        handler_checks checks;
        Ctx ctx(hint);
        pending_operations<Ctx> pending(ctx);
        pending.start(checks);
        on_a_thread([&] { ctx.run_for(2ms); });
        on_a_thread([&] { ctx.run_for(2ms); });
        pending.connection.peer.write("data");
        const auto client = test_support::loopback_client(pending.acceptor.local_endpoint().port());
        on_a_thread([&] { ctx.run(); });
        pending.expect_success();
    }
}

/// A connection that echoes until it has carried a number of round trips.
template <class Ctx>
struct ping_pong {
    explicit ping_pong(Ctx& ctx, int trips)
        : ends(test_support::connected_pair<socket_of<Ctx>>(ctx)), left(trips)
    {
    }

    void start(std::atomic<int>& finished)
    {
        finished_ = &finished;
        send(ends.first, ends.second);
    }

    void send(socket_of<Ctx>& from, socket_of<Ctx>& to)
    {
        net::async_write(from, net::buffer(byte_), [&](error_code ec, std::size_t) {
            if (ec)
                return fail();
            net::async_read(to, net::buffer(byte_), [&](error_code ec2, std::size_t) {
                if (ec2)
                    return fail();
                if (--left == 0)
                    ++*finished_;
                else
                    send(to, from);
            });
        });
    }

    void fail() { ++errors; }

    std::pair<socket_of<Ctx>, socket_of<Ctx>> ends;
    std::atomic<int> left;
    std::atomic<int> errors{0};

private:
    std::array<char, 1> byte_{'x'};
    std::atomic<int>* finished_ = nullptr;
};

BOOST_AUTO_TEST_CASE_TEMPLATE(four_threads_run_and_leave_while_there_is_traffic, Ctx, contexts)
{
    constexpr int connections = 16;
    Ctx ctx(4);
    std::deque<ping_pong<Ctx>> traffic;
    std::atomic<int> finished{0};
    for (int i = 0; i < connections; ++i)
        traffic.emplace_back(ctx, 200).start(finished);
    std::vector<std::thread> slots;
    for (int slot = 0; slot < 4; ++slot)
        slots.emplace_back([&, slot] {
            // Every visit to the context is made by a new thread, and they leave
            // after different numbers of handlers.
            while (finished < connections && !ctx.stopped())
                on_a_thread([&] {
                    for (int n = 0; n < 20 * (slot + 1); ++n)
                        ctx.run_one_for(50ms);
                });
        });
    for (auto& thread : slots)
        thread.join();
    BOOST_TEST(finished == connections);
    for (auto& one : traffic) {
        BOOST_TEST(one.errors == 0);
        BOOST_TEST(one.left == 0);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(run_in_four_threads_returns_in_all_of_them, Ctx, contexts)
{
    Ctx ctx;
    std::atomic<int> finished{0};
    ping_pong<Ctx> traffic(ctx, 500);
    traffic.start(finished);
    std::atomic<std::size_t> handlers{0};
    std::vector<std::thread> runners;
    for (int i = 0; i < 4; ++i)
        runners.emplace_back([&] { handlers += ctx.run(); });
    for (auto& thread : runners)
        thread.join();
    BOOST_TEST(finished == 1);
    BOOST_TEST((handlers >= 1000u || !counts_handlers<Ctx>));
    BOOST_TEST(ctx.stopped());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_may_wait_for_what_a_second_thread_completes, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    std::promise<std::size_t> received;
    socket.async_read_some(net::buffer(buffer),
                           [&](error_code, std::size_t n) { received.set_value(n); });
    std::promise<void> blocking;
    std::atomic<std::size_t> seen{0};
    net::post(ctx, [&] {
        auto future = received.get_future();
        blocking.set_value();
        if (future.wait_for(test_support::watchdog_time) == std::future_status::ready)
            seen = future.get();
    });
    std::thread first([&] { ctx.run(); });
    std::thread second([&] { ctx.run(); });
    wait_for(blocking.get_future());
    peer.write("hello");
    first.join();
    second.join();
    BOOST_TEST(seen == 5u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_may_start_an_operation_and_wait_for_it, Ctx, contexts)
{
    Ctx ctx;
    auto pair = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    std::promise<void> started;
    std::atomic<bool> in_time{false};
    net::post(ctx, [&] {
        auto read = pair.socket.async_read_some(net::buffer(buffer), net::use_future);
        started.set_value();
        in_time = read.wait_for(test_support::watchdog_time) == std::future_status::ready &&
                  read.get() == 5;
    });
    std::thread first([&] { ctx.run(); });
    std::thread second([&] { ctx.run(); });
    wait_for(started.get_future());
    pair.peer.write("hello");
    first.join();
    second.join();
    BOOST_TEST(in_time);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_may_wait_for_a_posted_function_and_a_timer, Ctx, contexts)
{
    Ctx ctx;
    std::atomic<bool> posted{false};
    std::atomic<bool> timed{false};
    net::post(ctx, [&] {
        auto function = net::post(ctx, net::use_future);
        posted = function.wait_for(test_support::watchdog_time) == std::future_status::ready;
        timer_of<Ctx> timer(ctx, 1ms);
        auto wait = timer.async_wait(net::use_future);
        timed = wait.wait_for(test_support::watchdog_time) == std::future_status::ready;
    });
    std::thread first([&] { ctx.run(); });
    std::thread second([&] { ctx.run(); });
    first.join();
    second.join();
    BOOST_TEST(posted);
    BOOST_TEST(timed);
}

// The handler computes until the other connection has made its round trips.
BOOST_AUTO_TEST_CASE_TEMPLATE(handler_that_computes_does_not_hold_up_a_free_thread, Ctx, contexts)
{
    Ctx ctx;
    std::atomic<int> finished{0};
    ping_pong<Ctx> traffic(ctx, 100);
    std::atomic<bool> seen{false};
    net::post(ctx, [&] {
        traffic.start(finished);
        const auto deadline = std::chrono::steady_clock::now() + test_support::watchdog_time;
        while (finished == 0 && std::chrono::steady_clock::now() < deadline) {
        }
        seen = finished == 1;
    });
    std::thread first([&] { ctx.run(); });
    std::thread second([&] { ctx.run(); });
    first.join();
    second.join();
    BOOST_TEST(seen);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(posts_of_foreign_threads_run_in_the_order_of_each, Ctx, contexts)
{
    constexpr int producers = 4;
    constexpr int each = 25'000;
    for (const int hint : {1, 2}) {
        Ctx ctx(hint);
        auto work = net::make_work_guard(ctx);
        std::array<int, producers> next{};
        int wrong = 0;
        std::atomic<int> running{producers};
        std::vector<std::thread> threads;
        for (int p = 0; p < producers; ++p)
            threads.emplace_back([&, p] {
                for (int i = 0; i < each; ++i)
                    net::post(ctx, [&, p, i] {
                        if (next[static_cast<std::size_t>(p)]++ != i)
                            ++wrong;
                    });
                if (--running == 0)
                    work.reset();
            });
        BOOST_TEST(ran(ctx, ctx.run(), static_cast<std::size_t>(producers * each)));
        for (auto& thread : threads)
            thread.join();
        BOOST_TEST(wrong == 0);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_can_be_started_by_threads_that_do_not_run, Ctx, contexts)
{
    for (const int hint : {1, 2}) {
        handler_checks checks;
        Ctx ctx(hint);
        test_support::running_context runner(ctx);
        for (int i = 0; i < 50; ++i) {
            auto [socket, peer] = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
            std::array<char, 4> buffer{};
            auto read = socket.async_read_some(net::buffer(buffer), net::use_future);
            peer.write("abcd");
            BOOST_TEST(wait_for(read) == 4u);
            auto write = socket.async_write_some(net::buffer(buffer), net::use_future);
            BOOST_TEST(wait_for(write) == 4u);
            BOOST_TEST(peer.read(4) == "abcd");
        }
        runner.join();
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_can_be_cancelled_by_threads_that_do_not_run, Ctx, contexts)
{
    for (const int hint : {1, 2}) {
        Ctx ctx(hint);
        test_support::running_context runner(ctx);
        for (int i = 0; i < 50; ++i) {
            auto [socket, peer] = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
            std::array<char, 4> buffer{};
            std::promise<error_code> read;
            std::promise<error_code> waited;
            socket.async_read_some(net::buffer(buffer),
                                   [&](error_code ec, std::size_t) { read.set_value(ec); });
            timer_of<Ctx> timer(ctx, 1h);
            timer.async_wait([&](error_code ec) { waited.set_value(ec); });
            socket.cancel();
            timer.cancel();
            BOOST_TEST(wait_for(read.get_future()) == net::error::operation_aborted);
            BOOST_TEST(wait_for(waited.get_future()) == net::error::operation_aborted);
        }
        runner.join();
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(strand_serialises_in_four_threads, Ctx, contexts)
{
    constexpr int count = 5000;
    Ctx ctx;
    strand_of<Ctx> strand(ctx.get_executor());
    int unguarded = 0;
    std::atomic<int> inside{0};
    std::atomic<int> overlaps{0};
    for (int i = 0; i < count; ++i)
        net::post(ctx, [&] {
            net::post(strand, [&] {
                if (++inside != 1)
                    ++overlaps;
                ++unguarded;
                --inside;
            });
        });
    std::vector<std::thread> runners;
    for (int i = 0; i < 4; ++i)
        runners.emplace_back([&] { ctx.run(); });
    for (auto& thread : runners)
        thread.join();
    BOOST_TEST(overlaps == 0);
    BOOST_TEST(unguarded == count);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(socket_on_a_strand_is_serialised_with_the_strand, Ctx, contexts)
{
    Ctx ctx;
    strand_of<Ctx> strand(ctx.get_executor());
    using strand_socket = net::basic_stream_socket<tcp, strand_of<Ctx>>;
    auto [first, second] = test_support::tcp_descriptor_pair();
    strand_socket socket(strand, tcp::v4(), first.release());
    test_support::blocking_peer peer(std::move(second));
    std::array<char, 1> byte{};
    int unguarded = 0;
    std::function<void()> read = [&] {
        socket.async_read_some(net::buffer(byte), [&](error_code ec, std::size_t) {
            ++unguarded;
            if (!ec)
                read();
        });
    };
    net::dispatch(strand, read);
    for (int i = 0; i < 2000; ++i)
        net::post(strand, [&] { ++unguarded; });
    std::vector<std::thread> runners;
    for (int i = 0; i < 4; ++i)
        runners.emplace_back([&] { ctx.run(); });
    for (int i = 0; i < 200; ++i)
        peer.write("x");
    peer.close();
    for (auto& thread : runners)
        thread.join();
    BOOST_TEST(unguarded >= 2002);
}

/// An executor of `ctx` that counts as work.
template <class Ctx>
auto tracked_executor(Ctx& ctx)
{
    return net::prefer(ctx.get_executor(), net::execution::outstanding_work.tracked);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(work_tracked_by_executors_ends_in_the_handler_that_drops_them, Ctx,
                              contexts)
{
    for (const int hint : {1, 2}) {
        Ctx ctx(hint);
        using tracked = decltype(tracked_executor(ctx));
        std::vector<tracked> kept(5, tracked_executor(ctx));
        std::optional<tracked> last;
        net::post(ctx, [&] {
            last = kept.back();
            kept.clear();
            const std::vector<tracked> copies(3, *last);
        });
        BOOST_TEST(ctx.poll() == 1u);
        BOOST_TEST(!ctx.stopped());
        net::post(ctx, [&] {
            const tracked copy = *last;
            last.reset();
        });
        BOOST_TEST(ctx.run() == 1u); // It returns: nothing is left to do.
        BOOST_TEST(ctx.stopped());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(work_that_a_handler_tracks_may_end_on_another_thread, Ctx, contexts)
{
    for (const int hint : {1, 2}) {
        Ctx ctx(hint);
        using tracked = decltype(tracked_executor(ctx));
        std::vector<tracked> kept(2, tracked_executor(ctx));
        int handlers = 0;
        net::post(ctx, [&] {
            kept.pop_back();
            std::vector<tracked> copies(4, kept.back());
            on_a_thread([&] {
                copies.clear();
                kept.clear();
            });
            // The handler is work itself, so that the context is not out of it yet.
            BOOST_TEST(!ctx.stopped());
            net::post(ctx, [&] { ++handlers; });
            ++handlers;
        });
        ctx.run();
        BOOST_TEST(handlers == 2);
        BOOST_TEST(ctx.stopped());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(work_that_a_handler_begins_counts_to_the_last_of_it, Ctx, contexts)
{
    for (const int hint : {1, 2})
        for (const std::size_t count : {1U, 15U, 16U, 17U, 40U}) {
            Ctx ctx(hint);
            std::vector<decltype(tracked_executor(ctx))> kept;
            net::post(ctx, [&] {
                for (std::size_t i = 0; i != count; ++i)
                    kept.push_back(tracked_executor(ctx));
                kept.reserve(2 * kept.capacity()); // They are moved or copied.
            });
            BOOST_TEST(ctx.poll() == 1u);
            net::post(ctx, [&] { kept.erase(kept.begin() + 1, kept.end()); });
            BOOST_TEST(ctx.poll() == 1u);
            BOOST_TEST(!ctx.stopped());
            on_a_thread([&] { kept.clear(); });
            BOOST_TEST(ctx.stopped());
        }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(tracked_work_is_counted_though_handlers_throw_or_run_the_context, Ctx,
                              contexts)
{
    for (const int hint : {1, 2}) {
        Ctx ctx(hint);
        std::vector kept(3, tracked_executor(ctx));
        int inner = 0;
        net::post(ctx, [&] {
            kept.pop_back();
            net::post(ctx, [&] { ++inner; });
            ctx.poll_one();
            kept.pop_back();
        });
        ctx.poll();
        BOOST_TEST(inner == 1);
        BOOST_TEST(!ctx.stopped());
        net::post(ctx, [&] {
            kept.clear();
            throw std::runtime_error("of the handler");
        });
        BOOST_CHECK_THROW(ctx.run(), std::runtime_error);
        BOOST_TEST(ctx.run() == 0u); // It returns: nothing is left to do.
        BOOST_TEST(ctx.stopped());
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
