// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "byte_channels.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

// How operations on channels of bytes end before their time, and how the
// channels end.
namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

BOOST_AUTO_TEST_SUITE(byte_channels)

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_ends_what_waits_and_nothing_else, T, channels)
{
    fixture<T> f;
    const std::string large = pattern(1 << 20);
    io_result read, second_read, write;
    f.c.reader.async_read_some(net::buffer(f.buffer), f.checks.into(read));
    f.c.reader.async_read_some(net::buffer(f.buffer), f.checks.into(second_read));
    f.settle();
    f.c.reader.cancel();
    f.run(read, second_read);
    BOOST_TEST(read.ec == net::error::operation_aborted);
    BOOST_TEST(read.bytes == 0u);
    BOOST_TEST(second_read.ec == net::error::operation_aborted);
    write_until_it_waits(f.ctx, f.c.writer, large, write);
    f.c.writer.cancel();
    f.run(write);
    BOOST_TEST(write.ec == net::error::operation_aborted);
    BOOST_TEST(write.bytes == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(slot_cancels_one_read, T, channels)
{
    for (const auto type : all_types) {
        fixture<T> f;
        net::cancellation_signal signal;
        io_result cancelled, behind, write;
        f.c.reader.async_read_some(
            net::buffer(f.buffer),
            net::bind_cancellation_slot(signal.slot(), f.checks.into(cancelled)));
        f.c.reader.async_read_some(net::buffer(f.buffer), f.checks.into(behind));
        f.settle();
        signal.emit(type);
        f.run(cancelled);
        BOOST_TEST(cancelled.ec == net::error::operation_aborted);
        BOOST_TEST(!behind.done);
        f.c.writer.async_write_some(net::buffer("data", 4), f.checks.into(write));
        f.run(write, behind);
        BOOST_TEST(f.received(behind) == "data");
        signal.emit(type); // Too late for anybody.
        f.check_alive();
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(slot_cancels_one_write, T, channels)
{
    for (const auto type : all_types) {
        fixture<T> f;
        net::cancellation_signal signal;
        const std::string large = pattern(1 << 20);
        io_result waiting, write, behind;
        write_until_it_waits(f.ctx, f.c.writer, large, waiting);
        f.c.writer.async_write_some(
            net::buffer(large), net::bind_cancellation_slot(signal.slot(), f.checks.into(write)));
        f.c.writer.async_write_some(net::buffer(large), f.checks.into(behind));
        signal.emit(type);
        f.settle();
        BOOST_TEST(!behind.done);
        BOOST_TEST(!waiting.done);
        f.c.writer.cancel();
        f.run(waiting, write, behind);
        for (const io_result* r : {&waiting, &write, &behind})
            BOOST_TEST(r->ec == net::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(close_and_destruction_end_what_waits, T, channels)
{
    using channel_type = decltype(fixture<T>::c);
    const std::string large = pattern(1 << 20);
    const std::function<void(std::optional<channel_type>&)> ends[] = {
        [](auto& c) {
            c->writer.close();
            c->reader.close();
            BOOST_TEST(!c->reader.is_open());
        },
        [](auto& c) { c.reset(); },
    };
    for (const auto& end : ends) {
        handler_checks checks;
        typename T::context ctx;
        std::optional<channel_type> c(T::kind::make(ctx));
        std::array<char, 8> buffer{};
        io_result read, write;
        c->reader.async_read_some(net::buffer(buffer), checks.into(read));
        ctx.poll();
        c->reader.cancel();
        run_until_done(ctx, read);
        write_until_it_waits(ctx, c->writer, large, write);
        end(c);
        run_until_done(ctx, write);
        BOOST_TEST(write.ec == net::error::operation_aborted);

        c.emplace(T::kind::make(ctx));
        read = {};
        c->reader.async_read_some(net::buffer(buffer), checks.into(read));
        ctx.restart();
        ctx.poll();
        end(c);
        run_until_done(ctx, read);
        BOOST_TEST(read.ec == net::error::operation_aborted);
        BOOST_TEST(read.bytes == 0u);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(objects_move_while_operations_are_pending, T, channels)
{
    fixture<T> f;
    io_result read, write;
    f.c.reader.async_read_some(net::buffer(f.buffer), f.checks.into(read));
    f.settle();
    auto moved = std::move(f.c.reader);
    BOOST_TEST(!f.c.reader.is_open());
    f.c.writer.async_write_some(net::buffer("one", 3), f.checks.into(write));
    auto other = T::kind::make(f.ctx);
    io_result of_other;
    std::array<char, 4> unused{};
    other.reader.async_read_some(net::buffer(unused), f.checks.into(of_other));
    other.reader = std::move(moved);
    f.run(write, read, of_other);
    BOOST_TEST(f.received(read) == "one");
    BOOST_TEST(of_other.ec == net::error::operation_aborted);
    f.c.reader = std::move(other.reader);
    f.check_alive();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(contexts_end_with_operations_pending, T, channels)
{
    handler_checks checks;
    const std::string large = pattern(1 << 20);
    auto buffer = std::make_shared<std::array<char, 8>>();
    typename T::context ctx;
    const auto make = [&ctx] {
        return std::make_shared<decltype(fixture<T>::c)>(T::kind::make(ctx));
    };
    auto silent = make();
    auto full = make();
    auto& reader = silent->reader;
    auto& writer = full->writer;
    reader.async_read_some(net::buffer(*buffer), checks.never_with(std::move(silent)));
    net::async_write(writer, net::buffer(large), checks.never_with(std::move(full)));
    ctx.poll();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(reads_cancelled_again_and_again_lose_nothing, T, channels)
{
    constexpr int cancellations = 1000;
    fixture<T> f;
    const std::string sent = pattern(std::size_t{40} * cancellations);
    std::string got;
    std::array<char, 1000> room{};
    bool reading = false;
    const auto read = [&] {
        reading = true;
        f.c.reader.async_read_some(net::buffer(room), [&](error_code ec, std::size_t n) {
            reading = false;
            got.append(room.data(), n);
            if (ec && ec != net::error::operation_aborted)
                BOOST_FAIL("read failed: " << ec.message());
        });
    };
    for (int i = 0; i < cancellations; ++i) {
        read();
        if (i % 3 != 0)
            f.ctx.poll_one();
        const std::size_t from = static_cast<std::size_t>(i) * 40;
        BOOST_REQUIRE(f.c.writer.write_some(net::buffer(sent.data() + from, 40)) == 40u);
        if (i % 2 != 0)
            f.ctx.poll_one();
        // One read in ten goes through, so that the writer has room.
        if (i % 10 != 9)
            f.c.reader.cancel();
        f.ctx.restart();
        test_support::run_until(f.ctx, [&] { return !reading; });
    }
    while (got.size() < sent.size()) {
        read();
        test_support::run_until(f.ctx, [&] { return !reading; });
    }
    BOOST_TEST((got == sent));
}

// ---- what has an end, and can be taken out of its object

BOOST_AUTO_TEST_CASE_TEMPLATE(closing_the_writer_ends_the_stream, T, channels_with_an_end)
{
    fixture<T> f;
    io_result waiting, again;
    f.c.reader.async_read_some(net::buffer(f.buffer), f.checks.into(waiting));
    f.settle();
    f.c.writer.close();
    f.run(waiting);
    BOOST_TEST(waiting.ec == net::error::eof);
    BOOST_TEST(waiting.bytes == 0u);
    f.c.reader.async_read_some(net::buffer(f.buffer), f.checks.into(again));
    f.run(again);
    BOOST_TEST(again.ec == net::error::eof);
    error_code ec;
    BOOST_TEST(f.c.reader.read_some(net::buffer(f.buffer), ec) == 0u);
    BOOST_TEST(ec == net::error::eof);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(writes_followed_at_once_by_close_arrive, T, channels_with_an_end)
{
    fixture<T> f;
    f.check_alive();
    io_result results[3], read;
    for (io_result& r : results)
        f.c.writer.async_write_some(net::buffer("part;", 5), f.checks.into(r));
    f.c.writer.close();
    net::async_read(f.c.reader, net::buffer(f.buffer), f.checks.into(read));
    f.run(read, results[0], results[1], results[2]);
    BOOST_TEST(f.received(read) == "part;part;part;");
    BOOST_TEST(read.ec == net::error::eof);
    for (const io_result& r : results)
        BOOST_TEST(r.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(writes_without_a_reader_fail, T, channels_with_an_end)
{
    const without_sigpipe ignored;
    fixture<T> f;
    f.check_alive();
    const std::string large = pattern(1 << 20);
    io_result small, big, waiting;
    write_until_it_waits(f.ctx, f.c.writer, large, waiting);
    f.c.reader.close();
    f.run(waiting);
    BOOST_TEST(
        (waiting.ec == net::error::broken_pipe || waiting.ec == net::error::connection_reset));
    f.c.writer.async_write_some(net::buffer("x", 1), f.checks.into(small));
    f.c.writer.async_write_some(net::buffer(large), f.checks.into(big));
    f.run(small, big);
    BOOST_TEST(small.ec == net::error::broken_pipe);
    BOOST_TEST(big.ec == net::error::broken_pipe);
    error_code ec;
    f.c.writer.write_some(net::buffer("x", 1), ec);
    BOOST_TEST(ec == net::error::broken_pipe);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(released_descriptors_are_open_and_carry_on, T, channels_with_an_end)
{
    fixture<T> f;
    f.check_alive();
    io_result read, write;
    f.c.reader.async_read_some(net::buffer(f.buffer), f.checks.into(read));
    f.settle();
    f.c.writer.async_write_some(net::buffer("sent", 4), f.checks.into(write));
    const int writer = f.c.writer.release();
    const int reader = f.c.reader.release();
    BOOST_TEST(!f.c.reader.is_open());
    f.run(read, write);
    BOOST_TEST(write.ec == error_code());
    const bool delivered = !read.ec;
    if (!delivered)
        BOOST_TEST(read.ec == net::error::operation_aborted);
    typename T::context other;
    descriptor_of<typename T::context> reader_again(other, reader), writer_again(other, writer);
    std::array<char, 5> buffer{};
    io_result rest, more;
    net::async_write(writer_again, net::buffer("!", 1), f.checks.into(more));
    const std::size_t expected = delivered ? 1 : 5;
    net::async_read(reader_again, net::buffer(buffer, expected), f.checks.into(rest));
    run_until_done(other, rest);
    run_until_done(other, more);
    BOOST_TEST(std::string(buffer.data(), expected) == (delivered ? "!" : "sent!"));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
