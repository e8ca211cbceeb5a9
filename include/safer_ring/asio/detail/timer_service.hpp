// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/handler_operation.hpp>
#include <safer_ring/ring/timer_queue.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <tuple>
#include <unordered_map>

namespace safer_ring::inline SAFER_RING_ABI::detail {

using boost::system::error_code;

/// The service behind Asio's timers of one clock, with the interface of
/// Asio's own. Each clock has its queue, compared in its own time.
template <typename Traits>
class timer_service : public net::execution_context::service {
    using queue_type = ring::timer_queue<Traits>;

public:
    using key_type = timer_service;
    inline static net::execution_context::id id;

    using time_type = typename Traits::time_type;
    using duration_type = typename Traits::duration_type;

    struct implementation_type {
        time_type expiry{};
        bool might_have_pending_waits = false;
        typename queue_type::per_timer timer_data;
    };

    explicit timer_service(net::execution_context& context)
        : net::execution_context::service(context), context_(static_cast<io_context&>(context)),
          service_(context_.impl())
    {
        loop().add(queue_);
    }
    ~timer_service() override { loop().remove(queue_); }

    void shutdown() override {}

    void construct(implementation_type& impl)
    {
        impl.expiry = time_type();
        impl.might_have_pending_waits = false;
    }

    void destroy(implementation_type& impl)
    {
        error_code ignored;
        cancel(impl, ignored);
    }

    void move_construct(implementation_type& impl, implementation_type& other)
    {
        {
            const auto held = loop().lock();
            queue_.move(impl.timer_data, other.timer_data);
        }
        impl.expiry = std::exchange(other.expiry, time_type());
        impl.might_have_pending_waits = std::exchange(other.might_have_pending_waits, false);
    }

    void move_assign(implementation_type& impl, timer_service& other_service,
                     implementation_type& other)
    {
        error_code ignored;
        cancel(impl, ignored);
        other_service.move_construct(impl, other);
    }

    void converting_move_construct(implementation_type& impl, timer_service&,
                                   implementation_type& other)
    {
        move_construct(impl, other);
    }
    void converting_move_assign(implementation_type& impl, timer_service& other_service,
                                implementation_type& other)
    {
        move_assign(impl, other_service, other);
    }

    std::size_t cancel(implementation_type& impl, error_code& ec)
    {
        ec = {};
        return do_cancel(impl, std::numeric_limits<std::size_t>::max());
    }
    std::size_t cancel_one(implementation_type& impl, error_code& ec)
    {
        ec = {};
        return do_cancel(impl, 1);
    }

    time_type expiry(const implementation_type& impl) const { return impl.expiry; }
    time_type expires_at(const implementation_type& impl) const { return impl.expiry; }
    duration_type expires_from_now(const implementation_type& impl) const
    {
        return Traits::subtract(impl.expiry, Traits::now());
    }

    std::size_t expires_at(implementation_type& impl, const time_type& expiry, error_code& ec)
    {
        const std::size_t count = cancel(impl, ec);
        impl.expiry = expiry;
        return count;
    }
    std::size_t expires_after(implementation_type& impl, const duration_type& delay, error_code& ec)
    {
        return expires_at(impl, Traits::add(Traits::now(), delay), ec);
    }
    std::size_t expires_from_now(implementation_type& impl, const duration_type& delay,
                                 error_code& ec)
    {
        return expires_after(impl, delay, ec);
    }

    void wait(implementation_type& impl, error_code& ec)
    {
        ec = {};
        loop().submit_before_blocking(); // What was started is not to wait for it.
        for (time_type now = Traits::now(); Traits::less_than(now, impl.expiry);
             now = Traits::now()) {
            // The clock may be set meanwhile, so it is looked at again.
            constexpr std::int64_t longest_us = 1'000'000;
            const std::int64_t us = ring::microseconds_until<Traits>(impl.expiry, now, longest_us);
            const std::int64_t slice_us = std::max<std::int64_t>(us, 0) + 1;
            const timespec slice{static_cast<time_t>(slice_us / 1'000'000),
                                 static_cast<long>(slice_us % 1'000'000 * 1000)};
            if (::nanosleep(&slice, nullptr) != 0) { // A signal too, as Asio's select(2).
                ec = error_code(errno, net::error::get_system_category());
                return;
            }
        }
    }

    template <typename Handler, typename IoExecutor>
    void async_wait(implementation_type& impl, Handler& handler, const IoExecutor& io_ex)
    {
        using op_type = handler_operation<wait_operation, Handler, IoExecutor>;
        auto slot = net::get_associated_cancellation_slot(handler);
        auto op = op_type::make(handler, io_ex, context_);
        canceller* cancel = nullptr;
        if (slot.is_connected())
            cancel = &slot.template emplace<canceller>(*this);

        auto held = loop().lock();
        if (cancel != nullptr) {
            const std::uint64_t wait_id = ++last_id_;
            cancellable_.emplace(wait_id, op.get());
            op->id = cancel->id = wait_id;
            op->service = this;
        }
        const bool tells = queue_.add(impl.expiry, impl.timer_data, *op);
        op.release();
        impl.might_have_pending_waits = true;
        loop().count_work();
        if (tells)
            loop().timer_added(held);
    }

private:
    /// A wait without its handler.
    class wait_operation : public ring::timer_operation {
    public:
        timer_service* service = nullptr; // Set when a slot can cancel it.

    protected:
        wait_operation() = default;
        ~wait_operation()
        {
            if (service != nullptr)
                service->forget(id);
        }

        std::tuple<error_code> take_arguments() const
        {
            return {cancelled ? error_code(net::error::operation_aborted) : error_code()};
        }
    };

    /// What a cancellation slot holds: an id, so that a signal emitted after
    /// the wait has ended finds nothing.
    struct canceller {
        explicit canceller(timer_service& s) noexcept : service(&s) {}
        void operator()(net::cancellation_type_t type)
        {
            using net::cancellation_type;
            if ((type & (cancellation_type::terminal | cancellation_type::partial |
                         cancellation_type::total)) != cancellation_type::none)
                service->cancel_by_id(id);
        }
        timer_service* service;
        std::uint64_t id = 0;
    };

    ring::event_loop& loop() const noexcept { return service_.loop(); }

    std::size_t do_cancel(implementation_type& impl, std::size_t most)
    {
        if (!impl.might_have_pending_waits)
            return 0;
        ring::operation_queue cancelled;
        std::size_t count = 0;
        {
            const auto held = loop().lock();
            count = queue_.cancel(impl.timer_data, cancelled, most);
        }
        if (count < most)
            impl.might_have_pending_waits = false;
        loop().post_deferred(cancelled, service_.current_loop());
        return count;
    }

    void cancel_by_id(std::uint64_t wait_id)
    {
        ring::operation_queue cancelled;
        {
            const auto held = loop().lock();
            const auto found = cancellable_.find(wait_id);
            if (found == cancellable_.end())
                return;
            queue_.cancel_one(*found->second, cancelled);
        }
        loop().post_deferred(cancelled, service_.current_loop());
    }

    void forget(std::uint64_t wait_id) noexcept
    {
        const auto held = loop().lock();
        cancellable_.erase(wait_id);
    }

    io_context& context_;
    loop_service& service_;
    queue_type queue_;
    std::unordered_map<std::uint64_t, ring::timer_operation*> cancellable_;
    std::uint64_t last_id_ = 0;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
