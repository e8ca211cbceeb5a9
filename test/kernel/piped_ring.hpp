// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "support/blocking_peer.hpp"

#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/io_ring.hpp>

#include <string_view>
#include <tuple>
#include <utility>

namespace kernel {

/// A ring, a pipe, and buffers that tell when they are back.
struct piped {
    piped() { std::tie(reader, writer) = test_support::pipe_descriptor_pair(); }
    auto read() { return ring.read(reader.get(), std::move(*pool.try_acquire())); }
    auto write(std::string_view text)
    {
        return ring.write(writer.get(), safer_ring::owned_buffer::copy_of(text));
    }
    bool all_back() const { return pool.statistics().available == pool.statistics().count; }

    safer_ring::buffer_pool pool{8, 64};
    test_support::unique_descriptor reader, writer;
    safer_ring::io_ring ring;
};

} // namespace kernel
