// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/system_executor.hpp>

#include <tuple>
#include <type_traits>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// A function that calls a copy of `handler` with copies of the arguments. std::bind would call what
/// is itself the result of std::bind, and unwrap references, instead of passing them on.
template <typename Handler, typename... Args>
auto bound_call(const Handler& handler, Args&&... args)
{
    return [handler = handler,
            args = std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)]() mutable {
        std::apply(handler, args);
    };
}

/// A function that calls `call` on the executor that `handler`, which is in it, is bound to; one that
/// is bound to none is called as it is. For what runs functions without looking at that. Until then, that
/// executor has work.
template <typename Handler, typename Call>
auto where_bound(const Handler& handler, Call call)
{
    if constexpr (std::is_same_v<boost::asio::associated_executor_t<Handler>,
                                 boost::asio::system_executor>)
        return call;
    else
        return [work = boost::asio::make_work_guard(handler), call = std::move(call)]() mutable {
            boost::asio::dispatch(work.get_executor(), std::move(call));
        };
}

template <typename Handler>
auto where_bound(Handler&& handler)
{
    using handler_type = std::decay_t<Handler>;
    if constexpr (std::is_same_v<boost::asio::associated_executor_t<handler_type>,
                                 boost::asio::system_executor>)
        return handler_type(std::forward<Handler>(handler));
    else
        return [work = boost::asio::make_work_guard(handler),
                handler = handler_type(std::forward<Handler>(handler))]() mutable {
            boost::asio::dispatch(std::move(handler));
        };
}

} // namespace safer_ring::inline SAFER_RING_ABI::detail
