// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "files.hpp"

#include "support/handler_checks.hpp"

#include <safer_ring/asio/splice.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/test/unit_test.hpp>

#include <optional>
#include <string>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

// What the tests of splices share.
namespace conformance {

using safer_ring::async_splice;
using test_support::handler_checks;
using test_support::io_result;

template <class Ctx>
using reader_of = net::basic_readable_pipe<executor_of<Ctx>>;
template <class Ctx>
using writer_of = net::basic_writable_pipe<executor_of<Ctx>>;

/// Both ends of a pipe of the context's.
template <class Ctx>
struct pipe_of {
    explicit pipe_of(Ctx& ctx) : reader(std::in_place, ctx), writer(std::in_place, ctx)
    {
        net::connect_pipe(*reader, *writer);
    }
    void write(const std::string& bytes) { net::write(*writer, net::buffer(bytes)); }
    std::string read(std::size_t size_bytes)
    {
        BOOST_REQUIRE(size() >= size_bytes); // It would wait for the others for ever.
        std::string bytes(size_bytes, '\0');
        net::read(*reader, net::buffer(bytes));
        return bytes;
    }
    /// What is in it now.
    std::size_t size()
    {
        int bytes = -1;
        BOOST_REQUIRE(::ioctl(reader->native_handle(), FIONREAD, &bytes) == 0);
        return static_cast<std::size_t>(bytes);
    }
    /// Leaves no room; answers how much that took.
    std::size_t fill()
    {
        const int fd = writer->native_handle();
        const int mode = ::fcntl(fd, F_GETFL);
        ::fcntl(fd, F_SETFL, mode | O_NONBLOCK);
        std::size_t n = 0;
        while (::write(fd, "f", 1) == 1)
            ++n;
        ::fcntl(fd, F_SETFL, mode);
        return n;
    }
    std::optional<reader_of<Ctx>> reader;
    std::optional<writer_of<Ctx>> writer;
};

/// A splice that waits, for bytes or for room.
template <class Ctx>
struct waiting_splice {
    waiting_splice(Ctx& ctx, handler_checks& checks, bool for_room) : from(ctx), to(ctx)
    {
        if (for_room) {
            in_target = to.fill();
            from.write("late");
        }
        async_splice(*from.reader, *to.writer, 100,
                     net::bind_cancellation_slot(signal.slot(), checks.into(moved)));
        ctx.poll();
        ctx.restart();
        BOOST_TEST(!moved.done);
    }
    pipe_of<Ctx> from, to;
    std::size_t in_target = 0;
    net::cancellation_signal signal;
    io_result moved;
};

} // namespace conformance
