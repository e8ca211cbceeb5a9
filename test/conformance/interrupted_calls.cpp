// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/socket_path.hpp"
#include "support/thread_state.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

// Synchronous calls in a handler, while something happens that interrupts its thread. A ring does
// that to the thread that submitted a request, to tell it of the end.
namespace conformance {
namespace {

using test_support::check_call;
using test_support::connect_to_peer;
using test_support::garbage_error;
using test_support::handler_checks;
using test_support::io_result;
using test_support::unique_descriptor;

/// A thread that calls in a handler; lets another know when it sleeps there.
class calling_thread {
public:
    void begin() { number_ = ::gettid(); }
    void end() { has_ended_ = true; }
    [[nodiscard]] bool has_ended() const { return has_ended_; }
    /// Or until the call has ended, which is then too early.
    void wait_until_it_sleeps() const
    {
        while (!has_ended_ && (number_ == 0 || !test_support::sleeps(number_)))
            std::this_thread::yield();
    }
    void interrupt(int signal) const
    {
        check_call(::syscall(SYS_tgkill, ::getpid(), number_.load(), signal), "tgkill", -1);
    }

private:
    std::atomic<pid_t> number_ = 0;
    std::atomic<bool> has_ended_ = false;
};

/// A blocking call in a handler, and a request of its thread that is under way meanwhile.
template <class Ctx>
struct call_in_a_handler {
    handler_checks checks;
    Ctx ctx;
    test_support::socket_and_peer<socket_of<Ctx>> pending = connect_to_peer<socket_of<Ctx>>(ctx);
    calling_thread caller;

    /// Calls, and has `meanwhile` called by another thread when the call sleeps. The thread that calls
    /// is a new one: the kernel interrupts those of an earlier test once more when it ends their ring.
    template <class Call, class Meanwhile>
    void run(Call call, Meanwhile meanwhile)
    {
        char byte = 0;
        io_result read;
        pending.socket.async_read_some(net::buffer(&byte, 1), checks.into(read));
        std::thread helper([&] {
            caller.wait_until_it_sleeps();
            meanwhile();
        });
        // The context has looked for what is there once, and then waits.
        timer_of<Ctx> timer(ctx, std::chrono::milliseconds(1));
        timer.async_wait(checks.once([&](error_code) {
            caller.begin();
            call();
            caller.end();
        }));
        std::thread([&] { ctx.run(); }).join();
        helper.join();
        BOOST_TEST(read.ec == error_code());
    }

