// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/counting_allocator.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

// Memory that was lent to an operation is left alone once the operation has
// been ended, whatever the peer does then.
namespace conformance {
namespace {

using test_support::connect_to_peer;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

constexpr std::size_t read_sizes[] = {16, 512, 4096, 65536, 1 << 20};

template <class Ctx>
struct session {
    session(Ctx& ctx, test_support::unique_descriptor fd, std::size_t size)
        : buffer(size, '\0'), socket(ctx, tcp::v4(), fd.release())
    {
    }
    // The socket goes first: until its destructor has returned, another thread
    // may be writing to the buffer.
    std::string buffer;
    socket_of<Ctx> socket;
};

bool all_are(const std::string& bytes, char value)
{
    return std::all_of(bytes.begin(), bytes.end(), [&](char byte) { return byte == value; });
}

/// Has a read pending, calls `end` to end it, gives the memory to somebody
/// else, lets the peer send, and expects that the memory does not change.
template <class Ctx, class End>
void expect_read_memory_untouched(End end)
{
    for (const std::size_t size : read_sizes)
        for (const bool seen_by_run : {false, true}) {
            handler_checks checks;
            Ctx ctx;
            auto [fd, peer_fd] = test_support::tcp_descriptor_pair();
            test_support::blocking_peer peer(std::move(peer_fd));
            auto owner = std::make_unique<session<Ctx>>(ctx, std::move(fd), size);
            io_result read;
            net::cancellation_signal signal;
            owner->socket.async_read_some(
                net::buffer(owner->buffer),
                net::bind_cancellation_slot(signal.slot(), checks.into(read)));
            if (seen_by_run)
                ctx.poll();
            std::string reused = std::move(owner->buffer);
            end(owner, signal);
            std::fill(reused.begin(), reused.end(), '#');
            try {
                peer.write(std::string(size, 'x'));
            } catch (const std::system_error&) {
                // The connection may be gone already.
            }
            ctx.restart();
            run_until_done(ctx, read);
            ctx.restart();
            ctx.poll();
            BOOST_TEST(read.ec == net::error::operation_aborted);
            BOOST_TEST(all_are(reused, '#'));
        }
}

BOOST_AUTO_TEST_SUITE(buffers)

BOOST_AUTO_TEST_CASE_TEMPLATE(memory_of_a_destroyed_session_is_left_alone, Ctx, contexts)
{
    expect_read_memory_untouched<Ctx>([](auto& owner, auto&) { owner.reset(); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(memory_is_left_alone_after_close, Ctx, contexts)
{
    expect_read_memory_untouched<Ctx>([](auto& owner, auto&) { owner->socket.close(); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(memory_is_left_alone_after_cancel, Ctx, contexts)
{
    expect_read_memory_untouched<Ctx>([](auto& owner, auto&) { owner->socket.cancel(); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(memory_is_left_alone_after_a_signal, Ctx, contexts)
{
    expect_read_memory_untouched<Ctx>(
        [](auto&, auto& signal) { signal.emit(net::cancellation_type::total); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(memory_is_left_alone_after_release, Ctx, contexts)
{
    expect_read_memory_untouched<Ctx>(
        [](auto& owner, auto&) { test_support::unique_descriptor fd(owner->socket.release()); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(memory_is_left_alone_after_move_assignment, Ctx, contexts)
{
    expect_read_memory_untouched<Ctx>(
        [](auto& owner, auto&) { owner->socket = socket_of<Ctx>(owner->socket.get_executor()); });
}

// The buffer really is freed here, so that AddressSanitizer sees a late write.
BOOST_AUTO_TEST_CASE_TEMPLATE(memory_of_a_session_may_be_freed_with_it, Ctx, contexts)
{
    for (const std::size_t size : read_sizes) {
        handler_checks checks;
        Ctx ctx;
        auto [fd, peer_fd] = test_support::tcp_descriptor_pair();
        test_support::blocking_peer peer(std::move(peer_fd));
        auto owner = std::make_unique<session<Ctx>>(ctx, std::move(fd), size);
        io_result read, write;
        const auto large = std::make_unique<std::string>(16 << 20, 'w');
        auto sent = std::make_unique<std::string>(*large);
        owner->socket.async_read_some(net::buffer(owner->buffer), checks.into(read));
        net::async_write(owner->socket, net::buffer(*sent), checks.into(write));
        ctx.poll();
        owner.reset();
        sent.reset();
        const std::string got = peer.read_to_end_or_reset();
        BOOST_TEST(all_are(got, 'w'));
        ctx.restart();
        ctx.run();
        BOOST_TEST(read.ec == net::error::operation_aborted);
        BOOST_TEST(write.ec == net::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nothing_is_sent_from_memory_of_an_ended_write, Ctx, contexts)
{
    using end_function = std::function<void(socket_of<Ctx>&, net::cancellation_signal&)>;
    const end_function ends[] = {
        [](auto& socket, auto&) { socket.cancel(); },
        [](auto& socket, auto&) { socket.close(); },
        [](auto&, auto& signal) { signal.emit(net::cancellation_type::terminal); },
    };
    for (const auto& end : ends) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::string large(16 << 20, 'w');
        io_result write;
        net::cancellation_signal signal;
        net::async_write(socket, net::buffer(large),
                         net::bind_cancellation_slot(signal.slot(), checks.into(write)));
        ctx.poll();
        BOOST_TEST(!write.done);
        end(socket, signal);
        std::fill(large.begin(), large.end(), '#');
        ctx.restart();
        ctx.run();
        BOOST_TEST(write.ec == net::error::operation_aborted);
        socket.close();
        const std::string got = peer.read_to_end();
        BOOST_TEST(got.size() == write.bytes);
        BOOST_TEST(all_are(got, 'w'));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(endpoint_of_an_ended_accept_is_left_alone, Ctx, contexts)
{
    for (const bool close : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        auto acceptor = loopback_acceptor(ctx);
        const auto port = acceptor.local_endpoint().port();
        auto from = std::make_unique<tcp::endpoint>();
        const tcp::endpoint own(net::ip::address_v4::broadcast(), 99);
        socket_of<Ctx> server(ctx);
        io_result accept;
        acceptor.async_accept(server, *from, checks.into(accept));
        ctx.poll();
        if (close)
            acceptor.close();
        else
            acceptor.cancel();
        *from = own;
        test_support::unique_descriptor client;
        try {
            client = test_support::loopback_client(port);
        } catch (const std::system_error&) {
            // The port is free when the acceptor has been closed.
            BOOST_TEST(close);
        }
        ctx.restart();
        ctx.run();
        BOOST_TEST(accept.ec == net::error::operation_aborted);
        BOOST_TEST((*from == own));
        BOOST_TEST(!server.is_open());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(memory_is_left_alone_after_the_context_is_gone, Ctx, contexts)
{
    handler_checks checks;
    std::vector<test_support::blocking_peer> peers;
    std::vector<std::string> memory(50, std::string(4096, '\0'));
    {
        Ctx ctx;
        std::vector<std::unique_ptr<socket_of<Ctx>>> sockets;
        for (auto& bytes : memory) {
            auto [fd, peer_fd] = test_support::tcp_descriptor_pair();
            // The handler owns the socket, so that only the context ends the read.
            auto socket = std::make_shared<socket_of<Ctx>>(ctx, tcp::v4(), fd.release());
            auto& target = *socket;
            target.async_read_some(net::buffer(bytes), checks.never_with(std::move(socket)));
            peers.emplace_back(std::move(peer_fd));
        }
        ctx.poll();
    }
    for (auto& bytes : memory)
        std::fill(bytes.begin(), bytes.end(), '#');
    for (auto& peer : peers) {
        BOOST_TEST(peer.read_to_end() == "");
        try {
            peer.write("x");
        } catch (const std::system_error&) {
            // The connection may be gone already.
        }
    }
    for (const auto& bytes : memory)
        BOOST_TEST(all_are(bytes, '#'));
}

// One thread destroys sessions and frees their memory while another completes
// their reads.
BOOST_AUTO_TEST_CASE_TEMPLATE(sessions_are_destroyed_while_another_thread_completes_them, Ctx,
                              contexts)
{
    Ctx ctx;
    test_support::running_context runner(ctx);
    std::atomic<int> handlers{0};
    std::atomic<int> unexpected{0};
    constexpr int rounds = 300;
    for (int round = 0; round < rounds; ++round) {
        auto [fd, peer_fd] = test_support::tcp_descriptor_pair();
        test_support::blocking_peer peer(std::move(peer_fd));
        auto owner = std::make_unique<session<Ctx>>(ctx, std::move(fd), 256);
        owner->socket.async_read_some(net::buffer(owner->buffer), [&](error_code ec, std::size_t) {
            if (ec && ec != net::error::operation_aborted)
                ++unexpected;
            ++handlers;
        });
        peer.write("some data");
        owner.reset();
    }
    runner.join();
    BOOST_TEST(handlers == rounds);
    BOOST_TEST(unexpected == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_size_arrives_unchanged, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [first, second] = test_support::connected_pair<socket_of<Ctx>>(ctx);
    constexpr std::size_t sizes[] = {1,     2,     511,   512,   513,    4095,
                                     4096,  4097,  8191,  8192,  16384,  16385,
                                     32768, 65535, 65536, 65537, 262144, 1048577};
    for (const std::size_t size : sizes) {
        std::string sent(size, '\0');
        for (std::size_t i = 0; i < size; ++i)
            sent[i] = static_cast<char>(i * 31 + size);
        std::string got(size + 16, '#');
        io_result write, read;
        net::async_write(first, net::buffer(sent), checks.into(write));
        net::async_read(second, net::buffer(got.data(), size), checks.into(read));
        ctx.restart();
        ctx.run();
        BOOST_TEST(write.bytes == size);
        BOOST_TEST(read.bytes == size);
        BOOST_TEST((got.substr(0, size) == sent));
        BOOST_TEST(all_are(got.substr(size), '#'));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(read_into_more_memory_than_came_leaves_the_rest_alone, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    for (const std::size_t size : read_sizes) {
        std::string memory(size, '#');
        io_result read;
        socket.async_read_some(net::buffer(memory), checks.into(read));
        peer.write("1234567");
        ctx.restart();
        ctx.run();
        BOOST_TEST(read.bytes == 7u);
        BOOST_TEST(memory.substr(0, 7) == "1234567");
        BOOST_TEST(all_are(memory.substr(7), '#'));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(written_memory_may_be_changed_in_the_handler, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::string memory(1000, 'a');
    std::function<void()> write = [&, &end = socket] {
        net::async_write(end, net::buffer(memory), [&](error_code ec, std::size_t) {
            BOOST_TEST(ec == error_code());
            if (memory[0] == 'z')
                return;
            std::fill(memory.begin(), memory.end(), static_cast<char>(memory[0] + 1));
            write();
        });
    };
    write();
    ctx.run();
    for (char letter = 'a'; letter <= 'z'; ++letter)
        BOOST_TEST((peer.read(1000) == std::string(1000, letter)));
}

/// What lies in the queue of the socket is the caller's until the kernel says that it is
/// done with it.
BOOST_AUTO_TEST_CASE_TEMPLATE(zero_copy_by_flag_sends_from_the_callers_memory, Ctx, contexts)
{
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    // So small that most of what is sent has to wait for the reader.
    acceptor.set_option(net::socket_base::receive_buffer_size(4096));
    socket_of<Ctx> socket(ctx), peer(ctx);
    socket.connect(acceptor.local_endpoint());
    acceptor.accept(peer);
    const int on = 1;
    if (::setsockopt(socket.native_handle(), SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) != 0)
        SAFER_RING_SKIP("the kernel has no SO_ZEROCOPY");
    socket.set_option(net::socket_base::send_buffer_size(400'000));
    std::string sent(64'000, '.');
    net::write(socket, net::buffer(sent));
    std::deque<std::string> parts;
    for (char c = 'a'; c <= 'z'; ++c) {
        const std::string& part = parts.emplace_back(500, c);
        io_result result;
        const auto sends = [&](const auto& buffers) {
            socket.async_send(buffers, MSG_ZEROCOPY,
                              [&](error_code ec, std::size_t n) { result.store(ec, n); });
        };
        if (c % 2 == 0)
            sends(net::buffer(part));
        else
            sends(std::array<net::const_buffer, 2>{net::buffer(part, 1), net::buffer(part) + 1});
        run_until_done(ctx, result);
        BOOST_TEST(result.ec == error_code());
        BOOST_REQUIRE(result.bytes == part.size());
        sent += part;
    }
    std::string got(sent.size(), '\0');
    net::read(peer, net::buffer(got));
    BOOST_TEST((got == sent));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bytes_that_are_only_counted_go_nowhere, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    peer.write("abcdefgh");
    std::string room(8, '#');
    io_result counted, read;
    socket.async_receive(net::buffer(room, 4), MSG_TRUNC, checks.into(counted));
    run_until_done(ctx, counted);
    BOOST_TEST(counted.ec == error_code());
    BOOST_TEST(counted.bytes == 4u);
    BOOST_TEST(room == "########");
    socket.async_receive(net::buffer(room), checks.into(read));
    run_until_done(ctx, read);
    BOOST_TEST(room.substr(0, read.bytes) == "efgh");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(associated_allocator_gives_the_memory_of_operations, Ctx, contexts)
{
    handler_checks checks;
    test_support::allocation_counts counts;
    const test_support::counting_allocator<> allocator(counts);
    Ctx ctx;
    auto connection = connect_to_peer<socket_of<Ctx>>(ctx);
    auto& socket = connection.socket;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> client(ctx), server(ctx);
    timer_of<Ctx> timer(ctx, std::chrono::milliseconds(1));
    std::array<char, 16> buffer{};
    int given_back = 0;
    int live_before = 0;
    // Each operation is run alone, so that its memory is the only one live.
    const auto run_alone = [&](auto start) {
        const int made = counts.made;
        live_before = counts.live;
        start(net::bind_allocator(
            allocator, checks.once([&](auto&&...) { given_back += counts.live == live_before; })));
        BOOST_TEST(counts.made > made);
        ctx.restart();
        ctx.run();
    };
    connection.peer.write("data");
    run_alone(
        [&](auto handler) { socket.async_read_some(net::buffer(buffer), std::move(handler)); });
    run_alone(
        [&](auto handler) { socket.async_write_some(net::buffer(buffer), std::move(handler)); });
    run_alone(
        [&](auto handler) { socket.async_wait(net::socket_base::wait_write, std::move(handler)); });
    run_alone(
        [&](auto handler) { client.async_connect(acceptor.local_endpoint(), std::move(handler)); });
    run_alone([&](auto handler) { acceptor.async_accept(server, std::move(handler)); });
    run_alone([&](auto handler) { timer.async_wait(std::move(handler)); });
    BOOST_TEST(given_back == 6);
    BOOST_TEST(counts.live == 0);
}

// A sequence of several buffers may convert to one as well. Older Boosts take it for the sequence,
// newer ones for that one buffer; how Asio walks over it tells which.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_sequence_that_also_converts_to_a_buffer_is_sent_as_asio_sees_it,
                              Ctx, contexts)
{
    struct both {
        std::array<net::const_buffer, 2> parts;
        auto begin() const { return parts.begin(); }
        auto end() const { return parts.end(); }
        operator net::const_buffer() const { return parts[0]; }
    };
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    const std::string first = "first, ";
    const std::string second = "second";
    const both sequence{{net::buffer(first), net::buffer(second)}};
    std::string expected;
    for (auto i = net::buffer_sequence_begin(sequence); i != net::buffer_sequence_end(sequence);
         ++i) {
        const net::const_buffer part(*i);
        expected.append(static_cast<const char*>(part.data()), part.size());
    }
    std::size_t sent = 0;
    socket.async_write_some(sequence, [&](error_code, std::size_t n) { sent = n; });
    ctx.run();
    BOOST_TEST(sent == expected.size());
    BOOST_TEST(peer.read(sent) == expected);
}

// A buffer type may own its memory: the operation keeps the whole of it.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_buffer_that_owns_its_memory_lives_as_long_as_the_operation, Ctx,
                              contexts)
{
    struct owner : net::mutable_buffer {
        explicit owner(std::shared_ptr<std::string> s)
            : net::mutable_buffer(net::buffer(*s)), kept(std::move(s))
        {
        }
        std::shared_ptr<std::string> kept;
    };
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    auto memory = std::make_shared<std::string>(8, '.');
    const std::weak_ptr<std::string> watched = memory;
    socket.async_read_some(owner(std::move(memory)), [](error_code, std::size_t) {});
    ctx.poll();
    BOOST_TEST(!watched.expired());
    peer.write("x");
    ctx.restart();
    ctx.run();
    BOOST_TEST(watched.expired());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
