// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/counting_allocator.hpp"
#include "support/handler_checks.hpp"
#include "support/owned_outcome.hpp"
#include "support/run_until.hpp"

#include <safer_ring/asio/owned_buffers.hpp>
#include <safer_ring/ring/buffer_pool.hpp>

#include <boost/test/unit_test.hpp>

#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fcntl.h>

// Operations that own their buffer, on objects of Asio's own contexts as on ours.
namespace conformance {
namespace {

using safer_ring::append;
using safer_ring::buffer_pool;
using safer_ring::owned_buffer;
using safer_ring::shared_buffer;
using test_support::handler_checks;
using test_support::run_until;

template <class Buffer = owned_buffer>
using outcome = test_support::owned_outcome<Buffer>;

/// Two connected local stream sockets, and buffers that tell when they are back.
template <class Ctx>
struct connected {
    connected() { net::local::connect_pair(near, far); }

    owned_buffer take(std::size_t size = 64)
    {
        std::optional<owned_buffer> buffer = pool.try_acquire();
        BOOST_REQUIRE(buffer);
        buffer->resize(size);
        return std::move(*buffer);
    }
    owned_buffer take(std::string_view text)
    {
        owned_buffer buffer = take(text.size());
        std::memcpy(buffer.data(), text.data(), text.size());
        return buffer;
    }
    bool all_back() const { return pool.statistics().available == pool.statistics().count; }
    template <class Buffer>
    void run(const outcome<Buffer>& o)
    {
        run_until(*ctx, [&] { return o.done; });
    }

