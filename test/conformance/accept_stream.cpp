// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "item_streams.hpp"

#include "support/handler_checks.hpp"
#include "support/lowered_limit.hpp"
#include "support/run_until.hpp"

#include <safer_ring/asio/accept_stream.hpp>

#include <boost/test/unit_test.hpp>

#include <deque>
#include <optional>
#include <utility>

// accept_stream on every kind of executor of ours.
namespace conformance {
namespace {

using safer_ring::accept_stream;
using safer_ring::stream_limits;
using test_support::handler_checks;
using test_support::run_until;
namespace error = safer_ring::error;

/// Some turns of the kernel.
template <class Ctx>
void poll_some(Ctx& ctx)
{
    poll_until(ctx, [turns = 0]() mutable { return ++turns == 20; });
}

template <class Socket>
struct connection {
    bool done = false;
    error_code ec;
    std::optional<Socket> socket;

    auto store()
    {
        return [this](error_code e, Socket s) {
            ec = e;
            socket.emplace(std::move(s));
            done = true;
        };
    }
};

template <class Ctx>
struct accepting {
    using socket = socket_of<Ctx>;

    socket& connect()
    {
        clients.emplace_back(*ctx).connect(acceptor.local_endpoint());
        return clients.back();
    }
    connection<socket> next()
    {
        connection<socket> c;
        stream.async_next(checks.once(c.store()));
        run_until(*ctx, [&] { return c.done; });
        return c;
    }
    bool is_of(const socket& accepted, const socket& client)
    {
        return accepted.remote_endpoint() == client.local_endpoint();
    }

