// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "conversation.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace simulated {
namespace {

/// Echoes until the stream ends.
class server_session : public std::enable_shared_from_this<server_session> {
public:
    server_session(tcp_socket socket, conversation_result& result)
        : socket_(std::move(socket)), result_(result)
    {
    }
    ~server_session() { ++result_.server_ends; }

    void read()
    {
        socket_.async_read_some(
            net::buffer(buffer_),
            once(result_, [self = shared_from_this()](const error_code& ec, std::size_t n) {
                if (!ec)
                    self->write(n);
            }));
    }

private:
    void write(std::size_t n)
    {
        net::async_write(
            socket_, net::buffer(buffer_.data(), n),
            once(result_, [self = shared_from_this()](const error_code& ec, std::size_t) {
                if (!ec)
                    self->read();
            }));
    }

    tcp_socket socket_;
    conversation_result& result_;
    std::vector<char> buffer_ = std::vector<char>(conversation_large_message_size);
    counted_instance instance_;
};

/// Accepts for as long as its handlers own it.
class listener : public std::enable_shared_from_this<listener> {
public:
    listener(safer_ring::io_context& context, conversation_result& result)
        : acceptor_(context, tcp::endpoint(net::ip::address_v4::loopback(), 0)), result_(result)
    {
    }

    [[nodiscard]] tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }

    void close()
    {
        error_code ignored;
        acceptor_.close(ignored);
    }

    void accept()
    {
        acceptor_.async_accept(
            once(result_, [self = shared_from_this()](const error_code& ec, tcp_socket s) {
                if (!self->acceptor_.is_open())
                    return;
                if (!ec)
                    std::make_shared<server_session>(std::move(s), self->result_)->read();
                self->accept();
            }));
    }

private:
    tcp_acceptor acceptor_;
    conversation_result& result_;
    counted_instance instance_;
};

/// Sends a message, ends its stream, and receives until the other one ends.
class client_session : public std::enable_shared_from_this<client_session> {
public:
    client_session(safer_ring::io_context& context, std::weak_ptr<listener> server,
                   conversation_result& result, std::size_t message_size)
        : socket_(context), server_(std::move(server)), result_(result), message_(message_size, 'm')
    {
    }
    /// With the client the conversation ends: nobody else will connect.
    ~client_session()
    {
        ++result_.client_ends;
        if (const auto server = server_.lock())
            server->close();
    }

    void connect(const tcp::endpoint& server)
    {
        socket_.async_connect(server,
                              once(result_, [self = shared_from_this()](const error_code& ec) {
                                  if (!ec)
                                      self->write();
                              }));
    }

private:
    void write()
    {
        net::async_write(
            socket_, net::buffer(message_),
            once(result_, [self = shared_from_this()](const error_code& ec, std::size_t) {
                if (ec)
                    return;
                error_code failed;
                self->socket_.shutdown(tcp_socket::shutdown_send, failed);
                if (!failed)
                    self->read();
            }));
    }

    void read()
    {
        socket_.async_read_some(
            net::buffer(buffer_),
            once(result_, [self = shared_from_this()](const error_code& ec, std::size_t n) {
                self->result_.echoed.append(self->buffer_.data(), n);
                if (!ec)
                    return self->read();
                error_code ignored;
                self->socket_.close(ignored);
            }));
    }

    tcp_socket socket_;
    std::weak_ptr<listener> server_;
    conversation_result& result_;
    std::string message_;
    std::array<char, 100> buffer_{};
    counted_instance instance_;
};

/// Closes the acceptor when nobody accepts any more, so that no client waits.
struct close_at_end {
    tcp_acceptor& acceptor;
    ~close_at_end()
    {
        error_code ignored;
        acceptor.close(ignored);
    }
};

net::awaitable<void, executor> serve(tcp_socket socket, conversation_result& result)
{
    const counted_instance instance;
    struct at_end {
        conversation_result& r;
        ~at_end() { ++r.server_ends; }
    } const end{result};
    std::vector<char> buffer(conversation_large_message_size);
    constexpr auto token = net::as_tuple(net::use_awaitable_t<executor>());
    for (;;) {
        const auto [read_error, n] = co_await socket.async_read_some(net::buffer(buffer), token);
        if (read_error)
            co_return;
        const auto [write_error, written] =
            co_await net::async_write(socket, net::buffer(buffer.data(), n), token);
        if (write_error)
            co_return;
    }
}

net::awaitable<void, executor> listen_and_serve(std::shared_ptr<tcp_acceptor> acceptor,
                                                conversation_result& result)
{
    const counted_instance instance;
    const close_at_end end{*acceptor};
    constexpr auto token = net::as_tuple(net::use_awaitable_t<executor>());
    while (acceptor->is_open()) {
        auto [ec, socket] = co_await acceptor->async_accept(token);
        if (!ec)
            co_await serve(std::move(socket), result);
    }
}

net::awaitable<void, executor> converse(std::shared_ptr<tcp_acceptor> acceptor,
                                        tcp::endpoint server, conversation_result& result,
                                        std::size_t message_size)
{
    const counted_instance instance;
    const close_at_end end{*acceptor};
    struct at_end {
        conversation_result& r;
        ~at_end() { ++r.client_ends; }
    } const count{result};
    constexpr auto token = net::as_tuple(net::use_awaitable_t<executor>());
    tcp_socket socket(acceptor->get_executor());
    if (const auto [ec] = co_await socket.async_connect(server, token); ec)
        co_return;
    const std::string message(message_size, 'm');
    if (const auto [ec, n] = co_await net::async_write(socket, net::buffer(message), token); ec)
        co_return;
    error_code failed;
    socket.shutdown(tcp_socket::shutdown_send, failed);
    if (failed)
        co_return;
    std::array<char, 100> buffer{};
    for (;;) {
        const auto [ec, n] = co_await socket.async_read_some(net::buffer(buffer), token);
        result.echoed.append(buffer.data(), n);
        if (ec)
            co_return;
    }
}

/// Rethrows what a coroutine ended with, so that run() throws it.
struct rethrow {
    void operator()(std::exception_ptr e) const
    {
        if (e)
            std::rethrow_exception(e);
    }
    counted_instance instance;
};

} // namespace

void start_callback_conversation(simulated_context& ring, conversation_result& result,
                                 std::size_t message_size)
{
    const auto server = std::make_shared<listener>(*ring.context, result);
    const tcp::endpoint endpoint = server->endpoint();
    std::make_shared<client_session>(*ring.context, server, result, message_size)
        ->connect(endpoint);
    server->accept();
}

void start_coroutine_conversation(simulated_context& ring, conversation_result& result,
                                  std::size_t message_size)
{
    const auto acceptor = std::make_shared<tcp_acceptor>(
        *ring.context, tcp::endpoint(net::ip::address_v4::loopback(), 0));
    const tcp::endpoint endpoint = acceptor->local_endpoint();
    net::co_spawn(ring.context->get_executor(), converse(acceptor, endpoint, result, message_size),
                  rethrow{});
    try {
        net::co_spawn(ring.context->get_executor(), listen_and_serve(acceptor, result), rethrow{});
    } catch (...) {
        acceptor->close();
        throw;
    }
}

} // namespace simulated
