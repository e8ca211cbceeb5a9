// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/simulated_context.hpp"

#include "support/handler_checks.hpp"
#include "support/owned_outcome.hpp"

#include <safer_ring/asio/owned_buffers.hpp>
#include <safer_ring/asio/splice.hpp>
#include <safer_ring/asio/zero_copy.hpp>
#include <safer_ring/ring/buffer_pool.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/test/unit_test.hpp>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// Zero-copy sends whose memory the kernel lets go of late or never, and splices, on
// a kernel that does what a test tells it.
using namespace simulated;
using safer_ring::async_send_zero_copy;
using safer_ring::owned_buffer;
using test_support::handler_checks;
using test_support::io_result;

namespace {

using outcome = test_support::owned_outcome<>;

simulation_plan plan_with_zero_copy(std::uint64_t seed = 1)
{
    simulation_plan plan;
    plan.seed = seed;
    plan.zero_copy_send = true;
    return plan;
}

/// A socket with a peer, and buffers that tell when they are back.
struct sender {
    explicit sender(const simulation_plan& plan = plan_with_zero_copy(),
                    const options& settings = small_options())
        : ring(settings, plan)
    {
        auto [ours, theirs] = test_support::local_descriptor_pair();
        socket.emplace(*ring.context, net::local::stream_protocol(), ours.release());
        peer = std::move(theirs);
    }
    owned_buffer take(std::string_view text)
    {
        owned_buffer buffer = *pool.try_acquire();
        buffer.resize(text.size());
        std::memcpy(buffer.data(), text.data(), text.size());
        return buffer;
    }
    std::size_t missing() const { return pool.statistics().count - pool.statistics().available; }
    std::string receive()
    {
        char bytes[256];
        const ssize_t n = ::recv(peer.get(), bytes, sizeof bytes, MSG_DONTWAIT);
        return std::string(bytes, n > 0 ? static_cast<std::size_t>(n) : 0);
    }

    handler_checks checks;
    safer_ring::buffer_pool pool{8, 64};
    simulated_context ring;
    std::optional<local_socket> socket;
    test_support::unique_descriptor peer;
};

} // namespace

BOOST_AUTO_TEST_SUITE(zero_copy_sends)

BOOST_AUTO_TEST_CASE(handler_comes_with_the_notification_and_holds_up_no_other_send)
{
    sender s;
    outcome first, second;
    io_result plain;
    s.ring.kernel->hold_notifications();
    async_send_zero_copy(*s.socket, s.take("one"), s.checks.once(first.store()));
    s.socket->async_send(net::buffer("two", 3), s.checks.into(plain));
    async_send_zero_copy(*s.socket, s.take("three"), s.checks.once(second.store()));
    s.ring.settle();
    BOOST_TEST(plain.done);
    BOOST_TEST(!first.done);
    BOOST_TEST(!second.done);
    BOOST_TEST(s.missing() == 2U);
    BOOST_TEST(s.receive() == "onetwothree");
    s.ring.kernel->release();
    s.ring.settle();
    BOOST_TEST(first.size == 3U);
    BOOST_TEST(first.buffer.text() == "one");
    BOOST_TEST(second.size == 5U);
    BOOST_TEST(s.ring.everything_is_back());
}

BOOST_AUTO_TEST_CASE(nothing_that_ends_the_socket_waits_for_the_notification_or_loses_the_result)
{
    for (int way = 0; way != 4; ++way) {
        sender s;
        net::cancellation_signal signal;
        outcome sent;
        s.ring.kernel->hold_notifications();
        async_send_zero_copy(
            *s.socket, s.take("sent"),
            net::bind_cancellation_slot(signal.slot(), s.checks.once(sent.store())));
        s.ring.settle();
        if (way == 0)
            s.socket->cancel();
        else if (way == 1)
            signal.emit(net::cancellation_type::terminal);
        else if (way == 2)
            s.socket->close();
        else
            s.socket.reset();
        s.ring.settle();
        // Nothing is left to cancel, and nobody tries.
        BOOST_TEST(s.ring.kernel->count(opcode::async_cancel) == 0U);
        BOOST_TEST(!sent.done);
        BOOST_TEST(s.missing() == 1U);
        s.ring.kernel->release();
        s.ring.settle();
        BOOST_TEST(sent.ec == error_code());
        BOOST_TEST(sent.size == 4U);
        BOOST_TEST(sent.buffer.text() == "sent");
    }
}

