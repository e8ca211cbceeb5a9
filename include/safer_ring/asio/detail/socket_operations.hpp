// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/asio_names.hpp>
#include <safer_ring/ring/socket_operations.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <array>
#include <cstring>
#include <new>
#include <poll.h>
#include <tuple>
#include <type_traits>
#include <utility>

/// Operations of sockets with the caller's buffers and endpoints, still
/// without handlers.
namespace safer_ring::inline SAFER_RING_ABI::detail {

using boost::system::error_code;

/// The error_code of a negated errno; no error for anything else.
inline error_code to_error_code(int result) noexcept
{
    return result < 0 ? error_code(-result, net::error::get_system_category()) : error_code();
}

/// The first buffers of a sequence as the kernel wants them. Asio, too,
/// passes at most this many at a time.
class iovec_array {
public:
    static constexpr std::size_t max_size = 64;

    template <typename Buffers>
    explicit iovec_array(const Buffers& buffers) noexcept
    {
        const auto end = net::buffer_sequence_end(buffers);
        for (auto it = net::buffer_sequence_begin(buffers); it != end && size_ < max_size; ++it) {
            const auto buffer = to_buffer(*it);
            iovecs_[size_++] = {const_cast<void*>(buffer.data()), buffer.size()};
        }
    }

    /// The buffer, if it is the only one: send(2) and recv(2) cost less than
    /// sendmsg(2) and recvmsg(2), which read their arguments from memory.
    [[nodiscard]] const iovec* only() const noexcept
    {
        return size_ == 1 ? iovecs_.data() : nullptr;
    }

    msghdr header() noexcept
    {
        msghdr h{};
        h.msg_iov = iovecs_.data();
        h.msg_iovlen = size_;
        return h;
    }

private:
    static net::const_buffer to_buffer(const net::const_buffer& buffer) noexcept { return buffer; }

    std::array<iovec, max_size> iovecs_;
    std::size_t size_ = 0;
};

/// Repeats a system call that a signal interrupted; the negated errno on
/// failure.
template <typename F>
ssize_t retry_interrupted(F&& call) noexcept
{
    for (;;) {
        const ssize_t n = call();
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

/// The caller's buffers in an operation that knows their size.
template <typename Buffers>
class kept_buffers {
public:
    explicit kept_buffers(const Buffers& buffers) : buffers_(buffers) {}
    const Buffers& get(std::size_t) const noexcept { return buffers_; }

private:
    Buffers buffers_;
};

template <typename T, typename Buffer>
inline constexpr bool is_derived_buffer = std::is_convertible_v<const T*, const Buffer*>;

/// Asio's own buffers and what adds nothing to them. Another type may own the
/// memory, or be a sequence that also converts to a buffer, and is kept whole.
template <typename T>
inline constexpr bool is_plain_buffer = std::is_trivially_copyable_v<T> &&
                                        sizeof(T) == 2 * sizeof(void*) &&
                                        (is_derived_buffer<T, net::const_buffer> ||
                                         is_derived_buffer<T, net::mutable_buffer>);

/// One buffer, without its size. A buffer that has just been made is copied
/// by a load of 16 bytes from two stores of 8, for which the processor waits
/// until all earlier stores are done: 1 % of an echo each time.
template <typename Buffer>
requires is_plain_buffer<Buffer>
class kept_buffers<Buffer> {
    using buffer = std::conditional_t<is_derived_buffer<Buffer, net::mutable_buffer>,
                                      net::mutable_buffer, net::const_buffer>;

public:
    explicit kept_buffers(const Buffer& b) noexcept : data_(static_cast<const buffer&>(b).data()) {}
    buffer get(std::size_t size_bytes) const noexcept { return buffer(data_, size_bytes); }

private:
    decltype(std::declval<buffer>().data()) data_;
};

template <typename Buffers>
class stream_receive : public ring::receive_operation {
protected:
    stream_receive(const Buffers& buffers, int flags)
        : ring::receive_operation(net::buffer_size(buffers), flags), buffers_(buffers)
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
    stream_send(const Buffers& buffers, int flags)
        : ring::send_operation(net::buffer_size(buffers), flags), buffers_(buffers)
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
        iovec_array vectors(buffers_);
        msghdr header = vectors.header();
        sockaddr_storage address;
        if (sender_ != nullptr) {
            header.msg_name = &address;
            header.msg_namelen = sizeof address;
        }
        const ssize_t n =
            retry_interrupted([&] { return ::recvmsg(fd, &header, flags_ | MSG_DONTWAIT); });
        if (n >= 0 && sender_ != nullptr && header.msg_namelen <= sender_->capacity()) {
            if (void* const to = sender_->data(); to != nullptr)
                std::memcpy(to, &address, header.msg_namelen);
            sender_->resize(header.msg_namelen);
        }
        if (n >= 0 && out_flags_ != nullptr)
            *out_flags_ = header.msg_flags;
        return n;
    }

    std::tuple<error_code, std::size_t> take_arguments() const noexcept
    {
        if (result() == 0 && is_stream_)
            return {net::error::eof, 0};
        return {to_error_code(result()), result() > 0 ? static_cast<std::size_t>(result()) : 0};
    }

private:
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
        iovec_array vectors(buffers_);
        msghdr header = vectors.header();
        if (has_destination_) {
            header.msg_name = destination_.data();
            header.msg_namelen = static_cast<socklen_t>(destination_.size());
        }
        return retry_interrupted(
            [&] { return ::sendmsg(fd, &header, flags_ | MSG_DONTWAIT | MSG_NOSIGNAL); });
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

class readiness_wait : public ring::wait_operation {
protected:
    using ring::wait_operation::wait_operation;
    ~readiness_wait() = default;

    std::tuple<error_code> take_arguments() const noexcept { return {to_error_code(result())}; }
};

/// The wait behind net::null_buffers: completes with a size of zero.
class null_buffers_wait : public ring::wait_operation {
protected:
    using ring::wait_operation::wait_operation;
    ~null_buffers_wait() = default;

    std::tuple<error_code, std::size_t> take_arguments() const noexcept
    {
        return {to_error_code(result()), 0};
    }
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
        if (peer_endpoint_ != nullptr && size <= peer_endpoint_->capacity()) {
            std::memcpy(peer_endpoint_->data(), address, size);
            peer_endpoint_->resize(size);
        }
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
