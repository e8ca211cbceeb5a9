// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <deque>
#include <functional>
#include <future>
#include <thread>

// Nothing that is always busy keeps others from their turn.
namespace conformance {
namespace {

using namespace std::chrono_literals;
using test_support::handler_checks;
using test_support::io_result;

/// A function that posts itself again until told to end.
template <class Ctx>
class self_posting {
public:
    explicit self_posting(Ctx& ctx) : ctx_(ctx) {}
    void start()
    {
        net::post(ctx_, [this] {
            if (!ended_)
                start();
        });
    }
    void end() { ended_ = true; }

private:
    Ctx& ctx_;
    bool ended_ = false;
};

BOOST_AUTO_TEST_SUITE(starvation)

BOOST_AUTO_TEST_CASE_TEMPLATE(self_posting_handler_does_not_starve_reads, Ctx, contexts)
{
    for (const int hint : {1, 2}) {
        handler_checks checks;
        Ctx ctx(hint);
        self_posting<Ctx> busy(ctx);
        auto [socket, peer] = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 8> buffer{};
        std::size_t bytes = 0;
        socket.async_read_some(net::buffer(buffer), checks.once([&](error_code, std::size_t n) {
            bytes = n;
            busy.end();
        }));
        busy.start();
        std::thread sender([&to = peer] { to.write("hello"); });
        ctx.run();
        sender.join();
        BOOST_TEST(bytes == 5u);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(self_posting_handler_does_not_starve_writes_and_accepts, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    self_posting<Ctx> busy(ctx);
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> server(ctx);
    socket_of<Ctx> client(ctx);
    bool wrote = false;
    acceptor.async_accept(server,
                          checks.once([&](error_code ec) { BOOST_TEST(ec == error_code()); }));
    client.async_connect(acceptor.local_endpoint(), checks.once([&](error_code ec) {
        BOOST_TEST(ec == error_code());
        net::async_write(client, net::buffer("x", 1), checks.once([&](error_code, std::size_t) {
            wrote = true;
            busy.end();
        }));
    }));
    busy.start();
    ctx.run();
    BOOST_TEST(wrote);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(self_posting_handler_does_not_starve_timers, Ctx, contexts)
{
    for (const int hint : {1, 2}) {
        handler_checks checks;
        Ctx ctx(hint);
        self_posting<Ctx> busy(ctx);
        timer_of<Ctx> timer(ctx, 1ms);
        timer.async_wait(checks.once([&](error_code) { busy.end(); }));
        busy.start();
        BOOST_TEST(ctx.run() > 1u);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(self_posting_handler_does_not_starve_stop, Ctx, contexts)
{
    for (const int hint : {1, 2}) {
        Ctx ctx(hint);
        self_posting<Ctx> busy(ctx);
        std::promise<void> inside;
        net::post(ctx, [&] { inside.set_value(); });
        busy.start();
        auto runner = std::async(std::launch::async, [&] { return ctx.run(); });
        test_support::wait_for(inside.get_future());
        ctx.stop();
        BOOST_TEST(test_support::wait_for(runner) >= 1u);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(self_posting_handler_does_not_starve_timed_runs, Ctx, contexts)
{
    Ctx ctx;
    self_posting<Ctx> busy(ctx);
    busy.start();
    std::size_t ran = 0;
    while (ran <= 1) // That each returns is the point.
        ran += ctx.run_for(5ms);
    BOOST_TEST(!ctx.stopped());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(self_deferring_handler_does_not_starve_others, Ctx, contexts)
{
    Ctx ctx;
    bool ended = false;
    std::function<void()> again = [&] {
        if (!ended)
            net::defer(ctx, again);
    };
    timer_of<Ctx> timer(ctx, 1ms);
    timer.async_wait([&](error_code) { ended = true; });
    again();
    ctx.run();
    BOOST_TEST(ended);
}

// A timer that is set again and has always expired already.
BOOST_AUTO_TEST_CASE_TEMPLATE(timer_that_is_always_due_does_not_starve_reads, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = test_support::connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    bool ended = false;
    timer_of<Ctx> timer(ctx);
    std::function<void(error_code)> again = [&](error_code) {
        if (ended)
            return;
        timer.expires_after(-1ms);
        timer.async_wait(again);
    };
    again({});
    socket.async_read_some(net::buffer(buffer),
                           checks.once([&](error_code, std::size_t) { ended = true; }));
    peer.write("x");
    ctx.run();
    BOOST_TEST(ended);
}

/// A socket whose peer always has something for it, since it echoes all that
/// it is sent, and which answers at once.
template <class Ctx>
struct busy_connection {
    explicit busy_connection(Ctx& ctx) : ends(test_support::connected_pair<socket_of<Ctx>>(ctx)) {}

    void start()
    {
        turn(ends.first);
        turn(ends.second);
        net::write(ends.first, net::buffer(bytes));
    }

    void turn(socket_of<Ctx>& end)
    {
        end.async_read_some(net::buffer(bytes), [&](error_code ec, std::size_t n) {
            if (ec || ended)
                return;
            error_code ignored;
            net::write(end, net::buffer(bytes, n), ignored);
            turn(end);
        });
    }

    void end()
    {
        ended = true;
        ends.first.cancel();
        ends.second.cancel();
    }

    std::pair<socket_of<Ctx>, socket_of<Ctx>> ends;
    std::array<char, 512> bytes{};
    bool ended = false;
};

BOOST_AUTO_TEST_CASE_TEMPLATE(busy_socket_among_a_thousand_starves_none, Ctx, contexts)
{
    constexpr std::size_t quiet = 999;
    if (!test_support::allow_descriptors(2 * quiet + 64))
        SAFER_RING_SKIP("RLIMIT_NOFILE allows no 2,000 descriptors");
    for (const int hint : {1, 2}) {
        handler_checks checks;
        Ctx ctx(hint);
        busy_connection<Ctx> busy(ctx);
        std::deque<std::pair<socket_of<Ctx>, socket_of<Ctx>>> others;
        std::array<char, 1> byte{};
        std::size_t served = 0;
        busy.start();
        for (std::size_t i = 0; i < quiet; ++i) {
            auto& pair = others.emplace_back(test_support::connected_pair<socket_of<Ctx>>(ctx));
            pair.second.async_read_some(net::buffer(byte),
                                        checks.once([&](error_code, std::size_t n) {
                                            served += n;
                                            if (served == quiet)
                                                busy.end();
                                        }));
            net::async_write(pair.first, net::buffer("x", 1),
                             checks.once([](error_code, std::size_t) {}));
        }
        ctx.run();
        BOOST_TEST(served == quiet);
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
