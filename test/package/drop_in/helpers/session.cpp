// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// A session as most programs have one: it reads from a socket that somebody else accepted, and sends
// back what it has read. Optimised, it defines no member of Asio's I/O objects.

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <memory>
#include <utility>

namespace net = boost::asio;
using net::ip::tcp;

namespace {

class session : public std::enable_shared_from_this<session> {
public:
    explicit session(tcp::socket socket) : socket_(std::move(socket)) {}

    void read()
    {
        socket_.async_read_some(
            net::buffer(data_),
            [self = shared_from_this()](boost::system::error_code ec, std::size_t n) {
                if (!ec)
                    self->write(n);
            });
    }

private:
    void write(std::size_t size)
    {
        net::async_write(socket_, net::buffer(data_, size),
                         [self = shared_from_this()](boost::system::error_code ec, std::size_t) {
                             if (!ec)
                                 self->read();
                         });
    }

    tcp::socket socket_;
    std::array<char, 1024> data_;
};

} // namespace

void serve(tcp::socket socket)
{
    std::make_shared<session>(std::move(socket))->read();
}
