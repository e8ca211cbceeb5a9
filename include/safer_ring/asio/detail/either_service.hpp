// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/attachment.hpp>
#include <safer_ring/asio/detail/io_object_impl.hpp>

#include <boost/asio/execution_context.hpp>

#include <memory>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// Our io_context if `context` is one or has one attached, null otherwise.
inline io_context* find_ring_context(net::execution_context& context)
{
    // Every io_context has this service from its constructor on, and no other
    // context can.
    if (net::has_service<loop_service>(context))
        return static_cast<io_context*>(&context);
    if (net::has_service<attachment>(context))
        return &net::use_service<attachment>(context).context();
    return nullptr;
}

/// The state of an I/O object that is either ours or Asio's, with the service
/// that it belongs to.
template <typename AsioService>
class either_implementation {
public:
    using asio_service = AsioService;
    using ring_service = typename replaced_service<AsioService>::type;
    using asio_type = typename asio_service::implementation_type;
    using ring_type = typename ring_service::implementation_type;

    explicit either_implementation(net::execution_context& context)
    {
        if (io_context* const ours = find_ring_context(context)) {
            ring_service_ = &net::use_service<ring_service>(*ours);
            std::construct_at(&ring_);
            ring_service_->construct(ring_);
        } else {
            asio_service_ = &net::use_service<asio_service>(context);
            std::construct_at(&asio_);
            asio_service_->construct(asio_);
        }
    }

    /// Takes over an object of the same kind, and with it its context.
    either_implementation(either_implementation&& other)
        : asio_service_(other.asio_service_), ring_service_(other.ring_service_)
    {
        if (is_ring()) {
            std::construct_at(&ring_);
            ring_service_->move_construct(ring_, other.ring_);
        } else {
            std::construct_at(&asio_);
            asio_service_->move_construct(asio_, other.asio_);
        }
    }

    /// The same for an object that is ours by its type.
    either_implementation(ring_service& service, ring_type& other) : ring_service_(&service)
    {
        std::construct_at(&ring_);
        ring_service_->move_construct(ring_, other);
    }

    /// Takes over an object of another protocol; it stays of its kind, also
    /// where its context has been attached to since.
    template <typename AsioService1>
    explicit either_implementation(either_implementation<AsioService1>& other,
                                   net::execution_context& context)
    {
        if (other.is_ring()) {
            make_ring(context);
            ring_service_->converting_move_construct(ring_, *other.ring_service_, other.ring_);
        } else {
            asio_service_ = &net::use_service<asio_service>(context);
            std::construct_at(&asio_);
            asio_service_->converting_move_construct(asio_, *other.asio_service_, other.asio_);
        }
    }

    /// The same for an object that is ours by its type.
    template <typename RingService1, typename RingType1>
    either_implementation(RingService1& service, RingType1& other, net::execution_context& context)
    {
        make_ring(context);
        ring_service_->converting_move_construct(ring_, service, other);
    }

    /// Assigns within one service as the service does; an object of the other
    /// kind is ended first.
    either_implementation& operator=(either_implementation&& other)
    {
        if (is_ring() && other.is_ring()) {
            ring_service_->move_assign(ring_, *other.ring_service_, other.ring_);
            ring_service_ = other.ring_service_;
        } else if (!is_ring() && !other.is_ring()) {
            asio_service_->move_assign(asio_, *other.asio_service_, other.asio_);
            asio_service_ = other.asio_service_;
        } else {
            std::destroy_at(this);
            std::construct_at(this, std::move(other));
        }
        return *this;
    }

    either_implementation(const either_implementation&) = delete;
    either_implementation& operator=(const either_implementation&) = delete;

    ~either_implementation()
    {
        if (is_ring()) {
            ring_service_->destroy(ring_);
            std::destroy_at(&ring_);
        } else {
            asio_service_->destroy(asio_);
            std::destroy_at(&asio_);
        }
    }

    [[nodiscard]] bool is_ring() const noexcept { return ring_service_ != nullptr; }

private:
    template <typename>
    friend class either_implementation;
    template <typename>
    friend class either_service;

    void make_ring(net::execution_context& context)
    {
        ring_service_ = &net::use_service<ring_service>(*find_ring_context(context));
        std::construct_at(&ring_);
    }

    asio_service* asio_service_ = nullptr;
    ring_service* ring_service_ = nullptr;
    union {
        asio_type asio_;
        ring_type ring_;
    };
};

