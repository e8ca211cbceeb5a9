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
#include <array>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <memory>
#include <new>
#include <span>
#include <sys/socket.h>
#include <sys/uio.h>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::detail {

namespace net = boost::asio;

/// For the time of one receive only.
inline std::span<std::byte> receive_memory_of_thread()
{
    constexpr std::size_t size_bytes = 65536;
    static thread_local const std::unique_ptr<std::byte[]> memory(new std::byte[size_bytes]);
    return {memory.get(), size_bytes};
}

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
        const bool messages = has_messages();
        const std::size_t there = messages ? size_of_message(error) : size_of_bytes();
        if (error)
            return error;
        try {
            received = owned_buffer(there != 0 ? there : messages ? 1 : most_bytes);
            // Who shares the socket may have been faster, and the next message be longer.
            const std::span<std::byte> rest =
                messages ? receive_memory_of_thread() : std::span<std::byte>();
            const std::size_t n = receive_at_once({net::buffer(received.data(), received.size()),
                                                   net::buffer(rest.data(), rest.size())},
                                                  0, error);
            if (n > received.size())
                received = joined(received, rest.first(n - received.size()));
            received.resize(n);
        } catch (const std::bad_alloc&) {
            received = {};
            return net::error::no_memory;
        }
        if (!messages && there == 0)
            received = shrunk(std::move(received));
        return error;
    }

    /// As large as what is in it, if there is memory for that.
    static owned_buffer shrunk(owned_buffer buffer)
    {
        try {
            return owned_buffer::copy_of(buffer.bytes());
        } catch (const std::bad_alloc&) {
            return buffer;
        }
    }

    static owned_buffer joined(const owned_buffer& first, std::span<const std::byte> rest)
    {
        owned_buffer all(first.size() + rest.size());
        std::copy(rest.begin(), rest.end(), std::copy_n(first.data(), first.size(), all.data()));
        return all;
    }

    bool has_messages() noexcept
    {
        int type = SOCK_STREAM;
        socklen_t size = sizeof type;
        return ::getsockopt(socket_->native_handle(), SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
               type != SOCK_STREAM;
    }

    /// Zero where nobody tells (FIONREAD): netlink does not, nor did streams of MPTCP and vsock at
    /// first.
    std::size_t size_of_bytes()
    {
        boost::system::error_code unknown;
        return std::min(socket_->available(unknown), most_bytes);
    }

    /// What does not fit into the memory would be lost, so all of it has to. Not every
    /// family of sockets answers the length of what it cuts, as SCTP does not; sockets for
    /// pings and CAN do not tell how many bytes are there either.
    std::size_t size_of_message(boost::system::error_code& error)
    {
        char first = 0;
        const std::size_t n =
            receive_at_once({net::buffer(&first, 1)}, MSG_PEEK | MSG_TRUNC, error);
        return n != 1 || error ? n : size_of_bytes();
    }

    /// Asio's own sockets wait behind MSG_DONTWAIT unless their user has made them
    /// non-blocking, so they are not asked.
    std::size_t receive_at_once(const std::array<net::mutable_buffer, 2>& into, int flags,
                                boost::system::error_code& error)
    {
        flags |= MSG_DONTWAIT;
        if (ask(*socket_).context() != nullptr)
            return socket_->receive(into, flags, error);
        iovec parts[] = {{into[0].data(), into[0].size()}, {into[1].data(), into[1].size()}};
        msghdr message{};
        message.msg_iov = parts;
        message.msg_iovlen = std::size(parts);
        ssize_t n = 0;
        do
            n = ::recvmsg(socket_->native_handle(), &message, flags);
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
