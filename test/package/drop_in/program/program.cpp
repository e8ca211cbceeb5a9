// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "greeting.hpp"
#include "part.hpp"

#include <boost/asio.hpp>

#include <array>
#include <cstdlib>
#include <iostream>

namespace net = boost::asio;
using net::ip::tcp;

/// Nothing in this file names a header of safer-ring.
int main()
{
    safer_ring::io_context ours;
    tcp::acceptor acceptor(ours, tcp::endpoint(net::ip::address_v4::loopback(), 0));
    tcp::socket client(ours);
    client.connect(acceptor.local_endpoint());
    std::array<char, 4> text{};
    bool echoed = false;
    acceptor.async_accept([&](boost::system::error_code ec, tcp::socket peer) {
        if (!ec)
            net::write(peer, net::buffer(greeting(), 4));
    });
    net::async_read(client, net::buffer(text), [&](boost::system::error_code ec, std::size_t n) {
        echoed = !ec && n == text.size();
    });
    ours.run();

    net::io_context theirs;
    const bool of_asio = open_and_close(theirs);
    std::cout << "ours: " << echoed << ", Asio's: " << of_asio << '\n';
    return echoed && of_asio ? EXIT_SUCCESS : EXIT_FAILURE;
}
