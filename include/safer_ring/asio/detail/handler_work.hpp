// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/executor.hpp>
#include <safer_ring/ring/shared_buffer.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/prefer.hpp>

#include <cstddef>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// As Asio gives it to a handler, which may have `auto&` for a parameter: a const lvalue, but for a
/// socket, say, which can only be moved. So are all buffers of ours.
template <typename T>
using argument_of_handler =
    std::conditional_t<std::is_copy_constructible_v<T> && !std::is_same_v<T, shared_buffer>,
                       const T&, T&&>;

template <typename Handler, typename Arguments, std::size_t... I>
void call_handler(Handler& handler, Arguments& arguments, std::index_sequence<I...>)
{
    std::move(handler)(static_cast<argument_of_handler<std::tuple_element_t<I, Arguments>>>(
        std::get<I>(arguments))...);
}

/// Calls a handler, once, with a tuple of arguments.
template <typename Handler, typename Arguments>
void call_handler(Handler& handler, Arguments& arguments)
{
    detail::call_handler(handler, arguments,
                         std::make_index_sequence<std::tuple_size_v<Arguments>>());
}

/// A handler with its arguments, callable once.
template <typename Handler, typename Arguments>
struct bound_handler {
    Handler handler;
    Arguments arguments;

    void operator()() { detail::call_handler(handler, arguments); }
};

template <typename T>
inline constexpr bool is_basic_executor = false;
template <typename Allocator, unsigned Bits>
inline constexpr bool is_basic_executor<basic_executor<Allocator, Bits>> = true;

template <typename T>
inline constexpr bool is_asio_executor = false;
template <typename Allocator, auto Bits>
inline constexpr bool is_asio_executor<net::io_context::basic_executor_type<Allocator, Bits>> =
    true;

/// True when `ex` runs functions on `context` and may do so at once: then a
/// handler is called straight from the loop.
template <typename Executor>
bool runs_directly_on(const Executor& ex, const io_context& context) noexcept
{
    if constexpr (is_basic_executor<Executor>) {
        return &ex.query(net::execution::context) == &context &&
               ex.query(net::execution::blocking) == net::execution::blocking.possibly;
    } else if constexpr (is_asio_executor<Executor>) {
        // An attached context takes its turns in handlers of its host.
        return &net::query(ex, net::execution::context) == context.host() &&
               net::query(ex, net::execution::blocking) == net::execution::blocking.possibly;
    } else if constexpr (std::is_same_v<Executor, net::any_io_executor>) {
        if (const auto* ours = ex.template target<executor>())
            return runs_directly_on(*ours, context);
        const auto* hosts = ex.template target<net::io_context::executor_type>();
        return hosts != nullptr && runs_directly_on(*hosts, context);
    } else {
        return false;
    }
}

template <typename Executor, bool IsExecutor = net::execution::is_executor<Executor>::value>
struct tracked_executor {
    using type = std::decay_t<decltype(net::prefer(std::declval<const Executor&>(),
                                                   net::execution::outstanding_work.tracked))>;
    static type make(const Executor& ex)
    {
        return net::prefer(ex, net::execution::outstanding_work.tracked);
    }
};

template <typename Executor>
struct tracked_executor<Executor, false> {
    using type = net::executor_work_guard<Executor>;
    static type make(const Executor& ex) { return type(ex); }
};

/// Where a completion handler runs. Holds work on its executor unless that is
/// the loop's own, whose work the operation itself is.
template <typename Handler, typename IoExecutor>
class handler_work {
    using executor_type = net::associated_executor_t<Handler, IoExecutor>;
    using tracked = tracked_executor<executor_type>;

public:
    handler_work(const Handler& handler, const IoExecutor& io_executor, const io_context& context)
    {
        const executor_type& ex = net::get_associated_executor(handler, io_executor);
        if (!runs_directly_on(ex, context))
            elsewhere_.emplace(tracked::make(ex));
    }

    /// Calls `handler(arguments...)`, here or where it belongs.
    template <typename Arguments>
    void complete(Handler&& handler, Arguments&& arguments, bool on_attached_context)
    {
        if (!elsewhere_ && !on_attached_context) {
            detail::call_handler(handler, arguments);
            return;
        }
        bound_handler<Handler, std::decay_t<Arguments>> f{std::move(handler),
                                                          std::forward<Arguments>(arguments)};
        // A strand of the old kind, which only the host of an attached context can have,
        // keeps the steps of composed operations inside by the hook alone.
        if (!elsewhere_)
            return invoke_by_hook(f, f.handler);
        const auto allocator = net::get_associated_allocator(f.handler);
        if constexpr (net::execution::is_executor<executor_type>::value)
            net::prefer(*elsewhere_, net::execution::allocator(allocator)).execute(std::move(f));
        else
            elsewhere_->get_executor().dispatch(std::move(f), allocator);
    }

private:
    std::optional<typename tracked::type> elsewhere_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail

/// What goes with the handler goes with it bound.
template <template <typename, typename> class Associator, typename Handler, typename Arguments,
          typename Default>
struct boost::asio::associator<Associator, safer_ring::detail::bound_handler<Handler, Arguments>,
                               Default> : Associator<Handler, Default> {
    using bound = safer_ring::detail::bound_handler<Handler, Arguments>;

    static auto get(const bound& b) noexcept
    {
        return Associator<Handler, Default>::get(b.handler);
    }
    static auto get(const bound& b, const Default& otherwise) noexcept
        -> decltype(Associator<Handler, Default>::get(b.handler, otherwise))
    {
        return Associator<Handler, Default>::get(b.handler, otherwise);
    }
};
