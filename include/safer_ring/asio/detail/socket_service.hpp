// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/socket_service_base.hpp>

#include <cstring>

namespace safer_ring::inline SAFER_RING_ABI::detail {

// Boost deprecates net::null_buffers from 1.90 on, but Asio's objects still hand
// them to their services: who never uses them should not be warned of it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/// The service behind Asio's sockets and acceptors of one protocol, with the
/// interface of Asio's own.
template <typename Protocol>
class socket_service : public net::execution_context::service, public socket_service_base {
public:
    using key_type = socket_service;
    inline static net::execution_context::id id;

    using protocol_type = Protocol;
    using endpoint_type = typename Protocol::endpoint;

    struct implementation_type : base_implementation_type {
        protocol_type protocol_ = endpoint_type().protocol();
    };

    explicit socket_service(net::execution_context& context)
        : net::execution_context::service(context), socket_service_base(context)
    {
    }

    void move_construct(implementation_type& impl, implementation_type& other) noexcept
    {
        base_move_construct(impl, other);
        impl.protocol_ = std::exchange(other.protocol_, endpoint_type().protocol());
    }

    void move_assign(implementation_type& impl, socket_service_base&, implementation_type& other)
    {
        destroy(impl);
        move_construct(impl, other);
    }

    template <typename Protocol1>
    void converting_move_construct(implementation_type& impl, socket_service<Protocol1>&,
                                   typename socket_service<Protocol1>::implementation_type& other)
    {
        base_move_construct(impl, other);
        impl.protocol_ = protocol_type(other.protocol_);
        other.protocol_ = typename Protocol1::endpoint().protocol();
    }

    error_code open(implementation_type& impl, const protocol_type& protocol, error_code& ec)
    {
        if (!do_open(impl, protocol.family(), protocol.type(), protocol.protocol(), ec))
            impl.protocol_ = protocol;
        return ec;
    }

    error_code assign(implementation_type& impl, const protocol_type& protocol, int socket,
                      error_code& ec)
    {
        if (!do_assign(impl, protocol.family(), protocol.type(), socket, ec))
            impl.protocol_ = protocol;
        return ec;
    }

    error_code bind(implementation_type& impl, const endpoint_type& endpoint, error_code& ec)
    {
        socket_ops::bind(impl.socket_, endpoint.data(), endpoint.size(), ec);
        return ec;
    }

    template <typename Option>
    error_code set_option(implementation_type& impl, const Option& option, error_code& ec)
    {
        before_synchronous(impl);
        socket_ops::setsockopt(impl.socket_, impl.state_, option.level(impl.protocol_),
                               option.name(impl.protocol_), option.data(impl.protocol_),
                               option.size(impl.protocol_), ec);
        return ec;
    }

    template <typename Option>
    error_code get_option(const implementation_type& impl, Option& option, error_code& ec) const
    {
        std::size_t size = option.size(impl.protocol_);
        socket_ops::getsockopt(impl.socket_, impl.state_, option.level(impl.protocol_),
                               option.name(impl.protocol_), option.data(impl.protocol_), &size, ec);
        if (!ec)
            option.resize(impl.protocol_, size);
        return ec;
    }

    endpoint_type local_endpoint(const implementation_type& impl, error_code& ec) const
    {
        endpoint_type endpoint;
        std::size_t size = endpoint.capacity();
        if (socket_ops::getsockname(impl.socket_, endpoint.data(), &size, ec) != 0)
            return endpoint_type();
        endpoint.resize(size);
        return endpoint;
    }

    endpoint_type remote_endpoint(const implementation_type& impl, error_code& ec) const
    {
        endpoint_type endpoint;
        std::size_t size = endpoint.capacity();
        if (socket_ops::getpeername(impl.socket_, endpoint.data(), &size, false, ec) != 0)
            return endpoint_type();
        endpoint.resize(size);
        return endpoint;
    }

    // ---- datagrams

