// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Each case is compiled by itself and must not compile; what stands behind its name must be in what
// the compiler says. Without any of them this file compiles.

#include <safer_ring/asio.hpp>
#include <safer_ring/asio/accept_stream.hpp>
#include <safer_ring/asio/datagram_stream.hpp>
#include <safer_ring/asio/receive_stream.hpp>

#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>

namespace net = boost::asio;
using socket_type = net::basic_stream_socket<net::ip::tcp, safer_ring::executor>;
using acceptor_type = net::basic_socket_acceptor<net::ip::tcp, safer_ring::executor>;
using receiving = safer_ring::receive_stream<socket_type>;
using accepting = safer_ring::accept_stream<acceptor_type>;

inline std::size_t right(socket_type& socket, acceptor_type& acceptor)
{
    safer_ring::receive_stream pieces(socket);
    pieces.async_next(net::detached);
    receiving elsewhere = std::move(pieces);
    safer_ring::accept_stream connections(acceptor);
    return elsewhere.stop().size() + connections.stop().size();
}

// case receive_stream_copied: A stream has one owner
#ifdef case_receive_stream_copied
void wrong(receiving& stream)
{
    receiving copy = stream;
}
#endif

// case accept_stream_copied: A stream has one owner
#ifdef case_accept_stream_copied
void wrong(accepting& stream)
{
    accepting copy = stream;
}
#endif

// case stream_of_datagrams: datagrams are received by a datagram_stream
#ifdef case_stream_of_datagrams
using datagram_socket = net::basic_datagram_socket<net::ip::udp, safer_ring::executor>;
void wrong(datagram_socket& socket)
{
    safer_ring::receive_stream<datagram_socket> stream(socket);
}
#endif

// case datagrams_of_a_stream_socket: the bytes of a stream socket are received by a receive_stream
#ifdef case_datagrams_of_a_stream_socket
void wrong(socket_type& socket)
{
    safer_ring::datagram_stream<socket_type> stream(socket);
}
#endif

// case datagram_stream_copied: A stream has one owner
#ifdef case_datagram_stream_copied
using udp_socket = net::basic_datagram_socket<net::ip::udp, safer_ring::executor>;
void wrong(safer_ring::datagram_stream<udp_socket>& stream)
{
    safer_ring::datagram_stream<udp_socket> copy = stream;
}
#endif

// case used_after_a_move: in the 'consumed' state [clang]
#ifdef case_used_after_a_move
void wrong(receiving stream)
{
    auto elsewhere = std::move(stream);
    stream.async_next(net::detached);
}
#endif
