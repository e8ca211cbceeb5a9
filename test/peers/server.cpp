// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// What other people's clients talk to: HTTP with and without TLS, and echoes on
// datagrams, local sockets and named pipes. Compiled twice, with our executor in
// the types and, through the drop-in, with net::any_io_executor.

#include <safer_ring/asio.hpp>

#include "support/tls_identity.hpp"

#include <boost/algorithm/hex.hpp>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>

namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using net::ip::tcp;
using error_code = boost::system::error_code;

#if defined(SAFER_RING_DROP_IN)
using executor = net::any_io_executor;
#else
using executor = safer_ring::executor;
#endif
using tcp_stream = beast::basic_stream<tcp, executor>;
using tls_stream = beast::ssl_stream<tcp_stream>;
using task = net::awaitable<void, executor>;
constexpr net::as_tuple_t<net::use_awaitable_t<executor>> token;
constexpr std::chrono::seconds patience{30};

std::string hexadecimal(EVP_MD_CTX* hash)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
    unsigned size = 0;
    EVP_DigestFinal_ex(hash, bytes.data(), &size);
    std::string digits;
    boost::algorithm::hex_lower(bytes.begin(), bytes.begin() + size, std::back_inserter(digits));
    return digits;
}

/// Reads the body of a request in parts, and answers with its length and its
/// SHA-256. False when the connection is to be closed.
template <class Stream>
net::awaitable<bool, executor> answer(Stream& stream, beast::flat_buffer& buffer)
{
    http::request_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    beast::get_lowest_layer(stream).expires_after(patience);
    if (auto [ec, n] = co_await http::async_read_header(stream, buffer, parser, token); ec)
        co_return false;
    if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
        http::response<http::empty_body> go_on{http::status::continue_, parser.get().version()};
        if (auto [ec, n] = co_await http::async_write(stream, go_on, token); ec)
            co_return false;
    }

    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(),
                                                                       &EVP_MD_CTX_free);
    EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr);
    std::uint64_t length = 0;
    std::vector<char> part(64 * 1024);
    while (!parser.is_done()) {
        auto& body = parser.get().body();
        body.data = part.data();
        body.size = part.size();
        beast::get_lowest_layer(stream).expires_after(patience);
        auto [ec, n] = co_await http::async_read(stream, buffer, parser, token);
        if (ec && ec != http::error::need_buffer)
            co_return false;
        const std::size_t size = part.size() - body.size;
        EVP_DigestUpdate(hash.get(), part.data(), size);
        length += size;
    }

    http::response<http::string_body> response{http::status::ok, parser.get().version()};
    response.keep_alive(parser.get().keep_alive());
    response.body() = std::to_string(length) + ' ' + hexadecimal(hash.get()) + '\n';
    response.prepare_payload();
    auto [ec, n] = co_await http::async_write(stream, response, token);
    co_return !ec && response.keep_alive();
}

