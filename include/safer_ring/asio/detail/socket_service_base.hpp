// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/native_service_base.hpp>
#include <safer_ring/asio/detail/socket_operations.hpp>
#include <safer_ring/asio/detail/uninterrupted.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/socket_base.hpp>

#include <fcntl.h>
#include <poll.h>

namespace safer_ring::inline SAFER_RING_ABI::detail {

// Boost deprecates net::null_buffers from 1.90 on, but Asio's objects still hand
// them to their services: who never uses them should not be warned of it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/// What sockets of all protocols share: life and modes of the descriptor, and
/// the calls that know no endpoint. Mirrors the interface of Asio's own
/// service, since Asio's I/O objects call it.
class socket_service_base : protected native_service_base {
public:
    struct base_implementation_type {
        int socket_ = -1;
        socket_ops::state_type state_ = 0;
        ring::descriptor* descriptor_ = nullptr;
    };
    using native_handle_type = int;

    bool is_open(const base_implementation_type& impl) const { return impl.socket_ != -1; }
    /// Who asks for it may be about to write by it, behind what was started. Connects stay as they are.
    native_handle_type native_handle(base_implementation_type& impl)
    {
        before_synchronous(impl);
        return impl.socket_;
    }

    void construct(base_implementation_type& impl) { impl = {}; }

    void destroy(base_implementation_type& impl)
    {
        if (!is_open(impl))
            return;
        error_code ignored;
        close_descriptor(impl, true, ignored);
    }

    error_code close(base_implementation_type& impl, error_code& ec)
    {
        ec = {};
        if (is_open(impl))
            close_descriptor(impl, false, ec);
        return ec;
    }

    int release(base_implementation_type& impl, error_code& ec)
    {
        if (!is_open(impl)) {
            ec = net::error::bad_descriptor;
            return -1;
        }
        if (has_stream(impl, ec))
            return -1;
        const int socket = impl.socket_;
        give_up(impl);
        construct(impl);
        ec = {};
        return socket;
    }

    error_code cancel(base_implementation_type& impl, error_code& ec)
    {
        return cancel_all(impl, ec);
    }

    bool at_mark(const base_implementation_type& impl, error_code& ec) const
    {
        return socket_ops::sockatmark(impl.socket_, ec);
    }

    std::size_t available(const base_implementation_type& impl, error_code& ec) const
    {
        before_blocking(impl);
        const std::size_t n = socket_ops::available(impl.socket_, ec);
        return impl.descriptor_ != nullptr && !ec ? n + loop().leftover_size(*impl.descriptor_) : n;
    }

    error_code listen(base_implementation_type& impl, int backlog, error_code& ec)
    {
        socket_ops::listen(impl.socket_, backlog, ec);
        return ec;
    }

    template <typename Command>
    error_code io_control(base_implementation_type& impl, Command& command, error_code& ec)
    {
        before_blocking(impl);
        auto* const argument = static_cast<net::detail::ioctl_arg_type*>(command.data());
        socket_ops::ioctl(impl.socket_, impl.state_, command.name(), argument, ec);
        if (!ec && command.name() == static_cast<int>(FIONREAD) && impl.descriptor_ != nullptr)
            *argument += static_cast<int>(loop().leftover_size(*impl.descriptor_));
        return ec;
    }

    error_code io_control(base_implementation_type& impl, native_question& question, error_code& ec)
    {
        answer(question, impl.descriptor_);
        return ec = {};
    }

    bool non_blocking(const base_implementation_type& impl) const
    {
        return (impl.state_ & socket_ops::user_set_non_blocking) != 0;
    }
    error_code non_blocking(base_implementation_type& impl, bool mode, error_code& ec)
    {
        socket_ops::set_user_non_blocking(impl.socket_, impl.state_, mode, ec);
        return ec;
    }
    bool native_non_blocking(const base_implementation_type& impl) const
    {
        return (impl.state_ & socket_ops::internal_non_blocking) != 0;
    }
    error_code native_non_blocking(base_implementation_type& impl, bool mode, error_code& ec)
    {
        socket_ops::set_internal_non_blocking(impl.socket_, impl.state_, mode, ec);
        return ec;
    }

