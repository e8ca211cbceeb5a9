// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "byte_channels.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/watchdog.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <string>
#include <utility>

#include <sys/wait.h>

// What only pipes have. What they share with the rest: byte_channels.cpp.
namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

/// The signal that ends a child which runs `body`, or its exit status negated.
template <class Body>
int end_of_child(Body body)
{
    const pid_t child = ::fork();
    if (child == 0) {
        test_support::limit_time_of_child();
        std::signal(SIGPIPE, SIG_DFL);
        body();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

BOOST_AUTO_TEST_SUITE(pipes)

BOOST_AUTO_TEST_CASE_TEMPLATE(connect_pipe_connects_and_reports_what_fails, Ctx, contexts)
{
    Ctx ctx;
    readable_pipe_of<Ctx> reader(ctx);
    writable_pipe_of<Ctx> writer(ctx);
    error_code ec;
    net::connect_pipe(reader, writer, ec);
    BOOST_TEST(ec == error_code());
    BOOST_TEST(net::write(writer, net::buffer("there", 5)) == 5u);
    std::array<char, 5> buffer{};
    BOOST_TEST(net::read(reader, net::buffer(buffer)) == 5u);
    BOOST_TEST(std::string(buffer.data(), 5) == "there");
    net::connect_pipe(reader, writer, ec);
    BOOST_TEST(ec == net::error::already_open);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pipes_take_native_descriptors, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [read_end, write_end] = pipe_descriptor_pair();
    readable_pipe_of<Ctx> reader(ctx, read_end.release());
    writable_pipe_of<Ctx> writer(ctx);
    writer.assign(write_end.release());
    std::array<char, 3> buffer{};
    io_result write, read;
    writer.async_write_some(net::buffer("abc", 3), checks.into(write));
    reader.async_read_some(net::buffer(buffer), checks.into(read));
    ctx.run();
    BOOST_TEST(read.bytes == 3u);
    BOOST_CHECK_THROW(readable_pipe_of<Ctx>(ctx, -1), boost::system::system_error);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pipes_move_to_other_executor_types, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    readable_pipe_of<Ctx> reader(ctx);
    writable_pipe_of<Ctx> writer(ctx);
    net::connect_pipe(reader, writer);
    using strand_pipe = net::basic_readable_pipe<net::strand<executor_of<Ctx>>>;
    strand_pipe on_strand(net::make_strand(ctx), reader.release());
    std::array<char, 3> buffer{};
    io_result write, read;
    on_strand.async_read_some(net::buffer(buffer), checks.into(read));
    writer.async_write_some(net::buffer("abc", 3), checks.into(write));
    ctx.run();
    BOOST_TEST(read.bytes == 3u);
}

/// A packet is lost as far as the reader's buffer is too short for it, so that
/// it has to be read into the caller's and no other.
BOOST_AUTO_TEST_CASE_TEMPLATE(packets_arrive_as_they_were_written, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [read_end, write_end] = pipe_descriptor_pair(O_DIRECT);
    readable_pipe_of<Ctx> reader(ctx, read_end.release());
    writable_pipe_of<Ctx> writer(ctx, write_end.release());
    std::array<char, 5000> buffer{};
    for (const std::size_t size : {10u, 4096u, 1500u, 3u}) {
        const std::string packet = pattern(size);
        io_result write, read;
        writer.async_write_some(net::buffer(packet), checks.into(write));
        run_until_done(ctx, write);
        reader.async_read_some(net::buffer(buffer), checks.into(read));
        run_until_done(ctx, read);
        BOOST_TEST(write.bytes == size);
        BOOST_TEST(std::string(buffer.data(), read.bytes) == packet);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_started_before_the_reader_went_is_no_error, Ctx, contexts)
{
    const int end = end_of_child([] {
        Ctx ctx;
        auto c = pipe_channel::make(ctx);
        bool ok = false;
        for (int i = 0; i < 3; ++i)
            c.writer.async_write_some(net::buffer("x", 1), [](error_code, std::size_t) {});
        ctx.run();
        c.writer.async_write_some(net::buffer("x", 1),
                                  [&ok](error_code, std::size_t) { ok = true; });
        c.reader.close();
        c.writer.close();
        ctx.restart();
        ctx.run();
        ::_exit(ok ? 0 : 1);
    });
    BOOST_TEST(end == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_without_a_reader_raises_sigpipe, Ctx, contexts)
{
    for (const std::size_t size : {std::size_t{1}, std::size_t{100'000}})
        for (const bool waits : {false, true})
            BOOST_TEST(end_of_child([&] {
                           Ctx ctx;
                           auto c = pipe_channel::make(ctx);
                           const std::string data = pattern(size);
                           io_result waiting;
                           if (waits)
                               write_until_it_waits(ctx, c.writer, data, waiting);
                           c.reader.close();
                           c.writer.async_write_some(net::buffer(data),
                                                     [](error_code, std::size_t) {});
                           ctx.restart();
                           ctx.run();
                       }) == SIGPIPE);
    BOOST_TEST(end_of_child([] {
                   Ctx ctx;
                   auto c = pipe_channel::make(ctx);
                   c.reader.close();
                   error_code ec;
                   c.writer.write_some(net::buffer("x", 1), ec);
               }) == SIGPIPE);
}

/// Ours attempts them once more, but must not end a program that Asio's does
/// not.
BOOST_AUTO_TEST_CASE_TEMPLATE(closing_and_cancelling_without_a_reader_raises_nothing, Ctx, contexts)
{
    for (const bool closes : {true, false}) {
        const int end = end_of_child([&] {
            Ctx ctx;
            auto c = pipe_channel::make(ctx);
            const std::string data = pattern(100'000);
            io_result waiting, behind;
            write_until_it_waits(ctx, c.writer, data, waiting);
            c.writer.async_write_some(net::buffer(data), [&behind](error_code ec, std::size_t n) {
                behind.store(ec, n);
            });
            c.reader.close();
            if (closes)
                c.writer.close();
            else
                c.writer.cancel();
            ctx.restart();
            ctx.run();
            ::_exit(waiting.done && behind.done && waiting.ec && behind.ec ? 0 : 1);
        });
        BOOST_TEST(end == 0);
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
