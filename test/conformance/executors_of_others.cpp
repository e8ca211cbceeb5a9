// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <future>
#include <thread>

// Handlers bound to an executor that is not the I/O object's own: they run
// there, and what they are bound to is kept running until they have.
namespace conformance {
namespace {

using namespace std::chrono_literals;
using test_support::wait_for;

/// A handler bound to `Other` runs there, and `Other::run()` does not return
/// before it has.
template <class Ctx, class Other>
void read_completes_on_another_context()
{
    Ctx ctx;
    Other other;
    auto [socket, peer] = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    std::promise<std::thread::id> called_in;
    auto called = called_in.get_future();
    socket.async_read_some(net::buffer(buffer),
                           net::bind_executor(other.get_executor(), [&](error_code, std::size_t) {
                               called_in.set_value(std::this_thread::get_id());
                           }));
    std::promise<std::thread::id> id;
    auto runner = std::async(std::launch::async, [&] {
        id.set_value(std::this_thread::get_id());
        return other.run();
    });
    ctx.poll();
    BOOST_TEST((runner.wait_for(5ms) == std::future_status::timeout));
    peer.write("hello");
    ctx.restart();
    ctx.run();
    BOOST_TEST((wait_for(called) == id.get_future().get()));
    BOOST_TEST(wait_for(runner) == 1u);
}

BOOST_AUTO_TEST_SUITE(executors_of_others)

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_bound_to_a_second_context_runs_there, Ctx, contexts)
{
    read_completes_on_another_context<Ctx, Ctx>();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_bound_to_a_context_of_asio_runs_there, Ctx, contexts)
{
    read_completes_on_another_context<Ctx, net::io_context>();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_of_asios_socket_runs_on_this_context, Ctx, contexts)
{
    read_completes_on_another_context<net::io_context, Ctx>();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timer_handler_bound_to_a_second_context_keeps_it_running, Ctx,
                              contexts)
{
    test_support::handler_checks checks;
    Ctx ctx;
    Ctx other;
    timer_of<Ctx> timer(ctx, 1h);
    test_support::io_result result;
    timer.async_wait(net::bind_executor(other.get_executor(), checks.into(result)));
    other.poll();
    BOOST_TEST(!other.stopped());
    timer.cancel();
    ctx.run();
    BOOST_TEST(!result.done);
    BOOST_TEST(ran(other, other.run(), 1u));
    BOOST_TEST(result.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(posted_function_bound_to_a_second_context_keeps_it_running, Ctx,
                              contexts)
{
    Ctx ctx;
    Ctx other;
    bool called = false;
    net::post(ctx, net::bind_executor(other.get_executor(), [&] { called = true; }));
    other.poll();
    BOOST_TEST(!other.stopped());
    ctx.run();
    BOOST_TEST(!called);
    BOOST_TEST(ran(other, other.run(), 1u));
    BOOST_TEST(called);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(immediate_completion_goes_to_the_bound_context_too, Ctx, contexts)
{
    test_support::handler_checks checks;
    Ctx ctx;
    Ctx other;
    socket_of<Ctx> closed(ctx);
    std::array<char, 4> buffer{};
    test_support::io_result result;
    closed.async_read_some(net::buffer(buffer),
                           net::bind_executor(other.get_executor(), checks.into(result)));
    ctx.run();
    BOOST_TEST(!result.done);
    other.run();
    BOOST_TEST(result.ec == net::error::bad_descriptor);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_bound_to_a_thread_pool_runs_there, Ctx, contexts)
{
    net::thread_pool pool(1);
    Ctx ctx;
    auto [socket, peer] = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    std::promise<bool> in_pool;
    socket.async_read_some(net::buffer(buffer),
                           net::bind_executor(pool.get_executor(), [&](error_code, std::size_t) {
                               in_pool.set_value(pool.get_executor().running_in_this_thread());
                           }));
    peer.write("hello");
    ctx.run();
    BOOST_TEST(wait_for(in_pool.get_future()));
    pool.join();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_bound_to_the_system_executor_runs_elsewhere, Ctx, contexts)
{
    Ctx ctx;
    timer_of<Ctx> timer(ctx, 1ms);
    std::promise<error_code> called;
    timer.async_wait(
        net::bind_executor(net::system_executor(), [&](error_code ec) { called.set_value(ec); }));
    ctx.run();
    BOOST_TEST(wait_for(called.get_future()) == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_bound_to_a_strand_runs_inside_of_it, Ctx, contexts)
{
    test_support::handler_checks checks;
    Ctx ctx;
    strand_of<Ctx> strand(ctx.get_executor());
    auto [socket, peer] = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    bool inside = false;
    socket.async_read_some(net::buffer(buffer),
                           net::bind_executor(strand, checks.once([&](error_code, std::size_t) {
                               inside = strand.running_in_this_thread();
                           })));
    peer.write("hello");
    ctx.run();
    BOOST_TEST(inside);
}

// Boost 1.87 has neither the hook nor, without a warning, the function any more.
#if BOOST_ASIO_VERSION < 103400 && defined(BOOST_ASIO_HAS_HANDLER_HOOKS) &&                        \
    !defined(BOOST_ASIO_NO_DEPRECATED)
BOOST_AUTO_TEST_CASE_TEMPLATE(steps_of_an_operation_run_on_the_old_strand_of_its_handler, Ctx,
                              contexts)
{
    Ctx ctx;
    auto [socket, peer] = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
    typename Ctx::strand strand(ctx);
    std::array<char, 4> text{};
    int steps = 0;
    test_support::io_result read;
    net::async_read(
        socket, net::buffer(text),
        [&](error_code, std::size_t n) {
            if (n != 0) {
                ++steps;
                BOOST_TEST(strand.running_in_this_thread());
            }
            return text.size() - n;
        },
        strand.wrap([&](error_code ec, std::size_t n) {
            BOOST_TEST(strand.running_in_this_thread());
            read.store(ec, n);
        }));
    for (int i = 1; i < 4; ++i) {
        peer.write("x");
        test_support::run_until(ctx, [&] { return steps == i; });
    }
    peer.write("x");
    test_support::run_until_done(ctx, read);
    BOOST_TEST(read.bytes == 4u);
}
#endif

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_bound_to_any_io_executor_of_the_same_context_runs, Ctx,
                              contexts)
{
    test_support::handler_checks checks;
    Ctx ctx;
    const net::any_io_executor any = ctx.get_executor();
    auto [socket, peer] = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    test_support::io_result result;
    socket.async_read_some(net::buffer(buffer), net::bind_executor(any, checks.into(result)));
    peer.write("hello");
    ctx.run();
    BOOST_TEST(result.bytes == 5u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_bound_to_an_executor_that_never_blocks_is_queued, Ctx,
                              contexts)
{
    test_support::handler_checks checks;
    Ctx ctx;
    const auto never = net::require(ctx.get_executor(), net::execution::blocking.never);
    timer_of<Ctx> timer(ctx, 1ms);
    test_support::io_result result;
    timer.async_wait(net::bind_executor(never, checks.into(result)));
    ctx.run();
    BOOST_TEST(result.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sockets_of_two_contexts_talk_to_each_other, Ctx, contexts)
{
    test_support::handler_checks checks;
    Ctx ctx;
    net::io_context other;
    auto [first, second] = test_support::tcp_descriptor_pair();
    socket_of<Ctx> ours(ctx, tcp::v4(), first.release());
    socket_of<net::io_context> theirs(other, tcp::v4(), second.release());
    test_support::io_result wrote;
    test_support::io_result read;
    std::array<char, 8> buffer{};
    net::async_write(theirs, net::buffer("12345678", 8), checks.into(wrote));
    net::async_read(ours, net::buffer(buffer), checks.into(read));
    other.run();
    ctx.run();
    BOOST_TEST(wrote.bytes == 8u);
    BOOST_TEST(read.bytes == 8u);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
