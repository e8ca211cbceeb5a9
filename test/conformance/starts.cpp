// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/manual_clock.hpp"
#include "support/run_until.hpp"
#include "support/socket_path.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <future>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

// Who waits for the effect of what was started, otherwise than by its handler, gets it.
namespace conformance {
namespace {

using base = net::socket_base;
using test_support::connect_to_peer;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

BOOST_AUTO_TEST_SUITE(starts)

/// What a synchronous call waits for may be the write or the connect of another object, that was only
/// started.
BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_calls_see_what_was_started_on_another_object, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    acceptor_of<Ctx> acceptor(ctx, tcp::endpoint(net::ip::address_v4::loopback(), 0));
    socket_of<Ctx> client(ctx);
    io_result connected, first, second;
    client.async_connect(acceptor.local_endpoint(), checks.into(connected));
    socket_of<Ctx> server(ctx);
    acceptor.accept(server);
    run_until_done(ctx, connected);
    BOOST_TEST(connected.ec == error_code());

    std::array<char, 8> buffer{};
    client.async_send(net::buffer("hello", 5), checks.into(first));
    BOOST_TEST(server.receive(net::buffer(buffer)) == 5u);
    BOOST_TEST(std::string(buffer.data(), 5) == "hello");
    run_until_done(ctx, first);
    BOOST_TEST(first.bytes == 5u);

