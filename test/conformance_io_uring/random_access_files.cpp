// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "files.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <thread>
#include <utility>
#include <vector>

// Reading and writing at offsets.
namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;

constexpr std::size_t mebibyte = 1 << 20;

/// A read or a write, and what becomes of it.
struct transfer {
    std::uint64_t offset;
    std::size_t size;
    error_code ec;
    std::size_t bytes;
};

/// Converts to a buffer, and is none.
template <class Buffer>
struct converts_to {
    operator Buffer() const noexcept { return bytes; }
    Buffer bytes;
};

BOOST_AUTO_TEST_SUITE(random_access_files)

BOOST_AUTO_TEST_CASE_TEMPLATE(reads_give_what_the_file_has, Ctx, contexts)
{
    constexpr std::size_t size = 3 * mebibyte + 4096;
    const transfer table[] = {
        {0, 4096, {}, 4096},
        {8192, 8192, {}, 8192},
        {mebibyte - 4096, 8192, {}, 8192},
        {0, size, {}, size},
        {0, 2 * size, {}, size},
        {size - 4096, 8192, {}, 4096},
        {size, 4096, net::error::eof, 0},
        {size + mebibyte, 4096, net::error::eof, 0},
        {4096, 0, {}, 0},
        {size, 0, {}, 0},
    };
    const std::string contents = pattern(size);
    for (const storage kept : all_storage) {
        BOOST_TEST_CONTEXT(storage_names[static_cast<int>(kept)])
        for (const bool asynchronously : {true, false}) {
            const temporary_file file(contents, kept);
            handler_checks checks;
            Ctx ctx;
            const int fd = file.open();
            if (fd < 0)
                continue;
            random_file_of<Ctx> reader(ctx, fd);
            for (const transfer& t : table) {
                BOOST_TEST_CONTEXT("offset " << t.offset << ", size " << t.size)
                {
                    const aligned_memory memory(2 * size);
                    io_result r;
                    if (asynchronously) {
                        r.initiating = true;
                        reader.async_read_some_at(t.offset, memory.buffer(0, t.size),
                                                  checks.into(r));
                        r.initiating = false;
                        ctx.restart();
                        ctx.run();
                    } else {
                        r.bytes =
                            reader.read_some_at(t.offset, memory.buffer(0, t.size), r.ec = {});
                    }
                    BOOST_TEST(!r.called_while_initiating);
                    BOOST_TEST(r.ec == t.ec);
                    BOOST_TEST(r.bytes == t.bytes);
                    BOOST_TEST((memory.string(t.bytes) ==
                                contents.substr(std::min<std::size_t>(t.offset, size), t.bytes)));
                    // A direct read straight into this memory fills whole sectors of it.
                    if (kept != storage::direct)
                        BOOST_TEST((memory.string(2 * size).find_first_not_of('.', t.bytes) ==
                                    std::string::npos));
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(writes_arrive_where_they_belong, Ctx, contexts)
{
    constexpr std::size_t size = 2 * mebibyte + 8192;
    const transfer table[] = {
        {0, 4096, {}, 4096}, {4096, mebibyte, {}, mebibyte}, {8192, 0, {}, 0},
        {0, size, {}, size}, {2 * size, 4096, {}, 4096},     {size, 8192, {}, 8192},
    };
    const std::string bytes = pattern(size);
    for (const storage kept : {storage::cached, storage::memory, storage::direct}) {
        BOOST_TEST_CONTEXT(storage_names[static_cast<int>(kept)])
        for (const bool asynchronously : {true, false}) {
            const temporary_file file("", kept);
            handler_checks checks;
            Ctx ctx;
            const int fd = file.open();
            if (fd < 0)
                continue;
            random_file_of<Ctx> writer(ctx, fd);
            aligned_memory memory(size);
            memory.assign(bytes);
            std::string expected;
            for (const transfer& t : table) {
                BOOST_TEST_CONTEXT("offset " << t.offset << ", size " << t.size)
                {
                    io_result r;
                    if (asynchronously) {
                        writer.async_write_some_at(t.offset, memory.buffer(0, t.size),
                                                   checks.into(r));
                        ctx.restart();
                        ctx.run();
                    } else {
                        r.bytes =
                            writer.write_some_at(t.offset, memory.buffer(0, t.size), r.ec = {});
                    }
                    BOOST_TEST(r.ec == t.ec);
                    BOOST_TEST(r.bytes == t.bytes);
                    if (t.size != 0) {
                        expected.resize(std::max(expected.size(), t.offset + t.size));
                        expected.replace(t.offset, t.size, bytes, 0, t.size);
                    }
                    BOOST_TEST((file.contents() == expected));
                    BOOST_TEST(writer.size() == expected.size());
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(many_buffers_are_filled_in_order, Ctx, contexts)
{
    const std::string contents = pattern(300);
    for (const storage kept : {storage::cached, storage::uncached, storage::memory}) {
        const temporary_file file(contents, kept);
        const temporary_file copy("", kept);
        handler_checks checks;
        Ctx ctx;
        random_file_of<Ctx> from(ctx, file.open()), to(ctx, copy.open());
        std::array<std::array<char, 3>, 100> pieces{};
        std::vector<net::mutable_buffer> buffers;
        for (auto& piece : pieces) {
            buffers.push_back(net::buffer(piece));
            buffers.push_back(net::mutable_buffer());
        }
        io_result read, write;
        net::async_read_at(from, 0, buffers, checks.into(read));
        ctx.run();
        net::async_write_at(to, 0, buffers, checks.into(write));
        ctx.restart();
        ctx.run();
        BOOST_TEST(read.ec == error_code());
        BOOST_TEST(read.bytes == contents.size());
        BOOST_TEST(write.bytes == contents.size());
        BOOST_TEST(copy.contents() == contents);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_at_once_do_not_disturb_each_other, Ctx, contexts)
{
    constexpr std::size_t block = 4096;
    constexpr std::size_t blocks = 300;
    const std::string contents = pattern(block * blocks);
    for (const storage kept : all_storage) {
        const temporary_file file(contents, kept);
        const temporary_file copy(std::string(contents.size(), '-'), kept);
        handler_checks checks;
        Ctx ctx;
        const int fd = file.open();
        const int fd_of_copy = copy.open();
        if (fd < 0 || fd_of_copy < 0)
            continue;
        random_file_of<Ctx> from(ctx, fd), to(ctx, fd_of_copy);
        const aligned_memory memory(contents.size());
        std::deque<io_result> reads(blocks), writes(blocks);
        for (std::size_t i = blocks; i-- > 0;)
            from.async_read_some_at(i * block, memory.buffer(i * block, block),
                                    checks.once([&, i](error_code ec, std::size_t n) {
                                        reads[i].store(ec, n);
                                        to.async_write_some_at(i * block,
                                                               memory.buffer(i * block, block),
                                                               checks.into(writes[i]));
                                    }));
        ctx.run();
        for (std::size_t i = 0; i != blocks; ++i) {
            BOOST_REQUIRE(reads[i].bytes == block);
            BOOST_REQUIRE(writes[i].bytes == block);
        }
        BOOST_TEST((copy.contents() == contents));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_from_several_running_threads, Ctx, contexts)
{
    constexpr std::size_t block = 4096;
    constexpr std::size_t blocks = 64;
    const std::string contents = pattern(block * blocks);
    for (const storage kept : {storage::cached, storage::memory}) {
        const temporary_file file(contents, kept);
        Ctx ctx;
        // A file is not for several threads at once; one each is, on one context.
        struct reader {
            reader(Ctx& ctx, const temporary_file& f) : file(ctx, f.open()) {}
            void next()
            {
                file.async_read_some_at(done * block,
                                        net::buffer(bytes.data() + done * block, block),
                                        [this](error_code ec, std::size_t n) {
                                            failed = failed || ec || n != block;
                                            if (++done != blocks)
                                                next();
                                        });
            }
            random_file_of<Ctx> file;
            std::string bytes = std::string(block * blocks, '.');
            std::size_t done = 0;
            bool failed = false;
        };
        std::deque<reader> readers;
        for (int i = 0; i != 8; ++i)
            readers.emplace_back(ctx, file).next();
        std::vector<std::thread> threads;
        for (int i = 0; i != 3; ++i)
            threads.emplace_back([&] { ctx.run(); });
        for (auto& thread : threads)
            thread.join();
        for (const reader& r : readers) {
            BOOST_TEST(!r.failed);
            BOOST_TEST((r.bytes == contents));
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(resizing_and_synchronising, Ctx, contexts)
{
    const temporary_file file("0123456789");
    Ctx ctx;
    random_file_of<Ctx> f(ctx, file.path(), net::file_base::read_write);
    BOOST_TEST(f.size() == 10u);
    f.resize(4);
    BOOST_TEST(file.contents() == "0123");
    f.resize(6);
    BOOST_TEST(file.contents() == std::string("0123\0\0", 6));
    BOOST_CHECK_NO_THROW(f.sync_all());
    BOOST_CHECK_NO_THROW(f.sync_data());
    error_code ec;
    f.resize(~std::uint64_t{0}, ec);
    BOOST_TEST(ec == net::error::invalid_argument);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(opening_fails_as_open_does, Ctx, contexts)
{
    const temporary_file file("contents");
    Ctx ctx;
    random_file_of<Ctx> f(ctx);
    error_code ec;
    f.open(file.path() + "_not_there", net::file_base::read_only, ec);
    BOOST_TEST(ec == boost::system::errc::no_such_file_or_directory);
    f.open(file.path(), net::file_base::read_only, ec);
    BOOST_TEST(ec == error_code());
    f.open(file.path(), net::file_base::read_only, ec);
    BOOST_TEST(ec == net::error::already_open);
    f.assign(0, ec);
    BOOST_TEST(ec == net::error::already_open);
    BOOST_CHECK_THROW(random_file_of<Ctx>(ctx, file.path(),
                                          net::file_base::write_only | net::file_base::create |
                                              net::file_base::exclusive),
                      boost::system::system_error);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_a_file_cannot_do_is_an_error, Ctx, contexts)
{
    const temporary_file file("contents");
    handler_checks checks;
    Ctx ctx;
    std::array<char, 4> buffer{};
    random_file_of<Ctx> reader(ctx, file.path(), net::file_base::read_only);
    random_file_of<Ctx> writer(ctx, file.path(), net::file_base::write_only);
    random_file_of<Ctx> folder(ctx, "/var/tmp", net::file_base::read_only);
    random_file_of<Ctx> nothing(ctx, 1 << 20); // No such descriptor.
    io_result read, write, list, bad, none;
    writer.async_read_some_at(0, net::buffer(buffer), checks.into(read));
    reader.async_write_some_at(0, net::buffer(buffer), checks.into(write));
    folder.async_read_some_at(0, net::buffer(buffer), checks.into(list));
    nothing.async_read_some_at(0, net::buffer(buffer), checks.into(bad));
    reader.async_read_some_at(0, net::mutable_buffer(nullptr, 4096), checks.into(none));
    ctx.run();
    BOOST_TEST(read.ec == net::error::bad_descriptor);
    BOOST_TEST(write.ec == net::error::bad_descriptor);
    BOOST_TEST(list.ec == boost::system::errc::is_a_directory);
    BOOST_TEST(bad.ec == net::error::bad_descriptor);
    BOOST_TEST(none.ec == net::error::fault);
    error_code ec;
    reader.write_some_at(0, net::buffer(buffer), ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    nothing.close(ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
}

/// Such as an overflow makes, or -1: to the kernel, and to Asio's asynchronous calls, the last of
/// them is where the file's own position is.
BOOST_AUTO_TEST_CASE_TEMPLATE(offsets_that_no_file_has_are_invalid, Ctx, contexts)
{
    constexpr auto last = ~std::uint64_t{0};
    const temporary_file disk("contents");
    handler_checks checks;
    Ctx ctx;
    std::array<char, 4> buffer{'x', 'x', 'x', 'x'};
    random_file_of<Ctx> file(ctx, disk.path(), net::file_base::read_write);
    for (const std::uint64_t offset : {last, last - 1, (last >> 1) + 1}) {
        error_code reading, writing;
        BOOST_TEST(file.read_some_at(offset, net::buffer(buffer), reading) == 0u);
        BOOST_TEST(file.write_some_at(offset, net::buffer(buffer), writing) == 0u);
        BOOST_TEST(reading == net::error::invalid_argument);
        BOOST_TEST(writing == net::error::invalid_argument);
        if (offset == last && !is_ours<Ctx>)
            continue;
        io_result read, write;
        file.async_read_some_at(offset, net::buffer(buffer), checks.into(read));
        file.async_write_some_at(offset, net::buffer(buffer), checks.into(write));
        ctx.restart();
        ctx.run();
        BOOST_TEST(read.ec == net::error::invalid_argument);
        BOOST_TEST(write.ec == net::error::invalid_argument);
    }
    BOOST_TEST(disk.contents() == "contents");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(closed_file_answers_bad_descriptor, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    random_file_of<Ctx> f(ctx);
    std::array<char, 4> buffer{};
    io_result read, write, empty;
    f.async_read_some_at(0, net::buffer(buffer), checks.into(read));
    f.async_write_some_at(0, net::buffer(buffer), checks.into(write));
    f.async_read_some_at(0, net::mutable_buffer(), checks.into(empty));
    ctx.run();
    BOOST_TEST(read.ec == net::error::bad_descriptor);
    BOOST_TEST(write.ec == net::error::bad_descriptor);
    BOOST_TEST(empty.ec == error_code());
    BOOST_TEST(empty.bytes == 0u);
    error_code ec[8];
    f.read_some_at(0, net::buffer(buffer), ec[0]);
    f.write_some_at(0, net::buffer(buffer), ec[1]);
    f.size(ec[2]);
    f.sync_all(ec[3]);
    f.sync_data(ec[4]);
    f.cancel(ec[5]);
    f.resize(1, ec[6]);
    for (int i = 0; i != 6; ++i)
        BOOST_TEST(ec[i] == net::error::bad_descriptor, "call " << i << ": " << ec[i].message());
    BOOST_TEST(ec[6].failed());
    f.close(ec[7]);
    BOOST_TEST(ec[7] == error_code());
    BOOST_TEST(f.release() == -1);
    BOOST_TEST(!f.is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(file_opened_again_after_close, Ctx, contexts)
{
    const temporary_file first("first"), second("second");
    handler_checks checks;
    Ctx ctx;
    random_file_of<Ctx> f(ctx, first.path(), net::file_base::read_only);
    f.close();
    BOOST_TEST(!f.is_open());
    f.open(second.path(), net::file_base::read_only);
    std::array<char, 16> buffer{};
    io_result r;
    f.async_read_some_at(0, net::buffer(buffer), checks.into(r));
    ctx.run();
    BOOST_TEST(std::string(buffer.data(), r.bytes) == "second");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_converts_to_buffers_is_read_and_written, Ctx, contexts)
{
    const temporary_file file;
    handler_checks checks;
    Ctx ctx;
    random_file_of<Ctx> f(ctx, file.path(), net::file_base::read_write);
    std::string text = "data", room = "....";
    const auto transfer = [&](auto start) {
        io_result r;
        start(checks.into(r));
        ctx.restart();
        ctx.run();
        BOOST_TEST(r.ec == error_code());
        BOOST_TEST(r.bytes == 4U);
    };
    const std::vector<converts_to<net::mutable_buffer>> from = {{net::buffer(text.data(), 2)},
                                                                {net::buffer(text.data() + 2, 2)}};
    const std::vector<converts_to<net::mutable_buffer>> to = {{net::buffer(room.data(), 2)},
                                                              {net::buffer(room.data() + 2, 2)}};
    const std::vector<converts_to<net::const_buffer>> constant = {{net::buffer("data", 4)}};
    BOOST_TEST(f.write_some_at(0, from) == 4U);
    BOOST_TEST(f.read_some_at(0, to) == 4U);
    BOOST_TEST(room == "data");
    transfer([&](auto h) { f.async_write_some_at(4, from, std::move(h)); });
    transfer([&](auto h) { f.async_write_some_at(8, constant, std::move(h)); });
    for (const std::uint64_t offset : {0U, 4U, 8U}) {
        room = "....";
        transfer([&](auto h) { f.async_read_some_at(offset, to, std::move(h)); });
        BOOST_TEST(room == "data");
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
