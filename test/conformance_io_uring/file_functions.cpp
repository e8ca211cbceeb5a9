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
#include <dirent.h>
#include <memory>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <utility>

// Opening files, and bringing them to the disk, on the ring.
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

/// Descriptors of this process, of which none may be left behind.
std::size_t open_descriptors()
{
    std::size_t n = 0;
    DIR* const folder = ::opendir("/proc/self/fd");
    while (::readdir(folder) != nullptr)
        ++n;
    ::closedir(folder);
    return n;
}

/// A path that can be opened for reading only when somebody writes to it.
class fifo {
public:
    fifo()
    {
        path_ = "/tmp/safer_ring_XXXXXX";
        BOOST_REQUIRE(::mkdtemp(path_.data()) != nullptr);
        folder_ = path_;
        path_ += "/fifo";
        BOOST_REQUIRE(::mkfifo(path_.c_str(), 0600) == 0);
    }
    fifo(const fifo&) = delete;
    fifo& operator=(const fifo&) = delete;
    ~fifo()
    {
        ::unlink(path_.c_str());
        ::rmdir(folder_.c_str());
    }
    const std::string& path() const { return path_; }

private:
    std::string folder_;
    std::string path_;
};

/// An open that waits in the kernel for the other end of a FIFO.
template <class Ctx, class File = stream_file_of<Ctx>>
struct waiting_open {
    waiting_open(Ctx& ctx, handler_checks& checks)
        : file(std::in_place, ctx), before(open_descriptors())
    {
        async_open(*file, path.path(), net::file_base::read_only,
                   net::bind_cancellation_slot(signal.slot(), checks.into(opened)));
        ctx.poll();
        ctx.restart();
        BOOST_TEST(!opened.done);
        BOOST_TEST(!file->is_open());
    }
    void expect_aborted(Ctx& ctx)
    {
        run_until_done(ctx, opened);
        BOOST_TEST(opened.ec == net::error::operation_aborted);
        BOOST_TEST(open_descriptors() == before);
        // Nobody has it open for reading.
        const test_support::unique_descriptor writer(
            ::open(path.path().c_str(), O_WRONLY | O_NONBLOCK));
        BOOST_TEST(writer.get() == -1);
    }

    fifo path;
    net::cancellation_signal signal;
    std::optional<File> file;
    std::size_t before;
    io_result opened;
};

BOOST_AUTO_TEST_SUITE(file_functions)

// ------------------------------------------------------------------- open

