// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <boost/system/error_code.hpp>

#include <cstddef>
#include <type_traits>

namespace test_support {

/// An error that no operation gives: a result still holding it was not set.
inline boost::system::error_code garbage_error()
{
    return {12345, boost::system::system_category()};
}

inline constexpr std::size_t garbage_size = 0xDEADBEEF;

/// What an operation completed with. Filled with garbage before the call, so
/// that "not set" is seen.
struct io_result {
    boost::system::error_code ec = garbage_error();
    std::size_t bytes = garbage_size;
    int number = -1; ///< Signal number, for signal sets.
    bool done = false;

    /// The call is still inside the initiating function while this is set, and
    /// a handler that sees it set has been called too early.
    bool initiating = false;
    bool called_while_initiating = false;

    void store(const boost::system::error_code& e)
    {
        ec = e;
        done = true;
        called_while_initiating = called_while_initiating || initiating;
    }

    template <class Value, class... More>
    void store(const boost::system::error_code& e, const Value& value, const More&...)
    {
        if constexpr (std::is_same_v<Value, std::size_t>)
            bytes = value;
        if constexpr (std::is_same_v<Value, int>)
            number = value;
        store(e);
    }
};

} // namespace test_support
