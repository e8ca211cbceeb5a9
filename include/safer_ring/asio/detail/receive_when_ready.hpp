// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/native_service_base.hpp>
#include <safer_ring/ring/owned_buffer.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cerrno>
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
        // A wait takes nothing out of the socket, so any cancellation may end it.
        self.reset_cancellation_state(net::enable_total_cancellation());
        socket_->async_wait(Socket::wait_read, std::move(self));
    }

    template <typename Self>
    void operator()(Self& self, boost::system::error_code error)
    {
        owned_buffer received;
        if (!error)
            error = receive(received);
        if (error == net::error::would_block || error == net::error::try_again) {
            // Somebody else was faster, or it was a false alarm. A cancellation meanwhile came too
            // late for the wait.
            if (self.cancelled() == net::cancellation_type::none)
                return socket_->async_wait(Socket::wait_read, std::move(self));
            error = net::error::operation_aborted;
        }
        self.complete(error, std::move(received));
    }

private:
    /// Of a stream, more is left to the next call: memory is taken for what one read brings.
    static constexpr std::size_t most_bytes = 65536;

    boost::system::error_code receive(owned_buffer& received)
    {
        boost::system::error_code error;
        const std::size_t there = has_messages() ? size_of_message(error) : size_of_bytes(error);
        if (error)
            return error;
        try {
            // At the end of a stream, and of a datagram of no bytes, there is nothing.
            received = owned_buffer(std::max<std::size_t>(there, 1));
        } catch (const std::bad_alloc&) {
            return net::error::no_memory;
        }
        received.resize(receive_at_once(net::buffer(received.data(), received.size()), 0, error));
        return error;
    }

    bool has_messages() noexcept
    {
        int type = SOCK_STREAM;
        socklen_t size = sizeof type;
        return ::getsockopt(socket_->native_handle(), SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
               type != SOCK_STREAM;
    }

    std::size_t size_of_bytes(boost::system::error_code& error)
    {
        return std::min(socket_->available(error), most_bytes);
    }

    /// What does not fit into the memory would be lost, so all of it has to. Not every
    /// family of sockets knows how many bytes are there (FIONREAD), as netlink does not,
    /// and not every one answers the length of what it cuts, as SCTP does not; sockets for
    /// pings and CAN do neither.
    std::size_t size_of_message(boost::system::error_code& error)
    {
        char first = 0;
        const std::size_t n = receive_at_once(net::buffer(&first, 1), MSG_PEEK | MSG_TRUNC, error);
        if (n != 1 || error)
            return n;
        boost::system::error_code unknown;
        const std::size_t there = size_of_bytes(unknown);
        return there != 0 ? there : most_bytes;
    }

    /// Asio's own sockets wait behind MSG_DONTWAIT unless their user has made them
    /// non-blocking, so they are not asked.
    std::size_t receive_at_once(net::mutable_buffer into, int flags,
                                boost::system::error_code& error)
    {
        flags |= MSG_DONTWAIT;
        if (ask(*socket_).context() != nullptr)
            return socket_->receive(into, flags, error);
        ssize_t n = 0;
        do
            n = ::recv(socket_->native_handle(), into.data(), into.size(), flags);
        while (n < 0 && errno == EINTR);
        if (n < 0)
            error = to_error_code(-errno);
        else if (n == 0 && !has_messages())
            error = net::error::eof;
        return n > 0 ? static_cast<std::size_t>(n) : 0;
    }

    Socket* socket_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
