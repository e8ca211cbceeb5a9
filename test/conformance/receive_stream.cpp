// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "item_streams.hpp"

#include "support/counting_allocator.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <safer_ring/asio/receive_stream.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <vector>

// Parts of Asio that newer Boosts deprecate are tested for as long as they are there.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

// receive_stream on every kind of executor of ours.
namespace conformance {
namespace {

using safer_ring::owned_buffer;
using safer_ring::receive_stream;
using safer_ring::stream_limits;
using test_support::handler_checks;
using test_support::run_until;
namespace error = safer_ring::error;

struct piece {
    bool done = false;
    error_code ec;
    std::string text;

    auto store()
    {
        return [this](error_code e, owned_buffer b) {
            ec = e;
            text = b.text();
            done = true;
        };
    }
};

template <class Ctx>
struct receiving {
    void write(std::string_view text) { net::write(far, net::buffer(text)); }
    /// The next piece, which has to come.
    piece next()
    {
        piece p;
        stream.async_next(checks.once(p.store()));
        run_until(*ctx, [&] { return p.done; });
        return p;
    }
    /// So that the request is in the kernel.
    void begin()
    {
        write("begin");
        BOOST_REQUIRE(next().text == "begin");
    }
    void hold(std::size_t count)
    {
        poll_until(*ctx, [&] { return stream.held() >= count; });
    }

