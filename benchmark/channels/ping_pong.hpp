// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "support/program.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace benchmark {

namespace net = boost::asio;

/// Seconds of processor time of this process.
inline double cpu_seconds()
{
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// A way to send a message and to get it whole at the other end, for each kind of channel.

/// Datagrams between two connected UDP sockets on the loopback device.
template <class Executor>
struct udp_channel {
    using socket = net::basic_datagram_socket<net::ip::udp, Executor>;

    explicit udp_channel(const Executor& ex)
        : a(ex, {net::ip::address_v4::loopback(), 0}), b(ex, {net::ip::address_v4::loopback(), 0})
    {
        a.connect(b.local_endpoint());
        b.connect(a.local_endpoint());
    }
    template <class Handler>
    static void send(socket& from, net::const_buffer message, Handler handler)
    {
        from.async_send(message, std::move(handler));
    }
    template <class Handler>
    static void receive(socket& to, net::mutable_buffer message, Handler handler)
    {
        to.async_receive(message, std::move(handler));
    }

    socket a;
    socket b;
};

/// A pair of local stream sockets.
template <class Executor>
struct local_channel {
    using socket = net::basic_stream_socket<net::local::stream_protocol, Executor>;

    explicit local_channel(const Executor& ex) : a(ex), b(ex) { net::local::connect_pair(a, b); }
    template <class Handler>
    static void send(socket& from, net::const_buffer message, Handler handler)
    {
        net::async_write(from, message, std::move(handler));
    }
    template <class Handler>
    static void receive(socket& to, net::mutable_buffer message, Handler handler)
    {
        net::async_read(to, message, std::move(handler));
    }

    socket a;
    socket b;
};

/// Messages that go back and forth over many channels in one thread, and are compared when they
/// are back.
template <class Context, template <class> class Channel>
class ping_pong {
    using channel = Channel<typename Context::executor_type>;

public:
    ping_pong(Context& context, std::size_t channels, std::size_t size, std::uint64_t rounds)
        : left_(rounds)
    {
        for (std::size_t i = 0; i < channels; ++i)
            pairs_.push_back(std::make_unique<pair>(context, size, i));
    }

    void start()
    {
        for (auto& p : pairs_)
            there(*p);
    }

    /// Round trips that came back as they were sent.
    std::uint64_t done() const { return done_; }

private:
    struct pair {
        pair(Context& context, std::size_t size, std::size_t number)
            : ends(context.get_executor()), sent(size), echoed(size), back(size)
        {
            for (std::size_t i = 0; i < size; ++i)
                sent[i] = static_cast<char>(number * 7 + i);
        }
        channel ends;
        std::vector<char> sent, echoed, back;
    };

    template <class F>
    static auto checked(F f)
    {
        return [f](const boost::system::error_code& error, std::size_t) {
            if (error)
                throw boost::system::system_error(error);
            f();
        };
    }

    void there(pair& p)
    {
        channel::receive(p.ends.b, net::buffer(p.echoed), checked([this, &p] { back(p); }));
        channel::send(p.ends.a, net::buffer(p.sent), checked([] {}));
    }

    void back(pair& p)
    {
        channel::receive(p.ends.a, net::buffer(p.back), checked([this, &p] { compare(p); }));
        channel::send(p.ends.b, net::buffer(p.echoed), checked([] {}));
    }

    void compare(pair& p)
    {
        if (p.back != p.sent)
            throw std::runtime_error("a message came back changed");
        ++done_;
        p.sent[0] = static_cast<char>(p.sent[0] + 1);
        if (left_ == 0)
            return;
        --left_;
        there(p);
    }

    std::vector<std::unique_ptr<pair>> pairs_;
    std::uint64_t left_;
    std::uint64_t done_ = 0;
};

/// Bytes that stream through pipes, written and read in blocks. Each block begins with a number, so
/// that one that is lost, comes twice or comes out of another pipe is not taken for the next one.
template <class Context>
class pipe_stream {
    using executor = typename Context::executor_type;

public:
    pipe_stream(Context& context, std::size_t pipes, std::size_t size, std::uint64_t blocks)
        : left_(blocks)
    {
        if (size < sizeof(std::uint64_t))
            throw std::invalid_argument("a block of a pipe begins with a number of 8 bytes");
        for (std::size_t i = 0; i < pipes; ++i)
            pipes_.push_back(std::make_unique<pipe>(context, size, i));
    }

    void start()
    {
        for (auto& p : pipes_) {
            read(*p);
            write(*p);
        }
    }

    /// Blocks that came whole and in order.
    std::uint64_t done() const { return done_; }

private:
    struct pipe {
        pipe(Context& context, std::size_t size, std::uint64_t index)
            : reader(context.get_executor()), writer(context.get_executor()), out(size), in(size),
              number(index << 40), wanted(number)
        {
            net::connect_pipe(reader, writer);
            for (std::size_t i = 0; i < size; ++i)
                out[i] = static_cast<char>(i * 31);
        }
        net::basic_readable_pipe<executor> reader;
        net::basic_writable_pipe<executor> writer;
        std::vector<char> out, in;
        // Of the block that is written next, and of the one that is being read.
        std::uint64_t number, wanted;
        std::size_t position = 0; // In the block that is being read.
    };

    void write(pipe& p)
    {
        std::memcpy(p.out.data(), &p.number, sizeof p.number);
        ++p.number;
        net::async_write(p.writer, net::buffer(p.out),
                         [this, &p](const boost::system::error_code& error, std::size_t) {
                             if (error)
                                 throw boost::system::system_error(error);
                             if (left_ == 0)
                                 return p.writer.close();
                             --left_;
                             write(p);
                         });
    }

    void read(pipe& p)
    {
        p.reader.async_read_some(net::buffer(p.in),
                                 [this, &p](const boost::system::error_code& error, std::size_t n) {
                                     if (error == net::error::eof)
                                         return ended(p);
                                     if (error)
                                         throw boost::system::system_error(error);
                                     compare(p, n);
                                     read(p);
                                 });
    }

    static void ended(const pipe& p)
    {
        if (p.position != 0)
            throw std::runtime_error("a pipe ended inside of a block");
    }

    void compare(pipe& p, std::size_t n)
    {
        for (std::size_t at = 0; at < n;) {
            // The number in `out` may already be that of a block after this one; the rest stays.
            const bool in_number = p.position < sizeof p.wanted;
            const char* const block =
                in_number ? reinterpret_cast<const char*>(&p.wanted) : p.out.data();
            const std::size_t end = in_number ? sizeof p.wanted : p.out.size();
            const std::size_t piece = std::min(n - at, end - p.position);
            if (std::memcmp(p.in.data() + at, block + p.position, piece) != 0)
                throw std::runtime_error("a pipe delivered other bytes");
            at += piece;
            p.position += piece;
            if (p.position == p.out.size()) {
                p.position = 0;
                ++p.wanted;
                ++done_;
            }
        }
    }

    std::vector<std::unique_ptr<pipe>> pipes_;
    std::uint64_t left_;
    std::uint64_t done_ = 0;
};

template <class Work, class Context>
double measure(std::size_t channels, std::size_t size, std::uint64_t rounds)
{
    Context context{1};
    Work warm_up(context, channels, size, rounds / 10 + channels);
    warm_up.start();
    context.run();
    context.restart();
    Work work(context, channels, size, rounds);
    const double before = cpu_seconds();
    work.start();
    context.run();
    const double after = cpu_seconds();
    // Each channel begins with one that is not taken from the rounds.
    if (work.done() != rounds + channels)
        throw std::runtime_error(std::to_string(work.done()) + " messages came, not the " +
                                 std::to_string(rounds + channels) + " that were sent");
    return (after - before) / static_cast<double>(work.done()) * 1e6;
}

/// The main function of both programs.
template <class Context>
int pass_messages(int argc, char** argv)
{
    const arguments given(argc, argv, {"--kind", "--channels", "--size", "--rounds", "--cpu"});
    const auto channels = given.number("--channels", 1);
    const auto size = given.number("--size", 512);
    const auto rounds = given.number("--rounds", 100000);
    if (channels == 0 || size == 0 || rounds == 0)
        throw std::invalid_argument("sizes and counts must be at least 1");
    raise_descriptor_limit();
    if (given.has("--cpu"))
        pin_to_cpu(static_cast<int>(given.number("--cpu", 0)));
    double us = 0;
    switch (given.number("--kind", 0)) {
    case 0:
        us = measure<ping_pong<Context, udp_channel>, Context>(channels, size, rounds);
        break;
    case 1:
        us = measure<ping_pong<Context, local_channel>, Context>(channels, size, rounds);
        break;
    case 2:
        us = measure<pipe_stream<Context>, Context>(channels, size, rounds);
        break;
    default:
        throw std::invalid_argument("--kind is 0 (UDP), 1 (local sockets) or 2 (pipes)");
    }
    std::printf("%.5f\n", us);
    return 0;
}

} // namespace benchmark
