// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/handler_work.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/post.hpp>

#include <tuple>
#include <type_traits>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// Completes an operation that an object not of ours cannot have: posted to the
/// executor of the handler, as no handler is called by its initiating function.
template <typename Handler, typename IoExecutor, typename... Args>
void complete_elsewhere(Handler&& handler, const IoExecutor& io_executor, Args&&... args)
{
    using handler_type = std::decay_t<Handler>;
    using arguments = std::tuple<std::decay_t<Args>...>;
    const auto executor = net::get_associated_executor(handler, io_executor);
    net::post(executor,
              bound_handler<handler_type, arguments>{std::forward<Handler>(handler),
                                                     arguments(std::forward<Args>(args)...)});
}

} // namespace safer_ring::inline SAFER_RING_ABI::detail
