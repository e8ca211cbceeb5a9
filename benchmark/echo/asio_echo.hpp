// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "support/program.hpp"

#include <boost/asio/basic_signal_set.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/version.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

namespace benchmark {

namespace net = boost::asio;

/// One connection. It is owned by the handler of the operation under way, and so ends with it.
template <class Executor>
class echo_session {
public:
    using socket_type = net::basic_stream_socket<net::ip::tcp, Executor>;
    using pointer = std::unique_ptr<echo_session>;

    echo_session(socket_type socket, std::size_t size)
        : socket_(std::move(socket)), buffer_(std::make_unique<char[]>(size)), size_(size)
    {
    }

    static void read(pointer self)
    {
        echo_session& session = *self;
        session.socket_.async_read_some(
            net::buffer(session.buffer_.get(), session.size_),
            [self = std::move(self)](const boost::system::error_code& error,
                                     std::size_t bytes) mutable {
                if (!error)
                    write(std::move(self), bytes);
            });
    }

private:
    static void write(pointer self, std::size_t bytes)
    {
        echo_session& session = *self;
        net::async_write(
            session.socket_, net::buffer(session.buffer_.get(), bytes),
            [self = std::move(self)](const boost::system::error_code& error, std::size_t) mutable {
                if (!error)
                    read(std::move(self));
            });
    }

    socket_type socket_;
    std::unique_ptr<char[]> buffer_;
    std::size_t size_;
};

/// The echo server for every kind of context with Asio's interface.
template <class Context>
class echo_server {
public:
    using executor_type = typename Context::executor_type;
    using session = echo_session<executor_type>;

    echo_server(Context& context, const server_options& options)
        : context_(context), signals_(context.get_executor(), SIGTERM, SIGINT),
          acceptor_(context.get_executor(),
                    net::ip::tcp::endpoint(net::ip::address_v4::loopback(), options.port)),
          size_(receive_size(options.message_size))
    {
        signals_.async_wait([this](const boost::system::error_code& error, int) {
            if (!error)
                context_.stop();
        });
        accept();
    }

    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

private:
    void accept()
    {
        acceptor_.async_accept(
            [this](const boost::system::error_code& error, typename session::socket_type socket) {
                if (error) {
                    // A measurement with fewer connections than asked for would be worthless.
                    std::fprintf(stderr, "accept: %s\n", error.message().c_str());
                    context_.stop();
                    return;
                }
                socket.set_option(net::ip::tcp::no_delay(true));
                session::read(std::make_unique<session>(std::move(socket), size_));
                accept();
            });
    }

    Context& context_;
    net::basic_signal_set<executor_type> signals_;
    net::basic_socket_acceptor<net::ip::tcp, executor_type> acceptor_;
    std::size_t size_;
};

/// The main function of the Asio programs. `describe(context)` gives what is to be known about it.
template <class Context, class Describe>
int serve_echo(int argc, char** argv, const char* program, Describe describe)
{
    const server_options options = start_server(argc, argv);
    Context context{1};
    echo_server<Context> server(context, options);
    details facts = describe(context);
    facts.emplace_back("boost", std::to_string(BOOST_VERSION / 100000) + '.' +
                                    std::to_string(BOOST_VERSION / 100 % 1000) + '.' +
                                    std::to_string(BOOST_VERSION % 100));
    print_ready(program, server.port(), facts);
    context.run();
    print_cpu_time();
    return 0;
}

} // namespace benchmark
