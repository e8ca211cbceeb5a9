// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "contexts.hpp"

#include "support/blocking_peer.hpp"
#include "support/handler_checks.hpp"
#include "support/results.hpp"
#include "support/run_until.hpp"

#include <boost/asio.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <tuple>
#include <utility>

#include <fcntl.h>
#include <pty.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

// Everything that carries bytes from a writer to a reader without being a
// socket of Asio's, so that a test is written once for all of it.
namespace conformance {

template <class Ctx>
using descriptor_of = net::posix::basic_stream_descriptor<executor_of<Ctx>>;
template <class Ctx>
using readable_pipe_of = net::basic_readable_pipe<executor_of<Ctx>>;
template <class Ctx>
using writable_pipe_of = net::basic_writable_pipe<executor_of<Ctx>>;
template <class Ctx>
using serial_port_of = net::basic_serial_port<executor_of<Ctx>>;

using test_support::check_call;
using test_support::pipe_descriptor_pair;
using test_support::unique_descriptor;

/// Both ends of a named pipe that has no name any more. Unlike pipe2(2)'s,
/// such a file knows no RWF_NOWAIT (Linux 6.18).
inline std::pair<unique_descriptor, unique_descriptor> fifo_ends()
{
    static int count = 0;
    const auto path =
        std::filesystem::temp_directory_path() /
        ("safer_ring_fifo_" + std::to_string(::getpid()) + "_" + std::to_string(count++));
    check_call(::mkfifo(path.c_str(), 0600), "mkfifo", -1);
    unique_descriptor reader(
        check_call(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), "open", -1));
    unique_descriptor writer(check_call(::open(path.c_str(), O_WRONLY | O_CLOEXEC), "open", -1));
    ::fcntl(reader.get(), F_SETFL, 0);
    std::filesystem::remove(path);
    return {std::move(reader), std::move(writer)};
}

/// Master and name of a pseudo terminal that passes bytes as they are.
struct terminal {
    terminal() : master(check_call(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), "openpt", -1))
    {
        check_call(::grantpt(master.get()), "grantpt", master.get());
        check_call(::unlockpt(master.get()), "unlockpt", master.get());
        name = ::ptsname(master.get());
    }
    unique_descriptor master;
    std::string name;
};

/// The writer is destroyed first.
template <class Reader, class Writer>
struct channel {
    Reader reader;
    Writer writer;
};

// The reader and the writer may be on different contexts.

/// net::connect_pipe.
struct pipe_channel {
    template <class Ctx, class Other>
    static auto make(Ctx& ctx, Other& other)
    {
        channel<readable_pipe_of<Ctx>, writable_pipe_of<Other>> c{readable_pipe_of<Ctx>(ctx),
                                                                  writable_pipe_of<Other>(other)};
        net::connect_pipe(c.reader, c.writer);
        return c;
    }
    template <class Ctx>
    static auto make(Ctx& ctx)
    {
        return make(ctx, ctx);
    }
};

template <std::pair<unique_descriptor, unique_descriptor> (*Ends)()>
struct descriptor_channel {
    template <class Ctx>
    static auto make(Ctx& ctx)
    {
        auto [reader, writer] = Ends();
        return channel<descriptor_of<Ctx>, descriptor_of<Ctx>>{
            descriptor_of<Ctx>(ctx, reader.release()), descriptor_of<Ctx>(ctx, writer.release())};
    }
};

inline std::pair<unique_descriptor, unique_descriptor> plain_pipe_ends()
{
    return pipe_descriptor_pair();
}
using anonymous_pipe_channel = descriptor_channel<plain_pipe_ends>;
using named_pipe_channel = descriptor_channel<fifo_ends>;
using socket_channel = descriptor_channel<test_support::local_descriptor_pair>;

/// A serial port that reads what is written to the other side of its line.
struct serial_channel {
    template <class Ctx, class Other>
    static auto make(Ctx& ctx, Other& other)
    {
        terminal t;
        serial_port_of<Ctx> port(ctx, t.name);
        return channel<serial_port_of<Ctx>, descriptor_of<Other>>{
            std::move(port), descriptor_of<Other>(other, t.master.release())};
    }
    template <class Ctx>
    static auto make(Ctx& ctx)
    {
        return make(ctx, ctx);
    }
};

/// The same line in the other direction.
struct serial_write_channel {
    template <class Ctx, class Other>
    static auto make(Ctx& ctx, Other& other)
    {
        auto c = serial_channel::make(other, ctx);
        return channel<descriptor_of<Ctx>, serial_port_of<Other>>{std::move(c.writer),
                                                                  std::move(c.reader)};
    }
    template <class Ctx>
    static auto make(Ctx& ctx)
    {
        return make(ctx, ctx);
    }
};

template <class Ctx, class Kind>
struct on {
    using context = Ctx;
    using kind = Kind;
};

template <class Contexts, class... Kinds>
struct on_each;
template <class... Ctx, class... Kinds>
struct on_each<std::tuple<Ctx...>, Kinds...> {
    template <class Context>
    using with_kinds = std::tuple<on<Context, Kinds>...>;
    using type = decltype(std::tuple_cat(std::declval<with_kinds<Ctx>>()...));
};

using channels = on_each<contexts, pipe_channel, anonymous_pipe_channel, named_pipe_channel,
                         socket_channel, serial_channel, serial_write_channel>::type;
using channels_with_an_end = on_each<contexts, pipe_channel, anonymous_pipe_channel,
                                     named_pipe_channel, socket_channel>::type;

/// Ignores SIGPIPE, which a write without a reader raises.
class without_sigpipe {
public:
    without_sigpipe() : before_(std::signal(SIGPIPE, SIG_IGN)) {}
    without_sigpipe(const without_sigpipe&) = delete;
    without_sigpipe& operator=(const without_sigpipe&) = delete;
    ~without_sigpipe() { std::signal(SIGPIPE, before_); }

private:
    void (*before_)(int);
};

/// Bytes that tell where in the stream they belong.
inline std::string pattern(std::size_t size)
{
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
    return text;
}

/// Writes until no more fits; `result` is that of the write that waits.
template <class Ctx, class Writer>
void write_until_it_waits(Ctx& ctx, Writer& writer, const std::string& data,
                          test_support::io_result& result)
{
    do {
        result = {};
        writer.async_write_some(net::buffer(data),
                                [&result](error_code ec, std::size_t n) { result.store(ec, n); });
        for (int i = 0; i < 3; ++i) {
            ctx.restart();
            ctx.poll();
        }
    } while (result.done);
}

/// A context, a channel of one kind on it, and checks that outlive both.
template <class T>
struct fixture {
    test_support::handler_checks checks;
    typename T::context ctx;
    decltype(T::kind::make(std::declval<typename T::context&>())) c = T::kind::make(ctx);
    std::array<char, 64> buffer{};

    std::string received(const test_support::io_result& r) const
    {
        return {buffer.data(), r.bytes};
    }

    void settle()
    {
        for (int i = 0; i < 3; ++i) {
            ctx.restart();
            ctx.poll();
        }
    }

    template <class... Results>
    void run(Results&... results)
    {
        (test_support::run_until_done(ctx, results), ...);
    }

    /// The channel still carries bytes.
    void check_alive()
    {
        test_support::io_result write, read;
        net::async_write(c.writer, net::buffer("alive", 5), checks.into(write));
        net::async_read(c.reader, net::buffer(buffer, 5), checks.into(read));
        run(write, read);
        BOOST_TEST(write.ec == error_code());
        BOOST_TEST(received(read) == "alive");
    }
};

} // namespace conformance