/// The first completion comes when it is to be cancelled already.
BOOST_AUTO_TEST_CASE(what_was_sent_although_cancelled_is_told)
{
    for (const bool close : {false, true}) {
        sender s;
        outcome sent;
        s.ring.kernel->hold(opcode::send_zc);
        async_send_zero_copy(*s.socket, s.take("sent"), s.checks.once(sent.store()));
        s.ring.poll();
        if (close)
            s.socket->close();
        else
            s.socket->cancel();
        s.ring.poll();
        BOOST_TEST(!sent.done);
        BOOST_TEST(s.missing() == 1U);
        s.ring.kernel->release();
        s.ring.settle();
        BOOST_TEST(s.receive() == "sent");
        BOOST_TEST(sent.ec == (close ? error_code(net::error::operation_aborted) : error_code()));
        BOOST_TEST(sent.buffer.text() == "sent");
    }
}

/// It may come with the very call that brings the cancellation to the kernel, too.
BOOST_AUTO_TEST_CASE(what_is_sent_while_it_is_cancelled_by_slot_is_told)
{
    unsigned sent_all_the_same = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        simulation_plan plan = plan_with_zero_copy(seed);
        plan.late_completion = 0.7;
        sender s(plan);
        s.ring.kernel->hold_notifications();
        net::cancellation_signal signal;
        outcome sent;
        async_send_zero_copy(
            *s.socket, s.take("sent"),
            net::bind_cancellation_slot(signal.slot(), s.checks.once(sent.store())));
        s.ring.poll();
        signal.emit(net::cancellation_type::terminal);
        s.ring.settle();
        s.ring.kernel->release();
        s.ring.settle();
        const bool arrived = s.receive() == "sent";
        sent_all_the_same += arrived;
        BOOST_TEST(sent.ec == (arrived ? error_code() : net::error::operation_aborted));
        BOOST_TEST(sent.size == (arrived ? 4U : 0U));
        BOOST_TEST(s.ring.everything_is_back());
    }
    BOOST_TEST(sent_all_the_same != 0U);
}

BOOST_AUTO_TEST_CASE(failed_zero_copy_send_becomes_a_copying_one)
{
    for (const int error : {EOPNOTSUPP, EINVAL, ENOBUFS, ENOMEM}) {
        sender s;
        outcome sent;
        io_result plain;
        s.ring.kernel->fail_nth(opcode::send_zc, 1, error);
        async_send_zero_copy(*s.socket, s.take("one"), s.checks.once(sent.store()));
        s.socket->async_send(net::buffer("two", 3), s.checks.into(plain));
        s.ring.settle();
        BOOST_TEST(sent.ec == error_code());
        BOOST_TEST(sent.size == 3U);
        BOOST_TEST(s.receive() == "onetwo");
    }
    sender without((simulation_plan()));
    outcome sent;
    async_send_zero_copy(*without.socket, without.take("one"), without.checks.once(sent.store()));
    without.ring.settle();
    BOOST_TEST(sent.size == 3U);
    BOOST_TEST(without.ring.kernel->count(opcode::send_zc) == 0U);
}

/// EAGAIN, EINTR and what a thread's end brings, each with a notification of its own.
BOOST_AUTO_TEST_CASE(all_bytes_arrive_in_order_whatever_happens)
{
    for (std::uint64_t seed = 1; seed != 60; ++seed) {
        simulation_plan plan = simulation_plan::random(seed);
        plan.zero_copy_send = true;
        plan.connection_error = 0;
        plan.enter_error = 0;
        BOOST_TEST_CONTEXT(plan.describe())
        {
            sender s(plan);
            std::vector<outcome> sent(6);
            std::string expected, received;
            for (std::size_t i = 0; i != sent.size(); ++i)
                async_send_zero_copy(*s.socket, s.take("message " + std::to_string(i)),
                                     s.checks.once(sent[i].store()));
            for (int i = 0; i != 50; ++i) {
                s.ring.settle();
                received += s.receive();
            }
            for (std::size_t i = 0; i != sent.size(); ++i) {
                BOOST_TEST(sent[i].ec == error_code());
                expected += sent[i].buffer.text().substr(0, sent[i].size);
            }
            BOOST_TEST(received == expected);
            BOOST_TEST(s.ring.everything_is_back());
        }
    }
}

