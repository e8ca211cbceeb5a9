// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"
#include "support/socket_path.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <string_view>

#include <sys/socket.h>

// Sequenced packets, raw sockets, protocols that are only known at run time,
// and the options of datagram sockets.
namespace conformance {
namespace {

using net::ip::udp;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until;
using test_support::run_until_done;

// Asio names the local one only since 1.84.
using packets = net::generic::seq_packet_protocol;

template <class Ctx>
using packet_socket_of = net::basic_seq_packet_socket<packets, executor_of<Ctx>>;

template <class Ctx>
struct packet_pair {
    explicit packet_pair(Ctx& ctx) : a(ctx), b(ctx)
    {
        int fds[2];
        BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
        a.assign(packets(AF_UNIX, 0), fds[0]);
        b.assign(packets(AF_UNIX, 0), fds[1]);
    }
    packet_socket_of<Ctx> a;
    packet_socket_of<Ctx> b;
};

BOOST_AUTO_TEST_SUITE(other_sockets)

BOOST_AUTO_TEST_CASE_TEMPLATE(sequenced_packets_keep_their_bounds_and_flags, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    packet_pair<Ctx> pair(ctx);
    std::array<char, 64> buffer{};
    net::socket_base::message_flags flags = 0;
    for (const std::string_view text : {"one", "three"}) {
        io_result sent, received;
        pair.b.async_receive(net::buffer(buffer), flags, checks.into(received));
        pair.a.async_send(net::buffer(text), 0, checks.into(sent));
        run_until(ctx, [&] { return sent.done && received.done; });
        BOOST_TEST(sent.bytes == text.size());
        BOOST_TEST(std::string_view(buffer.data(), received.bytes) == text);
    }
    std::array<char, 2> small{};
    io_result cut;
    pair.a.send(net::buffer("four", 4), 0);
    pair.b.async_receive(net::buffer(small), flags, checks.into(cut));
    run_until_done(ctx, cut);
    BOOST_TEST(cut.bytes == 2u);
    BOOST_TEST((flags & MSG_TRUNC) == MSG_TRUNC);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sequenced_packets_synchronously, Ctx, contexts)
{
    Ctx ctx;
    packet_pair<Ctx> pair(ctx);
    std::array<char, 64> buffer{};
    net::socket_base::message_flags flags = 0;
    error_code ec;
    BOOST_TEST(pair.a.send(net::buffer("text", 4), 0) == 4u);
    BOOST_TEST(pair.b.receive(net::buffer(buffer), net::socket_base::message_peek, flags) == 4u);
    BOOST_TEST(pair.b.receive(net::buffer(buffer), 0, flags, ec) == 4u);
    BOOST_TEST(ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_end_of_sequenced_packets_is_one_of_no_bytes, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    packet_pair<Ctx> pair(ctx);
    std::array<char, 64> buffer{};
    net::socket_base::message_flags flags = 0;
    io_result ended;
    pair.b.async_receive(net::buffer(buffer), flags, checks.into(ended));
    ctx.poll();
    pair.a.close();
    ctx.restart();
    run_until_done(ctx, ended);
    BOOST_TEST(ended.bytes == 0u);
    BOOST_TEST(ended.ec == error_code());
}

template <class Ctx>
void cancel_a_receive(Ctx& ctx, packet_pair<Ctx>& pair, net::socket_base::message_flags& flags)
{
    handler_checks checks;
    std::array<char, 64> buffer{};
    io_result cancelled;
    pair.b.async_receive(net::buffer(buffer), flags, checks.into(cancelled));
    ctx.poll();
    pair.b.cancel();
    ctx.restart();
    run_until_done(ctx, cancelled);
    BOOST_TEST(cancelled.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(receiving_packets_is_cancelled_closed_and_moved, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    packet_pair<Ctx> pair(ctx);
    std::array<char, 64> buffer{};
    net::socket_base::message_flags flags = 0;
    io_result closed, moved;
    cancel_a_receive(ctx, pair, flags);
    pair.b.async_receive(net::buffer(buffer), flags, checks.into(moved));
    packet_socket_of<Ctx> other(std::move(pair.b));
    pair.a.send(net::buffer("late", 4), 0);
    run_until_done(ctx, moved);
    BOOST_TEST(moved.bytes == 4u);
    other.async_receive(net::buffer(buffer), flags, checks.into(closed));
    other.close();
    run_until_done(ctx, closed);
    BOOST_TEST(closed.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(flags_of_packets_that_did_not_come_are_none, Ctx, contexts)
{
    constexpr net::socket_base::message_flags garbage = 0x5A5A;
    handler_checks checks;
    Ctx ctx;
    packet_pair<Ctx> pair(ctx);
    std::array<char, 64> buffer{};
    net::socket_base::message_flags flags = garbage;
    io_result failed, refused;
    cancel_a_receive(ctx, pair, flags);
    BOOST_TEST(flags == 0);

    pair.b.async_receive(net::buffer(buffer), flags, checks.into(failed));
    ctx.restart();
    ctx.poll();
    flags = garbage;
    pair.a.send(net::buffer("not read", 8), 0);
    pair.b.send(net::buffer("not read", 8), 0);
    pair.a.close(); // What it had not read resets the connection.
    run_until_done(ctx, failed);
    BOOST_TEST(failed.ec == net::error::connection_reset);
    BOOST_TEST(flags == 0);

    // Nothing is attempted on a socket that is closed.
    flags = garbage;
    pair.b.close();
    pair.b.async_receive(net::buffer(buffer), flags, checks.into(refused));
    ctx.restart();
    run_until_done(ctx, refused);
    BOOST_TEST(refused.ec == net::error::bad_descriptor);
    BOOST_TEST(flags == garbage);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(datagrams_of_a_protocol_known_at_run_time, Ctx, contexts)
{
    handler_checks checks;
    using protocol = net::generic::datagram_protocol;
    Ctx ctx;
    net::basic_datagram_socket<udp, executor_of<Ctx>> known(
        ctx, udp::endpoint(net::ip::address_v4::loopback(), 0));
    const udp::endpoint address = known.local_endpoint();
    net::basic_datagram_socket<protocol, executor_of<Ctx>> a(std::move(known));
    net::basic_datagram_socket<protocol, executor_of<Ctx>> b(ctx, protocol(AF_INET, IPPROTO_UDP));
    std::array<char, 64> buffer{};
    protocol::endpoint sender;
    io_result sent, received;
    a.async_receive_from(net::buffer(buffer), sender, checks.into(received));
    b.async_send_to(net::buffer("hello", 5), protocol::endpoint(address), checks.into(sent));
    run_until(ctx, [&] { return sent.done && received.done; });
    BOOST_TEST(received.bytes == 5u);
    BOOST_TEST(sender.protocol().family() == AF_INET);
    BOOST_TEST(sender.size() == address.size());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(raw_sockets_receive_what_they_send_to_themselves, Ctx, contexts)
{
    handler_checks checks;
    using net::ip::icmp;
    Ctx ctx;
    net::basic_raw_socket<icmp, executor_of<Ctx>> socket(ctx);
    error_code ec;
    socket.open(icmp::v4(), ec);
    if (ec)
        SAFER_RING_SKIP("raw sockets need CAP_NET_RAW: " + ec.message());
    // An echo request with its checksum (RFC 792); the header of IP comes back in front of it.
    const std::array<std::uint8_t, 8> echo{8, 0, 0xa9, 0xf7, 0x4d, 0x05, 0x01, 0x03};
    std::array<std::uint8_t, 256> buffer{};
    icmp::endpoint sender;
    io_result sent, received;
    socket.async_receive_from(net::buffer(buffer), sender, checks.into(received));
    socket.async_send_to(net::buffer(echo), icmp::endpoint(net::ip::address_v4::loopback(), 0),
                         checks.into(sent));
    run_until(ctx, [&] { return sent.done && received.done; });
    BOOST_TEST(sent.bytes == echo.size());
    BOOST_TEST(received.ec == error_code());
    BOOST_TEST(received.bytes >= 28u);
    BOOST_TEST((sender.address() == net::ip::address_v4::loopback()));
    io_result ended;
    net::cancellation_signal signal;
    socket.async_receive(net::buffer(buffer),
                         net::bind_cancellation_slot(signal.slot(), [&](error_code e, std::size_t) {
                             // What other programs send may come first.
                             ended.store(e);
                         }));
    signal.emit(net::cancellation_type::total);
    run_until_done(ctx, ended);
}

// As with datagrams, nobody has to answer: the socket is connected before a handler has run.
BOOST_AUTO_TEST_CASE_TEMPLATE(raw_socket_is_connected_at_once, Ctx, contexts)
{
    using net::ip::icmp;
    using raw = net::generic::raw_protocol;
    handler_checks checks;
    Ctx ctx;
    // The number means nothing, but the kernel calls a socket without it not connected.
    const icmp::endpoint peer(net::ip::address_v4::loopback(), 7);
    // An echo request with its checksum (RFC 792).
    const std::array<std::uint8_t, 8> echo{8, 0, 0xa9, 0xf7, 0x4d, 0x05, 0x01, 0x03};
    const auto connect_and_send = [&](auto& socket, const auto& open) {
        error_code ec;
        socket.open(open, ec);
        if (ec)
            SAFER_RING_SKIP("raw sockets need CAP_NET_RAW: " + ec.message());
        io_result connected;
        socket.async_connect(peer, checks.into(connected));
        BOOST_TEST((socket.remote_endpoint(ec) == peer));
        BOOST_TEST(ec == error_code());
        BOOST_TEST(socket.send(net::buffer(echo), 0, ec) == echo.size());
        BOOST_TEST(ec == error_code());
        BOOST_TEST(!connected.done);
        run_until_done(ctx, connected);
        BOOST_TEST(connected.ec == error_code());
    };
    net::basic_raw_socket<icmp, executor_of<Ctx>> of_icmp(ctx);
    connect_and_send(of_icmp, icmp::v4());
    net::basic_raw_socket<raw, executor_of<Ctx>> of_any(ctx);
    connect_and_send(of_any, raw(icmp::v4()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(multicast_is_joined_received_and_left, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    using socket_type = net::basic_datagram_socket<udp, executor_of<Ctx>>;
    const auto loopback = net::ip::address_v4::loopback();
    const auto group = net::ip::make_address_v4("239.255.17.23");
    socket_type receiver(ctx, udp::v4());
    receiver.set_option(net::socket_base::reuse_address(true));
    receiver.bind(udp::endpoint(net::ip::address_v4::any(), 0));
    socket_type sender(ctx, udp::v4());
    error_code ec;
    receiver.set_option(net::ip::multicast::join_group(group, loopback), ec);
    if (!ec)
        sender.set_option(net::ip::multicast::outbound_interface(loopback), ec);
    if (ec)
        SAFER_RING_SKIP("no multicast on the loopback device: " + ec.message());
    sender.set_option(net::ip::multicast::enable_loopback(true));
    sender.set_option(net::ip::multicast::hops(0));
    std::array<char, 64> buffer{};
    udp::endpoint from;
    io_result received;
    receiver.async_receive_from(net::buffer(buffer), from, checks.into(received));
    sender.send_to(net::buffer("group", 5), udp::endpoint(group, receiver.local_endpoint().port()));
    run_until_done(ctx, received);
    BOOST_TEST(received.bytes == 5u);
    receiver.set_option(net::ip::multicast::leave_group(group, loopback), ec);
    BOOST_TEST(ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(broadcast_has_to_be_allowed, Ctx, contexts)
{
    Ctx ctx;
    net::basic_datagram_socket<udp, executor_of<Ctx>> socket(ctx, udp::v4());
    error_code ec;
    const udp::endpoint everybody(net::ip::make_address_v4("127.255.255.255"), 9);
    socket.send_to(net::buffer("x", 1), everybody, 0, ec);
    BOOST_TEST(ec == net::error::access_denied);
    socket.set_option(net::socket_base::broadcast(true));
    net::socket_base::broadcast allowed;
    socket.get_option(allowed);
    BOOST_TEST(allowed.value());
    socket.send_to(net::buffer("x", 1), everybody, 0, ec);
    BOOST_TEST(ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_refused_datagram_is_reported_once, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    using socket_type = net::basic_datagram_socket<udp, executor_of<Ctx>>;
    socket_type socket(ctx, udp::endpoint(net::ip::address_v4::loopback(), 0));
    udp::endpoint nobody;
    {
        socket_type gone(ctx, udp::endpoint(net::ip::address_v4::loopback(), 0));
        nobody = gone.local_endpoint();
    }
    socket.connect(nobody);
    std::array<char, 64> buffer{};
    io_result refused, next;
    socket.async_receive(net::buffer(buffer), checks.into(refused));
    socket.send(net::buffer("x", 1));
    run_until_done(ctx, refused);
    BOOST_TEST(refused.ec == net::error::connection_refused);
    socket.async_receive(net::buffer(buffer), checks.into(next));
    ctx.restart();
    ctx.poll();
    BOOST_TEST(!next.done);
    socket.cancel();
    run_until_done(ctx, next);
    BOOST_TEST(next.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
