// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "files.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>

// Cancelling, closing, moving, releasing and destroying files with operations
// under way.
namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

/// A pipe opened as a stream file, with reads pending that only data ends.
template <class Ctx>
struct waiting_file {
    waiting_file(Ctx& ctx, handler_checks& checks)
        : writer(std::move(ends.write_end)), file(ctx, ends.read_end.release())
    {
        file.async_read_some(net::buffer(buffer), checks.into(first));
        file.async_read_some(net::buffer(buffer), checks.into(second));
        ctx.poll();
        ctx.restart();
        BOOST_TEST(!first.done);
        BOOST_TEST(!second.done);
    }
    void write(std::string_view bytes)
    {
        BOOST_REQUIRE(::write(writer.get(), bytes.data(), bytes.size()) > 0);
    }
    void expect_aborted() const
    {
        BOOST_TEST(first.ec == net::error::operation_aborted);
        BOOST_TEST(second.ec == net::error::operation_aborted);
        BOOST_TEST(first.bytes == 0u);
    }

    pipe_ends ends;
    test_support::unique_descriptor writer;
    stream_file_of<Ctx> file;
    std::array<char, 16> buffer{};
    io_result first, second;
};

/// A random-access file with more direct reads under way than a disk ends at
/// once. How each ends is a race; that it ends once is not.
template <class Ctx>
struct busy_file {
    static constexpr std::size_t count = 8;
    static constexpr std::size_t size = 1 << 20;

    busy_file(Ctx& ctx, handler_checks& checks)
        : contents(pattern(count * size)), disk(contents, storage::direct), memory(contents.size()),
          file(ctx)
    {
        int fd = disk.open();
        file.assign(fd >= 0 ? fd : ::open(disk.path().c_str(), O_RDWR));
        for (std::size_t i = 0; i != count; ++i)
            file.async_read_some_at(i * size, memory.buffer(i * size, size),
                                    checks.into(results[i]));
    }
    void expect_done_or_aborted() const
    {
        for (std::size_t i = 0; i != count; ++i) {
            BOOST_TEST(results[i].done);
            if (results[i].ec)
                BOOST_TEST(results[i].ec == net::error::operation_aborted);
            else
                BOOST_TEST(results[i].bytes == size);
        }
    }

    std::string contents;
    temporary_file disk;
    aligned_memory memory;
    random_file_of<Ctx> file;
    std::array<io_result, count> results;
};

