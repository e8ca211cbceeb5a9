// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/asio.hpp>

#include "foreign_threads/channels.hpp"
#include "foreign_threads/rig.hpp"
#include "soak.hpp"

#include "support/connected_pair.hpp"
#include "support/needs_io_uring.hpp"
#include "support/watchdog.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include <fcntl.h>

// Four threads that do not run the context start operations of all kinds on
// the same objects, cancel them, and destroy what they are pending on.
namespace {

using namespace stress;
using namespace std::chrono_literals;
using executor = safer_ring::executor;
using tcp_socket = net::basic_stream_socket<net::ip::tcp, executor>;
using tcp_acceptor = net::basic_socket_acceptor<net::ip::tcp, executor>;
using local_socket = net::basic_stream_socket<net::local::stream_protocol, executor>;
using local_messages = net::basic_datagram_socket<net::local::datagram_protocol, executor>;
using udp_socket = net::basic_datagram_socket<net::ip::udp, executor>;
using reader_pipe = net::basic_readable_pipe<executor>;
using writer_pipe = net::basic_writable_pipe<executor>;
using resolver = net::ip::basic_resolver<net::ip::tcp, executor>;
using timer = net::basic_waitable_timer<std::chrono::steady_clock,
                                        net::wait_traits<std::chrono::steady_clock>, executor>;

using context_of_ours = safer_ring::io_context;

/// What waits to be read, at most: so little that writes have to wait as well.
constexpr int capacity_bytes = 4096;

template <class Socket>
std::pair<Socket, Socket> with_small_buffers(std::pair<Socket, Socket> ends)
{
    for (Socket* end : {&ends.first, &ends.second}) {
        end->set_option(net::socket_base::send_buffer_size(capacity_bytes));
        end->set_option(net::socket_base::receive_buffer_size(capacity_bytes));
    }
    return ends;
}

template <class Socket>
std::pair<Socket, Socket> stream_pair(context_of_ours& ring)
{
    return with_small_buffers(test_support::connected_pair<Socket>(ring));
}

std::pair<reader_pipe, writer_pipe> pipe_pair(context_of_ours& ring)
{
    std::pair<reader_pipe, writer_pipe> ends{reader_pipe(ring), writer_pipe(ring)};
    net::connect_pipe(ends.first, ends.second);
    ::fcntl(ends.second.native_handle(), F_SETPIPE_SZ, capacity_bytes);
    return ends;
}

std::pair<udp_socket, udp_socket> udp_pair(context_of_ours& ring)
{
    const net::ip::udp::endpoint any(net::ip::address_v4::loopback(), 0);
    return {udp_socket(ring, any), udp_socket(ring, any)};
}

std::pair<local_messages, local_messages> local_message_pair(context_of_ours& ring)
{
    std::pair<local_messages, local_messages> ends{local_messages(ring), local_messages(ring)};
    net::local::connect_pair(ends.first, ends.second);
    return with_small_buffers(std::move(ends));
}

/// The objects that all threads share, several of each kind.
class shared_objects : public channel_set {
public:
    shared_objects(context_of_ours& ring, complaints& wrong)
    {
        for (int i = 0; i < 3; ++i) {
            stream<tcp_socket, tcp_socket>("TCP", wrong,
                                           [&] { return stream_pair<tcp_socket>(ring); });
            stream<local_socket, local_socket>("local stream", wrong,
                                               [&] { return stream_pair<local_socket>(ring); });
            stream<reader_pipe, writer_pipe>("pipe", wrong, [&] { return pipe_pair(ring); });
        }
        for (int i = 0; i < 2; ++i) {
            messages<udp_socket>("UDP", wrong, [&] { return udp_pair(ring); });
            messages<local_messages>("local datagram", wrong,
                                     [&] { return local_message_pair(ring); });
            auto& waiting = add<timer_channel<timer, context_of_ours>>(ring, wrong);
            auto& looking = add<resolver_channel<resolver, context_of_ours>>(ring, wrong);
            account({&waiting.waits, &looking.lookups});
        }
        auto& connecting =
            add<connecting_channel<tcp_acceptor, tcp_socket, context_of_ours>>(ring, wrong);
        account({&connecting.accepts, &connecting.connects});
    }

private:
    template <class Reader, class Writer, class Connect>
    void stream(const char* name, complaints& wrong, Connect connect)
    {
        auto& made = add<stream_channel<Reader, Writer>>(name, wrong, connect);
        account({&made.reads, &made.writes});
    }
    template <class Socket, class Connect>
    void messages(const char* name, complaints& wrong, Connect connect)
    {
        auto& made = add<message_channel<Socket>>(name, wrong, connect);
        account({&made.receives, &made.sends});
    }
};

template <class Context>
void start_and_cancel_all(int runner_count)
{
    start_and_cancel<Context, shared_objects>(runner_count);
}

/// What one thread does with futures and objects of its own.
class user_of_futures {
public:
    user_of_futures(context_of_ours& ring, unsigned seed)
        : random_(seed), tcp_(stream_pair<tcp_socket>(ring)),
          local_(stream_pair<local_socket>(ring)), pipe_(pipe_pair(ring)), udp_(udp_pair(ring)),
          messages_(local_message_pair(ring)), timer_(ring), resolver_(ring)
    {
        udp_.first.connect(udp_.second.local_endpoint());
        udp_.second.connect(udp_.first.local_endpoint());
    }

