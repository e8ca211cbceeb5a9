// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/asio_names.hpp>
#include <safer_ring/asio/detail/io_object_impl.hpp>

// net::cancel_after and net::cancel_at on objects whose executor is ours by
// its type. Asio makes their timer with the executor of the operation, and then
// keeps it as one with net::any_io_executor. Ours and Asio's are of different
// services, so that without the drop-in the one cannot become the other; here
// the timer keeps its executor, and is on the ring.
#if defined(SAFER_RING_ASIO_HAS_CANCEL_AFTER)

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// An initiation whose operation is on one of our executors.
template <typename Initiation>
concept ring_initiation = ring_executor<typename Initiation::executor_type>;

/// Starts an operation that ends, by cancellation, when its time is over:
/// `limit` is anything that a timer of the clock can be constructed with.
template <typename Initiation, typename Clock, typename WaitTraits, typename... Signatures>
class timed_initiation : public Initiation {
    using timer_type =
        net::basic_waitable_timer<Clock, WaitTraits, typename Initiation::executor_type>;

public:
    template <typename OtherInitiation>
    requires(!std::derived_from<std::remove_cvref_t<OtherInitiation>, timed_initiation>) //
        explicit timed_initiation(OtherInitiation&& initiation)
        : Initiation(std::forward<OtherInitiation>(initiation))
    {
    }

    template <typename Handler, typename Limit, typename... Args>
    void operator()(Handler&& handler, const Limit& limit, net::cancellation_type_t type,
                    Args&&... args) &&
    {
        make(handler, limit, type)
            .start(static_cast<Initiation&&>(*this), std::forward<Args>(args)...);
    }

    template <typename Handler, typename Limit, typename... Args>
    void operator()(Handler&& handler, const Limit& limit, net::cancellation_type_t type,
                    Args&&... args) const&
    {
        make(handler, limit, type)
            .start(static_cast<const Initiation&>(*this), std::forward<Args>(args)...);
    }

private:
    /// The operation takes the handler, and destroys itself when it ends.
    template <typename Handler, typename Limit>
    auto& make(Handler& handler, const Limit& limit, net::cancellation_type_t type) const
    {
        // A handler that is passed as a constant is copied.
        using handler_type = std::remove_cvref_t<Handler>;
        using operation = asio_timed_cancel_op<handler_type, timer_type, Signatures...>;
        std::conditional_t<std::is_const_v<Handler>, handler_type, Handler&> taken = handler;

        // It frees itself by its own means, which are those of its handler.
        typename operation::ptr memory = {std::addressof(taken), operation::ptr::allocate(taken),
                                          nullptr};
        memory.p = ::new (static_cast<void*>(memory.v))
            operation(taken, timer_type(this->get_executor(), limit), type);
        memory.v = nullptr;
        return *std::exchange(memory.p, nullptr);
    }
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail

template <typename Initiation, typename Clock, typename WaitTraits, typename... Signatures>
requires safer_ring::detail::ring_initiation<Initiation>
struct boost::asio::detail::initiate_cancel_after<Initiation, Clock, WaitTraits, Signatures...>
    : safer_ring::detail::timed_initiation<Initiation, Clock, WaitTraits, Signatures...> {
    using safer_ring::detail::timed_initiation<Initiation, Clock, WaitTraits,
                                               Signatures...>::timed_initiation;
};

template <typename Initiation, typename Clock, typename WaitTraits, typename... Signatures>
requires safer_ring::detail::ring_initiation<Initiation>
struct boost::asio::detail::initiate_cancel_at<Initiation, Clock, WaitTraits, Signatures...>
    : safer_ring::detail::timed_initiation<Initiation, Clock, WaitTraits, Signatures...> {
    using safer_ring::detail::timed_initiation<Initiation, Clock, WaitTraits,
                                               Signatures...>::timed_initiation;
};

#endif
