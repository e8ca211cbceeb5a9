// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "registry.hpp"

#include "support/child_process.hpp"
#include "support/unnamed_file.hpp"

#include <safer_ring/ring/io_ring.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// Files that are registered with the kernel that runs here, and those that it opens there.
namespace kernel {
namespace {

using test_support::last_words;

std::size_t open_descriptors()
{
    std::size_t n = 0;
    for (const auto& each : std::filesystem::directory_iterator("/proc/self/fd"))
        n += each.path().empty() ? 0 : 1;
    return n;
}

/// A pipe whose write end is registered and has no descriptor.
struct registered_writer {
    registered_writer()
    {
        auto ends = test_support::pipe_descriptor_pair();
        file.emplace(ring.register_file(ends.second.get()));
        reader = std::move(ends.first);
    }
    auto write(std::string_view text) { return ring.write(*file, owned_buffer::copy_of(text)); }
    /// All that comes until nobody can write any more.
    std::string read_to_end() const
    {
        std::string all;
        char bytes[64];
        while (test_support::wait_ready(reader.get(), POLLIN)) {
            const auto n = ::read(reader.get(), bytes, sizeof bytes);
            if (n <= 0)
                return n == 0 ? all : "error";
            all.append(bytes, static_cast<std::size_t>(n));
        }
        return "no end";
    }

