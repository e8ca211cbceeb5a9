// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/full_socket.hpp"
#include "support/handler_checks.hpp"
#include "support/owned_outcome.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <safer_ring/asio/owned_buffers.hpp>
#include <safer_ring/asio/zero_copy.hpp>
#include <safer_ring/ring/buffer_pool.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <utility>

// Sending from the buffer itself, which comes back when the network has done with it.
namespace conformance {
namespace {

using safer_ring::async_send_zero_copy;
using safer_ring::buffer_pool;
using safer_ring::owned_buffer;
using safer_ring::shared_buffer;
using test_support::connected_pair;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until;
using test_support::running_context;
using test_support::wait_for;

template <class Buffer = owned_buffer>
using outcome = test_support::owned_outcome<Buffer>;

constexpr std::size_t message_bytes = 16384; // Goes into the queue of every socket at once.

/// Two connected sockets, and buffers that tell when they are back.
template <class Ctx, class Socket = socket_of<Ctx>>
struct connected {
    connected()
    {
        auto [first, second] = connected_pair<Socket>(*ctx);
        near.emplace(std::move(first));
        far.emplace(std::move(second));
    }

    owned_buffer take(char value, std::size_t size_bytes = message_bytes)
    {
        std::optional<owned_buffer> buffer = pool.try_acquire();
        BOOST_REQUIRE(buffer);
        buffer->resize(size_bytes);
        std::memset(buffer->data(), value, size_bytes);
        return std::move(*buffer);
    }
    std::size_t missing() const { return pool.statistics().count - pool.statistics().available; }
    template <class Outcome>
    void run(const Outcome& o)
    {
        run_until(*ctx, [&] { return o.done; });
    }
    /// What the kernel does meanwhile is not waited for.
    void poll()
    {
        for (int i = 0; i != 20; ++i) {
            ctx->restart();
            ctx->poll();
        }
    }
    /// Lets the context run meanwhile: requests go on in its thread.
    std::string receive(std::size_t size_bytes)
    {
        std::string bytes(size_bytes, '\0');
        far->non_blocking(true);
        for (std::size_t n = 0; n != size_bytes;) {
            error_code ec;
            n += far->read_some(net::buffer(bytes) + n, ec);
            if (ec == net::error::would_block) {
                ctx->restart();
                ctx->poll();
            } else {
                BOOST_REQUIRE(!ec);
            }
        }
        return bytes;
    }

