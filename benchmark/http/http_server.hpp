// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "support/program.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_signal_set.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <csignal>
#include <string>
#include <utility>

namespace benchmark {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

/// An HTTP server as Beast's examples have it: a coroutine for each connection, a time limit for
/// each request. `Executor` is that of its objects.
template <class Context, class Executor>
class http_server {
    using protocol = net::ip::tcp;
    using stream = beast::basic_stream<protocol, Executor>;
    static constexpr auto token = net::use_awaitable_t<Executor>();

public:
    http_server(Context& context, const server_options& options)
        : context_(context), signals_(context, SIGTERM, SIGINT),
          acceptor_(context, protocol::endpoint(net::ip::address_v4::loopback(), options.port)),
          text_(options.message_size, 'x')
    {
        signals_.async_wait([this](const boost::system::error_code& error, int) {
            if (!error)
                context_.stop();
        });
        net::co_spawn(Executor(context.get_executor()), accept(), net::detached);
    }

    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

private:
    net::awaitable<void, Executor> accept()
    {
        for (;;) {
            auto socket = co_await acceptor_.async_accept(token);
            socket.set_option(protocol::no_delay(true));
            net::co_spawn(acceptor_.get_executor(), serve(stream(std::move(socket))),
                          net::detached);
        }
    }

    net::awaitable<void, Executor> serve(stream peer)
    {
        beast::flat_buffer buffer;
        for (;;) {
            peer.expires_after(std::chrono::seconds(30));
            http::request<http::string_body> request;
            boost::system::error_code error;
            co_await http::async_read(peer, buffer, request, net::redirect_error(token, error));
            if (error)
                co_return;
            http::response<http::string_body> response(http::status::ok, request.version());
            response.set(http::field::server, "benchmark");
            response.set(http::field::content_type, "text/plain");
            response.keep_alive(request.keep_alive());
            response.body() = text_;
            response.prepare_payload();
            co_await http::async_write(peer, response, net::redirect_error(token, error));
            if (error || !response.keep_alive())
                co_return;
        }
    }

    Context& context_;
    net::basic_signal_set<Executor> signals_;
    net::basic_socket_acceptor<protocol, Executor> acceptor_;
    std::string text_;
};

/// The main function of the programs.
template <class Context, class Executor>
int serve_http(int argc, char** argv, const char* program)
{
    const server_options options = start_server(argc, argv);
    Context context{1};
    http_server<Context, Executor> server(context, options);
    print_ready(program, server.port(), {});
    context.run();
    print_cpu_time();
    return 0;
}

} // namespace benchmark
