// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"
#include "watched_backend.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"
#include "support/socket_path.hpp"

#include <safer_ring/asio/datagram_stream.hpp>
#include <safer_ring/asio/owned_buffers.hpp>

#include <boost/test/unit_test.hpp>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// Parts of Asio that newer Boosts deprecate are tested for as long as they are there.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace kernel {
namespace {

namespace backend = safer_ring::backend;
namespace ring = safer_ring::ring;
using backend::opcode;
using net::ip::udp;
using safer_ring::owned_buffer;
using safer_ring::stream_limits;
using test_support::handler_checks;
using test_support::run_until;
using udp_socket = net::basic_datagram_socket<udp, safer_ring::executor>;
using local_socket =
    net::basic_datagram_socket<net::local::datagram_protocol, safer_ring::executor>;

/// What is left of a buffer for the bytes of a datagram.
constexpr std::size_t longest = 64;

safer_ring::options small_buffers(unsigned count = 4)
{
    safer_ring::options settings;
    settings.receive_buffer_count = count;
    settings.receive_buffer_size_bytes = longest + ring::datagram_source::front_bytes;
    return settings;
}

const udp::endpoint loopback(net::ip::address_v4::loopback(), 0);

/// A stream on a context whose requests are looked at, and who sends to it.
struct watched_datagrams {
    explicit watched_datagrams(
        const safer_ring::options& settings = small_buffers(64), const stream_limits& limits = {},
        void (*prepare)(watch&) = [](watch&) {})
        : ctx(1, settings, make(settings, prepare)), stream(receiver, limits)
    {
    }
    std::unique_ptr<backend::backend> make(const safer_ring::options& settings,
                                           void (*prepare)(watch&))
    {
        prepare(*seen);
        return std::make_unique<watched_backend>(settings, seen);
    }

    void send(std::string_view text)
    {
        sender.send_to(net::buffer(text), receiver.local_endpoint());
    }
    std::string next()
    {
        std::string text;
        bool done = false;
        stream.async_next(checks.once([&](error_code ec, owned_buffer b, const udp::endpoint& e) {
            text = b.text();
            error = ec;
            from = e;
            if (keeps)
                kept.push_back(std::move(b));
            done = true;
        }));
        run_until(ctx, [&] { return done; });
        return text;
    }