// Every call goes to the service of the object. The list is that of all calls
// which Asio's I/O objects make; one that is missing here does not compile.
#define SAFER_RING_EITHER(name)                                                                    \
    template <typename... Args>                                                                    \
    decltype(auto) name(implementation_type& impl, Args&&... args)                                 \
    {                                                                                              \
        using result =                                                                             \
            decltype(impl.asio_service_->name(impl.asio_, std::forward<Args>(args)...));           \
        if (impl.is_ring())                                                                        \
            return static_cast<result>(                                                            \
                impl.ring_service_->name(impl.ring_, std::forward<Args>(args)...));                \
        return static_cast<result>(                                                                \
            impl.asio_service_->name(impl.asio_, std::forward<Args>(args)...));                    \
    }                                                                                              \
    template <typename... Args>                                                                    \
    decltype(auto) name(const implementation_type& impl, Args&&... args) const                     \
    {                                                                                              \
        using result = decltype(std::as_const(*impl.asio_service_)                                 \
                                    .name(impl.asio_, std::forward<Args>(args)...));               \
        if (impl.is_ring())                                                                        \
            return static_cast<result>(                                                            \
                std::as_const(*impl.ring_service_).name(impl.ring_, std::forward<Args>(args)...)); \
        return static_cast<result>(                                                                \
            std::as_const(*impl.asio_service_).name(impl.asio_, std::forward<Args>(args)...));     \
    }

/// Stands where an I/O object expects its service, and sends each call to
/// ours or Asio's.
template <typename AsioService>
class either_service {
public:
    using implementation_type = either_implementation<AsioService>;

    // Objects with a descriptor.
    SAFER_RING_EITHER(assign)
    SAFER_RING_EITHER(async_wait)
    SAFER_RING_EITHER(cancel)
    SAFER_RING_EITHER(close)
    SAFER_RING_EITHER(get_option)
    SAFER_RING_EITHER(io_control)
    SAFER_RING_EITHER(is_open)
    SAFER_RING_EITHER(native_handle)
    SAFER_RING_EITHER(native_non_blocking)
    SAFER_RING_EITHER(non_blocking)
    SAFER_RING_EITHER(open)
    SAFER_RING_EITHER(release)
    SAFER_RING_EITHER(set_option)
    SAFER_RING_EITHER(wait)

    // Sockets and acceptors.
    SAFER_RING_EITHER(async_accept)
    SAFER_RING_EITHER(async_connect)
    SAFER_RING_EITHER(async_move_accept)
    SAFER_RING_EITHER(async_receive)
    SAFER_RING_EITHER(async_receive_from)
    SAFER_RING_EITHER(async_receive_with_flags)
    SAFER_RING_EITHER(async_send)
    SAFER_RING_EITHER(async_send_to)
    SAFER_RING_EITHER(at_mark)
    SAFER_RING_EITHER(available)
    SAFER_RING_EITHER(bind)
    SAFER_RING_EITHER(connect)
    SAFER_RING_EITHER(local_endpoint)
    SAFER_RING_EITHER(receive)
    SAFER_RING_EITHER(receive_from)
    SAFER_RING_EITHER(receive_with_flags)
    SAFER_RING_EITHER(remote_endpoint)
    SAFER_RING_EITHER(send)
    SAFER_RING_EITHER(send_to)
    SAFER_RING_EITHER(shutdown)

    // With its types: acceptors pass 0 for the null pointer.
    template <typename Peer, typename ErrorCode, typename Service = AsioService>
    decltype(auto) accept(implementation_type& impl, Peer& peer,
                          typename Service::endpoint_type* peer_endpoint, ErrorCode& ec)
    {
        return impl.is_ring() ? impl.ring_service_->accept(impl.ring_, peer, peer_endpoint, ec)
                              : impl.asio_service_->accept(impl.asio_, peer, peer_endpoint, ec);
    }

    // By value: acceptors pass a static constant that Asio does not define.
    template <typename ErrorCode>
    decltype(auto) listen(implementation_type& impl, int backlog, ErrorCode& ec)
    {
        return impl.is_ring() ? impl.ring_service_->listen(impl.ring_, backlog, ec)
                              : impl.asio_service_->listen(impl.asio_, backlog, ec);
    }

