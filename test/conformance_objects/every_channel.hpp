// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "conformance/byte_channels.hpp"

#include <type_traits>

// Sockets of every kind as channels, beside those of byte_channels.hpp, and
// one name for what each calls its transfers, so that a test is written once
// for all objects that transfer bytes.
namespace conformance {

template <class Ctx>
using udp_socket_of = net::basic_datagram_socket<net::ip::udp, executor_of<Ctx>>;
template <class Ctx>
using local_datagram_socket_of =
    net::basic_datagram_socket<net::local::datagram_protocol, executor_of<Ctx>>;
template <class Ctx>
using packet_socket_of =
    net::basic_seq_packet_socket<net::generic::seq_packet_protocol, executor_of<Ctx>>;
template <class Ctx>
using raw_socket_of = net::basic_raw_socket<net::generic::raw_protocol, executor_of<Ctx>>;
template <class Ctx>
using generic_stream_socket_of =
    net::basic_stream_socket<net::generic::stream_protocol, executor_of<Ctx>>;
template <class Ctx>
using generic_datagram_socket_of =
    net::basic_datagram_socket<net::generic::datagram_protocol, executor_of<Ctx>>;

template <int Type>
std::pair<unique_descriptor, unique_descriptor> local_ends()
{
    int fds[2] = {-1, -1};
    check_call(::socketpair(AF_UNIX, Type | SOCK_CLOEXEC, 0, fds), "socketpair", -1);
    return {unique_descriptor(fds[0]), unique_descriptor(fds[1])};
}

/// Both ends of a conversation over UDP.
inline std::pair<unique_descriptor, unique_descriptor> udp_ends()
{
    unique_descriptor fds[2];
    sockaddr_in addresses[2]{};
    for (int i = 0; i < 2; ++i) {
        fds[i] = unique_descriptor(
            check_call(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket", -1));
        addresses[i].sin_family = AF_INET;
        addresses[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        check_call(
            ::bind(fds[i].get(), reinterpret_cast<sockaddr*>(&addresses[i]), sizeof addresses[i]),
            "bind", fds[i].get());
        addresses[i] = test_support::local_address(fds[i].get());
    }
    for (int i = 0; i < 2; ++i)
        check_call(::connect(fds[i].get(), reinterpret_cast<sockaddr*>(&addresses[1 - i]),
                             sizeof addresses[i]),
                   "connect", fds[i].get());
    return {std::move(fds[0]), std::move(fds[1])};
}

/// Two connected sockets, whose ends may be on different contexts.
template <template <class> class SocketOf, class Protocol,
          std::pair<unique_descriptor, unique_descriptor> (*Ends)()>
struct connected_sockets {
    template <class Ctx, class Other>
    static auto make(Ctx& ctx, Other& other)
    {
        auto [reader, writer] = Ends();
        return channel<SocketOf<Ctx>, SocketOf<Other>>{
            SocketOf<Ctx>(ctx, protocol(), reader.release()),
            SocketOf<Other>(other, protocol(), writer.release())};
    }

    template <class Ctx>
    static auto make(Ctx& ctx)
    {
        return make(ctx, ctx);
    }

    static Protocol protocol()
    {
        if constexpr (std::is_constructible_v<Protocol, int, int>)
            return Protocol(AF_UNIX, 0);
        else if constexpr (std::is_default_constructible_v<Protocol>)
            return Protocol();
        else
            return Protocol::v4();
    }
};

struct tcp_channel : connected_sockets<socket_of, tcp, test_support::tcp_descriptor_pair> {};
struct local_channel : connected_sockets<local_socket_of, net::local::stream_protocol,
                                         test_support::local_descriptor_pair> {};
struct generic_stream_channel
    : connected_sockets<generic_stream_socket_of, net::generic::stream_protocol,
                        test_support::local_descriptor_pair> {};
struct udp_channel : connected_sockets<udp_socket_of, net::ip::udp, udp_ends> {};
struct local_datagram_channel
    : connected_sockets<local_datagram_socket_of, net::local::datagram_protocol,
                        local_ends<SOCK_DGRAM>> {};
struct generic_datagram_channel
    : connected_sockets<generic_datagram_socket_of, net::generic::datagram_protocol,
                        local_ends<SOCK_DGRAM>> {};
struct packet_channel : connected_sockets<packet_socket_of, net::generic::seq_packet_protocol,
                                          local_ends<SOCK_SEQPACKET>> {};
// Local sockets of this type are datagrams (unix(7)) and need no privilege.
struct raw_channel
    : connected_sockets<raw_socket_of, net::generic::raw_protocol, local_ends<SOCK_RAW>> {};

using every_channel = on_each<contexts, tcp_channel, local_channel, generic_stream_channel,
                              udp_channel, local_datagram_channel, generic_datagram_channel,
                              packet_channel, raw_channel, pipe_channel, anonymous_pipe_channel,
                              socket_channel, serial_channel, serial_write_channel>::type;

template <class Object>
inline constexpr bool is_socket = requires
{
    typename Object::protocol_type;
};

/// Sequenced packets are received with their flags.
template <class Object>
inline constexpr bool has_packets = requires(Object& o, net::socket_base::message_flags& flags)
{
    o.receive(net::mutable_buffer(), 0, flags);
};

template <class Object>
inline constexpr bool has_addresses = requires(Object& o)
{
    o.receive_from(net::mutable_buffer(), std::declval<typename Object::endpoint_type&>());
};

/// Keeps the bounds of what was written.
template <class Object>
inline constexpr bool has_messages = has_packets<Object> || has_addresses<Object>;

/// Gives an address to one end of a pair of local sockets, which has none: the
/// kernel finds one when it is bound to a family only (unix(7), autobind).
template <class Socket>
void give_an_address(Socket& socket)
{
    sockaddr family{};
    family.sa_family = AF_UNIX;
    if (socket.local_endpoint().data()->sa_family == AF_UNIX)
        check_call(::bind(socket.native_handle(), &family, sizeof family.sa_family), "bind",
                   socket.native_handle());
}

/// Where the flags of packets go, which outlives every operation.
template <class Object>
inline net::socket_base::message_flags flags_of_packets = 0;

/// One read or receive by whatever name.
template <class Object, class Buffers, class Token>
auto async_take(Object& from, const Buffers& buffers, Token&& token)
{
    if constexpr (has_packets<Object>)
        return from.async_receive(buffers, flags_of_packets<Object>, std::forward<Token>(token));
    else if constexpr (is_socket<Object>)
        return from.async_receive(buffers, std::forward<Token>(token));
    else
        return from.async_read_some(buffers, std::forward<Token>(token));
}

template <class Object, class Buffers>
std::size_t take(Object& from, const Buffers& buffers, error_code& ec)
{
    if constexpr (has_packets<Object>)
        return from.receive(buffers, 0, flags_of_packets<Object>, ec);
    else if constexpr (is_socket<Object>)
        return from.receive(buffers, 0, ec);
    else
        return from.read_some(buffers, ec);
}

/// One write or send by whatever name.
template <class Object, class Buffers, class Token>
auto async_give(Object& to, const Buffers& buffers, Token&& token)
{
    if constexpr (has_packets<Object>)
        return to.async_send(buffers, 0, std::forward<Token>(token));
    else if constexpr (is_socket<Object>)
        return to.async_send(buffers, std::forward<Token>(token));
    else
        return to.async_write_some(buffers, std::forward<Token>(token));
}

template <class Object, class Buffers>
std::size_t give(Object& to, const Buffers& buffers, error_code& ec)
{
    if constexpr (is_socket<Object>)
        return to.send(buffers, 0, ec);
    else
        return to.write_some(buffers, ec);
}

} // namespace conformance
