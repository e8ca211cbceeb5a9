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
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

// Operations of one direction keep their order, a write that was started is a
// write that was attempted, and data that has come is not lost.
namespace conformance {
namespace {

using test_support::connect_to_peer;
using test_support::fill_socket;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

BOOST_AUTO_TEST_SUITE(ordering)

BOOST_AUTO_TEST_CASE_TEMPLATE(ten_writes_started_at_once_arrive_in_order, Ctx, contexts)
{
    for (int round = 0; round < 20; ++round) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::vector<int> order;
        std::string expected;
        std::deque<std::string> parts;
        for (int i = 0; i < 10; ++i) {
            parts.push_back("<" + std::to_string(i) + std::string(100, static_cast<char>('a' + i)) +
                            ">");
            expected += parts.back();
            socket.async_write_some(
                net::buffer(parts.back()),
                checks.once([&order, i, size = parts.back().size()](error_code ec, std::size_t n) {
                    if (!ec && n == size)
                        order.push_back(i);
                }));
        }
        ctx.run();
        BOOST_TEST(order.size() == 10u);
        BOOST_TEST(std::is_sorted(order.begin(), order.end()));
        BOOST_TEST(peer.read(expected.size()) == expected);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(ten_writes_to_a_full_socket_arrive_in_order, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    const std::size_t before = fill_socket(socket.native_handle());
    std::vector<int> order;
    std::string expected;
    std::deque<std::string> parts;
    for (int i = 0; i < 10; ++i) {
        parts.emplace_back(50'000, static_cast<char>('a' + i));
        socket.async_write_some(net::buffer(parts.back()),
                                checks.once([&, i, &end = socket](error_code, std::size_t n) {
                                    order.push_back(i);
                                    expected += parts[static_cast<std::size_t>(i)].substr(0, n);
                                    if (i == 9)
                                        end.close();
                                }));
    }
    ctx.poll();
    BOOST_TEST(order.empty());
    std::string got;
    std::thread reader([&, &other_end = peer] { got = other_end.read_to_end(); });
    ctx.restart();
    ctx.run();
    reader.join();
    BOOST_TEST(order.size() == 10u);
    BOOST_TEST(std::is_sorted(order.begin(), order.end()));
    BOOST_REQUIRE_EQUAL(got.size(), before + expected.size());
    BOOST_TEST((got.substr(before) == expected));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(ten_reads_complete_in_order, Ctx, contexts)
{
    for (const bool data_first : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        if (data_first) {
            peer.write("0123456789");
            test_support::wait_readable(socket.native_handle());
        }
        std::vector<int> order;
        std::string buffer(10, '-');
        for (std::size_t i = 0; i < 10; ++i)
            socket.async_read_some(net::buffer(&buffer[i], 1),
                                   checks.once([&order, i](error_code, std::size_t) {
                                       order.push_back(static_cast<int>(i));
                                   }));
        if (!data_first) {
            ctx.poll();
            peer.write("0123456789");
            ctx.restart();
        }
        ctx.run();
        BOOST_TEST(buffer == "0123456789");
        BOOST_TEST(std::is_sorted(order.begin(), order.end()));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(read_behind_the_last_data_ends_with_the_stream, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    std::vector<error_code> errors;
    for (int i = 0; i < 2; ++i)
        socket.async_read_some(net::buffer(buffer), checks.once([&](error_code ec, std::size_t) {
            errors.push_back(ec);
        }));
    ctx.poll();
    peer.write("last");
    peer.close();
    ctx.restart();
    ctx.run();
    BOOST_REQUIRE_EQUAL(errors.size(), 2u);
    BOOST_TEST(errors[0] == error_code());
    BOOST_TEST(errors[1] == net::error::eof);
}

/// Starts writes, calls `next(socket)` at once, and expects that the bytes
/// arrive and that the writes have succeeded.
template <class Ctx, class Next>
void expect_writes_attempted_before(Next next, int writes = 1, bool stays_open = false)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::deque<io_result> results;
    std::deque<std::string> parts;
    std::string expected;
    for (int i = 0; i < writes; ++i) {
        parts.push_back("part " + std::to_string(i) + ";");
        expected += parts.back();
        socket.async_write_some(net::buffer(parts.back()), checks.into(results.emplace_back()));
    }
    expected += next(socket);
    if (stays_open)
        socket.shutdown(net::socket_base::shutdown_send);
    BOOST_TEST(peer.read_to_end() == expected);
    ctx.run();
    for (std::size_t i = 0; i < results.size(); ++i) {
        BOOST_TEST(results[i].ec == error_code());
        BOOST_TEST(results[i].bytes == parts[i].size());
    }
}

/// The rule of Asio's queue that programs see: what was posted before an
/// operation was started runs before its handler, also when the operation
/// could complete at once.
BOOST_AUTO_TEST_CASE_TEMPLATE(handler_posted_before_a_read_runs_before_it, Ctx, contexts)
{
    for (const bool starts_another_first : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        auto [other, other_peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::string order;
        char first = 0, second = 0, third = 0;
        peer.write("ab");
        socket.async_read_some(
            net::buffer(&first, 1), checks.once([&, &first_socket = socket,
                                                 &second_socket = other](error_code, std::size_t) {
                if (starts_another_first)
                    second_socket.async_read_some(net::buffer(&third, 1),
                                                  checks.once([](error_code, std::size_t) {}));
                net::post(ctx, checks.once([&] {
                    order += "posted ";
                    // As in a chain of composed operations.
                    net::post(ctx, checks.once([&] { order += "from it "; }));
                }));
                first_socket.async_read_some(net::buffer(&second, 1),
                                             checks.once([&](error_code, std::size_t) {
                                                 order += "read ";
                                                 second_socket.cancel();
                                             }));
            }));
        ctx.run();
        BOOST_TEST(order.starts_with("posted "));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operation_that_could_end_in_time_comes_before_its_time_out, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    socket_of<Ctx> client(ctx);
    timer_of<Ctx> timer(ctx, std::chrono::steady_clock::now());
    std::string order;
    char byte = 0;
    peer.write("a");
    timer.async_wait(checks.once([&](error_code) { order += "late"; }));
    client.async_connect(acceptor.local_endpoint(),
                         checks.once([&](error_code) { order += "connected "; }));
    ctx.run();
    BOOST_TEST(order == "connected late");
    order.clear();
    timer.expires_at(std::chrono::steady_clock::now());
    timer.async_wait(checks.once([&](error_code) { order += "late"; }));
    socket.async_read_some(net::buffer(&byte, 1),
                           checks.once([&](error_code, std::size_t) { order += "read "; }));
    ctx.restart();
    ctx.run();
    BOOST_TEST(order == "read late");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(end_of_a_stream_does_not_overtake_what_was_posted, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::string order;
    char byte = 0;
    peer.write("a");
    peer.close();
    socket.async_read_some(net::buffer(&byte, 1), checks.once([&, &again = socket](error_code,
                                                                                   std::size_t) {
        net::post(ctx, checks.once([&] { order += "posted "; }));
        again.async_read_some(net::buffer(&byte, 1), checks.once([&](error_code ec, std::size_t) {
            order += ec == net::error::eof ? "end" : "other";
        }));
    }));
    ctx.run();
    BOOST_TEST(order == "posted end");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_of_a_cancelled_wait_runs_before_what_is_posted_then, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    timer_of<Ctx> timer(ctx, std::chrono::hours(1));
    std::string order;
    char byte = 0;
    timer.async_wait(checks.once([&](error_code) { order += "cancelled "; }));
    peer.write("a");
    socket.async_read_some(net::buffer(&byte, 1), checks.once([&](error_code, std::size_t) {
        timer.cancel();
        net::post(ctx, checks.once([&] { order += "posted"; }));
    }));
    ctx.run();
    BOOST_TEST(order == "cancelled posted");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_followed_by_shutdown_arrives, Ctx, contexts)
{
    const auto shutdown = [](auto& socket) {
        socket.shutdown(net::socket_base::shutdown_send);
        return "";
    };
    expect_writes_attempted_before<Ctx>(shutdown);
    expect_writes_attempted_before<Ctx>(shutdown, 10);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_followed_by_close_arrives, Ctx, contexts)
{
    const auto close = [](auto& socket) {
        socket.close();
        return "";
    };
    expect_writes_attempted_before<Ctx>(close);
    expect_writes_attempted_before<Ctx>(close, 10);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_followed_by_cancel_arrives, Ctx, contexts)
{
    const auto cancel = [](auto& socket) {
        socket.cancel();
        return "";
    };
    expect_writes_attempted_before<Ctx>(cancel, 1, true);
    expect_writes_attempted_before<Ctx>(cancel, 10, true);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_followed_by_a_synchronous_write_arrives_before_it, Ctx,
                              contexts)
{
    const auto write = [](auto& socket) {
        net::write(socket, net::buffer("synchronous", 11));
        return "synchronous";
    };
    expect_writes_attempted_before<Ctx>(write, 1, true);
    expect_writes_attempted_before<Ctx>(write, 10, true);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_followed_by_release_arrives, Ctx, contexts)
{
    expect_writes_attempted_before<Ctx>([](auto& socket) {
        test_support::unique_descriptor fd(socket.release());
        return "";
    });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_followed_by_destruction_arrives, Ctx, contexts)
{
    expect_writes_attempted_before<Ctx>([](auto& socket) {
        const auto moved = std::move(socket);
        return "";
    });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_in_a_handler_followed_by_close_arrives, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    io_result write;
    net::post(ctx, [&, &end = socket] {
        end.async_write_some(net::buffer("goodbye", 7), checks.into(write));
        end.close();
    });
    ctx.run();
    BOOST_TEST(write.ec == error_code());
    BOOST_TEST(peer.read_to_end() == "goodbye");
}

/// Expects that all of `sent` came by a read that may have been cancelled, or
/// can still be read.
template <class Ctx>
void expect_nothing_lost(Ctx& ctx, socket_of<Ctx>& socket, const io_result& read,
                         const std::array<char, 16>& buffer, const std::string& sent)
{
    std::string got;
    if (read.ec == error_code())
        got.assign(buffer.data(), read.bytes);
    else
        BOOST_TEST(read.ec == net::error::operation_aborted);
    handler_checks checks;
    std::array<char, 16> rest{};
    io_result second;
    if (got.size() < sent.size()) {
        net::async_read(socket, net::buffer(rest, sent.size() - got.size()), checks.into(second));
        run_until_done(ctx, second);
        BOOST_TEST(second.ec == error_code());
        got.append(rest.data(), second.bytes);
    }
    BOOST_TEST(got == sent);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(read_cancelled_by_an_earlier_handler_of_its_batch_loses_nothing, Ctx,
                              contexts)
{
    for (int round = 0; round < 20; ++round) {
        handler_checks checks;
        Ctx ctx;
        auto first = connect_to_peer<socket_of<Ctx>>(ctx);
        auto second = connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 16> first_buffer{}, second_buffer{};
        io_result first_read, second_read;
        first.socket.async_read_some(net::buffer(first_buffer),
                                     checks.once([&](error_code ec, std::size_t n) {
                                         first_read.store(ec, n);
                                         second.socket.cancel();
                                     }));
        second.socket.async_read_some(net::buffer(second_buffer),
                                      checks.once([&](error_code ec, std::size_t n) {
                                          second_read.store(ec, n);
                                          first.socket.cancel();
                                      }));
        ctx.poll();
        first.peer.write("first");
        second.peer.write("second");
        first.peer.wait_delivered();
        second.peer.wait_delivered();
        ctx.restart();
        ctx.run();
        expect_nothing_lost(ctx, first.socket, first_read, first_buffer, "first");
        expect_nothing_lost(ctx, second.socket, second_read, second_buffer, "second");
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(read_cancelled_when_its_data_is_there_loses_nothing, Ctx, contexts)
{
    for (const bool pending_before : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 16> buffer{};
        io_result read;
        if (pending_before) {
            socket.async_read_some(net::buffer(buffer), checks.into(read));
            ctx.poll();
        }
        peer.write("data");
        peer.wait_delivered();
        if (!pending_before)
            socket.async_read_some(net::buffer(buffer), checks.into(read));
        socket.cancel();
        ctx.restart();
        ctx.run();
        expect_nothing_lost(ctx, socket, read, buffer, "data");
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_read_sees_what_a_cancelled_read_left, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> buffer{};
    io_result read;
    socket.async_read_some(net::buffer(buffer), checks.into(read));
    ctx.poll();
    peer.write("data");
    peer.wait_delivered();
    std::string got;
    std::thread canceller([&, &end = socket] { end.cancel(); });
    canceller.join();
    ctx.restart();
    ctx.run();
    if (!read.ec)
        got.assign(buffer.data(), read.bytes);
    BOOST_TEST(socket.available() == 4 - got.size());
    if (got.empty())
        got.assign(buffer.data(), socket.read_some(net::buffer(buffer)));
    BOOST_TEST(got == "data");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signal_that_comes_with_the_data_loses_nothing, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> buffer{};
    io_result read;
    net::cancellation_signal signal;
    socket.async_read_some(net::buffer(buffer),
                           net::bind_cancellation_slot(signal.slot(), checks.into(read)));
    ctx.poll();
    peer.write("data");
    peer.wait_delivered();
    signal.emit(net::cancellation_type::total);
    ctx.restart();
    ctx.run();
    expect_nothing_lost(ctx, socket, read, buffer, "data");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(accept_cancelled_when_a_connection_is_there_loses_nothing, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> server(ctx);
    io_result accept;
    acceptor.async_accept(server, checks.into(accept));
    ctx.poll();
    const auto client = test_support::loopback_client(acceptor.local_endpoint().port());
    acceptor.cancel();
    ctx.restart();
    ctx.run();
    if (accept.ec) {
        BOOST_TEST(accept.ec == net::error::operation_aborted);
        acceptor.accept(server);
    }
    BOOST_TEST((server.remote_endpoint().port() == test_support::local_port(client.get())));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(session_destroyed_by_an_earlier_handler_of_its_batch_is_safe, Ctx,
                              contexts)
{
    for (int round = 0; round < 20; ++round) {
        handler_checks checks;
        Ctx ctx;
        std::vector<std::unique_ptr<test_support::socket_and_peer<socket_of<Ctx>>>> sessions;
        std::deque<std::array<char, 8>> buffers(8);
        std::deque<io_result> results(8);
        for (std::size_t i = 0; i < 8; ++i) {
            sessions.push_back(std::make_unique<test_support::socket_and_peer<socket_of<Ctx>>>(
                connect_to_peer<socket_of<Ctx>>(ctx)));
            sessions[i]->socket.async_read_some(net::buffer(buffers[i]),
                                                checks.once([&, i](error_code ec, std::size_t n) {
                                                    results[i].store(ec, n);
                                                    sessions[(i + 1) % 8].reset();
                                                }));
        }
        ctx.poll();
        for (auto& session : sessions)
            session->peer.write("x");
        for (auto& session : sessions)
            session->peer.wait_delivered();
        ctx.restart();
        ctx.run();
        for (const auto& result : results)
            BOOST_TEST((result.ec == error_code() || result.ec == net::error::operation_aborted));
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