    /// One round with each object. Throws what a future throws.
    void converse()
    {
        transfer_stream(tcp_.first, tcp_.second);
        transfer_stream(local_.second, local_.first);
        transfer_stream(pipe_.first, pipe_.second);
        transfer_message(udp_.first, udp_.second);
        transfer_message(messages_.second, messages_.first);
        const auto due = std::chrono::steady_clock::now() + 10us;
        timer_.expires_at(due);
        settled(timer_.async_wait(net::use_future));
        expect(std::chrono::steady_clock::now() >= due, "timer");
        timer_.expires_after(std::chrono::hours(1));
        auto wait = timer_.async_wait(net::use_future(its_error));
        timer_.cancel();
        expect_cancelled(std::move(wait));
        const auto found = settled(resolver_.async_resolve("127.0.0.1", "80", net::use_future));
        expect(found.begin()->endpoint().port() == 80, "resolver");
        ++rounds_;
    }

    unsigned rounds() const { return rounds_; }

private:
    static void expect(bool condition, const char* what)
    {
        if (!condition)
            throw std::runtime_error(std::string("wrong result: ") + what);
    }

    /// For the outcome as a value. As an exception it would look like a race to
    /// ThreadSanitizer, which does not see the counting of references inside of
    /// libstdc++'s exception_ptr.
    static constexpr auto its_error = [](const error_code& ec, auto...) { return ec; };

    static void expect_cancelled(std::future<error_code> future)
    {
        expect(settled(std::move(future)) == net::error::operation_aborted,
               "outcome of a cancelled operation");
    }

    static constexpr std::size_t longest = 1500;

    std::vector<byte> message()
    {
        std::vector<byte> made(1 + random_() % longest);
        for (byte& b : made)
            b = static_cast<byte>(random_());
        return made;
    }

    /// A read that is cancelled takes nothing from the one that follows.
    template <class Reader, class Writer>
    void transfer_stream(Reader& reader, Writer& writer)
    {
        std::array<byte, 64> none{};
        auto read = reader.async_read_some(net::buffer(none), net::use_future(its_error));
        reader.cancel();
        expect_cancelled(std::move(read));
        const auto sent = message();
        std::vector<byte> received(sent.size());
        auto whole = net::async_read(reader, net::buffer(received), net::use_future);
        expect(settled(net::async_write(writer, net::buffer(sent), net::use_future)) == sent.size(),
               "size written");
        expect(settled(std::move(whole)) == sent.size() && received == sent, "stream");
        expect(none == std::array<byte, 64>{}, "buffer of a cancelled read");
    }

    template <class Socket>
    void transfer_message(Socket& receiver, Socket& sender)
    {
        const auto sent = message();
        std::vector<byte> received(longest + 1);
        auto read = receiver.async_receive(net::buffer(received), net::use_future);
        expect(settled(sender.async_send(net::buffer(sent), net::use_future)) == sent.size(),
               "size sent");
        received.resize(settled(std::move(read)));
        expect(received == sent, "message");
    }

    std::minstd_rand random_;
    std::pair<tcp_socket, tcp_socket> tcp_;
    std::pair<local_socket, local_socket> local_;
    std::pair<reader_pipe, writer_pipe> pipe_;
    std::pair<udp_socket, udp_socket> udp_;
    std::pair<local_messages, local_messages> messages_;
    timer timer_;
    resolver resolver_;
    unsigned rounds_ = 0;
};

template <class Context>
void use_futures(int runner_count)
{
    complaints wrong;
    Context context(runner_count);
    std::deque<user_of_futures> users;
    for (unsigned i = 0; i < foreign_threads; ++i)
        users.emplace_back(context.ring, i + 1);
    runners<Context> running(context, runner_count, wrong);
    std::vector<std::thread> threads;
    for (user_of_futures& user : users)
        threads.emplace_back([&, rounds = is_full_run() ? 4'000u : 100u] {
            try {
                while (user.rounds() < rounds)
                    user.converse();
            } catch (const std::exception& e) {
                wrong.add(e.what());
            }
        });
    for (auto& thread : threads)
        thread.join();
    if (wrong.count() == 0)
        running.finish();
    report(wrong);
}

} // namespace

BOOST_AUTO_TEST_SUITE(foreign_threads, *test_support::needs_io_uring)

BOOST_AUTO_TEST_CASE(start_and_cancel_what_one_thread_runs)
{
    start_and_cancel_all<own_context>(1);
}

BOOST_AUTO_TEST_CASE(start_and_cancel_what_two_threads_run)
{
    start_and_cancel_all<own_context>(2);
}

BOOST_AUTO_TEST_CASE(start_and_cancel_on_an_attached_context)
{
    start_and_cancel_all<attached_context>(2);
}

BOOST_AUTO_TEST_CASE(wait_for_futures_of_what_one_thread_runs, *test_support::takes_long)
{
    use_futures<own_context>(1);
}

BOOST_AUTO_TEST_CASE(wait_for_futures_of_what_two_threads_run, *test_support::takes_long)
{
    use_futures<own_context>(2);
}

BOOST_AUTO_TEST_CASE(wait_for_futures_on_an_attached_context, *test_support::takes_long)
{
    use_futures<attached_context>(2);
}

BOOST_AUTO_TEST_SUITE_END()
