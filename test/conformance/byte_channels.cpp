// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "byte_channels.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

// What holds for all that reads or writes bytes: pipes, descriptors of every
// kind, serial ports.
namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

BOOST_AUTO_TEST_SUITE(byte_channels)

BOOST_AUTO_TEST_CASE_TEMPLATE(large_data_arrives_whole, T, channels)
{
    fixture<T> f;
    const std::string sent = pattern(300'000);
    std::string got(sent.size(), '\0');
    io_result write, read;
    net::async_write(f.c.writer, net::buffer(sent), f.checks.into(write));
    net::async_read(f.c.reader, net::buffer(got), f.checks.into(read));
    f.run(write, read);
    BOOST_TEST(write.bytes == sent.size());
    BOOST_TEST(read.bytes == sent.size());
    BOOST_TEST((got == sent));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(read_waits_and_gives_what_is_there, T, channels)
{
    fixture<T> f;
    io_result read, write;
    f.c.reader.async_read_some(net::buffer(f.buffer), f.checks.into(read));
    f.settle();
    BOOST_TEST(!read.done);
    f.c.writer.async_write_some(net::buffer("abc", 3), f.checks.into(write));
    f.run(write, read);
    BOOST_TEST(write.bytes == 3u);
    BOOST_TEST(read.ec == error_code());
    BOOST_TEST(f.received(read) == "abc");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(messages_go_back_and_forth_in_time, T, channels)
{
    fixture<T> f;
    for (int i = 0; i < 50; ++i)
        f.check_alive();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(buffer_sequences_are_gathered_and_scattered, T, channels)
{
    fixture<T> f;
    const std::array<net::const_buffer, 3> parts{net::buffer("one,", 4), net::buffer("", 0),
                                                 net::buffer("two", 3)};
    std::array<char, 2> first{};
    std::array<char, 5> second{};
    const std::array<net::mutable_buffer, 2> room{net::buffer(first), net::buffer(second)};
    for (int i = 0; i < 3; ++i) {
        io_result write, read;
        f.c.writer.async_write_some(parts, f.checks.into(write));
        f.run(write);
        f.c.reader.async_read_some(room, f.checks.into(read));
        f.run(read);
        BOOST_TEST(write.bytes == 7u);
        BOOST_TEST(read.bytes == 7u);
        BOOST_TEST(std::string(first.data(), 2) + std::string(second.data(), 5) == "one,two");
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(more_buffers_than_a_call_takes_are_written_in_part, T, channels)
{
    fixture<T> f;
    const std::string sent = pattern(2000);
    std::vector<net::const_buffer> parts;
    for (const char& byte : sent)
        parts.push_back(net::buffer(&byte, 1));
    std::string got(sent.size(), '\0');
    std::vector<net::mutable_buffer> room;
    for (char& byte : got)
        room.push_back(net::buffer(&byte, 1));
    io_result some, rest, read;
    f.c.writer.async_write_some(parts, f.checks.into(some));
    f.run(some);
    BOOST_TEST(some.bytes == 64u);
    parts.erase(parts.begin(), parts.begin() + 64);
    net::async_write(f.c.writer, parts, f.checks.into(rest));
    net::async_read(f.c.reader, room, f.checks.into(read));
    f.run(rest, read);
    BOOST_TEST((got == sent));
}

// As many empty buffers as a call takes; Asio reads nothing then.
BOOST_AUTO_TEST_CASE_TEMPLATE(reads_that_begin_with_many_empty_buffers_find_no_end, T, channels)
{
    fixture<T> f;
    std::vector<net::mutable_buffer> room(64);
    room.push_back(net::buffer(f.buffer));
    io_result first, second, read;
    f.c.writer.async_write_some(net::buffer("abc", 3), f.checks.into(first));
    f.run(first);
    f.c.reader.async_read_some(room, f.checks.into(read));
    f.run(read);
    BOOST_TEST(read.ec == error_code());
    f.c.writer.async_write_some(net::buffer("def", 3), f.checks.into(second));
    f.run(second);
    error_code ec = test_support::garbage_error();
    f.c.reader.read_some(room, ec);
    BOOST_TEST(ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(empty_transfers_complete_at_once, T, channels)
{
    fixture<T> f;
    io_result waiting, read, write, list;
    f.c.reader.async_read_some(net::buffer(f.buffer), f.checks.into(waiting));
    f.c.reader.async_read_some(net::mutable_buffer(), f.checks.into(read));
    f.c.writer.async_write_some(net::const_buffer(), f.checks.into(write));
    f.c.writer.async_write_some(std::vector<net::const_buffer>(), f.checks.into(list));
    f.run(read, write, list);
    for (const io_result* r : {&read, &write, &list}) {
        BOOST_TEST(r->ec == error_code());
        BOOST_TEST(r->bytes == 0u);
    }
    BOOST_TEST(!waiting.done);
    BOOST_TEST(f.c.reader.read_some(net::mutable_buffer()) == 0u);
    BOOST_TEST(f.c.writer.write_some(net::const_buffer()) == 0u);
    f.c.reader.cancel();
    f.run(waiting);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handlers_are_not_called_inside_the_initiating_function, T, channels)
{
    fixture<T> f;
    io_result write, read, empty;
    for (io_result* r : {&write, &read, &empty})
        r->initiating = true;
    f.c.writer.async_write_some(net::buffer("x", 1), f.checks.into(write));
    f.c.reader.async_read_some(net::mutable_buffer(), f.checks.into(empty));
    write.initiating = empty.initiating = false;
    f.run(write, empty);
    f.c.reader.async_read_some(net::buffer(f.buffer), f.checks.into(read));
    read.initiating = false;
    f.run(read);
    for (const io_result* r : {&write, &read, &empty})
        BOOST_TEST(!r->called_while_initiating);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(reads_and_writes_started_together_keep_their_order, T, channels)
{
    fixture<T> f;
    constexpr std::size_t count = 10;
    std::array<io_result, count> writes, reads;
    std::array<std::array<char, 4>, count> got{};
    for (int round = 0; round < 5; ++round) {
        writes = {};
        reads = {};
        for (std::size_t i = 0; i < count; ++i)
            net::async_read(f.c.reader, net::buffer(got[i]), f.checks.into(reads[i]));
        std::vector<std::string> texts;
        for (std::size_t i = 0; i < count; ++i)
            texts.push_back("no " + std::to_string(i));
        for (std::size_t i = 0; i < count; ++i)
            f.c.writer.async_write_some(net::buffer(texts[i]), f.checks.into(writes[i]));
        for (auto* results : {&writes, &reads})
            for (io_result& r : *results)
                f.run(r);
        std::string all;
        for (const auto& part : got)
            all.append(part.data(), part.size());
        for (std::size_t i = 0; i < count; ++i)
            BOOST_TEST(all.substr(i * 4, 4) == texts[i]);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_write_comes_after_what_was_started, T, channels)
{
    fixture<T> f;
    for (int round = 0; round < 3; ++round) {
        io_result first, second, read;
        f.c.writer.async_write_some(net::buffer("1st", 3), f.checks.into(first));
        f.c.writer.async_write_some(net::buffer("2nd", 3), f.checks.into(second));
        BOOST_TEST(f.c.writer.write_some(net::buffer("3rd", 3)) == 3u);
        net::async_read(f.c.reader, net::buffer(f.buffer, 9), f.checks.into(read));
        f.run(first, second, read);
        BOOST_TEST(f.received(read) == "1st2nd3rd");
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(synchronous_calls_work_after_asynchronous_ones, T, channels)
{
    fixture<T> f;
    f.check_alive();
    std::thread writer([fd = f.c.writer.native_handle()] {
        // The reader waits for it, whatever mode the operations left it in.
        while (::write(fd, "late", 4) != 4)
            std::this_thread::yield();
    });
    BOOST_TEST(net::read(f.c.reader, net::buffer(f.buffer, 4)) == 4u);
    writer.join();
    BOOST_TEST(std::string(f.buffer.data(), 4) == "late");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handlers_run_on_their_own_executors, T, channels)
{
    fixture<T> f;
    net::thread_pool pool(1);
    auto strand = net::make_strand(f.ctx);
    std::promise<std::thread::id> on_pool;
    io_result on_strand, write;
    bool inside = false;
    f.c.reader.async_read_some(
        net::buffer(f.buffer),
        net::bind_executor(strand, f.checks.once([&](error_code ec, std::size_t n) {
            inside = strand.running_in_this_thread();
            on_strand.store(ec, n);
        })));
    f.c.writer.async_write_some(
        net::buffer("s", 1), net::bind_executor(pool, f.checks.once([&](error_code, std::size_t) {
            on_pool.set_value(std::this_thread::get_id());
        })));
    f.run(on_strand);
    BOOST_TEST(inside);
    auto where = on_pool.get_future();
    BOOST_TEST((test_support::wait_for(where) != std::this_thread::get_id()));
    pool.join();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(completion_tokens_of_every_kind_work, T, channels)
{
    fixture<T> f;
    {
        test_support::running_context running(f.ctx);
        auto read = f.c.reader.async_read_some(net::buffer(f.buffer), net::use_future);
        auto write = f.c.writer.async_write_some(net::buffer("future", 6), net::use_future);
        BOOST_TEST(test_support::wait_for(write) == 6u);
        BOOST_TEST(test_support::wait_for(read) == 6u);
    }
    bool ended = false;
    const auto talk = [&]() -> net::awaitable<void> {
        const auto as_tuple = net::as_tuple(net::use_awaitable);
        const auto [ec, n] =
            co_await f.c.writer.async_write_some(net::buffer("tuple", 5), as_tuple);
        BOOST_TEST(ec == error_code());
        BOOST_TEST(n == 5u);
        const std::size_t got =
            co_await f.c.reader.async_read_some(net::buffer(f.buffer), net::use_awaitable);
        BOOST_TEST(got == 5u);
        auto later = f.c.writer.async_write_some(net::buffer("later", 5), net::deferred);
        BOOST_TEST((co_await std::move(later)(net::use_awaitable)) == 5u);
        auto last = f.c.reader.async_read_some(net::buffer(f.buffer), net::deferred);
        BOOST_TEST((co_await std::move(last)(net::use_awaitable)) == 5u);
        ended = true;
    };
    f.ctx.restart();
    net::co_spawn(f.ctx, talk, net::detached);
    f.ctx.run();
    BOOST_TEST(ended);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(closed_objects_answer_bad_descriptor, T, channels)
{
    fixture<T> f;
    auto& [reader, writer] = f.c;
    reader.close();
    writer.close();
    error_code ec;
    reader.close(ec);
    BOOST_TEST(ec == error_code());
    reader.cancel(ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    BOOST_TEST(reader.read_some(net::buffer(f.buffer), ec) == 0u);
    BOOST_TEST(ec == net::error::bad_descriptor);
    BOOST_TEST(writer.write_some(net::buffer(f.buffer), ec) == 0u);
    BOOST_TEST(ec == net::error::bad_descriptor);
    BOOST_CHECK_THROW(reader.read_some(net::buffer(f.buffer)), boost::system::system_error);
    BOOST_TEST(reader.native_handle() == -1);
    io_result read, write, empty;
    reader.async_read_some(net::buffer(f.buffer), f.checks.into(read));
    writer.async_write_some(net::buffer(f.buffer), f.checks.into(write));
    reader.async_read_some(net::mutable_buffer(), f.checks.into(empty));
    f.run(read, write, empty);
    BOOST_TEST(read.ec == net::error::bad_descriptor);
    BOOST_TEST(read.bytes == 0u);
    BOOST_TEST(write.ec == net::error::bad_descriptor);
    BOOST_TEST(empty.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(descriptors_that_are_none_are_refused, T, channels)
{
    fixture<T> f;
    error_code ec;
    f.c.reader.assign(f.c.writer.native_handle(), ec);
    BOOST_TEST(ec == net::error::already_open);
    f.c.reader.close();
    f.c.reader.assign(-1, ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    f.c.reader.assign(99'999, ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    BOOST_TEST(!f.c.reader.is_open());
    BOOST_CHECK_THROW(f.c.reader.assign(-1), boost::system::system_error);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(null_buffer_with_a_length_is_a_bad_address, T, channels)
{
    fixture<T> f;
    f.check_alive();
    io_result read, write, valid;
    f.c.reader.async_read_some(net::buffer(static_cast<char*>(nullptr), 8), f.checks.into(read));
    f.c.writer.async_write_some(net::buffer(static_cast<const char*>(nullptr), 8),
                                f.checks.into(write));
    f.run(write);
    BOOST_TEST(write.ec == net::error::fault);
    f.c.writer.async_write_some(net::buffer("x", 1), f.checks.into(valid));
    f.run(valid, read);
    BOOST_TEST(read.ec == net::error::fault);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
