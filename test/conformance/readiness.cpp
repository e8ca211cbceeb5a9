// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/full_socket.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>
#include <boost/version.hpp>

#include <array>
#include <future>
#include <poll.h>
#include <string>
#include <thread>
#include <vector>

// Waiting for readiness, peeking, and out-of-band data.

// Parts of Asio that newer Boosts deprecate are tested for as long as they are there.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace conformance {
namespace {

using base = net::socket_base;
using test_support::connect_to_peer;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

BOOST_AUTO_TEST_SUITE(readiness)

BOOST_AUTO_TEST_CASE_TEMPLATE(wait_for_reading_completes_when_data_comes, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    io_result wait;
    socket.async_wait(base::wait_read, checks.into(wait));
    ctx.poll();
    BOOST_TEST(!wait.done);
    peer.write("data");
    run_until_done(ctx, wait);
    BOOST_TEST(wait.ec == error_code());
    BOOST_TEST(socket.available() == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(full_socket_whose_peer_has_ended_its_side_is_not_writable, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    const std::size_t written = test_support::fill_socket(socket.native_handle());
    peer.shutdown_write();
    test_support::wait_readable(socket.native_handle());
    io_result wait;
    socket.async_wait(base::wait_write, checks.into(wait));
    for (int i = 0; i < 10; ++i)
        ctx.poll();
    BOOST_TEST(!wait.done);
    std::thread reader([&p = peer, written] { BOOST_TEST(p.read(written).size() == written); });
    run_until_done(ctx, wait);
    reader.join();
    BOOST_TEST(wait.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(waits_are_level_triggered, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    peer.write("data");
    test_support::wait_readable(socket.native_handle());
    for (int i = 0; i < 3; ++i) {
        io_result read, write;
        socket.async_wait(base::wait_read, checks.into(read));
        socket.async_wait(base::wait_write, checks.into(write));
        ctx.restart();
        ctx.run();
        BOOST_TEST(read.ec == error_code());
        BOOST_TEST(write.ec == error_code());
    }
    std::array<char, 2> buffer{};
    socket.read_some(net::buffer(buffer));
    io_result rest;
    socket.async_wait(base::wait_read, checks.into(rest));
    ctx.restart();
    ctx.run();
    BOOST_TEST(rest.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(wait_for_reading_completes_at_the_end_and_at_a_reset, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto ended = connect_to_peer<socket_of<Ctx>>(ctx);
    auto reset = connect_to_peer<socket_of<Ctx>>(ctx);
    io_result end, error;
    ended.socket.async_wait(base::wait_read, checks.into(end));
    reset.socket.async_wait(base::wait_read, checks.into(error));
    ctx.poll();
    ended.peer.close();
    reset.peer.reset();
    ctx.restart();
    ctx.run();
    BOOST_TEST(end.ec == error_code());
    BOOST_TEST(error.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(wait_for_writing_completes_when_there_is_room, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    const std::size_t sent = test_support::fill_socket(socket.native_handle());
    io_result wait;
    socket.async_wait(base::wait_write, checks.into(wait));
    ctx.poll();
    BOOST_TEST(!wait.done);
    std::thread reader([&, &other_end = peer] { other_end.read(sent); });
    run_until_done(ctx, wait);
    reader.join();
    BOOST_TEST(wait.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(wait_for_errors_completes_at_a_reset, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    io_result wait, again;
    socket.async_wait(base::wait_error, checks.into(wait));
    ctx.poll();
    BOOST_TEST(!wait.done);
    peer.write("data is no error");
    test_support::wait_readable(socket.native_handle());
    ctx.restart();
    ctx.poll();
    BOOST_TEST(!wait.done);
    peer.reset();
    run_until_done(ctx, wait);
    BOOST_TEST(wait.ec == error_code());
    socket.async_wait(base::wait_error, checks.into(again));
    run_until_done(ctx, again);
    BOOST_TEST(again.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(wait_is_aborted_by_cancel_close_and_signal, Ctx, contexts)
{
    for (const auto type : {base::wait_read, base::wait_error}) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        io_result cancelled, signalled, closed;
        net::cancellation_signal signal;
        socket.async_wait(type, checks.into(cancelled));
        ctx.poll();
        socket.cancel();
        ctx.restart();
        ctx.run();
        socket.async_wait(type, net::bind_cancellation_slot(signal.slot(), checks.into(signalled)));
        socket.async_wait(type, checks.into(closed));
        ctx.restart();
        ctx.poll();
        signal.emit(net::cancellation_type::total);
        ctx.restart();
        ctx.poll();
        BOOST_TEST(signalled.ec == net::error::operation_aborted);
        BOOST_TEST(!closed.done);
        socket.close();
        ctx.restart();
        ctx.run();
        BOOST_TEST(cancelled.ec == net::error::operation_aborted);
        BOOST_TEST(closed.ec == net::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(waits_and_reads_of_one_direction_complete_in_order, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::string order;
    std::array<char, 8> buffer{};
    socket.async_wait(base::wait_read, checks.once([&](error_code) { order += 'w'; }));
    socket.async_read_some(net::buffer(buffer),
                           checks.once([&](error_code, std::size_t) { order += 'r'; }));
    ctx.poll();
    peer.write("x");
    ctx.restart();
    ctx.run();
    BOOST_TEST(order == "wr");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_wait_returns_when_ready, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    error_code ec = test_support::garbage_error();
    socket.wait(base::wait_write, ec);
    BOOST_TEST(ec == error_code());
    std::thread writer([&other_end = peer] { other_end.write("x"); });
    socket.wait(base::wait_read);
    writer.join();
    BOOST_TEST(socket.available() == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(null_buffers_wait_without_reading_or_writing, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    io_result read, write;
    socket.async_read_some(net::null_buffers(), checks.into(read));
    socket.async_write_some(net::null_buffers(), checks.into(write));
    run_until_done(ctx, write);
    BOOST_TEST(write.ec == error_code());
    BOOST_TEST(write.bytes == 0u);
    BOOST_TEST(!read.done);
    peer.write("data");
    run_until_done(ctx, read);
    BOOST_TEST(read.ec == error_code());
    BOOST_TEST(read.bytes == 0u);
    BOOST_TEST(socket.available() == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(peeked_data_stays, Ctx, contexts)
{
    for (const bool data_first : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 8> peeked{}, again{}, buffer{};
        io_result peek, second, read;
        if (data_first) {
            peer.write("data");
            test_support::wait_readable(socket.native_handle());
        }
        socket.async_receive(net::buffer(peeked), base::message_peek, checks.into(peek));
        if (!data_first) {
            ctx.poll();
            peer.write("data");
            ctx.restart();
        }
        ctx.run();
        socket.async_receive(net::buffer(again, 2), base::message_peek, checks.into(second));
        socket.async_receive(net::buffer(buffer), checks.into(read));
        ctx.restart();
        ctx.run();
        BOOST_TEST(std::string(peeked.data(), peek.bytes) == "data");
        BOOST_TEST(std::string(again.data(), second.bytes) == "da");
        BOOST_TEST(std::string(buffer.data(), read.bytes) == "data");
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_peek_leaves_the_data, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    peer.write("data");
    std::array<char, 8> buffer{};
    error_code ec;
    BOOST_TEST(socket.receive(net::buffer(buffer), base::message_peek) == 4u);
    BOOST_TEST(socket.receive(net::buffer(buffer), base::message_peek, ec) == 4u);
    BOOST_TEST(socket.receive(net::buffer(buffer)) == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(out_of_band_read_waits_for_out_of_band_data, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 4> urgent{};
    io_result read;
    socket.async_receive(net::buffer(urgent), base::message_out_of_band, checks.into(read));
    ctx.poll();
    BOOST_TEST(!read.done);
    peer.write("ab");
    test_support::wait_readable(socket.native_handle());
    ctx.restart();
    ctx.poll();
    BOOST_TEST(!read.done);
    peer.write_out_of_band('!');
    run_until_done(ctx, read);
    BOOST_TEST(read.ec == error_code());
    BOOST_TEST(read.bytes == 1u);
    BOOST_TEST(urgent[0] == '!');
    std::array<char, 4> normal{};
    BOOST_TEST(socket.read_some(net::buffer(normal)) == 2u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(out_of_band_read_is_aborted_by_cancel_and_close, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 4> urgent{};
    io_result first, second;
    socket.async_receive(net::buffer(urgent), base::message_out_of_band, checks.into(first));
    ctx.poll();
    socket.cancel();
    socket.async_receive(net::buffer(urgent), base::message_out_of_band, checks.into(second));
    ctx.restart();
    ctx.poll();
    BOOST_TEST(first.ec == net::error::operation_aborted);
    BOOST_TEST(!second.done);
    socket.close();
    ctx.restart();
    ctx.run();
    BOOST_TEST(second.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(out_of_band_and_normal_reads_run_side_by_side, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 4> urgent{}, normal{};
    io_result urgent_read, normal_read;
    socket.async_receive(net::buffer(urgent), base::message_out_of_band, checks.into(urgent_read));
    socket.async_receive(net::buffer(normal), checks.into(normal_read));
    ctx.poll();
    peer.write("a");
    run_until_done(ctx, normal_read);
    BOOST_TEST(!urgent_read.done);
    peer.write_out_of_band('!');
    run_until_done(ctx, urgent_read);
    BOOST_TEST(normal[0] == 'a');
    BOOST_TEST(urgent[0] == '!');
}

BOOST_AUTO_TEST_CASE_TEMPLATE(out_of_band_data_comes_to_who_waits_for_it_beside_a_read, Ctx,
                              contexts)
{
    for (const bool waits : {false, true}) {
        for (const bool read_first : {false, true}) {
            handler_checks checks;
            Ctx ctx;
            auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
            std::array<char, 4> urgent{}, normal{};
            io_result urgent_read, normal_read;
            const auto read = [&, &s = socket] {
                s.async_receive(net::buffer(normal), checks.into(normal_read));
            };
            if (read_first)
                read();
            ctx.poll(); // The read is where it waits.
            if (waits)
                socket.async_wait(base::wait_error, checks.into(urgent_read));
            else
                socket.async_receive(net::buffer(urgent), base::message_out_of_band,
                                     checks.into(urgent_read));
            if (!read_first)
                read();
            ctx.restart();
            ctx.poll();
            peer.write_out_of_band('!');
            run_until_done(ctx, urgent_read);
            BOOST_TEST(urgent_read.ec == error_code());
            BOOST_TEST(!normal_read.done);
            if (waits)
                BOOST_TEST(socket.receive(net::buffer(urgent), base::message_out_of_band) == 1u);
            BOOST_TEST(urgent[0] == '!');
            peer.write("cd");
            run_until_done(ctx, normal_read);
            BOOST_TEST(std::string(normal.data(), normal_read.bytes) == "cd");
            // Also when nobody waits for it just then.
            normal_read = {};
            read();
            ctx.restart();
            ctx.poll();
            peer.write_out_of_band('?');
            BOOST_TEST(test_support::wait_ready(socket.native_handle(), POLLPRI));
            ctx.restart();
            ctx.poll();
            BOOST_TEST(!normal_read.done);
            BOOST_TEST(socket.receive(net::buffer(urgent), base::message_out_of_band) == 1u);
            BOOST_TEST(urgent[0] == '?');
            peer.write("e");
            run_until_done(ctx, normal_read);
            BOOST_TEST(normal_read.bytes == 1u);
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(out_of_band_data_comes_to_who_waits_while_much_is_read, Ctx, contexts)
{
    for (int round = 0; round < 10; ++round) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 4> urgent{}, normal{};
        io_result urgent_read, last;
        socket.async_receive(net::buffer(urgent), base::message_out_of_band,
                             checks.into(urgent_read));
        for (int i = 0; i < 3; ++i) {
            io_result read;
            socket.async_receive(net::buffer(normal), checks.into(read));
            peer.write("a");
            run_until_done(ctx, read);
        }
        socket.async_receive(net::buffer(normal), checks.into(last));
        peer.write_out_of_band('!');
        peer.write("cd");
        peer.wait_delivered();
        run_until_done(ctx, urgent_read);
        run_until_done(ctx, last);
        BOOST_TEST(urgent_read.ec == error_code());
        BOOST_TEST(urgent[0] == '!');
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(out_of_band_data_comes_to_who_waits_whichever_thread_reads, Ctx,
                              contexts)
{
    Ctx ctx;
    auto work = net::make_work_guard(ctx);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([&] { ctx.run(); });
    int lost = 0;
    for (int round = 0; round < 300; ++round) {
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 4> urgent{}, normal{};
        std::promise<error_code> urgent_read, normal_read;
        const auto start_urgent = [&, &s = socket] {
            s.async_receive(net::buffer(urgent), base::message_out_of_band,
                            [&](error_code ec, std::size_t) { urgent_read.set_value(ec); });
        };
        // Which of them is started by a thread that runs the context makes a difference there.
        if (round % 2 == 0)
            start_urgent();
        else
            std::thread(start_urgent).join();
        net::dispatch(ctx, net::use_future([&, &s = socket] {
                          s.async_receive(net::buffer(normal), [&](error_code ec, std::size_t) {
                              normal_read.set_value(ec);
                          });
                      }))
            .get();
        peer.write_out_of_band('!');
        peer.write("cd");
        lost += urgent_read.get_future().get() || urgent[0] != '!' ? 1 : 0;
        BOOST_TEST(normal_read.get_future().get() == error_code());
    }
    // Asio gives the state of a closed socket to the next one, and an event that another thread had
    // already fetched for the former then wakes the latter, whose urgent receive ends with EINVAL.
    if (!std::is_same_v<Ctx, net::io_context>)
        BOOST_TEST(lost == 0);
    work.reset();
    for (std::thread& thread : threads)
        thread.join();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(out_of_band_data_is_handled_before_what_reads_past_it, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    socket.non_blocking(true);
    char urgent = ' ';
    std::size_t normal = 0;
    int handlers = 0;
    socket.async_wait(base::wait_error, checks.once([&, &s = socket](error_code) {
        error_code ec;
        s.receive(net::buffer(&urgent, 1), base::message_out_of_band, ec);
        ++handlers;
    }));
    socket.async_wait(base::wait_read, checks.once([&, &s = socket](error_code) {
        std::array<char, 64> bytes;
        error_code ec;
        while (const std::size_t n = s.read_some(net::buffer(bytes), ec))
            normal += n;
        ++handlers;
    }));
    ctx.poll();
    peer.write("before");
    peer.write_out_of_band('!');
    peer.write("after");
    peer.wait_delivered();
    test_support::run_until(ctx, [&] { return handlers == 2; });
    BOOST_TEST(urgent == '!');
    BOOST_TEST(normal == 11U);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(out_of_band_data_is_sent, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    io_result write;
    socket.async_send(net::buffer("!", 1), base::message_out_of_band, checks.into(write));
    ctx.run();
    BOOST_TEST(write.bytes == 1u);
    BOOST_TEST(peer.read_out_of_band() == '!');
    BOOST_TEST(socket.send(net::buffer("?", 1), base::message_out_of_band) == 1u);
    BOOST_TEST(peer.read_out_of_band() == '?');
}

BOOST_AUTO_TEST_CASE_TEMPLATE(wait_for_errors_completes_at_out_of_band_data, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    io_result wait;
    socket.async_wait(base::wait_error, checks.into(wait));
    ctx.poll();
    BOOST_TEST(!wait.done);
    peer.write_out_of_band('!');
    run_until_done(ctx, wait);
    BOOST_TEST(wait.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_out_of_band_read_does_not_wait, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 4> buffer{};
    error_code ec;
    BOOST_TEST(socket.receive(net::buffer(buffer), base::message_out_of_band, ec) == 0u);
    BOOST_TEST(ec == net::error::invalid_argument);
    peer.write_out_of_band('!');
    BOOST_REQUIRE(test_support::wait_ready(socket.native_handle(), POLLPRI));
    BOOST_TEST(socket.receive(net::buffer(buffer), base::message_out_of_band) == 1u);
    BOOST_TEST(buffer[0] == '!');
}

BOOST_AUTO_TEST_CASE_TEMPLATE(reads_stop_at_the_out_of_band_mark, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    peer.write("ab");
    peer.write_out_of_band('!');
    peer.write("cd");
    BOOST_REQUIRE(test_support::wait_ready(socket.native_handle(), POLLPRI));
    BOOST_TEST(!socket.at_mark());
    std::array<char, 8> before{}, behind{};
    io_result first, second;
    socket.async_read_some(net::buffer(before), checks.into(first));
    ctx.run();
    BOOST_TEST(std::string(before.data(), first.bytes) == "ab");
    BOOST_TEST(socket.at_mark());
    socket.async_read_some(net::buffer(behind), checks.into(second));
    ctx.restart();
    ctx.run();
    BOOST_TEST(std::string(behind.data(), second.bytes) == "cd");
    error_code ec = test_support::garbage_error();
    BOOST_TEST(!socket.at_mark(ec));
    BOOST_TEST(ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(messages_that_are_not_routed_reach_the_loopback, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    io_result write;
    socket.async_send(net::buffer("async ", 6), base::message_do_not_route, checks.into(write));
    ctx.run();
    BOOST_TEST(write.bytes == 6u);
    BOOST_TEST(socket.send(net::buffer("sync", 4), base::message_do_not_route) == 4u);
    BOOST_TEST(peer.read(10) == "async sync");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
