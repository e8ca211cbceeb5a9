// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/asio.hpp>

#include <boost/asio.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <string_view>
#include <system_error>

namespace net = boost::asio;
using tcp = net::ip::tcp;
using executor = safer_ring::executor;
using tcp_socket = net::basic_stream_socket<tcp, executor>;
using tcp_acceptor = net::basic_socket_acceptor<tcp, executor>;
using clock_type = std::chrono::steady_clock;
using timer = net::basic_waitable_timer<clock_type, net::wait_traits<clock_type>, executor>;
using task = net::awaitable<void, executor>;
constexpr net::as_tuple_t<net::use_awaitable_t<executor>> token;

task echo(tcp_socket socket)
{
    // Ours alone: the ring works on staging buffers of its own, and never on this memory.
    std::array<char, 4096> data;
    for (;;) {
        auto [read_error, size] = co_await socket.async_read_some(net::buffer(data), token);
        if (read_error)
            co_return; // The peer has finished, or is gone.
        auto bytes = net::buffer(data, size);
        auto [write_error, sent] = co_await net::async_write(socket, bytes, token);
        if (write_error)
            co_return;
    }
    // The socket closes here, and `data` ends. A coroutine that is destroyed while it waits for a
    // read or a write is just as safe: from then on no operation touches either.
}

task accept_clients(tcp_acceptor acceptor)
{
    timer pause{acceptor.get_executor()};
    for (;;) {
        auto [error, socket] = co_await acceptor.async_accept(token);
        if (!error) {
            net::co_spawn(acceptor.get_executor(), echo(std::move(socket)), net::detached);
        } else { // Such as "Too many open files": that passes when clients leave.
            std::cerr << "accept: " << error.message() << ", next attempt in a second\n";
            pause.expires_after(std::chrono::seconds{1});
            co_await pause.async_wait(token);
        }
    }
}

int main(int argc, char** argv)
try {
    net::ip::port_type port = 7777;
    if (argc > 1) {
        const std::string_view text = argv[1];
        const char* const end = text.data() + text.size();
        const auto [rest, error] = std::from_chars(text.data(), end, port);
        if (error != std::errc{} || rest != end)
            throw std::out_of_range{"a port is a number from 0 to 65535"};
    }
    safer_ring::io_context context{1};
    net::basic_signal_set<executor> signals{context, SIGINT, SIGTERM};
    signals.async_wait([&](auto, int) { context.stop(); });
    tcp_acceptor acceptor{context, {net::ip::address_v4::loopback(), port}};
    std::cout << "echoing on " << acceptor.local_endpoint() << std::endl;
    net::co_spawn(context, accept_clients(std::move(acceptor)), [](std::exception_ptr error) {
        if (error)
            std::rethrow_exception(error); // It leaves run().
    });
    context.run();
} catch (const std::exception& e) {
    std::cerr << "echo_server [port]: " << e.what() << '\n';
    return 1;
}
