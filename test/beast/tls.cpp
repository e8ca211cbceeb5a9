// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "conversations.hpp"

#include <safer_ring/beast_ssl.hpp>

#include <support/skip.hpp>
#include <support/tls_identity.hpp>

#include <boost/asio/ssl.hpp>

#include <stdexcept>

// Beast's streams on the ring, over TLS.

namespace kernel {
namespace {

namespace ssl = net::ssl;
using test_support::tls_identity;

using tls_stream = safer_ring::ssl_stream<>;

/// The end of TLS; a peer that has closed already is no error here.
awaitable<> shut_down(tls_stream& stream)
{
    const auto [error] = co_await stream.async_shutdown(safer_ring::use_awaitable_tuple);
    if (error && error != net::error::eof && error != ssl::error::stream_truncated)
        throw boost::system::system_error(error);
}

BOOST_AUTO_TEST_SUITE(beast_tls, *needs_io_uring)

BOOST_AUTO_TEST_CASE(tls_http_echo)
{
    const tls_identity localhost;
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
    const tls_identity localhost;
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

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