    handler_checks checks;
    std::shared_ptr<watch> seen = std::make_shared<watch>();
    context ctx;
    udp_socket receiver{ctx, loopback};
    udp_socket sender{ctx, loopback};
    safer_ring::datagram_stream<udp_socket> stream;
    error_code error;
    udp::endpoint from;
    bool keeps = false;
    std::deque<owned_buffer> kept;
};

safer_ring::datagram_stream<udp_socket> open_stream(udp_socket& on)
{
    return safer_ring::datagram_stream<udp_socket>(on);
}

const auto refuse_multishot = [](watch& w) { w.refuses_multishot = true; };
const auto hurry = [](watch& w) { w.never_waits = true; };

safer_ring::options without_buffers()
{
    safer_ring::options settings = small_buffers();
    settings.receive_buffer_count = 0;
    return settings;
}

BOOST_AUTO_TEST_SUITE(datagram_streams, *needs_io_uring)

BOOST_AUTO_TEST_CASE(one_request_is_for_all_datagrams)
{
    watched_datagrams s;
    if (!s.ctx.features().multishot_receive || !s.ctx.features().buffer_ring)
        SAFER_RING_SKIP("no multishot receive (Linux 6.0)");
    for (int i = 0; i < 50; ++i) {
        s.send(std::to_string(i));
        BOOST_TEST(s.next() == std::to_string(i));
        BOOST_TEST(!s.error);
        BOOST_TEST(s.from == s.sender.local_endpoint());
    }
    BOOST_TEST(s.ctx.describe() == "  receive message on descriptor " +
                                       std::to_string(s.receiver.native_handle()) + '\n');
    BOOST_TEST(s.seen->count(opcode::recvmsg) == 1U);
    BOOST_TEST(s.seen->count(opcode::poll_add) == 0U);
}

BOOST_AUTO_TEST_CASE(each_datagram_is_one_item_however_it_is_received)
{
    const std::string full(longest, 'f');
    const auto check = [&](watched_datagrams&& s) {
        for (const std::string& text : {std::string("a"), std::string(), full, full + "cut"})
            s.send(text);
        BOOST_TEST(s.next() == "a");
        BOOST_TEST(s.from == s.sender.local_endpoint());
        BOOST_TEST(s.next() == "");
        BOOST_TEST(!s.error);
        BOOST_TEST(s.from == s.sender.local_endpoint());
        BOOST_TEST(s.next() == full);
        BOOST_TEST(!s.error);
        BOOST_TEST(s.next() == full);
        BOOST_TEST(s.error == net::error::message_size);
        s.send("behind");
        BOOST_TEST(s.next() == "behind");
        BOOST_TEST(!s.error);
    };
    check(watched_datagrams());
    check(watched_datagrams(small_buffers(), {}, refuse_multishot));
    check(watched_datagrams(small_buffers(), {}, hurry));
    check(watched_datagrams(without_buffers()));
}

BOOST_AUTO_TEST_CASE(what_is_there_comes_at_once_where_readiness_is_waited_for)
{
    watched_datagrams s(without_buffers());
    for (const char* text : {"one", "two", "three"})
        s.send(text);
    BOOST_TEST(s.next() == "one");
    BOOST_TEST(s.stream.held() == 2U);
    BOOST_TEST(s.next() == "two");
    BOOST_TEST(s.next() == "three");
    s.send("late"); // That there was nothing in between is no error.
    BOOST_TEST(s.next() == "late");
    BOOST_TEST(!s.error);
    BOOST_TEST(s.seen->count(opcode::recvmsg) == 0U);
}

BOOST_AUTO_TEST_CASE(sender_without_an_address_has_an_empty_one)
{
    for (const auto& settings : {small_buffers(), without_buffers()}) {
        context ctx(1, settings);
        local_socket near(ctx), far(ctx);
        net::local::connect_pair(near, far);
        safer_ring::datagram_stream stream(near);
        far.send(net::buffer("hello", 5));
        std::string text;
        auto sender = net::local::datagram_protocol::endpoint("/somewhere");
        stream.async_next([&](error_code ec, owned_buffer b, const auto& from) {
            BOOST_TEST(!ec);
            text = b.text();
            sender = from;
        });
        ctx.run();
        BOOST_TEST(text == "hello");
        BOOST_TEST(sender.path() == "");
    }
}

BOOST_AUTO_TEST_CASE(sender_with_a_path_has_it)
{
    using endpoint = net::local::datagram_protocol::endpoint;
    for (const auto& settings : {small_buffers(), without_buffers()}) {
        const test_support::socket_path near_path, far_path;
        context ctx(1, settings);
        local_socket near(ctx, endpoint(near_path.string()));
        local_socket far(ctx, endpoint(far_path.string()));
        safer_ring::datagram_stream stream(near);
        far.send_to(net::buffer("hello", 5), near.local_endpoint());
        endpoint sender;
        stream.async_next(
            [&](error_code, const owned_buffer&, const auto& from) { sender = from; });
        ctx.run();
        BOOST_TEST(sender == far.local_endpoint());
    }
}

BOOST_AUTO_TEST_CASE(datagrams_that_are_kept_starve_nobody)
{
    watched_datagrams s(small_buffers(4));
    s.keeps = true;
    for (int i = 0; i < 40; ++i)
        s.send(std::to_string(i));
    for (int i = 0; i < 40; ++i)
        BOOST_TEST(s.next() == std::to_string(i));
    for (int i = 0; i < 40; ++i) // Nothing was written into what was given away.
        BOOST_TEST(s.kept[static_cast<std::size_t>(i)].text() == std::to_string(i));
}

BOOST_AUTO_TEST_CASE(beyond_the_mark_the_kernel_is_asked_to_stop)
{
    watched_datagrams s(small_buffers(8), stream_limits{4, 2});
    s.send("first");
    BOOST_TEST(s.next() == "first");
    auto guard = net::make_work_guard(s.ctx);
    for (int i = 0; i < 100; ++i) {
        s.send(std::to_string(i));
        s.ctx.restart();
        s.ctx.poll();
    }
    guard.reset();
    BOOST_TEST(s.stream.held() >= 4U);
    BOOST_TEST(s.stream.held() <= 4U + 8U);
    for (int i = 0; i < 100; ++i) // The socket's buffer had room for them.
        BOOST_TEST(s.next() == std::to_string(i));
}

BOOST_AUTO_TEST_CASE(beyond_the_mark_nothing_is_received_where_readiness_is_waited_for)
{
    watched_datagrams s(without_buffers(), stream_limits{2, 1});
    for (int i = 0; i < 6; ++i)
        s.send(std::to_string(i));
    for (int i = 0; i < 6; ++i) {
        BOOST_TEST(s.next() == std::to_string(i));
        BOOST_TEST(s.stream.held() <= 2U);
    }
}

BOOST_AUTO_TEST_CASE(stream_goes_on_behind_an_error)
{
    watched_datagrams s;
    udp_socket gone(s.ctx, loopback);
    const udp::endpoint nobody = gone.local_endpoint();
    gone.close();
    udp_socket connected(s.ctx, loopback);
    connected.connect(nobody);
    safer_ring::datagram_stream stream(connected);
    connected.send(net::buffer("?", 1));
    bool done = false;
    stream.async_next(s.checks.once([&](error_code ec, const owned_buffer& b, const auto&) {
        BOOST_TEST(ec == net::error::connection_refused);
        BOOST_TEST(b.size() == 0U);
        done = true;
    }));
    run_until(s.ctx, [&] { return done; });
    udp_socket somebody(s.ctx, nobody);
    somebody.send_to(net::buffer("!", 1), connected.local_endpoint());
    std::string text;
    stream.async_next(
        s.checks.once([&](error_code, const owned_buffer& b, const auto&) { text = b.text(); }));
    run_until(s.ctx, [&] { return !text.empty(); });
    BOOST_TEST(text == "!");
}

BOOST_AUTO_TEST_CASE(error_that_nobody_has_taken_is_the_next_receives_once)
{
    using receive = void (*)(context&, udp_socket&, error_code&);
    const receive by_turns = [](context& ctx, udp_socket& on, error_code& error) {
        char byte = 0;
        udp::endpoint from;
        bool done = false;
        on.async_receive_from(net::buffer(&byte, 1), from, [&](error_code ec, std::size_t) {
            error = ec;
            done = true;
        });
        run_until(ctx, [&] { return done; });
    };
    const receive at_once = [](context&, udp_socket& on, error_code& error) {
        char byte = 0;
        udp::endpoint from;
        on.receive_from(net::buffer(&byte, 1), from, 0, error);
    };
    const receive of_nothing = [](context&, udp_socket& on, error_code& error) {
        on.receive(net::mutable_buffer(), 0, error);
    };
    const receive when_ready = [](context& ctx, udp_socket& on, error_code& error) {
        bool done = false;
        safer_ring::async_receive(on, [&](error_code ec, owned_buffer) {
            error = ec;
            done = true;
        });
        run_until(ctx, [&] { return done; });
    };
    for (const receive next : {by_turns, at_once, of_nothing, when_ready}) {
        watched_datagrams s;
        s.send("begin");
        BOOST_TEST(s.next() == "begin");
        s.receiver.connect(s.sender.local_endpoint());
        const udp::endpoint peer = s.sender.local_endpoint();
        s.sender.close();
        s.receiver.send(net::buffer("?", 1));
        test_support::poll_until(s.ctx, [&] { return s.stream.held() == 1; });
        BOOST_TEST(s.stream.stop().empty());

        udp_socket somebody(s.ctx, peer);
        bool sent = false;
        s.receiver.async_send(net::buffer("!", 1), s.checks.once([&](error_code ec, std::size_t) {
            BOOST_TEST(ec == error_code()); // Which takes nothing that a receive has to tell.
            sent = true;
        }));
        run_until(s.ctx, [&] { return sent; });
        error_code ec;
        s.receiver.non_blocking(true); // So that a receive that goes to the socket ends.
        next(s.ctx, s.receiver, ec);
        BOOST_TEST(ec == net::error::connection_refused);
        bool readable = false;
        s.receiver.async_wait(udp_socket::wait_read, s.checks.once([&](error_code failure) {
            BOOST_TEST(failure == error_code());
            readable = true;
        }));
        s.ctx.restart();
        for (int i = 0; i < 10; ++i)
            s.ctx.poll();
        BOOST_TEST(!readable);
        somebody.send_to(net::buffer("!", 1), s.receiver.local_endpoint());
        run_until(s.ctx, [&] { return readable; });
    }
}

BOOST_AUTO_TEST_CASE(stop_gives_what_nobody_has_taken_with_its_sender)
{
    watched_datagrams s;
    s.send("taken");
    BOOST_TEST(s.next() == "taken");
    const std::string full(longest, 'f');
    for (const std::string& text : {std::string("one"), std::string(), std::string("two")})
        s.send(text);
    s.send(full + "cut");
    test_support::poll_until(s.ctx, [&] { return s.stream.held() == 4; });
    auto left = s.stream.stop();
    BOOST_REQUIRE(left.size() == 4U);
    BOOST_TEST(left[3].bytes.text() == full);
    BOOST_TEST(left[3].error == net::error::message_size);
    left[3].error = {};
    BOOST_TEST(left[0].bytes.text() == "one");
    BOOST_TEST(left[1].bytes.text() == "");
    BOOST_TEST(left[2].bytes.text() == "two");
    for (const auto& d : left) {
        BOOST_TEST(!d.error);
        BOOST_TEST(d.sender == s.sender.local_endpoint());
    }
    BOOST_TEST(!s.stream.is_open());
    s.send("plain");
    char bytes[8] = {};
    udp::endpoint from;
    BOOST_TEST(s.receiver.receive_from(net::buffer(bytes), from) == 5U);
    BOOST_TEST(from == s.sender.local_endpoint());
}

BOOST_AUTO_TEST_CASE(other_receives_fail_while_it_is_open)
{
    watched_datagrams s;
    char byte = 0;
    udp::endpoint from;
    error_code ec;
    s.receiver.receive_from(net::buffer(&byte, 1), from, 0, ec);
    BOOST_TEST(ec == safer_ring::error::stream_is_open);
    s.receiver.non_blocking(true); // So that a wait that goes to the socket ends.
    s.receiver.wait(udp_socket::wait_read, ec);
    BOOST_TEST(ec == safer_ring::error::stream_is_open);
    s.receiver.receive_from(net::null_buffers(), from, 0, ec);
    BOOST_TEST(ec == safer_ring::error::stream_is_open);
    bool done = false;
    s.receiver.async_receive_from(net::buffer(&byte, 1), from,
                                  s.checks.once([&](error_code failure, std::size_t) {
                                      BOOST_TEST(failure == safer_ring::error::stream_is_open);
                                      done = true;
                                  }));
    run_until(s.ctx, [&] { return done; });
    BOOST_CHECK_THROW(static_cast<void>(open_stream(s.receiver)), boost::system::system_error);
}

BOOST_AUTO_TEST_CASE(cancelled_and_closed_as_a_receive)
{
    watched_datagrams s;
    std::vector<error_code> errors;
    const auto note = [&](error_code ec, const owned_buffer&, const udp::endpoint&) {
        errors.push_back(ec);
    };
    s.stream.async_next(s.checks.once(note));
    s.ctx.poll();
    s.receiver.cancel();
    run_until(s.ctx, [&] { return errors.size() == 1; });
    s.send("still there");
    BOOST_TEST(s.next() == "still there");
    s.stream.async_next(s.checks.once(note));
    s.receiver.close();
    run_until(s.ctx, [&] { return errors.size() == 2; });
    s.stream.async_next(s.checks.once(note));
    run_until(s.ctx, [&] { return errors.size() == 3; });
    BOOST_TEST(errors[0] == net::error::operation_aborted);
    BOOST_TEST(errors[1] == net::error::operation_aborted);
    BOOST_TEST(errors[2] == net::error::bad_descriptor);
}

BOOST_AUTO_TEST_CASE(buffers_without_room_are_refused)
{
    safer_ring::options settings = small_buffers();
    settings.receive_buffer_size_bytes = ring::datagram_source::front_bytes;
    context ctx(1, settings);
    udp_socket receiver(ctx, loopback);
    BOOST_CHECK_THROW(static_cast<void>(open_stream(receiver)), std::invalid_argument);
    udp_socket closed(ctx);
    BOOST_CHECK_THROW(static_cast<void>(open_stream(closed)), boost::system::system_error);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