    error_code shutdown(base_implementation_type& impl, net::socket_base::shutdown_type what,
                        error_code& ec)
    {
        before_synchronous(impl);
        socket_ops::shutdown(impl.socket_, what, ec);
        return ec;
    }

    error_code wait(base_implementation_type& impl, net::socket_base::wait_type w, error_code& ec)
    {
        before_blocking(impl);
        ec = {};
        switch (w) {
        case net::socket_base::wait_read:
            if (!has_stream(impl, ec) && !has_leftover(impl))
                socket_ops::poll_read(impl.socket_, impl.state_, -1, ec);
            break;
        case net::socket_base::wait_write:
            socket_ops::poll_write(impl.socket_, impl.state_, -1, ec);
            break;
        case net::socket_base::wait_error:
            socket_ops::poll_error(impl.socket_, impl.state_, -1, ec);
            break;
        default:
            ec = net::error::invalid_argument;
            break;
        }
        return ec;
    }

    template <typename Handler, typename IoExecutor>
    void async_wait(base_implementation_type& impl, net::socket_base::wait_type w, Handler& handler,
                    const IoExecutor& io_ex)
    {
        start_wait<net::socket_base>(impl, w, handler, io_ex);
    }

    // ---- send and receive

    template <typename Buffers>
    std::size_t send(base_implementation_type& impl, const Buffers& buffers,
                     net::socket_base::message_flags flags, error_code& ec)
    {
        const unsigned completions = before_blocking(impl);
        io_vectors vectors(buffers);
        const auto call = [&] {
            return socket_ops::sync_send(impl.socket_, impl.state_, vectors.data(), vectors.size(),
                                         flags, vectors.all_empty(), ec);
        };
        const blocking_call at{loop(), impl.socket_, SO_SNDTIMEO, completions};
        if (!is_stream(impl) || (flags & MSG_DONTWAIT) != 0)
            return uninterrupted(at, ec, call);
        return move_all(at, vectors, ec, call);
    }

    std::size_t send(base_implementation_type& impl, const net::null_buffers&,
                     net::socket_base::message_flags, error_code& ec)
    {
        before_blocking(impl);
        socket_ops::poll_write(impl.socket_, impl.state_, -1, ec);
        return 0;
    }

    template <typename Buffers, typename Handler, typename IoExecutor>
    void async_send(base_implementation_type& impl, const Buffers& buffers,
                    net::socket_base::message_flags flags, Handler& handler,
                    const IoExecutor& io_ex)
    {
        if (!is_stream(impl)) {
            using op = handler_operation<message_send<Buffers, any_address>, Handler, IoExecutor>;
            return start<op>(impl, ring::direction::write, handler, io_ex, buffers, flags,
                             static_cast<const any_address*>(nullptr));
        }
        using op = handler_operation<stream_send<Buffers>, Handler, IoExecutor>;
        if constexpr (!is_plain_buffer<Buffers>) {
            using staged_op = handler_operation<staged_send, Handler, IoExecutor>;
            const iovec_array vectors(buffers);
            const auto [staged, lacks_memory] = vectors.measure();
            if (staged != 0 && staged <= loop().settings().send_buffer_size_bytes &&
                !lacks_memory && (flags & MSG_ZEROCOPY) == 0)
                return start<staged_op>(impl, ring::direction::write, handler, io_ex, vectors,
                                        staged, flags);
        }
        const auto [size, lacks_memory] = measure(buffers);
        if (size == 0 || (lacks_memory && is_open(impl)))
            return complete_at_once<op>(size == 0 ? 0 : -EFAULT, handler, io_ex, buffers, size,
                                        flags);
        start<op>(impl, ring::direction::write, handler, io_ex, buffers, size, flags);
    }

