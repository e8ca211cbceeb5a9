// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"
#include "piped_ring.hpp"
#include "watched_backend.hpp"

#include "support/blocking_peer.hpp"
#include "support/child_process.hpp"
#include "support/skip.hpp"
#include "support/unnamed_file.hpp"

#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/io_ring.hpp>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

// The ring without Asio, on the kernel that runs here.
namespace kernel {
namespace {

using namespace std::chrono_literals;
using namespace safer_ring;
using test_support::in_a_child;
using test_support::last_words;
using test_support::unique_descriptor;

BOOST_AUTO_TEST_SUITE(io_rings, *needs_io_uring)

BOOST_FIXTURE_TEST_CASE(operations_are_submitted_together_and_waited_for, piped)
{
    auto reading = read().submit();
    auto writing = write("hello").submit();
    BOOST_TEST(!reading.is_done());
    BOOST_TEST(ring.in_flight() == 2U);
    auto [result, buffer] = std::move(reading).wait().take();
    BOOST_TEST(result.value() == 5U);
    BOOST_TEST(buffer.text() == "hello");
    const auto written = std::move(writing).wait().result();
    BOOST_TEST(written.value() == 5U);
    BOOST_TEST(ring.in_flight() == 0U);
}

BOOST_FIXTURE_TEST_CASE(file_is_read_and_written_where_asked, piped)
{
    unique_descriptor file = test_support::unnamed_file();
    auto [first, second, synced] =
        ring.submit_in_order(ring.write(file.get(), owned_buffer::copy_of("world")).at(6),
                             ring.write(file.get(), owned_buffer::copy_of("hello ").freeze()).at(0),
                             ring.fdatasync(file.get()));
    BOOST_TEST(std::move(synced).wait().result().has_value());
    BOOST_TEST(std::move(first).wait().take().second.text() == "world");
    BOOST_TEST(std::move(second).wait().take().second.text() == "hello ");
    auto [result, buffer] = ring.read(file.get(), owned_buffer(100)).at(0).submit().wait().take();
    BOOST_TEST(buffer.text() == "hello world");
    BOOST_TEST(ring.read(file.get(), owned_buffer(100)).at(11).submit().wait().result().value() ==
               0U);
}

BOOST_AUTO_TEST_CASE(sockets_send_and_receive)
{
    io_ring ring;
    auto [near, far] = test_support::local_descriptor_pair();
    auto receiving = ring.receive(near.get(), owned_buffer(100)).submit();
    const auto news = owned_buffer::copy_of("news").freeze();
    BOOST_TEST(ring.send(far.get(), news).submit().wait().result().value() == 4U);
    const owned_buffer received = std::move(receiving).wait().take().second;
    BOOST_TEST(received.text() == "news");
    near.reset();
    const auto result = ring.send(far.get(), news).submit().wait().result();
    BOOST_TEST((result.code() == std::errc::broken_pipe)); // And no SIGPIPE.
}

BOOST_AUTO_TEST_CASE(connections_are_accepted_connected_and_shut_down)
{
    io_ring ring;
    const unique_descriptor listener = test_support::loopback_listener(1);
    sockaddr_in address = test_support::local_address(listener.get());
    owned_descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    auto accepting = ring.accept(listener.get()).submit();
    const auto connected =
        ring.connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address)
            .submit()
            .wait();
    BOOST_TEST(connected.result().has_value());
    auto [result, server] = std::move(accepting).wait().take();
    BOOST_TEST(result.has_value());
    BOOST_TEST(server.is_open());
    BOOST_TEST(ring.shutdown(client.get(), SHUT_WR).submit().wait().result().has_value());
    BOOST_TEST(ring.receive(server.get(), owned_buffer(8)).submit().wait().result().value() == 0U);
    const int fd = client.get();
    BOOST_TEST(ring.close(std::move(client)).submit().wait().result().has_value());
    BOOST_TEST(::fcntl(fd, F_GETFD) == -1);
    BOOST_CHECK_THROW(static_cast<void>(ring.connect(0, nullptr, 4096)), std::invalid_argument);
    const auto of_nothing = ring.stat("").submit().wait().result();
    BOOST_TEST(of_nothing.code().value() == ENOENT);
}

BOOST_FIXTURE_TEST_CASE(files_are_opened_allocated_and_spliced, piped)
{
    const std::string path = "/var/tmp/safer_ring_io_ring_" + std::to_string(::getpid());
    auto [opened, file] = ring.open(path, O_RDWR | O_CREAT | O_EXCL, 0600).submit().wait().take();
    BOOST_TEST(opened.has_value());
    ::unlink(path.c_str());
    BOOST_TEST(ring.allocate(file.get(), 0, 8192).submit().wait().result().has_value());
    BOOST_TEST(::lseek(file.get(), 0, SEEK_END) == 8192);
    BOOST_TEST(write("spliced").submit().wait().result().value() == 7U);
    const auto moved =
        ring.splice(reader.get(), io_ring::no_offset, file.get(), 100, 7).submit().wait().result();
    BOOST_TEST(moved.value() == 7U);
    BOOST_TEST(
        ring.read(file.get(), owned_buffer(7)).at(100).submit().wait().take().second.text() ==
        "spliced");
    const auto missing = ring.open("/nonexistent", O_RDONLY).submit().wait().take();
    BOOST_TEST((missing.first.code() == std::errc::no_such_file_or_directory));
    BOOST_TEST(!missing.second.is_open());
}

BOOST_AUTO_TEST_CASE(descriptor_that_nobody_takes_is_closed)
{
    io_ring ring;
    int fd = -1;
    {
        const auto opened = ring.open("/dev/null", O_RDONLY).submit().wait();
        fd = opened.result().value();
        BOOST_TEST(::fcntl(fd, F_GETFD) != -1);
    }
    BOOST_TEST(::fcntl(fd, F_GETFD) == -1);
    owned_descriptor descriptor(::dup(0));
    fd = descriptor.get();
    {
        auto not_submitted = ring.close(std::move(descriptor));
    }
    BOOST_TEST(::fcntl(fd, F_GETFD) == -1);
}

// What was consumed in front is room again, or a full buffer would ask for no bytes, and get them.
BOOST_FIXTURE_TEST_CASE(records_go_round_in_a_small_buffer, piped)
{
    std::string sent;
    for (int i = 0; i != 100; ++i)
        sent += std::to_string(i) + " is a record,";
    BOOST_REQUIRE(::write(writer.get(), sent.data(), sent.size()) ==
                  static_cast<ssize_t>(sent.size()));
    std::string received;
    owned_buffer records(20);
    records.resize(0);
    while (received.size() + records.size() != sent.size()) {
        auto [result, filled] =
            ring.read(reader.get(), std::move(records)).append().submit().wait().take();
        BOOST_REQUIRE(result.value() != 0U);
        for (; filled.size() >= 3; filled.consume(3))
            received += filled.text().substr(0, 3);
        records = std::move(filled);
    }
    BOOST_TEST(received + std::string(records.text()) == sent);
}

BOOST_FIXTURE_TEST_CASE(error_names_operation_and_descriptor_and_gives_the_buffer_back, piped)
{
    const int fd = writer.get();
    auto [result, buffer] = ring.read(fd, owned_buffer(4096)).submit().wait().take();
    BOOST_TEST(!result);
    BOOST_TEST((result.code() == std::errc::bad_file_descriptor));
    BOOST_TEST(result.error().message() ==
               "read of 4096 bytes on descriptor " + std::to_string(fd) + ": Bad file descriptor");
    BOOST_CHECK_EXCEPTION(
        static_cast<void>(result.value()), std::system_error,
        [](const std::system_error& e) { return std::string(e.what()).find("read of 4096") == 0; });
    BOOST_TEST(buffer.capacity() == 4096U);
    BOOST_TEST(buffer.empty());
}

BOOST_FIXTURE_TEST_CASE(cancelled_operation_gives_its_buffer_back, piped)
{
    auto submitted_only = read().submit(), in_kernel = read().submit();
    ring.flush();
    auto queued = read().submit();
    in_kernel.cancel();
    queued.cancel();
    ring.cancel(submitted_only.id());
    for (auto* each : {&submitted_only, &in_kernel, &queued}) {
        auto [result, buffer] = std::move(*each).wait().take();
        BOOST_TEST((result.code() == std::errc::operation_canceled));
        BOOST_TEST(result.was_cancelled());
        BOOST_TEST(buffer.capacity() == 64U);
    }
    BOOST_TEST(all_back());
}

BOOST_FIXTURE_TEST_CASE(operation_that_completed_although_cancelled_keeps_its_result, piped)
{
    auto reading = read().submit();
    ring.flush();
    BOOST_TEST(::write(writer.get(), "there", 5) == 5);
    reading.cancel();
    auto [result, buffer] = std::move(reading).wait().take();
    if (result) {
        BOOST_TEST(buffer.text() == "there");
    } else { // Nothing was consumed.
        auto [again, bytes] = read().submit().wait().take();
        BOOST_TEST(bytes.text() == "there");
    }
}

BOOST_FIXTURE_TEST_CASE(descriptor_and_ring_cancel_all_of_theirs, piped)
{
    auto [near, far] = test_support::local_descriptor_pair();
    auto mine = read().submit();
    auto other = ring.receive(near.get(), owned_buffer(10)).submit();
    ring.flush();
    ring.cancel(reader.get());
    const auto of_mine = std::move(mine).wait().result();
    BOOST_TEST((of_mine.code() == std::errc::operation_canceled));
    BOOST_TEST(!other.is_done());
    ring.cancel_all();
    const auto of_other = std::move(other).wait().result();
    BOOST_TEST((of_other.code() == std::errc::operation_canceled));
}

BOOST_FIXTURE_TEST_CASE(time_limit_ends_what_takes_longer, piped)
{
    auto [late, kept] = read().within(1ms).submit().wait().take();
    BOOST_TEST((late.code() == std::errc::timed_out));
    BOOST_TEST(kept.capacity() == 64U);
    BOOST_TEST(::write(writer.get(), "x", 1) == 1);
    BOOST_TEST(read().within(1h).submit().wait().result().value() == 1U);
    BOOST_TEST(ring.timeout(1ms).submit().wait().result().has_value());
    const auto none_left = read().within(-1ms).submit().wait().result();
    BOOST_TEST((none_left.code() == std::errc::timed_out));
    auto long_one = ring.timeout(1h).submit();
    BOOST_TEST(!long_one.wait_for(1ms));
    long_one.cancel();
    const auto ended = std::move(long_one).wait().result();
    BOOST_TEST((ended.code() == std::errc::operation_canceled));
}

BOOST_AUTO_TEST_CASE(time_that_is_over_already_is_not_waited_for)
{
    io_ring ring;
    for (const std::chrono::nanoseconds time : {0ns, -1ns, std::chrono::nanoseconds(-5s)}) {
        const auto over = ring.timeout(time).submit().wait().result();
        BOOST_TEST(over.has_value());
    }
}

BOOST_FIXTURE_TEST_CASE(operation_of_a_chain_that_was_cancelled_before_it_went_ends_the_chain,
                        piped)
{
    auto [first, cancelled, last] = ring.submit_linked(ring.nop(), write("x"), write("y"));
    cancelled.cancel();
    BOOST_TEST(std::move(first).wait().result().has_value());
    const auto result = std::move(cancelled).wait().result();
    BOOST_TEST(result.code().value() == ECANCELED);
    const auto last_result = std::move(last).wait().result();
    BOOST_TEST(last_result.code().value() == ECANCELED);

    auto [before, dropped, behind] = ring.submit_in_order(ring.nop(), write("x"), write("z"));
    dropped.cancel();
    BOOST_TEST(std::move(before).wait().result().has_value());
    const auto dropped_result = std::move(dropped).wait().result();
    BOOST_TEST(dropped_result.code().value() == ECANCELED);
    BOOST_TEST(std::move(behind).wait().result().has_value());
    BOOST_TEST(read().submit().wait().take().second.text() == "z");
}

BOOST_FIXTURE_TEST_CASE(chain_ends_with_what_fails_in_it, piped)
{
    const auto wrong = [this] { return ring.read(writer.get(), owned_buffer(8)); };
    auto [fine, failing, behind] = ring.submit_linked(ring.nop(), wrong(), write("never"));
    BOOST_TEST((std::move(behind).wait().result().code() == std::errc::operation_canceled));
    BOOST_TEST(std::move(fine).wait().result().has_value());
    BOOST_TEST((std::move(failing).wait().result().code() == std::errc::bad_file_descriptor));
    auto [failed, went_on] = ring.submit_in_order(wrong(), write("on"));
    BOOST_TEST(std::move(went_on).wait().result().value() == 2U);
    BOOST_TEST(!std::move(failed).wait().result());
    BOOST_TEST(read().submit().wait().take().second.text() == "on");
}

BOOST_FIXTURE_TEST_CASE(drained_operation_and_what_it_waits_for_can_be_cancelled, piped)
{
    auto early = read().submit();
    ring.flush();
    auto drained = ring.nop().drained().submit();
    auto late = ring.nop().submit();
    ring.flush();
    BOOST_TEST(!late.wait_for(0s));
    early.cancel();
    const auto of_early = std::move(early).wait().result();
    BOOST_TEST((of_early.code() == std::errc::operation_canceled));
    const auto of_late = std::move(late).wait().result();
    BOOST_TEST(of_late.has_value());
    const auto of_drained = std::move(drained).wait().result();
    BOOST_TEST(of_drained.has_value());
    auto pending = read().submit();
    auto never = write("never").drained().submit();
    ring.flush();
    never.cancel();
    BOOST_TEST(never.is_done());
    BOOST_TEST(ring.shutdown(10s));
}

BOOST_FIXTURE_TEST_CASE(what_is_linked_to_a_timeout_begins_when_its_time_is_over, piped)
{
    if (!ring.found().submit_all)
        SAFER_RING_SKIP("needs Linux 5.18");
    auto [waited, written] = ring.submit_linked(ring.timeout(1ms), write("later"));
    BOOST_TEST(std::move(written).wait().result().value() == 5U);
    BOOST_TEST(std::move(waited).wait().result().has_value());
}

BOOST_AUTO_TEST_CASE(who_waits_for_a_chain_is_not_woken_for_a_cancellation_before_its_turn)
{
    const auto record = std::make_shared<watch>();
    io_ring ring(std::make_unique<watched_backend>(options(), record));
    const auto [reader, writer] = test_support::pipe_descriptor_pair();
    auto [waited, cancelled] =
        ring.submit_in_order(ring.timeout(20ms), ring.read(reader.get(), owned_buffer(1)));
    ring.flush();
    cancelled.cancel();
    static_cast<void>(std::move(waited).wait());
    BOOST_TEST(record->limited_waits == 0U);
    const auto result = std::move(cancelled).wait().result();
    BOOST_TEST(result.code().value() == ECANCELED);
}

BOOST_AUTO_TEST_CASE(chain_that_cannot_be_submitted_at_once_is_refused)
{
    options settings;
    settings.submission_entries = 4;
    io_ring ring(settings);
    BOOST_CHECK_THROW(static_cast<void>(ring.submit_linked(ring.nop().within(1s), ring.nop(),
                                                           ring.nop(), ring.nop())),
                      std::length_error);
    BOOST_TEST(ring.in_flight() == 0U);
}

BOOST_AUTO_TEST_CASE(more_operations_than_the_queue_holds_are_all_done)
{
    options settings;
    settings.submission_entries = 4;
    settings.completion_entries = 8;
    io_ring ring(settings);
    std::vector<operation<ops::nop, submitted>> all;
    for (int i = 0; i < 1000; ++i)
        all.push_back(ring.nop().submit());
    for (auto& each : all)
        BOOST_TEST(std::move(each).wait().result().has_value());
}

BOOST_FIXTURE_TEST_CASE(operation_that_is_given_up_leaves_its_buffer_to_the_kernel_until_it_ends,
                        piped)
{
    {
        auto dropped = read().submit();
        ring.flush();
        BOOST_TEST(!all_back());
    }
    BOOST_TEST(ring.shutdown(10s));
    BOOST_TEST(all_back());
    BOOST_TEST(::write(writer.get(), "untouched", 9) == 9);
    BOOST_TEST(read().submit().wait().take().second.text() == "untouched");
}

BOOST_AUTO_TEST_CASE(ring_goes_with_what_was_given_up_and_with_callbacks_not_called)
{
    buffer_pool pool(2, 64);
    const auto [reader, writer] = test_support::pipe_descriptor_pair();
    std::optional<operation<ops::nop, submitted>> outlives;
    {
        io_ring ring;
        outlives.emplace(ring.nop().submit());
        ring.read(reader.get(), std::move(*pool.try_acquire()))
            .submit()
            .then([](operation<ops::read, completed>) { BOOST_ERROR("called"); });
        auto given_up = ring.read(reader.get(), std::move(*pool.try_acquire())).submit();
        BOOST_TEST(ring.shutdown(10s));
    }
    BOOST_TEST(pool.statistics().available == 2U);
    BOOST_TEST((std::move(*outlives).wait().result().code() == std::errc::operation_canceled));
}

BOOST_FIXTURE_TEST_CASE(description_tells_what_is_in_flight, piped)
{
    auto reading = read().submit();
    ring.flush();
    auto waiting = ring.timeout(1h).submit();
    const std::string text = ring.describe();
    BOOST_TEST(text.find("read of 64 bytes on descriptor " + std::to_string(reader.get())) !=
               std::string::npos);
    BOOST_TEST(text.find("in the kernel, submitted ") != std::string::npos);
    BOOST_TEST(text.find("timeout: not submitted yet") != std::string::npos);
    BOOST_TEST(ring.shutdown(10s));
    BOOST_TEST(ring.describe().empty());
}

std::string no_address_sanitizer()
{
#if defined(SAFER_RING_ADDRESS_SANITIZER)
    return "";
#else
    return "only AddressSanitizer sees who touches memory";
#endif
}

BOOST_AUTO_TEST_CASE(stray_pointer_into_a_buffer_in_flight_is_found,
                     *test_support::unless(&no_address_sanitizer))
{
    for (const bool complete : {false, true}) {
        const auto [said, status] = in_a_child([complete] {
            int ends[2];
            if (::pipe(ends) != 0 || ::write(ends[1], "x", 1) != 1)
                return;
            io_ring ring;
            owned_buffer buffer(64);
            volatile std::byte* const stray = buffer.data();
            auto reading = ring.read(ends[0], std::move(buffer)).submit();
            if (complete) {
                auto [result, back] = std::move(reading).wait().take();
                *stray = std::byte{1}; // It is the program's again.
                ::_exit(0);
            }
            *stray = std::byte{1};
        });
        BOOST_TEST((said.find("use-after-poison") != std::string::npos) == !complete, said);
        BOOST_TEST((status == 0) == complete);
    }
}

BOOST_AUTO_TEST_CASE(ring_destroyed_with_an_operation_in_flight_stops_the_program)
{
    const std::string said = last_words([] {
        int ends[2];
        if (::pipe(ends) != 0)
            return;
        std::optional<operation<ops::read, submitted>> reading;
        io_ring ring;
        reading.emplace(ring.read(ends[0], owned_buffer(77)).submit());
        ring.flush();
    });
    BOOST_TEST(said.find("a ring is destroyed while operations are in flight") !=
               std::string::npos);
    BOOST_TEST(said.find("read of 77 bytes on descriptor ") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(use_after_a_move_stops_the_program)
{
    const std::string said = last_words([] {
        io_ring ring;
        auto first = ring.nop().submit();
        auto second = std::move(first);
        auto& again = first;
        static_cast<void>(again.is_done());
    });
    BOOST_TEST(said.find("is_done() on an operation that was moved from") != std::string::npos);
}

/// A part of it is a success to the kernel where it was not told to send all.
BOOST_AUTO_TEST_CASE(what_is_linked_to_a_send_waits_until_all_is_sent)
{
    constexpr std::size_t large = 1 << 22;
    io_ring ring;
    auto [ours, theirs] = test_support::local_descriptor_pair();
    test_support::blocking_peer peer(std::move(theirs));
    const auto bytes = [](std::size_t size) {
        owned_buffer all(size);
        all.resize(size);
        return all;
    };
    std::string got;
    std::thread reader([&] { got = peer.read_to_end(); });
    auto [sent, shut] =
        ring.submit_linked(ring.send(ours.get(), bytes(large)), ring.shutdown(ours.get(), SHUT_WR));
    const auto of_shutdown = std::move(shut).wait().result();
    const auto of_send = std::move(sent).wait().result();
    ::shutdown(ours.get(), SHUT_WR); // Before Linux 5.19 a short send ends the chain.
    reader.join();
    BOOST_TEST(got.size() == of_send.value());
    BOOST_TEST(of_shutdown.has_value() == (got.size() == large));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