    handler_checks checks;
    buffer_pool pool{4, 64};
    std::optional<Ctx> ctx{std::in_place};
    local_socket_of<Ctx> near{*ctx}, far{*ctx};
};

BOOST_AUTO_TEST_SUITE(owned_buffers)

BOOST_AUTO_TEST_CASE_TEMPLATE(buffer_comes_back_as_long_as_what_was_read, Ctx, contexts)
{
    connected<Ctx> c;
    outcome<> read, written;
    owned_buffer buffer = c.take();
    const std::byte* const bytes = buffer.data();
    async_read_some(c.near, std::move(buffer), c.checks.once(read.store()));
    safer_ring::async_write(c.far, c.take("hello"), c.checks.once(written.store()));
    c.run(read);
    c.run(written);
    BOOST_TEST(read.ec == error_code());
    BOOST_TEST(read.size == 5U);
    BOOST_TEST(read.buffer.data() == bytes);
    BOOST_TEST(read.buffer.text() == "hello");
    BOOST_TEST(read.buffer.capacity() == 64U);
    BOOST_TEST(written.size == 5U);
    BOOST_TEST(written.buffer.text() == "hello");
    read = {};
    written = {};
    BOOST_TEST(c.all_back());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(read_fills_the_capacity_or_what_lies_behind_the_size, Ctx, contexts)
{
    connected<Ctx> c;
    outcome<> full, behind;
    net::write(c.far, net::buffer(std::string(64, 'x') + std::string(60, 'y')));
    safer_ring::async_read(c.near, c.take(1), c.checks.once(full.store()));
    c.run(full);
    BOOST_TEST(full.buffer.text() == std::string(64, 'x'));
    safer_ring::async_read(c.near, append(c.take("abcd")), c.checks.once(behind.store()));
    c.run(behind);
    BOOST_TEST(behind.size == 60U);
    BOOST_TEST(behind.buffer.text() == "abcd" + std::string(60, 'y'));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(end_of_the_stream_gives_what_came_before_it, Ctx, contexts)
{
    connected<Ctx> c;
    outcome<> read, next;
    net::write(c.far, net::buffer("end", 3));
    c.far.close();
    safer_ring::async_read(c.near, c.take(), c.checks.once(read.store()));
    c.run(read);
    BOOST_TEST(read.ec == net::error::eof);
    BOOST_TEST(read.buffer.text() == "end");
    async_read_some(c.near, append(std::move(read.buffer)), c.checks.once(next.store()));
    c.run(next);
    BOOST_TEST(next.ec == net::error::eof);
    BOOST_TEST(next.buffer.text() == "end");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(buffer_comes_back_from_whatever_ends_the_operation, Ctx, contexts)
{
    for (const int way : {0, 1, 2, 3}) {
        connected<Ctx> c;
        outcome<> read;
        net::cancellation_signal signal;
        async_read_some(c.near, c.take(7),
                        net::bind_cancellation_slot(signal.slot(), c.checks.once(read.store())));
        c.ctx->poll();
        BOOST_TEST(c.pool.statistics().available == 3U);
        if (way == 0)
            c.near.cancel();
        else if (way == 1)
            c.near.close();
        else if (way == 2)
            signal.emit(net::cancellation_type::total);
        else
            auto destroyed = std::move(c.near);
        c.run(read);
        BOOST_TEST(read.ec == net::error::operation_aborted);
        BOOST_TEST(read.size == 0U);
        BOOST_TEST(read.buffer.capacity() == 64U);
        BOOST_TEST(read.buffer.empty());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(buffer_goes_back_when_the_context_is_destroyed, Ctx, contexts)
{
    handler_checks checks;
    buffer_pool pool(1, 64);
    {
        Ctx ctx;
        auto near = std::make_shared<local_socket_of<Ctx>>(ctx);
        auto far = std::make_shared<local_socket_of<Ctx>>(ctx);
        net::local::connect_pair(*near, *far);
        auto& socket = *near;
        async_read_some(socket, std::move(*pool.try_acquire()),
                        checks.never_with(std::pair(std::move(near), std::move(far))));
        ctx.poll();
        BOOST_TEST(pool.statistics().available == 0U);
    }
    BOOST_TEST(pool.statistics().available == 1U);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_of_a_closed_object_give_their_buffer_back, Ctx, contexts)
{
    connected<Ctx> c;
    c.near.close();
    outcome<> read, written;
    outcome<shared_buffer> shared;
    safer_ring::async_read(c.near, c.take(), c.checks.once(read.store()));
    safer_ring::async_write(c.near, c.take("text"), c.checks.once(written.store()));
    safer_ring::async_write(c.near, c.take("text").freeze(), c.checks.once(shared.store()));
    c.run(read);
    c.run(written);
    c.run(shared);
    BOOST_TEST(read.ec == net::error::bad_descriptor);
    BOOST_TEST(read.buffer.capacity() == 64U);
    BOOST_TEST(written.ec == net::error::bad_descriptor);
    BOOST_TEST(written.buffer.text() == "text");
    BOOST_TEST(shared.buffer.text() == "text");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_message_goes_to_many, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    buffer_pool pool(1, 64);
    shared_buffer message;
    {
        std::optional<owned_buffer> buffer = pool.try_acquire();
        std::memcpy(buffer->data(), "news", 4);
        buffer->resize(4);
        message = std::move(*buffer).freeze();
    }
    constexpr std::size_t count = 20;
    std::deque<local_socket_of<Ctx>> senders, receivers;
    std::deque<outcome<shared_buffer>> sent(count);
    std::deque<outcome<>> received(count);
    for (std::size_t i = 0; i < count; ++i) {
        net::local::connect_pair(senders.emplace_back(ctx), receivers.emplace_back(ctx));
        const auto write = safer_ring::async_write(senders[i], message, net::deferred);
        write(checks.once(sent[i].store()));
        safer_ring::async_read(receivers[i], owned_buffer(4), checks.once(received[i].store()));
    }
    message = {};
    ctx.run();
    for (std::size_t i = 0; i < count; ++i) {
        BOOST_TEST(sent[i].buffer.text() == "news");
        BOOST_TEST(received[i].buffer.text() == "news");
    }
    sent.clear();
    BOOST_TEST(pool.statistics().available == 1U);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_token_gets_the_buffer, Ctx, contexts)
{
    connected<Ctx> c;
    {
        auto read = async_read_some(c.near, c.take(), net::use_future);
        auto written = safer_ring::async_write(c.far, c.take("future"), net::use_future);
        c.ctx->run();
        auto [size, buffer] = test_support::wait_for(read);
        BOOST_TEST(size == 6U);
        BOOST_TEST(buffer.text() == "future");
        BOOST_TEST(std::get<1>(test_support::wait_for(written)).text() == "future");
    }
    bool ended = false;
    const auto talk = [&]() -> net::awaitable<void> {
        constexpr auto as_tuple = net::as_tuple(net::use_awaitable);
        auto [sent_error, sent, out] =
            co_await safer_ring::async_write(c.far, c.take("tuple"), as_tuple);
        auto [error, size, in] = co_await async_read_some(c.near, c.take(), as_tuple);
        BOOST_TEST(in.text() == "tuple");
        error_code redirected;
        auto [n, later] = co_await async_write_some(
            c.far, std::move(out), net::redirect_error(net::use_awaitable, redirected));
        BOOST_TEST(n == 5U);
        auto deferred = async_read_some(c.near, append(std::move(in)), net::deferred);
        auto [all, both] = co_await std::move(deferred)(net::use_awaitable);
        BOOST_TEST(all == 5U);
        BOOST_TEST(both.text() == "tupletuple");
        c.far.close();
        BOOST_CHECK_THROW(co_await async_read_some(c.near, std::move(both), net::use_awaitable),
                          boost::system::system_error);
        ended = true;
    };
    c.ctx->restart();
    net::co_spawn(*c.ctx, talk, net::detached);
    c.ctx->run();
    BOOST_TEST(ended);
    BOOST_TEST(c.all_back());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_keeps_its_executor_and_its_allocator, Ctx, contexts)
{
    connected<Ctx> c;
    auto strand = net::make_strand(*c.ctx);
    test_support::allocation_counts counts;
    outcome<> read;
    bool inside = false;
    auto handler = c.checks.once([&](error_code ec, std::size_t n, owned_buffer b) {
        inside = strand.running_in_this_thread();
        read.store()(ec, n, std::move(b));
    });
    async_read_some(c.near, c.take(),
                    net::bind_executor(
                        strand, net::bind_allocator(test_support::counting_allocator<void>(counts),
                                                    std::move(handler))));
    net::write(c.far, net::buffer("x", 1));
    c.run(read);
    BOOST_TEST(inside);
    BOOST_TEST(counts.made != 0);
    BOOST_TEST(counts.live == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(datagrams_are_received_and_sent, Ctx, contexts)
{
    using udp = net::ip::udp;
    using socket = net::basic_datagram_socket<udp, executor_of<Ctx>>;
    handler_checks checks;
    Ctx ctx;
    socket a(ctx, udp::endpoint(net::ip::address_v4::loopback(), 0));
    socket b(ctx, udp::endpoint(net::ip::address_v4::loopback(), 0));
    outcome<> received, sent, answered, got;
    udp::endpoint sender;
    async_receive_from(b, owned_buffer(100), sender, checks.once(received.store()));
    async_send_to(a, owned_buffer::copy_of("question"), b.local_endpoint(),
                  checks.once(sent.store()));
    ctx.run();
    BOOST_TEST(received.buffer.text() == "question");
    BOOST_TEST((sender == a.local_endpoint()));
    b.connect(sender);
    a.connect(b.local_endpoint());
    async_receive(a, append(std::move(received.buffer)), checks.once(got.store()));
    async_send(b, owned_buffer::copy_of(" answer"), checks.once(answered.store()));
    ctx.restart();
    ctx.run();
    BOOST_TEST(got.buffer.text() == "question answer");
    BOOST_TEST(answered.size == 7U);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pipes_and_descriptors_take_them_too, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    net::basic_readable_pipe<executor_of<Ctx>> reader(ctx);
    net::basic_writable_pipe<executor_of<Ctx>> writer(ctx);
    net::connect_pipe(reader, writer);
    outcome<> read, written;
    std::string large(200'000, '\0');
    for (std::size_t i = 0; i < large.size(); ++i)
        large[i] = static_cast<char>(i * 7);
    safer_ring::async_write(writer, owned_buffer::copy_of(large), checks.once(written.store()));
    safer_ring::async_read(reader, owned_buffer(large.size()), checks.once(read.store()));
    ctx.run();
    BOOST_TEST((read.buffer.text() == large));
    BOOST_TEST((written.buffer.text() == large));
}

std::vector<owned_buffer> buffers_of_sizes(std::initializer_list<std::size_t> sizes)
{
    std::vector<owned_buffer> buffers;
    for (const std::size_t size : sizes)
        buffers.emplace_back(size);
    return buffers;
}

BOOST_AUTO_TEST_CASE_TEMPLATE(several_buffers_go_in_and_come_back_together, Ctx, contexts)
{
    connected<Ctx> c;
    outcome<std::vector<owned_buffer>> written, read, rest;
    outcome<std::vector<shared_buffer>> shared;
    std::vector<owned_buffer> texts;
    texts.push_back(c.take("one "));
    texts.push_back(c.take("two"));
    safer_ring::async_write(c.far, std::move(texts), c.checks.once(written.store()));
    safer_ring::async_read(c.near, buffers_of_sizes({3, 4}), c.checks.once(read.store()));
    c.run(read);
    c.run(written);
    BOOST_TEST(written.size == 7U);
    BOOST_REQUIRE(written.buffer.size() == 2U);
    BOOST_TEST(written.buffer[1].text() == "two");
    BOOST_TEST(read.buffer[0].text() == "one");
    BOOST_TEST(read.buffer[1].text() == " two");

    const shared_buffer news = owned_buffer::copy_of("news").freeze();
    const auto write =
        safer_ring::async_write(c.far, std::vector<shared_buffer>{news, news}, net::deferred);
    write(c.checks.once(shared.store())); // A copy of the buffers, which it keeps.
    c.run(shared);
    async_read_some(c.near, buffers_of_sizes({6, 20, 20}), c.checks.once(rest.store()));
    c.run(rest);
    BOOST_TEST(rest.size == 8U);
    BOOST_TEST(rest.buffer[0].text() == "newsne");
    BOOST_TEST(rest.buffer[1].text() == "ws");
    BOOST_TEST(rest.buffer[2].empty());
    written.buffer.clear();
    BOOST_TEST(c.all_back());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(lines_are_read_one_after_the_other, Ctx, contexts)
{
    connected<Ctx> c;
    owned_buffer lines = c.take(0);
    net::write(c.far, net::buffer("first\nsec", 9));
    for (const std::string_view line : {"first\n", "second\n", "third\r\n"}) {
        outcome<> read;
        if (line.front() == 't')
            async_read_until(c.near, std::move(lines), std::string_view("\r\n"),
                             c.checks.once(read.store()));
        else
            async_read_until(c.near, std::move(lines), '\n', c.checks.once(read.store()));
        if (line.front() == 's')
            net::write(c.far, net::buffer("ond\nthird\r", 10));
        else if (line.front() == 't')
            net::write(c.far, net::buffer("\nrest", 5));
        c.run(read);
        BOOST_TEST(read.ec == error_code());
        BOOST_TEST(read.buffer.text().substr(0, read.size) == line);
        read.buffer.consume(read.size);
        lines = std::move(read.buffer);
    }
    BOOST_TEST(lines.text() == "rest");

    outcome<> full, aborted;
    net::write(c.far, net::buffer(std::string(100, 'x')));
    async_read_until(c.near, std::move(lines), '\n', c.checks.once(full.store()));
    c.run(full);
    BOOST_TEST(full.ec == net::error::not_found);
    BOOST_TEST(full.size == 0U);
    BOOST_TEST(full.buffer.size() == full.buffer.capacity()); // Nothing is lost.

    outcome<> rest;
    async_read_some(c.near, owned_buffer(200), c.checks.once(rest.store()));
    c.run(rest);
    async_read_until(c.near, c.take(0), '\n', c.checks.once(aborted.store()));
    c.near.cancel();
    c.run(aborted);
    BOOST_TEST(aborted.ec == net::error::operation_aborted);
    full = {};
    aborted = {};
    BOOST_TEST(c.all_back());
}

/// What a receive that brings its own buffer came back with.
struct arrival {
    auto store()
    {
        return [this](error_code e, owned_buffer b) {
            ec = e;
            buffer = std::move(b);
            done = true;
        };
    }
    bool done = false;
    error_code ec;
    owned_buffer buffer;
};

BOOST_AUTO_TEST_CASE_TEMPLATE(receive_without_a_buffer_makes_one_for_what_is_there, Ctx, contexts)
{
    connected<Ctx> c;
    arrival first, rest, end, late;
    safer_ring::async_receive(c.near, c.checks.once(first.store()));
    c.ctx->poll();
    BOOST_TEST(!first.done);
    net::write(c.far, net::buffer("hello", 5));
    run_until(*c.ctx, [&] { return first.done; });
    BOOST_TEST(first.ec == error_code());
    BOOST_TEST(first.buffer.text() == "hello");
    BOOST_TEST(first.buffer.capacity() == 5U);

    net::write(c.far, net::buffer(std::string(100'000, 'x')));
    c.far.close();
    std::size_t size = 0;
    do {
        rest = {};
        safer_ring::async_receive(c.near, c.checks.once(rest.store()));
        run_until(*c.ctx, [&] { return rest.done; });
        BOOST_TEST(rest.buffer.size() <= 65536U);
        size += rest.buffer.size();
    } while (!rest.ec);
    BOOST_TEST(rest.ec == net::error::eof);
    BOOST_TEST(size == 100'000U);

    c.near.close();
    safer_ring::async_receive(c.near, c.checks.once(late.store()));
    run_until(*c.ctx, [&] { return late.done; });
    BOOST_TEST(late.ec == net::error::bad_descriptor);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(receive_without_a_buffer_is_cancelled_and_awaited, Ctx, contexts)
{
    connected<Ctx> c;
    arrival by_object, by_slot;
    safer_ring::async_receive(c.near, c.checks.once(by_object.store()));
    c.ctx->poll();
    c.near.cancel();
    run_until(*c.ctx, [&] { return by_object.done; });
    BOOST_TEST(by_object.ec == net::error::operation_aborted);
    for (const net::cancellation_type type : all_types) {
        net::cancellation_signal signal;
        by_slot = {};
        safer_ring::async_receive(
            c.near, net::bind_cancellation_slot(signal.slot(), c.checks.once(by_slot.store())));
        c.ctx->poll();
        signal.emit(type);
        run_until(*c.ctx, [&] { return by_slot.done; });
        BOOST_TEST(by_slot.ec == net::error::operation_aborted);
    }
    std::future<owned_buffer> coming = safer_ring::async_receive(c.near, net::use_future);
    net::write(c.far, net::buffer("future", 6));
    run_until(*c.ctx, [&] {
        return coming.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    });
    BOOST_TEST(coming.get().text() == "future");
}

// Both see that there is something, and one is faster: the other one waits on, and does not keep
// its thread.
BOOST_AUTO_TEST_CASE_TEMPLATE(receive_without_a_buffer_that_finds_nothing_waits_on, Ctx, contexts)
{
    connected<Ctx> c;
    local_socket_of<Ctx> same(*c.ctx, net::local::stream_protocol(),
                              ::fcntl(c.near.native_handle(), F_DUPFD_CLOEXEC, 0));
    arrival one, other;
    safer_ring::async_receive(c.near, c.checks.once(one.store()));
    safer_ring::async_receive(same, c.checks.once(other.store()));
    c.ctx->poll();
    net::write(c.far, net::buffer("a", 1));
    run_until(*c.ctx, [&] { return one.done || other.done; });
    for (int i = 0; i < 20; ++i)
        c.ctx->poll();
    BOOST_TEST((one.done != other.done));
    net::write(c.far, net::buffer("b", 1));
    run_until(*c.ctx, [&] { return one.done && other.done; });
    BOOST_TEST(one.ec == error_code());
    BOOST_TEST(other.ec == error_code());
    const std::string both = std::string(one.buffer.text()) + std::string(other.buffer.text());
    BOOST_TEST((both == "ab" || both == "ba"));
}

// Its wait was over already when it was cancelled, and brought nothing.
BOOST_AUTO_TEST_CASE_TEMPLATE(receive_without_a_buffer_that_was_cancelled_does_not_wait_on, Ctx,
                              contexts)
{
    connected<Ctx> c;
    local_socket_of<Ctx> same(*c.ctx, net::local::stream_protocol(),
                              ::fcntl(c.near.native_handle(), F_DUPFD_CLOEXEC, 0));
    net::cancellation_signal signals[2];
    arrival arrivals[2];
    const auto start = [&](local_socket_of<Ctx>& on, std::size_t i) {
        safer_ring::async_receive(
            on,
            net::bind_cancellation_slot(
                signals[i].slot(), c.checks.once([&, i, store = arrivals[i].store()](
                                                     error_code ec, owned_buffer buffer) mutable {
                    store(ec, std::move(buffer));
                    signals[1 - i].emit(net::cancellation_type::terminal);
                })));
    };
    start(c.near, 0);
    start(same, 1);
    c.ctx->poll();
    net::write(c.far, net::buffer("a", 1));
    run_until(*c.ctx, [&] { return arrivals[0].done && arrivals[1].done; });
    const bool first_has_it = !arrivals[0].ec;
    BOOST_TEST(arrivals[first_has_it ? 0 : 1].buffer.text() == "a");
    BOOST_TEST(arrivals[first_has_it ? 1 : 0].ec == net::error::operation_aborted);
}

// What was consumed in front is room again, however the lines fall on the reads.
BOOST_AUTO_TEST_CASE_TEMPLATE(lines_go_round_in_a_small_buffer, Ctx, contexts)
{
    connected<Ctx> c;
    std::string sent;
    for (int i = 0; i != 100; ++i)
        sent += std::to_string(i) + " is a line\n";
    net::write(c.far, net::buffer(sent));
    std::string received;
    owned_buffer lines(20);
    lines.resize(0);
    while (received.size() != sent.size()) {
        outcome<> read;
        async_read_until(c.near, std::move(lines), '\n', c.checks.once(read.store()));
        c.run(read);
        BOOST_REQUIRE(read.ec == error_code());
        received += read.buffer.text().substr(0, read.size);
        read.buffer.consume(read.size);
        lines = std::move(read.buffer);
    }
    BOOST_TEST(received == sent);

    // And as records of a length that is no part of the buffer's.
    received.clear();
    net::write(c.far, net::buffer(sent));
    owned_buffer records(20);
    records.resize(0);
    while (received.size() + records.size() != sent.size()) {
        outcome<> read;
        async_read_some(c.near, safer_ring::append(std::move(records)),
                        c.checks.once(read.store()));
        c.run(read);
        BOOST_REQUIRE(read.size != 0U);
        for (; read.buffer.size() >= 3; read.buffer.consume(3))
            received += read.buffer.text().substr(0, 3);
        records = std::move(read.buffer);
    }
    BOOST_TEST(received + std::string(records.text()) == sent);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(unqualified_calls_with_plain_memory_are_asios, Ctx, contexts)
{
    // Our own functions are found through the executor's type, too.
    connected<Ctx> c;
    std::string in(5, '\0');
    test_support::io_result read, written;
    async_write(c.far, net::buffer("plain", 5), c.checks.into(written));
    async_read(c.near, net::buffer(in), c.checks.into(read));
    c.ctx->run();
    BOOST_TEST(in == "plain");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