    net::post(ctx, [&] {
        client.async_send(net::buffer("in a handler", 12), checks.into(second));
        server.wait(base::wait_read);
        BOOST_TEST(server.available() == 12u);
    });
    run_until_done(ctx, second);
    BOOST_TEST(second.bytes == 12u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(waiting_for_a_timer_lets_go_what_was_started, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    io_result sent;
    bool was_there = false;
    net::post(ctx, [&, &from = socket, &to = peer] {
        from.async_send(net::buffer("at once", 7), checks.into(sent));
        timer_of<Ctx> timer(ctx, std::chrono::milliseconds(1));
        timer.wait();
        was_there = test_support::wait_ready(to.fd(), POLLIN);
    });
    run_until_done(ctx, sent);
    BOOST_TEST(was_there);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(look_up_lets_go_what_was_started, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    io_result sent;
    bool was_there = false;
    net::post(ctx, [&, &from = socket, &to = peer] {
        from.async_send(net::buffer("at once", 7), checks.into(sent));
        net::ip::basic_resolver<tcp, executor_of<Ctx>>(ctx).resolve("127.0.0.1", "80");
        was_there = test_support::wait_ready(to.fd(), POLLIN);
    });
    run_until_done(ctx, sent);
    BOOST_TEST(was_there);
}

/// The first write finds the pipe full, after which attempts are put off to the end of the turn.
BOOST_AUTO_TEST_CASE_TEMPLATE(read_sees_a_large_write_to_the_same_pipe, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    net::basic_readable_pipe<executor_of<Ctx>> reader(ctx);
    net::basic_writable_pipe<executor_of<Ctx>> writer(ctx);
    net::connect_pipe(reader, writer);
    const std::string much(64 * 1024, '.');
    std::string got(much.size(), '\0');
    io_result first, no_room, written;
    net::post(ctx, [&] {
        writer.async_write_some(net::buffer(much), checks.into(first));
        writer.async_write_some(net::buffer(much), checks.into(no_room));
    });
    run_until_done(ctx, first);
    net::read(reader, net::buffer(got));
    run_until_done(ctx, no_room);
    net::read(reader, net::buffer(got));
    std::size_t read = 0;
    net::post(ctx, [&] {
        writer.async_write_some(net::buffer(much, 8192), checks.into(written));
        read = reader.read_some(net::buffer(got));
    });
    run_until_done(ctx, written);
    BOOST_TEST(written.bytes == 8192u);
    BOOST_TEST(read == 8192u);
}

/// As in a test that starts a client and then waits for the server's thread.
BOOST_AUTO_TEST_CASE_TEMPLATE(write_started_elsewhere_goes_before_the_context_runs, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    io_result before, meanwhile;
    socket.async_send(net::buffer("first", 5), checks.into(before));
    BOOST_TEST(peer.read(5) == "first");
    run_until_done(ctx, before);

    ctx.restart();
    std::promise<void> begun, seen;
    net::post(ctx, [&] {
        begun.set_value();
        seen.get_future().wait();
    });
    std::thread running([&ctx = ctx] { ctx.run(); });
    begun.get_future().wait();
    socket.async_send(net::buffer("while it is busy", 16), checks.into(meanwhile));
    BOOST_TEST(peer.read(16) == "while it is busy");
    seen.set_value();
    running.join();
    BOOST_TEST(meanwhile.bytes == 16u);
}

/// The second write stands behind the first, of which the loop has not heard that it has ended.
BOOST_AUTO_TEST_CASE_TEMPLATE(writes_behind_one_another_go_before_synchronous_calls, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [a, b] = test_support::connected_pair<socket_of<Ctx>>(ctx);
    io_result ends[5];
    std::string got;
    const auto receive = [&, &from = b] {
        std::array<char, 8> buffer{};
        got.append(buffer.data(), from.receive(net::buffer(buffer, 1)));
    };
    net::post(ctx, [&, &to = a] {
        for (int i = 0; i != 3; ++i) {
            to.async_send(net::buffer(&"abc"[i], 1), checks.into(ends[i]));
            receive();
        }
        to.async_send(net::buffer("d", 1), checks.into(ends[3]));
        to.async_send(net::buffer("e", 1), checks.into(ends[4]));
        receive();
        receive();
    });
    for (io_result& end : ends)
        run_until_done(ctx, end);
    BOOST_TEST(got == "abcde");
}

/// Also a write behind a connect.
BOOST_AUTO_TEST_CASE_TEMPLATE(starts_elsewhere_go_one_behind_the_other, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    const test_support::socket_path path;
    local_acceptor_of<Ctx> acceptor(ctx, net::local::stream_protocol::endpoint(path.string()));
    local_socket_of<Ctx> client(ctx);
    io_result first, second, connected, hello;
    socket.async_send(net::buffer("one", 3), checks.into(first));
    socket.async_send(net::buffer("two", 3), checks.into(second));
    BOOST_TEST(peer.read(6) == "onetwo");
    client.async_connect(acceptor.local_endpoint(), checks.into(connected));
    client.async_send(net::buffer("hello", 5), checks.into(hello));
    if constexpr (!counts_handlers<Ctx>) // An attached context connects in the host's next turn.
        ctx.poll();
    test_support::blocking_peer server(
        test_support::unique_descriptor(::accept(acceptor.native_handle(), nullptr, nullptr)));
    BOOST_TEST(server.read(5) == "hello");
    for (io_result* end : {&first, &second, &connected, &hello})
        run_until_done(ctx, *end);
    BOOST_TEST(hello.bytes == 5u);
}

/// The thread that waits for the loop has been woken for the handler, but has not come back yet.
BOOST_AUTO_TEST_CASE_TEMPLATE(start_elsewhere_goes_before_handlers_that_wait_for_it, Ctx, contexts)
{
    handler_checks checks;
    for (int round = 0; round != 40; ++round) {
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        io_result sent;
        bool was_there = false;
        std::promise<void> runs;
        net::post(ctx, [&] { runs.set_value(); });
        auto work = net::make_work_guard(ctx);
        std::thread running([&ctx = ctx] { ctx.run(); });
        runs.get_future().wait();
        net::post(ctx, [&, &to = peer] { was_there = test_support::wait_ready(to.fd(), POLLIN); });
        socket.async_send(net::buffer("x", 1), checks.into(sent));
        work.reset();
        running.join();
        BOOST_TEST(was_there);
        BOOST_TEST(sent.bytes == 1u);
    }
}

/// Where one that found the pipe full has ended the attempts in handlers.
BOOST_AUTO_TEST_CASE_TEMPLATE(large_write_to_a_pipe_is_attempted_elsewhere, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    net::basic_readable_pipe<executor_of<Ctx>> reader(ctx);
    net::basic_writable_pipe<executor_of<Ctx>> writer(ctx);
    net::connect_pipe(reader, writer);
    const std::string much(64 * 1024, '.');
    std::string got(much.size(), '\0');
    io_result first, no_room, third;
    writer.async_write_some(net::buffer(much), checks.into(first));
    run_until_done(ctx, first);
    writer.async_write_some(net::buffer(much), checks.into(no_room));
    net::read(reader, net::buffer(got));
    run_until_done(ctx, no_room);
    net::read(reader, net::buffer(got));
    writer.async_write_some(net::buffer(much), checks.into(third));
    BOOST_TEST(net::read(reader, net::buffer(got)) == much.size());
    run_until_done(ctx, third);
    BOOST_TEST(third.bytes == much.size());
}

/// By the bare descriptor, which a library of C or a child may have.
BOOST_AUTO_TEST_CASE_TEMPLATE(native_write_comes_behind_what_was_started, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    net::basic_readable_pipe<executor_of<Ctx>> reader(ctx);
    net::basic_writable_pipe<executor_of<Ctx>> writer(ctx);
    net::connect_pipe(reader, writer);
    io_result sent, written;
    timer_of<Ctx> timer(ctx, std::chrono::milliseconds(0));
    timer.async_wait(checks.once([&, &to = socket](error_code) {
        to.async_send(net::buffer("first ", 6), checks.into(sent));
        BOOST_TEST(::write(to.native_handle(), "second", 6) == 6);
        writer.async_write_some(net::buffer("first ", 6), checks.into(written));
        BOOST_TEST(::write(writer.native_handle(), "second", 6) == 6);
    }));
    run_until_done(ctx, sent);
    run_until_done(ctx, written);
    BOOST_TEST(peer.read(12) == "first second");
    std::array<char, 12> buffer{};
    net::read(reader, net::buffer(buffer));
    BOOST_TEST(std::string(buffer.data(), buffer.size()) == "first second");
}

/// What leaves the context: a handler that starts two sends, or that of the first of them.
enum class who { starts, has_sent };

/// One of these calls `leave`, and ends with that what `run(context, called)` does. Nobody runs the context
/// behind it.
template <typename Ctx, typename Run, typename Leave>
void check_that_started_sends_go(who leaves, Run run, Leave leave, std::size_t at_once = 12)
{
    handler_checks checks;
    Ctx ctx;
    auto work = net::make_work_guard(ctx);
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    char byte = 0;
    bool called = false;
    io_result first, second;
    const auto leave_now = [&] {
        called = true;
        leave(ctx);
    };
    const auto has_sent = [&](error_code ec, std::size_t bytes) {
        first.ec = ec;
        first.bytes = bytes;
        first.done = true;
        if (leaves == who::has_sent)
            leave_now();
    };
    socket.async_read_some(net::buffer(&byte, 1),
                           checks.once([&, &to = socket](error_code, std::size_t) {
                               to.async_send(net::buffer("first ", 6), checks.once(has_sent));
                               to.async_send(net::buffer("second", 6), checks.into(second));
                               if (leaves == who::starts)
                                   leave_now();
                           }));
    peer.write("?");
    run(ctx, called);
    BOOST_TEST(called);
    BOOST_TEST(peer.read(at_once) == std::string("first second").substr(0, at_once));
    ctx.restart();
    run_until_done(ctx, first);
    run_until_done(ctx, second);
}

struct to_be_thrown {};

BOOST_AUTO_TEST_CASE_TEMPLATE(what_a_handler_starts_goes_where_running_ends_behind_it, Ctx,
                              contexts)
{
    for (const who leaves : {who::starts, who::has_sent}) {
        check_that_started_sends_go<Ctx>(
            leaves, [](Ctx& ctx, const bool&) { ctx.run(); }, [](Ctx& ctx) { ctx.stop(); });
        check_that_started_sends_go<Ctx>(
            leaves, [](Ctx& ctx, const bool&) { BOOST_CHECK_THROW(ctx.run(), to_be_thrown); },
            [](Ctx&) { throw to_be_thrown(); });
    }
}

/// A send that stands behind another needs one more turn of the host of an attached context.
template <typename Ctx>
constexpr std::size_t at_once_of(who leaves)
{
    return counts_handlers<Ctx> || leaves == who::has_sent ? 12 : 6;
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_a_handler_starts_goes_where_only_one_is_run, Ctx, contexts)
{
    const auto stay = [](Ctx&) {};
    for (const who leaves : {who::starts, who::has_sent}) {
        check_that_started_sends_go<Ctx>(
            leaves,
            [](Ctx& ctx, const bool& called) {
                while (!called)
                    ctx.run_one();
            },
            stay, at_once_of<Ctx>(leaves));
        check_that_started_sends_go<Ctx>(
            leaves,
            [](Ctx& ctx, const bool& called) {
                while (!called)
                    ctx.poll_one();
            },
            stay, at_once_of<Ctx>(leaves));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_a_handler_starts_goes_where_its_time_is_over, Ctx, contexts)
{
    using clock = test_support::manual_clock<struct of_the_run>;
    const auto take_long = [](Ctx&) { clock::advance(std::chrono::hours(1)); };
    for (const who leaves : {who::starts, who::has_sent}) {
        check_that_started_sends_go<Ctx>(
            leaves,
            [](Ctx& ctx, const bool&) { ctx.run_until(clock::now() + std::chrono::minutes(1)); },
            take_long, at_once_of<Ctx>(leaves));
        check_that_started_sends_go<Ctx>(
            leaves,
            [](Ctx& ctx, const bool& called) {
                while (!called)
                    ctx.run_one_until(clock::now() + std::chrono::minutes(1));
            },
            take_long, at_once_of<Ctx>(leaves));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connect_that_a_handler_starts_begins_where_running_ends_behind_it,
                              Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto work = net::make_work_guard(ctx);
    acceptor_of<Ctx> acceptor(ctx, tcp::endpoint(net::ip::address_v4::loopback(), 0));
    socket_of<Ctx> client(ctx);
    timer_of<Ctx> timer(ctx, std::chrono::milliseconds(0));
    io_result connected;
    bool called = false;
    timer.async_wait(checks.once([&](error_code) {
        client.async_connect(acceptor.local_endpoint(), checks.into(connected));
        called = true;
    }));
    while (!called)
        ctx.run_one();
    BOOST_TEST(test_support::wait_ready(acceptor.native_handle(), POLLIN));
    run_until_done(ctx, connected);
    BOOST_TEST(connected.ec == error_code());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
