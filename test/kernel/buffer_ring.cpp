// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "streams.hpp"

#include <support/address_space.hpp>
#include <support/sanitizer.hpp>
#include <support/watchdog.hpp>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// Buffers that the kernel chooses, on the kernel that runs here.
namespace kernel {
namespace {

using backend::opcode;

owned_buffer next_of(connection& c)
{
    auto [result, buffer] = c.receiving.next().wait();
    BOOST_TEST(result.has_value());
    return std::move(buffer);
}

BOOST_AUTO_TEST_SUITE(buffer_rings, *needs_buffer_ring)

BOOST_AUTO_TEST_CASE(buffer_shows_the_memory_that_the_kernel_chose_and_goes_back)
{
    io_ring ring;
    buffer_ring buffers(ring, 8, 100);
    BOOST_TEST(buffers.size_bytes() == 100U);
    connection c(ring, buffers);
    {
        send_text(c.far, "hello");
        owned_buffer buffer = next_of(c);
        BOOST_TEST(buffer.text() == "hello");
        BOOST_TEST(buffer.capacity() == 100U); // To be written and sent as it is.
        buffer.resize(100);
        std::memset(buffer.data(), 'x', 100);
        BOOST_TEST(buffers.statistics().available == 7U);
        const auto sent = ring.send(c.near.get(), std::move(buffer)).submit().wait().result();
        BOOST_TEST(sent.value() == 100U);
    }
    const auto now = buffers.statistics();
    BOOST_TEST(now.count == 8U);
    BOOST_TEST(now.available == 8U);
    BOOST_TEST(now.least_available == 7U);
    BOOST_TEST(now.received == 1U);
    BOOST_TEST(now.copied == 0U);
    BOOST_TEST(now.exhausted == 0U);
    // Round and round, with what was received last in none of them.
    for (int i = 0; i < 100; ++i) {
        send_text(c.far, piece(i));
        BOOST_TEST(next_of(c).text() == piece(i));
    }
    BOOST_TEST(buffers.statistics().available == 8U);
}

BOOST_AUTO_TEST_CASE(buffers_outlive_their_ring_and_go_on_any_thread)
{
    std::vector<owned_buffer> kept;
    {
        std::optional<io_ring> ring(std::in_place);
        std::optional<buffer_ring> buffers(std::in_place, *ring, 8, 64);
        {
            connection c(*ring, *buffers);
            for (int i = 0; i < 6; ++i) {
                send_text(c.far, piece(i));
                kept.push_back(next_of(c));
            }
            buffers.reset();
            // A stream keeps what it needs.
            send_text(c.far, "without");
            BOOST_TEST(next_of(c).text() == "without");
        }
        std::thread([&kept] { kept.erase(kept.begin()); }).join();
        BOOST_TEST(ring->shutdown(10s));
    }
    for (int i = 1; i < 6; ++i)
        BOOST_TEST(kept[static_cast<std::size_t>(i - 1)].text() == piece(i));
    for (owned_buffer& each : kept)
        std::memset(each.data(), 7, each.size());
    std::thread([&kept] { kept.clear(); }).join();
}

BOOST_AUTO_TEST_CASE(ring_may_go_before_its_buffers)
{
    std::optional<io_ring> ring(std::in_place);
    buffer_ring buffers(*ring, 8, 64);
    buffer_ring moved = std::move(buffers);
    ring.reset();
    BOOST_TEST(moved.statistics().available == 8U);
    ring.emplace();
    BOOST_CHECK_THROW(static_cast<void>(ring->receive_stream(0, moved)), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(what_the_kernel_does_not_take_is_refused)
{
    io_ring ring, other;
    BOOST_CHECK_THROW(buffer_ring(ring, 0, 64), std::invalid_argument);
    BOOST_CHECK_THROW(buffer_ring(ring, 3, 64), std::invalid_argument);
    BOOST_CHECK_THROW(buffer_ring(ring, 65536, 64), std::invalid_argument);
    BOOST_CHECK_THROW(buffer_ring(ring, 8, 0), std::invalid_argument);
    BOOST_CHECK_THROW(buffer_ring(ring, 8, std::size_t{1} << 31), std::invalid_argument);
    buffer_ring of_other(other, 8, 64);
    BOOST_CHECK_THROW(static_cast<void>(ring.receive_stream(0, of_other)), std::invalid_argument);
    const buffer_ring taken = std::move(of_other);
    auto& moved_from = of_other;
    BOOST_CHECK_THROW(static_cast<void>(other.receive_stream(0, moved_from)),
                      std::invalid_argument);
    BOOST_TEST(moved_from.statistics().count == 0U);
}

BOOST_AUTO_TEST_CASE(buffer_rings_come_and_go_with_their_memory)
{
    io_ring ring;
    const buffer_ring first(ring, 8, 64);
    connection c(ring, first);
    constexpr std::size_t size_bytes = std::size_t{1} << 20;
    const std::size_t before = test_support::address_space_bytes();
    for (int i = 0; i < 100; ++i) {
        buffer_ring each(ring, 16, size_bytes);
        connection own(ring, each);
        send_text(own.far, piece(i));
        BOOST_TEST(next_of(own).text() == piece(i));
    }
    BOOST_TEST(test_support::address_space_bytes() < before + 20 * 16 * size_bytes);
    send_text(c.far, "first");
    BOOST_TEST(next_of(c).text() == "first");
}

BOOST_AUTO_TEST_CASE(memory_goes_with_the_last_stream_or_before_other_buffers_come)
{
    io_ring ring;
    constexpr std::size_t size_bytes = std::size_t{1} << 20;
    const std::size_t before = test_support::address_space_bytes();
    std::optional<buffer_ring> buffers(std::in_place, ring, 64, size_bytes);
    std::optional<connection> c(std::in_place, ring, *buffers);
    ring.flush();
    buffers.reset();
    c.reset();
    BOOST_TEST(test_support::address_space_bytes() < before + 32 * size_bytes);
    buffers.emplace(ring, 64, size_bytes);
    c.emplace(ring, *buffers);
    c->far.reset();
    static_cast<void>(c->receiving.next().wait());
    buffers.reset();
    c.reset(); // Over, it needs no ring.
    const buffer_ring others(ring, 8, 64);
    BOOST_TEST(test_support::address_space_bytes() < before + 32 * size_bytes);
}

BOOST_AUTO_TEST_CASE(who_keeps_all_it_gets_does_not_starve_others)
{
    watched w;
    buffer_ring buffers(w.ring, 8, 64);
    connection greedy(w.ring, buffers), other(w.ring, buffers);
    std::vector<owned_buffer> kept;
    for (int i = 0; i < 50; ++i) {
        send_text(greedy.far, piece(i));
        kept.push_back(next_of(greedy));
        send_text(other.far, piece(i));
        BOOST_TEST(next_of(other).text() == piece(i));
    }
    BOOST_TEST(buffers.statistics().available == 2U); // A quarter goes round.
    BOOST_TEST(buffers.statistics().exhausted == 0U);
    for (int i = 0; i < 50; ++i)
        BOOST_TEST(kept[static_cast<std::size_t>(i)].text() == piece(i));
    kept.clear();
    BOOST_TEST(buffers.statistics().available == 8U);
    const auto copied = buffers.statistics().copied;
    send_text(greedy.far, "in place again");
    BOOST_TEST(next_of(greedy).text() == "in place again");
    BOOST_TEST(buffers.statistics().copied == copied);
}

BOOST_AUTO_TEST_CASE(single_buffer_serves_many)
{
    watched w;
    buffer_ring buffers(w.ring, 1, 64);
    std::vector<std::unique_ptr<connection>> all;
    for (int i = 0; i < 20; ++i) {
        all.push_back(std::make_unique<connection>(w.ring, buffers));
        send_text(all.back()->far, piece(i));
    }
    for (std::size_t i = 0; i < 20; ++i)
        BOOST_TEST(next_of(*all[i]).text() == piece(static_cast<int>(i)));
    // One begins again for each time that the buffer has come back.
    BOOST_TEST(buffers.statistics().exhausted >= 19U);
    BOOST_TEST(w.record->count(opcode::recv) == 20 + buffers.statistics().exhausted);
    BOOST_TEST(buffers.statistics().exhausted <= 20U + 20U);
}

/// Also those for which nothing has come yet: the kernel looks for a buffer before
/// it looks for bytes.
BOOST_AUTO_TEST_CASE(who_finds_no_buffer_gets_the_next_one_and_does_not_wait_for_the_clock)
{
    watched w;
    buffer_ring buffers(w.ring, 1, 64);
    std::vector<std::unique_ptr<connection>> all;
    for (int i = 0; i < 50; ++i)
        all.push_back(std::make_unique<connection>(w.ring, buffers));
    send_text(all.front()->far, "first");
    BOOST_TEST(next_of(*all.front()).text() == "first");
    BOOST_TEST(buffers.statistics().exhausted == 49U);
    send_text(all.back()->far, "last");
    BOOST_TEST(next_of(*all.back()).text() == "last");
    BOOST_TEST(w.record->limited_waits == 0U);
    BOOST_TEST(w.record->count(opcode::recv) == 50 + buffers.statistics().exhausted);
}

/// A connection whose reader takes and checks all that comes, by callbacks.
struct reader : connection {
    using connection::connection;
    void read()
    {
        receiving.next().then([this](streams::receive::result_type item) {
            received += item.second.text();
            read();
        });
    }
    std::string received;
};

BOOST_AUTO_TEST_CASE(thousand_connections_go_on_with_64_buffers_and_one_that_never_reads)
{
    constexpr std::size_t count = 1000;
    constexpr int pieces = 20;
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t wanted = 2 * count + 200;
    if (limit.rlim_cur < wanted && limit.rlim_max >= wanted) {
        limit.rlim_cur = wanted;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < wanted)
        SAFER_RING_SKIP("RLIMIT_NOFILE is below " + std::to_string(wanted));

    watched w;
    buffer_ring buffers(w.ring, 64, 128);
    constexpr stream_limits limits{4, 2};
    connection never(w.ring, buffers, limits);
    std::deque<reader> others;
    for (std::size_t i = 1; i < count; ++i) {
        others.emplace_back(w.ring, buffers, limits);
        others.back().read();
    }
    std::string to_never;
    const auto fill = [&] { // As much as the socket takes.
        const std::string text = piece(static_cast<int>(to_never.size())) + std::string(900, '.');
        while (::send(never.far.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
               static_cast<ssize_t>(text.size()))
            to_never += text;
    };
    // All are there before the kernel looks for the first time; from then on
    // some more come with each turn.
    std::string expected;
    for (int i = 0; i < pieces; ++i) {
        fill();
        for (reader& each : others)
            send_text(each.far, piece(i));
        expected += piece(i);
        while (std::any_of(others.begin(), others.end(),
                           [&](const reader& r) { return r.received.size() < expected.size(); }))
            w.ring.run_one();
    }
    BOOST_TEST(std::all_of(others.begin(), others.end(),
                           [&](const reader& r) { return r.received == expected; }));

    const auto now = buffers.statistics();
    // What it holds is bounded, ...
    BOOST_TEST(never.receiving.queued() >= limits.high_water);
    BOOST_TEST(never.receiving.queued() <= limits.high_water + 64);
    BOOST_TEST(now.available >= 64 - limits.high_water);
    // ... nobody asks again for what is not there, ...
    BOOST_TEST(now.exhausted >= count - 64);
    BOOST_TEST(now.exhausted <= now.received);
    BOOST_TEST(w.record->count(opcode::recv) <= count + now.exhausted + 1);
    BOOST_TEST(w.record->enters <= now.received);
    // ... and nothing goes on where there is nothing to do.
    const unsigned enters = w.record->enters;
    w.settle();
    BOOST_TEST(w.record->enters == enters);

    std::string got;
    never.far.reset();
    got = never.rest();
    BOOST_TEST((got == to_never));
    for (reader& each : others)
        each.receiving.cancel();
    others.clear();
    BOOST_TEST(w.ring.shutdown(10s));
    BOOST_TEST(buffers.statistics().available == 64U);
}

// ------------------------------------------------------- in parts, and in bundles

std::string no_parts()
{
    return features::probe().incremental_buffers ? "" : "no IOU_PBUF_RING_INC (Linux 6.12)";
}

BOOST_AUTO_TEST_CASE(parts_of_a_buffer_lie_side_by_side_and_go_back_together,
                     *test_support::unless(&no_parts))
{
    io_ring ring;
    buffer_ring buffers(ring, 4, 100, buffer_use::in_parts);
    connection c(ring, buffers);
    std::vector<owned_buffer> parts;
    for (const char* text : {"0123456789", "abcde", "fgh"}) {
        send_text(c.far, text);
        parts.push_back(next_of(c));
        BOOST_TEST(parts.back().text() == text);
        BOOST_TEST(parts.back().capacity() == std::strlen(text));
    }
    BOOST_TEST(parts[1].data() == parts[0].data() + 10);
    BOOST_TEST(parts[2].data() == parts[1].data() + 5);
    BOOST_TEST(buffers.statistics().available == 4U);
    // What is left of it, and the beginning of the next.
    const std::string more = std::string(82, '.') + "next";
    send_text(c.far, more);
    std::string got;
    while (got.size() < more.size()) {
        parts.push_back(next_of(c));
        got += parts.back().text();
    }
    BOOST_TEST(got == more);
    BOOST_TEST(buffers.statistics().available == 3U);
    while (parts.size() > 1) // All but the first.
        parts.pop_back();
    BOOST_TEST(buffers.statistics().available == 3U);
    BOOST_TEST(parts.front().text() == "0123456789");
    std::thread([&parts] { parts.clear(); }).join();
    BOOST_TEST(buffers.statistics().available == 4U);
}

/// One that is longer than what is left of a buffer would be cut, however long that is.
BOOST_AUTO_TEST_CASE(messages_are_not_received_in_parts, *test_support::unless(&no_parts))
{
    io_ring ring;
    buffer_ring parts(ring, 4, 100, buffer_use::in_parts), whole(ring, 4, 100);
    for (const int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
        int fds[2];
        BOOST_REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0);
        const unique_descriptor near(fds[0]), far(fds[1]);
        BOOST_CHECK_THROW(static_cast<void>(ring.receive_stream(near.get(), parts)),
                          std::invalid_argument);
        auto stream = ring.receive_stream(near.get(), whole);
        for (const char letter : {'a', 'b', 'c'}) {
            send_text(far, std::string(60, letter));
            auto [result, buffer] = stream.next().wait();
            BOOST_TEST(result.has_value());
            BOOST_TEST(buffer.text() == std::string(60, letter));
        }
    }
}

BOOST_AUTO_TEST_CASE(connections_share_buffers_part_by_part, *test_support::unless(&no_parts))
{
    watched w;
    buffer_ring buffers(w.ring, 4, 256, buffer_use::in_parts);
    std::deque<reader> all;
    connection never(w.ring, buffers, {4, 2});
    for (int i = 0; i < 20; ++i) {
        all.emplace_back(w.ring, buffers);
        all.back().read();
    }
    std::string expected, to_never;
    for (int i = 0; i < 200; ++i) {
        for (reader& each : all)
            send_text(each.far, piece(i));
        expected += piece(i);
        if (i < 100) {
            send_text(never.far, piece(i));
            to_never += piece(i);
        }
        while (std::any_of(all.begin(), all.end(),
                           [&](const reader& r) { return r.received.size() < expected.size(); }))
            w.ring.run_one();
    }
    BOOST_TEST(std::all_of(all.begin(), all.end(),
                           [&](const reader& r) { return r.received == expected; }));
    never.far.reset();
    BOOST_TEST(never.rest() == to_never);
    BOOST_TEST(buffers.statistics().available == 4U);
}

BOOST_AUTO_TEST_CASE(bundle_brings_several_buffers_at_once)
{
    if (!features::probe().receive_bundles)
        SAFER_RING_SKIP("no IORING_RECVSEND_BUNDLE (Linux 6.10)");
    watched w;
    buffer_ring buffers(w.ring, 16, 64);
    stream_limits limits;
    limits.bundles = true;
    connection c(w.ring, buffers, limits);
    w.ring.flush();
    std::string sent, got;
    for (int round = 0; round < 50; ++round) {
        // Buffers that are kept in between change the order of those on offer.
        std::vector<owned_buffer> kept;
        std::string text;
        for (int i = 0; i < 60 + 7 * round % 13; ++i)
            text += piece(i * round);
        send_text(c.far, text);
        sent += text;
        while (got.size() < sent.size()) {
            kept.push_back(next_of(c));
            got += kept.back().text();
            if (kept.size() % 3 == 0)
                kept.erase(kept.begin() + 1);
        }
        BOOST_TEST(got == sent);
    }
    BOOST_TEST(w.record->bundles == w.record->count(opcode::recv));
    BOOST_TEST(buffers.statistics().available == 16U);
}

BOOST_AUTO_TEST_CASE(datagrams_are_not_bundled)
{
    watched w;
    buffer_ring buffers(w.ring, 16, 64);
    int fds[2];
    BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
    stream_limits limits;
    limits.bundles = true;
    connection c(w.ring, buffers, limits, {unique_descriptor(fds[0]), unique_descriptor(fds[1])});
    for (const char* text : {"one", "two", "three"})
        send_text(c.far, text);
    for (const char* text : {"one", "two", "three"})
        BOOST_TEST(next_of(c).text() == text);
    BOOST_TEST(w.record->bundles == 0U);
}

std::string memory_cannot_be_limited()
{
#if defined(SAFER_RING_TEST_ADDRESS_SANITIZER) || defined(SAFER_RING_TEST_THREAD_SANITIZER)
    return "a sanitizer needs more address space than can be left to it";
#else
    return "";
#endif
}

BOOST_AUTO_TEST_CASE(without_memory_for_copies_a_stream_waits_for_a_buffer,
                     *test_support::unless(&memory_cannot_be_limited))
{
    const pid_t child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
        test_support::limit_time_of_child();
        constexpr std::size_t size = 150000;
        const std::string text(size, 'x');
        watched w;
        buffer_ring buffers(w.ring, 2, 4 * size);
        connection c(w.ring, buffers);
        w.settle();
        std::vector<owned_buffer> kept;
        kept.reserve(8);
        // Another thread, which does not know of the ring; there will be no memory for its stack.
        std::promise<void> is_wanted;
        std::thread returning([&kept, wanted = is_wanted.get_future()] {
            wanted.wait();
            kept.pop_back();
        });
        const rlimit limit{test_support::address_space_bytes(), RLIM_INFINITY};
        ::setrlimit(RLIMIT_AS, &limit);
        while (void* const leaked = std::malloc(size)) // What the heap has left.
            std::memset(leaked, 0, 1);
        for (int i = 0; i < 2; ++i) {
            if (::send(c.far.get(), text.data(), size, 0) != ssize_t{size})
                ::_exit(1);
            for (std::size_t got = 0; got < size;) {
                kept.push_back(c.receiving.next().wait().second);
                got += kept.back().size();
            }
        }
        if (buffers.statistics().copied != 0 || buffers.statistics().available != 0)
            ::_exit(2);
        if (::send(c.far.get(), text.data(), size, 0) != ssize_t{size})
            ::_exit(1);
        // Two that are given up while they wait.
        connection cancelled(w.ring, buffers);
        std::optional<connection> destroyed(std::in_place, w.ring, buffers);
        w.settle();
        if (buffers.statistics().exhausted != 3 || c.receiving.queued() != 0)
            ::_exit(3);
        if (w.ring.describe().find("waits for a buffer") == std::string::npos)
            ::_exit(6);
        cancelled.receiving.cancel();
        if (cancelled.receiving.next().wait().first.code() != std::errc::operation_canceled)
            ::_exit(7);
        destroyed.reset();
        is_wanted.set_value();
        const auto item = c.receiving.next().wait();
        returning.join();
        ::_exit(item.second.size() != size ? 4 : w.record->count(opcode::recv) != 4 ? 5 : 0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    BOOST_TEST(WIFEXITED(status));
    BOOST_TEST(WEXITSTATUS(status) == 0);
}

BOOST_AUTO_TEST_CASE(threads_take_and_give_back_at_once)
{
    io_ring ring;
    buffer_ring buffers(ring, 16, 64);
    constexpr int count = 300;
    std::atomic<int> wrong = 0;
    std::atomic<bool> is_over = false;
    std::thread running([&] {
        while (!is_over)
            ring.run_one(1ms);
    });
    std::mutex mutex;
    std::vector<owned_buffer> to_destroy;
    std::thread destroying([&] {
        while (!is_over) {
            std::vector<owned_buffer> mine;
            const std::lock_guard held(mutex);
            mine.swap(to_destroy);
        }
    });
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
        threads.emplace_back([&] {
            connection c(ring, buffers, {4, 2});
            std::string expected, got;
            std::thread sending([&] {
                for (int i = 0; i < count; ++i)
                    if (::send(c.far.get(), piece(i).data(), piece(i).size(), MSG_NOSIGNAL) < 0)
                        ++wrong;
                ::shutdown(c.far.get(), SHUT_WR);
            });
            while (!c.receiving.is_over()) {
                auto [result, buffer] = c.receiving.next().wait();
                got += buffer.text();
                const std::lock_guard held(mutex);
                to_destroy.push_back(std::move(buffer));
            }
            sending.join();
            for (int i = 0; i < count; ++i)
                expected += piece(i);
            wrong += got == expected ? 0 : 1;
        });
    for (std::thread& t : threads)
        t.join();
    is_over = true;
    running.join();
    destroying.join();
    BOOST_TEST(wrong == 0);
    to_destroy.clear();
    BOOST_TEST(buffers.statistics().available == 16U);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
