// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/asio.hpp>

#include "live_bytes.hpp"
#include "soak.hpp"

#include <support/connected_pair.hpp>
#include <support/needs_io_uring.hpp>
#include <support/skip.hpp>
#include <support/watchdog.hpp>

#include <boost/asio.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

// Many connections, for long, and many one after another: a second cycle
// must add nothing to what the first one left behind.

namespace {

namespace net = boost::asio;
using net::ip::tcp;
using socket = net::basic_stream_socket<tcp, safer_ring::executor>;
using acceptor = net::basic_socket_acceptor<tcp, safer_ring::executor>;
using timer =
    net::basic_waitable_timer<std::chrono::steady_clock,
                              net::wait_traits<std::chrono::steady_clock>, safer_ring::executor>;
constexpr auto as_tuple = net::as_tuple(net::use_awaitable);

using stress::is_full_run;

struct usage {
    std::size_t live_bytes;
    std::ptrdiff_t descriptors;

    static usage now()
    {
        const std::filesystem::directory_iterator entries("/proc/self/fd");
        return {stress::live_bytes(), std::distance(begin(entries), end(entries))};
    }
};

net::awaitable<void> echo(socket connection)
{
    std::array<char, 64> data;
    for (;;) {
        auto [ec, n] = co_await connection.async_read_some(net::buffer(data), as_tuple);
        if (ec)
            co_return;
        auto [failed, written] =
            co_await net::async_write(connection, net::buffer(data, n), as_tuple);
        if (failed)
            co_return;
    }
}

net::awaitable<void> accept_all(acceptor& listener)
{
    for (;;) {
        auto [ec, connection] = co_await listener.async_accept(as_tuple);
        if (ec)
            co_return;
        net::co_spawn(listener.get_executor(), echo(std::move(connection)), net::detached);
    }
}

/// `count` clients that each say something `rounds` times, once in `pause`.
net::awaitable<void> visit(tcp::endpoint server, int rounds, std::chrono::milliseconds pause,
                           std::size_t& answers)
{
    const auto ex = co_await net::this_coro::executor;
    auto& context = static_cast<safer_ring::io_context&>(net::query(ex, net::execution::context));
    socket connection(context);
    co_await connection.async_connect(server, net::use_awaitable);
    timer pacing(context);
    for (int i = 0; i < rounds; ++i) {
        const std::array<char, 8> question{"ping..."};
        std::array<char, 8> answer{};
        co_await net::async_write(connection, net::buffer(question), net::use_awaitable);
        co_await net::async_read(connection, net::buffer(answer), net::use_awaitable);
        if (answer == question)
            ++answers;
        if (pause.count() != 0) {
            pacing.expires_after(pause);
            co_await pacing.async_wait(net::use_awaitable);
        }
    }
}

void rethrow(std::exception_ptr e)
{
    if (e)
        std::rethrow_exception(e);
}

/// Clients run in a process of their own: each process may have so many
/// descriptors only.
int run_clients(tcp::endpoint server, int connections, int rounds, std::chrono::milliseconds pause)
{
    safer_ring::io_context context(1);
    std::size_t answers = 0;
    for (int i = 0; i < connections; ++i)
        net::co_spawn(context, visit(server, rounds, pause, answers), rethrow);
    context.run();
    return answers == static_cast<std::size_t>(connections) * static_cast<std::size_t>(rounds) ? 0
                                                                                               : 1;
}

/// Serves a child's clients until it ends; its exit status.
int serve_child(safer_ring::io_context& context, pid_t child)
{
    int status = -1;
    timer check(context);
    const auto poll_child = [&](auto& self) -> void {
        check.expires_after(std::chrono::milliseconds(50));
        check.async_wait([&](boost::system::error_code) {
            if (::waitpid(child, &status, WNOHANG) == child)
                context.stop();
            else
                self(self);
        });
    };
    poll_child(poll_child);
    context.restart();
    context.run();
    check.cancel();
    context.restart();
    context.poll();
    return status;
}

/// One cycle: a child process visits with `connections` clients.
void cycle(safer_ring::io_context& context, const acceptor& listener, int connections, int rounds,
           std::chrono::milliseconds pause)
{
    const tcp::endpoint server = listener.local_endpoint();
    const pid_t child = ::fork();
    if (child == 0) {
        // The ring of the parent is of no use here and is left alone.
        int result = 2;
        try {
            result = run_clients(server, connections, rounds, pause);
        } catch (const std::exception& e) {
            std::cerr << "clients: " << e.what() << '\n';
        }
        ::_exit(result);
    }
    const int status = serve_child(context, child);
    BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    // The last sessions see the end of their streams.
    while (context.poll() != 0)
        context.restart();
}

} // namespace

BOOST_AUTO_TEST_SUITE(connections, *test_support::needs_io_uring)

BOOST_AUTO_TEST_CASE(thousands_kept_open_and_used_leave_nothing_behind, *test_support::takes_long)
{
    const int count = is_full_run() ? 15'000 : 1'500;
    const int rounds = is_full_run() ? 60 : 5;
    const std::chrono::milliseconds pause(is_full_run() ? 1000 : 100);
    if (!test_support::allow_descriptors(static_cast<std::size_t>(count) + 200))
        SAFER_RING_SKIP("RLIMIT_NOFILE is below " + std::to_string(count + 200));

    safer_ring::io_context context(1);
    acceptor listener(context, {net::ip::address_v4::loopback(), 0});
    net::co_spawn(context, accept_all(listener), net::detached);
    // How many operations are under way at once, and with it the size of the
    // tables for them, differs a little from one cycle to the next.
    cycle(context, listener, count, rounds, pause);
    const usage warm = usage::now();
    cycle(context, listener, count, rounds, pause);
    usage first = usage::now();
    first.live_bytes = std::max(first.live_bytes, warm.live_bytes);
    cycle(context, listener, count, rounds, pause);
    const usage second = usage::now();
    std::cout << count << " connections kept open: " << first.live_bytes << " bytes live, then "
              << second.live_bytes << '\n';
    BOOST_TEST(second.live_bytes <= first.live_bytes);
    BOOST_TEST(second.descriptors == first.descriptors);
}

BOOST_AUTO_TEST_CASE(many_one_after_another_leave_nothing_behind, *test_support::takes_long)
{
    const int count = is_full_run() ? 200'000 : 10'000;
    safer_ring::io_context context(1);
    acceptor listener(context, {net::ip::address_v4::loopback(), 0});
    const auto server = listener.local_endpoint();
    net::co_spawn(context, accept_all(listener), net::detached);

    const auto one_after_another = [&](int n) -> net::awaitable<void> {
        std::size_t answers = 0;
        for (int i = 0; i < n; ++i)
            co_await visit(server, 1, std::chrono::milliseconds(0), answers);
        BOOST_TEST(answers == static_cast<std::size_t>(n));
        context.stop();
    };
    const auto run = [&] {
        net::co_spawn(context, one_after_another(count), rethrow);
        context.restart();
        context.run();
        context.restart();
        while (context.poll() != 0)
            context.restart();
        return usage::now();
    };
    run(); // fills caches once
    const usage first = run();
    const usage second = run();
    std::cout << count << " connections one after another: " << first.live_bytes
              << " bytes live, then " << second.live_bytes << '\n';
    BOOST_TEST(second.live_bytes <= first.live_bytes);
    BOOST_TEST(second.descriptors == first.descriptors);
    BOOST_TEST(context.impl().loop().buffers().outstanding() == 0u);
    BOOST_TEST(context.impl().loop().staging().outstanding() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
