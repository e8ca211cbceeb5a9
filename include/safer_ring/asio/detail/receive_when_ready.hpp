// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/owned_buffer.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cstddef>
#include <new>
#include <sys/socket.h>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::detail {

namespace net = boost::asio;

/// The steps of a receive that has no memory while it waits.
template <typename Socket>
class receive_when_ready {
public:
    explicit receive_when_ready(Socket& socket) noexcept : socket_(&socket) {}

    template <typename Self>
    void operator()(Self& self)
    {
        socket_->async_wait(Socket::wait_read, std::move(self));
    }

    template <typename Self>
    void operator()(Self& self, boost::system::error_code error)
    {
        owned_buffer received;
        if (!error)
            error = receive(received);
        if (error == net::error::would_block || error == net::error::try_again)
            return (*this)(self); // Somebody else was faster, or it was a false alarm.
        self.complete(error, std::move(received));
    }

private:
    /// More is left to the next call: memory is taken for what one read brings.
    static constexpr std::size_t most_bytes = 65536;

    boost::system::error_code receive(owned_buffer& received)
    {
        boost::system::error_code error;
        const std::size_t there = socket_->available(error);
        if (error)
            return error;
        try {
            // At the end of a stream, and of a datagram of no bytes, there is nothing.
            received = owned_buffer(std::clamp<std::size_t>(there, 1, most_bytes));
        } catch (const std::bad_alloc&) {
            return net::error::no_memory;
        }
        const std::size_t size_bytes =
            socket_->receive(net::buffer(received.data(), received.size()), MSG_DONTWAIT, error);
        received.resize(size_bytes);
        return error;
    }

    Socket* socket_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