BOOST_AUTO_TEST_SUITE(file_lifetimes)

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_ends_what_waits_and_the_file_stays_usable, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    waiting_file<Ctx> waiting(ctx, checks);
    waiting.file.cancel();
    BOOST_TEST(!waiting.first.done);
    ctx.run();
    waiting.expect_aborted();
    io_result again;
    waiting.file.async_read_some(net::buffer(waiting.buffer), checks.into(again));
    waiting.write("more");
    run_until_done(ctx, again);
    BOOST_TEST(again.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(close_ends_what_waits, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    waiting_file<Ctx> waiting(ctx, checks);
    waiting.file.close();
    ctx.run();
    waiting.expect_aborted();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(destruction_ends_what_waits, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    waiting_file<Ctx> waiting(ctx, checks);
    {
        const stream_file_of<Ctx> doomed(std::move(waiting.file));
    }
    ctx.run();
    waiting.expect_aborted();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(assignment_ends_what_waits_on_the_old_file, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    waiting_file<Ctx> waiting(ctx, checks);
    const temporary_file other("other");
    waiting.file = stream_file_of<Ctx>(ctx, other.path(), net::file_base::read_only);
    ctx.run();
    waiting.expect_aborted();
    std::array<char, 8> buffer{};
    BOOST_TEST(waiting.file.read_some(net::buffer(buffer)) == 5u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_stay_with_a_file_that_moves, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    waiting_file<Ctx> waiting(ctx, checks);
    stream_file_of<Ctx> moved(std::move(waiting.file));
    BOOST_TEST(!waiting.file.is_open());
    waiting.write("to the new place");
    run_until_done(ctx, waiting.first);
    BOOST_TEST(waiting.first.bytes == 16u);
    moved.cancel();
    run_until_done(ctx, waiting.second);
    BOOST_TEST(waiting.second.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(released_descriptor_is_the_callers, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    waiting_file<Ctx> waiting(ctx, checks);
    const int native = waiting.file.native_handle();
    const test_support::unique_descriptor released(waiting.file.release());
    BOOST_TEST(released.get() == native);
    BOOST_TEST(!waiting.file.is_open());
    ctx.run();
    waiting.expect_aborted();
    waiting.write("here");
    char buffer[8];
    BOOST_TEST(::read(released.get(), buffer, sizeof buffer) == 4);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_slot_ends_its_own_operation_only, Ctx, contexts)
{
    for (const auto type : all_types) {
        handler_checks checks;
        Ctx ctx;
        pipe_ends ends;
        stream_file_of<Ctx> file(ctx, ends.read_end.release());
        std::array<char, 8> buffer{};
        io_result first, second;
        net::cancellation_signal of_first, of_second;
        file.async_read_some(net::buffer(buffer),
                             net::bind_cancellation_slot(of_first.slot(), checks.into(first)));
        file.async_read_some(net::buffer(buffer),
                             net::bind_cancellation_slot(of_second.slot(), checks.into(second)));
        ctx.poll();
        of_second.emit(type);
        ctx.poll();
        BOOST_TEST(!first.done);
        BOOST_REQUIRE(::write(ends.write_end.get(), "data", 4) == 4);
        run_until_done(ctx, first);
        run_until_done(ctx, second);
        BOOST_TEST(first.bytes == 4u);
        BOOST_TEST(second.ec == net::error::operation_aborted);
        of_first.emit(type); // Too late, and without effect.
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(direct_reads_end_once_when_cancelled, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    busy_file<Ctx> busy(ctx, checks);
    ctx.poll();
    busy.file.cancel();
    ctx.restart();
    ctx.run();
    busy.expect_done_or_aborted();
    io_result again;
    busy.file.async_read_some_at(0, busy.memory.buffer(0, 4096), checks.into(again));
    ctx.restart();
    ctx.run();
    BOOST_TEST((busy.memory.string(again.bytes) == busy.contents.substr(0, 4096)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(direct_reads_end_once_when_cancelled_by_slots, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const temporary_file disk(pattern(8 << 20), storage::direct);
    const int fd = disk.open();
    if (fd < 0)
        return;
    random_file_of<Ctx> file(ctx, fd);
    const aligned_memory memory(8 << 20);
    std::deque<net::cancellation_signal> signals(8);
    std::deque<io_result> results(8);
    for (std::size_t i = 0; i != 8; ++i)
        file.async_read_some_at(
            i << 20, memory.buffer(i << 20, 1 << 20),
            net::bind_cancellation_slot(signals[i].slot(), checks.into(results[i])));
    ctx.poll();
    for (auto& signal : signals)
        signal.emit(net::cancellation_type::total);
    ctx.restart();
    ctx.run();
    for (const auto& r : results)
        BOOST_TEST((r.ec == net::error::operation_aborted || r.bytes == 1u << 20));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(direct_reads_end_once_when_closed, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    busy_file<Ctx> busy(ctx, checks);
    ctx.poll();
    busy.file.close();
    ctx.restart();
    ctx.run();
    busy.expect_done_or_aborted();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(direct_reads_stay_with_a_file_that_moves, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    busy_file<Ctx> busy(ctx, checks);
    ctx.poll();
    random_file_of<Ctx> moved(std::move(busy.file));
    ctx.restart();
    ctx.run();
    busy.expect_done_or_aborted();
    BOOST_TEST((busy.memory.string(busy.contents.size()) == busy.contents));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(released_descriptor_of_reads_under_way_is_open, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    busy_file<Ctx> busy(ctx, checks);
    ctx.poll();
    const test_support::unique_descriptor released(busy.file.release());
    ctx.restart();
    ctx.run();
    busy.expect_done_or_aborted();
    BOOST_TEST(::lseek(released.get(), 0, SEEK_END) == off_t(busy.contents.size()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handlers_of_a_destroyed_context_are_destroyed_uncalled, Ctx, contexts)
{
    const std::string contents = pattern(4 << 20);
    for (const storage kept : all_storage)
        for (const bool started : {false, true}) {
            const temporary_file disk(contents, kept);
            // For ever: Asio's backend (1.81) goes on writing when its context is gone.
            static const aligned_memory memory(contents.size());
            std::array<char, 4> buffer{};
            handler_checks checks;
            pipe_ends ends;
            auto ctx = std::make_unique<Ctx>();
            auto file = std::make_shared<random_file_of<Ctx>>(*ctx);
            const int fd = disk.open();
            if (fd < 0)
                continue;
            file->assign(fd);
            auto pipe = std::make_shared<stream_file_of<Ctx>>(*ctx, ends.read_end.release());
            auto* const f = file.get();
            auto* const p = pipe.get();
            p->async_read_some(net::buffer(buffer), checks.never_with(std::move(pipe)));
            if (started)
                ctx->poll();
            f->async_read_some_at(0, memory.buffer(), checks.never_with(std::move(file)));
            ctx.reset();
        }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_started_before_close_is_written_or_aborted, Ctx, contexts)
{
    const std::string bytes = pattern(100000);
    const temporary_file disk;
    handler_checks checks;
    Ctx ctx;
    stream_file_of<Ctx> file(ctx, disk.path(), net::file_base::write_only);
    io_result write;
    file.async_write_some(net::buffer(bytes), checks.into(write));
    file.close();
    ctx.run();
    if (!write.ec)
        BOOST_TEST((disk.contents() == bytes));
    else
        BOOST_TEST(write.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
