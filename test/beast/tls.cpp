// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "conversations.hpp"

#include <safer_ring/beast_ssl.hpp>

#include <support/skip.hpp>

#include <boost/asio/ssl.hpp>

#include <memory>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdexcept>

// Beast's streams on the ring, over TLS.

namespace kernel {
namespace {

namespace ssl = net::ssl;

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

BOOST_AUTO_TEST_SUITE(beast_tls, *needs_io_uring)

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
