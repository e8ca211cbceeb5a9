// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/descriptor_operations.hpp>
#include <safer_ring/asio/detail/native_service_base.hpp>
#include <safer_ring/asio/detail/uninterrupted.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/descriptor_base.hpp>

#include <sys/ioctl.h>

namespace safer_ring::inline SAFER_RING_ABI::detail {

// Boost deprecates net::null_buffers from 1.90 on, but Asio's objects still hand
// them to their services: who never uses them should not be warned of it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/// Life, modes and transfers of a native descriptor that is no socket. Mirrors
/// the interface of Asio's own service, since Asio's I/O objects call it.
class descriptor_service_base : protected native_service_base {
public:
    struct implementation_type {
        int native_ = -1;
        descriptor_ops::state_type state_ = 0;
        ring::descriptor* descriptor_ = nullptr;
    };
    using native_handle_type = int;

    void construct(implementation_type& impl) { impl = {}; }

    void move_construct(implementation_type& impl, implementation_type& other) noexcept
    {
        impl = std::exchange(other, {});
    }

    void move_assign(implementation_type& impl, descriptor_service_base&,
                     implementation_type& other)
    {
        destroy(impl);
        move_construct(impl, other);
    }

    void destroy(implementation_type& impl)
    {
        error_code ignored;
        close(impl, ignored);
    }

    /// Takes over an open descriptor. Throws std::bad_alloc without effect.
    error_code assign(implementation_type& impl, native_handle_type native, error_code& ec)
    {
        if (is_open(impl))
            return ec = net::error::already_open;
        ring::transfer_mode mode{};
        if (const int error = ring::choose_transfer_mode(native, mode); error != 0)
            return ec = to_error_code(-error);
        impl.descriptor_ = loop().open(native);
        impl.descriptor_->transfer.store(mode, std::memory_order_relaxed);
        impl.native_ = native;
        impl.state_ = descriptor_ops::possible_dup;
        return ec = {};
    }

    bool is_open(const implementation_type& impl) const { return impl.native_ != -1; }
    /// As a socket's: writes that were started go first.
    native_handle_type native_handle(const implementation_type& impl) const
    {
        before_synchronous(impl);
        return impl.native_;
    }

    error_code close(implementation_type& impl, error_code& ec)
    {
        ec = {};
        if (is_open(impl)) {
            loop().close(impl.descriptor_, service_.current_loop());
            descriptor_ops::close(impl.native_, impl.state_, ec);
            construct(impl);
        }
        return ec;
    }

    native_handle_type release(implementation_type& impl)
    {
        const int native = impl.native_;
        if (is_open(impl)) {
            give_up(impl);
            construct(impl);
        }
        return native;
    }

    native_handle_type release(implementation_type& impl, error_code& ec)
    {
        ec = {};
        return release(impl);
    }

    error_code cancel(implementation_type& impl, error_code& ec) { return cancel_all(impl, ec); }

    template <typename Command>
    error_code io_control(implementation_type& impl, Command& command, error_code& ec)
    {
        before_blocking(impl);
        descriptor_ops::ioctl(impl.native_, impl.state_, command.name(),
                              static_cast<net::detail::ioctl_arg_type*>(command.data()), ec);
        if (!ec && command.name() == static_cast<int>(FIONBIO))
            mode_changed(impl);
        return ec;
    }

    error_code io_control(implementation_type& impl, native_question& question, error_code& ec)
    {
        answer(question, impl.descriptor_);
        return ec = {};
    }

    bool non_blocking(const implementation_type& impl) const
    {
        return (impl.state_ & descriptor_ops::user_set_non_blocking) != 0;
    }

    error_code non_blocking(implementation_type& impl, bool mode, error_code& ec)
    {
        if (descriptor_ops::set_user_non_blocking(impl.native_, impl.state_, mode, ec))
            mode_changed(impl);
        return ec;
    }

    /// True also where an operation had to set O_NONBLOCK. Asio's own always
    /// sets it.
    bool native_non_blocking(const implementation_type& impl) const
    {
        return (impl.state_ & descriptor_ops::internal_non_blocking) != 0 ||
               has_mode(impl, ring::transfer_mode::nonblocking);
    }

    error_code native_non_blocking(implementation_type& impl, bool mode, error_code& ec)
    {
        if (descriptor_ops::set_internal_non_blocking(impl.native_, impl.state_, mode, ec))
            mode_changed(impl);
        return ec;
    }

    error_code wait(implementation_type& impl, net::posix::descriptor_base::wait_type w,
                    error_code& ec)
    {
        before_blocking(impl);
        ec = {};
        switch (w) {
        case net::posix::descriptor_base::wait_read:
            descriptor_ops::poll_read(impl.native_, impl.state_, ec);
            break;
        case net::posix::descriptor_base::wait_write:
            descriptor_ops::poll_write(impl.native_, impl.state_, ec);
            break;
        case net::posix::descriptor_base::wait_error:
            descriptor_ops::poll_error(impl.native_, impl.state_, ec);
            break;
        default:
            ec = net::error::invalid_argument;
            break;
        }
        return ec;
    }

    template <typename Handler, typename IoExecutor>
    void async_wait(implementation_type& impl, net::posix::descriptor_base::wait_type w,
                    Handler& handler, const IoExecutor& io_ex)
    {
        const bool known = w == net::posix::descriptor_base::wait_read ||
                           w == net::posix::descriptor_base::wait_write ||
                           w == net::posix::descriptor_base::wait_error;
        if (known && has_mode(impl, ring::transfer_mode::unpollable)) {
            using op = handler_operation<readiness_wait, Handler, IoExecutor>;
            return complete_at_once<op>(-EOPNOTSUPP, handler, io_ex, short{0});
        }
        start_wait<net::posix::descriptor_base>(impl, w, handler, io_ex);
    }

