// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"

#include "support/blocking_peer.hpp"
#include "support/child_process.hpp"
#include "support/skip.hpp"

#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/io_ring.hpp>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

// What is registered with the kernel that runs here.
namespace kernel {
namespace {

using namespace std::chrono_literals;
using namespace safer_ring;
using test_support::last_words;
using test_support::unique_descriptor;

/// Why the tests of a feature cannot run, or an empty string.
std::string missing(bool features::*feature, const char* name)
{
    const features found = features::probe();
    return !found.io_uring ? no_io_uring() : found.*feature ? "" : std::string("no ") + name;
}
const auto needs_files =
    test_support::unless([] { return missing(&features::registered_files, "registered files"); });
const auto needs_direct = test_support::unless(
    [] { return missing(&features::direct_descriptors, "direct descriptors"); });
const auto needs_buffers = test_support::unless(
    [] { return missing(&features::registered_buffers, "registered buffers"); });

/// A pipe whose read end is registered and has no descriptor.
struct registered_pipe {
    registered_pipe()
    {
        int ends[2];
        BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        const unique_descriptor reader(ends[0]);
        writer = unique_descriptor(ends[1]);
        file.emplace(ring.register_file(reader.get()));
    }
    auto read() { return ring.read(*file, owned_buffer(64)); }
    void write(std::string_view text)
    {
        BOOST_TEST(::write(writer.get(), text.data(), text.size()) ==
                   static_cast<ssize_t>(text.size()));
    }
    /// Waits until nobody can read what is written.
    bool reader_is_gone() const { return test_support::wait_ready(writer.get(), POLLERR); }
    bool has_reader() const
    {
        pollfd entry{writer.get(), 0, 0};
        return ::poll(&entry, 1, 0) == 0;
    }

    unique_descriptor writer;
    io_ring ring;
    std::optional<registered_file> file;
};

/// A listening socket of this machine, and its address.
struct listening {
    listening()
    {
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        BOOST_REQUIRE(::bind(listener.get(), generic(), size) == 0);
        BOOST_REQUIRE(::listen(listener.get(), 8) == 0);
        BOOST_REQUIRE(::getsockname(listener.get(), generic(), &size) == 0);
    }
    sockaddr* generic() { return reinterpret_cast<sockaddr*>(&address); }

