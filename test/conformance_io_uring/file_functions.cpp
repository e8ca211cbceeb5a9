// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "files.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <safer_ring/asio/file_functions.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <utility>

// Bringing files to the disk on the ring, and the handlers and tokens of that and of
// opening them, which has a file of its own.
namespace conformance {
namespace {

using safer_ring::async_open;
using safer_ring::async_sync;
using safer_ring::sync_scope;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;
using test_support::running_context;
using test_support::wait_for;

constexpr auto use_tuple = net::as_tuple(net::use_awaitable);
constexpr auto read_write = net::file_base::read_write;

BOOST_AUTO_TEST_SUITE(file_functions)

// ------------------------------------------------------------------- sync

BOOST_AUTO_TEST_CASE_TEMPLATE(written_file_is_brought_to_the_disk, Ctx, our_contexts)
{
    handler_checks checks;
    const temporary_file disk("0123456789");
    Ctx ctx;
    random_file_of<Ctx> random(ctx, disk.path(), read_write);
    stream_file_of<Ctx> stream(ctx, disk.path(), read_write);
    io_result data, everything, of_stream;
    data.initiating = true;
    async_sync(random, sync_scope::data_only, checks.into(data));
    data.initiating = false;
    async_sync(random, checks.into(everything));
    async_sync(stream, sync_scope::everything, checks.into(of_stream));
    ctx.run();
    BOOST_TEST(!data.called_while_initiating);
    for (const auto* result : {&data, &everything, &of_stream})
        BOOST_TEST(result->ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_cannot_be_synced_is_told, Ctx, our_contexts)
{
    handler_checks checks;
    pipe_ends ends;
    Ctx ctx;
    stream_file_of<Ctx> closed(ctx), pipe(ctx, ends.write_end.release());
    io_result of_closed, of_pipe;
    async_sync(closed, checks.into(of_closed));
    async_sync(pipe, checks.into(of_pipe));
    ctx.run();
    BOOST_TEST(of_closed.ec == net::error::bad_descriptor);
    BOOST_TEST(of_pipe.ec == net::error::invalid_argument);
}

/// A stream file's operations run one after the other, this one too.
BOOST_AUTO_TEST_CASE_TEMPLATE(sync_of_a_stream_file_comes_in_order, Ctx, our_contexts)
{
    handler_checks checks;
    pipe_ends ends;
    Ctx ctx;
    const test_support::unique_descriptor writer(std::move(ends.write_end));
    stream_file_of<Ctx> file(ctx, ends.read_end.release());
    std::array<char, 4> bytes{};
    net::cancellation_signal signal;
    io_result read, sync, last;
    file.async_read_some(net::buffer(bytes), checks.into(read));
    async_sync(file, net::bind_cancellation_slot(signal.slot(), checks.into(sync)));
    file.async_read_some(net::buffer(bytes), checks.into(last));
    ctx.poll();
    BOOST_TEST(!sync.done);
    BOOST_REQUIRE(::write(writer.get(), "ab", 2) == 2);
    ctx.restart();
    run_until_done(ctx, sync);
    BOOST_TEST(read.bytes == 2u);
    BOOST_TEST(sync.ec == net::error::invalid_argument);
    BOOST_TEST(!last.done);
    file.cancel();
    ctx.restart();
    ctx.run();
    BOOST_TEST(last.ec == net::error::operation_aborted);
}

/// How each ends is a race; that each ends once is not.
BOOST_AUTO_TEST_CASE_TEMPLATE(sync_is_cancelled_closed_and_destroyed, Ctx, our_contexts)
{
    for (int way = 0; way != 4; ++way) {
        handler_checks checks;
        const temporary_file disk(pattern(1 << 20));
        Ctx ctx;
        std::optional<random_file_of<Ctx>> file(std::in_place, ctx, disk.path(), read_write);
        net::cancellation_signal signal;
        std::array<io_result, 8> results;
        for (auto& result : results)
            async_sync(*file, net::bind_cancellation_slot(signal.slot(), checks.into(result)));
        ctx.poll();
        ctx.restart();
        if (way == 0)
            file->cancel();
        else if (way == 1)
            signal.emit(net::cancellation_type::terminal);
        else if (way == 2)
            file->close();
        else
            file.reset();
        ctx.run();
        for (auto& result : results)
            BOOST_TEST((!result.ec || result.ec == net::error::operation_aborted));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(sync_behind_a_read_that_waits_is_cancelled, Ctx, our_contexts)
{
    handler_checks checks;
    pipe_ends ends;
    Ctx ctx;
    stream_file_of<Ctx> file(ctx, ends.read_end.release());
    std::array<char, 4> bytes{};
    net::cancellation_signal signal;
    io_result read, sync;
    file.async_read_some(net::buffer(bytes), checks.into(read));
    async_sync(file, net::bind_cancellation_slot(signal.slot(), checks.into(sync)));
    signal.emit(net::cancellation_type::partial);
    run_until_done(ctx, sync);
    BOOST_TEST(sync.ec == net::error::operation_aborted);
    BOOST_TEST(!read.done);
    file.close();
    ctx.run();
}

// ------------------------------------------------------- handlers and tokens

BOOST_AUTO_TEST_CASE_TEMPLATE(every_kind_of_token_is_taken, Ctx, our_contexts)
{
    const temporary_file disk("tokens");
    Ctx ctx;
    random_file_of<Ctx> file(ctx), other(ctx);
    {
        running_context<Ctx> running(ctx);
        wait_for(async_open(file, disk.path(), read_write, net::use_future));
        wait_for(async_sync(file, net::use_future));
        auto failed = async_open(other, "/nowhere/at/all", read_write, net::use_future);
        BOOST_CHECK_THROW(wait_for(failed), boost::system::system_error);
    }
    file.close();
    bool ended = false;
    net::co_spawn(
        ctx,
        [&]() -> net::awaitable<void> {
            const std::string path = disk.path();
            co_await async_open(file, path, read_write, net::use_awaitable);
            auto [ec] = co_await async_sync(file, sync_scope::data_only, use_tuple);
            BOOST_TEST(ec == error_code());
            auto later = async_open(other, path + "", read_write, net::deferred);
            co_await std::move(later)(net::use_awaitable);
            BOOST_TEST(other.size() == 6u);
            co_await async_sync(other, net::deferred);
        },
        [&](std::exception_ptr e) {
            ended = true;
            BOOST_TEST(!e);
        });
    ctx.restart();
    ctx.run();
    BOOST_TEST(ended);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handlers_run_where_they_belong, Ctx, our_contexts)
{
    const temporary_file disk("x");
    Ctx ctx;
    net::thread_pool elsewhere(1);
    random_file_of<Ctx> file(ctx);
    auto strand = net::make_strand(ctx.get_executor());
    net::basic_stream_file<decltype(strand)> in_strand(strand);
    int calls = 0;
    async_open(in_strand, disk.path(), read_write, [&](const error_code& ec) {
        BOOST_TEST(ec == error_code());
        BOOST_TEST(strand.running_in_this_thread());
        async_sync(in_strand, [&](const error_code& failed) {
            BOOST_TEST(failed == error_code());
            BOOST_TEST(strand.running_in_this_thread());
            ++calls;
        });
    });
    error_code opened = net::error::would_block;
    bool there = false;
    async_open(file, disk.path(), read_write,
               net::bind_executor(elsewhere, [&](const error_code& ec) {
                   opened = ec;
                   there = elsewhere.get_executor().running_in_this_thread();
               }));
    ctx.run();
    elsewhere.join();
    BOOST_TEST(calls == 1);
    BOOST_TEST(opened == error_code());
    BOOST_TEST(there);
}

/// An object of Asio's own says so, in its handler.
BOOST_AUTO_TEST_CASE(files_that_are_not_ours_are_refused)
{
    handler_checks checks;
    const temporary_file disk("x");
    net::io_context ctx;
    net::random_access_file file(ctx);
    net::stream_file stream(ctx, disk.path(), read_write);
    io_result opened, synced;
    opened.initiating = synced.initiating = true;
    async_open(file, disk.path(), read_write, checks.into(opened));
    async_sync(stream, checks.into(synced));
    opened.initiating = synced.initiating = false;
    ctx.run();
    for (const auto* result : {&opened, &synced}) {
        BOOST_TEST(result->ec == net::error::operation_not_supported);
        BOOST_TEST(!result->called_while_initiating);
    }
    BOOST_TEST(!file.is_open());
}

/// Closing any number of a file would end the locks that the process has on it (fcntl(2)).
BOOST_AUTO_TEST_CASE_TEMPLATE(sync_leaves_the_locks_of_the_process_in_place, Ctx, our_contexts)
{
    const temporary_file there;
    handler_checks checks;
    Ctx ctx;
    random_file_of<Ctx> file(ctx, there.path(), read_write);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    BOOST_REQUIRE(::fcntl(file.native_handle(), F_SETLK, &lock) == 0);
    io_result synced;
    async_sync(file, checks.into(synced));
    run_until_done(ctx, synced);
    BOOST_TEST(!synced.ec);
    const pid_t child = ::fork(); // To the process itself its own locks are none.
    if (child == 0) {
        test_support::limit_time_of_child();
        ::fcntl(file.native_handle(), F_GETLK, &lock);
        ::_exit(lock.l_type == F_UNLCK ? 1 : 0);
    }
    int status = -1;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
