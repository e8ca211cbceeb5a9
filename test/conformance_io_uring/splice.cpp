// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "splices.hpp"

#include "support/connected_pair.hpp"
#include "support/full_socket.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <csignal>
#include <string>
#include <thread>

// Moving bytes from one descriptor to another without the program's memory.
namespace conformance {
namespace {

using test_support::connected_pair;
using test_support::run_until_done;
using test_support::running_context;
using test_support::wait_for;

constexpr auto use_tuple = net::as_tuple(net::use_awaitable);

std::atomic<int> sigpipes{0};
void count_sigpipe(int)
{
    ++sigpipes;
}

BOOST_AUTO_TEST_SUITE(splice)

template <class Ctx, class Socket>
void bytes_go_both_ways_through_a_socket(Ctx& ctx)
{
    handler_checks checks;
    pipe_of<Ctx> in(ctx), out(ctx);
    auto [near, far] = connected_pair<Socket>(ctx);
    io_result sent, received, rest, end;
    sent.initiating = true;
    in.write("hello, world");
    async_splice(*in.reader, near, 5, checks.into(sent));
    sent.initiating = false;
    async_splice(far, *out.writer, 1000, checks.into(received));
    ctx.run();
    BOOST_TEST(!sent.called_while_initiating);
    BOOST_TEST(sent.ec == error_code());
    BOOST_TEST(sent.bytes == 5u);
    BOOST_TEST(received.ec == error_code());
    BOOST_TEST(received.bytes == 5u);
    BOOST_TEST(out.read(5) == "hello");
    BOOST_TEST(in.read(7) == ", world");
    near.shutdown(net::socket_base::shutdown_send);
    async_splice(far, *out.writer, 1000, checks.into(end));
    ctx.restart();
    ctx.run();
    BOOST_TEST(end.ec == net::error::eof);
    BOOST_TEST(end.bytes == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bytes_go_from_pipes_to_sockets_and_back, Ctx, our_contexts)
{
    Ctx ctx;
    bytes_go_both_ways_through_a_socket<Ctx, socket_of<Ctx>>(ctx);
    ctx.restart();
    bytes_go_both_ways_through_a_socket<Ctx, local_socket_of<Ctx>>(ctx);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bytes_go_from_pipe_to_pipe_until_it_ends, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    pipe_of<Ctx> from(ctx), to(ctx);
    from.write("abcdef");
    from.writer->close();
    io_result first, second, end, nothing;
    async_splice(*from.reader, *to.writer, 0, checks.into(nothing));
    async_splice(*from.reader, *to.writer, 4, checks.into(first));
    async_splice(*from.reader, *to.writer, 4, checks.into(second));
    async_splice(*from.reader, *to.writer, 4, checks.into(end));
    ctx.run();
    BOOST_TEST(nothing.ec == error_code());
    BOOST_TEST(nothing.bytes == 0u);
    BOOST_TEST(first.bytes == 4u);
    BOOST_TEST(second.bytes == 2u);
    BOOST_TEST(end.ec == net::error::eof);
    BOOST_TEST(to.read(6) == "abcdef");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(it_waits_for_bytes_and_for_room, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    waiting_splice<Ctx> empty(ctx, checks, false), full(ctx, checks, true);
    empty.from.write("here");
    run_until_done(ctx, empty.moved);
    BOOST_TEST(empty.moved.bytes == 4u);
    BOOST_TEST(empty.to.read(4) == "here");
    BOOST_TEST(!full.moved.done);
    full.to.read(full.in_target);
    run_until_done(ctx, full.moved);
    BOOST_TEST(full.moved.bytes == 4u);
    BOOST_TEST(full.to.read(4) == "late");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(socket_that_is_empty_or_full_is_waited_for, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    pipe_of<Ctx> pipe(ctx);
    auto [near, far] = connected_pair<socket_of<Ctx>>(ctx);
    io_result into, out_of;
    async_splice(far, *pipe.writer, 100, checks.into(into));
    ctx.poll();
    BOOST_TEST(!into.done);
    net::write(near, net::buffer("now", 3));
    ctx.restart();
    run_until_done(ctx, into);
    BOOST_TEST(into.bytes == 3u);
    const std::size_t in_socket = test_support::fill_socket(near.native_handle());
    async_splice(*pipe.reader, near, 100, checks.into(out_of));
    ctx.poll();
    BOOST_TEST(!out_of.done);
    std::string received(in_socket, '\0');
    net::read(far, net::buffer(received));
    ctx.restart();
    run_until_done(ctx, out_of);
    BOOST_TEST(out_of.bytes == 3u);
    net::read(far, net::buffer(received, 3));
    BOOST_TEST(received.substr(0, 3) == "now");
}

// ------------------------------------------------------------------ files

BOOST_AUTO_TEST_CASE_TEMPLATE(files_are_read_and_written_at_their_positions, Ctx, our_contexts)
{
    for (const storage kept : {storage::cached, storage::uncached, storage::memory}) {
        handler_checks checks;
        const std::string contents = pattern(10000);
        const temporary_file source(contents, kept), target("", kept);
        Ctx ctx;
        pipe_of<Ctx> pipe(ctx);
        stream_file_of<Ctx> from(ctx, source.open()), to(ctx, target.open());
        random_file_of<Ctx> at(ctx, source.open()), there(ctx, target.open());
        from.seek(1000, net::file_base::seek_set);
        io_result first, second, third, fourth, end;
        async_splice(from, *pipe.writer, 500, checks.into(first));
        async_splice(from, *pipe.writer, 500, checks.into(second));
        ctx.run();
        BOOST_TEST(first.bytes == 500u);
        BOOST_TEST(second.bytes == 500u);
        async_splice(*pipe.reader, to, 1000, checks.into(third));
        ctx.restart();
        ctx.run();
        BOOST_TEST(third.bytes == 1000u);
        BOOST_TEST((target.contents() == contents.substr(1000, 1000)));
        BOOST_TEST(from.seek(0, net::file_base::seek_cur) == 2000u);
        BOOST_TEST(to.seek(0, net::file_base::seek_cur) == 1000u);

        io_result read, written;
        async_splice(at, 7000, *pipe.writer, 4000, checks.into(read));
        async_splice(*pipe.reader, there, 500, 3000, checks.into(written));
        ctx.restart();
        ctx.run();
        BOOST_TEST(read.bytes == 3000u);
        BOOST_TEST(written.bytes == 3000u);
        BOOST_TEST((target.contents() == contents.substr(1000, 500) + contents.substr(7000, 3000)));
        async_splice(at, 10000, *pipe.writer, 1, checks.into(end));
        ctx.restart();
        ctx.run();
        BOOST_TEST(end.ec == net::error::eof);
    }
}

// ------------------------------------------------------------------ order

BOOST_AUTO_TEST_CASE_TEMPLATE(it_keeps_its_place_among_reads_and_writes, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    pipe_of<Ctx> from(ctx), to(ctx);
    const std::size_t filled = to.fill();
    std::array<char, 3> first{}, last{};
    io_result read, before, moved, after, rest;
    from.reader->async_read_some(net::buffer(first), checks.into(read));
    to.writer->async_write_some(net::buffer("1st", 3), checks.into(before));
    async_splice(*from.reader, *to.writer, 3, checks.into(moved));
    to.writer->async_write_some(net::buffer("3rd", 3), checks.into(after));
    from.reader->async_read_some(net::buffer(last), checks.into(rest));
    ctx.poll();
    from.write("abc");
    ctx.restart();
    ctx.poll();
    BOOST_TEST(read.done);
    BOOST_TEST(!moved.done);
    from.write("2ndxyz");
    ctx.restart();
    ctx.poll();
    BOOST_TEST(!moved.done);
    BOOST_TEST(!rest.done);
    to.read(filled);
    ctx.restart();
    ctx.run();
    BOOST_TEST(std::string(first.data(), 3) == "abc");
    BOOST_TEST(std::string(last.data(), 3) == "xyz");
    BOOST_TEST(to.read(9) == "1st2nd3rd");
}

/// There is room again when it starts, and a write that has waited for it.
BOOST_AUTO_TEST_CASE_TEMPLATE(it_overtakes_no_write_that_waits, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    pipe_of<Ctx> from(ctx), to(ctx);
    const std::size_t filled = to.fill();
    io_result before, moved;
    to.writer->async_write_some(net::buffer("1st", 3), checks.into(before));
    ctx.poll();
    from.write("2nd");
    to.read(filled);
    async_splice(*from.reader, *to.writer, 3, checks.into(moved));
    ctx.restart();
    ctx.run();
    BOOST_TEST(to.read(6) == "1st2nd");
}

/// What stands behind goes on when a splice is cancelled that never had its turn.
BOOST_AUTO_TEST_CASE_TEMPLATE(cancelled_in_line_it_lets_the_others_pass, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    pipe_of<Ctx> from(ctx), other(ctx), to(ctx);
    net::cancellation_signal signal;
    io_result first, second, third;
    async_splice(*from.reader, *to.writer, 10, checks.into(first));
    async_splice(*from.reader, *to.writer, 10,
                 net::bind_cancellation_slot(signal.slot(), checks.into(second)));
    async_splice(*other.reader, *to.writer, 10, checks.into(third));
    ctx.poll();
    ctx.restart();
    signal.emit(net::cancellation_type::terminal);
    run_until_done(ctx, second);
    BOOST_TEST(second.ec == net::error::operation_aborted);
    other.write("third");
    ctx.poll();
    BOOST_TEST(!third.done);
    from.write("first");
    ctx.restart();
    ctx.run();
    BOOST_TEST(first.bytes == 5u);
    BOOST_TEST(third.bytes == 5u);
    BOOST_TEST(to.read(10) == "firstthird");
}

// ----------------------------------------------------------------- errors

BOOST_AUTO_TEST_CASE_TEMPLATE(what_cannot_be_spliced_is_told, Ctx, our_contexts)
{
    handler_checks checks;
    const temporary_file disk("x");
    Ctx ctx, other;
    pipe_of<Ctx> pipe(ctx), elsewhere(other);
    auto [near, far] = connected_pair<local_socket_of<Ctx>>(ctx);
    random_file_of<Ctx> file(ctx, disk.open()), closed(ctx);
    reader_of<Ctx> closed_reader(ctx);
    io_result sockets, file_and_socket, no_source, no_target, two_contexts, placed, foreign, last,
        to_last;
    async_splice(near, far, 10, checks.into(sockets));
    async_splice(file, 0, near, 10, checks.into(file_and_socket));
    async_splice(closed_reader, near, 10, checks.into(no_source));
    async_splice(*pipe.reader, closed, 0, 10, checks.into(no_target));
    async_splice(*pipe.reader, *elsewhere.writer, 10, checks.into(two_contexts));
    async_splice(*pipe.reader, near, 5, 10, checks.into(placed));
    async_splice(file, ~std::uint64_t{0}, *pipe.writer, 10, checks.into(last));
    async_splice(*pipe.reader, file, ~std::uint64_t{0}, 10, checks.into(to_last));
    pipe.write("y"); // Or the last one would wait for bytes, and have them written.
    ctx.run();
    for (const auto* result : {&sockets, &file_and_socket, &placed, &last, &to_last})
        BOOST_TEST(result->ec == net::error::invalid_argument);
    BOOST_TEST(no_source.ec == net::error::bad_descriptor);
    BOOST_TEST(no_target.ec == net::error::bad_descriptor);
    BOOST_TEST(two_contexts.ec == net::error::operation_not_supported);
    net::io_context asios;
    pipe_of<net::io_context> of_asio(asios);
    foreign.initiating = true;
    async_splice(*of_asio.reader, *of_asio.writer, 10, checks.into(foreign));
    foreign.initiating = false;
    asios.run();
    BOOST_TEST(!foreign.called_while_initiating);
    BOOST_TEST(foreign.ec == net::error::operation_not_supported);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nobody_to_take_the_bytes_raises_no_signal, Ctx, our_contexts)
{
    const auto before = std::signal(SIGPIPE, count_sigpipe);
    sigpipes = 0;
    handler_checks checks;
    Ctx ctx;
    pipe_of<Ctx> from(ctx), to(ctx);
    auto [near, far] = connected_pair<local_socket_of<Ctx>>(ctx);
    from.write("bytes");
    to.reader->close();
    far.close();
    io_result of_pipe, of_socket;
    async_splice(*from.reader, *to.writer, 3, checks.into(of_pipe));
    async_splice(*from.reader, near, 3, checks.into(of_socket));
    ctx.run();
    BOOST_TEST(of_pipe.ec == net::error::broken_pipe);
    BOOST_TEST(of_socket.ec == net::error::broken_pipe);
    BOOST_TEST(sigpipes == 0);
    std::signal(SIGPIPE, before);
}

// ------------------------------------------------------- handlers and tokens

BOOST_AUTO_TEST_CASE_TEMPLATE(every_kind_of_token_is_taken, Ctx, our_contexts)
{
    Ctx ctx;
    pipe_of<Ctx> from(ctx), to(ctx);
    {
        running_context<Ctx> running(ctx);
        auto moved = async_splice(*from.reader, *to.writer, 10, net::use_future);
        from.write("future");
        BOOST_TEST(wait_for(moved) == 6u);
        from.writer->close();
        auto end = async_splice(*from.reader, *to.writer, 10, net::use_future);
        BOOST_CHECK_THROW(wait_for(end), boost::system::system_error);
    }
    pipe_of<Ctx> again(ctx);
    auto strand = net::make_strand(ctx.get_executor());
    bool ended = false;
    net::co_spawn(
        strand,
        [&]() -> net::awaitable<void> {
            again.write("awaited");
            auto later = async_splice(*again.reader, *to.writer, 3, net::deferred);
            BOOST_TEST(co_await std::move(later)(net::use_awaitable) == 3u);
            auto [ec, n] = co_await async_splice(*again.reader, *to.writer, 10, use_tuple);
            BOOST_TEST(ec == error_code());
            BOOST_TEST(n == 4u);
            BOOST_TEST(strand.running_in_this_thread());
            BOOST_TEST(co_await async_splice(*again.reader, *to.writer, 0, net::use_awaitable) ==
                       0u);
        },
        [&](std::exception_ptr e) {
            ended = true;
            BOOST_TEST(!e);
        });
    ctx.restart();
    ctx.run();
    BOOST_TEST(ended);
    BOOST_TEST(to.read(13) == "futureawaited");
}

/// Moves all there is, by a chain of splices, on threads that may check nothing.
template <class Source, class Target>
void pump(Source& from, Target& to, std::size_t left, error_code& failure)
{
    if (left == 0)
        return;
    async_splice(from, to, left, [&from, &to, left, &failure](error_code ec, std::size_t n) {
        failure = ec;
        if (!ec)
            pump(from, to, left - n, failure);
    });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(megabytes_go_through_while_several_threads_run, Ctx, our_contexts)
{
    const std::string all = pattern(4 << 20);
    Ctx ctx;
    pipe_of<Ctx> in(ctx), out(ctx);
    auto [near, far] = connected_pair<socket_of<Ctx>>(ctx);
    error_code in_failure, out_failure;
    pump(*in.reader, near, all.size(), in_failure);
    pump(far, *out.writer, all.size(), out_failure);
    const test_support::unique_descriptor to(::dup(in.writer->native_handle()));
    std::string received(all.size(), '\0');
    const test_support::unique_descriptor from(::dup(out.reader->native_handle()));
    std::thread writer([&] {
        for (std::size_t n = 0; n < all.size();)
            n += static_cast<std::size_t>(
                ::write(to.get(), all.data() + n, std::min<std::size_t>(all.size() - n, 300000)));
    });
    std::thread reader([&] {
        for (std::size_t n = 0; n < all.size();)
            n += static_cast<std::size_t>(::read(from.get(), received.data() + n, all.size() - n));
    });
    std::thread second([&] { ctx.run(); });
    ctx.run();
    second.join();
    writer.join();
    reader.join();
    BOOST_TEST(in_failure == error_code());
    BOOST_TEST(out_failure == error_code());
    BOOST_TEST((received == all));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
