// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "kernel.hpp"

#include "support/blocking_peer.hpp"
#include "support/error_of.hpp"
#include "support/skip.hpp"

#include <safer_ring/ring/io_ring.hpp>

#include <boost/test/unit_test.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

// What the tests of registered files and buffers share.
namespace kernel {

using namespace std::chrono_literals;
using namespace safer_ring;
using test_support::error_of;
using test_support::has;
using test_support::unique_descriptor;

/// Why the tests of a feature cannot run, or an empty string.
inline std::string missing(bool features::*feature, const char* name)
{
    const features found = features::probe();
    return !found.io_uring ? no_io_uring() : found.*feature ? "" : std::string("no ") + name;
}
inline const auto needs_files =
    test_support::unless([] { return missing(&features::registered_files, "registered files"); });
inline const auto needs_direct = test_support::unless(
    [] { return missing(&features::direct_descriptors, "direct descriptors"); });
inline const auto needs_buffers = test_support::unless(
    [] { return missing(&features::registered_buffers, "registered buffers"); });

/// A pipe whose read end is registered and has no descriptor.
struct registered_pipe {
    registered_pipe()
    {
        auto ends = test_support::pipe_descriptor_pair();
        file.emplace(ring.register_file(ends.first.get()));
        writer = std::move(ends.second);
    }
    auto read() { return ring.read(*file, owned_buffer(64)); }
    void write(std::string_view text)
    {
        BOOST_TEST(::write(writer.get(), text.data(), text.size()) ==
                   static_cast<ssize_t>(text.size()));
    }
    /// Waits until nobody can read what is written.
    bool reader_is_gone() const { return test_support::wait_ready(writer.get(), POLLERR); }
    bool has_reader() const
    {
        pollfd entry{writer.get(), 0, 0};
        return ::poll(&entry, 1, 0) == 0;
    }

    unique_descriptor writer;
    io_ring ring;
    std::optional<registered_file> file;
};

/// A listening socket of this machine, and its address.
struct listening {
    sockaddr* generic() { return reinterpret_cast<sockaddr*>(&address); }
    unique_descriptor client() const
    {
        return test_support::loopback_client(ntohs(address.sin_port));
    }

    unique_descriptor listener = test_support::loopback_listener(8);
    sockaddr_in address = test_support::local_address(listener.get());
};

} // namespace kernel
