// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/test/unit_test.hpp>
#include <boost/version.hpp>

#include <array>
#include <exception>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>

// Coroutines and the other completion tokens.
namespace conformance {
namespace {

using namespace std::chrono_literals;
using test_support::connect_to_peer;
using test_support::connected_pair;
using test_support::handler_checks;
using test_support::io_result;

constexpr auto use_tuple = net::as_tuple(net::use_awaitable);

/// Runs a coroutine to its end and lets its exception out.
template <class Ctx, class Coroutine>
void run_coroutine(Ctx& ctx, Coroutine coroutine)
{
    std::exception_ptr error;
    bool ended = false;
    net::co_spawn(ctx, std::move(coroutine), [&](std::exception_ptr e) {
        error = e;
        ended = true;
    });
    ctx.restart();
    ctx.run();
    BOOST_TEST(ended);
    if (error)
        std::rethrow_exception(error);
}

BOOST_AUTO_TEST_SUITE(coroutines)

BOOST_AUTO_TEST_CASE_TEMPLATE(coroutines_talk_to_each_other, Ctx, contexts)
{
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    std::string got;
    net::co_spawn(
        ctx,
        [&]() -> net::awaitable<void> {
            auto socket = co_await acceptor.async_accept(net::use_awaitable);
            std::array<char, 64> buffer{};
            for (;;) {
                auto [ec, n] = co_await socket.async_read_some(net::buffer(buffer), use_tuple);
                if (ec)
                    co_return;
                co_await net::async_write(socket, net::buffer(buffer, n), net::use_awaitable);
            }
        },
        net::detached);
    run_coroutine(ctx, [&]() -> net::awaitable<void> {
        BOOST_TEST((co_await net::this_coro::executor == ctx.get_executor()));
        socket_of<Ctx> socket(ctx);
        co_await socket.async_connect(acceptor.local_endpoint(), net::use_awaitable);
        std::array<char, 5> buffer{};
        for (int i = 0; i < 100; ++i) {
            co_await net::async_write(socket, net::buffer("hello", 5), net::use_awaitable);
            co_await net::async_read(socket, net::buffer(buffer), net::use_awaitable);
            got.append(buffer.data(), buffer.size());
        }
    });
    BOOST_TEST(got.size() == 500u);
    BOOST_TEST(got.substr(495) == "hello");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(errors_become_exceptions, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    peer.close();
    const auto read = [&, &end = socket]() -> net::awaitable<void> {
        std::array<char, 4> buffer{};
        co_await end.async_read_some(net::buffer(buffer), net::use_awaitable);
    };
    BOOST_CHECK_EXCEPTION(run_coroutine(ctx, read), boost::system::system_error,
                          [](const auto& e) { return e.code() == net::error::eof; });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(exception_of_a_detached_coroutine_leaves_run, Ctx, contexts)
{
    Ctx ctx;
    net::co_spawn(
        ctx,
        []() -> net::awaitable<void> {
            throw std::runtime_error("thrown");
            co_return;
        },
        [](std::exception_ptr e) {
            if (e)
                std::rethrow_exception(e);
        });
    BOOST_CHECK_THROW(ctx.run(), std::runtime_error);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(redirected_errors_do_not_throw, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    peer.write("data");
    peer.close();
    run_coroutine(ctx, [&, &end = socket]() -> net::awaitable<void> {
        std::array<char, 16> buffer{};
        error_code ec = test_support::garbage_error();
        const auto n = co_await net::async_read(end, net::buffer(buffer),
                                                net::redirect_error(net::use_awaitable, ec));
        BOOST_TEST(ec == net::error::eof);
        BOOST_TEST(n == 4u);
    });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(coroutine_runs_on_its_executor, Ctx, contexts)
{
    Ctx ctx;
    strand_of<Ctx> strand(ctx.get_executor());
    bool inside_before = false;
    bool inside_behind = false;
    net::co_spawn(
        strand,
        [&]() -> net::awaitable<void> {
            inside_before = strand.running_in_this_thread();
            timer_of<Ctx> timer(ctx, 1ms);
            co_await timer.async_wait(net::use_awaitable);
            inside_behind = strand.running_in_this_thread();
        },
        net::detached);
    ctx.run();
    BOOST_TEST(inside_before);
    BOOST_TEST(inside_behind);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(coroutine_moves_between_contexts, Ctx, contexts)
{
    Ctx ctx, other;
    test_support::running_context runner(other);
    std::thread::id here, there;
    const auto id = runner.id();
    run_coroutine(ctx, [&]() -> net::awaitable<void> {
        co_await net::post(net::bind_executor(other, net::use_awaitable));
        there = std::this_thread::get_id();
        co_await net::post(net::bind_executor(ctx, net::use_awaitable));
        here = std::this_thread::get_id();
    });
    runner.join();
    BOOST_TEST((there == id));
    BOOST_TEST((here == std::this_thread::get_id()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_ends_a_spawned_coroutine, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    net::cancellation_signal signal;
    error_code seen = test_support::garbage_error();
    net::co_spawn(
        ctx,
        [&, &end = socket]() -> net::awaitable<void> {
            std::array<char, 4> buffer{};
            auto [ec, n] = co_await end.async_read_some(net::buffer(buffer), use_tuple);
            seen = ec;
        },
        net::bind_cancellation_slot(signal.slot(), net::detached));
    ctx.poll();
    signal.emit(net::cancellation_type::terminal);
    ctx.restart();
    ctx.run();
    BOOST_TEST(seen == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(first_of_two_awaited_cancels_the_other, Ctx, contexts)
{
    using namespace net::experimental::awaitable_operators;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    run_coroutine(ctx, [&, &end = socket, &other_end = peer]() -> net::awaitable<void> {
        std::array<char, 4> buffer{};
        timer_of<Ctx> timer(ctx, 1ms);
        auto late = co_await (end.async_read_some(net::buffer(buffer), net::use_awaitable) ||
                              timer.async_wait(net::use_awaitable));
        BOOST_TEST(late.index() == 1u);
        timer.expires_after(1h);
        other_end.write("data");
        auto in_time = co_await (end.async_read_some(net::buffer(buffer), net::use_awaitable) ||
                                 timer.async_wait(net::use_awaitable));
        BOOST_TEST(in_time.index() == 0u);
        BOOST_TEST(std::get<0>(in_time) == 4u);
    });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(two_awaited_together_complete_together, Ctx, contexts)
{
    using namespace net::experimental::awaitable_operators;
    Ctx ctx;
    auto ends = connected_pair<socket_of<Ctx>>(ctx);
    run_coroutine(ctx, [&]() -> net::awaitable<void> {
        std::array<char, 5> buffer{};
        auto [read, written] =
            co_await (net::async_read(ends.first, net::buffer(buffer), net::use_awaitable) &&
                      net::async_write(ends.second, net::buffer("hello", 5), net::use_awaitable));
        BOOST_TEST(read == 5u);
        BOOST_TEST(written == 5u);
    });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(parallel_group_reports_all_results_in_order, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    timer_of<Ctx> timer(ctx, 1ms);
    std::array<char, 4> buffer{};
    error_code read_error, timer_error = test_support::garbage_error();
    std::array<std::size_t, 2> completed{};
    net::experimental::make_parallel_group(
        [&, &end = socket](auto token) {
            return end.async_read_some(net::buffer(buffer), std::move(token));
        },
        [&](auto token) { return timer.async_wait(std::move(token)); })
        .async_wait(net::experimental::wait_for_one(),
                    checks.once([&](std::array<std::size_t, 2> order, error_code read, std::size_t,
                                    error_code wait) {
                        completed = order;
                        read_error = read;
                        timer_error = wait;
                    }));
    ctx.run();
    BOOST_TEST(completed[0] == 1u);
    BOOST_TEST(read_error == net::error::operation_aborted);
    BOOST_TEST(timer_error == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(deferred_operations_start_when_they_are_called, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 4> buffer{};
    auto read = socket.async_read_some(net::buffer(buffer), net::deferred);
    BOOST_TEST(ran(ctx, ctx.poll(), 0u));
    BOOST_TEST(ctx.stopped());
    ctx.restart();
    io_result result;
    std::move(read)(checks.into(result));
    peer.write("data");
    ctx.run();
    BOOST_TEST(result.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(deferred_operations_are_awaited, Ctx, contexts)
{
    Ctx ctx;
    timer_of<Ctx> timer(ctx, 1ms);
    run_coroutine(ctx, [&]() -> net::awaitable<void> {
        co_await timer.async_wait(net::deferred);
        auto [ec] = co_await timer.async_wait(net::as_tuple(net::deferred));
        BOOST_TEST(ec == error_code());
    });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(futures_carry_results_and_errors, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 4> buffer{};
    auto read = socket.async_read_some(net::buffer(buffer), net::use_future);
    auto end = socket.async_read_some(net::buffer(buffer), net::use_future);
    auto written = net::async_write(socket, net::buffer("x", 1), net::use_future);
    auto value = net::post(ctx, net::use_future([] { return 42; }));
    peer.write("data");
    peer.shutdown_write();
    ctx.run();
    BOOST_TEST(read.get() == 4u);
    BOOST_TEST(written.get() == 1u);
    BOOST_TEST(value.get() == 42);
    BOOST_CHECK_EXCEPTION(end.get(), boost::system::system_error,
                          [](const auto& e) { return e.code() == net::error::eof; });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(future_of_a_destroyed_context_is_broken, Ctx, contexts)
{
    std::future<void> wait;
    {
        Ctx ctx;
        timer_of<Ctx> timer(ctx, 1h);
        wait = timer.async_wait(net::use_future);
        ctx.poll();
    }
    BOOST_CHECK_THROW(wait.get(), std::future_error);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(adapted_tokens_pass_their_values, Ctx, contexts)
{
    Ctx ctx;
    timer_of<Ctx> timer(ctx, 1ms);
    int appended = 0;
    int prepended = 0;
    timer.async_wait(net::append([&](error_code, int n) { appended = n; }, 1));
    timer.async_wait(net::prepend([&](int n, error_code) { prepended = n; }, 2));
    ctx.run();
    BOOST_TEST(appended == 1);
    BOOST_TEST(prepended == 2);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(channel_carries_values_between_coroutines, Ctx, contexts)
{
    using channel =
        net::experimental::basic_channel<executor_of<Ctx>, net::experimental::channel_traits<>,
                                         void(error_code, int)>;
    Ctx ctx;
    channel values(ctx.get_executor(), 2);
    int sum = 0;
    net::co_spawn(
        ctx,
        [&]() -> net::awaitable<void> {
            for (int i = 1; i <= 10; ++i)
                co_await values.async_send(error_code(), i, net::use_awaitable);
        },
        net::detached);
    run_coroutine(ctx, [&]() -> net::awaitable<void> {
        for (int i = 1; i <= 10; ++i)
            sum += co_await values.async_receive(net::use_awaitable);
    });
    BOOST_TEST(sum == 55);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(executor_may_carry_a_default_token, Ctx, contexts)
{
    Ctx ctx;
    using token = net::as_tuple_t<net::use_awaitable_t<executor_of<Ctx>>>;
    using socket_type = typename token::template as_default_on_t<socket_of<Ctx>>;
    using timer_type = typename token::template as_default_on_t<timer_of<Ctx>>;
    auto [fd, peer_fd] = test_support::tcp_descriptor_pair();
    socket_type socket(ctx, tcp::v4(), fd.release());
    timer_type timer(ctx);
    test_support::blocking_peer peer(std::move(peer_fd));
    peer.write("data");
    std::size_t bytes = 0;
    net::co_spawn(
        ctx,
        [&]() -> net::awaitable<void, executor_of<Ctx>> {
            std::array<char, 16> buffer{};
            timer.expires_after(1ms);
            auto [timer_ec] = co_await timer.async_wait();
            auto [ec, n] = co_await socket.async_read_some(net::buffer(buffer));
            bytes = timer_ec || ec ? 0 : n;
        },
        net::detached);
    ctx.run();
    BOOST_TEST(bytes == 4u);
}

#if BOOST_VERSION >= 108200
BOOST_AUTO_TEST_CASE_TEMPLATE(immediate_completions_use_the_immediate_executor, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx, other;
    socket_of<Ctx> closed(ctx);
    std::array<char, 4> buffer{};
    io_result result;
    closed.async_read_some(net::buffer(buffer),
                           net::bind_immediate_executor(other.get_executor(), checks.into(result)));
    ctx.poll();
    BOOST_TEST(!result.done);
    other.run();
    BOOST_TEST(result.ec == net::error::bad_descriptor);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(immediate_completion_may_be_made_inside_of_the_call, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    socket_of<Ctx> closed(ctx);
    std::array<char, 4> buffer{};
    io_result result;
    closed.async_read_some(net::buffer(buffer), net::bind_immediate_executor(net::system_executor(),
                                                                             checks.into(result)));
    BOOST_TEST(result.done);
    BOOST_TEST(result.ec == net::error::bad_descriptor);
}

/// Sees, before it calls the handler, whether a context has run out of work.
template <typename Ctx>
struct looking_executor {
    template <typename F>
    void execute(F f) const
    {
        other->poll();
        *stopped = other->stopped();
        f();
    }
    bool operator==(const looking_executor&) const noexcept = default;

    Ctx* other;
    bool* stopped;
};

BOOST_AUTO_TEST_CASE_TEMPLATE(immediate_completion_keeps_the_context_of_its_handler_running, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx, other;
    socket_of<Ctx> closed(ctx);
    std::array<char, 4> buffer{};
    io_result result;
    bool stopped = true;
    closed.async_read_some(net::buffer(buffer),
                           net::bind_immediate_executor(
                               looking_executor<Ctx>{&other, &stopped},
                               net::bind_executor(other.get_executor(), checks.into(result))));
    BOOST_TEST(!stopped);
    other.run();
    BOOST_TEST(result.ec == net::error::bad_descriptor);
}
#endif

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
