// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/asio_names.hpp>
#include <safer_ring/asio/io_context.hpp>

#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>

#include <concepts>
#include <type_traits>

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// An executor whose context is, by its type, a safer_ring::io_context: our
/// executor, strands of it, and executors with a default token.
template <typename Executor>
concept queries_ring_context = requires(const Executor& ex)
{
    {
        boost::asio::query(ex, boost::asio::execution::context)
        } -> std::same_as<io_context&>;
};

template <typename Executor>
concept ring_executor = queries_ring_context<Executor> || requires(const Executor& ex)
{
    {
        ex.context()
        } -> std::same_as<io_context&>;
};

/// Our service in place of one of Asio's. Every service that Asio's I/O
/// objects use needs an entry, so that none ends on another reactor unseen.
template <typename AsioService>
struct replaced_service {
    static_assert(sizeof(AsioService) == 0,
                  "safer_ring has no service for this kind of I/O object yet; construct it with "
                  "an executor of a net::io_context");
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail

/// The hook: every Asio I/O object holds an io_object_impl, and for our
/// executors it is this one, which hands the object to our services.
template <typename AsioService, typename Executor>
requires safer_ring::detail::ring_executor<Executor>
class boost::asio::detail::io_object_impl<AsioService, Executor> {
public:
    using service_type = typename safer_ring::detail::replaced_service<AsioService>::type;
    using implementation_type = typename service_type::implementation_type;
    using executor_type = Executor;

    explicit io_object_impl(int, const executor_type& ex)
        : service_(&boost::asio::use_service<service_type>(get_context(ex))), executor_(ex)
    {
        service_->construct(implementation_);
    }

    template <typename ExecutionContext>
    explicit io_object_impl(int, int, ExecutionContext& context)
        : service_(&boost::asio::use_service<service_type>(context)),
          executor_(context.get_executor())
    {
        service_->construct(implementation_);
    }

    io_object_impl(io_object_impl&& other)
        : service_(&other.get_service()), executor_(other.get_executor())
    {
        service_->move_construct(implementation_, other.implementation_);
    }

    template <typename Executor1>
    io_object_impl(io_object_impl<AsioService, Executor1>&& other)
        : service_(&other.get_service()), executor_(other.get_executor())
    {
        service_->move_construct(implementation_, other.get_implementation());
    }

    template <typename AsioService1, typename Executor1>
    io_object_impl(io_object_impl<AsioService1, Executor1>&& other)
        : service_(&boost::asio::use_service<service_type>(get_context(other.get_executor()))),
          executor_(other.get_executor())
    {
        service_->converting_move_construct(implementation_, other.get_service(),
                                            other.get_implementation());
    }

    io_object_impl& operator=(io_object_impl&& other)
    {
        if (this != &other) {
            service_->move_assign(implementation_, *other.service_, other.implementation_);
            executor_.~executor_type();
            ::new (static_cast<void*>(&executor_)) executor_type(other.executor_);
            service_ = other.service_;
        }
        return *this;
    }

    io_object_impl(const io_object_impl&) = delete;
    io_object_impl& operator=(const io_object_impl&) = delete;

    ~io_object_impl() { service_->destroy(implementation_); }

    const executor_type& get_executor() noexcept { return executor_; }
    service_type& get_service() { return *service_; }
    const service_type& get_service() const { return *service_; }
    implementation_type& get_implementation() { return implementation_; }
    const implementation_type& get_implementation() const { return implementation_; }

private:
    static safer_ring::io_context& get_context(const executor_type& ex)
    {
        if constexpr (safer_ring::detail::queries_ring_context<executor_type>)
            return boost::asio::query(ex, boost::asio::execution::context);
        else
            return ex.context();
    }

    service_type* service_;
    implementation_type implementation_;
    executor_type executor_;
};