task serve(tcp_stream stream)
{
    beast::flat_buffer buffer;
    while (co_await answer(stream, buffer)) {
    }
    error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

task serve_tls(tls_stream stream)
{
    beast::get_lowest_layer(stream).expires_after(patience);
    if (auto [ec] = co_await stream.async_handshake(net::ssl::stream_base::server, token); ec)
        co_return;
    beast::flat_buffer buffer;
    while (co_await answer(stream, buffer)) {
    }
    beast::get_lowest_layer(stream).expires_after(patience);
    co_await stream.async_shutdown(token);
}

template <class Stream>
task echo_stream(Stream from, Stream to)
{
    std::array<char, 16 * 1024> data;
    for (;;) {
        auto [ec, n] = co_await from.async_read_some(net::buffer(data), token);
        if (ec)
            co_return;
        if (auto [failed, m] = co_await net::async_write(to, net::buffer(data, n), token); failed)
            co_return;
    }
}

template <class Socket>
task echo_socket(Socket socket)
{
    std::array<char, 16 * 1024> data;
    for (;;) {
        auto [ec, n] = co_await socket.async_read_some(net::buffer(data), token);
        if (ec)
            co_return;
        auto [failed, m] = co_await net::async_write(socket, net::buffer(data, n), token);
        if (failed)
            co_return;
    }
}

template <class Socket>
task echo_messages(Socket socket)
{
    std::vector<char> data(65536);
    typename Socket::endpoint_type sender;
    for (;;) {
        auto [ec, n] = co_await socket.async_receive_from(net::buffer(data), sender, token);
        // A client that has gone is reported by a later call; it ends nothing.
        if (ec == net::error::operation_aborted)
            co_return;
        if (!ec)
            co_await socket.async_send_to(net::buffer(data, n), sender, token);
    }
}

/// Starts `serve_one(socket)` for each client.
template <class Acceptor, class Function>
task accept(Acceptor acceptor, Function serve_one)
{
    for (;;) {
        auto [ec, socket] = co_await acceptor.async_accept(token);
        if (ec)
            co_return;
        net::co_spawn(acceptor.get_executor(), serve_one(std::move(socket)), net::detached);
    }
}

/// A named pipe that never ends: its other end is always open here too.
int open_pipe(const std::filesystem::path& path)
{
    if (::mkfifo(path.c_str(), 0600) != 0)
        throw std::system_error(errno, std::system_category(), "mkfifo");
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        throw std::system_error(errno, std::system_category(), "open");
    return fd;
}

using tcp_acceptor = net::basic_socket_acceptor<tcp, executor>;
using tcp_socket = net::basic_stream_socket<tcp, executor>;
using local_stream = net::local::stream_protocol;
using local_acceptor = net::basic_socket_acceptor<local_stream, executor>;
using local_socket = net::basic_stream_socket<local_stream, executor>;
using local_messages = net::basic_datagram_socket<net::local::datagram_protocol, executor>;
using udp_socket = net::basic_datagram_socket<net::ip::udp, executor>;
using descriptor = net::posix::basic_stream_descriptor<executor>;

void run(const std::filesystem::path& folder)
{
    safer_ring::io_context context(1);
    const executor ex = context.get_executor();
    net::basic_signal_set<executor> signals(ex, SIGINT, SIGTERM);
    signals.async_wait([&](error_code, int) { context.stop(); });

    net::ssl::context tls = test_support::tls_identity().server();
    const auto any_port = [](auto protocol) {
        return typename decltype(protocol)::endpoint(net::ip::address_v4::loopback(), 0);
    };
    tcp_acceptor plain(ex, any_port(tcp::v4()));
    tcp_acceptor secure(ex, any_port(tcp::v4()));
    udp_socket udp(ex, any_port(net::ip::udp::v4()));
    std::cout << "serving on " << plain.local_endpoint() << ", TLS "
              << secure.local_endpoint().port() << ", UDP " << udp.local_endpoint().port()
              << std::endl;

    const auto spawn = [&](task t) { net::co_spawn(ex, std::move(t), net::detached); };
    spawn(accept(std::move(plain), [](tcp_socket s) { return serve(tcp_stream(std::move(s))); }));
    spawn(accept(std::move(secure), [&](tcp_socket s) {
        return serve_tls(tls_stream(tcp_stream(std::move(s)), tls));
    }));
    spawn(accept(local_acceptor(ex, (folder / "stream").string()),
                 [](local_socket s) { return echo_socket(std::move(s)); }));
    spawn(echo_messages(std::move(udp)));
    spawn(echo_messages(local_messages(ex, (folder / "messages").string())));
    spawn(echo_stream(descriptor(ex, open_pipe(folder / "to_server")),
                      descriptor(ex, open_pipe(folder / "from_server"))));
    context.run();
}

} // namespace

int main(int argc, char** argv)
try {
    if (argc != 2)
        throw std::runtime_error("the folder for local sockets and pipes is missing");
    run(argv[1]);
} catch (const std::exception& e) {
    std::cerr << argv[0] << ": " << e.what() << '\n';
    return 1;
}