    // Descriptors, pipes, serial ports and files.
    SAFER_RING_EITHER(async_read_some)
    SAFER_RING_EITHER(async_read_some_at)
    SAFER_RING_EITHER(async_write_some)
    SAFER_RING_EITHER(async_write_some_at)
    SAFER_RING_EITHER(read_some)
    SAFER_RING_EITHER(read_some_at)
    SAFER_RING_EITHER(resize)
    SAFER_RING_EITHER(seek)
    SAFER_RING_EITHER(send_break)
    SAFER_RING_EITHER(set_is_stream)
    SAFER_RING_EITHER(size)
    SAFER_RING_EITHER(sync_all)
    SAFER_RING_EITHER(sync_data)
    SAFER_RING_EITHER(write_some)
    SAFER_RING_EITHER(write_some_at)

    // Timers, signal sets and resolvers.
    SAFER_RING_EITHER(add)
    SAFER_RING_EITHER(async_resolve)
    SAFER_RING_EITHER(cancel_one)
    SAFER_RING_EITHER(clear)
    SAFER_RING_EITHER(expires_after)
    SAFER_RING_EITHER(expires_at)
    SAFER_RING_EITHER(expires_from_now)
    SAFER_RING_EITHER(expiry)
    SAFER_RING_EITHER(remove)
    SAFER_RING_EITHER(resolve)
};

#undef SAFER_RING_EITHER

} // namespace safer_ring::inline SAFER_RING_ABI::detail

/// The hook of the drop-in: for executors whose context is known only at run
/// time, and for those of Asio's own contexts, each object is ours or Asio's
/// according to where it was constructed.
template <typename AsioService, typename Executor>
requires(!safer_ring::detail::ring_executor<Executor>) class boost::asio::detail::io_object_impl<
    AsioService, Executor> {
public:
    using service_type = safer_ring::detail::either_service<AsioService>;
    using implementation_type = safer_ring::detail::either_implementation<AsioService>;
    using executor_type = Executor;

    explicit io_object_impl(int, const executor_type& ex)
        : implementation_(get_context(ex)), executor_(ex)
    {
    }

    template <typename ExecutionContext>
    explicit io_object_impl(int, int, ExecutionContext& context)
        : implementation_(static_cast<boost::asio::execution_context&>(context)),
          executor_(context.get_executor())
    {
    }

    io_object_impl(io_object_impl&& other)
        : implementation_(std::move(other.implementation_)), executor_(other.executor_)
    {
    }

    template <typename Executor1>
    requires(!safer_ring::detail::ring_executor<Executor1>)
        io_object_impl(io_object_impl<AsioService, Executor1>&& other)
        : implementation_(std::move(other.get_implementation())), executor_(other.get_executor())
    {
    }

    template <typename Executor1>
    requires safer_ring::detail::ring_executor<Executor1>
    io_object_impl(io_object_impl<AsioService, Executor1>&& other)
        : implementation_(other.get_service(), other.get_implementation()),
          executor_(other.get_executor())
    {
    }

    template <typename AsioService1, typename Executor1>
    requires(!safer_ring::detail::ring_executor<Executor1>)
        io_object_impl(io_object_impl<AsioService1, Executor1>&& other)
        : implementation_(other.get_implementation(), get_context(other.get_executor())),
          executor_(other.get_executor())
    {
    }

    template <typename AsioService1, typename Executor1>
    requires safer_ring::detail::ring_executor<Executor1>
    io_object_impl(io_object_impl<AsioService1, Executor1>&& other)
        : implementation_(other.get_service(), other.get_implementation(),
                          get_context(other.get_executor())),
          executor_(other.get_executor())
    {
    }

    io_object_impl& operator=(io_object_impl&& other)
    {
        if (this != &other) {
            implementation_ = std::move(other.implementation_);
            executor_.~executor_type();
            ::new (static_cast<void*>(&executor_)) executor_type(other.executor_);
        }
        return *this;
    }

    io_object_impl(const io_object_impl&) = delete;
    io_object_impl& operator=(const io_object_impl&) = delete;
    ~io_object_impl() = default;

    const executor_type& get_executor() noexcept { return executor_; }
    service_type& get_service() { return service_; }
    const service_type& get_service() const { return service_; }
    implementation_type& get_implementation() { return implementation_; }
    const implementation_type& get_implementation() const { return implementation_; }

private:
    template <typename T>
    static boost::asio::execution_context& get_context(const T& ex)
    {
        if constexpr (boost::asio::execution::is_executor<T>::value)
            return boost::asio::query(ex, boost::asio::execution::context);
        else
            return ex.context();
    }

    [[no_unique_address]] service_type service_;
    implementation_type implementation_;
    executor_type executor_;
};