    handler_checks checks;
    std::optional<Ctx> ctx{std::in_place};
    local_socket_of<Ctx> near{*ctx}, far{*ctx};
    receive_stream<local_socket_of<Ctx>> stream = receive_stream(open(near, far));

private:
    static local_socket_of<Ctx>& open(local_socket_of<Ctx>& near, local_socket_of<Ctx>& far)
    {
        net::local::connect_pair(near, far);
        return near;
    }
};

BOOST_AUTO_TEST_SUITE(receive_streams)

BOOST_AUTO_TEST_CASE_TEMPLATE(pieces_come_in_order_and_behind_them_the_end, Ctx, our_contexts)
{
    receiving<Ctx> r;
    std::string all;
    for (const char* const text : {"one", "two", "three"}) {
        r.write(text);
        const piece p = r.next();
        BOOST_TEST(p.ec == error_code());
        all += p.text;
    }
    BOOST_TEST(all == "onetwothree");
    r.write("last");
    r.far.close();
    BOOST_TEST(r.next().text == "last");
    for (int i = 0; i < 2; ++i) { // As a receive behind the end does.
        const piece end = r.next();
        BOOST_TEST(end.ec == net::error::eof);
        BOOST_TEST(end.text.empty());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(who_waits_is_served_in_order, Ctx, our_contexts)
{
    receiving<Ctx> r;
    std::string order;
    std::vector<std::string> texts;
    int left = 3;
    for (const char name : {'a', 'b', 'c'})
        r.stream.async_next(r.checks.once([&, name](error_code, owned_buffer b) {
            order += name;
            texts.emplace_back(b.text());
            --left;
        }));
    for (const char* const text : {"1", "2", "3"}) {
        const int before = left;
        r.write(text);
        run_until(*r.ctx, [&] { return left < before; });
    }
    BOOST_TEST(order == "abc");
    BOOST_TEST((texts == std::vector<std::string>{"1", "2", "3"}));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(everybody_who_waits_is_told_of_the_end, Ctx, our_contexts)
{
    receiving<Ctx> r;
    piece first, second;
    r.stream.async_next(r.checks.once(first.store()));
    r.stream.async_next(r.checks.once(second.store()));
    r.ctx->poll();
    r.far.close();
    run_until(*r.ctx, [&] { return second.done; });
    BOOST_TEST(first.ec == net::error::eof);
    BOOST_TEST(second.ec == net::error::eof);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_nobody_takes_is_kept_and_is_no_work, Ctx, our_contexts)
{
    receiving<Ctx> r;
    r.begin();
    for (const char* const text : {"1", "2", "3"}) {
        const std::size_t before = r.stream.held();
        r.write(text);
        r.hold(before + 1);
    }
    r.ctx->restart();
    BOOST_TEST(ran(*r.ctx, r.ctx->run(), 0));
    BOOST_TEST(r.next().text == "1");
    BOOST_TEST(r.next().text == "2");
    BOOST_TEST(r.next().text == "3");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(receives_beside_it_fail_and_begin_again_behind_it, Ctx, our_contexts)
{
    receiving<Ctx> r;
    r.begin();
    char memory[16] = {};
    int ended = 0;
    const auto refused = [&](error_code ec, auto...) {
        BOOST_TEST(ec == error::stream_is_open);
        BOOST_TEST((ec == boost::system::errc::device_or_resource_busy));
        ++ended;
    };
    r.near.async_read_some(net::buffer(memory), r.checks.once(refused));
    r.near.async_receive(net::buffer(memory), r.checks.once(refused));
    r.near.async_wait(net::socket_base::wait_read, r.checks.once(refused));
    BOOST_TEST(ended == 0);
    run_until(*r.ctx, [&] { return ended == 3; });
    error_code ec;
    BOOST_TEST(r.near.receive(net::buffer(memory), 0, ec) == 0U);
    BOOST_TEST(ec == error::stream_is_open);
    r.near.release(ec);
    BOOST_TEST(ec == error::stream_is_open);
    BOOST_TEST(r.near.is_open());
    BOOST_CHECK_EXCEPTION(static_cast<void>(receive_stream(r.near)), boost::system::system_error,
                          [](const auto& e) { return e.code() == error::stream_is_open; });
    r.near.receive(net::buffer(memory), net::socket_base::message_out_of_band, ec);
    BOOST_TEST(ec.failed()); // There is none, or no such thing.
    BOOST_TEST(ec != error::stream_is_open);
    net::write(r.near, net::buffer("out", 3)); // The other direction is as ever.
    BOOST_TEST(net::read(r.far, net::buffer(memory, 3)) == 3U);

    BOOST_TEST(r.stream.stop().empty());
    BOOST_TEST(!r.stream.is_open());
    r.write("plain");
    std::size_t size = 0;
    r.near.async_read_some(net::buffer(memory),
                           r.checks.once([&](error_code, std::size_t n) { size = n; }));
    run_until(*r.ctx, [&] { return size != 0; });
    BOOST_TEST(std::string(memory, size) == "plain");
    const int fd = r.near.release();
    BOOST_TEST(fd >= 0);
    ::close(fd);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_waits_beside_it_fail, Ctx, our_contexts)
{
    receiving<Ctx> r;
    r.begin();
    r.near.non_blocking(true); // So that a wait that goes to the socket ends.
    error_code ec;
    r.near.wait(net::socket_base::wait_read, ec);
    BOOST_TEST(ec == error::stream_is_open);
    r.near.receive(net::null_buffers(), 0, ec);
    BOOST_TEST(ec == error::stream_is_open);
    r.near.wait(net::socket_base::wait_write, ec);
    BOOST_TEST(ec == error_code());
    BOOST_TEST(r.stream.stop().empty());
    r.near.wait(net::socket_base::wait_read, ec);
    BOOST_TEST(ec == net::error::would_block);
    r.write("x");
    r.near.wait(net::socket_base::wait_read, ec);
    BOOST_TEST(ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(stop_gives_in_order_what_nobody_has_taken, Ctx, our_contexts)
{
    receiving<Ctx> r;
    r.begin();
    for (const char* const text : {"1", "2"}) {
        const std::size_t before = r.stream.held();
        r.write(text);
        r.hold(before + 1);
    }
    r.write("3"); // Which the kernel may have received, or not.
    std::string all;
    for (const owned_buffer& b : r.stream.stop())
        all += b.text();
    BOOST_TEST((all == "12" || all == "123"));
    char rest = 0;
    if (all == "12")
        BOOST_TEST(r.near.receive(net::buffer(&rest, 1)) == 1U);
    BOOST_TEST((all == "123" || rest == '3'));
    BOOST_TEST(r.stream.stop().empty());
    piece p;
    r.stream.async_next(r.checks.once(p.store()));
    BOOST_TEST(!p.done);
    run_until(*r.ctx, [&] { return p.done; });
    BOOST_TEST(p.ec == net::error::bad_descriptor);
    receive_stream again(r.near);
    r.write("again");
    again.async_next(r.checks.once(p.store()));
    run_until(*r.ctx, [&] { return p.text == "again"; });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(stop_ends_who_waits, Ctx, our_contexts)
{
    receiving<Ctx> r;
    piece first, second;
    r.stream.async_next(r.checks.once(first.store()));
    r.stream.async_next(r.checks.once(second.store()));
    r.ctx->poll();
    BOOST_TEST(r.stream.stop().empty());
    BOOST_TEST(!first.done);
    run_until(*r.ctx, [&] { return second.done; });
    BOOST_TEST(first.ec == net::error::operation_aborted);
    BOOST_TEST(second.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancelled_waits_lose_nothing, Ctx, our_contexts)
{
    for (const net::cancellation_type type : all_types) {
        receiving<Ctx> r;
        net::cancellation_signal signal;
        piece first, second, third;
        r.stream.async_next(
            net::bind_cancellation_slot(signal.slot(), r.checks.once(first.store())));
        r.stream.async_next(r.checks.once(second.store()));
        r.ctx->poll();
        signal.emit(type);
        run_until(*r.ctx, [&] { return first.done; });
        BOOST_TEST(first.ec == net::error::operation_aborted);
        BOOST_TEST(!second.done);
        r.write("kept");
        run_until(*r.ctx, [&] { return second.done; });
        BOOST_TEST(second.text == "kept");
        r.stream.async_next(r.checks.once(third.store()));
        r.near.cancel();
        run_until(*r.ctx, [&] { return third.done; });
        BOOST_TEST(third.ec == net::error::operation_aborted);
        BOOST_TEST(r.stream.is_open());
        r.write("too");
        BOOST_TEST(r.next().text == "too");
        signal.emit(type); // Finds nothing.
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(closed_or_destroyed_socket_ends_the_stream, Ctx, our_contexts)
{
    for (const bool destroyed : {false, true}) {
        receiving<Ctx> r;
        r.begin();
        r.write("dropped");
        r.hold(1);
        BOOST_TEST(r.next().text == "dropped");
        std::optional<local_socket_of<Ctx>> moved(std::move(r.near));
        piece waiting, behind;
        r.stream.async_next(r.checks.once(waiting.store()));
        r.ctx->restart();
        r.ctx->poll();
        if (destroyed)
            moved.reset();
        else
            moved->close();
        BOOST_TEST(!r.stream.is_open());
        BOOST_TEST(!waiting.done);
        run_until(*r.ctx, [&] { return waiting.done; });
        BOOST_TEST(waiting.ec == net::error::operation_aborted);
        char byte = 0;
        error_code ec;
        BOOST_TEST(net::read(r.far, net::buffer(&byte, 1), ec) == 0U);
        BOOST_TEST(ec == net::error::eof); // The number and the file are given up.
        r.stream.async_next(r.checks.once(behind.store()));
        run_until(*r.ctx, [&] { return behind.done; });
        BOOST_TEST(behind.ec == net::error::bad_descriptor);
        BOOST_TEST(r.stream.stop().empty());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(destroyed_stream_leaves_the_socket, Ctx, our_contexts)
{
    receiving<Ctx> r;
    r.begin();
    r.write("dropped");
    r.hold(1);
    piece waiting;
    {
        auto stream = std::move(r.stream);
        BOOST_TEST(!r.stream.is_open());
        stream.async_next([](error_code, owned_buffer) {});
        r.write("");
        stream.async_next(r.checks.once(waiting.store()));
    }
    char memory[16];
    std::size_t size = 0;
    r.near.async_read_some(net::buffer(memory),
                           r.checks.once([&](error_code, std::size_t n) { size = n; }));
    run_until(*r.ctx, [&] { return waiting.done; });
    BOOST_TEST(waiting.ec == net::error::operation_aborted);
    r.write("next");
    run_until(*r.ctx, [&] { return size != 0; });
    BOOST_TEST(std::string(memory, size) == "next");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operation_begun_when_the_stream_has_gone_fails, Ctx, our_contexts)
{
    receiving<Ctx> r;
    using stream_type = receive_stream<local_socket_of<Ctx>>;
    auto stream = std::make_unique<stream_type>(std::move(r.stream));
    auto next = stream->async_next(net::deferred);
    auto later = stream->async_next(net::deferred);
    r.write("kept");
    piece p;
    std::move(next)(r.checks.once(p.store()));
    run_until(*r.ctx, [&] { return p.done; });
    BOOST_TEST(p.text == "kept");
    stream.reset();
    piece q;
    std::move(later)(r.checks.once(q.store()));
    run_until(*r.ctx, [&] { return q.done; });
    BOOST_TEST(q.ec == net::error::bad_descriptor);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(destroyed_context_destroys_who_waits, Ctx, our_contexts)
{
    handler_checks checks;
    std::optional<Ctx> ctx(std::in_place);
    auto near = std::make_shared<local_socket_of<Ctx>>(*ctx);
    auto far = std::make_shared<local_socket_of<Ctx>>(*ctx);
    net::local::connect_pair(*near, *far);
    auto stream = std::make_shared<receive_stream<local_socket_of<Ctx>>>(*near);
    auto* const s = stream.get();
    // Whoever waits owns what it waits for, and so does it go.
    s->async_next(checks.never_with(std::make_tuple(std::move(stream), near)));
    near.reset();
    ctx->poll();
    net::write(*far, net::buffer("late", 4));
    far.reset();
    ctx.reset();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(receives_of_before_come_first, Ctx, our_contexts)
{
    receiving<Ctx> r;
    r.stream.stop();
    char memory[3];
    std::size_t size = 0;
    r.near.async_read_some(net::buffer(memory),
                           r.checks.once([&](error_code, std::size_t n) { size = n; }));
    receive_stream stream(r.near);
    piece p;
    stream.async_next(r.checks.once(p.store()));
    r.ctx->poll();
    r.write("onetwo");
    run_until(*r.ctx, [&] { return p.done; });
    BOOST_TEST(std::string(memory, size) == "one");
    BOOST_TEST(p.text == "two");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handlers_run_where_they_belong_with_their_memory, Ctx, our_contexts)
{
    receiving<Ctx> r;
    test_support::allocation_counts counts;
    strand_of<Ctx> strand(r.ctx->get_executor());
    bool on_strand = false;
    r.stream.async_next(
        net::bind_allocator(test_support::counting_allocator<>(counts),
                            net::bind_executor(strand, r.checks.once([&](error_code, owned_buffer) {
                                on_strand = strand.running_in_this_thread();
                            }))));
    BOOST_TEST(counts.live > 0);
    r.write("x");
    run_until(*r.ctx, [&] { return on_strand; });
    BOOST_TEST(counts.live == 0);
    auto future = r.stream.async_next(net::use_future);
    r.write("y");
    poll_until(*r.ctx, [&] {
        return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    });
    BOOST_TEST(future.get().text() == "y");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(socket_of_a_strand_has_its_items_there, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    const strand_of<Ctx> strand(ctx.get_executor());
    net::basic_stream_socket<net::local::stream_protocol, strand_of<Ctx>> near(strand), far(strand);
    net::local::connect_pair(near, far);
    receive_stream first(near);
    receive_stream stream = std::move(first);
    BOOST_TEST((stream.get_executor() == strand));
    bool on_strand = false;
    net::write(far, net::buffer("x", 1));
    stream.async_next(checks.once([&](error_code ec, const owned_buffer& b) {
        on_strand = !ec && b.text() == "x" && strand.running_in_this_thread();
    }));
    run_until(ctx, [&] { return on_strand; });
    stream = receive_stream(far); // The one of `near` ends.
    BOOST_TEST(net::write(near, net::buffer("y", 1)) == 1U);
    stream.async_next(checks.once(
        [&](error_code ec, const owned_buffer& b) { on_strand = ec || b.text() != "y"; }));
    run_until(ctx, [&] { return !on_strand; });
    ::close(near.release());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(coroutine_reads_a_stream_to_its_end, Ctx, our_contexts)
{
    receiving<Ctx> r;
    std::string all;
    bool done = false;
    net::co_spawn(
        *r.ctx,
        [&]() -> net::awaitable<void> {
            for (;;) {
                auto [ec, b] = co_await r.stream.async_next(net::as_tuple(net::use_awaitable));
                if (ec)
                    break;
                all += b.text();
            }
            done = true;
        },
        net::detached);
    std::string expected;
    for (int i = 0; i < 1000; ++i) {
        const std::string text = std::to_string(i) + ' ';
        expected += text;
        r.write(text);
        r.ctx->poll();
    }
    r.far.close();
    run_until(*r.ctx, [&] { return done; });
    BOOST_TEST((all == expected));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(non_blocking_socket_waits_all_the_same, Ctx, our_contexts)
{
    receiving<Ctx> r;
    r.near.native_non_blocking(true);
    for (const char* const text : {"one", "two", "three"}) {
        piece p;
        r.stream.async_next(r.checks.once(p.store()));
        r.ctx->restart();
        r.ctx->poll();
        BOOST_TEST(!p.done);
        r.write(text);
        run_until(*r.ctx, [&] { return p.done; });
        BOOST_TEST(p.text == text);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(slow_reader_holds_the_sender_up_and_gets_everything, Ctx,
                              our_contexts)
{
    receiving<Ctx> r;
    r.begin();
    r.far.native_non_blocking(true);
    std::string expected;
    // As much as the sockets and the stream take.
    poll_until(*r.ctx, [&, refused = 0]() mutable {
        std::string text(1000, static_cast<char>('a' + expected.size() / 1000 % 26));
        const ssize_t n = ::write(r.far.native_handle(), text.data(), text.size());
        if (n > 0)
            expected += text.substr(0, static_cast<std::size_t>(n));
        refused = n < 0 ? refused + 1 : 0;
        return refused == 100;
    });
    // What is held is bounded by the buffers of the context, whatever is sent.
    BOOST_TEST(r.stream.held() >= stream_limits().high_water);
    BOOST_TEST(r.stream.held() <=
               stream_limits().high_water + safer_ring::options().receive_buffer_count);
    r.far.close();
    std::string all;
    piece p = r.next();
    for (; !p.ec; p = r.next())
        all += p.text;
    BOOST_TEST(p.ec == net::error::eof);
    BOOST_TEST((all == expected));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(error_is_told_once_and_the_stream_goes_on, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    socket_of<Ctx> near(ctx), far(ctx);
    near.connect(acceptor.local_endpoint());
    acceptor.accept(far);
    receive_stream stream(near);
    piece p, end;
    stream.async_next(checks.once(p.store()));
    ctx.poll();
    far.set_option(net::socket_base::linger(true, 0));
    far.close();
    run_until(ctx, [&] { return p.done; });
    BOOST_TEST(p.ec == net::error::connection_reset);
    stream.async_next(checks.once(end.store()));
    run_until(ctx, [&] { return end.done; });
    BOOST_TEST(end.ec == net::error::eof);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_cannot_be_a_stream_is_said, Ctx, our_contexts)
{
    Ctx ctx;
    local_socket_of<Ctx> closed(ctx), near(ctx), far(ctx);
    net::local::connect_pair(near, far);
    BOOST_CHECK_EXCEPTION(static_cast<void>(receive_stream(closed)), boost::system::system_error,
                          [](const auto& e) { return e.code() == net::error::bad_descriptor; });
    BOOST_CHECK_THROW(static_cast<void>(receive_stream(near, stream_limits{4, 4})),
                      std::invalid_argument);
    BOOST_CHECK_THROW(static_cast<void>(receive_stream(near, stream_limits{0, 0})),
                      std::invalid_argument);
    net::io_context other; // With nothing of ours attached.
    net::basic_stream_socket<net::local::stream_protocol, net::any_io_executor> foreign(other);
    foreign.open();
    BOOST_CHECK_EXCEPTION(static_cast<void>(receive_stream(foreign)), boost::system::system_error,
                          [](const auto& e) {
                              return e.code() == error::not_on_a_ring &&
                                     e.code() == boost::system::errc::operation_not_supported;
                          });
    near.close(); // None of them has left anything with it.
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
