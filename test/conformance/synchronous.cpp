// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <string>
#include <thread>
#include <vector>

// The synchronous calls, the options, and the non-blocking modes.
namespace conformance {
namespace {

using base = net::socket_base;
using test_support::connect_to_peer;
using test_support::garbage_error;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

BOOST_AUTO_TEST_SUITE(synchronous)

BOOST_AUTO_TEST_CASE_TEMPLATE(read_and_write_block_until_done, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::thread echo([&other_end = peer] { other_end.write(other_end.read(5)); });
    std::array<char, 5> buffer{};
    BOOST_TEST(net::write(socket, net::buffer("hello", 5)) == 5u);
    BOOST_TEST(net::read(socket, net::buffer(buffer)) == 5u);
    echo.join();
    BOOST_TEST(std::string(buffer.data(), 5) == "hello");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(error_forms_set_the_error, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    error_code ec = garbage_error();
    BOOST_TEST(socket.write_some(net::buffer("abc", 3), ec) == 3u);
    BOOST_TEST(ec == error_code());
    ec = garbage_error();
    BOOST_TEST(socket.send(net::buffer("def", 3), 0, ec) == 3u);
    BOOST_TEST(ec == error_code());
    BOOST_TEST(peer.read(6) == "abcdef");
    peer.write("xyz");
    ec = garbage_error();
    BOOST_TEST(socket.read_some(net::buffer(buffer), ec) == 3u);
    BOOST_TEST(ec == error_code());
    peer.close();
    BOOST_TEST(socket.receive(net::buffer(buffer), 0, ec) == 0u);
    BOOST_TEST(ec == net::error::eof);
    BOOST_CHECK_THROW(socket.read_some(net::buffer(buffer)), boost::system::system_error);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(calls_on_a_closed_socket_fail, Ctx, contexts)
{
    Ctx ctx;
    socket_of<Ctx> socket(ctx);
    std::array<char, 8> buffer{};
    BOOST_TEST(!socket.is_open());
    const auto fails = [&](auto call) {
        error_code ec = garbage_error();
        call(ec);
        BOOST_TEST(ec == net::error::bad_descriptor);
    };
    fails([&](error_code& ec) { socket.read_some(net::buffer(buffer), ec); });
    fails([&](error_code& ec) { socket.write_some(net::buffer(buffer), ec); });
    fails([&](error_code& ec) { socket.shutdown(base::shutdown_both, ec); });
    fails([&](error_code& ec) { socket.available(ec); });
    fails([&](error_code& ec) { socket.at_mark(ec); });
    fails([&](error_code& ec) { socket.cancel(ec); });
    fails([&](error_code& ec) { socket.local_endpoint(ec); });
    fails([&](error_code& ec) { socket.remote_endpoint(ec); });
    fails([&](error_code& ec) { socket.set_option(tcp::no_delay(true), ec); });
    fails([&](error_code& ec) { socket.non_blocking(true, ec); });
    fails([&](error_code& ec) { socket.native_non_blocking(true, ec); });
    fails([&](error_code& ec) { socket.wait(base::wait_read, ec); });
    error_code ec = garbage_error();
    socket.close(ec);
    BOOST_TEST(ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(opening_twice_is_refused, Ctx, contexts)
{
    Ctx ctx;
    socket_of<Ctx> socket(ctx, tcp::v4());
    error_code ec;
    socket.open(tcp::v4(), ec);
    BOOST_TEST(ec == net::error::already_open);
    auto [one, other] = test_support::tcp_descriptor_pair();
    socket.assign(tcp::v4(), one.get(), ec);
    BOOST_TEST(ec == net::error::already_open);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(zero_length_calls_return_at_once, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    error_code ec = garbage_error();
    BOOST_TEST(socket.read_some(net::mutable_buffer(), ec) == 0u);
    BOOST_TEST(ec == error_code());
    ec = garbage_error();
    BOOST_TEST(socket.write_some(net::const_buffer(), ec) == 0u);
    BOOST_TEST(ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(scattered_synchronous_calls, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::string bytes(1000, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<char>(i);
    std::string got(1000, '\0');
    std::vector<net::const_buffer> gather;
    std::vector<net::mutable_buffer> scatter;
    for (std::size_t i = 0; i < 1000; ++i) {
        gather.push_back(net::buffer(&bytes[i], 1));
        scatter.push_back(net::buffer(&got[i], 1));
    }
    BOOST_TEST(net::write(socket, gather) == 1000u);
    BOOST_TEST(peer.read(1000) == bytes);
    peer.write(bytes);
    BOOST_TEST(net::read(socket, scatter) == 1000u);
    BOOST_TEST(got == bytes);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(available_and_bytes_readable_agree, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    BOOST_TEST(socket.available() == 0u);
    peer.write("12345");
    test_support::wait_readable(socket.native_handle());
    error_code ec = garbage_error();
    BOOST_TEST(socket.available(ec) == 5u);
    BOOST_TEST(ec == error_code());
    base::bytes_readable command(true);
    socket.io_control(command);
    BOOST_TEST(command.get() == 5u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(available_is_exact_with_a_read_pending_elsewhere, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 3> buffer{};
    io_result read;
    socket.async_read_some(net::buffer(buffer), checks.into(read));
    ctx.poll();
    peer.write("abcdef");
    run_until_done(ctx, read);
    BOOST_TEST(read.bytes == 3u);
    BOOST_TEST(socket.available() == 3u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(options_are_set_and_read, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    tcp::no_delay no_delay;
    socket.set_option(tcp::no_delay(true));
    socket.get_option(no_delay);
    BOOST_TEST(no_delay.value());
    base::keep_alive keep_alive;
    socket.set_option(base::keep_alive(true));
    socket.get_option(keep_alive);
    BOOST_TEST(keep_alive.value());
    base::linger linger;
    socket.set_option(base::linger(true, 7));
    socket.get_option(linger);
    BOOST_TEST(linger.enabled());
    BOOST_TEST(linger.timeout() == 7);
    socket.set_option(base::linger(false, 0));
    socket.get_option(linger);
    BOOST_TEST(!linger.enabled());
    base::receive_buffer_size size;
    socket.set_option(base::receive_buffer_size(65536));
    socket.get_option(size);
    BOOST_TEST(size.value() == 65536);
    base::send_buffer_size send_size;
    socket.set_option(base::send_buffer_size(32768));
    socket.get_option(send_size);
    BOOST_TEST(send_size.value() == 32768);
    base::receive_low_watermark low;
    socket.set_option(base::receive_low_watermark(4));
    socket.get_option(low);
    BOOST_TEST(low.value() == 4);
    base::do_not_route route;
    socket.set_option(base::do_not_route(true));
    socket.get_option(route);
    BOOST_TEST(route.value());
    base::out_of_band_inline inlined;
    socket.set_option(base::out_of_band_inline(true));
    socket.get_option(inlined);
    BOOST_TEST(inlined.value());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(linger_of_zero_resets_at_close, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    socket.set_option(base::linger(true, 0));
    socket.close();
    BOOST_CHECK_EXCEPTION(peer.read_to_end(), std::system_error, [](const std::system_error& e) {
        return e.code() == std::errc::connection_reset;
    });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(user_non_blocking_calls_would_block, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    BOOST_TEST(!socket.non_blocking());
    socket.non_blocking(true);
    BOOST_TEST(socket.non_blocking());
    std::array<char, 8> buffer{};
    error_code ec;
    BOOST_TEST(socket.read_some(net::buffer(buffer), ec) == 0u);
    BOOST_TEST(ec == net::error::would_block);
    const std::string block(65536, '#');
    std::size_t sent = 0;
    for (ec = {}; !ec;)
        sent += socket.write_some(net::buffer(block), ec);
    BOOST_TEST(ec == net::error::would_block);
    BOOST_TEST(sent > 0u);
    peer.write("x");
    test_support::wait_readable(socket.native_handle());
    BOOST_TEST(socket.read_some(net::buffer(buffer)) == 1u);
    socket.non_blocking(false);
    BOOST_TEST(!socket.non_blocking());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(non_blocking_socket_does_asynchronous_operations, Ctx, contexts)
{
    for (const bool native : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        if (native)
            socket.native_non_blocking(true);
        else
            socket.non_blocking(true);
        std::array<char, 8> buffer{};
        io_result read, write;
        socket.async_read_some(net::buffer(buffer), checks.into(read));
        ctx.poll();
        BOOST_TEST(!read.done);
        peer.write("hello");
        run_until_done(ctx, read);
        BOOST_TEST(read.ec == error_code());
        BOOST_TEST(read.bytes == 5u);
        const std::string large(8 << 20, 'w');
        net::async_write(socket, net::buffer(large), checks.into(write));
        std::string got;
        std::thread reader([&, &other_end = peer] { got = other_end.read(large.size()); });
        run_until_done(ctx, write);
        reader.join();
        BOOST_TEST(write.ec == error_code());
        BOOST_TEST((got == large));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(natively_non_blocking_socket_still_waits_in_synchronous_calls, Ctx,
                              contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    socket.native_non_blocking(true);
    BOOST_TEST(socket.native_non_blocking());
    BOOST_TEST(!socket.non_blocking());
    std::thread writer([&other_end = peer] { other_end.write("late"); });
    std::array<char, 8> buffer{};
    BOOST_TEST(socket.read_some(net::buffer(buffer)) == 4u);
    writer.join();
    socket.native_non_blocking(false);
    BOOST_TEST(!socket.native_non_blocking());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(blocking_calls_wait_after_asynchronous_ones, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    io_result read;
    socket.async_read_some(net::buffer(buffer), checks.into(read));
    ctx.poll();
    peer.write("one");
    run_until_done(ctx, read);
    std::thread writer([&other_end = peer] { other_end.write("two"); });
    BOOST_TEST(socket.read_some(net::buffer(buffer)) == 3u);
    writer.join();
    const std::string large(4 << 20, 'w');
    std::string got;
    std::thread reader([&, &other_end = peer] { got = other_end.read(large.size()); });
    BOOST_TEST(net::write(socket, net::buffer(large)) == large.size());
    reader.join();
    BOOST_TEST((got == large));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_and_asynchronous_calls_share_one_stream, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::string received;
    for (int round = 0; round < 50; ++round) {
        std::array<char, 2> buffer{};
        io_result read;
        peer.write("abcd");
        test_support::wait_readable(socket.native_handle());
        socket.async_read_some(net::buffer(buffer), checks.into(read));
        run_until_done(ctx, read);
        received.append(buffer.data(), read.bytes);
        net::read(socket, net::buffer(buffer));
        received.append(buffer.data(), 2);
    }
    std::string expected;
    for (int round = 0; round < 50; ++round)
        expected += "abcd";
    BOOST_TEST(received == expected);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(endpoints_are_known, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    error_code ec = garbage_error();
    BOOST_TEST(socket.local_endpoint(ec).address().is_loopback());
    BOOST_TEST(ec == error_code());
    BOOST_TEST(socket.remote_endpoint().port() == test_support::local_port(peer.fd()));
    socket_of<Ctx> unconnected(ctx, tcp::v4());
    unconnected.remote_endpoint(ec);
    BOOST_TEST(ec == net::error::not_connected);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(shutdown_twice_and_of_an_unconnected_socket, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    socket.shutdown(base::shutdown_send);
    error_code ec = garbage_error();
    socket.shutdown(base::shutdown_send, ec);
    BOOST_TEST(ec == error_code());
    BOOST_TEST(peer.read_to_end() == "");
    socket_of<Ctx> unconnected(ctx, tcp::v4());
    unconnected.shutdown(base::shutdown_both, ec);
    BOOST_TEST(ec == net::error::not_connected);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(wait_does_not_tell_of_what_they_have_taken, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    io_result wait;
    socket.async_wait(base::wait_read, checks.into(wait));
    ctx.poll();
    peer.write("taken");
    BOOST_TEST(socket.receive(net::buffer(buffer)) == 5u);
    for (int i = 0; i != 3; ++i)
        ctx.poll();
    BOOST_TEST(!wait.done);
    peer.write("there");
    run_until_done(ctx, wait);
    BOOST_TEST(wait.ec == error_code());
    BOOST_TEST(socket.available() == 5u);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
