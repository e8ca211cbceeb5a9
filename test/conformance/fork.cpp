// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/forking.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

// Programs that fork, and tell the context of it.
namespace conformance {
namespace {

using test_support::connect_to_peer;
using test_support::ended_well;
using test_support::fork_with;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until;

/// Something of each kind is pending.
template <class Ctx>
struct pending {
    using udp = net::ip::udp;

    pending()
    {
        local.socket.async_read_some(net::buffer(bytes), checks.into(read));
        datagrams.async_receive(net::buffer(message), checks.into(received));
        acceptor.async_accept(peer, checks.into(accepted));
        connecting.async_connect(tcp::endpoint(net::ip::address_v4::loopback(), full.port()),
                                 checks.into(connected));
        timer.async_wait(checks.into(waited));
        ctx.poll();
        net::post(ctx, checks.once([this] { posted.store({}); }));
    }

    void close()
    {
        local.socket.close();
        datagrams.close();
        acceptor.close();
        timer.cancel();
    }
    /// What they wait for.
    void happen()
    {
        local.peer.write("local");
        net::io_context plain;
        udp::socket(plain, udp::v4()).send_to(net::buffer("message", 7), address);
        tcp::socket(plain).connect(server);
    }
    /// The connection never comes about.
    void run()
    {
        connecting.close();
        run_until(ctx, [this] {
            return read.done && received.done && accepted.done && waited.done && connected.done &&
                   posted.done;
        });
    }
    bool has_happened() const
    {
        return !read.ec && std::string(bytes.data(), read.bytes) == "local" && !received.ec &&
               std::string(message.data(), received.bytes) == "message" && !accepted.ec &&
               !waited.ec && connected.ec == net::error::operation_aborted;
    }
    bool was_aborted() const
    {
        const error_code aborted = net::error::operation_aborted;
        return read.ec == aborted && received.ec == aborted && accepted.ec == aborted;
    }