    /// Has the request end, and waits until the call sleeps again.
    void complete_request()
    {
        pending.peer.write("x");
        pending.peer.wait_delivered();
        caller.wait_until_it_sleeps();
    }
};

/// Longer than any test takes.
void limit_time(int fd, int option)
{
    const timeval limit{test_support::watchdog_time.count(), 0};
    BOOST_REQUIRE(::setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit) == 0);
}

/// A handler that does not ask for calls to be begun again, of which those with a time limit take
/// no notice.
class handled_signal {
public:
    explicit handled_signal(int number) : number_(number)
    {
        was_handled_ = false;
        struct sigaction action = {};
        action.sa_handler = [](int) { was_handled_ = true; };
        BOOST_REQUIRE(::sigaction(number_, &action, &before_) == 0);
    }
    handled_signal(const handled_signal&) = delete;
    handled_signal& operator=(const handled_signal&) = delete;
    ~handled_signal() { ::sigaction(number_, &before_, nullptr); }
    static bool was_handled() { return was_handled_; }

private:
    inline static std::atomic<bool> was_handled_ = false;
    int number_;
    struct sigaction before_ = {};
};

/// Connects with a time limit to where there is no room, until a request has completed.
template <class Ctx, class Protocol>
void connect_when_there_is_room(const typename Protocol::endpoint& where)
{
    using acceptor_type = net::basic_socket_acceptor<Protocol, executor_of<Ctx>>;
    using socket_type = net::basic_stream_socket<Protocol, executor_of<Ctx>>;
    call_in_a_handler<Ctx> test;
    acceptor_type acceptor(test.ctx, where.protocol());
    acceptor.bind(where);
    acceptor.listen(0);
    socket_type takes_the_room(test.ctx), socket(test.ctx, where.protocol());
    takes_the_room.connect(acceptor.local_endpoint());
    limit_time(socket.native_handle(), SO_SNDTIMEO);
    const int listener = acceptor.native_handle();
    const auto accept_one = [listener] {
        return unique_descriptor(
            check_call(::accept(listener, nullptr, nullptr), "accept", listener));
    };
    error_code ec = garbage_error();
    test.run([&] { socket.connect(acceptor.local_endpoint(), ec); },
             [&] {
                 test.complete_request();
                 accept_one();
             });
    BOOST_TEST_REQUIRE(ec == error_code());
    test_support::blocking_peer peer(accept_one());
    peer.write("y");
    char byte = 0;
    BOOST_TEST(socket.receive(net::buffer(&byte, 1)) == 1u);
}

BOOST_AUTO_TEST_SUITE(interrupted_calls)

BOOST_AUTO_TEST_CASE_TEMPLATE(completions_do_not_cut_a_call_in_a_handler_short, Ctx, contexts)
{
    call_in_a_handler<Ctx> test;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(test.ctx);
    std::string text(100, '.');
    std::size_t received = 0;
    error_code ec = garbage_error();
    test.run([&, &from = socket] { received = from.receive(net::buffer(text), MSG_WAITALL, ec); },
             [&, &to = peer] {
                 to.write(std::string(50, 'a'));
                 to.wait_delivered();
                 test.caller.wait_until_it_sleeps();
                 test.complete_request();
                 to.write(std::string(50, 'b'));
             });
    BOOST_TEST(ec == error_code());
    BOOST_TEST(received == 100U);
    BOOST_TEST(text == std::string(50, 'a') + std::string(50, 'b'));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(completions_do_not_interrupt_a_call_with_a_time_limit, Ctx, contexts)
{
    call_in_a_handler<Ctx> test;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(test.ctx);
    limit_time(socket.native_handle(), SO_RCVTIMEO);
    error_code ec = garbage_error();
    std::size_t received = 0;
    char late = 0;
    test.run([&, &from = socket] { received = from.read_some(net::buffer(&late, 1), ec); },
             [&, &to = peer] {
                 test.complete_request();
                 to.write("y");
             });
    BOOST_TEST(ec == error_code());
    BOOST_TEST(received == 1U);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(completions_do_not_interrupt_a_descriptor_with_a_time_limit, Ctx,
                              contexts)
{
    call_in_a_handler<Ctx> test;
    auto [one, other] = test_support::local_descriptor_pair();
    limit_time(one.get(), SO_RCVTIMEO);
    net::posix::basic_stream_descriptor<executor_of<Ctx>> from(test.ctx, one.release());
    test_support::blocking_peer to(std::move(other));
    error_code ec = garbage_error();
    std::size_t received = 0;
    char late = 0;
    test.run([&] { received = from.read_some(net::buffer(&late, 1), ec); },
             [&] {
                 test.complete_request();
                 to.write("y");
             });
    BOOST_TEST(ec == error_code());
    BOOST_TEST(received == 1U);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(completions_do_not_interrupt_a_local_connect_with_a_time_limit, Ctx,
                              contexts)
{
    const test_support::socket_path path;
    connect_when_there_is_room<Ctx, net::local::stream_protocol>(path.string());
}

/// The kernel asks for room again after a second.
BOOST_AUTO_TEST_CASE_TEMPLATE(completions_do_not_interrupt_a_tcp_connect_with_a_time_limit, Ctx,
                              contexts)
{
    connect_when_there_is_room<Ctx, tcp>({net::ip::address_v4::loopback(), 0});
}

BOOST_AUTO_TEST_CASE_TEMPLATE(signals_interrupt_a_call_with_a_time_limit, Ctx, contexts)
{
    for (const bool behind_a_completion : {false, true}) {
        const handled_signal signal(SIGUSR1);
        call_in_a_handler<Ctx> test;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(test.ctx);
        limit_time(socket.native_handle(), SO_RCVTIMEO);
        error_code ec = garbage_error();
        char never = 0;
        test.run([&, &from = socket] { from.read_some(net::buffer(&never, 1), ec); },
                 [&, &to = peer] {
                     if (behind_a_completion)
                         test.complete_request();
                     test.caller.interrupt(SIGUSR1);
                     while (!signal.was_handled())
                         std::this_thread::yield();
                     test.caller.wait_until_it_sleeps();
                     if (!test.caller.has_ended())
                         to.write("y");
                     if (!behind_a_completion)
                         test.pending.peer.write("x");
                 });
        BOOST_TEST(ec == net::error::interrupted);
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
