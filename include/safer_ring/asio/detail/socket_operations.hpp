// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/caller_buffers.hpp>
#include <safer_ring/ring/socket_operations.hpp>

#include <algorithm>
#include <cstring>
#include <new>
#include <poll.h>
#include <tuple>
#include <utility>

/// Operations of sockets with the caller's buffers and endpoints, still
/// without handlers.
namespace safer_ring::inline SAFER_RING_ABI::detail {

/// What the kernel told of an address. It counts the end of a local path for which a path of
/// 108 characters has no room (unix(7), BUGS).
template <typename Endpoint>
void assign_address(Endpoint& endpoint, const void* address, std::size_t size) noexcept
{
    size = std::min<std::size_t>(size, endpoint.capacity());
    if (void* const to = endpoint.data(); to != nullptr)
        std::memcpy(to, address, size);
    endpoint.resize(size);
}

template <typename Buffers>
class stream_receive : public ring::receive_operation {
protected:
    stream_receive(const Buffers& buffers, std::size_t size_bytes, int flags)
        : ring::receive_operation(size_bytes, flags), buffers_(buffers)
    {
    }
    ~stream_receive() = default;

    void scatter(const std::byte* data, std::size_t size) noexcept override
    {
        net::buffer_copy(buffers_.get(size_bytes()), net::const_buffer(data, size));
    }

    ssize_t receive_now(int fd, int flags) noexcept override
    {
        iovec_array vectors(buffers_.get(size_bytes()));
        if (const iovec* one = vectors.only())
            return retry_interrupted(
                [&] { return ::recv(fd, one->iov_base, one->iov_len, flags); });
        msghdr header = vectors.header();
        return retry_interrupted([&] { return ::recvmsg(fd, &header, flags); });
    }

    std::tuple<error_code, std::size_t> take_arguments() const noexcept
    {
        if (result() == 0)
            return {net::error::eof, 0};
        return {to_error_code(result()), result() > 0 ? static_cast<std::size_t>(result()) : 0};
    }

private:
    kept_buffers<Buffers> buffers_;
};

template <typename Buffers>
class stream_send : public ring::send_operation {
protected:
    stream_send(const Buffers& buffers, std::size_t size_bytes, int flags)
        : ring::send_operation(size_bytes, flags), buffers_(buffers)
    {
    }
    ~stream_send() = default;

    void gather(std::byte* out) noexcept override
    {
        net::buffer_copy(net::mutable_buffer(out, size_bytes()), buffers_.get(size_bytes()));
    }

    ssize_t send_now(int fd, int flags) noexcept override
    {
        iovec_array vectors(buffers_.get(size_bytes()));
        if (const iovec* one = vectors.only())
            return retry_interrupted(
                [&] { return ::send(fd, one->iov_base, one->iov_len, flags); });
        const msghdr header = vectors.header();
        return retry_interrupted([&] { return ::sendmsg(fd, &header, flags); });
    }

    std::tuple<error_code, std::size_t> take_arguments() const noexcept
    {
        return {to_error_code(result()), result() > 0 ? static_cast<std::size_t>(result()) : 0};
    }

private:
    kept_buffers<Buffers> buffers_;
};

/// A send that is small enough to be staged where it starts, so that of the
/// caller's sequence only that one reading is made. The iterators of composed
/// sequences, such as those of HTTP messages, cost more than the copy.
class staged_send : public ring::send_operation {
protected:
    /// `vectors` must live until the operation has been started.
    staged_send(const iovec_array& vectors, std::size_t size_bytes, int flags)
        : ring::send_operation(size_bytes, flags), vectors_(&vectors)
    {
    }
    ~staged_send() = default;

    void gather(std::byte* out) noexcept override
    {
        const iovec* const end = vectors_->data() + vectors_->size();
        for (const iovec* v = vectors_->data(); v != end; ++v) {
            if (v->iov_len != 0)
                std::memcpy(out, v->iov_base, v->iov_len);
            out += v->iov_len;
        }
        vectors_ = nullptr;
    }