    handler_checks checks;
    buffer_pool pool{4, message_bytes};
    std::optional<Ctx> ctx{std::in_place};
    std::optional<Socket> near, far;
};

std::atomic<int> sigpipes{0};
void count_sigpipe(int)
{
    ++sigpipes;
}

BOOST_AUTO_TEST_SUITE(zero_copy_send)

template <class Ctx, class Socket>
void sends_in_order_and_gives_back()
{
    connected<Ctx, Socket> c;
    outcome<> first, third;
    outcome<shared_buffer> second;
    io_result plain;
    const std::string last(message_bytes, 'd');
    owned_buffer buffer = c.take('a');
    const std::byte* const bytes = buffer.data();
    async_send_zero_copy(*c.near, std::move(buffer), c.checks.once(first.store()));
    async_send_zero_copy(*c.near, c.take('b').freeze(), c.checks.once(second.store()));
    async_send_zero_copy(*c.near, c.take('c'), c.checks.once(third.store()));
    c.near->async_send(net::buffer(last), c.checks.into(plain));
    BOOST_TEST(!first.done);
    test_support::run_until_done(*c.ctx, plain);
    for (const char value : {'a', 'b', 'c', 'd'})
        BOOST_TEST((c.receive(message_bytes) == std::string(message_bytes, value)));
    c.run(first);
    c.run(second);
    c.run(third);
    for (const auto& ec : {first.ec, second.ec, third.ec})
        BOOST_TEST(ec == error_code());
    BOOST_TEST(first.size == message_bytes);
    BOOST_TEST(first.buffer.data() == bytes);
    BOOST_TEST(first.buffer.size() == message_bytes);
    BOOST_TEST((second.buffer.text() == std::string(message_bytes, 'b')));
    BOOST_TEST(c.missing() == 3u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bytes_arrive_in_order_and_buffers_come_back, Ctx, contexts)
{
    sends_in_order_and_gives_back<Ctx, socket_of<Ctx>>();
    sends_in_order_and_gives_back<Ctx, local_socket_of<Ctx>>();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(datagrams_are_sent_as_such, Ctx, contexts)
{
    using socket = net::basic_datagram_socket<net::ip::udp, executor_of<Ctx>>;
    handler_checks checks;
    Ctx ctx;
    const net::ip::udp::endpoint any(net::ip::address_v4::loopback(), 0);
    socket near(ctx, any), far(ctx, any);
    near.connect(far.local_endpoint());
    outcome<> first, empty;
    async_send_zero_copy(near, owned_buffer::copy_of("one"), checks.once(first.store()));
    async_send_zero_copy(near, owned_buffer(0), checks.once(empty.store()));
    std::array<char, 10> bytes{};
    run_until(ctx, [&] { return empty.done; });
    BOOST_TEST(far.receive(net::buffer(bytes)) == 3u);
    BOOST_TEST(far.receive(net::buffer(bytes)) == 0u);
    run_until(ctx, [&] { return first.done; });
    BOOST_TEST(first.size == 3u);
    BOOST_TEST(empty.ec == error_code());
    BOOST_TEST(first.buffer.text() == "one");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(no_bytes_and_closed_sockets_give_the_buffer_back, Ctx, contexts)
{
    connected<Ctx> c;
    socket_of<Ctx> closed(*c.ctx);
    outcome<> nothing, of_closed;
    async_send_zero_copy(*c.near, c.take('x', 0), c.checks.once(nothing.store()));
    async_send_zero_copy(closed, c.take('x'), c.checks.once(of_closed.store()));
    c.ctx->run();
    BOOST_TEST(nothing.ec == error_code());
    BOOST_TEST(nothing.size == 0u);
    BOOST_TEST(of_closed.ec == net::error::bad_descriptor);
    BOOST_TEST(of_closed.buffer.size() == message_bytes);
    BOOST_TEST(nothing.buffer.capacity() == message_bytes);
}

/// While bytes wait for room at the peer they are the network's, and later sends,
/// close and destruction do not wait for it. What the peer of the same machine has
/// room for is copied.
BOOST_AUTO_TEST_CASE_TEMPLATE(buffer_comes_back_when_the_kernel_has_let_go, Ctx, our_contexts)
{
    if (!safer_ring::features::probe().zero_copy_send)
        SAFER_RING_SKIP("the kernel has no zero-copy send (Linux 6.0), or does not allow it");
    constexpr std::size_t large_bytes = 1 << 20;
    for (int way = 0; way != 4; ++way) {
        connected<Ctx> c;
        buffer_pool large(1, large_bytes);
        c.near->set_option(net::socket_base::send_buffer_size(4 * large_bytes));
        net::cancellation_signal signal;
        outcome<> sent;
        io_result plain;
        owned_buffer buffer = *large.try_acquire();
        std::memset(buffer.data(), 'z', large_bytes);
        async_send_zero_copy(
            *c.near, std::move(buffer),
            net::bind_cancellation_slot(signal.slot(), c.checks.once(sent.store())));
        c.near->async_send(net::buffer("plain", 5), c.checks.into(plain));
        test_support::run_until_done(*c.ctx, plain);
        BOOST_TEST(plain.ec == error_code());
        c.poll();
        BOOST_TEST(!sent.done);
        if (way == 0)
            c.near->cancel();
        else if (way == 1)
            signal.emit(net::cancellation_type::terminal);
        else if (way == 2)
            c.near->close();
        else
            c.near.reset();
        c.poll();
        BOOST_TEST(!sent.done);
        BOOST_TEST(large.statistics().available == 0u);
        std::string received;
        while (!received.ends_with("plain"))
            received += c.receive(std::max<std::size_t>(c.far->available(), 1));
        c.run(sent);
        BOOST_TEST(sent.ec == error_code());
        BOOST_TEST(sent.size > 0u);
        BOOST_TEST((received == std::string(sent.size, 'z') + "plain"));
        BOOST_TEST(sent.buffer.size() == large_bytes);
        sent.buffer = {};
        BOOST_TEST(large.statistics().available == 1u);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(send_that_waits_for_room_is_ended, Ctx, our_contexts)
{
    for (const bool non_blocking : {false, true}) {
        for (int way = 0; way != 5; ++way) {
            connected<Ctx> c;
            c.near->native_non_blocking(non_blocking);
            const std::size_t filled = test_support::fill_socket(c.near->native_handle());
            net::cancellation_signal signal;
            outcome<> first, second;
            async_send_zero_copy(
                *c.near, c.take('1'),
                net::bind_cancellation_slot(signal.slot(), c.checks.once(first.store())));
            async_send_zero_copy(*c.near, c.take('2'), c.checks.once(second.store()));
            c.poll();
            BOOST_TEST(!first.done);
            if (way == 0)
                c.near->cancel();
            else if (way == 1)
                signal.emit(net::cancellation_type::total);
            else if (way == 2)
                c.near->close();
            else if (way == 3)
                c.near.reset();
            if (way == 4 || way == 1)
                c.receive(filled);
            c.run(first);
            BOOST_TEST((first.ec == net::error::operation_aborted) == (way != 4));
            if (way == 4) {
                BOOST_TEST(first.size > 0u);
                c.receive(first.size);
            }
            if (way == 4 || way == 1)
                BOOST_TEST((c.receive(10) == "2222222222"));
            c.far.reset(); // Whatever is still under way is reset.
            c.run(second);
            first.buffer = {};
            second.buffer = {};
            BOOST_TEST(c.missing() == 0u);
        }
    }
}

/// What was started is attempted before the socket is closed, in order.
BOOST_AUTO_TEST_CASE_TEMPLATE(close_sends_what_was_started, Ctx, contexts)
{
    connected<Ctx> c;
    outcome<> sent;
    async_send_zero_copy(*c.near, c.take('s'), c.checks.once(sent.store()));
    c.near->close();
    BOOST_TEST((c.receive(message_bytes) == std::string(message_bytes, 's')));
    c.run(sent);
    BOOST_TEST(sent.ec == error_code());
    BOOST_TEST(sent.size == message_bytes);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(peer_that_has_gone_raises_no_signal, Ctx, contexts)
{
    const auto before = std::signal(SIGPIPE, count_sigpipe);
    sigpipes = 0;
    connected<Ctx, local_socket_of<Ctx>> local;
    connected<Ctx> tcp;
    outcome<> of_local, of_tcp;
    local.far->close();
    tcp.near->shutdown(net::socket_base::shutdown_send);
    async_send_zero_copy(*local.near, local.take('x'), local.checks.once(of_local.store()));
    async_send_zero_copy(*tcp.near, tcp.take('x'), tcp.checks.once(of_tcp.store()));
    local.run(of_local);
    tcp.run(of_tcp);
    BOOST_TEST(of_local.ec == net::error::broken_pipe);
    BOOST_TEST(of_tcp.ec == net::error::broken_pipe);
    BOOST_TEST(of_tcp.buffer.size() == message_bytes);
    BOOST_TEST(sigpipes == 0);
    std::signal(SIGPIPE, before);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_is_destroyed_with_bytes_on_their_way, Ctx, our_contexts)
{
    if (!safer_ring::features::probe().zero_copy_send)
        SAFER_RING_SKIP("the kernel has no zero-copy send (Linux 6.0), or does not allow it");
    connected<Ctx> c;
    buffer_pool large(2, 1 << 20);
    for (int i = 0; i != 2; ++i) // One is sent, and the other waits for room.
        async_send_zero_copy(*c.near, *large.try_acquire(), c.checks.never());
    c.poll();
    BOOST_TEST(large.statistics().available == 0u);
    // Nobody takes them: reset, so that the kernel lets go.
    c.far->set_option(net::socket_base::linger(true, 0));
    c.far->close();
    c.near.reset();
    c.far.reset();
    c.ctx.reset();
    BOOST_TEST(large.statistics().available == 2u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(deferred_one_sends_a_shared_buffer_each_time, Ctx, contexts)
{
    connected<Ctx> c;
    outcome<shared_buffer> first, second;
    const auto send = async_send_zero_copy(*c.near, c.take('s').freeze(), net::deferred);
    send(c.checks.once(first.store()));
    send(c.checks.once(second.store()));
    BOOST_TEST((c.receive(2 * message_bytes) == std::string(2 * message_bytes, 's')));
    c.run(first);
    c.run(second);
    BOOST_TEST(first.size == message_bytes);
    BOOST_TEST(second.buffer.size() == message_bytes);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_kind_of_token_is_taken, Ctx, contexts)
{
    connected<Ctx> c;
    std::string received;
    {
        running_context<Ctx> running(*c.ctx);
        auto sent = async_send_zero_copy(*c.near, c.take('f'), net::use_future);
        received = c.receive(message_bytes);
        BOOST_TEST(std::get<0>(wait_for(sent)) == message_bytes);
    }
    BOOST_TEST((received == std::string(message_bytes, 'f')));
    bool ended = false;
    net::co_spawn(
        *c.ctx,
        [&]() -> net::awaitable<void> {
            std::string bytes(2, '\0');
            auto later = async_send_zero_copy(*c.near, c.take('d', 2), net::deferred);
            c.far->non_blocking(false);
            std::thread reader([&] { net::read(*c.far, net::buffer(bytes)); });
            auto [n, back] = co_await std::move(later)(net::use_awaitable);
            reader.join();
            BOOST_TEST(bytes == "dd");
            BOOST_TEST(n == 2u);
            BOOST_TEST(back.size() == 2u);
            c.near->close();
            auto [ec, none, buffer] = co_await async_send_zero_copy(
                *c.near, std::move(back), net::as_tuple(net::use_awaitable));
            BOOST_TEST(ec == net::error::bad_descriptor);
            BOOST_TEST(none == 0u);
            BOOST_TEST(buffer.size() == 2u);
        },
        [&](std::exception_ptr e) {
            ended = true;
            BOOST_TEST(!e);
        });
    c.ctx->restart();
    c.ctx->run();
    BOOST_TEST(ended);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
