// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "registry.hpp"

#include "support/child_process.hpp"
#include "support/skip.hpp"
#include "support/unnamed_file.hpp"
#include "support/unprivileged.hpp"

#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/io_ring.hpp>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// Buffers that are registered with the kernel that runs here.
namespace kernel {
namespace {

std::vector<owned_buffer> filled(buffer_pool& pool, std::initializer_list<std::string_view> texts)
{
    std::vector<owned_buffer> buffers;
    for (const std::string_view text : texts) {
        owned_buffer buffer = std::move(*pool.try_acquire());
        buffer.resize(text.size());
        std::copy(text.begin(), text.end(), reinterpret_cast<char*>(buffer.data()));
        buffers.push_back(std::move(buffer));
    }
    return buffers;
}

BOOST_AUTO_TEST_SUITE(registered_buffers_of_a_pool)

BOOST_AUTO_TEST_CASE(registered_buffers_read_and_write, *needs_buffers)
{
    io_ring ring;
    buffer_pool pool(4, 5000);
    const registered_buffers registered = ring.register_buffers(pool);
    BOOST_TEST(registered.size_bytes() == 4U * 8192);
    const unique_descriptor file = test_support::unnamed_file();
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
    const registered_file place = ring.register_file(file.get());
    auto parts = filled(pool, {"regis", "ter", "ed"});
    auto [written, sources] = ring.write(place, std::move(parts)).at(3).submit().wait().take();
    BOOST_TEST(written.value() == 10U);
    auto [read, buffers] = ring.read(place, std::move(sources)).at(3).submit().wait().take();
    BOOST_TEST(read.value() == 10U);
    BOOST_TEST(buffers[0].text() == "regis");
    BOOST_TEST(buffers[1].text() == "tered");
    BOOST_TEST(buffers[2].size() == 0U);
    // On what waits, and is given up.
    const auto [reader, writer] = test_support::pipe_descriptor_pair();
    const registered_file waiting = ring.register_file(reader.get());
    static_cast<void>(ring.read(waiting, std::move(buffers)).submit());
    BOOST_TEST(ring.shutdown(20s));
    BOOST_TEST(pool.statistics().available == 4U);
}

/// For a file that has no other way than read() and write() in the kernel, vectored requests on
/// registered buffers would take the array of parts for the memory.
BOOST_AUTO_TEST_CASE(registered_buffers_go_to_files_of_proc_one_by_one, *needs_buffers)
{
    io_ring ring;
    buffer_pool pool(4, 15);
    const registered_buffers registered = ring.register_buffers(pool);
    const unique_descriptor comm(::open("/proc/thread-self/comm", O_RDWR | O_CLOEXEC));
    const registered_file place = ring.register_file(comm.get());
    std::string before(16, '\0');
    before.resize(static_cast<std::size_t>(::pread(comm.get(), before.data(), before.size(), 0)));
    static_cast<void>(ring.write(comm.get(), filled(pool, {"first"})).submit().wait());
    static_cast<void>(ring.write(place, filled(pool, {"last"})).submit().wait());
    auto [read, parts] = ring.read(place, filled(pool, {"", ""})).at(0).submit().wait().take();
    BOOST_TEST(read.value() == 5U);
    BOOST_TEST(parts[0].text() == "last\n");
    static_cast<void>(::pwrite(comm.get(), before.data(), before.size() - 1, 0));
}

BOOST_FIXTURE_TEST_CASE(registered_buffers_are_sent_without_a_copy, listening, *needs_buffers)
{
    constexpr std::size_t size = 1 << 20;
    io_ring ring;
    buffer_pool pool(2, size);
    std::optional<registered_buffers> registered(ring.register_buffers(pool));
    const unique_descriptor sender = client();
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
    const auto [near, far] = test_support::local_descriptor_pair();
    buffer.resize(5);
    auto [sent, back] = ring.send_zero_copy(near.get(), std::move(buffer)).submit().wait().take();
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
    constexpr int still_privileged = 77;
    const auto [said, status] = test_support::in_a_child([] {
        const rlimit little{1 << 16, 1 << 16};
        ::setrlimit(RLIMIT_MEMLOCK, &little);
        if (!test_support::give_up_privileges())
            ::_exit(still_privileged);
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
    if (WIFEXITED(status) && WEXITSTATUS(status) == still_privileged)
        SAFER_RING_SKIP("root cannot become another user here");
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
                auto [read_end, writer] = test_support::pipe_descriptor_pair();
                registered_file reader = ring.register_file(read_end.get());
                read_end.reset();
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