    template <typename Buffers>
    std::size_t send_to(implementation_type& impl, const Buffers& buffers,
                        const endpoint_type& destination, net::socket_base::message_flags flags,
                        error_code& ec)
    {
        const unsigned completions = before_blocking(impl);
        io_vectors vectors(buffers);
        return uninterrupted({loop(), impl.socket_, SO_SNDTIMEO, completions}, ec, [&] {
            return socket_ops::sync_sendto(impl.socket_, impl.state_, vectors.data(),
                                           vectors.size(), flags, destination.data(),
                                           destination.size(), ec);
        });
    }

    std::size_t send_to(implementation_type& impl, const net::null_buffers&, const endpoint_type&,
                        net::socket_base::message_flags, error_code& ec)
    {
        wait(impl, net::socket_base::wait_write, ec);
        return 0;
    }

    template <typename Buffers, typename Handler, typename IoExecutor>
    void async_send_to(implementation_type& impl, const Buffers& buffers,
                       const endpoint_type& destination, net::socket_base::message_flags flags,
                       Handler& handler, const IoExecutor& io_ex)
    {
        using op = handler_operation<message_send<Buffers, endpoint_type>, Handler, IoExecutor>;
        start<op>(impl, ring::direction::write, handler, io_ex, buffers, flags, &destination);
    }

    template <typename Handler, typename IoExecutor>
    void async_send_to(implementation_type& impl, const net::null_buffers& none,
                       const endpoint_type&, net::socket_base::message_flags flags,
                       Handler& handler, const IoExecutor& io_ex)
    {
        async_send(impl, none, flags, handler, io_ex);
    }

    template <typename Buffers>
    std::size_t receive_from(implementation_type& impl, const Buffers& buffers,
                             endpoint_type& sender, net::socket_base::message_flags flags,
                             error_code& ec)
    {
        const unsigned completions = before_blocking(impl);
        if (has_stream(impl, ec) || take_leftover_error(impl, flags, ec))
            return 0;
        io_vectors vectors(buffers);
        std::size_t size = sender.capacity();
        const std::size_t n =
            uninterrupted({loop(), impl.socket_, SO_RCVTIMEO, completions}, ec, [&] {
                size = sender.capacity();
                return socket_ops::sync_recvfrom(impl.socket_, impl.state_, vectors.data(),
                                                 vectors.size(), flags, sender.data(), &size, ec);
            });
        if (!ec)
            sender.resize(size);
        return n;
    }

    std::size_t receive_from(implementation_type& impl, const net::null_buffers&,
                             endpoint_type& sender, net::socket_base::message_flags, error_code& ec)
    {
        wait(impl, net::socket_base::wait_read, ec);
        sender = endpoint_type();
        return 0;
    }

    template <typename Buffers, typename Handler, typename IoExecutor>
    void async_receive_from(implementation_type& impl, const Buffers& buffers,
                            endpoint_type& sender, net::socket_base::message_flags flags,
                            Handler& handler, const IoExecutor& io_ex)
    {
        using op = handler_operation<message_receive<Buffers, endpoint_type>, Handler, IoExecutor>;
        start<op>(impl, receive_direction(flags), handler, io_ex, buffers, flags, false, &sender,
                  nullptr);
    }

    template <typename Handler, typename IoExecutor>
    void async_receive_from(implementation_type& impl, const net::null_buffers& none,
                            endpoint_type& sender, net::socket_base::message_flags flags,
                            Handler& handler, const IoExecutor& io_ex)
    {
        sender = endpoint_type();
        async_receive(impl, none, flags, handler, io_ex);
    }

    // ---- accept and connect