    unique_descriptor listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
};

std::size_t open_descriptors()
{
    std::size_t n = 0;
    for (const auto& each : std::filesystem::directory_iterator("/proc/self/fd"))
        n += each.path().empty() ? 0 : 1;
    return n;
}

template <class F>
std::string error_of(F f, std::errc expected)
{
    try {
        f();
    } catch (const std::system_error& e) {
        BOOST_TEST((e.code() == expected), e.what());
        return e.what();
    }
    BOOST_ERROR("nothing thrown");
    return "";
}

bool has(const std::string& text, const char* part)
{
    return text.find(part) != std::string::npos;
}

BOOST_AUTO_TEST_SUITE(registries)

/// The same for the end that is written to.
struct registered_writer {
    registered_writer()
    {
        int ends[2];
        BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        reader = unique_descriptor(ends[0]);
        const unique_descriptor by_number(ends[1]);
        file.emplace(ring.register_file(by_number.get()));
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
    const unique_descriptor opened(::open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    const registered_file file = ring.register_file(opened.get());
    BOOST_TEST(ring.allocate(file, 0, 8192).submit().wait().result().has_value());
    auto [written, synced] = ring.submit_linked(
        ring.write(file, owned_buffer::copy_of("hello")).at(4096), ring.fdatasync(file));
    BOOST_TEST(std::move(synced).wait().result().has_value());
    BOOST_TEST(std::move(written).wait().result().value() == 5U);
    BOOST_TEST(ring.fsync(file).submit().wait().result().has_value());
    BOOST_TEST(::lseek(opened.get(), 0, SEEK_END) == 8192);

    int ends[2];
    BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const unique_descriptor reader(ends[0]), writer(ends[1]);
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
    int ends[2];
    BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const unique_descriptor other_reader(ends[0]), other_writer(ends[1]);
    error_of([&] { ring.replace(*file, 1 << 20); }, std::errc::bad_file_descriptor);
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
    const test_support::unique_descriptor near(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
        far(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    for (const int fd : {near.get(), far.get()})
        BOOST_REQUIRE(::connect(fd, generic(), sizeof address) == 0);
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
        const test_support::unique_descriptor client(
            ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        BOOST_REQUIRE(::connect(client.get(), generic(), sizeof address) == 0);
        auto accepting = ring.accept_direct(listener.get()).submit();
        if (dropped) {
            ring.flush();
            auto given_up = std::move(accepting);
        } else {
            static_cast<void>(std::move(accepting).wait());
        }
        char text = 0;
        BOOST_TEST(::recv(client.get(), &text, 1, 0) == 0);
    }
    BOOST_TEST(ring.register_file(listener.get()).index() == 0);
}

// --------------------------------------------------------------------- buffers

BOOST_AUTO_TEST_CASE(registered_buffers_read_and_write, *needs_buffers)
{
    io_ring ring;
    buffer_pool pool(4, 5000);
    const registered_buffers registered = ring.register_buffers(pool);
    BOOST_TEST(registered.size_bytes() == 4U * 8192);
    const unique_descriptor file(::open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    for (std::size_t i = 0; i < 4; ++i) {
        owned_buffer buffer = std::move(*pool.try_acquire());
        std::memset(buffer.data(), static_cast<int>('a' + i), buffer.size());
        buffer.consume(i);
        const auto written = ring.write(file.get(), std::move(buffer)).at(i * 5000).submit().wait();
        BOOST_TEST(written.result().value() == 5000 - i);
    }
    for (std::size_t i = 0; i < 4; ++i) {
        auto [read, buffer] = ring.read(file.get(), std::move(*pool.try_acquire()))
                                  .at(i * 5000)
                                  .submit()
                                  .wait()
                                  .take();
        BOOST_TEST(read.value() == (i == 3 ? 4997U : 5000U));
        BOOST_TEST((buffer.text() == std::string(5000 - i, static_cast<char>('a' + i)) +
                                         std::string(i == 3 ? 0 : i, '\0')));
    }
    // At the position of the file, and from a pipe.
    BOOST_TEST(::lseek(file.get(), 5000, SEEK_SET) == 5000);
    BOOST_TEST(ring.read(file.get(), std::move(*pool.try_acquire()))
                   .submit()
                   .wait()
                   .take()
                   .second.text()[0] == 'b');
    BOOST_TEST(::lseek(file.get(), 0, SEEK_CUR) == 10000);
}

BOOST_AUTO_TEST_CASE(registered_buffers_are_read_and_written_together, *needs_buffers)
{
    io_ring ring;
    if (!ring.found().registered_vectors)
        SAFER_RING_SKIP("no vectored operations on registered buffers (Linux 6.15)");
    buffer_pool pool(4, 5);
    const registered_buffers registered = ring.register_buffers(pool);
    const unique_descriptor file(::memfd_create("vectors", MFD_CLOEXEC));
    const auto filled = [&](std::string_view text) {
        owned_buffer buffer = std::move(*pool.try_acquire());
        buffer.resize(text.size());
        std::memcpy(buffer.data(), text.data(), text.size());
        return buffer;
    };
    std::vector<owned_buffer> parts;
    parts.push_back(filled("regis"));
    parts.push_back(filled("ter"));
    parts.push_back(filled("ed"));
    auto [written, sources] = ring.write(file.get(), std::move(parts)).at(3).submit().wait().take();
    BOOST_TEST(written.value() == 10U);
    auto [read, buffers] = ring.read(file.get(), std::move(sources)).at(3).submit().wait().take();
    BOOST_TEST(read.value() == 10U);
    BOOST_TEST(buffers[0].text() == "regis");
    BOOST_TEST(buffers[1].text() == "tered");
    BOOST_TEST(buffers[2].size() == 0U);
    // On what waits, and is given up.
    int ends[2];
    BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const unique_descriptor reader(ends[0]), writer(ends[1]);
    static_cast<void>(ring.read(reader.get(), std::move(buffers)).submit());
    BOOST_TEST(ring.shutdown(20s));
    BOOST_TEST(pool.statistics().available == 4U);
}

BOOST_FIXTURE_TEST_CASE(registered_buffers_are_sent_without_a_copy, listening, *needs_buffers)
{
    constexpr std::size_t size = 1 << 20;
    io_ring ring;
    buffer_pool pool(2, size);
    std::optional<registered_buffers> registered(ring.register_buffers(pool));
    const unique_descriptor sender(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    BOOST_REQUIRE(::connect(sender.get(), generic(), sizeof address) == 0);
    const unique_descriptor peer(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    owned_buffer large = std::move(*pool.try_acquire());
    large.resize(size);
    for (std::size_t i = 0; i < size; ++i)
        large.bytes()[i] = static_cast<std::byte>(i * 7 >> 8);
    auto sending = ring.send_zero_copy(sender.get(), std::move(large), MSG_WAITALL).submit();
    ring.flush();
    registered.reset(); // It stays until the kernel has let go of the memory.
    bool same = true;
    std::thread reading([&] {
        std::vector<unsigned char> bytes(size);
        std::size_t got = 0;
        for (ssize_t n = 0;
             got < size && (n = ::recv(peer.get(), bytes.data() + got, size - got, 0)) > 0;)
            got += static_cast<std::size_t>(n);
        for (std::size_t i = 0; i < size; ++i)
            same = same && bytes[i] == static_cast<unsigned char>(i * 7 >> 8);
    });
    auto [result, buffer] = std::move(sending).wait().take();
    reading.join();
    BOOST_TEST(result.value() == size);
    BOOST_TEST(same);
    // A local socket cannot.
    const registered_buffers again = ring.register_buffers(pool);
    int ends[2];
    BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const unique_descriptor a(ends[0]), b(ends[1]);
    buffer.resize(5);
    auto [sent, back] = ring.send_zero_copy(a.get(), std::move(buffer)).submit().wait().take();
    BOOST_TEST(sent.value() == 5U);
}

BOOST_FIXTURE_TEST_CASE(registered_buffers_of_a_registered_file_wait_and_are_cancelled,
                        registered_pipe, *needs_buffers)
{
    std::optional<buffer_pool> pool(std::in_place, 3, 64);
    std::optional<registered_buffers> registered(ring.register_buffers(*pool));
    auto first = ring.read(*file, std::move(*pool->try_acquire())).submit();
    auto second = ring.read(*file, std::move(*pool->try_acquire())).submit();
    ring.flush();
    BOOST_TEST(has(error_of([&] { ring.unregister(std::move(*registered)); },
                            std::errc::device_or_resource_busy),
                   "unregistering buffers 0"));
    registered.reset();
    pool.reset();
    second.cancel();
    auto [ended, back] = std::move(second).wait().take();
    BOOST_TEST((ended.code() == std::errc::operation_canceled));
    BOOST_TEST(back.capacity() == 64U);
    write("there");
    const owned_buffer filled = std::move(first).wait().take().second;
    BOOST_TEST(filled.text() == "there");
}

BOOST_AUTO_TEST_CASE(registered_buffers_outlive_pool_and_ring, *needs_buffers)
{
    for (const bool buffer_last : {false, true}) {
        std::optional<io_ring> ring(std::in_place);
        std::optional<buffer_pool> pool(std::in_place, 2, 4096);
        registered_buffers registered = ring->register_buffers(*pool);
        const unique_descriptor zeros(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
        owned_buffer buffer = std::move(*pool->try_acquire());
        pool.reset();
        buffer = ring->read(zeros.get(), std::move(buffer)).submit().wait().take().second;
        BOOST_TEST(buffer.size() == 4096U);
        ring.reset();
        if (buffer_last)
            registered = registered_buffers();
        buffer.data()[4095] = std::byte{1};
        buffer = owned_buffer();
    }
}

BOOST_AUTO_TEST_CASE(limit_of_locked_memory_is_named, *needs_buffers)
{
    const auto [said, status] = test_support::in_a_child([] {
        const rlimit little{1 << 16, 1 << 16};
        ::setrlimit(RLIMIT_MEMLOCK, &little);
        if (::getuid() == 0 && ::setuid(65534) != 0)
            return;
        io_ring ring;
        buffer_pool pool(1024, 4096);
        try {
            static_cast<void>(ring.register_buffers(pool));
        } catch (const std::system_error& e) {
            std::fprintf(stderr, "%d %s\n", e.code().value(), e.what());
        }
        buffer_pool small(2, 4096);
        const registered_buffers registered = ring.register_buffers(small);
        if (registered.is_registered())
            std::fprintf(stderr, "the small one is registered\n");
    });
    BOOST_TEST(status == 0, said);
    BOOST_TEST(has(said, std::to_string(ENOMEM).c_str()), said);
    BOOST_TEST(has(said, "registering a pool of 4194304 bytes (RLIMIT_MEMLOCK is 65536 bytes"),
               said);
    BOOST_TEST(has(said, "the small one is registered"), said);
}

BOOST_AUTO_TEST_CASE(threads_register_use_and_drop_at_once, *needs_buffers)
{
    options settings;
    settings.registered_file_count = 6;
    io_ring ring(settings);
    buffer_pool pool(64, 64);
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 100; ++i) {
                int ends[2];
                if (::pipe2(ends, O_CLOEXEC) != 0) {
                    ++wrong;
                    return;
                }
                const unique_descriptor writer(ends[1]);
                registered_file reader = ring.register_file(ends[0]);
                ::close(ends[0]);
                registered_buffers buffers = ring.register_buffers(pool);
                auto reading = ring.read(reader, std::move(*pool.try_acquire())).submit();
                if (i % 2 == 0)
                    reader = registered_file();
                if (i % 3 == 0)
                    buffers = registered_buffers();
                if (i % 5 == 0) {
                    reading.cancel();
                    wrong += std::move(reading).wait().result() ? 1 : 0;
                    continue;
                }
                wrong += ::write(writer.get(), "x", 1) == 1 ? 0 : 1;
                wrong += std::move(reading).wait().take().second.text() == "x" ? 0 : 1;
            }
        });
    for (std::thread& each : threads)
        each.join();
    BOOST_TEST(wrong == 0);
    BOOST_TEST(ring.register_file(0).index() < 6);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
