// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio.hpp>
#include <safer_ring/backend/simulated.hpp>
#include <safer_ring/ring/quarantine.hpp>

#include "support/connected_pair.hpp"

#include <boost/asio.hpp>

#include <cstddef>
#include <dirent.h>
#include <memory>

namespace simulated {

namespace net = boost::asio;
using boost::system::error_code;
using net::ip::tcp;
using safer_ring::options;
using safer_ring::backend::opcode;
using safer_ring::backend::simulation;
using safer_ring::backend::simulation_plan;

using executor = safer_ring::executor;
using tcp_socket = net::basic_stream_socket<tcp, executor>;
using tcp_acceptor = net::basic_socket_acceptor<tcp, executor>;
using local_socket = net::basic_stream_socket<net::local::stream_protocol, executor>;

inline options small_options()
{
    options settings;
    settings.submission_entries = 16;
    settings.completion_entries = 64;
    settings.receive_buffer_count = 8;
    settings.receive_buffer_size_bytes = 256;
    settings.send_buffer_size_bytes = 512;
    settings.drain_deadline_ms = 5000;
    return settings;
}

/// A context on a simulated kernel that outlives it.
struct simulated_context {
    explicit simulated_context(const options& settings = small_options(),
                               const simulation_plan& plan = {}, int concurrency_hint = 1)
        : simulated_context(settings, std::make_shared<simulation>(plan), concurrency_hint)
    {
    }

    simulated_context(const options& settings, std::shared_ptr<simulation> of,
                      int concurrency_hint = 1)
        : kernel(std::move(of)),
          context(std::make_unique<safer_ring::io_context>(
              concurrency_hint, settings,
              std::make_unique<safer_ring::backend::simulated_backend>(kernel, settings)))
    {
    }

    std::size_t poll()
    {
        context->restart();
        return context->poll();
    }

    /// Polls until nothing is ready and nothing is in flight that could be.
    void settle()
    {
        for (int i = 0; i < 100; ++i) {
            poll();
            kernel->step(); // Without work the context does not ask the kernel.
        }
    }

    /// Every buffer and every block of staging memory is back.
    [[nodiscard]] bool everything_is_back() const
    {
        auto& loop = context->impl().loop();
        return loop.buffers().outstanding() == 0 && loop.staging().outstanding() == 0 &&
               kernel->in_flight_count() == 0;
    }

    std::shared_ptr<simulation> kernel;
    std::unique_ptr<safer_ring::io_context> context;
};

/// Descriptors that this process has open.
inline std::size_t open_descriptors()
{
    std::size_t n = 0;
    DIR* const folder = ::opendir("/proc/self/fd");
    while (::readdir(folder) != nullptr)
        ++n;
    ::closedir(folder);
    return n;
}

} // namespace simulated