    template <typename Handler, typename IoExecutor>
    void async_send(base_implementation_type& impl, const net::null_buffers&,
                    net::socket_base::message_flags, Handler& handler, const IoExecutor& io_ex)
    {
        using op = handler_operation<null_buffers_wait, Handler, IoExecutor>;
        start<op>(impl, ring::direction::write, handler, io_ex, short{POLLOUT});
    }

    template <typename Buffers>
    std::size_t receive(base_implementation_type& impl, const Buffers& buffers,
                        net::socket_base::message_flags flags, error_code& ec)
    {
        const unsigned completions = before_blocking(impl);
        if ((flags & net::socket_base::message_out_of_band) == 0 && has_stream(impl, ec))
            return 0;
        if (measure(buffers).lacks_memory && has_leftover(impl) && !is_counted_only(impl, flags)) {
            ec = net::error::fault;
            return 0;
        }
        constexpr int not_whole = MSG_PEEK | MSG_DONTWAIT | MSG_OOB | MSG_ERRQUEUE | MSG_TRUNC;
        const bool all = is_stream(impl) && (flags & (MSG_WAITALL | not_whole)) == MSG_WAITALL;
        const std::size_t leftover = receive_leftover(impl, buffers, flags);
        if (leftover != 0 && !all) {
            ec = {};
            return leftover;
        }
        io_vectors vectors(buffers);
        const bool is_no_op = is_stream(impl) && vectors.all_empty();
        if (!is_no_op && leftover == 0 && take_leftover_error(impl, flags, ec))
            return 0;
        // Asio waits in poll(2) behind a call that was told not to.
        const auto state = (flags & MSG_DONTWAIT) != 0
                               ? static_cast<socket_ops::state_type>(
                                     impl.state_ | socket_ops::user_set_non_blocking)
                               : impl.state_;
        const auto call = [&] {
            return socket_ops::sync_recv(impl.socket_, state, vectors.data(), vectors.size(), flags,
                                         vectors.all_empty(), ec);
        };
        const blocking_call at{loop(), impl.socket_, SO_RCVTIMEO, completions};
        return all ? move_all(at, vectors, ec, call, leftover) : uninterrupted(at, ec, call);
    }

    std::size_t receive(base_implementation_type& impl, const net::null_buffers&,
                        net::socket_base::message_flags, error_code& ec)
    {
        wait(impl, net::socket_base::wait_read, ec);
        return 0;
    }

    template <typename Buffers, typename Handler, typename IoExecutor>
    void async_receive(base_implementation_type& impl, const Buffers& buffers,
                       net::socket_base::message_flags flags, Handler& handler,
                       const IoExecutor& io_ex)
    {
        if (!is_stream(impl) || (flags & net::socket_base::message_out_of_band) != 0) {
            using op =
                handler_operation<message_receive<Buffers, any_address>, Handler, IoExecutor>;
            const bool stream = is_stream(impl);
            if (stream && measure(buffers).size_bytes == 0)
                return complete_at_once<op>(0, handler, io_ex, buffers, flags, false, nullptr,
                                            nullptr);
            return start<op>(impl, receive_direction(flags), handler, io_ex, buffers, flags, stream,
                             nullptr, nullptr);
        }
        const auto [size, lacks_memory] = measure(buffers);
        if (size == 0 || (lacks_memory && is_open(impl) && !is_counted_only(impl, flags))) {
            using op = handler_operation<empty_transfer, Handler, IoExecutor>;
            return complete_at_once<op>(size == 0 ? 0 : -EFAULT, handler, io_ex, short{0});
        }
        using op = handler_operation<stream_receive<Buffers>, Handler, IoExecutor>;
        start<op>(impl, ring::direction::read, handler, io_ex, buffers, size, flags);
    }

