// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "splices.hpp"

#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

// Splices that are cancelled, and whose objects or context go.
namespace conformance {
namespace {

using test_support::run_until_done;

BOOST_AUTO_TEST_SUITE(splice_ends)

BOOST_AUTO_TEST_CASE_TEMPLATE(it_is_cancelled_by_either_object_and_by_slot, Ctx, our_contexts)
{
    for (const bool for_room : {false, true}) {
        for (int way = 0; way != 3; ++way) {
            handler_checks checks;
            Ctx ctx;
            waiting_splice<Ctx> waiting(ctx, checks, for_room);
            if (way == 0)
                waiting.from.reader->cancel();
            else if (way == 1)
                waiting.to.writer->cancel();
            else
                waiting.signal.emit(net::cancellation_type::total);
            run_until_done(ctx, waiting.moved);
            BOOST_TEST(waiting.moved.ec == net::error::operation_aborted);
            BOOST_TEST(waiting.moved.bytes == 0u);
            // Both go on, and nobody stands in their line any more.
            if (for_room)
                waiting.to.read(waiting.in_target);
            else
                waiting.from.write("late");
            io_result again;
            async_splice(*waiting.from.reader, *waiting.to.writer, 100, checks.into(again));
            run_until_done(ctx, again);
            BOOST_TEST(again.bytes == 4u);
            BOOST_TEST(waiting.to.read(4) == "late");
            ctx.run();
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(closing_either_object_moves_no_byte_any_more, Ctx, our_contexts)
{
    for (const bool for_room : {false, true}) {
        for (int way = 0; way != 4; ++way) {
            handler_checks checks;
            Ctx ctx;
            waiting_splice<Ctx> waiting(ctx, checks, for_room);
            pipe_ends other; // Takes a number that is free now.
            const auto room = [&] {
                if (for_room)
                    waiting.to.read(waiting.in_target);
                else
                    waiting.from.write("late");
            };
            if (way == 0)
                waiting.from.reader->close();
            else if (way == 1)
                waiting.from.reader.reset();
            else if (way == 2)
                waiting.to.writer->close();
            else
                waiting.to.writer.reset();
            if (for_room || way >= 2)
                room();
            const pipe_ends reused;
            run_until_done(ctx, waiting.moved);
            BOOST_TEST(waiting.moved.ec == net::error::operation_aborted);
            if (way < 2) {
                BOOST_TEST(waiting.to.size() == 0u);
            } else {
                BOOST_TEST(waiting.from.read(4) == "late");
                char byte;
                BOOST_TEST(::read(waiting.to.reader->native_handle(), &byte, 1) == 0);
            }
            int in_reused = -1;
            ::ioctl(reused.read_end.get(), FIONREAD, &in_reused);
            BOOST_TEST(in_reused == 0);
            ctx.run();
        }
    }
}

/// There are bytes, and they were about to be moved.
BOOST_AUTO_TEST_CASE_TEMPLATE(target_that_is_closed_gets_no_byte_any_more, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    waiting_splice<Ctx> waiting(ctx, checks, false);
    waiting.from.write("late");
    waiting.to.writer->close();
    const pipe_ends reused, reused_too;
    run_until_done(ctx, waiting.moved);
    BOOST_TEST(waiting.moved.ec == net::error::operation_aborted);
    BOOST_TEST(waiting.from.read(4) == "late");
    for (const auto* pipe : {&reused, &reused_too}) {
        int bytes = -1;
        ::ioctl(pipe->read_end.get(), FIONREAD, &bytes);
        BOOST_TEST(bytes == 0);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancelling_the_target_ends_all_that_are_in_its_line, Ctx,
                              our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    pipe_of<Ctx> first(ctx), second(ctx), third(ctx), to(ctx);
    std::array<io_result, 3> results;
    async_splice(*first.reader, *to.writer, 10, checks.into(results[0]));
    async_splice(*second.reader, *to.writer, 10, checks.into(results[1]));
    async_splice(*third.reader, *to.writer, 10, checks.into(results[2]));
    ctx.poll();
    ctx.restart();
    to.writer->cancel();
    second.write("2nd");
    for (auto& result : results) {
        run_until_done(ctx, result);
        BOOST_TEST(result.ec == net::error::operation_aborted);
    }
    BOOST_TEST(second.size() == 3u);
}

// What is written before it has ended, and only its handler is to come.
BOOST_AUTO_TEST_CASE_TEMPLATE(what_stands_behind_one_that_ends_is_written, Ctx, our_contexts)
{
    for (int way = 0; way != 3; ++way) {
        handler_checks checks;
        Ctx ctx;
        pipe_of<Ctx> from(ctx), to(ctx);
        net::cancellation_signal signal;
        io_result first, moved, third;
        to.writer->async_write_some(net::buffer("1st", 3), checks.into(first));
        async_splice(*from.reader, *to.writer, 10,
                     net::bind_cancellation_slot(signal.slot(), checks.into(moved)));
        to.writer->async_write_some(net::buffer("3rd", 3), checks.into(third));
        if (way == 0)
            from.reader->cancel();
        else if (way == 1)
            from.reader->close();
        else
            signal.emit(net::cancellation_type::total);
        run_until_done(ctx, third);
        BOOST_TEST(third.bytes == 3u);
        BOOST_TEST(moved.ec == net::error::operation_aborted);
        BOOST_TEST(to.read(6) == "1st3rd");
        ctx.run();
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_is_destroyed_while_it_waits, Ctx, our_contexts)
{
    for (const bool for_room : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        auto from = std::make_shared<pipe_of<Ctx>>(ctx), to = std::make_shared<pipe_of<Ctx>>(ctx);
        if (for_room) {
            to->fill();
            from->write("x");
        }
        for (int i = 0; i != 3; ++i)
            async_splice(*from->reader, *to->writer, 10,
                         checks.never_with(std::make_pair(from, to)));
        ctx.poll();
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(file_waits_for_the_pipe_and_is_cancelled, Ctx, our_contexts)
{
    for (int way = 0; way != 5; ++way) {
        handler_checks checks;
        const temporary_file disk("0123456789");
        Ctx ctx;
        pipe_of<Ctx> full(ctx), empty(ctx);
        full.fill();
        std::optional<random_file_of<Ctx>> file(std::in_place, ctx, disk.open());
        net::cancellation_signal signal;
        io_result from, to;
        async_splice(*file, 0, *full.writer, 10,
                     net::bind_cancellation_slot(signal.slot(), checks.into(from)));
        async_splice(*empty.reader, *file, 0, 10, checks.into(to));
        ctx.poll();
        ctx.restart();
        BOOST_TEST(!from.done);
        BOOST_TEST(!to.done);
        if (way == 0)
            signal.emit(net::cancellation_type::terminal);
        else if (way == 1)
            full.writer->cancel();
        else if (way == 2)
            file->cancel();
        else if (way == 3)
            file.reset();
        else
            full.writer.reset();
        run_until_done(ctx, from);
        BOOST_TEST(from.ec == net::error::operation_aborted);
        if (file)
            file->close();
        run_until_done(ctx, to);
        BOOST_TEST(to.ec == net::error::operation_aborted);
        BOOST_TEST(disk.contents() == "0123456789");
    }
}

/// The target ends on one thread while bytes are on their way on another.
BOOST_AUTO_TEST_CASE_TEMPLATE(target_is_closed_while_bytes_move, Ctx, our_contexts)
{
    for (int i = 0; i != 50; ++i) {
        handler_checks checks;
        Ctx ctx;
        pipe_of<Ctx> from(ctx), to(ctx);
        io_result moved;
        async_splice(*from.reader, *to.writer, 100, checks.into(moved));
        std::thread running([&] { ctx.run(); });
        from.write("bytes");
        to.writer->close();
        running.join();
        BOOST_TEST(moved.done);
        std::string received(10, '\0');
        error_code ec;
        const std::size_t n = net::read(*to.reader, net::buffer(received), ec);
        BOOST_TEST(n == (moved.ec ? 0u : 5u));
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
