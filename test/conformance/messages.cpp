// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/forking.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <safer_ring/asio/owned_buffers.hpp>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sched.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

// What of a message does not fit into the memory of a receive is lost, so the
// memory has to be that of who asked, or large enough.
namespace conformance {
namespace {

using safer_ring::owned_buffer;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until;
using test_support::run_until_done;

template <class Ctx>
using local_datagram_socket_of =
    net::basic_datagram_socket<net::local::datagram_protocol, executor_of<Ctx>>;

/// Receives without a buffer, and gives the one that came.
template <class Ctx, class Socket>
std::pair<error_code, owned_buffer> receive(Ctx& ctx, Socket& socket)
{
    handler_checks checks;
    bool done = false;
    std::pair<error_code, owned_buffer> got;
    safer_ring::async_receive(socket, checks.once([&](error_code ec, owned_buffer buffer) {
        got = {ec, std::move(buffer)};
        done = true;
    }));
    ctx.restart();
    run_until(ctx, [&] { return done; });
    return got;
}

/// From now on this process, which has one thread, is in a network of its own, whose loopback
/// answers pings and where everybody may send them.
bool enter_network_of_pings()
{
    if (::unshare(CLONE_NEWNET) != 0) {
        const std::string gid = std::to_string(::getegid());
        if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
            return false;
        std::ofstream("/proc/self/setgroups") << "deny";
        std::ofstream("/proc/self/gid_map") << "0 " << gid << " 1";
    }
    std::ofstream("/proc/sys/net/ipv4/ping_group_range") << "0 0";
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
    ifreq loopback{};
    std::strcpy(loopback.ifr_name, "lo");
    loopback.ifr_flags = IFF_UP;
    const bool is_up = ::ioctl(fd, SIOCSIFFLAGS, &loopback) == 0;
    return ::close(fd) == 0 && is_up;
}

/// What a ping to this machine brings.
template <class Ctx>
std::string answer_to_ping(const std::string& text)
{
    const net::generic::datagram_protocol protocol(AF_INET, IPPROTO_ICMP);
    Ctx ctx;
    net::basic_datagram_socket<net::generic::datagram_protocol, executor_of<Ctx>> socket(ctx,
                                                                                         protocol);
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socket.connect({&here, sizeof here});
    icmphdr header{};
    header.type = ICMP_ECHO;
    std::string message(reinterpret_cast<const char*>(&header), sizeof header);
    message += text;
    socket.send(net::buffer(message));
    auto [ec, answer] = receive(ctx, socket);
    return ec || answer.size() < sizeof header ? ec.message()
                                               : std::string(answer.text().substr(sizeof header));
}

/// Another receiver of the socket takes a message of one byte between the look at its length and
/// the receive.
template <class Socket>
struct shared_socket : Socket {
    using Socket::Socket;
    std::size_t available(error_code& ec)
    {
        char first = 0;
        BOOST_TEST(::recv(this->native_handle(), &first, 1, MSG_DONTWAIT) == 1);
        ec = {};
        return 1;
    }
};

/// Nobody knows how much there is.
template <class Socket>
struct socket_without_count : Socket {
    using Socket::Socket;
    std::size_t available(error_code& ec)
    {
        ec = net::error::not_socket;
        return 0;
    }
};

BOOST_AUTO_TEST_SUITE(messages)

BOOST_AUTO_TEST_CASE_TEMPLATE(message_behind_the_one_that_somebody_took_comes_whole, Ctx, contexts)
{
    Ctx ctx;
    local_datagram_socket_of<Ctx> from(ctx);
    shared_socket<local_datagram_socket_of<Ctx>> to(ctx);
    net::local::connect_pair(from, to);
    const std::string message = "longer than " + std::string(60'000, 'm');
    from.set_option(net::socket_base::send_buffer_size(1 << 18));
    from.send(net::buffer("x", 1));
    from.send(net::buffer(message));
    auto [ec, whole] = receive(ctx, to);
    BOOST_TEST(ec == error_code());
    BOOST_TEST((whole.text() == message));
    BOOST_TEST(whole.capacity() == message.size());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bytes_that_nobody_counts_come_into_a_buffer_of_their_length, Ctx,
                              contexts)
{
    Ctx ctx;
    local_socket_of<Ctx> from(ctx);
    socket_without_count<local_socket_of<Ctx>> to(ctx);
    net::local::connect_pair(from, to);
    const std::string text(20'000, 't');
    net::write(from, net::buffer(text));
    auto [ec, received] = receive(ctx, to);
    BOOST_TEST(ec == error_code());
    BOOST_TEST((received.text() == text));
    BOOST_TEST(received.capacity() == text.size());
    from.close();
    auto [at_end, nothing] = receive(ctx, to);
    BOOST_TEST(at_end == net::error::eof);
    BOOST_TEST(nothing.empty());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(long_datagram_comes_whole_into_a_buffer_that_is_made, Ctx, contexts)
{
    Ctx ctx;
    local_datagram_socket_of<Ctx> from(ctx), to(ctx);
    net::local::connect_pair(from, to);
    from.set_option(net::socket_base::send_buffer_size(1 << 18));
    const std::string message(100'000, 'm');
    BOOST_TEST(from.send(net::buffer(message)) == message.size());
    BOOST_TEST(from.send(net::buffer("short", 5)) == 5U);
    BOOST_TEST(from.send(net::const_buffer()) == 0U);
    auto [ec, whole] = receive(ctx, to);
    BOOST_TEST(ec == error_code());
    BOOST_TEST((whole.text() == message));
    BOOST_TEST(whole.capacity() == message.size());
    auto [second, text] = receive(ctx, to);
    BOOST_TEST(second == error_code());
    BOOST_TEST(text.text() == "short");
    BOOST_TEST(text.capacity() == 5U);
    auto [third, nothing] = receive(ctx, to);
    BOOST_TEST(third == error_code());
    BOOST_TEST(nothing.size() == 0U);
}

// Of its sockets nobody can ask how many bytes are there.
BOOST_AUTO_TEST_CASE_TEMPLATE(netlink_message_comes_into_a_buffer_that_is_made, Ctx, contexts)
{
    const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        SAFER_RING_SKIP("no netlink: " + std::string(std::strerror(errno)));
    Ctx ctx;
    net::basic_raw_socket<net::generic::raw_protocol, executor_of<Ctx>> socket(
        ctx, net::generic::raw_protocol(AF_NETLINK, NETLINK_ROUTE), fd);
    nlmsghdr asked{};
    asked.nlmsg_len = sizeof asked;
    asked.nlmsg_type = NLMSG_NOOP;
    asked.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    asked.nlmsg_seq = 7;
    BOOST_REQUIRE(socket.send(net::buffer(&asked, sizeof asked)) == sizeof asked);
    auto [ec, answer] = receive(ctx, socket);
    BOOST_TEST(ec == error_code());
    nlmsghdr header{};
    BOOST_REQUIRE(answer.size() >= sizeof header);
    std::memcpy(&header, answer.data(), sizeof header);
    BOOST_TEST(header.nlmsg_type == NLMSG_ERROR);
    BOOST_TEST(header.nlmsg_seq == 7U);
    BOOST_TEST(header.nlmsg_len == answer.size());
}

// Of these, nor how long a message is of which only a part is looked at.
BOOST_AUTO_TEST_CASE_TEMPLATE(answer_to_a_ping_comes_into_a_buffer_that_is_made, Ctx, contexts)
{
    if (!test_support::ended_well(test_support::fork_child(&enter_network_of_pings)))
        SAFER_RING_SKIP("no network of its own for this process");
    BOOST_TEST(test_support::ended_well(test_support::fork_child([] {
        return enter_network_of_pings() && answer_to_ping<Ctx>("here I am") == "here I am";
    })));
}

// Who gives such a descriptor to an object for streams finds its messages, one with each receive.
BOOST_AUTO_TEST_CASE_TEMPLATE(messages_of_a_stream_object_come_whole, Ctx, contexts)
{
    for (const int type : {SOCK_SEQPACKET, SOCK_DGRAM}) {
        handler_checks checks;
        Ctx ctx;
        int fds[2];
        BOOST_REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0);
        const net::local::stream_protocol protocol;
        local_socket_of<Ctx> reader(ctx, protocol, fds[0]), writer(ctx, protocol, fds[1]);
        std::string room(65536, '\0');
        for (const bool waits : {true, false}) {
            const std::string message(10'000, waits ? 'w' : 't');
            io_result read;
            if (waits) {
                reader.async_read_some(net::buffer(room), checks.into(read));
                ctx.restart();
                ctx.poll();
            }
            BOOST_TEST(writer.send(net::buffer(message)) == message.size());
            if (!waits)
                reader.async_read_some(net::buffer(room), checks.into(read));
            ctx.restart();
            run_until_done(ctx, read);
            BOOST_TEST(read.ec == error_code());
            BOOST_TEST(read.bytes == message.size());
            BOOST_TEST((room.substr(0, read.bytes) == message));
        }
        // A receive that was cancelled takes nothing of the next one.
        io_result cancelled, late;
        std::string small(4, '\0');
        reader.async_read_some(net::buffer(small), checks.into(cancelled));
        ctx.restart();
        ctx.poll();
        writer.send(net::buffer("whole message", 13));
        reader.cancel();
        ctx.restart();
        run_until_done(ctx, cancelled);
        if (cancelled.ec) {
            reader.async_read_some(net::buffer(room), checks.into(late));
            ctx.restart();
            run_until_done(ctx, late);
            BOOST_TEST(room.substr(0, late.bytes) == "whole message");
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
