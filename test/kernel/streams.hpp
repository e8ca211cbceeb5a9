// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "task.hpp"
#include "watched_backend.hpp"

#include "support/blocking_peer.hpp"
#include "support/skip.hpp"

#include <safer_ring/ring/io_ring.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <sys/socket.h>

// What the tests of streams and of their buffers share.
namespace kernel {

using namespace std::chrono_literals;
using namespace safer_ring;
using test_support::unique_descriptor;

inline std::string no_buffer_ring()
{
    const features found = features::probe();
    return found.buffer_ring     ? ""
           : found.io_uring      ? "no buffers chosen by the kernel (Linux 5.19)"
           : found.notes.empty() ? "no io_uring"
                                 : found.notes.front();
}

inline const auto needs_buffer_ring = test_support::unless(&no_buffer_ring);

/// A ring that is watched.
struct watched {
    explicit watched(bool refuses_multishot = false, unsigned completion_entries = 4096)
        : ring(make(*this, completion_entries))
    {
        record->refuses_multishot = refuses_multishot;
    }
    static std::unique_ptr<backend::backend> make(watched& self, unsigned completion_entries)
    {
        options settings;
        settings.submission_entries = std::min(completion_entries, settings.submission_entries);
        settings.completion_entries = completion_entries;
        return std::make_unique<watched_backend>(settings, self.record);
    }
    /// Looks until there is nothing more that the kernel does by itself.
    void settle()
    {
        for (int i = 0; i < 50; ++i)
            ring.poll();
    }

    /// Looks until it is so, for what takes the kernel some time.
    template <typename F>
    void until(F&& is_so)
    {
        const auto limit = std::chrono::steady_clock::now() + test_support::watchdog_time;
        while (!is_so() && std::chrono::steady_clock::now() < limit)
            ring.poll();
        settle();
    }

    std::shared_ptr<watch> record = std::make_shared<watch>();
    io_ring ring;
};

inline void send_text(const unique_descriptor& to, std::string_view text)
{
    BOOST_REQUIRE(::send(to.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
                  static_cast<ssize_t>(text.size()));
}

/// A connection with a stream at its near end.
struct connection {
    connection(io_ring& ring, const buffer_ring& buffers, stream_limits limits = {})
        : connection(ring, buffers, limits, test_support::local_descriptor_pair())
    {
    }
    connection(io_ring& ring, const buffer_ring& buffers, stream_limits limits,
               std::pair<unique_descriptor, unique_descriptor> both)
        : near(std::move(both.first)), far(std::move(both.second)),
          receiving(ring.receive_stream(near.get(), buffers, limits))
    {
    }
    /// All that comes until the end.
    std::string rest()
    {
        std::string text;
        while (!receiving.is_over()) {
            auto [result, buffer] = receiving.next().wait();
            BOOST_TEST(result.value() == buffer.size());
            text += buffer.text();
        }
        return text;
    }
    unique_descriptor near, far;
    stream<streams::receive> receiving;
};

/// The n-th piece of what is sent.
inline std::string piece(int n)
{
    return std::to_string(n) + ";";
}

} // namespace kernel