    Ctx ctx;
    test_support::full_listener full;
    handler_checks checks;
    test_support::socket_and_peer<local_socket_of<Ctx>> local =
        connect_to_peer<local_socket_of<Ctx>>(ctx);
    net::basic_datagram_socket<udp, executor_of<Ctx>> datagrams{
        ctx, udp::endpoint(net::ip::address_v4::loopback(), 0)};
    const udp::endpoint address = datagrams.local_endpoint();
    acceptor_of<Ctx> acceptor = loopback_acceptor(ctx);
    const tcp::endpoint server = acceptor.local_endpoint();
    socket_of<Ctx> peer{ctx}, connecting{ctx};
    timer_of<Ctx> timer{ctx, std::chrono::milliseconds(1)};
    std::array<char, 64> bytes{}, message{};
    io_result read, received, accepted, connected, waited, posted;
};

BOOST_AUTO_TEST_SUITE(forks)

BOOST_AUTO_TEST_CASE_TEMPLATE(child_goes_on_with_what_is_pending, Ctx, contexts)
{
    pending<Ctx> p;
    const pid_t child = fork_with(p.ctx, [&p] {
        p.run();
        return p.has_happened();
    });
    p.close();
    p.happen();
    BOOST_TEST(ended_well(child));
    p.run();
    BOOST_TEST(p.was_aborted());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(parent_goes_on_whatever_its_child_ends, Ctx, contexts)
{
    pending<Ctx> p;
    const pid_t child = fork_with(p.ctx, [&p] {
        p.close();
        p.run();
        return p.was_aborted();
    });
    BOOST_TEST(ended_well(child));
    p.happen();
    p.run();
    BOOST_TEST(p.has_happened());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(child_is_woken_by_what_comes_while_it_waits, Ctx, contexts)
{
    Ctx ctx;
    handler_checks checks;
    auto ends = connect_to_peer<local_socket_of<Ctx>>(ctx);
    std::array<char, 16> bytes{};
    io_result read;
    ends.socket.async_read_some(net::buffer(bytes), checks.into(read));
    ctx.poll();
    const auto comes_late = [&] {
        for (int i = 0; i < 10; ++i)
            ctx.poll();
        ends.peer.write("late");
        test_support::run_until_done(ctx, read);
        return !read.ec && read.bytes == 4;
    };
    BOOST_TEST(ended_well(fork_with(ctx, comes_late)));
    BOOST_TEST(comes_late());
}

/// Parent and child look at the same connection, which comes about after the fork.
BOOST_AUTO_TEST_CASE_TEMPLATE(both_learn_that_the_connection_is_there, Ctx, contexts)
{
    Ctx ctx;
    const auto listener = test_support::loopback_listener();
    handler_checks checks;
    io_result connected;
    socket_of<Ctx> s(ctx);
    s.async_connect(
        tcp::endpoint(net::ip::address_v4::loopback(), test_support::local_port(listener.get())),
        checks.into(connected));
    const pid_t child = fork_with(ctx, [&] {
        test_support::run_until_done(ctx, connected);
        return !connected.ec && s.remote_endpoint().port() != 0;
    });
    test_support::run_until_done(ctx, connected);
    BOOST_TEST(connected.ec == error_code());
    BOOST_TEST(ended_well(child));
}

/// As a server that has a process for each connection.
BOOST_AUTO_TEST_CASE_TEMPLATE(handler_forks_and_the_child_serves, Ctx, contexts)
{
    constexpr int connections = 3;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    net::io_context plain;
    std::vector<tcp::socket> clients;
    std::vector<pid_t> children;
    const auto serve = [&ctx](socket_of<Ctx>& socket) {
        std::array<char, 16> bytes{};
        io_result read, written;
        handler_checks checks;
        socket.async_read_some(net::buffer(bytes), checks.into(read));
        test_support::run_until_done(ctx, read);
        net::async_write(socket, net::buffer(bytes, read.bytes), checks.into(written));
        test_support::run_until_done(ctx, written);
        return !written.ec;
    };
    for (int i = 0; i < connections; ++i) {
        clients.emplace_back(plain).connect(acceptor.local_endpoint());
        net::write(clients.back(), net::buffer(std::to_string(i)));
        io_result accepted;
        handler_checks checks;
        socket_of<Ctx> socket(ctx);
        acceptor.async_accept(socket, checks.once([&](error_code ec) {
            children.push_back(fork_with(ctx, [&] {
                acceptor.close();
                return serve(socket);
            }));
            socket.close();
            accepted.store(ec);
        }));
        test_support::run_until_done(ctx, accepted);
    }
    for (int i = 0; i < connections; ++i) {
        std::array<char, 16> bytes{};
        const std::size_t n = clients[std::size_t(i)].read_some(net::buffer(bytes));
        BOOST_TEST(std::string(bytes.data(), n) == std::to_string(i));
        BOOST_TEST(ended_well(children[std::size_t(i)]));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(each_process_hears_its_own_signals, Ctx, contexts)
{
    Ctx ctx;
    handler_checks checks;
    io_result heard;
    signal_set_of<Ctx> signals(ctx, SIGUSR1);
    signals.async_wait(checks.into(heard));
    ctx.poll();
    for (const bool listens : {false, true}) {
        const pid_t child = fork_with(ctx, [&] {
            ::raise(SIGUSR1);
            if (listens)
                test_support::run_until_done(ctx, heard);
            return !listens || (!heard.ec && heard.number == SIGUSR1);
        });
        BOOST_TEST(ended_well(child));
        ctx.poll();
        BOOST_TEST(!heard.done);
    }
    ::raise(SIGUSR1);
    test_support::run_until_done(ctx, heard);
    BOOST_TEST(heard.number == SIGUSR1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(names_are_looked_up_in_both, Ctx, contexts)
{
    Ctx ctx;
    net::ip::basic_resolver<tcp, executor_of<Ctx>> resolver(ctx);
    const auto look_up = [&] {
        bool done = false;
        error_code found;
        resolver.async_resolve("127.0.0.1", "80", [&](error_code ec, auto&&) {
            found = ec;
            done = true;
        });
        run_until(ctx, [&] { return done; });
        return found;
    };
    BOOST_TEST(look_up() == error_code());
    const pid_t child = fork_with(ctx, [&] { return !look_up(); });
    BOOST_TEST(look_up() == error_code());
    BOOST_TEST(ended_well(child));
}

/// What a child asks for before dup2(2) and exec(3), when the loop's lock may be that of a thread that
/// is not there.
BOOST_AUTO_TEST_CASE_TEMPLATE(native_handle_is_to_be_had_in_a_child_whatever_other_threads_did, Ctx,
                              contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    const int number = socket.native_handle();
    auto work = net::make_work_guard(ctx);
    std::atomic<bool> ended = false;
    std::thread running([&ctx = ctx] { ctx.run(); });
    std::thread posting([&] {
        while (!ended)
            net::post(ctx, [] {});
    });
    for (int i = 0; i != 40; ++i)
        BOOST_TEST(ended_well(
            test_support::fork_child([&, &of = socket] { return of.native_handle() == number; })));
    ended = true;
    posting.join();
    work.reset();
    running.join();
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
