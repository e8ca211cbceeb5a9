// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/blocking_peer.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"
#include "support/socket_path.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

// Datagrams over UDP and over local sockets: every call in its forms, with
// addresses and connected.
namespace conformance {
namespace {

using net::ip::udp;
using local_datagram = net::local::datagram_protocol;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until;
using test_support::run_until_done;

/// Two datagram sockets that know each other's address.
template <class Ctx, class Protocol>
struct datagram_pair;

template <class Ctx>
struct datagram_pair<Ctx, udp> {
    using socket = net::basic_datagram_socket<udp, executor_of<Ctx>>;

    explicit datagram_pair(Ctx& ctx)
        : a(ctx, udp::endpoint(net::ip::address_v4::loopback(), 0)),
          b(ctx, udp::endpoint(net::ip::address_v4::loopback(), 0))
    {
    }

    socket a;
    socket b;
};

template <class Ctx>
struct datagram_pair<Ctx, local_datagram> {
    using socket = net::basic_datagram_socket<local_datagram, executor_of<Ctx>>;

    explicit datagram_pair(Ctx& ctx)
        : a(ctx, local_datagram::endpoint(path_of_a.string())),
          b(ctx, local_datagram::endpoint(path_of_b.string()))
    {
    }

    test_support::socket_path path_of_a;
    test_support::socket_path path_of_b;
    socket a;
    socket b;
};

template <class Context, class Protocol>
struct on {
    using context = Context;
    using pair = datagram_pair<Context, Protocol>;
    using endpoint = typename Protocol::endpoint;
};

template <class>
struct with_each_protocol;
template <class... Ctx>
struct with_each_protocol<std::tuple<Ctx...>> {
    using type = std::tuple<on<Ctx, udp>..., on<Ctx, local_datagram>...>;
};
using cases = with_each_protocol<contexts>::type;

std::string_view text(const std::array<char, 64>& buffer, std::size_t size)
{
    return {buffer.data(), size};
}

BOOST_AUTO_TEST_SUITE(datagram_sockets)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_datagram_arrives_with_its_sender, Case, cases)
{
    handler_checks checks;
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    std::array<char, 64> buffer{};
    typename Case::endpoint sender;
    io_result sent, received;
    pair.b.async_receive_from(net::buffer(buffer), sender, checks.into(received));
    pair.a.async_send_to(net::buffer("hello", 5), pair.b.local_endpoint(), checks.into(sent));
    run_until(ctx, [&] { return sent.done && received.done; });
    BOOST_TEST(sent.ec == error_code());
    BOOST_TEST(sent.bytes == 5u);
    BOOST_TEST(received.ec == error_code());
    BOOST_TEST(text(buffer, received.bytes) == "hello");
    BOOST_TEST((sender == pair.a.local_endpoint()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(forms_with_flags_do_the_same, Case, cases)
{
    handler_checks checks;
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    std::array<char, 64> buffer{};
    typename Case::endpoint sender;
    io_result sent, peeked, received;
    pair.a.async_send_to(net::buffer("hello", 5), pair.b.local_endpoint(),
                         net::socket_base::message_do_not_route, checks.into(sent));
    run_until_done(ctx, sent);
    pair.b.async_receive_from(net::buffer(buffer), sender, net::socket_base::message_peek,
                              checks.into(peeked));
    pair.b.async_receive_from(net::buffer(buffer), sender, 0, checks.into(received));
    run_until_done(ctx, received);
    BOOST_TEST(peeked.bytes == 5u);
    BOOST_TEST(received.bytes == 5u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_calls_send_and_receive, Case, cases)
{
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    std::array<char, 64> buffer{};
    typename Case::endpoint sender;
    error_code ec = test_support::garbage_error();
    BOOST_TEST(pair.a.send_to(net::buffer("one", 3), pair.b.local_endpoint()) == 3u);
    BOOST_TEST(pair.a.send_to(net::buffer("two", 3), pair.b.local_endpoint(), 0, ec) == 3u);
    BOOST_TEST(ec == error_code());
    BOOST_TEST(pair.b.receive_from(net::buffer(buffer), sender) == 3u);
    BOOST_TEST(text(buffer, 3) == "one");
    BOOST_TEST((sender == pair.a.local_endpoint()));
    BOOST_TEST(pair.b.receive_from(net::buffer(buffer), sender, 0, ec) == 3u);
    BOOST_TEST(ec == error_code());
    BOOST_TEST(text(buffer, 3) == "two");
    pair.b.non_blocking(true);
    pair.b.receive_from(net::buffer(buffer), sender, 0, ec);
    BOOST_TEST(ec == net::error::would_block);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connected_sockets_need_no_address, Case, cases)
{
    handler_checks checks;
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    io_result connected, sent, received;
    pair.a.async_connect(pair.b.local_endpoint(), checks.into(connected));
    run_until_done(ctx, connected);
    BOOST_TEST(connected.ec == error_code());
    pair.b.connect(pair.a.local_endpoint());
    BOOST_TEST((pair.a.remote_endpoint() == pair.b.local_endpoint()));
    std::array<char, 64> buffer{};
    pair.b.async_receive(net::buffer(buffer), checks.into(received));
    pair.a.async_send(net::buffer("hello", 5), checks.into(sent));
    run_until(ctx, [&] { return sent.done && received.done; });
    BOOST_TEST(text(buffer, received.bytes) == "hello");
    BOOST_TEST(pair.b.send(net::buffer("back", 4)) == 4u);
    BOOST_TEST(pair.a.receive(net::buffer(buffer)) == 4u);
    BOOST_TEST(text(buffer, 4) == "back");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_connect_is_made_where_it_is_started, Case, cases)
{
    handler_checks checks;
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    error_code ec;
    io_result connected, cancelled;
    pair.a.async_connect(pair.b.local_endpoint(), checks.into(connected));
    BOOST_TEST((pair.a.remote_endpoint(ec) == pair.b.local_endpoint()));
    pair.a.send(net::buffer("at once", 7), 0, ec);
    BOOST_TEST(ec == error_code());
    run_until_done(ctx, connected);
    BOOST_TEST(connected.ec == error_code());
    pair.b.wait(net::socket_base::wait_read);
    BOOST_TEST(pair.b.available() == 7u);
    pair.b.async_connect(pair.a.local_endpoint(), checks.into(cancelled));
    pair.b.cancel(); // Too late.
    ctx.restart();
    run_until_done(ctx, cancelled);
    BOOST_TEST(cancelled.ec == error_code());
    BOOST_TEST((pair.b.remote_endpoint(ec) == pair.a.local_endpoint()));
}

/// A range of one port, which is taken, leaves none to be chosen.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_connect_that_finds_no_port_fails, Ctx, contexts)
{
    constexpr int local_port_range = 51; // IP_LOCAL_PORT_RANGE, Linux 6.3.
    using socket = net::basic_datagram_socket<udp, executor_of<Ctx>>;
    handler_checks checks;
    Ctx ctx;
    const socket other(ctx, udp::endpoint(udp::v4(), 0));
    const std::uint32_t port = other.local_endpoint().port();
    const std::uint32_t range = port | port << 16U;
    socket s(ctx, udp::v4());
    if (::setsockopt(s.native_handle(), IPPROTO_IP, local_port_range, &range, sizeof range) != 0)
        test_support::skip("the kernel has no range of ports for a socket");
    io_result connected;
    s.async_connect(other.local_endpoint(), checks.into(connected));
    run_until_done(ctx, connected);
    BOOST_TEST(connected.ec == net::error::no_buffer_space);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(each_datagram_is_received_alone_and_in_order, Case, cases)
{
    handler_checks checks;
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    constexpr std::size_t count = 10;
    std::array<std::array<char, 64>, count> buffers{};
    std::array<typename Case::endpoint, count> senders;
    std::array<io_result, count> sent, received;
    for (std::size_t i = 0; i < count; ++i)
        pair.b.async_receive_from(net::buffer(buffers[i]), senders[i], checks.into(received[i]));
    for (std::size_t i = 0; i < count; ++i) {
        // The bytes are the caller's until the handler is called.
        static const std::string digits = "0123456789";
        pair.a.async_send_to(net::buffer(digits.data(), i + 1), pair.b.local_endpoint(),
                             checks.into(sent[i]));
    }
    run_until(ctx, [&] { return sent.back().done && received.back().done; });
    for (std::size_t i = 0; i < count; ++i) {
        BOOST_TEST(sent[i].bytes == i + 1);
        BOOST_TEST(received[i].bytes == i + 1);
        BOOST_TEST((senders[i] == pair.a.local_endpoint()));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_datagram_of_no_bytes_is_one, Case, cases)
{
    handler_checks checks;
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    std::array<char, 64> buffer{};
    typename Case::endpoint sender;
    io_result sent, received;
    pair.b.async_receive_from(net::buffer(buffer), sender, checks.into(received));
    pair.a.async_send_to(net::const_buffer(), pair.b.local_endpoint(), checks.into(sent));
    run_until(ctx, [&] { return sent.done && received.done; });
    BOOST_TEST(sent.ec == error_code());
    BOOST_TEST(received.ec == error_code());
    BOOST_TEST(received.bytes == 0u);
    BOOST_TEST((sender == pair.a.local_endpoint()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_does_not_fit_the_buffer_is_cut_off, Case, cases)
{
    handler_checks checks;
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    pair.a.connect(pair.b.local_endpoint());
    pair.a.send(net::buffer("0123456789", 10));
    pair.a.send(net::buffer("next", 4));
    std::array<char, 4> small{};
    std::array<char, 64> buffer{};
    io_result cut, next;
    pair.b.async_receive(net::buffer(small), checks.into(cut));
    run_until_done(ctx, cut);
    BOOST_TEST(cut.ec == error_code());
    BOOST_TEST(cut.bytes == 4u);
    pair.b.async_receive(net::buffer(buffer), 0, checks.into(next));
    run_until_done(ctx, next);
    BOOST_TEST(text(buffer, next.bytes) == "next");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_datagram_is_gathered_and_scattered, Case, cases)
{
    handler_checks checks;
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    const std::array<net::const_buffer, 3> parts{net::const_buffer("ab", 2), net::const_buffer(),
                                                 net::const_buffer("cde", 3)};
    std::array<char, 1> first{};
    std::array<char, 64> rest{};
    const std::array<net::mutable_buffer, 2> places{net::buffer(first), net::buffer(rest)};
    typename Case::endpoint sender;
    io_result sent, received;
    pair.a.async_send_to(parts, pair.b.local_endpoint(), checks.into(sent));
    pair.b.async_receive_from(places, sender, checks.into(received));
    run_until(ctx, [&] { return sent.done && received.done; });
    BOOST_TEST(sent.bytes == 5u);
    BOOST_TEST(received.bytes == 5u);
    BOOST_TEST(first[0] == 'a');
    BOOST_TEST(text(rest, 4) == "bcde");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(large_datagrams_arrive_whole, Case, cases)
{
    handler_checks checks;
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    for (const std::size_t size : {std::size_t{5'000}, std::size_t{60'000}}) {
        std::string out(size, 'x');
        for (std::size_t i = 0; i < size; ++i)
            out[i] = static_cast<char>('a' + i % 23);
        std::string in(65'000, '\0');
        typename Case::endpoint sender;
        io_result sent, received;
        pair.b.async_receive_from(net::buffer(in), sender, checks.into(received));
        pair.a.async_send_to(net::buffer(out), pair.b.local_endpoint(), checks.into(sent));
        run_until(ctx, [&] { return sent.done && received.done; });
        BOOST_TEST(sent.bytes == size);
        BOOST_TEST(received.bytes == size);
        in.resize(size);
        BOOST_TEST((in == out));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_datagram_longer_than_the_protocol_allows_is_refused, Case, cases)
{
    handler_checks checks;
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    const std::string much(4 << 20, 'x');
    io_result refused, next;
    pair.a.async_send_to(net::buffer(much), pair.b.local_endpoint(), checks.into(refused));
    pair.a.async_send_to(net::buffer("next", 4), pair.b.local_endpoint(), checks.into(next));
    run_until(ctx, [&] { return refused.done && next.done; });
    BOOST_TEST(refused.ec == net::error::message_size);
    BOOST_TEST(next.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sends_to_a_full_receiver_wait_until_there_is_room, Case, cases)
{
    // UDP drops what does not fit, local sockets make the sender wait. One that is not connected
    // is reported as writable all the while (unix_dgram_poll looks at a connected peer only).
    if constexpr (std::is_same_v<typename Case::endpoint, local_datagram::endpoint>) {
        handler_checks checks;
        typename Case::context ctx;
        typename Case::pair pair(ctx);
        constexpr std::size_t count = 1'000;
        std::size_t sent = 0;
        pair.a.connect(pair.b.local_endpoint());
        for (std::size_t i = 0; i < count; ++i)
            pair.a.async_send(net::buffer("datagram", 8),
                              checks.once([&](error_code ec, std::size_t n) {
                                  BOOST_TEST(ec == error_code());
                                  BOOST_TEST(n == 8u);
                                  ++sent;
                              }));
        ctx.poll();
        BOOST_TEST(sent < count);
        std::array<char, 64> buffer{};
        for (std::size_t i = 0; i < count; ++i) {
            io_result received;
            pair.b.async_receive(net::buffer(buffer), checks.into(received));
            run_until_done(ctx, received);
            BOOST_TEST(received.bytes == 8u);
        }
        run_until(ctx, [&] { return sent == count; });
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sends_started_just_before_close_are_made, Case, cases)
{
    handler_checks checks;
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    io_result first, second, received;
    pair.a.async_send_to(net::buffer("first", 5), pair.b.local_endpoint(), checks.into(first));
    pair.a.async_send_to(net::buffer("second", 6), pair.b.local_endpoint(), checks.into(second));
    pair.a.close();
    std::array<char, 64> buffer{};
    for (const std::string_view expected : {"first", "second"}) {
        io_result got;
        pair.b.async_receive(net::buffer(buffer), checks.into(got));
        run_until_done(ctx, got);
        BOOST_TEST(text(buffer, got.bytes) == expected);
    }
    BOOST_TEST(first.ec == error_code());
    BOOST_TEST(second.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(moving_takes_a_pending_receive_along, Case, cases)
{
    handler_checks checks;
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    std::array<char, 64> buffer{};
    io_result received;
    pair.b.async_receive(net::buffer(buffer), checks.into(received));
    ctx.poll();
    const auto address = pair.b.local_endpoint();
    typename Case::pair::socket moved(std::move(pair.b));
    BOOST_TEST(!pair.b.is_open());
    pair.a.send_to(net::buffer("late", 4), address);
    ctx.restart();
    run_until_done(ctx, received);
    BOOST_TEST(received.ec == error_code());
    BOOST_TEST(text(buffer, received.bytes) == "late");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(whatever_ends_a_receive_early_leaves_its_memory_alone, Case, cases)
{
    using socket = typename Case::pair::socket;
    enum { cancel, close, destroy, release };
    for (const int how : {cancel, close, destroy, release}) {
        handler_checks checks;
        std::array<char, 64> buffer{};
        std::array<char, 64> before{};
        io_result ended;
        std::optional<typename Case::context> ctx(std::in_place);
        typename Case::pair pair(*ctx);
        std::optional<socket> receiver(std::move(pair.b));
        typename Case::endpoint sender;
        const auto address = receiver->local_endpoint();
        receiver->async_receive_from(net::buffer(buffer), sender, checks.into(ended));
        ctx->poll();
        test_support::unique_descriptor kept;
        switch (how) {
        case cancel:
            receiver->cancel();
            break;
        case close:
            receiver->close();
            break;
        case release:
            kept = test_support::unique_descriptor(receiver->release());
            break;
        default:
            receiver.reset();
        }
        buffer.fill('n');
        before = buffer;
        error_code gone;
        pair.a.send_to(net::buffer("late", 4), address, 0, gone);
        ctx->restart();
        run_until_done(*ctx, ended);
        BOOST_TEST(ended.ec == net::error::operation_aborted);
        BOOST_TEST((buffer == before));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancellation_signals_of_every_type_end_a_receive, Case, cases)
{
    for (const auto type : all_types) {
        handler_checks checks;
        typename Case::context ctx;
        typename Case::pair pair(ctx);
        std::array<char, 64> buffer{};
        typename Case::endpoint sender;
        net::cancellation_signal signal;
        io_result ended, after;
        pair.b.async_receive_from(net::buffer(buffer), sender,
                                  net::bind_cancellation_slot(signal.slot(), checks.into(ended)));
        pair.b.async_receive(net::buffer(buffer), checks.into(after));
        ctx.poll();
        signal.emit(type);
        ctx.restart();
        run_until_done(ctx, ended);
        BOOST_TEST(ended.ec == net::error::operation_aborted);
        pair.a.send_to(net::buffer("after", 5), pair.b.local_endpoint());
        run_until_done(ctx, after);
        BOOST_TEST(text(buffer, after.bytes) == "after");
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(no_datagram_is_lost_by_cancelling, Case, cases)
{
    handler_checks checks;
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    std::array<char, 64> buffer{};
    std::size_t next = 0;
    for (std::size_t i = 0; i < 200; ++i) {
        const std::string number = std::to_string(i);
        io_result received;
        pair.b.async_receive(net::buffer(buffer), checks.into(received));
        ctx.restart();
        ctx.poll();
        pair.a.send_to(net::buffer(number), pair.b.local_endpoint());
        pair.b.cancel();
        ctx.restart();
        run_until_done(ctx, received);
        if (received.ec)
            BOOST_TEST(received.ec == net::error::operation_aborted);
        else
            BOOST_TEST(text(buffer, received.bytes) == std::to_string(next++));
        while (next <= i) {
            const std::size_t n = pair.b.receive(net::buffer(buffer));
            BOOST_TEST(text(buffer, n) == std::to_string(next++));
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(calls_on_a_closed_socket_fail, Case, cases)
{
    handler_checks checks;
    typename Case::context ctx;
    typename Case::pair pair(ctx);
    const auto address = pair.b.local_endpoint();
    pair.a.close();
    std::array<char, 64> buffer{};
    typename Case::endpoint sender;
    std::array<io_result, 4> results;
    pair.a.async_send_to(net::buffer("x", 1), address, checks.into(results[0]));
    pair.a.async_receive_from(net::buffer(buffer), sender, checks.into(results[1]));
    pair.a.async_send(net::buffer("x", 1), checks.into(results[2]));
    pair.a.async_wait(net::socket_base::wait_read, checks.into(results[3]));
    ctx.run();
    for (const io_result& result : results)
        BOOST_TEST(result.ec == net::error::bad_descriptor);
    error_code ec;
    pair.a.send_to(net::buffer("x", 1), address, 0, ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    pair.a.receive_from(net::buffer(buffer), sender, 0, ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
