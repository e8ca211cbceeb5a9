// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "files.hpp"

#include "support/blocking_peer.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <csignal>
#include <deque>
#include <fcntl.h>
#include <optional>
#include <string>
#include <type_traits>

// Reading and writing at the file's own position.

// Parts of Asio that newer Boosts deprecate are tested for as long as they are there.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

BOOST_AUTO_TEST_SUITE(stream_files)

BOOST_AUTO_TEST_CASE_TEMPLATE(reads_follow_the_position, Ctx, contexts)
{
    constexpr std::size_t size = 3 << 20;
    constexpr std::size_t sizes[] = {1, 4095, 65536, 2 << 20, 8192, 1 << 20, 4096};
    const std::string contents = pattern(size + 11);
    for (const storage kept :
         {storage::cached, storage::uncached, storage::half, storage::memory}) {
        BOOST_TEST_CONTEXT(storage_names[static_cast<int>(kept)])
        {
            const temporary_file file(contents, kept);
            handler_checks checks;
            Ctx ctx;
            stream_file_of<Ctx> f(ctx, file.path(), net::file_base::read_only);
            std::string all;
            error_code last;
            for (std::size_t i = 0; !last; ++i) {
                std::string buffer(sizes[i % std::size(sizes)], '.');
                io_result r;
                f.async_read_some(net::buffer(buffer), checks.into(r));
                ctx.restart();
                ctx.run();
                BOOST_REQUIRE(((r.bytes == 0) == bool(r.ec)));
                all.append(buffer, 0, r.bytes);
                last = r.ec;
                BOOST_REQUIRE(f.seek(0, net::file_base::seek_cur) == all.size());
            }
            BOOST_TEST(last == net::error::eof);
            BOOST_TEST((all == contents));
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(writes_follow_the_position, Ctx, contexts)
{
    const std::string bytes = pattern(2 << 20);
    for (const storage kept : {storage::cached, storage::memory}) {
        const temporary_file file("", kept);
        handler_checks checks;
        Ctx ctx;
        stream_file_of<Ctx> f(ctx, file.path(), net::file_base::write_only);
        std::string expected;
        for (const std::size_t size : {std::size_t{5}, bytes.size(), std::size_t{4096}}) {
            io_result r;
            f.async_write_some(net::buffer(bytes, size), checks.into(r));
            ctx.restart();
            ctx.run();
            BOOST_TEST(r.ec == error_code());
            BOOST_TEST(r.bytes == size);
            expected.append(bytes, 0, size);
            BOOST_TEST(f.seek(0, net::file_base::seek_cur) == expected.size());
        }
        BOOST_TEST((file.contents() == expected));
    }
}

// Over what is on the disk already: the kernel tells of such a write later, and moves no position.
BOOST_AUTO_TEST_CASE_TEMPLATE(writes_past_the_page_cache_follow_the_position, Ctx, our_contexts)
{
    constexpr std::size_t block = 4096;
    const std::string bytes = pattern(3 << 20);
    const temporary_file file(std::string(bytes.size() + 4 * block, '.'), storage::direct);
    const int fd = file.open();
    if (fd < 0)
        SAFER_RING_SKIP("no O_DIRECT in /var/tmp");
    handler_checks checks;
    Ctx ctx;
    stream_file_of<Ctx> f(ctx, fd);
    std::string expected;
    std::deque<io_result> writes(5);
    for (io_result& r : writes) {
        const std::size_t size = &r == &writes[2] ? bytes.size() : block;
        f.async_write_some(net::buffer(bytes, size), checks.into(r));
        expected.append(bytes, 0, size);
    }
    ctx.run();
    for (const io_result& r : writes)
        BOOST_TEST(r.ec == error_code());
    BOOST_TEST((file.contents() == expected));
    BOOST_TEST(f.seek(0, net::file_base::seek_cur) == expected.size());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_queued_at_once_run_in_order, Ctx, contexts)
{
    constexpr std::size_t block = 5000;
    constexpr std::size_t blocks = 50;
    const std::string contents = pattern(block * blocks);
    for (const storage kept :
         {storage::cached, storage::uncached, storage::half, storage::memory}) {
        const temporary_file file(contents, kept);
        const temporary_file copy("", kept);
        handler_checks checks;
        Ctx ctx;
        stream_file_of<Ctx> from(ctx, file.path(), net::file_base::read_only);
        stream_file_of<Ctx> to(ctx, copy.path(), net::file_base::write_only);
        std::string got(contents.size(), '.');
        std::deque<io_result> reads(blocks), writes(blocks);
        for (std::size_t i = 0; i != blocks; ++i)
            from.async_read_some(net::buffer(got.data() + i * block, block), checks.into(reads[i]));
        for (std::size_t i = 0; i != blocks; ++i)
            to.async_write_some(net::buffer(contents.data() + i * block, block),
                                checks.into(writes[i]));
        ctx.run();
        for (std::size_t i = 0; i != blocks; ++i) {
            BOOST_TEST(reads[i].bytes == block);
            BOOST_TEST(writes[i].bytes == block);
        }
        BOOST_TEST((got == contents));
        BOOST_TEST((copy.contents() == contents));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(seeking_moves_what_is_read_and_written_next, Ctx, contexts)
{
    const temporary_file file("0123456789");
    handler_checks checks;
    Ctx ctx;
    stream_file_of<Ctx> f(ctx, file.path(), net::file_base::read_write);
    std::array<char, 3> buffer{};
    io_result read, write;
    BOOST_TEST(f.seek(4, net::file_base::seek_set) == 4u);
    f.async_read_some(net::buffer(buffer), checks.into(read));
    ctx.run();
    BOOST_TEST(std::string(buffer.data(), 3) == "456");
    BOOST_TEST(f.seek(-2, net::file_base::seek_end) == 8u);
    f.async_write_some(net::buffer("xyz", 3), checks.into(write));
    ctx.restart();
    ctx.run();
    BOOST_TEST(file.contents() == "01234567xyz");
    BOOST_TEST(f.seek(-10, net::file_base::seek_cur) == 1u);
    BOOST_TEST(f.read_some(net::buffer(buffer)) == 3u);
    BOOST_TEST(std::string(buffer.data(), 3) == "123");
    BOOST_TEST(f.write_some(net::buffer("-", 1)) == 1u);
    BOOST_TEST(file.contents() == "0123-567xyz");
    error_code ec;
    f.seek(-1, net::file_base::seek_set, ec);
    BOOST_TEST(ec == net::error::invalid_argument);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(appending_ignores_the_position, Ctx, contexts)
{
    const temporary_file file("begin ");
    handler_checks checks;
    Ctx ctx;
    stream_file_of<Ctx> f(ctx, file.path(), net::file_base::write_only | net::file_base::append);
    io_result first, second;
    f.async_write_some(net::buffer("one ", 4), checks.into(first));
    f.async_write_some(net::buffer("two", 3), checks.into(second));
    ctx.run();
    BOOST_TEST(file.contents() == "begin one two");
    BOOST_TEST(f.seek(0, net::file_base::seek_cur) == 13u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(composed_operations_read_and_write_all, Ctx, contexts)
{
    std::string contents = pattern(100000);
    std::replace(contents.begin(), contents.end(), '\n', ' ');
    contents[70000] = '\n';
    const temporary_file file(contents, storage::uncached);
    const temporary_file copy;
    handler_checks checks;
    Ctx ctx;
    stream_file_of<Ctx> from(ctx, file.path(), net::file_base::read_only);
    stream_file_of<Ctx> to(ctx, copy.path(), net::file_base::write_only);
    std::string line, rest;
    io_result until, all, write;
    net::async_read_until(from, net::dynamic_buffer(line), '\n', checks.into(until));
    ctx.run();
    BOOST_TEST(until.bytes == 70001u);
    net::async_read(from, net::dynamic_buffer(rest), checks.into(all));
    ctx.restart();
    ctx.run();
    BOOST_TEST(all.ec == net::error::eof);
    BOOST_TEST((line + rest == contents));
    net::async_write(to, net::buffer(contents), checks.into(write));
    ctx.restart();
    ctx.run();
    BOOST_TEST((copy.contents() == contents));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(closed_stream_file_answers_bad_descriptor, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    stream_file_of<Ctx> f(ctx);
    std::array<char, 4> buffer{};
    io_result read, write;
    f.async_read_some(net::buffer(buffer), checks.into(read));
    f.async_write_some(net::buffer(buffer), checks.into(write));
    ctx.run();
    BOOST_TEST(read.ec == net::error::bad_descriptor);
    BOOST_TEST(write.ec == net::error::bad_descriptor);
    error_code ec;
    f.seek(0, net::file_base::seek_set, ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    f.read_some(net::buffer(buffer), ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    f.write_some(net::buffer(buffer), ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pipe_opened_as_a_file_is_waited_for, Ctx, contexts)
{
    for (const bool nonblocking : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        pipe_ends ends;
        if (nonblocking) {
            ::fcntl(ends.read_end.get(), F_SETFL, O_NONBLOCK);
            ::fcntl(ends.write_end.get(), F_SETFL, O_NONBLOCK);
        }
        stream_file_of<Ctx> reader(ctx, ends.read_end.release());
        stream_file_of<Ctx> writer(ctx, ends.write_end.release());
        std::array<char, 64> buffer{};
        io_result read, write, end;
        reader.async_read_some(net::buffer(buffer), checks.into(read));
        ctx.poll();
        BOOST_TEST(!read.done);
        writer.async_write_some(net::buffer("through", 7), checks.into(write));
        run_until_done(ctx, read);
        BOOST_TEST(read.bytes == 7u);
        BOOST_TEST(std::string(buffer.data(), 7) == "through");
        // More than a pipe holds.
        const std::string large = pattern(300000);
        std::string got(large.size(), '.');
        io_result all, sent;
        net::async_write(writer, net::buffer(large), checks.into(sent));
        net::async_read(reader, net::buffer(got), checks.into(all));
        run_until_done(ctx, all);
        run_until_done(ctx, sent);
        BOOST_TEST((got == large));
        writer.close();
        reader.async_read_some(net::buffer(buffer), checks.into(end));
        run_until_done(ctx, end);
        BOOST_TEST(end.ec == net::error::eof);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(devices_opened_as_files, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    stream_file_of<Ctx> zero(ctx, "/dev/zero", net::file_base::read_only);
    stream_file_of<Ctx> null(ctx, "/dev/null", net::file_base::read_write);
    stream_file_of<Ctx> full(ctx, "/dev/full", net::file_base::write_only);
    std::string buffer(100000, '.');
    io_result zeroes, end, gone, no_room;
    zero.async_read_some(net::buffer(buffer), checks.into(zeroes));
    null.async_write_some(net::buffer(buffer), checks.into(gone));
    full.async_write_some(net::buffer(buffer), checks.into(no_room));
    ctx.run();
    null.async_read_some(net::buffer(buffer), checks.into(end));
    ctx.restart();
    ctx.run();
    // A page is enough for the device where the thread has something else to do (read_iter_zero() in
    // Linux's drivers/char/mem.c).
    BOOST_TEST(zeroes.bytes >= 4096U);
    BOOST_TEST((buffer ==
                std::string(zeroes.bytes, '\0') + std::string(buffer.size() - zeroes.bytes, '.')));
    BOOST_TEST(gone.bytes == buffer.size());
    BOOST_TEST(no_room.ec == boost::system::errc::no_space_on_device);
    BOOST_TEST(end.ec == net::error::eof);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(null_buffers_wait_for_readiness, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    pipe_ends ends;
    stream_file_of<Ctx> reader(ctx, ends.read_end.release());
    io_result wait;
    reader.async_read_some(net::null_buffers(), checks.into(wait));
    ctx.poll();
    BOOST_TEST(!wait.done);
    BOOST_REQUIRE(::write(ends.write_end.get(), "x", 1) == 1);
    run_until_done(ctx, wait);
    BOOST_TEST(wait.ec == error_code());
    // Asio's io_uring backend gives the events that came as a number of bytes.
    if constexpr (is_ours<Ctx>)
        BOOST_TEST(wait.bytes == 0u);
    error_code ec = test_support::garbage_error();
    reader.read_some(net::null_buffers(), ec);
    BOOST_TEST(ec == error_code());
    std::array<char, 4> buffer{};
    BOOST_TEST(reader.read_some(net::buffer(buffer)) == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(file_made_nonblocking_is_read_all_the_same, Ctx, contexts)
{
    const std::string contents = pattern(100000);
    for (const storage kept : {storage::uncached, storage::memory}) {
        const temporary_file file(contents, kept);
        handler_checks checks;
        Ctx ctx;
        stream_file_of<Ctx> f(ctx, file.open(O_RDWR | O_NONBLOCK));
        std::string got(contents.size(), '.');
        io_result read, write;
        net::async_read(f, net::buffer(got), checks.into(read));
        ctx.run();
        BOOST_TEST(read.ec == error_code());
        BOOST_TEST((got == contents));
        net::async_write(f, net::buffer(contents), checks.into(write));
        ctx.restart();
        ctx.run();
        BOOST_TEST((file.contents() == contents + contents));
    }
}

int signals_of_pipes = 0;

/// docs/design.md: an attempt before a close or a cancellation raises none.
BOOST_AUTO_TEST_CASE_TEMPLATE(write_without_a_reader_ends_with_its_file_quietly, Ctx, our_contexts)
{
    const auto before = ::signal(SIGPIPE, [](int) { ++signals_of_pipes; });
    signals_of_pipes = 0;
    for (const char* const end : {"close", "cancel", "destruction"}) {
        Ctx ctx;
        auto [reader, writer] = test_support::pipe_descriptor_pair();
        ::fcntl(writer.get(), F_SETFL, O_NONBLOCK);
        const std::string much(1 << 16, '.');
        while (::write(writer.get(), much.data(), much.size()) > 0)
            continue;
        std::optional<stream_file_of<Ctx>> f(std::in_place, ctx, writer.release());
        error_code ec;
        net::post(ctx, [&, &other_end = reader] {
            f->async_write_some(net::buffer(much, 1), [&](error_code e, std::size_t) { ec = e; });
            other_end.reset();
            if (end == std::string("close"))
                f->close();
            else if (end == std::string("cancel"))
                f->cancel();
            else
                f.reset();
        });
        ctx.run();
        BOOST_TEST((ec == net::error::broken_pipe || ec == net::error::operation_aborted));
    }
    BOOST_TEST(signals_of_pipes == 0);
    ::signal(SIGPIPE, before);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
