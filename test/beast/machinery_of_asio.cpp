// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel/kernel.hpp"

#include <safer_ring/beast_ssl.hpp>

#include <support/machinery.hpp>
#include <support/run_until.hpp>
#include <support/skip.hpp>

#include <boost/asio/ssl.hpp>
#include <boost/test/unit_test.hpp>
#include <boost/version.hpp>

#include <csignal>
#include <memory>

// What a program without the drop-in has of Asio's own machinery on a context of ours: the table in
// docs/design.md, "The drop-in".
namespace kernel {
namespace {

using namespace std::chrono_literals;
using test_support::machinery;
using test_support::machinery_of_this_process;

using signal_set = net::basic_signal_set<safer_ring::executor>;
using resolver = net::ip::basic_resolver<tcp, safer_ring::executor>;

/// One context with what is on it, and what that has brought along.
class counted {
public:
    void expect(int threads, int epoll_descriptors) const
    {
        const machinery now = machinery_of_this_process();
        BOOST_TEST(now.threads - before_.threads == threads);
        BOOST_TEST(now.epoll_descriptors - before_.epoll_descriptors == epoll_descriptors);
    }

private:
    const machinery before_ = machinery_of_this_process();

public:
    context ioc{1};
    net::ssl::context tls{net::ssl::context::tls_client};
};

BOOST_AUTO_TEST_SUITE(machinery_of_asio, *needs_io_uring)

BOOST_AUTO_TEST_CASE(objects_with_our_executor_bring_none)
{
    counted on;
    safer_ring::tcp_stream stream(on.ioc);
    stream.expires_after(1h);
    acceptor listening(on.ioc, tcp::endpoint(net::ip::address_v4::loopback(), 0));
    timer waiting(on.ioc, 1ms);
    signal_set signals(on.ioc, SIGUSR2);
    resolver names(on.ioc);
    bool accepted = false, connected = false;
    signals.async_wait([](error_code, int) {});
    listening.async_accept([&](error_code ec, const socket&) { accepted = !ec; });
    stream.async_connect(listening.local_endpoint(), [&](error_code ec) { connected = !ec; });
    waiting.async_wait([](error_code) {});
    test_support::run_until(on.ioc, [&] { return accepted && connected; });
    on.expect(0, 0);
}

BOOST_AUTO_TEST_CASE(look_ups_bring_a_thread)
{
    counted on;
    resolver names(on.ioc);
    on.expect(0, 0);
    bool found = false;
    names.async_resolve("127.0.0.1", "1", [&](error_code ec, const resolver::results_type&) {
        found = !ec;
        on.expect(1, 0);
    });
    on.ioc.run();
    BOOST_TEST(found);
}

BOOST_AUTO_TEST_CASE(time_limits_bring_none)
{
#if BOOST_ASIO_VERSION < 103200
    SAFER_RING_SKIP("net::cancel_after came with Boost 1.86");
#else
    counted on;
    acceptor listening(on.ioc, tcp::endpoint(net::ip::address_v4::loopback(), 0));
    bool expired = false;
    listening.async_accept(net::cancel_after(1ms, [&](error_code ec, const socket&) {
        expired = ec == net::error::operation_aborted;
        on.expect(0, 0);
    }));
    on.ioc.run();
    BOOST_TEST(expired);
#endif
}

BOOST_AUTO_TEST_CASE(tls_brings_a_thread_and_an_epoll_descriptor)
{
    counted on;
    safer_ring::ssl_stream<> first(on.ioc, on.tls);
    on.expect(1, 1);
    // It is one of each for a context.
    safer_ring::ssl_stream<> second(on.ioc, on.tls);
    safer_ring::websocket_stream<safer_ring::ssl_stream<>> third(on.ioc, on.tls);
    on.expect(1, 1);
}

BOOST_AUTO_TEST_CASE(websockets_bring_the_same_before_boost_1_82)
{
    counted on;
    safer_ring::websocket_stream<> stream(on.ioc);
    const int brought = BOOST_VERSION < 108200 ? 1 : 0;
    on.expect(brought, brought);
}

BOOST_AUTO_TEST_CASE(objects_of_other_executors_bring_asios_own)
{
    const auto brings = [](int threads, int epoll_descriptors, auto make) {
        counted on;
        {
            const auto object = make(on.ioc);
            on.expect(threads, epoll_descriptors);
        }
        // They stay as long as the context.
        on.expect(threads, epoll_descriptors);
    };
    brings(1, 1, [](context& ioc) { return net::steady_timer(ioc); });
    brings(1, 1, [](context& ioc) { return tcp::socket(ioc); });
    brings(1, 1, [](context& ioc) { return net::posix::stream_descriptor(ioc); });
    brings(1, 1, [](context& ioc) { return std::make_unique<net::signal_set>(ioc); });
    brings(1, 0, [](context& ioc) { return tcp::resolver(ioc); });
}

BOOST_AUTO_TEST_CASE(what_was_brought_ends_with_the_context)
{
    const machinery before = machinery_of_this_process();
    {
        counted on;
        safer_ring::ssl_stream<> stream(on.ioc, on.tls);
        on.expect(1, 1);
    }
    const machinery after = machinery_of_this_process();
    BOOST_TEST(after.threads == before.threads);
    BOOST_TEST(after.epoll_descriptors == before.epoll_descriptors);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
