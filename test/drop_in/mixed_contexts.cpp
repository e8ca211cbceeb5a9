// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/machinery.hpp"
#include "support/needs_io_uring.hpp"
#include "support/run_until.hpp"

#include <boost/asio.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <string>
#include <utility>

// One class of Asio's, on contexts of ours and of Asio's in the same program.
namespace {

namespace net = boost::asio;
using net::ip::tcp;
using error_code = boost::system::error_code;
using test_support::connected_pair;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;
using namespace std::chrono_literals;

using contexts = std::tuple<net::io_context, safer_ring::io_context>;

/// Sends "ping" from one socket to the other and checks that it arrives.
template <class Context, class Socket>
void exchange(Context& ctx, Socket& from, Socket& to)
{
    handler_checks checks;
    std::array<char, 4> text{};
    io_result received;
    net::async_write(from, net::buffer("ping", 4),
                     checks.once([](error_code ec, std::size_t) { BOOST_TEST(!ec); }));
    net::async_read(to, net::buffer(text), checks.into(received));
    run_until_done(ctx, received);
    BOOST_TEST(!received.ec);
    BOOST_TEST(std::string(text.data(), text.size()) == "ping");
    ctx.restart();
    ctx.poll();
}

BOOST_AUTO_TEST_SUITE(mixed_contexts)

BOOST_AUTO_TEST_CASE_TEMPLATE(sockets_of_any_executor_work_where_they_were_made, Ctx, contexts)
{
    Ctx ctx;
    auto [a, b] = connected_pair<tcp::socket>(ctx);
    exchange(ctx, a, b);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sockets_of_the_context_s_own_executor_work, Ctx, contexts)
{
    Ctx ctx;
    using socket = net::basic_stream_socket<tcp, typename Ctx::executor_type>;
    auto [a, b] = connected_pair<socket>(ctx);
    exchange(ctx, a, b);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_socket_moves_into_one_of_any_executor, Ctx, contexts)
{
    Ctx ctx;
    using typed = net::basic_stream_socket<tcp, typename Ctx::executor_type>;
    auto [a, b] = connected_pair<typed>(ctx);
    tcp::socket from(std::move(a));
    tcp::socket to(std::move(b));
    BOOST_TEST(!a.is_open());
    exchange(ctx, from, to);
    net::generic::stream_protocol::socket any_protocol(std::move(from));
    net::generic::stream_protocol::socket its_peer(std::move(to));
    exchange(ctx, any_protocol, its_peer);
}

BOOST_AUTO_TEST_CASE(assignment_takes_a_socket_to_the_other_kind_of_context_and_back,
                     *test_support::needs_io_uring)
{
    net::io_context theirs;
    safer_ring::io_context ours;
    auto [a, b] = connected_pair<tcp::socket>(theirs);
    auto [c, d] = connected_pair<tcp::socket>(ours);
    std::swap(a, c);
    std::swap(b, d);
    exchange(theirs, c, d);
    exchange(ours, a, b);
    a = std::move(c);
    b = std::move(d);
    exchange(theirs, a, b);
}

BOOST_AUTO_TEST_CASE(assignment_ends_what_the_target_had_pending, *test_support::needs_io_uring)
{
    handler_checks checks;
    net::io_context theirs;
    safer_ring::io_context ours;
    auto [a, b] = connected_pair<tcp::socket>(ours);
    std::array<char, 4> text{};
    io_result ended;
    a.async_read_some(net::buffer(text), checks.into(ended));
    a = tcp::socket(theirs);
    run_until_done(ours, ended);
    BOOST_TEST(ended.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE(an_acceptor_of_ours_accepts_into_a_socket_of_asio_s_and_the_reverse,
                     *test_support::needs_io_uring)
{
    handler_checks checks;
    net::io_context theirs;
    safer_ring::io_context ours;
    const auto accept = [&](auto& listening, auto& other) {
        tcp::acceptor acceptor(listening, tcp::endpoint(net::ip::address_v4::loopback(), 0));
        tcp::socket client(other);
        tcp::socket server(other);
        client.connect(acceptor.local_endpoint());
        io_result accepted;
        acceptor.async_accept(server, checks.into(accepted));
        run_until_done(listening, accepted);
        BOOST_TEST(!accepted.ec);
        exchange(other, client, server);
    };
    accept(theirs, ours);
    accept(ours, theirs);
}

BOOST_AUTO_TEST_CASE(objects_from_before_the_attachment_stay_what_they_are,
                     *test_support::needs_io_uring)
{
    net::io_context host;
    auto [a, b] = connected_pair<tcp::socket>(host);
    safer_ring::attach(host);
    auto [c, d] = connected_pair<tcp::socket>(host);
    exchange(host, a, b);
    exchange(host, c, d);
    net::generic::stream_protocol::socket old_one(std::move(a));
    net::generic::stream_protocol::socket its_peer(std::move(b));
    exchange(host, old_one, its_peer);
    old_one = net::generic::stream_protocol::socket(std::move(c));
    its_peer = net::generic::stream_protocol::socket(std::move(d));
    exchange(host, old_one, its_peer);
}

BOOST_AUTO_TEST_CASE(timers_work_on_strands_pools_and_both_contexts, *test_support::needs_io_uring)
{
    handler_checks checks;
    net::io_context theirs;
    safer_ring::io_context ours;
    net::thread_pool pool(1);
    std::array<net::any_io_executor, 5> executors{
        net::any_io_executor(theirs.get_executor()), net::any_io_executor(ours.get_executor()),
        net::any_io_executor(net::make_strand(theirs)),
        net::any_io_executor(net::make_strand(ours)), net::any_io_executor(pool.get_executor())};
    std::atomic<int> fired = 0;
    std::vector<net::steady_timer> timers;
    for (const auto& ex : executors) {
        timers.emplace_back(ex, 1ms);
        timers.back().async_wait(checks.once([&](error_code ec) {
            BOOST_TEST(!ec);
            ++fired;
        }));
    }
    theirs.run();
    ours.run();
    pool.join();
    BOOST_TEST(fired == 5);
}

BOOST_AUTO_TEST_CASE(a_program_on_ours_alone_has_one_thread_and_no_epoll,
                     *test_support::needs_io_uring)
{
    const auto before = test_support::machinery_of_this_process();
    safer_ring::io_context ctx(1);
    auto [a, b] = connected_pair<tcp::socket>(ctx);
    net::steady_timer timer(net::make_strand(ctx), 1ms);
    net::signal_set signals(ctx, SIGUSR1);
    bool fired = false;
    timer.async_wait([&](error_code) { fired = true; });
    signals.async_wait([](error_code, int) {});
    exchange(ctx, a, b);
    test_support::run_until(ctx, [&] { return fired; });
    const auto now = test_support::machinery_of_this_process();
    BOOST_TEST(now.threads == before.threads);
    BOOST_TEST(now.epoll_descriptors == before.epoll_descriptors);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
