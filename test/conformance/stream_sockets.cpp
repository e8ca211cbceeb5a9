// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

// Asynchronous reading and writing on TCP sockets.
namespace conformance {
namespace {

using test_support::connect_to_peer;
using test_support::connected_pair;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

/// Bytes that tell where in a stream they belong.
std::string pattern(std::size_t size)
{
    std::string bytes(size, '\0');
    unsigned state = 1;
    for (auto& byte : bytes) {
        state = state * 1103515245u + 12345u;
        byte = static_cast<char>(state >> 16);
    }
    return bytes;
}

template <class Ctx>
class echo_session : public std::enable_shared_from_this<echo_session<Ctx>> {
public:
    explicit echo_session(socket_of<Ctx> socket) : socket_(std::move(socket)) {}
    void start()
    {
        socket_.async_read_some(net::buffer(buffer_),
                                [self = this->shared_from_this()](error_code ec, std::size_t n) {
                                    if (ec)
                                        return;
                                    net::async_write(self->socket_, net::buffer(self->buffer_, n),
                                                     [self](error_code ec2, std::size_t) {
                                                         if (!ec2)
                                                             self->start();
                                                     });
                                });
    }

private:
    socket_of<Ctx> socket_;
    std::array<char, 1024> buffer_;
};

BOOST_AUTO_TEST_SUITE(stream_sockets)

BOOST_AUTO_TEST_CASE_TEMPLATE(echo_gives_back_what_was_sent, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::make_shared<echo_session<Ctx>>(std::move(socket))->start();
    std::string got;
    const std::string sent = pattern(100'000);
    std::thread client([&, &other_end = peer] {
        for (std::size_t at = 0; at < sent.size(); at += 5000) {
            other_end.write(std::string_view(sent).substr(at, 5000));
            got += other_end.read(5000);
        }
        other_end.close();
    });
    ctx.run();
    client.join();
    BOOST_TEST((got == sent));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(read_waits_for_data, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> buffer{};
    io_result result;
    socket.async_read_some(net::buffer(buffer), checks.into(result));
    ctx.poll();
    BOOST_TEST(!result.done);
    peer.write("hello");
    run_until_done(ctx, result);
    BOOST_TEST(result.ec == error_code());
    BOOST_TEST(std::string(buffer.data(), result.bytes) == "hello");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(read_takes_no_more_than_was_asked_for, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    peer.write("0123456789");
    test_support::wait_readable(socket.native_handle());
    std::array<char, 16> buffer{};
    io_result result;
    socket.async_read_some(net::buffer(buffer, 4), checks.into(result));
    ctx.run();
    BOOST_TEST(result.bytes == 4u);
    BOOST_TEST(buffer[4] == '\0');
    BOOST_TEST(socket.available() == 6u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handlers_are_never_called_by_the_initiating_function, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    peer.write("hello");
    test_support::wait_readable(socket.native_handle());
    std::array<char, 16> buffer{};
    io_result results[6];
    net::post(ctx, [&, &end = socket] {
        for (auto& result : results)
            result.initiating = true;
        end.async_read_some(net::buffer(buffer, 1), checks.into(results[0]));
        end.async_write_some(net::buffer("x", 1), checks.into(results[1]));
        end.async_read_some(net::buffer(buffer, 0), checks.into(results[2]));
        end.async_write_some(net::buffer(buffer, 0), checks.into(results[3]));
        end.async_wait(net::socket_base::wait_read, checks.into(results[4]));
        end.async_wait(net::socket_base::wait_write, checks.into(results[5]));
        for (auto& result : results)
            result.initiating = false;
    });
    ctx.run();
    for (const auto& result : results) {
        BOOST_TEST(result.ec == error_code());
        BOOST_TEST(!result.called_while_initiating);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_on_a_closed_socket_fail_later, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    socket_of<Ctx> socket(ctx);
    std::array<char, 4> buffer{};
    io_result results[3];
    for (auto& result : results)
        result.initiating = true;
    socket.async_read_some(net::buffer(buffer), checks.into(results[0]));
    socket.async_write_some(net::buffer(buffer), checks.into(results[1]));
    socket.async_wait(net::socket_base::wait_read, checks.into(results[2]));
    for (auto& result : results)
        result.initiating = false;
    BOOST_TEST(ran(ctx, ctx.run(), 3u));
    for (const auto& result : results) {
        BOOST_TEST(result.ec == net::error::bad_descriptor);
        BOOST_TEST(!result.called_while_initiating);
    }
    BOOST_TEST(results[0].bytes == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_on_an_unconnected_socket_fail, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    socket_of<Ctx> socket(ctx, tcp::v4());
    std::array<char, 4> buffer{};
    io_result read, write;
    socket.async_read_some(net::buffer(buffer), checks.into(read));
    socket.async_write_some(net::buffer(buffer), checks.into(write));
    ctx.run();
    BOOST_TEST(read.ec == net::error::not_connected);
    BOOST_TEST(write.ec == net::error::broken_pipe);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(end_of_the_stream_is_eof, Ctx, contexts)
{
    for (const bool pending : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 4> buffer{};
        io_result result;
        if (!pending) {
            peer.close();
            test_support::wait_readable(socket.native_handle());
        }
        socket.async_read_some(net::buffer(buffer), checks.into(result));
        if (pending) {
            ctx.poll();
            peer.close();
            ctx.restart();
        }
        ctx.run();
        BOOST_TEST(result.ec == net::error::eof);
        BOOST_TEST(result.bytes == 0u);
        error_code ec;
        socket.read_some(net::buffer(buffer), ec);
        BOOST_TEST(ec == net::error::eof);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(data_before_the_end_of_the_stream_comes_first, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    peer.write("last");
    peer.close();
    std::array<char, 16> buffer{};
    io_result result;
    net::async_read(socket, net::buffer(buffer), checks.into(result));
    ctx.run();
    BOOST_TEST(result.ec == net::error::eof);
    BOOST_TEST(result.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(half_closed_connection_carries_the_other_direction, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> buffer{};
    io_result read, end, write;
    peer.write("request");
    peer.shutdown_write();
    net::async_read(socket, net::buffer(buffer, 7), checks.into(read));
    ctx.run();
    socket.async_read_some(net::buffer(buffer), checks.into(end));
    net::async_write(socket, net::buffer("reply", 5), checks.into(write));
    ctx.restart();
    ctx.run();
    BOOST_TEST(read.bytes == 7u);
    BOOST_TEST(end.ec == net::error::eof);
    BOOST_TEST(write.ec == error_code());
    BOOST_TEST(peer.read(5) == "reply");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(shut_down_side_can_still_receive, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> buffer{};
    io_result read, write;
    socket.async_read_some(net::buffer(buffer), checks.into(read));
    socket.shutdown(net::socket_base::shutdown_send);
    BOOST_TEST(peer.read_to_end() == "");
    socket.async_write_some(net::buffer("x", 1), checks.into(write));
    peer.write("reply");
    ctx.run();
    BOOST_TEST(read.bytes == 5u);
    BOOST_TEST(write.ec == net::error::broken_pipe);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(shutdown_of_receiving_ends_a_pending_read, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> buffer{};
    io_result read;
    socket.async_read_some(net::buffer(buffer), checks.into(read));
    ctx.poll();
    socket.shutdown(net::socket_base::shutdown_receive);
    ctx.restart();
    ctx.run();
    BOOST_TEST(read.ec == net::error::eof);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(reset_by_the_peer_is_reported, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto pending = connect_to_peer<socket_of<Ctx>>(ctx);
    auto later = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> buffer{};
    io_result first, second;
    pending.socket.async_read_some(net::buffer(buffer), checks.into(first));
    ctx.poll();
    pending.peer.reset();
    later.peer.reset();
    test_support::wait_readable(later.socket.native_handle());
    later.socket.async_read_some(net::buffer(buffer), checks.into(second));
    ctx.restart();
    ctx.run();
    BOOST_TEST(first.ec == net::error::connection_reset);
    BOOST_TEST(second.ec == net::error::connection_reset);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(writing_to_a_gone_peer_fails_without_a_signal, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    peer.reset();
    test_support::wait_readable(socket.native_handle());
    io_result first, second;
    net::async_write(socket, net::buffer("x", 1), checks.into(first));
    ctx.run();
    net::async_write(socket, net::buffer("x", 1), checks.into(second));
    ctx.restart();
    ctx.run();
    BOOST_TEST((first.ec == net::error::connection_reset || first.ec == net::error::broken_pipe));
    BOOST_TEST(second.ec == net::error::broken_pipe);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(zero_length_reads_and_writes_complete_without_data, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 4> buffer{};
    const std::array<net::mutable_buffer, 3> empty{net::buffer(buffer, 0), net::buffer(buffer, 0),
                                                   net::mutable_buffer()};
    io_result results[5];
    socket.async_read_some(net::buffer(buffer, 0), checks.into(results[0]));
    socket.async_write_some(net::buffer(buffer, 0), checks.into(results[1]));
    socket.async_read_some(empty, checks.into(results[2]));
    socket.async_write_some(empty, checks.into(results[3]));
    net::async_read(socket, net::mutable_buffer(), checks.into(results[4]));
    BOOST_TEST(ran(ctx, ctx.run(), 5u));
    for (const auto& result : results) {
        BOOST_TEST(result.ec == error_code());
        BOOST_TEST(result.bytes == 0u);
    }
}

// A read of nothing does not queue up behind a read that waits for data.
BOOST_AUTO_TEST_CASE_TEMPLATE(zero_length_read_overtakes_a_pending_read, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 4> buffer{};
    io_result pending, nothing;
    socket.async_read_some(net::buffer(buffer), checks.into(pending));
    socket.async_read_some(net::buffer(buffer, 0), checks.into(nothing));
    run_until_done(ctx, nothing);
    BOOST_TEST(nothing.ec == error_code());
    BOOST_TEST(!pending.done);
    peer.write("x");
    run_until_done(ctx, pending);
    BOOST_TEST(pending.bytes == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(thousand_buffers_are_scattered_and_gathered, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [first, second] = connected_pair<socket_of<Ctx>>(ctx);
    std::vector<std::string> out(1000), in(1000);
    std::vector<net::const_buffer> gather;
    std::vector<net::mutable_buffer> scatter;
    const std::string all = pattern(1000 * 999 / 2);
    for (std::size_t i = 0, at = 0; i < 1000; at += i++) {
        out[i] = all.substr(at, i);
        in[i].resize(999 - i);
        gather.push_back(net::buffer(out[i]));
        scatter.push_back(net::buffer(in[i]));
    }
    io_result write, read;
    net::async_write(first, gather, checks.into(write));
    net::async_read(second, scatter, checks.into(read));
    ctx.run();
    BOOST_TEST(write.bytes == all.size());
    BOOST_TEST(read.bytes == all.size());
    std::string got;
    for (const auto& part : in)
        got += part;
    BOOST_TEST((got == all));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_operation_with_a_thousand_buffers_moves_something, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [first, second] = connected_pair<socket_of<Ctx>>(ctx);
    const std::string all = pattern(1000);
    std::string got(1000, '\0');
    std::vector<net::const_buffer> gather;
    std::vector<net::mutable_buffer> scatter;
    for (std::size_t i = 0; i < 1000; ++i) {
        gather.push_back(net::buffer(all.data() + i, 1));
        scatter.push_back(net::buffer(got.data() + i, 1));
    }
    io_result write, read;
    first.async_write_some(gather, checks.into(write));
    second.async_read_some(scatter, checks.into(read));
    ctx.run();
    BOOST_TEST(write.ec == error_code());
    BOOST_TEST(read.ec == error_code());
    BOOST_TEST(write.bytes >= 1u);
    BOOST_TEST(read.bytes >= 1u);
    BOOST_TEST(read.bytes <= write.bytes);
    BOOST_TEST((got.substr(0, read.bytes) == all.substr(0, read.bytes)));
}

// As many empty buffers as a call takes; Asio moves nothing then.
BOOST_AUTO_TEST_CASE_TEMPLATE(reads_that_begin_with_many_empty_buffers_find_no_end, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [first, second] = connected_pair<socket_of<Ctx>>(ctx);
    const std::string all = pattern(60'000);
    std::string got(all.size(), '\0');
    std::vector<net::const_buffer> gather(64, net::buffer("", 0));
    std::vector<net::mutable_buffer> scatter(64);
    gather.push_back(net::buffer(all));
    scatter.push_back(net::buffer(got));
    net::write(first, net::buffer(all));
    for (int i = 0; i < 3; ++i) { // Also where the ones before were large.
        io_result read, write;
        second.async_read_some(scatter, checks.into(read));
        first.async_write_some(gather, checks.into(write));
        run_until_done(ctx, read);
        run_until_done(ctx, write);
        BOOST_TEST(read.ec == error_code());
        BOOST_TEST(write.ec == error_code());
        BOOST_TEST(!(is_ours<Ctx> && write.bytes == 0));
        net::write(first, net::buffer(all, 100));
    }
    error_code ec = test_support::garbage_error();
    second.read_some(scatter, ec);
    BOOST_TEST(ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(eight_mebibytes_arrive_unchanged, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [first, second] = connected_pair<socket_of<Ctx>>(ctx);
    const std::string sent = pattern(8 << 20);
    std::string got(sent.size(), '\0');
    std::string back(sent.size(), '\0');
    io_result results[4];
    net::async_write(first, net::buffer(sent), checks.into(results[0]));
    net::async_read(second, net::buffer(got), checks.into(results[1]));
    net::async_write(second, net::buffer(sent), checks.into(results[2]));
    net::async_read(first, net::buffer(back), checks.into(results[3]));
    ctx.run();
    for (const auto& result : results)
        BOOST_TEST(result.bytes == sent.size());
    BOOST_TEST((got == sent));
    BOOST_TEST((back == sent));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_some_of_more_than_fits_is_partial, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    socket.set_option(net::socket_base::send_buffer_size(4096));
    const std::string sent = pattern(32 << 20);
    io_result write;
    socket.async_write_some(net::buffer(sent), checks.into(write));
    ctx.run();
    BOOST_TEST(write.ec == error_code());
    BOOST_TEST(write.bytes > 0u);
    BOOST_TEST(write.bytes < sent.size());
    BOOST_TEST((peer.read(write.bytes) == sent.substr(0, write.bytes)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(read_and_write_of_one_socket_do_not_wait_for_each_other, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    const std::string sent(32 << 20, 'w');
    std::array<char, 4> buffer{};
    io_result write, read;
    net::async_write(socket, net::buffer(sent), checks.into(write));
    socket.async_read_some(net::buffer(buffer), checks.into(read));
    ctx.poll();
    BOOST_TEST(!write.done);
    peer.write("x");
    run_until_done(ctx, read);
    BOOST_TEST(!write.done);
    BOOST_TEST(read.bytes == 1u);
    std::string got;
    std::thread reader([&, &other_end = peer] { got = other_end.read(sent.size()); });
    run_until_done(ctx, write);
    reader.join();
    BOOST_TEST((got == sent));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(read_until_a_delimiter_leaves_the_rest, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::string text;
    io_result line;
    net::async_read_until(socket, net::dynamic_buffer(text), "\r\n", checks.into(line));
    ctx.poll();
    for (const char* part : {"GET ", "/ HT", "TP/1.1\r", "\nrest"}) {
        peer.write(part);
        ctx.restart();
        ctx.poll();
    }
    run_until_done(ctx, line);
    BOOST_TEST(line.ec == error_code());
    BOOST_TEST(text.substr(0, line.bytes) == "GET / HTTP/1.1\r\n");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(read_with_a_completion_condition, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 64> buffer{};
    io_result at_least, exactly;
    peer.write("0123456789");
    test_support::wait_readable(socket.native_handle());
    net::async_read(socket, net::buffer(buffer), net::transfer_exactly(3), checks.into(exactly));
    ctx.run();
    net::async_read(socket, net::buffer(buffer), net::transfer_at_least(5), checks.into(at_least));
    ctx.restart();
    ctx.run();
    BOOST_TEST(exactly.bytes == 3u);
    BOOST_TEST(at_least.bytes == 7u);
    net::streambuf stream;
    io_result into_stream;
    net::async_read(socket, stream, net::transfer_at_least(1), checks.into(into_stream));
    peer.write("more");
    ctx.restart();
    ctx.run();
    BOOST_TEST(into_stream.bytes >= 1u);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
