// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <system_error>

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// What `f()` returns. What it throws of the ring's layer, which knows no Boost, is thrown as
/// what those catch who use Asio's objects.
template <typename F>
decltype(auto) as_asio(F f)
{
    try {
        return f();
    } catch (const std::system_error& failure) {
        throw boost::system::system_error(
            {failure.code().value(), boost::system::system_category()}, failure.what());
    }
}

} // namespace safer_ring::inline SAFER_RING_ABI::detail
