// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/asio_names.hpp>
#include <safer_ring/asio/detail/handler_work.hpp>
#include <safer_ring/asio/detail/operation_memory.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/dispatch.hpp>

#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// Adds the handler to an operation. `Base` has the logic, and
/// `take_arguments()` for what the handler is to be called with.
template <typename Base, typename Handler, typename IoExecutor>
class handler_operation final : public Base {
    using allocator_type = net::associated_allocator_t<Handler>;

public:
    using pointer = operation_ptr<handler_operation, allocator_type>;

    template <typename... Args>
    static pointer make(Handler& handler, const IoExecutor& io_executor, const io_context& context,
                        Args&&... args)
    {
        const allocator_type allocator(net::get_associated_allocator(handler));
        return pointer::make(allocator, handler, io_executor, context, std::forward<Args>(args)...);
    }

    template <typename... Args>
    handler_operation(Handler& handler, const IoExecutor& io_executor, const io_context& context,
                      Args&&... args)
        : Base(std::forward<Args>(args)...), work_(handler, io_executor, context),
          handler_(std::move(handler))
    {
    }

    // GCC 12 takes the move of an empty std::optional for a read of its value.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
    void complete(ring::event_loop& loop) override
    {
        pointer self(net::get_associated_allocator(handler_), this);
        auto arguments = this->take_arguments();
        Handler handler(std::move(handler_));
        handler_work<Handler, IoExecutor> work(std::move(work_));
        // The memory is free before the upcall, so that the next operation of
        // this chain can use it again.
        self.reset();
        work.complete(std::move(handler), std::move(arguments), loop.is_driven());
    }
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#if BOOST_ASIO_VERSION >= 102800
    /// For an operation that ends inside of its initiating function, with a
    /// handler that has an immediate executor: the handler goes there, and from
    /// there to its own executor.
    static void complete_immediately(pointer self, int result, const IoExecutor& io_executor)
    {
        self->result_ = result;
        auto arguments = self->take_arguments();
        Handler handler(std::move(self->handler_));
        // Until it is the immediate executor's, the handler keeps its own executor's context running.
        const handler_work<Handler, IoExecutor> work(std::move(self->work_));
        self.reset();
        auto immediate = net::get_associated_immediate_executor(handler, io_executor);
        net::dispatch(immediate, bound_handler<Handler, decltype(arguments)>{std::move(handler),
                                                                             std::move(arguments)});
    }
#endif

    void destroy() noexcept override
    {
        pointer self(net::get_associated_allocator(handler_), this);
        // The handler may own the memory that the operation came from.
        [[maybe_unused]] Handler handler(std::move(handler_));
        self.reset();
    }

private:
    handler_work<Handler, IoExecutor> work_;
    Handler handler_;
};

/// What a cancellation slot holds for an operation on a descriptor: its id,
/// not its address, so that a signal emitted too late finds nothing.
class cancel_by_id {
public:
    static constexpr net::cancellation_type_t every_type = net::cancellation_type::terminal |
                                                           net::cancellation_type::partial |
                                                           net::cancellation_type::total;

    /// `types` are those that it takes.
    explicit cancel_by_id(loop_service& service,
                          net::cancellation_type_t types = every_type) noexcept
        : service_(&service), types_(types)
    {
    }

    void operator()(net::cancellation_type_t type)
    {
        if ((type & types_) != net::cancellation_type::none)
            service_->loop().cancel(id, service_->current_loop());
    }

    ring::operation_id id = ring::operation_id::none;

private:
    loop_service* service_;
    net::cancellation_type_t types_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