    // What is staged is sent from there.
    ssize_t send_now(int, int) noexcept override { return -EFAULT; }

    std::tuple<error_code, std::size_t> take_arguments() const noexcept
    {
        return {to_error_code(result()), result() > 0 ? static_cast<std::size_t>(result()) : 0};
    }

private:
    const iovec_array* vectors_;
};

/// recvmsg once the descriptor is ready: datagrams, out-of-band data, and
/// receives that report flags or the sender.
template <typename Buffers, typename Endpoint>
class message_receive : public ring::readiness_operation {
protected:
    message_receive(const Buffers& buffers, int flags, bool is_stream, Endpoint* sender,
                    int* out_flags)
        : ring::readiness_operation((flags & MSG_OOB) != 0 ? POLLPRI : POLLIN,
                                    (flags & MSG_OOB) == 0),
          buffers_(buffers), flags_(flags), is_stream_(is_stream), sender_(sender),
          out_flags_(out_flags)
    {
    }
    ~message_receive() = default;

    ssize_t call(int fd) noexcept override
    {
        const int flags = flags_ | MSG_DONTWAIT;
        iovec_array vectors(buffers_);
        if (const iovec* one = vectors.only(); one != nullptr && out_flags_ == nullptr) {
            if (sender_ == nullptr)
                return retry_interrupted(
                    [&] { return ::recv(fd, one->iov_base, one->iov_len, flags); });
            sockaddr_storage address;
            socklen_t size = sizeof address;
            const ssize_t n = retry_interrupted([&] {
                return ::recvfrom(fd, one->iov_base, one->iov_len, flags,
                                  reinterpret_cast<sockaddr*>(&address), &size);
            });
            if (n >= 0)
                assign_address(*sender_, &address, size);
            return n;
        }
        return receive_message(fd, flags, vectors.header());
    }

    std::tuple<error_code, std::size_t> take_arguments() const noexcept
    {
        if (result() == 0 && is_stream_)
            return {net::error::eof, 0};
        return {to_error_code(result()), result() > 0 ? static_cast<std::size_t>(result()) : 0};
    }

private:
    ssize_t receive_message(int fd, int flags, msghdr header) noexcept
    {
        sockaddr_storage address;
        if (sender_ != nullptr) {
            header.msg_name = &address;
            header.msg_namelen = sizeof address;
        }
        const ssize_t n = retry_interrupted([&] { return ::recvmsg(fd, &header, flags); });
        if (out_flags_ != nullptr)
            *out_flags_ = n < 0 ? 0 : header.msg_flags;
        if (n >= 0 && sender_ != nullptr)
            assign_address(*sender_, &address, header.msg_namelen);
        return n;
    }

    Buffers buffers_;
    int flags_;
    bool is_stream_;
    Endpoint* sender_;
    int* out_flags_;
};

/// sendmsg without blocking: datagrams.
template <typename Buffers, typename Endpoint>
class message_send : public ring::readiness_operation {
protected:
    message_send(const Buffers& buffers, int flags, const Endpoint* destination)
        : ring::readiness_operation(POLLOUT, true), buffers_(buffers), flags_(flags),
          has_destination_(destination != nullptr)
    {
        if (has_destination_)
            destination_ = *destination;
    }
    ~message_send() = default;

    ssize_t call(int fd) noexcept override
    {
        const int flags = flags_ | MSG_DONTWAIT | MSG_NOSIGNAL;
        void* const address = has_destination_ ? destination_.data() : nullptr;
        const auto size = static_cast<socklen_t>(has_destination_ ? destination_.size() : 0);
        iovec_array vectors(buffers_);
        if (const iovec* one = vectors.only())
            return retry_interrupted([&] {
                return ::sendto(fd, one->iov_base, one->iov_len, flags,
                                static_cast<const sockaddr*>(address), size);
            });
        msghdr header = vectors.header();
        header.msg_name = address;
        header.msg_namelen = size;
        return retry_interrupted([&] { return ::sendmsg(fd, &header, flags); });
    }