    template <typename Handler, typename IoExecutor>
    void async_receive(base_implementation_type& impl, const net::null_buffers&,
                       net::socket_base::message_flags flags, Handler& handler,
                       const IoExecutor& io_ex)
    {
        using op = handler_operation<null_buffers_wait, Handler, IoExecutor>;
        start<op>(impl, receive_direction(flags), handler, io_ex, receive_events(flags));
    }

    template <typename Buffers>
    std::size_t receive_with_flags(base_implementation_type& impl, const Buffers& buffers,
                                   net::socket_base::message_flags in_flags,
                                   net::socket_base::message_flags& out_flags, error_code& ec)
    {
        const unsigned completions = before_blocking(impl);
        if (has_stream(impl, ec))
            return 0;
        io_vectors vectors(buffers);
        return uninterrupted({loop(), impl.socket_, SO_RCVTIMEO, completions}, ec, [&] {
            return socket_ops::sync_recvmsg(impl.socket_, impl.state_, vectors.data(),
                                            vectors.size(), in_flags, out_flags, ec);
        });
    }

    std::size_t receive_with_flags(base_implementation_type& impl, const net::null_buffers&,
                                   net::socket_base::message_flags,
                                   net::socket_base::message_flags& out_flags, error_code& ec)
    {
        wait(impl, net::socket_base::wait_read, ec);
        out_flags = 0;
        return 0;
    }

    template <typename Buffers, typename Handler, typename IoExecutor>
    void async_receive_with_flags(base_implementation_type& impl, const Buffers& buffers,
                                  net::socket_base::message_flags in_flags,
                                  net::socket_base::message_flags& out_flags, Handler& handler,
                                  const IoExecutor& io_ex)
    {
        using op = handler_operation<message_receive<Buffers, any_address>, Handler, IoExecutor>;
        // Asio's first attempt, which is made here, finds none where nothing is there.
        if (is_open(impl))
            out_flags = 0;
        start<op>(impl, receive_direction(in_flags), handler, io_ex, buffers, in_flags, false,
                  nullptr, &out_flags);
    }

    template <typename Handler, typename IoExecutor>
    void async_receive_with_flags(base_implementation_type& impl, const net::null_buffers&,
                                  net::socket_base::message_flags in_flags,
                                  net::socket_base::message_flags& out_flags, Handler& handler,
                                  const IoExecutor& io_ex)
    {
        out_flags = 0;
        async_receive(impl, net::null_buffers(), in_flags, handler, io_ex);
    }

protected:
    explicit socket_service_base(net::execution_context& context) : native_service_base(context) {}

    /// Stands in for an endpoint where none is asked for.
    struct any_address {
        std::size_t capacity() const { return 0; }
        std::size_t size() const { return 0; }
        void* data() { return nullptr; }
        void resize(std::size_t) {}
    };

