// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "support/blocking_peer.hpp"

#include <safer_ring/backend/simulated.hpp>
#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/io_ring.hpp>

#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <memory>
#include <string_view>
#include <tuple>
#include <unistd.h>
#include <utility>

namespace simulated {

using safer_ring::backend::opcode;
using safer_ring::backend::simulation;

/// A ring on a simulated kernel that outlives it, two pipes, and buffers that
/// tell when they are back.
struct ring_with_pipe {
    static constexpr std::size_t buffer_bytes = 64;

    explicit ring_with_pipe(const safer_ring::backend::simulation_plan& plan = {})
        : kernel(std::make_shared<simulation>(plan))
    {
        safer_ring::options settings;
        settings.submission_entries = 16;
        settings.completion_entries = 32;
        ring = std::make_unique<safer_ring::io_ring>(
            std::make_unique<safer_ring::backend::simulated_backend>(kernel, settings));
        std::tie(reader, writer) = test_support::pipe_descriptor_pair();
        std::tie(other, other_writer) = test_support::pipe_descriptor_pair();
    }
    safer_ring::owned_buffer buffer() { return std::move(*pool.try_acquire()); }
    auto read() { return ring->read(reader.get(), buffer()); }
    auto write(std::string_view text)
    {
        return ring->write(writer.get(), safer_ring::owned_buffer::copy_of(text));
    }
    void write_plain(std::string_view text) const
    {
        BOOST_REQUIRE(::write(writer.get(), text.data(), text.size()) ==
                      static_cast<ssize_t>(text.size()));
    }
    [[nodiscard]] bool all_back() const
    {
        return pool.statistics().available == pool.statistics().count;
    }

    safer_ring::buffer_pool pool{8, buffer_bytes};
    test_support::unique_descriptor reader, writer, other, other_writer;
    std::shared_ptr<simulation> kernel;
    std::unique_ptr<safer_ring::io_ring> ring;
};

} // namespace simulated
