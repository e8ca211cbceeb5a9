// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/full_socket.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// What cancel(), close(), destruction and cancellation signals end, and what
// they leave alone.
namespace conformance {
namespace {

using test_support::connect_to_peer;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

/// A connection on which one operation of every kind is pending.
template <class Ctx>
struct busy_connection {
    busy_connection(Ctx& ctx, handler_checks& checks)
        : ends(connect_to_peer<socket_of<Ctx>>(ctx)), large(16 << 20, 'w')
    {
        auto& socket = ends.socket;
        net::async_write(socket, net::buffer(large), checks.into(write));
        socket.async_read_some(net::buffer(buffer), checks.into(read));
        socket.async_read_some(net::buffer(buffer), checks.into(second_read));
        socket.async_wait(net::socket_base::wait_read, checks.into(wait));
        socket.async_wait(net::socket_base::wait_error, checks.into(error_wait));
        socket.async_receive(net::buffer(buffer), net::socket_base::message_out_of_band,
                             checks.into(urgent));
        ctx.poll();
        ctx.restart();
        for (const auto* result : results())
            BOOST_TEST(!result->done);
    }

    std::array<const io_result*, 6> results() const
    {
        return {&write, &read, &second_read, &wait, &error_wait, &urgent};
    }

    void expect_aborted() const
    {
        for (const auto* result : results())
            BOOST_TEST(result->ec == net::error::operation_aborted);
        BOOST_TEST(read.bytes == 0u);
    }

