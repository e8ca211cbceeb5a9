// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "byte_channels.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

// What only posix::descriptor has: modes, waits, and descriptors of all kinds.
// What it shares with pipes: byte_channels.cpp.

// Parts of Asio that newer Boosts deprecate are tested for as long as they are there.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;
using wait_base = net::posix::descriptor_base;

constexpr wait_base::wait_type all_waits[] = {wait_base::wait_read, wait_base::wait_write,
                                              wait_base::wait_error};

unique_descriptor temporary_file()
{
    std::FILE* const file = std::tmpfile();
    if (file == nullptr)
        check_call(-1, "tmpfile", -1);
    unique_descriptor copy(check_call(::dup(::fileno(file)), "dup", ::fileno(file)));
    std::fclose(file);
    return copy;
}

template <class Ctx>
void settle(Ctx& ctx)
{
    for (int i = 0; i < 3; ++i) {
        ctx.restart();
        ctx.poll();
    }
}

bool is_nonblocking(int fd)
{
    return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

BOOST_AUTO_TEST_SUITE(descriptors)

BOOST_AUTO_TEST_CASE_TEMPLATE(waits_end_when_ready_and_consume_nothing, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto c = anonymous_pipe_channel::make(ctx);
    std::array<char, 8> buffer{};
    io_result readable, writable, by_buffers, write_by_buffers, read;
    c.reader.async_wait(wait_base::wait_read, checks.into(readable));
    c.reader.async_read_some(net::null_buffers(), checks.into(by_buffers));
    c.writer.async_wait(wait_base::wait_write, checks.into(writable));
    c.writer.async_write_some(net::null_buffers(), checks.into(write_by_buffers));
    run_until_done(ctx, writable);
    run_until_done(ctx, write_by_buffers);
    BOOST_TEST(!readable.done);
    c.writer.write_some(net::buffer("abc", 3));
    run_until_done(ctx, readable);
    run_until_done(ctx, by_buffers);
    for (const io_result* r : {&readable, &writable, &by_buffers, &write_by_buffers})
        BOOST_TEST(r->ec == error_code());
    BOOST_TEST(by_buffers.bytes == 0u);
    c.reader.wait(wait_base::wait_read);
    BOOST_TEST(c.reader.read_some(net::null_buffers()) == 0u);
    BOOST_TEST(c.writer.write_some(net::null_buffers()) == 0u);
    c.reader.async_read_some(net::buffer(buffer), checks.into(read));
    run_until_done(ctx, read);
    BOOST_TEST(read.bytes == 3u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(waits_end_when_the_other_end_goes, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto c = anonymous_pipe_channel::make(ctx);
    auto d = anonymous_pipe_channel::make(ctx);
    io_result readable, error;
    c.reader.async_wait(wait_base::wait_read, checks.into(readable));
    d.writer.async_wait(wait_base::wait_error, checks.into(error));
    settle(ctx);
    BOOST_TEST(!readable.done);
    BOOST_TEST(!error.done);
    c.writer.close();
    d.reader.close();
    run_until_done(ctx, readable);
    run_until_done(ctx, error);
    BOOST_TEST(readable.ec == error_code());
    BOOST_TEST(error.ec == error_code());
    d.writer.wait(wait_base::wait_error);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(waits_are_cancelled, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto c = anonymous_pipe_channel::make(ctx);
    net::cancellation_signal signal;
    io_result by_slot, by_object;
    c.reader.async_wait(wait_base::wait_read,
                        net::bind_cancellation_slot(signal.slot(), checks.into(by_slot)));
    c.reader.async_wait(wait_base::wait_error, checks.into(by_object));
    settle(ctx);
    signal.emit(net::cancellation_type::total);
    run_until_done(ctx, by_slot);
    BOOST_TEST(!by_object.done);
    c.reader.cancel();
    run_until_done(ctx, by_object);
    BOOST_TEST(by_slot.ec == net::error::operation_aborted);
    BOOST_TEST(by_object.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(waits_that_cannot_be_are_errors, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto c = anonymous_pipe_channel::make(ctx);
    const auto nonsense = static_cast<wait_base::wait_type>(3);
    io_result unknown, closed, closed_by_buffers;
    c.reader.async_wait(nonsense, checks.into(unknown));
    run_until_done(ctx, unknown);
    BOOST_TEST(unknown.ec == net::error::invalid_argument);
    error_code ec;
    c.reader.wait(nonsense, ec);
    BOOST_TEST(ec == net::error::invalid_argument);
    c.reader.close();
    for (const auto w : all_waits) {
        c.reader.wait(w, ec);
        BOOST_TEST(ec == net::error::bad_descriptor);
    }
    c.reader.async_wait(wait_base::wait_read, checks.into(closed));
    c.reader.async_read_some(net::null_buffers(), checks.into(closed_by_buffers));
    run_until_done(ctx, closed);
    run_until_done(ctx, closed_by_buffers);
    BOOST_TEST(closed.ec == net::error::bad_descriptor);
    BOOST_TEST(closed_by_buffers.ec == net::error::bad_descriptor);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(modes_are_what_was_asked_for, Ctx, contexts)
{
    Ctx ctx;
    auto c = anonymous_pipe_channel::make(ctx);
    auto& d = c.reader;
    const int fd = d.native_handle();
    std::array<char, 8> buffer{};
    error_code ec;
    BOOST_TEST(!d.non_blocking());
    BOOST_TEST(!d.native_non_blocking());
    d.non_blocking(true);
    BOOST_TEST(d.non_blocking());
    BOOST_TEST(is_nonblocking(fd));
    BOOST_TEST(d.read_some(net::buffer(buffer), ec) == 0u);
    BOOST_TEST(ec == net::error::would_block);
    d.wait(wait_base::wait_read, ec);
    BOOST_TEST(ec == net::error::would_block);
    d.native_non_blocking(false, ec);
    BOOST_TEST(ec == net::error::invalid_argument);
    d.non_blocking(false);
    BOOST_TEST(!d.non_blocking());
    BOOST_TEST(!is_nonblocking(fd));
    d.native_non_blocking(true);
    BOOST_TEST(d.native_non_blocking());
    BOOST_TEST(!d.non_blocking());
    BOOST_TEST(is_nonblocking(fd));
    d.native_non_blocking(false);
    BOOST_TEST(!d.native_non_blocking());
    BOOST_TEST(!is_nonblocking(fd));
    d.close();
    d.non_blocking(true, ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    d.native_non_blocking(true, ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pipe_is_nonblocking_from_its_first_asynchronous_operation_on, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto c = anonymous_pipe_channel::make(ctx);
    std::array<char, 8> buffer{};
    io_result read, written;
    BOOST_TEST(c.writer.write_some(net::buffer("a", 1)) == 1u);
    BOOST_TEST(!c.writer.native_non_blocking());
    c.reader.async_read_some(net::buffer(buffer), checks.into(read));
    c.writer.async_write_some(net::buffer("b", 1), checks.into(written));
    run_until_done(ctx, read);
    run_until_done(ctx, written);
    for (auto* end : {&c.reader, &c.writer}) {
        BOOST_TEST(end->native_non_blocking());
        BOOST_TEST(!end->non_blocking());
        BOOST_TEST(is_nonblocking(end->native_handle()));
    }
}

using channels_of_descriptors =
    on_each<contexts, anonymous_pipe_channel, named_pipe_channel, socket_channel>::type;

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_go_on_through_changes_of_mode, T, channels_of_descriptors)
{
    handler_checks checks;
    typename T::context ctx;
    auto c = T::kind::make(ctx);
    const std::string sent = pattern(200'000);
    std::string got(sent.size(), '\0');
    io_result write, read;
    for (const bool mode : {true, false, true}) {
        write = read = {};
        c.reader.native_non_blocking(mode);
        c.writer.non_blocking(mode);
        std::fill(got.begin(), got.end(), '\0');
        net::async_write(c.writer, net::buffer(sent), checks.into(write));
        net::async_read(c.reader, net::buffer(got), checks.into(read));
        run_until_done(ctx, write);
        run_until_done(ctx, read);
        BOOST_TEST((got == sent));
        for (int i = 0; i < 3; ++i) {
            write = read = {};
            net::async_read(c.reader, net::buffer(got, 5), checks.into(read));
            c.writer.async_write_some(net::buffer(sent, 5), checks.into(write));
            run_until_done(ctx, write);
            run_until_done(ctx, read);
            BOOST_TEST(got.substr(0, 5) == sent.substr(0, 5));
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(io_control_asks_and_sets, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto c = anonymous_pipe_channel::make(ctx);
    io_result write;
    net::socket_base::bytes_readable readable;
    c.writer.async_write_some(net::buffer("abcd", 4), checks.into(write));
    run_until_done(ctx, write);
    c.reader.io_control(readable);
    BOOST_TEST(readable.get() == 4u);
    struct no_such_command {
        int name() const { return static_cast<int>(TIOCGWINSZ); }
        void* data() { return &size; }
        winsize size{};
    } command;
    error_code ec;
    c.reader.io_control(command, ec);
    BOOST_TEST(ec == boost::system::errc::inappropriate_io_control_operation);
    c.reader.close();
    c.reader.io_control(readable, ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(event_counters_are_read_and_written, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const int fd = check_call(::eventfd(0, EFD_CLOEXEC), "eventfd", -1);
    descriptor_of<Ctx> counter(ctx, fd);
    std::uint64_t value = 0, added = 5, most = ~std::uint64_t{0} - 1;
    io_result read, write, too_short, full, waits;
    counter.async_read_some(net::buffer(&value, sizeof value), checks.into(read));
    settle(ctx);
    BOOST_TEST(!read.done);
    counter.async_write_some(net::buffer(&added, sizeof added), checks.into(write));
    run_until_done(ctx, write);
    run_until_done(ctx, read);
    BOOST_TEST(read.bytes == sizeof value);
    BOOST_TEST(value == 5u);
    counter.async_write_some(net::buffer(&most, sizeof most), checks.into(full));
    run_until_done(ctx, full);
    counter.async_write_some(net::buffer(&added, sizeof added), checks.into(waits));
    settle(ctx);
    BOOST_TEST(!waits.done);
    counter.async_read_some(net::buffer(&value, 7), checks.into(too_short));
    run_until_done(ctx, too_short);
    BOOST_TEST(too_short.ec == net::error::invalid_argument);
    read = {};
    counter.async_read_some(net::buffer(&value, sizeof value), checks.into(read));
    run_until_done(ctx, read);
    run_until_done(ctx, waits);
    BOOST_TEST(value == most);
    BOOST_TEST(waits.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(timer_descriptors_are_read, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const int fd = check_call(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd", -1);
    descriptor_of<Ctx> timer(ctx, fd);
    std::uint64_t expirations = 0;
    io_result read;
    timer.async_read_some(net::buffer(&expirations, sizeof expirations), checks.into(read));
    settle(ctx);
    BOOST_TEST(!read.done);
    const itimerspec soon{{0, 0}, {0, 1'000'000}};
    ::timerfd_settime(fd, 0, &soon, nullptr);
    run_until_done(ctx, read);
    BOOST_TEST(read.bytes == sizeof expirations);
    BOOST_TEST(expirations == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(file_events_come_as_far_as_the_buffer_takes_them, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const auto name = std::filesystem::temp_directory_path() /
                      ("safer_ring_watched_" + std::to_string(::getpid()));
    unique_descriptor file(
        check_call(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600), "open", -1));
    const int fd = check_call(::inotify_init1(IN_CLOEXEC), "inotify_init1", -1);
    descriptor_of<Ctx> events(ctx, fd);
    check_call(::inotify_add_watch(fd, name.c_str(), IN_MODIFY), "inotify_add_watch", fd);
    alignas(inotify_event) std::array<char, 4096> buffer{};
    io_result read, too_short;
    events.async_read_some(net::buffer(buffer), checks.into(read));
    settle(ctx);
    BOOST_TEST(!read.done);
    check_call(::write(file.get(), "x", 1), "write", file.get());
    run_until_done(ctx, read);
    BOOST_TEST(read.bytes == sizeof(inotify_event));
    inotify_event event{};
    std::memcpy(&event, buffer.data(), sizeof event);
    BOOST_TEST((event.mask & IN_MODIFY) != 0u);
    events.async_read_some(net::buffer(buffer, sizeof event - 1), checks.into(too_short));
    check_call(::write(file.get(), "x", 1), "write", file.get());
    run_until_done(ctx, too_short);
    BOOST_TEST(too_short.ec == net::error::invalid_argument);
    std::filesystem::remove(name);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(regular_files_are_read_and_written_in_place, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    unique_descriptor file = temporary_file();
    const int fd = file.get();
    descriptor_of<Ctx> d(ctx, file.release());
    const std::string sent = pattern(1 << 20);
    std::string got(sent.size(), '\0');
    io_result results[3], write, read, end;
    for (io_result& r : results)
        d.async_write_some(net::buffer("abc", 3), checks.into(r));
    net::async_write(d, net::buffer(sent), checks.into(write));
    for (io_result& r : results)
        run_until_done(ctx, r);
    run_until_done(ctx, write);
    check_call(::lseek(fd, 9, SEEK_SET), "lseek", fd);
    net::async_read(d, net::buffer(got), checks.into(read));
    run_until_done(ctx, read);
    BOOST_TEST((got == sent));
    d.async_read_some(net::buffer(got), checks.into(end));
    run_until_done(ctx, end);
    BOOST_TEST(end.ec == net::error::eof);
    constexpr bool ours = is_ours<Ctx>;
    BOOST_TEST(is_nonblocking(fd) == !ours); // It makes no difference to a file.
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_always_ready_cannot_be_waited_for, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    unique_descriptor files[] = {
        temporary_file(),
        unique_descriptor(check_call(::open("/dev/null", O_RDWR | O_CLOEXEC), "open", -1)),
    };
    for (unique_descriptor& file : files) {
        descriptor_of<Ctx> d(ctx, file.release());
        io_result results[5];
        for (std::size_t i = 0; i < 3; ++i)
            d.async_wait(all_waits[i], checks.into(results[i]));
        d.async_read_some(net::null_buffers(), checks.into(results[3]));
        d.async_write_some(net::null_buffers(), checks.into(results[4]));
        for (io_result& r : results) {
            run_until_done(ctx, r);
            BOOST_TEST(r.ec == net::error::operation_not_supported);
        }
        io_result write, read;
        std::array<char, 4> buffer{};
        d.async_write_some(net::buffer("data", 4), checks.into(write));
        run_until_done(ctx, write);
        BOOST_TEST(write.bytes == 4u);
        d.async_read_some(net::buffer(buffer), checks.into(read));
        run_until_done(ctx, read);
        BOOST_TEST(read.ec == net::error::eof);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(directories_and_wrong_directions_are_errors, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    descriptor_of<Ctx> directory(ctx, check_call(::open("/", O_RDONLY | O_CLOEXEC), "open", -1));
    auto c = anonymous_pipe_channel::make(ctx);
    std::array<char, 4> buffer{};
    io_result of_directory, read, write;
    directory.async_read_some(net::buffer(buffer), checks.into(of_directory));
    run_until_done(ctx, of_directory);
    BOOST_TEST(of_directory.ec == boost::system::errc::is_a_directory);
    c.reader.async_write_some(net::buffer("x", 1), checks.into(write));
    run_until_done(ctx, write);
    BOOST_TEST(write.ec == net::error::bad_descriptor);
    c.writer.async_read_some(net::buffer(buffer), checks.into(read));
    run_until_done(ctx, read);
    BOOST_TEST(read.ec == net::error::bad_descriptor);
}

/// A terminal in its usual mode hands out lines, each to the read that takes
/// it, and keeps the rest of a long one.
BOOST_AUTO_TEST_CASE_TEMPLATE(terminals_are_read_line_by_line, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    terminal t;
    descriptor_of<Ctx> line(ctx, check_call(::open(t.name.c_str(), O_RDWR | O_NOCTTY), "open", -1));
    std::array<char, 64> buffer{};
    io_result first, second, rest;
    line.async_read_some(net::buffer(buffer), checks.into(first));
    settle(ctx);
    check_call(::write(t.master.get(), "first\nsecond\n", 13), "write", t.master.get());
    run_until_done(ctx, first);
    BOOST_TEST(std::string(buffer.data(), first.bytes) == "first\n");
    line.async_read_some(net::buffer(buffer, 3), checks.into(second));
    run_until_done(ctx, second);
    BOOST_TEST(std::string(buffer.data(), second.bytes) == "sec");
    line.async_read_some(net::buffer(buffer), checks.into(rest));
    run_until_done(ctx, rest);
    BOOST_TEST(std::string(buffer.data(), rest.bytes) == "ond\n");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