    template <typename Socket>
    error_code accept(implementation_type& impl, Socket& peer, endpoint_type* peer_endpoint,
                      error_code& ec)
    {
        if (peer.is_open())
            return ec = net::error::already_open;
        if (has_stream(impl, ec))
            return ec;
        const unsigned completions = before_blocking(impl);
        std::size_t size = peer_endpoint != nullptr ? peer_endpoint->capacity() : 0;
        net::detail::socket_holder socket(impl.descriptor_ != nullptr
                                              ? loop().take_leftover_socket(*impl.descriptor_)
                                              : net::detail::invalid_socket);
        if (socket.get() != net::detail::invalid_socket) {
            // A peer that has gone already has no address to tell.
            if (peer_endpoint != nullptr &&
                socket_ops::getpeername(socket.get(), peer_endpoint->data(), &size, false, ec) != 0)
                size = 0;
            ec = {};
        } else {
            socket.reset(uninterrupted({loop(), impl.socket_, SO_RCVTIMEO, completions}, ec, [&] {
                return socket_ops::sync_accept(impl.socket_, impl.state_,
                                               peer_endpoint != nullptr ? peer_endpoint->data()
                                                                        : nullptr,
                                               peer_endpoint != nullptr ? &size : nullptr, ec);
            }));
        }
        if (socket.get() == net::detail::invalid_socket || ec)
            return ec;
        if (peer_endpoint != nullptr)
            peer_endpoint->resize(size);
        peer.assign(impl.protocol_, socket.get(), ec);
        if (!ec)
            socket.release();
        return ec;
    }

    template <typename Socket, typename Handler, typename IoExecutor>
    void async_accept(implementation_type& impl, Socket& peer, endpoint_type* peer_endpoint,
                      Handler& handler, const IoExecutor& io_ex)
    {
        using op = handler_operation<accept_into<Socket, Protocol>, Handler, IoExecutor>;
        if (peer.is_open()) {
            using refusal = handler_operation<already_open, Handler, IoExecutor>;
            return complete_at_once<refusal>(0, handler, io_ex, short{0});
        }
        start<op>(impl, ring::direction::read, handler, io_ex, peer, impl.protocol_, peer_endpoint,
                  reports_aborted(impl));
    }

    template <typename PeerExecutor, typename Handler, typename IoExecutor>
    void async_move_accept(implementation_type& impl, const PeerExecutor& peer_ex,
                           endpoint_type* peer_endpoint, Handler& handler, const IoExecutor& io_ex)
    {
        using op = handler_operation<accept_new<Protocol, PeerExecutor>, Handler, IoExecutor>;
        start<op>(impl, ring::direction::read, handler, io_ex, peer_ex, impl.protocol_,
                  peer_endpoint, reports_aborted(impl));
    }

    error_code connect(implementation_type& impl, const endpoint_type& peer, error_code& ec)
    {
        const unsigned completions = before_blocking(impl);
        bool has_begun = false;
        uninterrupted({loop(), impl.socket_, SO_SNDTIMEO, completions}, ec, [&] {
            socket_ops::sync_connect(impl.socket_, peer.data(), peer.size(), ec);
            // What was interrupted is the wait; TCP has gone on with the connection.
            if (std::exchange(has_begun, true) && ec == net::error::already_connected)
                ec = {};
            return ec;
        });
        return ec;
    }

    template <typename Handler, typename IoExecutor>
    void async_connect(implementation_type& impl, const endpoint_type& peer, Handler& handler,
                       const IoExecutor& io_ex)
    {
        if (const int type = impl.protocol_.type(); type == SOCK_DGRAM || type == SOCK_RAW) {
            using op = handler_operation<datagram_connect<endpoint_type>, Handler, IoExecutor>;
            return start<op>(impl, ring::direction::write, handler, io_ex, peer);
        }
        using op = handler_operation<stream_connect<endpoint_type>, Handler, IoExecutor>;
        start<op>(impl, ring::direction::write, handler, io_ex, peer);
    }

    void shutdown() override {}

    using socket_service_base::shutdown;

private:
    /// The end of an accept into a socket that is open.
    class already_open : public ring::wait_operation {
    protected:
        using ring::wait_operation::wait_operation;
        ~already_open() = default;
        std::tuple<error_code> take_arguments() const { return {net::error::already_open}; }
    };

    static bool reports_aborted(const implementation_type& impl) noexcept
    {
        return (impl.state_ & socket_ops::enable_connection_aborted) != 0;
    }
};

#pragma GCC diagnostic pop

} // namespace safer_ring::inline SAFER_RING_ABI::detail
