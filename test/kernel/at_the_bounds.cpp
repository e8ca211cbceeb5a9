// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"

#include <support/connected_pair.hpp>
#include <support/run_until.hpp>
#include <support/skip.hpp>
#include <support/unprivileged.hpp>
#include <support/watchdog.hpp>

#include <safer_ring/ring/buffer_ring.hpp>
#include <safer_ring/ring/io_ring.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <dirent.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <memory>
#include <optional>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

// The ring at its bounds: tiny queues, exhausted buffers, features turned
// off, limits of the process.

namespace kernel {
namespace {

/// An echo of `rounds` messages on each of `count` connections, both ends on
/// one context.
void echo_on(context& ioc, int count, int rounds, std::size_t message_size)
{
    struct connection {
        connection(socket a, socket b, std::size_t size)
            : client(std::move(a)), server(std::move(b)), sent(size), received(size), relay(size)
        {
        }
        socket client, server;
        std::vector<char> sent, received, relay;
    };
    std::vector<std::unique_ptr<connection>> connections;
    int finished = 0;
    for (int i = 0; i < count; ++i) {
        auto [a, b] = test_support::connected_pair<socket>(ioc);
        connections.push_back(
            std::make_unique<connection>(std::move(a), std::move(b), message_size));
    }
    const auto client = [&](connection& c, int id) -> net::awaitable<void> {
        for (int round = 0; round < rounds; ++round) {
            std::fill(c.sent.begin(), c.sent.end(), static_cast<char>(id + round));
            co_await net::async_write(c.client, net::buffer(c.sent), net::use_awaitable);
            co_await net::async_read(c.client, net::buffer(c.received), net::use_awaitable);
            BOOST_REQUIRE(c.sent == c.received);
        }
        c.client.shutdown(tcp::socket::shutdown_send);
        ++finished;
    };
    const auto server = [](connection& c) -> net::awaitable<void> {
        for (;;) {
            auto [ec, n] = co_await c.server.async_read_some(net::buffer(c.relay),
                                                             net::as_tuple(net::use_awaitable));
            if (ec)
                co_return;
            co_await net::async_write(c.server, net::buffer(c.relay, n), net::use_awaitable);
        }
    };
    const auto rethrow = [](std::exception_ptr e) {
        if (e)
            std::rethrow_exception(e);
    };
    for (int i = 0; i < count; ++i) {
        net::co_spawn(ioc, server(*connections[static_cast<std::size_t>(i)]), rethrow);
        net::co_spawn(ioc, client(*connections[static_cast<std::size_t>(i)], i), rethrow);
    }
    ioc.run_for(test_support::watchdog_time);
    BOOST_TEST(finished == count);
}

/// Runs `body` in a child that is not privileged, and answers what it answers there. Output of
/// Boost.Test in the child is not ours. Skips the test case where the child would be privileged.
bool in_unprivileged_child(const std::function<bool()>& body)
{
    constexpr int still_privileged = 77;
    const pid_t child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
        test_support::limit_time_of_child();
        if (!test_support::give_up_privileges())
            ::_exit(still_privileged);
        ::_exit(body() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == still_privileged)
        SAFER_RING_SKIP("root cannot become another user here");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// From now on every such call of this process fails with `error`, as under the seccomp filter of
/// a container runtime.
bool refuse(unsigned call, int error)
{
    const sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{std::size(program), const_cast<sock_filter*>(program)};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

std::string why_no_context()
{
    try {
        context ioc(1);
        return "";
    } catch (const std::system_error& e) {
        return e.what();
    }
}

std::vector<std::string> descriptor_targets()
{
    std::vector<std::string> targets;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code ec;
        targets.push_back(std::filesystem::read_symlink(entry, ec).string());
    }
    return targets;
}

} // namespace

BOOST_AUTO_TEST_SUITE(at_the_bounds, *needs_io_uring)

BOOST_AUTO_TEST_CASE(tiny_queues_carry_many_connections)
{
    safer_ring::options settings;
    settings.submission_entries = 4;
    settings.completion_entries = 8;
    for (const int hint : {1, -1}) {
        context ioc(hint, settings);
        echo_on(ioc, 100, 5, 700);
    }
}

BOOST_AUTO_TEST_CASE(queues_of_any_two_sizes_carry_connections)
{
    constexpr std::pair<unsigned, unsigned> sizes[] = {{8192, 4096}, {1024, 512}, {1, 0}};
    for (const auto& [submissions, completions] : sizes) {
        safer_ring::options settings;
        settings.submission_entries = submissions;
        settings.completion_entries = completions;
        context ioc(1, settings);
        BOOST_TEST(ioc.features().completion_entries >= ioc.features().submission_entries);
        echo_on(ioc, 4, 2, 100);
    }
}

BOOST_AUTO_TEST_CASE(no_queue_at_all_is_refused)
{
    safer_ring::options settings;
    settings.submission_entries = 0;
    BOOST_CHECK_THROW(context(1, settings), std::invalid_argument);
    BOOST_CHECK_THROW(safer_ring::io_ring{settings}, std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(exhausted_receive_buffers_still_serve_every_connection)
{
    safer_ring::options settings;
    settings.receive_buffer_count = 2;
    context ioc(1, settings);
    echo_on(ioc, 200, 5, 600);
    BOOST_TEST(ioc.impl().loop().buffers().outstanding() == 0u);
}

BOOST_AUTO_TEST_CASE(without_kernel_chosen_buffers_everything_goes_by_readiness)
{
    safer_ring::options settings;
    settings.buffer_ring = false;
    context ioc(1, settings);
    BOOST_TEST(!ioc.features().buffer_ring);
    echo_on(ioc, 50, 5, 5000);
}

BOOST_AUTO_TEST_CASE(without_cooperative_task_work_everything_goes_on)
{
    safer_ring::options settings;
    settings.cooperative_taskrun = false;
    context ioc(1, settings);
    BOOST_TEST(!ioc.features().cooperative_taskrun);
    echo_on(ioc, 50, 5, 512);
}

BOOST_AUTO_TEST_CASE(messages_of_every_kind_of_path_arrive_whole)
{
    for (const std::size_t size : {1u, 512u, 4096u, 4097u, 16384u, 16385u, 1048576u}) {
        context ioc(1);
        echo_on(ioc, 4, 3, size);
        BOOST_TEST(ioc.impl().loop().buffers().outstanding() == 0u);
        BOOST_TEST(ioc.impl().loop().staging().outstanding() == 0u);
        BOOST_TEST(ioc.impl().loop().stale_completions() == 0u);
    }
}

BOOST_AUTO_TEST_CASE(a_context_needs_no_epoll_and_no_thread)
{
    const auto before = descriptor_targets();
    context ioc(1);
    echo_on(ioc, 2, 2, 100);
    const auto is_epoll = [](const std::string& t) { return t.find("eventpoll") != t.npos; };
    const auto during = descriptor_targets();
    BOOST_TEST(std::count_if(during.begin(), during.end(), is_epoll) ==
               std::count_if(before.begin(), before.end(), is_epoll));
}

BOOST_AUTO_TEST_CASE(strict_fallback_names_the_missing_feature)
{
    BOOST_TEST(in_unprivileged_child([] {
        safer_ring::options settings;
        settings.on_missing = safer_ring::fallback::strict;
        if (!refuse(SYS_io_uring_register, EINVAL))
            return false;
        try {
            context ioc(1, settings);
            return false;
        } catch (const std::system_error& e) {
            return e.code() == std::errc::not_supported &&
                   std::string(e.what()).find("no buffers chosen by the kernel: the kernel has "
                                              "none (Linux 5.19)") != std::string::npos;
        }
    }));
}

BOOST_AUTO_TEST_CASE(numbers_that_cannot_be_are_refused)
{
    safer_ring::options settings;
    settings.receive_buffer_count = 3;
    BOOST_CHECK_EXCEPTION(context(1, settings), std::invalid_argument, [](const auto& e) {
        return std::string(e.what()).find("options::receive_buffer_count is 3") !=
               std::string::npos;
    });
    settings.buffer_ring = false; // Then it means nothing.
    context ioc(1, settings);
    BOOST_TEST(!ioc.features().buffer_ring);
}

BOOST_AUTO_TEST_CASE(exhausted_descriptors_are_named_as_the_cause)
{
    BOOST_TEST(in_unprivileged_child([] {
        // UBSan's check of an object's type opens a pipe to look at memory safely, once for each type:
        // here, for what is thrown below.
        static_cast<void>(std::system_error(EMFILE, std::system_category(), "before"));
        rlimit before{};
        ::getrlimit(RLIMIT_NOFILE, &before);
        const rlimit none{0, before.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &none);
        try {
            context ioc(1);
            return false;
        } catch (const std::system_error& e) {
            ::setrlimit(RLIMIT_NOFILE, &before); // For these checks again.
            return e.code().value() == EMFILE &&
                   std::string(e.what()).find("RLIMIT_NOFILE") != std::string::npos;
        }
    }));
}

BOOST_AUTO_TEST_CASE(exhausted_locked_memory_is_named_as_the_cause_or_not_needed)
{
    BOOST_TEST(in_unprivileged_child([] {
        const rlimit none{0, 0};
        ::setrlimit(RLIMIT_MEMLOCK, &none);
        try {
            context ioc(1);
            return true; // Linux 5.12 to 6.13 does not count rings against it.
        } catch (const std::system_error& e) {
            return e.code().value() == ENOMEM &&
                   std::string(e.what()).find("RLIMIT_MEMLOCK") != std::string::npos;
        }
    }));
}

/// The kernel counts what a closed ring had for some milliseconds more.
BOOST_AUTO_TEST_CASE(contexts_made_one_after_the_other_have_the_memory_that_they_need)
{
    if (!safer_ring::features::probe().buffer_ring)
        SAFER_RING_SKIP("this kernel has no buffer rings");
    BOOST_TEST(in_unprivileged_child([] {
        constexpr rlim_t usual_bytes = 8 << 20;
        const rlimit usual{usual_bytes, usual_bytes};
        ::setrlimit(RLIMIT_MEMLOCK, &usual);
        for (int i = 0; i < 200; ++i) {
            const context ioc(1);
            if (!ioc.features().buffer_ring ||
                ioc.features().submission_entries != safer_ring::options().submission_entries)
                return false;
        }
        return true;
    }));
}

// There is room for a ring and not for its buffers, or for neither.
BOOST_AUTO_TEST_CASE(kernel_is_not_blamed_for_want_of_locked_memory)
{
    if (!safer_ring::features::probe().buffer_ring)
        SAFER_RING_SKIP("this kernel has no buffer rings");
    for (rlim_t kib = 24; kib <= 200; kib += 16)
        BOOST_TEST_CONTEXT(kib << " KiB")
    BOOST_TEST(in_unprivileged_child([kib] {
        const rlimit little{kib << 10, kib << 10};
        ::setrlimit(RLIMIT_MEMLOCK, &little);
        try {
            context ioc(1);
            if (ioc.features().buffer_ring)
                return true;
            for (const std::string& note : ioc.features().notes)
                if (note.find("no buffers chosen") == 0)
                    return note.find("RLIMIT_MEMLOCK") != std::string::npos;
            return false;
        } catch (const std::system_error& e) {
            return std::string(e.what()).find("RLIMIT_MEMLOCK") != std::string::npos;
        }
    }));
}

BOOST_AUTO_TEST_CASE(buffer_rings_that_are_found_can_be_made)
{
    for (rlim_t kib = 8; kib <= 100; kib += 4)
        BOOST_TEST_CONTEXT(kib << " KiB")
    BOOST_TEST(in_unprivileged_child([kib] {
        const rlimit little{kib << 10, kib << 10};
        ::setrlimit(RLIMIT_MEMLOCK, &little);
        std::optional<safer_ring::io_ring> ring;
        try {
            ring.emplace();
        } catch (const std::system_error&) {
            return true;
        }
        if (ring->found().buffer_ring)
            const safer_ring::buffer_ring made(*ring, 1, 64);
        return true;
    }));
}

BOOST_AUTO_TEST_CASE(want_of_threads_for_look_ups_is_told_as_asio_tells_it)
{
    BOOST_TEST(in_unprivileged_child([] {
        context ioc(1);
        net::ip::basic_resolver<tcp, context::executor_type> resolver(ioc);
        const rlimit none{0, 0};
        ::setrlimit(RLIMIT_NPROC, &none);
        try {
            resolver.async_resolve("127.0.0.1", "80", [](error_code, const auto&) {});
            return false;
        } catch (const boost::system::system_error& e) {
            return e.code() == net::error::try_again;
        }
    }));
}

BOOST_AUTO_TEST_CASE(refused_rings_are_explained)
{
    const std::pair<int, const char*> causes[] = {
        {ENOSYS, "seccomp"},
        {EPERM, "seccomp"},
        {EINVAL, "Linux 5.10 is the oldest supported"},
        {ENOMEM, "control group"},
        {ENFILE, "fs.file-max"},
    };
    for (const auto& [error, cause] : causes) {
        BOOST_TEST_CONTEXT(cause)
        BOOST_TEST(in_unprivileged_child([error = error, cause = cause] {
            if (!refuse(SYS_io_uring_setup, error))
                return false;
            const std::string why = why_no_context();
            const auto notes = safer_ring::features::probe().notes;
            return why.find("io_uring_setup") != std::string::npos &&
                   (why.find(cause) != std::string::npos ||
                    why.find("io_uring_disabled") != std::string::npos) &&
                   notes.size() == 1 && notes[0] == why;
        }));
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace kernel
