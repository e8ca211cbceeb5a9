// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "kernel.hpp"

#include "support/blocking_peer.hpp"
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
        int ends[2];
        BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        const unique_descriptor reader(ends[0]);
        writer = unique_descriptor(ends[1]);
        file.emplace(ring.register_file(reader.get()));
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
    listening()
    {
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        BOOST_REQUIRE(::bind(listener.get(), generic(), size) == 0);
        BOOST_REQUIRE(::listen(listener.get(), 8) == 0);
        BOOST_REQUIRE(::getsockname(listener.get(), generic(), &size) == 0);
    }
    sockaddr* generic() { return reinterpret_cast<sockaddr*>(&address); }

    unique_descriptor listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
};

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

inline bool has(const std::string& text, const char* part)
{
    return text.find(part) != std::string::npos;
}

} // namespace kernel
