// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/as_asio.hpp>
#include <safer_ring/asio/detail/handler_operation.hpp>
#include <safer_ring/ring/signal_hub.hpp>

#include <boost/asio/error.hpp>

#include <cstdint>
#include <tuple>

namespace safer_ring::inline SAFER_RING_ABI::detail {

using boost::system::error_code;

/// The service behind Asio's signal sets, with the interface of Asio's own.
///
/// Beside Asio's own sets in one process: each signal belongs to one of the
/// two. add() of a signal that Asio's sets have fails with EBUSY, since taking
/// it would silence them. Asio, which does not look, silences ours when it
/// comes second.
class signal_set_service : public net::execution_context::service {
public:
    using key_type = signal_set_service;
    inline static net::execution_context::id id;

    using implementation_type = ring::signal_set;

    /// Throws boost::system::system_error, as Asio's, for instance for want of descriptors.
    explicit signal_set_service(net::execution_context& context)
        : net::execution_context::service(context), context_(static_cast<io_context&>(context)),
          service_(context_.impl()),
          hub_(as_asio([this] { return ring::signal_hub(service_.loop(), asio_signal_handler); }))
    {
    }

    void shutdown() override { hub_.shutdown(); }

    void construct(implementation_type&) {}

    void destroy(implementation_type& impl)
    {
        hub_.clear(impl);
        hub_.cancel(impl, service_.current_loop());
    }

    error_code add(implementation_type& impl, int signal_number, error_code& ec)
    {
        return ec = from_errno(hub_.add(impl, signal_number));
    }
    /// From Boost 1.82 on, with signal_set_base::flags, whose values are those
    /// of sigaction(2) and -1 for "don't care".
    template <typename Flags>
    error_code add(implementation_type& impl, int signal_number, Flags flags, error_code& ec)
    {
        static_assert(static_cast<int>(Flags::dont_care) == ring::signal_hub::any_flags);
        return ec = from_errno(hub_.add(impl, signal_number, static_cast<int>(flags)));
    }
    error_code remove(implementation_type& impl, int signal_number, error_code& ec)
    {
        return ec = from_errno(hub_.remove(impl, signal_number));
    }
    error_code clear(implementation_type& impl, error_code& ec)
    {
        return ec = from_errno(hub_.clear(impl));
    }
    error_code cancel(implementation_type& impl, error_code& ec)
    {
        hub_.cancel(impl, service_.current_loop());
        return ec = {};
    }

    template <typename Handler, typename IoExecutor>
    void async_wait(implementation_type& impl, Handler& handler, const IoExecutor& io_ex)
    {
        using op_type = handler_operation<wait_operation, Handler, IoExecutor>;
        auto slot = net::get_associated_cancellation_slot(handler);
        auto op = op_type::make(handler, io_ex, context_);
        std::uint64_t* const cancel_id =
            slot.is_connected() ? &slot.template emplace<canceller>(*this).id : nullptr;
        hub_.start(impl, *op, cancel_id, service_.current_loop());
        op.release();
    }

private:
    /// A wait without its handler.
    class wait_operation : public ring::signal_operation {
    protected:
        wait_operation() = default;
        ~wait_operation() = default;

        std::tuple<error_code, int> take_arguments() const
        {
            return {cancelled ? error_code(net::error::operation_aborted) : error_code(),
                    signal_number};
        }
    };

    struct canceller {
        explicit canceller(signal_set_service& s) noexcept : service(&s) {}
        void operator()(net::cancellation_type_t type)
        {
            using net::cancellation_type;
            if ((type & (cancellation_type::terminal | cancellation_type::partial |
                         cancellation_type::total)) != cancellation_type::none)
                service->hub_.cancel(id, service->service_.current_loop());
        }
        signal_set_service* service;
        std::uint64_t id = 0;
    };

    static error_code from_errno(int error) { return {error, net::error::get_system_category()}; }

    io_context& context_;
    loop_service& service_;
    ring::signal_hub hub_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
