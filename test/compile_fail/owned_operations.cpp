// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// No case may compile; what stands behind its name must be in what the compiler says of it. Without
// any of them this file compiles.

#include <safer_ring/asio.hpp>
#include <safer_ring/asio/owned_buffers.hpp>
#include <safer_ring/asio/zero_copy.hpp>

#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace net = boost::asio;
using safer_ring::owned_buffer;
using safer_ring::shared_buffer;
using socket_type = net::basic_stream_socket<net::ip::tcp, safer_ring::executor>;

inline void right(socket_type& socket, owned_buffer buffer, shared_buffer shared)
{
    safer_ring::async_read_some(socket, std::move(buffer), net::detached);
    safer_ring::async_write(socket, shared, net::detached);
    safer_ring::async_send_zero_copy(socket, shared, net::detached);
}

// case buffer_by_lvalue: one owner: pass it on by std::move
#ifdef case_buffer_by_lvalue
void buffer_by_lvalue(socket_type& socket, owned_buffer& buffer)
{
    safer_ring::async_read_some(socket, buffer, net::detached);
}
#endif

// case plain_memory_to_read: plain memory goes to the operation of boost::asio
#ifdef case_plain_memory_to_read
void plain_memory_to_read(socket_type& socket, char (&memory)[100])
{
    safer_ring::async_read_some(socket, net::buffer(memory), net::detached);
}
#endif

// case plain_memory_to_write: plain memory goes to the operation of boost::asio
#ifdef case_plain_memory_to_write
void plain_memory_to_write(socket_type& socket, const char (&memory)[100])
{
    safer_ring::async_write(socket, net::buffer(memory), net::detached);
}
#endif

// case read_into_frozen_bytes: plain memory goes to the operation of boost::asio
#ifdef case_read_into_frozen_bytes
void read_into_frozen_bytes(socket_type& socket, const shared_buffer& buffer)
{
    safer_ring::async_read_some(socket, buffer, net::detached);
}
#endif

// case use_after_read: in the 'consumed' state [clang]
#ifdef case_use_after_read
std::size_t use_after_read(socket_type& socket)
{
    owned_buffer buffer(100);
    safer_ring::async_read_some(socket, std::move(buffer), net::detached);
    return buffer.size();
}
#endif

// case zero_copy_by_lvalue: one owner: pass it on by std::move
#ifdef case_zero_copy_by_lvalue
void wrong(socket_type& socket, owned_buffer& buffer)
{
    safer_ring::async_send_zero_copy(socket, buffer, net::detached);
}
#endif

// case zero_copy_of_plain_memory: the network reads it until the handler is called
#ifdef case_zero_copy_of_plain_memory
void wrong(socket_type& socket, const char (&memory)[100])
{
    safer_ring::async_send_zero_copy(socket, net::buffer(memory), net::detached);
}
#endif

// case use_after_zero_copy: in the 'consumed' state [clang]
#ifdef case_use_after_zero_copy
std::size_t wrong(socket_type& socket)
{
    owned_buffer buffer(100);
    safer_ring::async_send_zero_copy(socket, std::move(buffer), net::detached);
    return buffer.size();
}
#endif