    static bool is_stream(const base_implementation_type& impl) noexcept
    {
        return (impl.state_ & socket_ops::stream_oriented) != 0;
    }
    /// With that flag TCP throws bytes away, and touches no memory (tcp(7)).
    static bool is_counted_only(const base_implementation_type& impl, int flags) noexcept
    {
        int protocol = 0;
        socklen_t size = sizeof protocol;
        return (flags & MSG_TRUNC) != 0 &&
               ::getsockopt(impl.socket_, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
               protocol == IPPROTO_TCP;
    }
    static ring::direction receive_direction(int flags) noexcept
    {
        return (flags & net::socket_base::message_out_of_band) != 0 ? ring::direction::except
                                                                    : ring::direction::read;
    }
    static short receive_events(int flags) noexcept
    {
        return (flags & net::socket_base::message_out_of_band) != 0 ? POLLPRI : POLLIN;
    }

    /// The caller's error where a stream is open.
    static bool has_stream(const base_implementation_type& impl, error_code& ec) noexcept
    {
        if (impl.descriptor_ == nullptr || impl.descriptor_->stream == nullptr)
            return false;
        ec = error::stream_is_open;
        return true;
    }

    bool has_leftover(const base_implementation_type& impl)
    {
        return impl.descriptor_ != nullptr && loop().has_leftover(*impl.descriptor_);
    }

    /// The error that a cancelled receive, or a stream, met and nobody was told of.
    bool take_leftover_error(base_implementation_type& impl, int flags, error_code& ec)
    {
        if (impl.descriptor_ == nullptr || (flags & net::socket_base::message_out_of_band) != 0)
            return false;
        const int error = loop().take_leftover_error(*impl.descriptor_);
        if (error != 0)
            ec = to_error_code(error);
        return error != 0;
    }

    template <typename Buffers>
    std::size_t receive_leftover(base_implementation_type& impl, const Buffers& buffers, int flags)
    {
        if (impl.descriptor_ == nullptr || loop().leftover_size(*impl.descriptor_) == 0 ||
            (flags & net::socket_base::message_out_of_band) != 0)
            return 0;
        const bool peek = (flags & net::socket_base::message_peek) != 0;
        const bool counted_only = is_counted_only(impl, flags);
        std::size_t total = 0;
        const auto end = net::buffer_sequence_end(buffers);
        for (auto it = net::buffer_sequence_begin(buffers); it != end; ++it) {
            const net::mutable_buffer buffer(*it);
            const std::size_t n = loop().take_leftover(
                *impl.descriptor_, counted_only ? nullptr : static_cast<std::byte*>(buffer.data()),
                buffer.size(), peek);
            total += n;
            if (n < buffer.size() || (peek && n != 0))
                break;
        }
        return total;
    }

    /// Takes over an open socket. Throws std::bad_alloc without effect.
    void adopt(base_implementation_type& impl, int socket, int family, int type,
               socket_ops::state_type extra)
    {
        impl.descriptor_ = loop().open(socket);
        impl.descriptor_->is_local = family == AF_UNIX;
        impl.socket_ = socket;
        impl.state_ = extra;
        if (type == SOCK_STREAM)
            impl.state_ |= socket_ops::stream_oriented;
        else if (type == SOCK_DGRAM)
            impl.state_ |= socket_ops::datagram_oriented;
    }

    error_code do_open(base_implementation_type& impl, int family, int type, int protocol,
                       error_code& ec)
    {
        if (is_open(impl))
            return ec = net::error::already_open;
        net::detail::socket_holder socket(socket_ops::socket(family, type, protocol, ec));
        if (socket.get() == net::detail::invalid_socket)
            return ec;
        adopt(impl, socket.get(), family, type, 0);
        socket.release();
        return ec = {};
    }

    error_code do_assign(base_implementation_type& impl, int family, int type, int socket,
                         error_code& ec)
    {
        if (is_open(impl))
            return ec = net::error::already_open;
        int actual_type = 0;
        socklen_t size = sizeof actual_type;
        const bool is_socket = ::getsockopt(socket, SOL_SOCKET, SO_TYPE, &actual_type, &size) == 0;
        if (!is_socket && errno != ENOTSOCK)
            return ec = error_code(errno, net::error::get_system_category());
        adopt(impl, socket, family, type, socket_ops::possible_dup);
        // Asked to wait before it looks, the kernel would wait for a pipe to
        // become readable before it says that it is no socket.
        if (!is_socket)
            impl.descriptor_->expect_data = true;
        else
            impl.descriptor_->has_messages = actual_type != SOCK_STREAM;
        return ec = {};
    }

    void close_descriptor(base_implementation_type& impl, bool destruction, error_code& ec)
    {
        // Cancelling enters the kernel first, so that the file, and with it a
        // port, is free when close() returns.
        loop().close(impl.descriptor_, service_.current_loop());
        socket_ops::close(impl.socket_, impl.state_, destruction, ec);
        construct(impl);
    }

    void base_move_construct(base_implementation_type& impl,
                             base_implementation_type& other) noexcept
    {
        impl = std::exchange(other, {});
    }
};

#pragma GCC diagnostic pop

} // namespace safer_ring::inline SAFER_RING_ABI::detail