    unique_descriptor reader;
    io_ring ring;
    std::optional<registered_file> file;
};

BOOST_AUTO_TEST_SUITE(registered_files)

// ----------------------------------------------------------------------- files

BOOST_FIXTURE_TEST_CASE(registered_file_is_used_without_its_descriptor, registered_pipe,
                        *needs_files)
{
    write("hello");
    BOOST_TEST(read().submit().wait().take().second.text() == "hello");
    BOOST_TEST(ring.poll(*file, POLLIN).within(1ms).submit().wait().result().error().message() ==
               "poll on registered file 0: " +
                   std::make_error_code(std::errc::timed_out).message());
    write("x");
    BOOST_TEST(ring.poll(*file, POLLIN).submit().wait().result().value() == POLLIN);
    ring.unregister(std::move(*file));
    BOOST_TEST(reader_is_gone());
}

BOOST_AUTO_TEST_CASE(all_operations_take_registered_files, *needs_files)
{
    io_ring ring;
    const unique_descriptor opened = test_support::unnamed_file();
    const registered_file file = ring.register_file(opened.get());
    BOOST_TEST(ring.allocate(file, 0, 8192).submit().wait().result().has_value());
    auto [written, synced] = ring.submit_linked(
        ring.write(file, owned_buffer::copy_of("hello")).at(4096), ring.fdatasync(file));
    BOOST_TEST(std::move(synced).wait().result().has_value());
    BOOST_TEST(std::move(written).wait().result().value() == 5U);
    BOOST_TEST(ring.fsync(file).submit().wait().result().has_value());
    BOOST_TEST(::lseek(opened.get(), 0, SEEK_END) == 8192);

    const auto [reader, writer] = test_support::pipe_descriptor_pair();
    const registered_file in = ring.register_file(writer.get());
    const registered_file out = ring.register_file(reader.get());
    BOOST_TEST(
        ring.splice(file, 4096, in, io_ring::no_offset, 5).submit().wait().result().value() == 5U);
    BOOST_TEST(
        ring.splice(out, io_ring::no_offset, file, 100, 5).submit().wait().result().value() == 5U);
    BOOST_TEST(ring.splice(opened.get(), 100, in, io_ring::no_offset, 5)
                   .submit()
                   .wait()
                   .result()
                   .value() == 5U);
    BOOST_TEST(ring.read(out, owned_buffer(8)).submit().wait().take().second.text() == "hello");
}

BOOST_FIXTURE_TEST_CASE(registered_sockets_connect_accept_send_and_receive, listening, *needs_files)
{
    io_ring ring;
    unique_descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const registered_file client = ring.register_file(socket.get());
    const registered_file acceptor = ring.register_file(listener.get());
    socket.reset();
    auto accepting = ring.accept(acceptor).submit();
    BOOST_TEST(
        ring.connect(client, generic(), sizeof address).submit().wait().result().has_value());
    auto [accepted, server] = std::move(accepting).wait().take();
    BOOST_TEST(accepted.has_value());
    BOOST_TEST(ring.send(client, owned_buffer::copy_of("hi")).submit().wait().result().value() ==
               2U);
    BOOST_TEST(ring.receive(server.get(), owned_buffer(8)).submit().wait().take().second.text() ==
               "hi");
    BOOST_TEST(ring.shutdown(client, SHUT_WR).submit().wait().result().has_value());
    BOOST_TEST(ring.receive(server.get(), owned_buffer(8)).submit().wait().result().value() == 0U);
}

BOOST_FIXTURE_TEST_CASE(handle_dropped_while_a_read_waits_leaves_the_file_to_it, registered_pipe,
                        *needs_files)
{
    auto in_kernel = read().submit();
    ring.flush();
    auto queued = read().submit();
    auto made = read();
    file.reset();
    const unique_descriptor zeros(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    const registered_file other = ring.register_file(zeros.get());
    BOOST_TEST(other.index() == 1);
    write("1");
    const owned_buffer first = std::move(in_kernel).wait().take().second;
    BOOST_TEST(first.text() == "1");
    write("2");
    const owned_buffer second = std::move(queued).wait().take().second;
    BOOST_TEST(second.text() == "2");
    BOOST_TEST(has_reader());
    auto last = std::move(made).submit();
    write("3");
    const owned_buffer third = std::move(last).wait().take().second;
    BOOST_TEST(third.text() == "3");
    BOOST_TEST(reader_is_gone());
    BOOST_TEST(ring.register_file(zeros.get()).index() == 0);
}

BOOST_FIXTURE_TEST_CASE(unregistering_in_use_is_refused, registered_pipe, *needs_files)
{
    auto reading = read().submit();
    ring.flush();
    const std::string text =
        error_of([&] { ring.unregister(std::move(*file)); }, std::errc::device_or_resource_busy);
    BOOST_TEST(has(text, "unregistering file 0"));
    ring.cancel(*file);
    const auto ended = std::move(reading).wait().result();
    BOOST_TEST((ended.code() == std::errc::operation_canceled));
    BOOST_TEST(has_reader());
    ring.unregister(std::move(*file));
    BOOST_TEST(!file->is_open());
    BOOST_TEST(reader_is_gone());
}

BOOST_FIXTURE_TEST_CASE(operation_given_up_lets_go_of_its_file, registered_pipe, *needs_files)
{
    {
        auto dropped = read().submit();
        ring.flush();
        file.reset();
        BOOST_TEST(has_reader());
    }
    BOOST_TEST(ring.shutdown(10s));
    BOOST_TEST(reader_is_gone());
}

BOOST_FIXTURE_TEST_CASE(registered_file_is_closed_behind_what_it_is_linked_to, registered_writer,
                        *needs_files)
{
    auto last_words = write("last words");
    auto [writing, closing] =
        ring.submit_linked(std::move(last_words), ring.close(std::move(*file)));
    const auto closed = std::move(closing).wait().result();
    BOOST_TEST(closed.value() == 0);
    const auto written = std::move(writing).wait().result();
    BOOST_TEST(written.value() == 10U);
    BOOST_TEST(read_to_end() == "last words");
    const registered_file next = ring.register_file(reader.get());
    BOOST_TEST(next.index() == 0);
}

BOOST_FIXTURE_TEST_CASE(close_of_a_registered_file_that_does_not_begin_closes_it, registered_writer,
                        *needs_files)
{
    auto [failing, closing] =
        ring.submit_linked(ring.read(-1, owned_buffer(1)), ring.close(std::move(*file)));
    const auto closed = std::move(closing).wait().result();
    BOOST_TEST((closed.code() == std::errc::operation_canceled));
    BOOST_TEST(!std::move(failing).wait().result());
    BOOST_TEST(read_to_end() == "");
}

BOOST_FIXTURE_TEST_CASE(close_of_a_registered_file_leaves_it_to_what_has_begun, registered_pipe,
                        *needs_files)
{
    auto reading = read().submit();
    ring.flush();
    BOOST_TEST(ring.close(std::move(*file)).submit().wait().result().value() == 0);
    const registered_file other = ring.register_file(writer.get());
    BOOST_TEST(other.index() == 1); // The read may have to be submitted once more.
    BOOST_TEST(has_reader());
    write("late");
    auto [result, buffer] = std::move(reading).wait().take();
    BOOST_TEST(buffer.text() == "late");
    BOOST_TEST(reader_is_gone());
    const registered_file next = ring.register_file(writer.get());
    BOOST_TEST(next.index() == 0);
}

BOOST_FIXTURE_TEST_CASE(another_file_takes_the_place, registered_pipe, *needs_files)
{
    const auto [other_reader, other_writer] = test_support::pipe_descriptor_pair();
    // A number without a file, a file that is no more than its path, and a ring.
    const test_support::unique_descriptor path(::open("/", O_PATH | O_CLOEXEC));
    io_uring_params parameters{};
    const test_support::unique_descriptor of_ring(
        static_cast<int>(::syscall(SYS_io_uring_setup, 1, &parameters)));
    BOOST_REQUIRE(of_ring.get() >= 0);
    for (const int refused : {1 << 20, path.get(), of_ring.get()})
        error_of([&] { ring.replace(*file, refused); }, std::errc::bad_file_descriptor);
    write("still");
    const owned_buffer old = read().submit().wait().take().second;
    BOOST_TEST(old.text() == "still");
    ring.replace(*file, other_reader.get());
    BOOST_TEST(reader_is_gone());
    BOOST_TEST(::write(other_writer.get(), "other", 5) == 5);
    BOOST_TEST(read().submit().wait().take().second.text() == "other");
}

BOOST_FIXTURE_TEST_CASE(ring_ends_its_registrations_and_handles_may_follow, registered_pipe,
                        *needs_files)
{
    std::optional<io_ring> other(std::in_place);
    registered_file elsewhere = other->register_file(writer.get());
    other.reset();
    elsewhere = registered_file();
    other.emplace();
    const registered_file late = other->register_file(writer.get());
    other.reset();
    BOOST_TEST(late.is_open()); // A handle, of nothing.
}

BOOST_AUTO_TEST_CASE(handle_of_another_ring_or_of_nothing_stops_the_program, *needs_files)
{
    BOOST_TEST(has(last_words([] {
                       io_ring ring, other;
                       const registered_file file = other.register_file(0);
                       auto reading = ring.read(file, owned_buffer(8));
                   }),
                   "used with another ring"));
    BOOST_TEST(has(last_words([] {
                       io_ring ring, other;
                       ring.unregister(other.register_file(0));
                   }),
                   "used with another ring"));
    BOOST_TEST(has(last_words([] {
                       io_ring ring;
                       registered_file file = ring.register_file(0);
                       ring.unregister(std::move(file));
                       auto& again = file;
                       auto reading = ring.read(again, owned_buffer(8));
                   }),
                   "registered_file is used that was given up"));
    BOOST_TEST(has(last_words([] {
                       io_ring ring;
                       registered_file file = ring.register_file(0);
                       const registered_file moved = std::move(file);
                       ring.unregister(std::move(file));
                   }),
                   "registered_file is used that was given up"));
    BOOST_TEST(has(last_words([] {
                       io_ring ring;
                       ring.unregister(registered_buffers());
                   }),
                   "registered_buffers is used that was given up"));
}

BOOST_AUTO_TEST_CASE(table_of_files_is_no_larger_than_the_limit_of_descriptors, *needs_files)
{
    const auto [said, status] = test_support::in_a_child([] {
        const rlimit few{40, 40};
        ::setrlimit(RLIMIT_NOFILE, &few);
        io_ring ring;
        std::vector<registered_file> all;
        try {
            for (;;)
                all.push_back(ring.register_file(0));
        } catch (const std::system_error& e) {
            std::fprintf(stderr, "%zu: %s\n", all.size(), e.what());
        }
    });
    BOOST_TEST(status == 0);
    BOOST_TEST(has(said, "40: safer_ring: registering descriptor 0 (all 40 places are taken"),
               said);
}

// ---------------------------------------------------------- direct descriptors

BOOST_FIXTURE_TEST_CASE(sockets_live_without_descriptors, listening, *needs_direct)
{
    io_ring ring;
    const std::size_t before = open_descriptors();
    auto [made, client] = ring.socket_direct(AF_INET, SOCK_STREAM).submit().wait().take();
    BOOST_TEST(made.value() == client.index());
    auto accepting = ring.accept_direct(listener.get()).submit();
    BOOST_TEST(
        ring.connect(client, generic(), sizeof address).submit().wait().result().has_value());
    auto [accepted, server] = std::move(accepting).wait().take();
    BOOST_TEST(accepted.value() == server.index());
    BOOST_TEST(open_descriptors() == before);
    BOOST_TEST(ring.send(server, owned_buffer::copy_of("hi")).submit().wait().result().value() ==
               2U);
    BOOST_TEST(ring.receive(client, owned_buffer(8)).submit().wait().take().second.text() == "hi");
    server = registered_file();
    BOOST_TEST(ring.receive(client, owned_buffer(8)).submit().wait().result().value() == 0U);
}

BOOST_AUTO_TEST_CASE(file_is_opened_without_a_descriptor, *needs_direct)
{
    io_ring ring;
    const std::string path = "/var/tmp/safer_ring_registry_" + std::to_string(::getpid());
    {
        auto [opened, file] = ring.open_direct(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
                                  .submit()
                                  .wait()
                                  .take();
        BOOST_TEST(opened.has_value());
        BOOST_TEST(
            ring.write(file, owned_buffer::copy_of("kept")).submit().wait().result().value() == 4U);
    }
    const unique_descriptor written(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ::unlink(path.c_str());
    BOOST_TEST(ring.read(written.get(), owned_buffer(8)).submit().wait().take().second.text() ==
               "kept");
    auto [missing, none] = ring.open_direct(path, O_RDONLY).submit().wait().take();
    BOOST_TEST((missing.code() == std::errc::no_such_file_or_directory));
    BOOST_TEST(!none.is_open());
    BOOST_TEST(ring.register_file(written.get()).index() == 0); // No place was lost.
    auto [made, socket] = ring.socket(AF_INET, SOCK_DGRAM).submit().wait().take();
    BOOST_TEST(made.value() == socket.get());
    BOOST_TEST(::fcntl(socket.get(), F_GETFD) == FD_CLOEXEC);
}

BOOST_FIXTURE_TEST_CASE(connection_that_finds_no_place_stays_in_the_backlog, listening,
                        *needs_direct)
{
    options settings;
    settings.registered_file_count = 1;
    io_ring ring(settings);
    auto first = ring.accept_direct(listener.get()).submit();
    const auto refused = ring.accept_direct(listener.get()).submit().wait().result();
    BOOST_TEST((refused.code() == std::errc::too_many_files_open_in_system), refused.code());
    const unique_descriptor near = client(), far = client();
    auto [one, server] = std::move(first).wait().take();
    BOOST_TEST(one.has_value());
    BOOST_TEST(!ring.accept_direct(listener.get()).submit().wait().result());
    server = registered_file();
    auto [two, second] = ring.accept_direct(listener.get()).submit().wait().take();
    BOOST_TEST(two.has_value());
    BOOST_TEST(ring.send(second, owned_buffer::copy_of("2")).submit().wait().result().value() ==
               1U);
    char text = 0;
    BOOST_TEST(::recv(far.get(), &text, 1, 0) == 1);
    BOOST_TEST(text == '2');
}

BOOST_FIXTURE_TEST_CASE(accepted_socket_that_nobody_takes_is_closed, listening, *needs_direct)
{
    options settings;
    settings.registered_file_count = 1;
    io_ring ring(settings);
    for (const bool dropped : {false, true}) {
        const unique_descriptor peer = client();
        auto accepting = ring.accept_direct(listener.get()).submit();
        if (dropped) {
            ring.flush();
            auto given_up = std::move(accepting);
        } else {
            static_cast<void>(std::move(accepting).wait());
        }
        char text = 0;
        BOOST_TEST(::recv(peer.get(), &text, 1, 0) == 0);
    }
    BOOST_TEST(ring.register_file(listener.get()).index() == 0);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
