// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/owned_buffer.hpp>

#include <boost/system/error_code.hpp>

#include <cstddef>
#include <utility>

namespace test_support {

/// What an operation on an owned buffer, or several, came back with.
template <class Buffer = safer_ring::owned_buffer>
struct owned_outcome {
    bool done = false;
    boost::system::error_code ec;
    std::size_t size = 0;
    Buffer buffer;

    auto store()
    {
        return [this](boost::system::error_code e, std::size_t n, Buffer b) {
            ec = e;
            size = n;
            buffer = std::move(b);
            done = true;
        };
    }
};

} // namespace test_support