    std::tuple<error_code, std::size_t> take_arguments() const noexcept
    {
        return {to_error_code(result()), result() > 0 ? static_cast<std::size_t>(result()) : 0};
    }

private:
    Buffers buffers_;
    Endpoint destination_;
    int flags_;
    bool has_destination_;
};

template <typename Endpoint>
class stream_connect : public ring::connect_operation {
protected:
    explicit stream_connect(const Endpoint& peer)
        : ring::connect_operation(peer.data(), peer.size())
    {
    }
    ~stream_connect() = default;

    std::tuple<error_code> take_arguments() const noexcept { return {to_error_code(result())}; }
};

/// Connects a datagram or a raw socket, which waits for nobody: by a call, so that who asks the
/// socket, or sends, right behind it finds it connected.
template <typename Endpoint>
class datagram_connect : public ring::readiness_operation {
protected:
    explicit datagram_connect(const Endpoint& peer)
        : ring::readiness_operation(POLLOUT, true), peer_(peer)
    {
    }
    ~datagram_connect() = default;

    ssize_t call(int fd) noexcept override
    {
        const ssize_t n = retry_interrupted([&] {
            return ::connect(fd, static_cast<const sockaddr*>(peer_.data()),
                             static_cast<socklen_t>(peer_.size()));
        });
        // There is no port left (inet_autobind() in Linux's af_inet.c). Asio calls it so, too.
        return ring::would_block(n) ? -ENOBUFS : n;
    }

    std::tuple<error_code> take_arguments() const noexcept { return {to_error_code(result())}; }

private:
    Endpoint peer_;
};

template <typename Endpoint>
class accept_base : public ring::accept_operation {
protected:
    accept_base(Endpoint* peer_endpoint, bool reports_aborted) noexcept
        : ring::accept_operation(peer_endpoint != nullptr, reports_aborted),
          peer_endpoint_(peer_endpoint)
    {
    }
    ~accept_base() = default;

    void take_address(const void* address, std::size_t size) noexcept override
    {
        if (peer_endpoint_ != nullptr)
            assign_address(*peer_endpoint_, address, size);
    }

    template <typename Protocol, typename Socket>
    error_code assign_to(Socket& peer, const Protocol& protocol)
    {
        error_code ec = to_error_code(result());
        if (ec)
            return ec;
        const int fd = this->take_socket();
        try {
            peer.assign(protocol, fd, ec);
        } catch (const std::bad_alloc&) {
            ec = net::error::no_memory;
        }
        if (ec)
            ::close(fd);
        return ec;
    }

private:
    Endpoint* peer_endpoint_;
};

/// Accepts into a socket of the caller's, of any context.
template <typename Socket, typename Protocol>
class accept_into : public accept_base<typename Protocol::endpoint> {
protected:
    accept_into(Socket& peer, const Protocol& protocol, typename Protocol::endpoint* endpoint,
                bool reports_aborted)
        : accept_base<typename Protocol::endpoint>(endpoint, reports_aborted), peer_(peer),
          protocol_(protocol)
    {
    }
    ~accept_into() = default;

    std::tuple<error_code> take_arguments() { return {this->assign_to(peer_, protocol_)}; }

private:
    Socket& peer_;
    Protocol protocol_;
};

/// Accepts into a new socket, which goes to the handler.
template <typename Protocol, typename PeerExecutor>
class accept_new : public accept_base<typename Protocol::endpoint> {
    using socket_type = typename Protocol::socket::template rebind_executor<PeerExecutor>::other;

protected:
    accept_new(const PeerExecutor& ex, const Protocol& protocol,
               typename Protocol::endpoint* endpoint, bool reports_aborted)
        : accept_base<typename Protocol::endpoint>(endpoint, reports_aborted), peer_(ex),
          protocol_(protocol)
    {
    }
    ~accept_new() = default;

    std::tuple<error_code, socket_type> take_arguments()
    {
        const error_code ec = this->assign_to(peer_, protocol_);
        return {ec, std::move(peer_)};
    }

private:
    socket_type peer_;
    Protocol protocol_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
