// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <boost/test/unit_test.hpp>

#include <string>
#include <string_view>
#include <system_error>

namespace test_support {

/// What the std::system_error says that `f` has to throw.
template <class F>
std::string error_of(F f, std::errc expected)
{
    try {
        f();
    } catch (const std::system_error& e) {
        BOOST_TEST((e.code() == expected), e.what());
        return e.what();
    }
    BOOST_ERROR("nothing thrown");
    return "";
}

inline bool has(std::string_view text, std::string_view part)
{
    return text.find(part) != text.npos;
}

} // namespace test_support