BOOST_AUTO_TEST_CASE(memory_is_set_aside_with_a_context_that_cannot_wait)
{
    options settings = small_options();
    settings.drain_deadline_ms = 1;
    sender s(plan_with_zero_copy(), settings);
    s.ring.kernel->hold_notifications();
    async_send_zero_copy(*s.socket, s.take("sent"), s.checks.never());
    async_send_zero_copy(*s.socket, s.take("again").freeze(), s.checks.never());
    s.ring.settle();
    BOOST_TEST(s.receive() == "sentagain");
    s.socket.reset();
    s.ring.context.reset();
    BOOST_TEST(s.missing() == 2U);
    BOOST_TEST(safer_ring::ring::quarantine::reclaim() == 1U);
    BOOST_TEST(s.missing() == 2U);
    s.ring.kernel->release();     // It reads the memory once more.
    const simulated_context next; // Looks what can be freed meanwhile.
    BOOST_TEST(s.missing() == 0U);
    BOOST_TEST(safer_ring::ring::quarantine::reclaim() == 0U);
}

BOOST_AUTO_TEST_CASE(context_waits_for_the_notification_when_it_is_destroyed)
{
    sender s;
    async_send_zero_copy(*s.socket, s.take("sent"), s.checks.never());
    s.socket.reset();
    s.ring.context.reset();
    BOOST_TEST(s.missing() == 0U);
    BOOST_TEST(safer_ring::ring::quarantine::reclaim() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(splices)

namespace {

struct pipe_of_context {
    explicit pipe_of_context(safer_ring::io_context& context) : reader(context), writer(context)
    {
        net::connect_pipe(reader, writer);
    }
    net::basic_readable_pipe<executor> reader;
    net::basic_writable_pipe<executor> writer;
};

} // namespace

/// One request for each side that it waits for, and none in vain.
BOOST_AUTO_TEST_CASE(splice_waits_for_the_side_that_is_missing)
{
    simulated_context ring;
    handler_checks checks;
    pipe_of_context from(*ring.context), to(*ring.context);
    io_result moved;
    safer_ring::async_splice(from.reader, to.writer, 10, checks.into(moved));
    ring.settle();
    BOOST_TEST(ring.kernel->count(opcode::poll_add) == 1U);
    BOOST_TEST(!moved.done);
    net::write(from.writer, net::buffer("abc", 3));
    ring.settle();
    BOOST_TEST(moved.bytes == 3U);
    BOOST_TEST(ring.kernel->count(opcode::poll_add) == 1U);
    BOOST_TEST(ring.everything_is_back());
}

/// What a cancelled receive has left comes before what the socket has.
BOOST_AUTO_TEST_CASE(splice_begins_with_what_a_cancelled_receive_left)
{
    for (const bool in_line : {false, true}) {
        simulated_context ring;
        handler_checks checks;
        auto [ours, theirs] = test_support::local_descriptor_pair();
        local_socket socket(*ring.context, net::local::stream_protocol(), ours.release());
        pipe_of_context to(*ring.context), other(*ring.context);
        char byte[16];
        io_result received, first, second, before;
        ring.kernel->hold(opcode::recv);
        socket.async_receive(net::buffer(byte), checks.into(received));
        ring.poll();
        socket.cancel();
        ring.poll();
        BOOST_REQUIRE(::send(theirs.get(), "left", 4, 0) == 4);
        ring.kernel->release();
        ring.settle();
        BOOST_TEST(received.ec == net::error::operation_aborted);
        if (in_line)
            safer_ring::async_splice(other.reader, to.writer, 10, checks.into(before));
        safer_ring::async_splice(socket, to.writer, 3, checks.into(first));
        safer_ring::async_splice(socket, to.writer, 10, checks.into(second));
        if (in_line) {
            ring.settle();
            BOOST_TEST(!first.done);
            net::write(other.writer, net::buffer("0", 1));
        }
        ring.settle();
        BOOST_TEST(first.bytes == 3U);
        BOOST_TEST(second.bytes == 1U);
        std::string bytes(in_line ? 5 : 4, '\0');
        net::read(to.reader, net::buffer(bytes));
        BOOST_TEST(bytes == (in_line ? "0left" : "left"));
    }
}

BOOST_AUTO_TEST_SUITE_END()