    handler_checks checks;
    std::optional<Ctx> ctx{std::in_place};
    acceptor_of<Ctx> acceptor = loopback_acceptor(*ctx);
    std::deque<socket> clients;
    accept_stream<acceptor_of<Ctx>> stream{acceptor};
};

BOOST_AUTO_TEST_SUITE(accept_streams)

BOOST_AUTO_TEST_CASE_TEMPLATE(connections_come_in_order, Ctx, our_contexts)
{
    accepting<Ctx> a;
    for (int i = 0; i < 3; ++i) {
        auto& client = a.connect();
        auto c = a.next();
        BOOST_TEST(c.ec == error_code());
        BOOST_TEST(a.is_of(*c.socket, client));
        BOOST_TEST((c.socket->get_executor() == a.acceptor.get_executor()));
    }
    connection<typename accepting<Ctx>::socket> waiting;
    a.stream.async_next(a.checks.once(waiting.store()));
    a.ctx->restart();
    a.ctx->poll();
    BOOST_TEST(!waiting.done);
    auto& client = a.connect();
    run_until(*a.ctx, [&] { return waiting.done; });
    net::write(client, net::buffer("x", 1));
    char byte = 0;
    net::read(*waiting.socket, net::buffer(&byte, 1));
    BOOST_TEST(byte == 'x');
}

BOOST_AUTO_TEST_CASE_TEMPLATE(accepts_beside_it_fail_and_begin_again_behind_it, Ctx, our_contexts)
{
    accepting<Ctx> a;
    typename accepting<Ctx>::socket peer(*a.ctx);
    int ended = 0;
    const auto refused = [&](error_code ec, auto&&...) {
        BOOST_TEST(ec == error::stream_is_open);
        ++ended;
    };
    a.acceptor.async_accept(peer, a.checks.once([&](error_code ec) { refused(ec); }));
    a.acceptor.async_accept(a.checks.once([&](error_code ec, auto) { refused(ec); }));
    run_until(*a.ctx, [&] { return ended == 2; });
    error_code ec;
    a.acceptor.accept(peer, ec);
    BOOST_TEST(ec == error::stream_is_open);
    a.acceptor.non_blocking(true); // So that a wait that goes to the socket ends.
    a.acceptor.wait(net::socket_base::wait_read, ec);
    BOOST_TEST(ec == error::stream_is_open);
    a.acceptor.release(ec);
    BOOST_TEST(ec == error::stream_is_open);
    BOOST_TEST(a.stream.stop().empty());
    auto& client = a.connect();
    a.acceptor.async_accept(peer, a.checks.once([&](error_code e) {
        BOOST_TEST(e == error_code());
        ++ended;
    }));
    run_until(*a.ctx, [&] { return ended == 3; });
    BOOST_TEST(a.is_of(peer, client));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(stop_gives_connections_that_nobody_has_taken, Ctx, our_contexts)
{
    accepting<Ctx> a;
    a.connect();
    a.next();
    for (std::size_t i = 1; i <= 3; ++i) {
        a.connect();
        poll_until(*a.ctx, [&] { return a.stream.held() == i; });
    }
    auto left = a.stream.stop();
    BOOST_REQUIRE(left.size() == 3U);
    for (std::size_t i = 0; i < 3; ++i)
        BOOST_TEST(a.is_of(left[i], a.clients[i + 1]));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connections_that_nobody_took_are_closed, Ctx, our_contexts)
{
    for (const bool by_acceptor : {false, true}) {
        accepting<Ctx> a;
        a.connect();
        a.next();
        auto& client = a.connect();
        poll_until(*a.ctx, [&] { return a.stream.held() == 1; });
        connection<typename accepting<Ctx>::socket> waiting;
        if (by_acceptor)
            a.acceptor.close();
        else
            auto dropped = std::move(a.stream);
        char byte = 0;
        error_code ec;
        net::read(client, net::buffer(&byte, 1), ec);
        BOOST_TEST(ec == net::error::eof);
        BOOST_TEST(!a.stream.is_open());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancelled_or_closed_accepts_end_as_plain_ones, Ctx, our_contexts)
{
    accepting<Ctx> a;
    using outcome = connection<typename accepting<Ctx>::socket>;
    net::cancellation_signal signal;
    outcome first, second, third;
    a.stream.async_next(net::bind_cancellation_slot(signal.slot(), a.checks.once(first.store())));
    a.ctx->poll();
    signal.emit(net::cancellation_type::total);
    run_until(*a.ctx, [&] { return first.done; });
    BOOST_TEST(first.ec == net::error::operation_aborted);
    BOOST_TEST(!first.socket->is_open());
    auto& client = a.connect();
    BOOST_TEST(a.is_of(*a.next().socket, client));
    a.stream.async_next(a.checks.once(second.store()));
    a.acceptor.cancel();
    run_until(*a.ctx, [&] { return second.done; });
    BOOST_TEST(second.ec == net::error::operation_aborted);
    a.stream.async_next(a.checks.once(third.store()));
    a.acceptor.close();
    run_until(*a.ctx, [&] { return third.done; });
    BOOST_TEST(third.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(want_of_descriptors_is_told_once_for_each_that_asks, Ctx,
                              our_contexts)
{
    accepting<Ctx> a;
    a.stream.stop();
    socket_of<Ctx> late(*a.ctx);
    late.open(tcp::v4());
    {
        const test_support::no_more_descriptors
            limit; // A request has that of the moment when it began.
        a.stream = accept_stream(a.acceptor);
        connection<typename accepting<Ctx>::socket> first;
        a.stream.async_next(a.checks.once(first.store()));
        poll_some(*a.ctx);
        BOOST_TEST(!first.done); // There is none that could not be accepted.
        late.connect(a.acceptor.local_endpoint());
        run_until(*a.ctx, [&] { return first.done; });
        BOOST_TEST(first.ec == net::error::no_descriptors);
        poll_some(*a.ctx);
        BOOST_TEST(a.stream.held() == 0U); // Nobody asked, so nobody tried.
        BOOST_TEST(a.next().ec == net::error::no_descriptors);
    }
    const auto c = a.next();
    BOOST_TEST(c.ec == error_code());
    BOOST_TEST(a.is_of(*c.socket, late));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(crowd_is_held_back_and_everybody_comes_in, Ctx, our_contexts)
{
    accepting<Ctx> a;
    a.stream = accept_stream(a.acceptor = loopback_acceptor(*a.ctx), stream_limits{4, 2});
    constexpr std::size_t crowd = 40;
    a.connect();
    a.next();
    for (std::size_t i = 0; i < crowd; ++i)
        a.connect();
    poll_until(*a.ctx, [&] { return a.stream.held() >= 4; });
    for (std::size_t i = 0; i < crowd; ++i)
        BOOST_TEST(a.is_of(*a.next().socket, a.clients[i + 1]));
    BOOST_TEST(a.stream.held() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