    // ---- write

    template <typename Buffers>
    std::size_t write_some(implementation_type& impl, const Buffers& buffers, error_code& ec)
    {
        const unsigned completions = before_blocking(impl);
        io_vectors vectors(buffers);
        return move_all({loop(), impl.native_, SO_SNDTIMEO, completions}, vectors, ec, [&] {
            if (const iovec* one = vectors.only())
                return descriptor_ops::sync_write1(impl.native_, impl.state_, one->iov_base,
                                                   one->iov_len, ec);
            return descriptor_ops::sync_write(impl.native_, impl.state_, vectors.data(),
                                              vectors.size(), vectors.all_empty(), ec);
        });
    }

    std::size_t write_some(implementation_type& impl, const native_question& question,
                           error_code& ec)
    {
        return read_some(impl, question, ec);
    }

    std::size_t write_some(implementation_type& impl, const net::null_buffers&, error_code& ec)
    {
        wait(impl, net::posix::descriptor_base::wait_write, ec);
        return 0;
    }

    template <typename Buffers, typename Handler, typename IoExecutor>
    void async_write_some(implementation_type& impl, const Buffers& buffers, Handler& handler,
                          const IoExecutor& io_ex)
    {
        if (measure(buffers).size_bytes == 0)
            return complete_empty(handler, io_ex);
        using op = handler_operation<descriptor_write<Buffers>, Handler, IoExecutor>;
        start<op>(impl, ring::direction::write, handler, io_ex, buffers);
    }

    template <typename Handler, typename IoExecutor>
    void async_write_some(implementation_type& impl, const net::null_buffers&, Handler& handler,
                          const IoExecutor& io_ex)
    {
        wait_without_buffers(impl, ring::direction::write, POLLOUT, handler, io_ex);
    }

    // ---- read

    template <typename Buffers>
    std::size_t read_some(implementation_type& impl, const Buffers& buffers, error_code& ec)
    {
        const unsigned completions = before_blocking(impl);
        io_vectors vectors(buffers);
        return uninterrupted({loop(), impl.native_, SO_RCVTIMEO, completions}, ec, [&] {
            if (const iovec* one = vectors.only())
                return descriptor_ops::sync_read1(impl.native_, impl.state_, one->iov_base,
                                                  one->iov_len, ec);
            return descriptor_ops::sync_read(impl.native_, impl.state_, vectors.data(),
                                             vectors.size(), vectors.all_empty(), ec);
        });
    }

    std::size_t read_some(implementation_type& impl, const native_question& question,
                          error_code& ec)
    {
        answer(question, impl.descriptor_);
        ec = {};
        return 0;
    }

    std::size_t read_some(implementation_type& impl, const net::null_buffers&, error_code& ec)
    {
        wait(impl, net::posix::descriptor_base::wait_read, ec);
        return 0;
    }

    template <typename Buffers, typename Handler, typename IoExecutor>
    void async_read_some(implementation_type& impl, const Buffers& buffers, Handler& handler,
                         const IoExecutor& io_ex)
    {
        if (measure(buffers).size_bytes == 0)
            return complete_empty(handler, io_ex);
        using op = handler_operation<descriptor_read<Buffers>, Handler, IoExecutor>;
        start<op>(impl, ring::direction::read, handler, io_ex, buffers);
    }

    template <typename Handler, typename IoExecutor>
    void async_read_some(implementation_type& impl, const net::null_buffers&, Handler& handler,
                         const IoExecutor& io_ex)
    {
        wait_without_buffers(impl, ring::direction::read, POLLIN, handler, io_ex);
    }

protected:
    explicit descriptor_service_base(net::execution_context& context) : native_service_base(context)
    {
    }

private:
    static bool has_mode(const implementation_type& impl, ring::transfer_mode mode) noexcept
    {
        return impl.descriptor_ != nullptr &&
               impl.descriptor_->transfer.load(std::memory_order_relaxed) == mode;
    }

    /// The user changed O_NONBLOCK; what we set it to is no longer known.
    static void mode_changed(implementation_type& impl) noexcept
    {
        if (has_mode(impl, ring::transfer_mode::nonblocking))
            impl.descriptor_->transfer.store(ring::transfer_mode::nowait,
                                             std::memory_order_relaxed);
    }

    /// A transfer of no bytes is nothing to a stream, also to a closed one.
    template <typename Handler, typename IoExecutor>
    void complete_empty(Handler& handler, const IoExecutor& io_ex)
    {
        complete_at_once<handler_operation<empty_transfer, Handler, IoExecutor>>(0, handler, io_ex,
                                                                                 short{0});
    }

    template <typename Handler, typename IoExecutor>
    void wait_without_buffers(implementation_type& impl, ring::direction dir, short events,
                              Handler& handler, const IoExecutor& io_ex)
    {
        using op = handler_operation<null_buffers_wait, Handler, IoExecutor>;
        if (has_mode(impl, ring::transfer_mode::unpollable))
            return complete_at_once<op>(-EOPNOTSUPP, handler, io_ex, events);
        start<op>(impl, dir, handler, io_ex, events);
    }
};

/// The service behind Asio's stream descriptors and pipes.
class descriptor_service : public net::execution_context::service, public descriptor_service_base {
public:
    using key_type = descriptor_service;
    inline static net::execution_context::id id;

    explicit descriptor_service(net::execution_context& context)
        : net::execution_context::service(context), descriptor_service_base(context)
    {
    }

private:
    void shutdown() override {}
};

#pragma GCC diagnostic pop

} // namespace safer_ring::inline SAFER_RING_ABI::detail
