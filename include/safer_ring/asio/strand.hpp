// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/where_bound.hpp>
#include <safer_ring/asio/executor.hpp>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/strand.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {
namespace detail {

/// What is behind every io_context::strand of a context. They have no part in its life: as with
/// Asio's, one may be destroyed after the context.
class nested_strands final
    : public boost::asio::detail::execution_context_service_base<nested_strands> {
    using base = boost::asio::detail::execution_context_service_base<nested_strands>;

public:
    using strand_type = boost::asio::strand<executor>;

    explicit nested_strands(boost::asio::execution_context& owner)
        : base(owner), context_(static_cast<io_context&>(owner))
    {
        // The service of these is older than this one then, and is destroyed after it.
        strands_.emplace_back(context_.get_executor());
    }

    /// One of a fixed number, each of which many share, as with Asio's. Throws std::bad_alloc.
    const strand_type& next()
    {
#if defined(BOOST_ASIO_STRAND_IMPLEMENTATIONS)
        constexpr std::size_t most = BOOST_ASIO_STRAND_IMPLEMENTATIONS;
#else
        constexpr std::size_t most = 193;
#endif
        const std::lock_guard held(mutex_);
        if (given_ == strands_.size() && given_ < most)
            strands_.emplace_back(context_.get_executor());
        return strands_[given_++ % most];
    }

    io_context& context() const noexcept
    {
        return context_;
    }

private:
    void shutdown() override {}

    io_context& context_;
    std::mutex mutex_;
    std::deque<strand_type> strands_;
    std::size_t given_ = 0;
};

} // namespace detail

/// Runs functions one at a time: net::io_context::strand, of the same abilities. It is a
/// Networking TS executor, so that it can be bound to handlers and be posted to; what needs
/// properties takes net::strand<executor>.
///
/// Lifetime: the context must outlive what is started, not the strand.
/// Thread safety: distinct and shared objects: safe. Many strands of a context share one of 193
/// (BOOST_ASIO_STRAND_IMPLEMENTATIONS) queues, and wait for each other's functions then.
class io_context::strand {
public:
    /// Throws std::bad_alloc.
    explicit strand(io_context& context)
        : service_(&boost::asio::use_service<detail::nested_strands>(context)),
          target_(&service_->next())
    {
    }

    io_context& context() const noexcept { return service_->context(); }
    [[nodiscard]] bool running_in_this_thread() const noexcept
    {
        return target_->running_in_this_thread();
    }
    friend bool operator==(const strand& a, const strand& b) noexcept
    {
        return a.target_ == b.target_;
    }
    friend bool operator!=(const strand& a, const strand& b) noexcept { return !(a == b); }

#if !defined(BOOST_ASIO_NO_TS_EXECUTORS)
    void on_work_started() const noexcept
    {
        context().get_executor().on_work_started();
    }
    void on_work_finished() const noexcept
    {
        context().get_executor().on_work_finished();
    }
    template <typename Function, typename Allocator>
    void dispatch(Function&& f, const Allocator& allocator) const
    {
        target_->dispatch(std::forward<Function>(f), allocator);
    }
    template <typename Function, typename Allocator>
    void post(Function&& f, const Allocator& allocator) const
    {
        target_->post(std::forward<Function>(f), allocator);
    }
    template <typename Function, typename Allocator>
    void defer(Function&& f, const Allocator& allocator) const
    {
        target_->defer(std::forward<Function>(f), allocator);
    }

#if !defined(BOOST_ASIO_NO_DEPRECATED)
    /// (Deprecated: use net::dispatch.)
    template <typename Handler>
    auto dispatch(Handler&& handler)
    {
        return boost::asio::async_initiate<Handler, void()>(
            [](auto&& function, strand self) {
                const auto allocator = boost::asio::get_associated_allocator(function);
                if (self.running_in_this_thread()) // As Asio's, it calls it then.
                    return self.dispatch(std::forward<decltype(function)>(function), allocator);
                self.dispatch(detail::where_bound(std::forward<decltype(function)>(function)),
                              allocator);
            },
            handler, *this);
    }
    /// (Deprecated: use net::post.)
    template <typename Handler>
    auto post(Handler&& handler)
    {
        return boost::asio::async_initiate<Handler, void()>(
            [](auto&& function, strand self) {
                const auto allocator = boost::asio::get_associated_allocator(function);
                self.post(detail::where_bound(std::forward<decltype(function)>(function)),
                          allocator);
            },
            handler, *this);
    }
    /// (Deprecated: use net::bind_executor.) A function object that, called
    /// from anywhere, runs `handler` on this strand.
    template <typename Handler>
    auto wrap(Handler handler)
    {
        return wrapped<Handler>{*this, std::move(handler)};
    }
#endif
#endif

private:
    template <typename Handler>
    struct wrapped;

    detail::nested_strands* service_;
    const detail::nested_strands::strand_type* target_;
};

#if !defined(BOOST_ASIO_NO_TS_EXECUTORS) && !defined(BOOST_ASIO_NO_DEPRECATED)
template <typename Handler>
struct io_context::strand::wrapped {
    using executor_type = strand;
    using result_type = void; // For boost::bind.
    executor_type get_executor() const noexcept { return where; }

    template <typename... Args>
    void operator()(Args&&... args)
    {
        auto call = detail::bound_call(handler, std::forward<Args>(args)...);
        if (where.running_in_this_thread())
            return where.dispatch(std::move(call), std::allocator<void>());
        where.dispatch(detail::where_bound(handler, std::move(call)), std::allocator<void>());
    }

    strand where;
    Handler handler;
};
#endif

} // namespace safer_ring::inline SAFER_RING_ABI
