// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"
#include "piped_ring.hpp"

#include "support/child_process.hpp"
#include "support/skip.hpp"
#include "support/thread_state.hpp"
#include "support/unnamed_file.hpp"

#include <boost/test/unit_test.hpp>

#include <climits>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

// What the kernel does about time limits and chains is not all that is promised of them.
namespace kernel {
namespace {

using namespace std::chrono_literals;
using namespace safer_ring;
using test_support::last_words;
using test_support::unique_descriptor;
using test_support::unnamed_file;

std::string content(const unique_descriptor& file)
{
    std::string text(64, '\0');
    const ssize_t n = ::pread(file.get(), text.data(), text.size(), 0);
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
}

struct splicing : piped {
    auto splice(const unique_descriptor& from, const unique_descriptor& to, std::size_t size_bytes)
    {
        return ring.splice(from.get(), backend::file_position, to.get(), backend::file_position,
                           size_bytes);
    }
};

BOOST_AUTO_TEST_SUITE(chains_and_limits, *needs_io_uring)

/// The kernel's own limit is lost with that thread.
BOOST_FIXTURE_TEST_CASE(limit_holds_when_the_thread_that_submitted_it_has_exited, piped)
{
    auto reading = read().within(50ms).submit();
    std::thread([this] { ring.poll(); }).join();
    auto [result, buffer] = std::move(reading).wait().take();
    BOOST_TEST((result.code() == std::errc::timed_out));
    BOOST_TEST(buffer.capacity() == 64U);
}

/// A worker of the kernel waits for the other end; nothing ends that before the limit.
BOOST_FIXTURE_TEST_CASE(limit_holds_for_what_a_worker_carries_out, splicing)
{
    const std::string path = "/tmp/safer_ring_fifo_" + std::to_string(::getpid());
    BOOST_REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    const auto opened =
        ring.open(path, O_WRONLY | O_CREAT, 0600).within(20ms).submit().wait().result();
    ::unlink(path.c_str());
    BOOST_TEST((opened.code() == std::errc::timed_out));
    auto [other_reader, other_writer] = test_support::pipe_descriptor_pair();
    const auto spliced = splice(reader, other_writer, 8).within(20ms).submit().wait().result();
    BOOST_TEST((spliced.code() == std::errc::timed_out));
    BOOST_TEST(ring.in_flight() == 0U);
}

/// While another thread waits in the kernel for something without one.
BOOST_FIXTURE_TEST_CASE(limit_of_one_thread_wakes_the_one_that_waits_for_all, splicing)
{
    auto waiting_for_ever = read().submit();
    std::optional<operation<ops::read, completed>> read_in_the_end;
    std::promise<pid_t> id;
    std::thread waiting([&] {
        id.set_value(::gettid());
        read_in_the_end.emplace(std::move(waiting_for_ever).wait());
    });
    for (const pid_t its_id = id.get_future().get(); !test_support::sleeps(its_id);)
        std::this_thread::yield();
    auto [other_reader, other_writer] = test_support::pipe_descriptor_pair();
    auto [empty_reader, empty_writer] = test_support::pipe_descriptor_pair();
    const auto spliced =
        splice(empty_reader, other_writer, 8).within(20ms).submit().wait().result();
    BOOST_TEST((spliced.code() == std::errc::timed_out));
    BOOST_REQUIRE(::write(writer.get(), "end", 3) == 3);
    waiting.join();
    BOOST_TEST(std::move(*read_in_the_end).take().second.text() == "end");
}

BOOST_FIXTURE_TEST_CASE(limit_that_is_over_before_it_is_asked_for_waits_for_nothing, piped)
{
    auto reading = read().submit();
    BOOST_TEST(!reading.wait_for(std::chrono::nanoseconds::min()));
    BOOST_TEST(ring.run_one(std::chrono::nanoseconds::min()) == 0U);
    reading.cancel();
    const auto cancelled = std::move(reading).wait().result();
    BOOST_TEST((cancelled.code() == std::errc::operation_canceled));
}

/// The kernel would refuse the whole chain, with what stands in front.
BOOST_FIXTURE_TEST_CASE(what_is_refused_in_a_chain_leaves_what_is_before_it, piped)
{
    const auto check = [&](auto&& refused, std::errc expected) {
        const auto file = unnamed_file();
        auto [before, within, behind] = ring.submit_in_order(
            ring.write(file.get(), owned_buffer::copy_of("before")).at(0), std::move(refused),
            ring.write(file.get(), owned_buffer::copy_of(" behind")).at(6));
        BOOST_TEST(std::move(before).wait().result().value() == 6U);
        BOOST_TEST((std::move(within).wait().result().code() == expected));
        BOOST_TEST(std::move(behind).wait().result().value() == 7U);
        BOOST_TEST(content(file) == "before behind");
    };
    std::optional<io_ring> gone(std::in_place);
    const auto address = gone->address();
    gone.reset();
    check(ring.message_ring(address, 1), std::errc::broken_pipe);
    check(ring.open("", O_RDONLY), std::errc::no_such_file_or_directory);
    check(ring.open(std::string(5000, 'x'), O_RDONLY), std::errc::filename_too_long);
    check(ring.stat(std::string(5000, 'x')), std::errc::filename_too_long);
    std::vector<owned_buffer> many(IOV_MAX + 1);
    check(ring.write(writer.get(), std::move(many)), std::errc::invalid_argument);
}

/// The kernel takes 2 GiB less a page, and would tell of that as of all.
BOOST_FIXTURE_TEST_CASE(what_the_kernel_would_cut_fails_its_chain, splicing)
{
    auto [other_reader, other_writer] = test_support::pipe_descriptor_pair();
    auto [spliced, behind] =
        ring.submit_linked(splice(reader, other_writer, std::size_t{3} << 30), ring.nop());
    BOOST_TEST((std::move(spliced).wait().result().code() == std::errc::invalid_argument));
    BOOST_TEST((std::move(behind).wait().result().code() == std::errc::operation_canceled));
}

BOOST_FIXTURE_TEST_CASE(cancellation_of_what_is_over_needs_no_ring, piped)
{
    std::optional<io_ring> other(std::in_place);
    auto over = other->nop().submit();
    while (!over.is_done())
        other->poll();
    other.reset();
    over.cancel();
    const auto result = std::move(over).wait().result();
    BOOST_TEST(result.value() == 0);
}

BOOST_FIXTURE_TEST_CASE(operation_in_a_chain_twice_stops_the_program, piped)
{
    const std::string twice = last_words([this] {
        auto a = ring.nop();
        static_cast<void>(ring.submit_linked(std::move(a), std::move(a)));
    });
    BOOST_TEST(twice.find("in a chain twice") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