    test_support::socket_and_peer<socket_of<Ctx>> ends;
    std::string large;
    std::array<char, 16> buffer{};
    io_result write, read, second_read, wait, error_wait, urgent;
};

BOOST_AUTO_TEST_SUITE(cancellation)

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_aborts_everything_and_the_socket_stays_usable, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    busy_connection<Ctx> busy(ctx, checks);
    busy.ends.socket.cancel();
    for (const auto* result : busy.results())
        BOOST_TEST(!result->done);
    ctx.run();
    busy.expect_aborted();
    BOOST_TEST(busy.ends.socket.is_open());
    io_result read;
    busy.ends.socket.async_read_some(net::buffer(busy.buffer), checks.into(read));
    busy.ends.peer.write("data");
    ctx.restart();
    ctx.run();
    BOOST_TEST(read.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(close_aborts_everything, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    busy_connection<Ctx> busy(ctx, checks);
    busy.ends.socket.close();
    for (const auto* result : busy.results())
        BOOST_TEST(!result->done);
    BOOST_TEST(!busy.ends.socket.is_open());
    ctx.run();
    busy.expect_aborted();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(destruction_aborts_everything, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    busy_connection<Ctx> busy(ctx, checks);
    {
        const auto moved = std::move(busy.ends.socket);
    }
    for (const auto* result : busy.results())
        BOOST_TEST(!result->done);
    ctx.run();
    busy.expect_aborted();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_not_yet_seen_by_run_are_aborted_too, Ctx, contexts)
{
    for (const bool close : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 16> buffer{};
        io_result read, wait;
        socket.async_read_some(net::buffer(buffer), checks.into(read));
        socket.async_wait(net::socket_base::wait_read, checks.into(wait));
        if (close)
            socket.close();
        else
            socket.cancel();
        ctx.run();
        BOOST_TEST(read.ec == net::error::operation_aborted);
        BOOST_TEST(wait.ec == net::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operation_started_behind_a_cancel_is_not_cancelled, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> first_buffer{}, second_buffer{};
    io_result first, second;
    socket.async_read_some(net::buffer(first_buffer), checks.into(first));
    ctx.poll();
    socket.cancel();
    socket.async_read_some(net::buffer(second_buffer), checks.into(second));
    ctx.restart();
    run_until_done(ctx, first);
    BOOST_TEST(first.ec == net::error::operation_aborted);
    BOOST_TEST(!second.done);
    peer.write("data");
    run_until_done(ctx, second);
    BOOST_TEST(std::string(second_buffer.data(), second.bytes) == "data");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(aborted_operations_complete_in_order, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> buffer{};
    std::vector<int> order;
    for (int i = 0; i < 10; ++i)
        socket.async_read_some(
            net::buffer(buffer),
            checks.once([&order, i](error_code, std::size_t) { order.push_back(i); }));
    ctx.poll();
    socket.cancel();
    ctx.restart();
    ctx.run();
    BOOST_TEST(order.size() == 10u);
    BOOST_TEST(std::is_sorted(order.begin(), order.end()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_with_nothing_pending_does_nothing, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    error_code ec = test_support::garbage_error();
    socket.cancel(ec);
    BOOST_TEST(ec == error_code());
    std::array<char, 16> buffer{};
    io_result read;
    socket.async_read_some(net::buffer(buffer), checks.into(read));
    peer.write("data");
    ctx.run();
    BOOST_TEST(read.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(repeated_cancels_do_no_harm, Ctx, contexts)
{
    for (int round = 0; round < 100; ++round) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 16> buffer{};
        io_result results[5];
        for (auto& result : results) {
            socket.async_read_some(net::buffer(buffer), checks.into(result));
            if (round % 2 == 0)
                ctx.poll_one();
            socket.cancel();
            socket.cancel();
        }
        ctx.restart();
        ctx.run();
        for (const auto& result : results)
            BOOST_TEST(result.ec == net::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(aborted_large_write_tells_what_was_written, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    const std::string large(32 << 20, 'w');
    io_result write;
    net::async_write(socket, net::buffer(large), checks.into(write));
    ctx.poll();
    BOOST_TEST(!write.done);
    socket.cancel();
    ctx.restart();
    ctx.run();
    BOOST_TEST(write.ec == net::error::operation_aborted);
    BOOST_TEST(write.bytes > 0u);
    BOOST_TEST(write.bytes < large.size());
    socket.shutdown(net::socket_base::shutdown_send);
    BOOST_TEST(peer.read_to_end().size() == write.bytes);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_ends_one_read_of_three, Ctx, contexts)
{
    for (const auto type : all_types)
        for (const int which : {0, 1, 2}) {
            handler_checks checks;
            Ctx ctx;
            auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
            std::array<std::array<char, 1>, 3> buffers{};
            io_result results[3];
            net::cancellation_signal signals[3];
            for (std::size_t i = 0; i < 3; ++i)
                socket.async_read_some(
                    net::buffer(buffers[i]),
                    net::bind_cancellation_slot(signals[i].slot(), checks.into(results[i])));
            ctx.poll();
            signals[which].emit(type);
            ctx.restart();
            run_until_done(ctx, results[which]);
            peer.write("ab");
            ctx.restart();
            ctx.run();
            std::string got;
            for (int i = 0; i < 3; ++i) {
                const auto at = static_cast<std::size_t>(i);
                if (i == which)
                    BOOST_TEST(results[i].ec == net::error::operation_aborted);
                else
                    BOOST_TEST(results[i].ec == error_code());
                if (!results[i].ec)
                    got += buffers[at][0];
            }
            BOOST_TEST(got == "ab");
        }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_ends_a_write_that_waits, Ctx, contexts)
{
    for (const auto type : all_types) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        test_support::fill_socket(socket.native_handle());
        const std::string block(1 << 20, 'w');
        io_result write, read;
        std::array<char, 16> buffer{};
        net::cancellation_signal signal;
        socket.async_write_some(net::buffer(block),
                                net::bind_cancellation_slot(signal.slot(), checks.into(write)));
        socket.async_read_some(net::buffer(buffer), checks.into(read));
        ctx.poll();
        BOOST_TEST(!write.done);
        signal.emit(type);
        ctx.restart();
        run_until_done(ctx, write);
        BOOST_TEST(write.ec == net::error::operation_aborted);
        BOOST_TEST(write.bytes == 0u);
        BOOST_TEST(!read.done);
        peer.write("x");
        run_until_done(ctx, read);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_ends_one_accept_of_two, Ctx, contexts)
{
    for (const auto type : all_types) {
        handler_checks checks;
        Ctx ctx;
        auto acceptor = loopback_acceptor(ctx);
        socket_of<Ctx> first(ctx), second(ctx);
        io_result first_accept, second_accept;
        net::cancellation_signal signal;
        acceptor.async_accept(
            first, net::bind_cancellation_slot(signal.slot(), checks.into(first_accept)));
        acceptor.async_accept(second, checks.into(second_accept));
        ctx.poll();
        signal.emit(type);
        const auto client = test_support::loopback_client(acceptor.local_endpoint().port());
        ctx.restart();
        ctx.run();
        BOOST_TEST(first_accept.ec == net::error::operation_aborted);
        BOOST_TEST(second_accept.ec == error_code());
        BOOST_TEST(second.is_open());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_serves_one_operation_after_the_other, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> buffer{};
    net::cancellation_signal signal;
    for (int i = 0; i < 20; ++i) {
        io_result done, aborted;
        peer.write("x");
        socket.async_read_some(net::buffer(buffer),
                               net::bind_cancellation_slot(signal.slot(), checks.into(done)));
        ctx.restart();
        ctx.run();
        BOOST_TEST(done.ec == error_code());
        signal.emit(net::cancellation_type::terminal);
        socket.async_read_some(net::buffer(buffer),
                               net::bind_cancellation_slot(signal.slot(), checks.into(aborted)));
        ctx.restart();
        ctx.poll();
        BOOST_TEST(!aborted.done);
        signal.emit(net::cancellation_type::terminal);
        signal.emit(net::cancellation_type::terminal);
        ctx.restart();
        ctx.run();
        BOOST_TEST(aborted.ec == net::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_of_an_operation_that_is_over_hits_no_other, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> buffer{};
    net::cancellation_signal signal;
    io_result first, second;
    socket.async_read_some(net::buffer(buffer),
                           net::bind_cancellation_slot(signal.slot(), checks.into(first)));
    peer.write("x");
    ctx.run();
    socket.async_read_some(net::buffer(buffer), checks.into(second));
    ctx.restart();
    ctx.poll();
    signal.emit(net::cancellation_type::terminal);
    ctx.restart();
    ctx.poll();
    BOOST_TEST(!second.done);
    peer.write("y");
    run_until_done(ctx, second);
    BOOST_TEST(second.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_after_close_does_no_harm, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    net::cancellation_signal signal;
    std::array<char, 16> buffer{};
    io_result read;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    socket.async_read_some(net::buffer(buffer),
                           net::bind_cancellation_slot(signal.slot(), checks.into(read)));
    ctx.poll();
    socket.close();
    signal.emit(net::cancellation_type::terminal);
    ctx.restart();
    ctx.run();
    signal.emit(net::cancellation_type::terminal);
    BOOST_TEST(read.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_of_no_type_cancels_nothing, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> buffer{};
    net::cancellation_signal signal;
    io_result read;
    socket.async_read_some(net::buffer(buffer),
                           net::bind_cancellation_slot(signal.slot(), checks.into(read)));
    ctx.poll();
    signal.emit(net::cancellation_type::none);
    ctx.restart();
    ctx.poll();
    BOOST_TEST(!read.done);
    peer.write("x");
    run_until_done(ctx, read);
    BOOST_TEST(read.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_ends_a_composed_read_and_tells_its_progress, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> buffer{};
    net::cancellation_signal signal;
    io_result read;
    net::async_read(socket, net::buffer(buffer),
                    net::bind_cancellation_slot(signal.slot(), checks.into(read)));
    ctx.poll();
    peer.write("half");
    test_support::run_until(ctx, [&end = socket] { return end.available() == 0; });
    ctx.poll();
    BOOST_TEST(!read.done);
    signal.emit(net::cancellation_type::partial);
    run_until_done(ctx, read);
    BOOST_TEST(read.ec == net::error::operation_aborted);
    BOOST_TEST(read.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(move_assignment_aborts_the_targets_operations_only, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto target = connect_to_peer<socket_of<Ctx>>(ctx);
    auto source = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> target_buffer{}, source_buffer{};
    io_result of_target, of_source;
    target.socket.async_read_some(net::buffer(target_buffer), checks.into(of_target));
    source.socket.async_read_some(net::buffer(source_buffer), checks.into(of_source));
    ctx.poll();
    target.socket = std::move(source.socket);
    BOOST_TEST(!source.socket.is_open());
    BOOST_TEST(target.peer.read_to_end() == "");
    source.peer.write("data");
    ctx.restart();
    ctx.run();
    BOOST_TEST(of_target.ec == net::error::operation_aborted);
    BOOST_TEST(of_source.bytes == 4u);
    BOOST_TEST(std::string(source_buffer.data(), 4) == "data");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(moved_socket_takes_its_operations_along, Ctx, contexts)
{
    for (const bool seen_by_run : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 16> buffer{};
        io_result read, aborted;
        socket.async_read_some(net::buffer(buffer), checks.into(read));
        if (seen_by_run)
            ctx.poll();
        std::optional<socket_of<Ctx>> moved(std::move(socket));
        peer.write("data");
        ctx.restart();
        ctx.run();
        BOOST_TEST(read.bytes == 4u);
        moved->async_read_some(net::buffer(buffer), checks.into(aborted));
        ctx.restart();
        ctx.poll();
        moved->cancel();
        ctx.restart();
        ctx.run();
        BOOST_TEST(aborted.ec == net::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(moved_from_socket_can_be_used_again, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    socket_of<Ctx> moved(std::move(socket));
    auto acceptor = loopback_acceptor(ctx);
    io_result connected;
    socket.async_connect(acceptor.local_endpoint(), checks.into(connected));
    ctx.run();
    BOOST_TEST(connected.ec == error_code());
    BOOST_TEST(moved.is_open());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
