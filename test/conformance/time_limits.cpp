// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/counting_allocator.hpp"
#include "support/handler_checks.hpp"
#include "support/needs_io_uring.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <boost/asio/experimental/channel.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

// Operations that net::cancel_after and net::cancel_at end when their time is over.
namespace conformance {
namespace {

BOOST_AUTO_TEST_SUITE(time_limits)

#if BOOST_ASIO_VERSION < 103200

BOOST_AUTO_TEST_CASE(operations_with_a_time_limit, *test_support::needs_io_uring)
{
    SAFER_RING_SKIP("net::cancel_after and net::cancel_at came with Boost 1.86");
}

#else

using namespace std::chrono_literals;
using net::cancellation_type;
using steady = std::chrono::steady_clock;
using test_support::connect_to_peer;
using test_support::connected_pair;
using test_support::handler_checks;
using test_support::io_result;

constexpr auto never = 1h;
constexpr auto soon = 1ms;

/// Calls `start` with each way to give an operation a limit, and its name. In Asio itself
/// cancel_after(timer, limit)(token) compiles with no timer.
template <class Timer, class Start>
void in_every_way(Timer& timer, Start start)
{
    const auto type = cancellation_type::total;
    start("cancel_after",
          [](auto limit, auto token) { return net::cancel_after(limit, std::move(token)); });
    start("cancel_after, type",
          [=](auto limit, auto token) { return net::cancel_after(limit, type, std::move(token)); });
    start("cancel_after()",
          [](auto limit, auto token) { return net::cancel_after(limit)(std::move(token)); });
    start("cancel_after(type)",
          [=](auto limit, auto token) { return net::cancel_after(limit, type)(std::move(token)); });
    start("cancel_after(timer)", [&](auto limit, auto token) {
        return net::cancel_after(timer, limit, std::move(token));
    });
#if BOOST_ASIO_VERSION >= 103802
    // Before, its result had room for a timer of net::any_io_executor only.
    start("cancel_after(timer, type)", [&](auto limit, auto token) {
        return net::cancel_after(timer, limit, type, std::move(token));
    });
#endif
    start("cancel_at", [](auto limit, auto token) {
        return net::cancel_at(steady::now() + limit, std::move(token));
    });
    start("cancel_at, type", [=](auto limit, auto token) {
        return net::cancel_at(steady::now() + limit, type, std::move(token));
    });
    start("cancel_at()", [](auto limit, auto token) {
        return net::cancel_at(steady::now() + limit)(std::move(token));
    });
    start("cancel_at(type)", [=](auto limit, auto token) {
        return net::cancel_at(steady::now() + limit, type)(std::move(token));
    });
    start("cancel_at(timer)", [&](auto limit, auto token) {
        return net::cancel_at(timer, steady::now() + limit, std::move(token));
    });
    start("cancel_at(timer, type)", [&](auto limit, auto token) {
        return net::cancel_at(timer, steady::now() + limit, type, std::move(token));
    });
    start("cancel_at(timer)()", [&](auto limit, auto token) {
        return net::cancel_at(timer, steady::now() + limit)(std::move(token));
    });
}

enum class fate { expires, completes, is_cancelled, is_signalled, is_closed };
constexpr fate fates[] = {fate::expires, fate::completes, fate::is_cancelled, fate::is_signalled,
                          fate::is_closed};

BOOST_AUTO_TEST_CASE_TEMPLATE(limited_operation_ends_once_and_takes_its_timer_along, Ctx, contexts)
{
    Ctx ctx;
    timer_of<Ctx> timer(ctx);
    in_every_way(timer, [&](std::string_view way, auto limited) {
        for (const fate given : fates) {
            BOOST_TEST_CONTEXT(way << ", fate " << static_cast<int>(given))
            {
                handler_checks checks;
                net::cancellation_signal signal;
                io_result result;
                std::array<char, 8> buffer{};
                auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
                if (given == fate::completes)
                    peer.write("data");
                result.initiating = true;
                socket.async_receive(
                    net::buffer(buffer),
                    limited(given == fate::expires ? std::chrono::milliseconds(soon) : never,
                            net::bind_cancellation_slot(signal.slot(), checks.into(result))));
                result.initiating = false;
                if (given == fate::is_cancelled)
                    socket.cancel();
                else if (given == fate::is_signalled)
                    signal.emit(cancellation_type::terminal);
                else if (given == fate::is_closed)
                    socket.close();
                // It returns when neither the operation nor its timer is left.
                ctx.restart();
                ctx.run();
                signal.emit(cancellation_type::terminal);

                BOOST_TEST(!result.called_while_initiating);
                if (given == fate::completes) {
                    BOOST_TEST(result.ec == error_code());
                    BOOST_TEST(result.bytes == 4u);
                } else {
                    BOOST_TEST(result.ec == net::error::operation_aborted);
                    BOOST_TEST(result.bytes == 0u);
                }
            }
        }
    });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_comes_after_the_limit_is_for_the_next_operation, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> first_buffer{}, buffer{};
    io_result late, next;
    socket.async_receive(net::buffer(first_buffer), net::cancel_after(soon, checks.into(late)));
    ctx.run();
    BOOST_TEST(late.ec == net::error::operation_aborted);
    peer.write("data");
    socket.async_receive(net::buffer(buffer), net::cancel_after(never, checks.into(next)));
    ctx.restart();
    ctx.run();
    BOOST_TEST(next.bytes == 4u);
    BOOST_TEST((first_buffer == decltype(first_buffer){}));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(data_that_is_there_comes_before_a_limit_that_has_passed, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    io_result result;
    peer.write("data");
    socket.async_receive(net::buffer(buffer), net::cancel_after(-1s, checks.into(result)));
    ctx.run();
    BOOST_TEST(result.ec == error_code());
    BOOST_TEST(result.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_of_all_kinds_expire, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    auto [writer, silent] = connect_to_peer<local_socket_of<Ctx>>(ctx);
    auto acceptor = loopback_acceptor(ctx);
    net::basic_datagram_socket<net::ip::udp, executor_of<Ctx>> datagrams(
        ctx, net::ip::udp::endpoint(net::ip::address_v4::loopback(), 0));
    net::ip::udp::endpoint sender;
    timer_of<Ctx> timer(ctx, never);
    signal_set_of<Ctx> signals(ctx, SIGUSR1);
    net::experimental::channel<executor_of<Ctx>, void(error_code, int)> channel(ctx.get_executor());
    std::array<char, 8> buffer{}, datagram{}, whole{};
    std::string large(16 << 20, 'w');
    io_result accepted, received, waited, came, signalled, sent, got, all, written;

    peer.write("data");
    acceptor.async_accept(net::cancel_after(soon, checks.into(accepted)));
    net::async_read(socket, net::buffer(whole), net::cancel_after(soon, checks.into(all)));
    writer.async_receive(net::buffer(buffer), net::cancel_after(soon, checks.into(received)));
    writer.async_wait(net::socket_base::wait_read, net::cancel_after(soon, checks.into(waited)));
    net::async_write(writer, net::buffer(large), net::cancel_after(soon, checks.into(written)));
    datagrams.async_receive_from(net::buffer(datagram), sender,
                                 net::cancel_after(soon, checks.into(came)));
    timer.async_wait(net::cancel_after(soon, checks.into(sent)));
    signals.async_wait(net::cancel_after(soon, checks.into(signalled)));
    channel.async_receive(net::cancel_after(soon, checks.into(got)));
    ctx.run();

    for (const auto* result :
         {&accepted, &received, &waited, &came, &signalled, &sent, &all, &written})
        BOOST_TEST(result->ec == net::error::operation_aborted);
    BOOST_TEST((got.ec == net::experimental::error::channel_cancelled));
    BOOST_TEST(all.bytes == 4u);
    BOOST_TEST(written.bytes > 0u);
    BOOST_TEST(written.bytes < large.size());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_of_all_kinds_complete_in_time, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> client(ctx), peer(ctx);
    timer_of<Ctx> timer(ctx, 1ms);
    net::experimental::channel<executor_of<Ctx>, void(error_code, int)> channel(ctx.get_executor());
    std::string request;
    io_result accepted, connected, asked, answered, waited, sent, got;

    acceptor.async_accept(
        net::cancel_after(never, checks.once([&](error_code ec, socket_of<Ctx> server) {
            accepted.store(ec);
            peer = std::move(server);
            net::async_read_until(peer, net::dynamic_buffer(request), '\n',
                                  net::cancel_after(never, checks.into(asked)));
        })));
    client.async_connect(acceptor.local_endpoint(),
                         net::cancel_after(never, checks.once([&](error_code ec) {
                             connected.store(ec);
                             net::async_write(client, net::buffer("ask\n", 4),
                                              net::cancel_after(never, checks.into(answered)));
                         })));
    timer.async_wait(net::cancel_after(never, checks.into(waited)));
    channel.async_receive(net::cancel_after(never, checks.into(got)));
    channel.async_send(error_code(), 7, net::cancel_after(never, checks.into(sent)));
    ctx.run();

    for (const auto* result : {&accepted, &connected, &asked, &answered, &waited, &sent, &got})
        BOOST_TEST(result->ec == error_code());
    BOOST_TEST(asked.bytes == 4u);
    BOOST_TEST(got.number == 7);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operation_gets_the_cancellation_that_was_asked_for, Ctx, contexts)
{
    for (const auto type : all_types) {
        handler_checks checks;
        Ctx ctx;
        timer_of<Ctx> timer(ctx, never);
        cancellation_type seen = cancellation_type::none;
        const auto wait = [&](auto token) {
            return net::async_compose<decltype(token), void(error_code)>(
                [&, started = false](auto& self, error_code ec = {}) mutable {
                    if (!std::exchange(started, true)) {
                        self.reset_cancellation_state(net::enable_total_cancellation());
                        timer.async_wait(std::move(self));
                        return;
                    }
                    seen = self.cancelled();
                    self.complete(ec);
                },
                token, timer);
        };
        io_result result;
        wait(net::cancel_after(soon, type, checks.into(result)));
        ctx.run();
        BOOST_TEST((seen == type));
        BOOST_TEST(result.ec == net::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(of_two_limits_the_earlier_one_holds, Ctx, contexts)
{
    for (const bool outer_is_earlier : {true, false}) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 8> buffer{};
        io_result result;
        const std::chrono::milliseconds early = soon, late = never;
        socket.async_receive(net::buffer(buffer),
                             net::cancel_after(outer_is_earlier ? early : late,
                                               net::cancel_after(outer_is_earlier ? late : early,
                                                                 checks.into(result))));
        ctx.run();
        BOOST_TEST(result.ec == net::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(limit_can_be_given_in_the_time_of_another_clock, Ctx, contexts)
{
    using system = std::chrono::system_clock;
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    io_result of_token, of_timer;
    timer_of<Ctx, system> timer(ctx);
    socket.async_receive(net::buffer(buffer),
                         net::cancel_at(system::now() + soon, checks.into(of_token)));
    socket.async_wait(net::socket_base::wait_read,
                      net::cancel_after(timer, soon, checks.into(of_timer)));
    ctx.run();
    BOOST_TEST(of_token.ec == net::error::operation_aborted);
    BOOST_TEST(of_timer.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(given_timer_is_set_and_can_be_used_again, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    timer_of<Ctx> timer(ctx, never);
    io_result waited_before, received, waited_behind;
    timer.async_wait(checks.into(waited_before));
    const auto expiry = steady::now() + soon;
    socket.async_receive(net::buffer(buffer), net::cancel_at(timer, expiry, checks.into(received)));
    BOOST_TEST((timer.expiry() == expiry));
    ctx.run();
    BOOST_TEST(waited_before.ec == net::error::operation_aborted);
    BOOST_TEST(received.ec == net::error::operation_aborted);
    timer.async_wait(checks.into(waited_behind));
    ctx.restart();
    ctx.run();
    BOOST_TEST(waited_behind.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(tokens_of_all_kinds_take_a_limit, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    const auto aborts = [](const boost::system::system_error& e) {
        return e.code() == net::error::operation_aborted;
    };
    auto future =
        socket.async_receive(net::buffer(buffer), net::cancel_after(soon, net::use_future));
    ctx.run();
    BOOST_CHECK_EXCEPTION(test_support::wait_for(future), boost::system::system_error, aborts);

    handler_checks checks;
    io_result deferred, without_token;
    socket.async_receive(net::buffer(buffer),
                         net::cancel_after(soon, net::deferred))(checks.into(deferred));
    socket.async_receive(net::buffer(buffer), net::cancel_after(soon))(checks.into(without_token));
    ctx.restart();
    ctx.run();
    BOOST_TEST(deferred.ec == net::error::operation_aborted);
    BOOST_TEST(without_token.ec == net::error::operation_aborted);

    using awaiting = net::use_awaitable_t<executor_of<Ctx>>;
    int ended = 0;
    net::co_spawn(
        ctx.get_executor(),
        [&, &plain = socket]() -> net::awaitable<void, executor_of<Ctx>> {
            const auto [ec, size] = co_await plain.async_receive(
                net::buffer(buffer), net::cancel_after(soon, net::as_tuple(awaiting())));
            BOOST_TEST(ec == net::error::operation_aborted);
            ++ended;
            typename awaiting::template as_default_on_t<socket_of<Ctx>> own(std::move(plain));
            try {
                co_await own.async_receive(net::buffer(buffer), net::cancel_after(soon));
            } catch (const boost::system::system_error& e) {
                BOOST_TEST(aborts(e));
                ++ended;
            }
        },
        net::detached);
    ctx.restart();
    ctx.run();
    BOOST_TEST(ended == 2);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(memory_is_the_handlers, Ctx, contexts)
{
    test_support::allocation_counts counts;
    {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 8> buffer{};
        io_result result;
        const auto receive = [&, &end = socket](auto handler) {
            end.async_receive(
                net::buffer(buffer),
                net::cancel_after(soon,
                                  net::bind_allocator(test_support::counting_allocator<>(counts),
                                                      std::move(handler))));
        };
        receive(checks.once([&](error_code ec, std::size_t) {
            result.store(ec);
            BOOST_TEST(counts.live == 0);
        }));
        BOOST_TEST(counts.live > 0);
        ctx.run();
        BOOST_TEST(result.ec == net::error::operation_aborted);
        receive(checks.never());
    }
    BOOST_TEST(counts.live == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(limits_in_a_strand_race_with_what_they_limit, Ctx, contexts)
{
    using stranded = net::basic_stream_socket<tcp, strand_of<Ctx>>;
    constexpr int rounds = 300;
    Ctx ctx;
    strand_of<Ctx> strand(ctx.get_executor());
    auto [receiver, sender] = connected_pair<socket_of<Ctx>>(ctx);
    stranded limited(strand, tcp::v4(), receiver.release());
    std::array<char, 1> in{}, out{'x'};
    int expired = 0, received = 0;
    std::atomic<bool> always_inside{true};

    // What is too late for one round is in time for the next.
    std::function<void(int)> next = [&](int round) {
        if (round == rounds)
            return;
        limited.async_receive(net::buffer(in),
                              net::cancel_after(std::chrono::microseconds(round % 50),
                                                [&, round](error_code ec, std::size_t) {
                                                    if (!strand.running_in_this_thread())
                                                        always_inside = false;
                                                    ++(ec ? expired : received);
                                                    next(round + 1);
                                                }));
    };
    std::function<void(int)> send = [&, &end = sender](int round) {
        if (round == rounds)
            return;
        end.async_send(net::buffer(out), [&, round](error_code, std::size_t) { send(round + 1); });
    };
    net::post(strand, [&] { next(0); });
    send(0);
    std::thread second([&] { ctx.run(); });
    ctx.run();
    second.join();
    BOOST_TEST(expired + received == rounds);
    BOOST_TEST(always_inside.load());
}

#endif

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
