// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/error_condition.hpp>

#include <string>

/// Errors that Asio has no name for.
namespace safer_ring::inline SAFER_RING_ABI::error {

enum stream_errors {
    /// A receive_stream or an accept_stream is open on the object, and what comes
    /// in is its: stop it, or take the next item from it. The condition is
    /// device_or_resource_busy.
    stream_is_open = 1,

    /// The object is not on a safer_ring::io_context, nor on a context that one is
    /// attached to, or was compiled without the drop-in. The condition is
    /// operation_not_supported.
    not_on_a_ring = 2,
};

namespace detail {

class stream_category final : public boost::system::error_category {
public:
    // By its id it is the same one in every shared object.
    constexpr stream_category() noexcept : error_category(0x7b1d3ce4a90f52d6ULL) {}

    const char* name() const noexcept override { return "safer_ring.stream"; }

    std::string message(int value) const override
    {
        switch (value) {
        case stream_is_open:
            return "A stream is open on this object and takes what comes in: stop it first, or "
                   "take the next item from it";
        case not_on_a_ring:
            return "The object is not on a safer_ring::io_context: construct it with one, or "
                   "compile the program with the drop-in";
        default:
            return "safer_ring.stream error";
        }
    }

    boost::system::error_condition default_error_condition(int value) const noexcept override
    {
        namespace errc = boost::system::errc;
        switch (value) {
        case stream_is_open:
            return errc::make_error_condition(errc::device_or_resource_busy);
        case not_on_a_ring:
            return errc::make_error_condition(errc::operation_not_supported);
        default:
            return {value, *this};
        }
    }
};

inline const stream_category the_stream_category;

} // namespace detail

inline const boost::system::error_category& stream_category() noexcept
{
    return detail::the_stream_category;
}

inline boost::system::error_code make_error_code(stream_errors e) noexcept
{
    return {static_cast<int>(e), stream_category()};
}

} // namespace safer_ring::inline SAFER_RING_ABI::error

template <>
struct boost::system::is_error_code_enum<safer_ring::error::stream_errors> : std::true_type {
};
