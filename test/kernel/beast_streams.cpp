// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"

#include <safer_ring/beast_ssl.hpp>

#include <support/connected_pair.hpp>
#include <support/skip.hpp>

#include <boost/asio/ssl.hpp>
#include <boost/beast.hpp>
#include <boost/test/unit_test.hpp>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <exception>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

// Beast's streams on the ring: HTTP, WebSocket and TLS between two coroutines.

namespace kernel {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = net::ssl;
namespace websocket = beast::websocket;
using namespace std::chrono_literals;
using safer_ring::awaitable;
using safer_ring::use_awaitable;

using tuple_acceptor = safer_ring::with_as_tuple<acceptor>;
using throwing_stream = safer_ring::with_use_awaitable<safer_ring::tcp_stream>;
using tuple_stream = safer_ring::with_as_tuple<safer_ring::tcp_stream>;

constexpr auto patience = 30s;

/// Runs both ends of a conversation to their end and rethrows what they throw.
template <class Server, class Client>
void converse(Server server, Client client)
{
    context ioc(1);
    acceptor listening(ioc, {net::ip::address_v4::loopback(), 0});
    const auto endpoint = listening.local_endpoint();
    int ended = 0;
    const auto rethrow = [&](std::exception_ptr thrown) {
        ++ended;
        if (thrown != nullptr)
            std::rethrow_exception(thrown);
    };
    net::co_spawn(
        ioc,
        [&]() -> awaitable<> {
            co_await server(safer_ring::tcp_stream(co_await listening.async_accept(use_awaitable)));
        },
        rethrow);
    net::co_spawn(
        ioc,
        [&]() -> awaitable<> {
            safer_ring::tcp_stream stream(ioc);
            stream.expires_after(patience);
            co_await stream.async_connect(endpoint, use_awaitable);
            co_await client(std::move(stream));
        },
        rethrow);
    ioc.run();
    BOOST_TEST(ended == 2);
}

using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

/// Answers requests with their own bodies until the client closes.
template <class Stream>
awaitable<> serve_http(Stream& stream)
{
    beast::flat_buffer buffer;
    for (;;) {
        request asked;
        const auto [error, size] =
            co_await http::async_read(stream, buffer, asked, safer_ring::use_awaitable_tuple);
        if (error == http::error::end_of_stream)
            co_return;
        if (error)
            throw boost::system::system_error(error);
        response answer(http::status::ok, asked.version());
        answer.keep_alive(asked.keep_alive());
        answer.body() = asked.body();
        answer.prepare_payload();
        co_await http::async_write(stream, answer, use_awaitable);
    }
}

template <class Stream>
awaitable<> ask_http(Stream& stream)
{
    beast::flat_buffer buffer;
    for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{300'000}}) {
        request asked(http::verb::post, "/", 11);
        asked.set(http::field::host, "localhost");
        asked.body().assign(size, 'b');
        asked.prepare_payload();
        co_await http::async_write(stream, asked, use_awaitable);
        response answer;
        co_await http::async_read(stream, buffer, answer, use_awaitable);
        BOOST_TEST(answer.result() == http::status::ok);
        BOOST_TEST((answer.body() == asked.body()));
    }
}

template <class Stream>
awaitable<> serve_websocket(websocket::stream<Stream>& stream)
{
    stream.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
    co_await stream.async_accept(use_awaitable);
    beast::flat_buffer buffer;
    for (;;) {
        const auto [error, size] =
            co_await stream.async_read(buffer, safer_ring::use_awaitable_tuple);
        if (error == websocket::error::closed)
            co_return;
        if (error)
            throw boost::system::system_error(error);
        stream.text(stream.got_text());
        co_await stream.async_write(buffer.cdata(), use_awaitable);
        buffer.clear();
    }
}

template <class Stream>
awaitable<> ask_websocket(websocket::stream<Stream>& stream)
{
    stream.set_option(websocket::stream_base::timeout::suggested(beast::role_type::client));
    co_await stream.async_handshake("localhost", "/", use_awaitable);
    for (const std::size_t size : {std::size_t{1}, std::size_t{5000}, std::size_t{200'000}}) {
        const std::string sent(size, 'w');
        stream.text(size == 1);
        co_await stream.async_write(net::buffer(sent), use_awaitable);
        co_await stream.async_ping({}, use_awaitable);
        beast::flat_buffer got;
        co_await stream.async_read(got, use_awaitable);
        BOOST_TEST(stream.got_text() == (size == 1));
        BOOST_TEST((beast::buffers_to_string(got.data()) == sent));
    }
    co_await stream.async_close(websocket::close_code::normal, use_awaitable);
}

struct free_openssl {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
};

void check(bool success)
{
    if (!success)
        throw std::runtime_error("OpenSSL refused to make a certificate");
}

/// A key and a certificate for "localhost", signed by itself, for this run.
class identity {
public:
    identity() : key_(EVP_EC_gen("P-256")), certificate_(X509_new())
    {
        check(key_ != nullptr && certificate_ != nullptr);
        X509* const x = certificate_.get();
        check(X509_set_version(x, 2) == 1);
        check(ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1);
        check(X509_gmtime_adj(X509_getm_notBefore(x), -60) != nullptr);
        check(X509_gmtime_adj(X509_getm_notAfter(x), 3600) != nullptr);
        X509_NAME* const name = X509_get_subject_name(x);
        const auto* const host = reinterpret_cast<const unsigned char*>("localhost");
        check(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, host, -1, -1, 0) == 1);
        check(X509_set_issuer_name(x, name) == 1);
        check(X509_set_pubkey(x, key_.get()) == 1);
        check(X509_sign(x, key_.get(), EVP_sha256()) != 0);
    }

    ssl::context server() const
    {
        ssl::context tls(ssl::context::tls_server);
        check(SSL_CTX_use_certificate(tls.native_handle(), certificate_.get()) == 1);
        check(SSL_CTX_use_PrivateKey(tls.native_handle(), key_.get()) == 1);
        return tls;
    }

    /// A client that knows the certificate, or does not.
    ssl::context client(bool trusts) const
    {
        ssl::context tls(ssl::context::tls_client);
        tls.set_verify_mode(ssl::verify_peer);
        tls.set_verify_callback(ssl::host_name_verification("localhost"));
        if (trusts)
            check(X509_STORE_add_cert(SSL_CTX_get_cert_store(tls.native_handle()),
                                      certificate_.get()) == 1);
        return tls;
    }

private:
    std::unique_ptr<EVP_PKEY, free_openssl> key_;
    std::unique_ptr<X509, free_openssl> certificate_;
};

using tls_stream = safer_ring::ssl_stream<>;

/// The end of TLS; a peer that has closed already is no error here.
awaitable<> shut_down(tls_stream& stream)
{
    const auto [error] = co_await stream.async_shutdown(safer_ring::use_awaitable_tuple);
    if (error && error != net::error::eof && error != ssl::error::stream_truncated)
        throw boost::system::system_error(error);
}

const auto needs_io_uring = test_support::unless(&no_io_uring);

BOOST_AUTO_TEST_SUITE(beast_streams, *needs_io_uring)

BOOST_AUTO_TEST_CASE(http_echo)
{
    const auto threads = [] {
        const std::filesystem::directory_iterator tasks("/proc/self/task");
        return std::distance(begin(tasks), end(tasks));
    };
    const auto before = threads();
    converse(
        [&](safer_ring::tcp_stream stream) -> awaitable<> {
            stream.expires_after(patience);
            co_await serve_http(stream);
        },
        [&](safer_ring::tcp_stream stream) -> awaitable<> {
            co_await ask_http(stream);
            // Socket and time-outs are on the ring: nothing of Asio's own is behind them.
            BOOST_TEST(threads() == before);
            stream.socket().shutdown(tcp::socket::shutdown_both);
        });
}

BOOST_AUTO_TEST_CASE(rate_limited_http_echo)
{
    using limited = safer_ring::basic_tcp_stream<beast::simple_rate_policy>;
    converse([](safer_ring::tcp_stream stream) -> awaitable<> { co_await serve_http(stream); },
             [](safer_ring::tcp_stream stream) -> awaitable<> {
                 limited slow(stream.release_socket());
                 slow.rate_policy().write_limit(10'000'000);
                 co_await ask_http(slow);
             });
}

BOOST_AUTO_TEST_CASE(silent_peer_is_timed_out)
{
    converse(
        [](safer_ring::tcp_stream stream) -> awaitable<> {
            stream.expires_after(2ms);
            beast::flat_buffer buffer;
            request asked;
            const auto [error, size] =
                co_await http::async_read(stream, buffer, asked, safer_ring::use_awaitable_tuple);
            BOOST_TEST((error == beast::error::timeout));
        },
        [](safer_ring::tcp_stream stream) -> awaitable<> {
            char byte = 0;
            const auto [error, size] = co_await stream.async_read_some(
                net::buffer(&byte, 1), safer_ring::use_awaitable_tuple);
            BOOST_TEST(!!error);
        });
}

BOOST_AUTO_TEST_CASE(operations_without_a_token)
{
    context ioc(1);
    bool done = false;
    net::co_spawn(
        ioc,
        [&]() -> awaitable<> {
            tuple_acceptor listening(co_await net::this_coro::executor,
                                     tcp::endpoint(net::ip::address_v4::loopback(), 0));
            throwing_stream client(ioc);
            client.expires_after(patience);
            co_await client.async_connect(listening.local_endpoint());
            auto [error, peer] = co_await listening.async_accept();
            BOOST_TEST(error == error_code());
            tuple_stream server(std::move(peer));
            request asked(http::verb::get, "/", 11), got;
            BOOST_TEST(co_await http::async_write(client, asked) > 0u);
            beast::flat_buffer buffer;
            auto [read_error, size] = co_await http::async_read(server, buffer, got);
            BOOST_TEST(read_error == error_code());
            BOOST_TEST(got.method() == http::verb::get);
            client.close();
            auto [end, none] = co_await http::async_read(server, buffer, got);
            BOOST_TEST((end == http::error::end_of_stream));
            server.close();
            auto [closed, nothing] = co_await server.async_read_some(buffer.prepare(1));
            BOOST_TEST(!!closed);
            try {
                co_await client.async_read_some(buffer.prepare(1));
            } catch (const boost::system::system_error&) {
                done = true;
            }
        },
        net::detached);
    ioc.run();
    BOOST_TEST(done);
}

BOOST_AUTO_TEST_CASE(websocket_echo)
{
    converse(
        [](safer_ring::tcp_stream stream) -> awaitable<> {
            safer_ring::websocket_stream<> ws(std::move(stream));
            ws.next_layer().expires_never();
            co_await serve_websocket(ws);
        },
        [](safer_ring::tcp_stream stream) -> awaitable<> {
            safer_ring::websocket_stream<> ws(std::move(stream));
            ws.next_layer().expires_never();
            co_await ask_websocket(ws);
        });
}

BOOST_AUTO_TEST_CASE(tls_http_echo)
{
    const identity localhost;
    ssl::context server_tls = localhost.server(), client_tls = localhost.client(true);
    converse(
        [&](safer_ring::tcp_stream stream) -> awaitable<> {
            tls_stream tls(std::move(stream), server_tls);
            co_await tls.async_handshake(ssl::stream_base::server, use_awaitable);
            co_await serve_http(tls);
            co_await shut_down(tls);
        },
        [&](safer_ring::tcp_stream stream) -> awaitable<> {
            tls_stream tls(std::move(stream), client_tls);
            co_await tls.async_handshake(ssl::stream_base::client, use_awaitable);
            co_await ask_http(tls);
            co_await shut_down(tls);
        });
}

BOOST_AUTO_TEST_CASE(unknown_certificate_is_refused)
{
    const identity localhost;
    ssl::context server_tls = localhost.server(), client_tls = localhost.client(false);
    converse(
        [&](safer_ring::tcp_stream stream) -> awaitable<> {
            tls_stream tls(std::move(stream), server_tls);
            const auto [error] = co_await tls.async_handshake(ssl::stream_base::server,
                                                              safer_ring::use_awaitable_tuple);
            static_cast<void>(error); // With TLS 1.3 it may have been told too late.
        },
        [&](safer_ring::tcp_stream stream) -> awaitable<> {
            tls_stream tls(std::move(stream), client_tls);
            const auto [error] = co_await tls.async_handshake(ssl::stream_base::client,
                                                              safer_ring::use_awaitable_tuple);
            BOOST_TEST(!!error);
            BOOST_TEST((error.category() == net::error::get_ssl_category()));
        });
}

BOOST_AUTO_TEST_CASE(websocket_over_tls_echo)
{
    const identity localhost;
    ssl::context server_tls = localhost.server(), client_tls = localhost.client(true);
    converse(
        [&](safer_ring::tcp_stream stream) -> awaitable<> {
            stream.expires_never();
            safer_ring::websocket_stream<tls_stream> ws(std::move(stream), server_tls);
            co_await ws.next_layer().async_handshake(ssl::stream_base::server, use_awaitable);
            co_await serve_websocket(ws);
        },
        [&](safer_ring::tcp_stream stream) -> awaitable<> {
            stream.expires_never();
            safer_ring::websocket_stream<tls_stream> ws(std::move(stream), client_tls);
            co_await ws.next_layer().async_handshake(ssl::stream_base::client, use_awaitable);
            co_await ask_websocket(ws);
        });
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