BOOST_AUTO_TEST_CASE_TEMPLATE(file_is_open_when_the_handler_is_called, Ctx, our_contexts)
{
    handler_checks checks;
    const temporary_file disk("0123456789");
    Ctx ctx;
    stream_file_of<Ctx> stream(ctx);
    random_file_of<Ctx> random(ctx);
    bool read_begun = false;
    std::array<char, 4> bytes{}, others{};
    io_result opened, read, other;
    opened.initiating = true;
    async_open(random, disk.path(), read_write, checks.into(opened));
    async_open(stream, disk.path(), net::file_base::read_only,
               checks.once([&](const error_code& ec) {
                   BOOST_TEST(ec == error_code());
                   BOOST_TEST(stream.is_open());
                   BOOST_TEST(stream.native_handle() >= 0);
                   BOOST_TEST((::fcntl(stream.native_handle(), F_GETFL) & O_ACCMODE) == O_RDONLY);
                   stream.seek(2, net::file_base::seek_set);
                   stream.async_read_some(net::buffer(bytes), checks.into(read));
                   read_begun = true;
               }));
    opened.initiating = false;
    BOOST_TEST(!stream.is_open());
    ctx.run();
    BOOST_TEST(!opened.called_while_initiating);
    BOOST_TEST(opened.ec == error_code());
    BOOST_TEST(read_begun);
    BOOST_TEST(read.bytes == 4u);
    BOOST_TEST(std::string(bytes.data(), 4) == "2345");
    BOOST_TEST(random.size() == 10u);
    random.async_read_some_at(6, net::buffer(others), checks.into(other));
    ctx.restart();
    ctx.run();
    BOOST_TEST(std::string(others.data(), 4) == "6789");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(file_is_made_as_open_makes_it, Ctx, our_contexts)
{
    const auto flags = read_write | net::file_base::create | net::file_base::exclusive;
    handler_checks checks;
    const temporary_file first, second;
    struct stat made {
    }, expected{};
    for (const auto* file : {&first, &second})
        ::unlink(file->path().c_str());
    Ctx ctx;
    random_file_of<Ctx> here(ctx), there(ctx);
    here.open(first.path(), flags);
    io_result opened, again;
    async_open(there, second.path(), flags, checks.into(opened));
    ctx.run();
    BOOST_TEST(opened.ec == error_code());
    BOOST_REQUIRE(::stat(first.path().c_str(), &expected) == 0);
    BOOST_REQUIRE(::stat(second.path().c_str(), &made) == 0);
    BOOST_TEST(made.st_mode == expected.st_mode);
    BOOST_TEST(::fcntl(there.native_handle(), F_GETFL) == ::fcntl(here.native_handle(), F_GETFL));
    BOOST_TEST(::fcntl(there.native_handle(), F_GETFD) == ::fcntl(here.native_handle(), F_GETFD));
    there.close();
    async_open(there, second.path(), flags, checks.into(again));
    ctx.restart();
    ctx.run();
    BOOST_TEST(again.ec == boost::system::errc::file_exists);
    BOOST_TEST(!there.is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_cannot_be_opened_is_told, Ctx, our_contexts)
{
    handler_checks checks;
    const temporary_file disk("x");
    Ctx ctx;
    stream_file_of<Ctx> file(ctx), other(ctx);
    const std::size_t before = open_descriptors();
    const std::pair<std::string, error_code> cases[] = {
        {"/nowhere/at/all", error_code(ENOENT, boost::system::system_category())},
        {std::string(5000, 'x'), net::error::name_too_long},
        {std::string("/tmp\0x", 6), net::error::invalid_argument},
        {"", error_code(ENOENT, boost::system::system_category())},
    };
    for (const auto& [path, expected] : cases) {
        io_result result;
        async_open(file, path, read_write, checks.into(result));
        ctx.restart();
        ctx.run();
        BOOST_TEST(result.ec == expected);
        BOOST_TEST(!file.is_open());
    }
    BOOST_TEST(open_descriptors() == before);
    // Afterwards it is as closed as before, and can be opened in every way.
    error_code ec;
    file.cancel(ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    file.open(disk.path(), read_write, ec);
    BOOST_TEST(ec == error_code());
    io_result twice;
    async_open(file, disk.path(), read_write, checks.into(twice));
    ctx.restart();
    ctx.run();
    BOOST_TEST(twice.ec == net::error::already_open);
    BOOST_TEST(file.is_open());
}

/// The longest path there is does not fit where short ones go.
BOOST_AUTO_TEST_CASE_TEMPLATE(long_paths_are_opened_too, Ctx, our_contexts)
{
    handler_checks checks;
    const temporary_file disk("long");
    std::string path = disk.path();
    while (path.size() + 2 < 4095)
        path.insert(0, "/.");
    Ctx ctx;
    random_file_of<Ctx> file(ctx);
    io_result opened;
    async_open(file, path, net::file_base::read_only, checks.into(opened));
    ctx.run();
    BOOST_TEST(opened.ec == error_code());
    BOOST_TEST(file.size() == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(waiting_open_is_cancelled_by_object_and_slot, Ctx, our_contexts)
{
    for (const bool by_slot : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        waiting_open<Ctx> waiting(ctx, checks);
        if (by_slot)
            waiting.signal.emit(net::cancellation_type::total);
        else
            waiting.file->cancel();
        waiting.expect_aborted(ctx);
        // It can be opened again.
        const temporary_file disk("again");
        io_result again;
        async_open(*waiting.file, disk.path(), read_write, checks.into(again));
        run_until_done(ctx, again);
        BOOST_TEST(again.ec == error_code());
        BOOST_TEST(waiting.file->size() == 5u);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(close_and_destruction_end_a_waiting_open, Ctx, our_contexts)
{
    for (const bool destroy : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        waiting_open<Ctx> stream(ctx, checks);
        waiting_open<Ctx, random_file_of<Ctx>> random(ctx, checks);
        random.before = stream.before;
        if (destroy) {
            stream.file.reset();
            random.file.reset();
        } else {
            stream.file->close();
            random.file->close();
            BOOST_TEST(!stream.file->is_open());
        }
        run_until_done(ctx, random.opened);
        stream.expect_aborted(ctx);
        random.expect_aborted(ctx);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(second_open_and_transfers_wait_for_no_file, Ctx, our_contexts)
{
    handler_checks checks;
    const temporary_file disk("other");
    Ctx ctx;
    waiting_open<Ctx> waiting(ctx, checks);
    io_result second, read, sync;
    std::array<char, 4> bytes{};
    async_open(*waiting.file, disk.path(), read_write, checks.into(second));
    waiting.file->async_read_some(net::buffer(bytes), checks.into(read));
    async_sync(*waiting.file, checks.into(sync));
    error_code ec;
    waiting.file->open(disk.path(), read_write, ec);
    BOOST_TEST(ec == net::error::already_started);
    run_until_done(ctx, second);
    run_until_done(ctx, sync);
    BOOST_TEST(second.ec == net::error::already_started);
    BOOST_TEST(read.ec == net::error::bad_descriptor);
    BOOST_TEST(sync.ec == net::error::bad_descriptor);
    BOOST_TEST(!waiting.opened.done);
    waiting.file->close();
    waiting.expect_aborted(ctx);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(opened_file_goes_where_the_object_has_gone, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    waiting_open<Ctx> waiting(ctx, checks);
    stream_file_of<Ctx> moved(std::move(*waiting.file));
    waiting.file.reset();
    const test_support::unique_descriptor writer(::open(waiting.path.path().c_str(), O_RDWR));
    run_until_done(ctx, waiting.opened);
    BOOST_TEST(waiting.opened.ec == error_code());
    BOOST_TEST(moved.is_open());
    BOOST_TEST(open_descriptors() == waiting.before + 2);
    const int released = moved.release();
    BOOST_TEST(released >= 0);
    BOOST_TEST(::close(released) == 0);
    BOOST_TEST(!moved.is_open());
}

/// What was opened before close() is closed by it, whether told or not.
BOOST_AUTO_TEST_CASE_TEMPLATE(file_that_is_opened_meanwhile_is_closed, Ctx, our_contexts)
{
    const temporary_file disk("x");
    const std::size_t before = open_descriptors();
    {
        handler_checks checks;
        Ctx ctx;
        for (int way = 0; way != 3; ++way) {
            std::optional<stream_file_of<Ctx>> file(std::in_place, ctx);
            io_result opened;
            async_open(*file, disk.path(), read_write, checks.into(opened));
            if (way == 0)
                file->close();
            else if (way == 1)
                file.reset();
            else
                file->cancel();
            ctx.restart();
            ctx.run();
            BOOST_TEST(opened.done);
            BOOST_TEST((!opened.ec || opened.ec == net::error::operation_aborted));
        }
        ctx.restart();
        ctx.run();
    }
    BOOST_TEST(open_descriptors() == before);
}

/// The kernel has opened it, and nobody has been told yet: what is posted by the handler
/// that starts it runs when it is submitted, and before its completion is taken.
BOOST_AUTO_TEST_CASE_TEMPLATE(file_that_nobody_waits_for_any_more_is_closed, Ctx, our_contexts)
{
    const temporary_file disk("x");
    const std::size_t before = open_descriptors();
    for (const bool destroy : {false, true}) {
        handler_checks checks;
        Ctx ctx(1);
        std::optional<random_file_of<Ctx>> file(std::in_place, ctx);
        io_result opened;
        net::post(ctx, [&] {
            const std::size_t closed = open_descriptors();
            async_open(*file, disk.path(), read_write, checks.into(opened));
            net::post(ctx, [&, closed] {
                // A context that is attached to another may submit it later.
                for (int i = 0; i != 20000 && open_descriptors() == closed; ++i)
                    std::this_thread::yield();
                if (destroy)
                    file.reset();
                else
                    file->close();
            });
        });
        run_until_done(ctx, opened);
        BOOST_TEST(opened.ec == net::error::operation_aborted);
    }
    BOOST_TEST(open_descriptors() == before);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_is_destroyed_while_files_are_opened, Ctx, our_contexts)
{
    const temporary_file disk("x");
    const fifo waiting;
    const std::size_t before = open_descriptors();
    {
        handler_checks checks;
        Ctx ctx;
        for (const std::string& path : {disk.path(), waiting.path()}) {
            auto file = std::make_unique<stream_file_of<Ctx>>(ctx);
            auto& opening = *file;
            async_open(opening, path, net::file_base::read_only,
                       checks.never_with(std::move(file)));
        }
    }
    BOOST_TEST(open_descriptors() == before);
}

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
