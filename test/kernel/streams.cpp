// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "streams.hpp"

#include "support/child_process.hpp"

#include <boost/test/unit_test.hpp>

#include <cstring>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

// Streams of an io_ring, on the kernel that runs here.
namespace kernel {
namespace {

using backend::opcode;

/// A listening socket of the loopback interface.
struct listening {
    unique_descriptor connect() const
    {
        return test_support::loopback_client(test_support::local_port(listener.get()));
    }
    /// Whether both are ends of one connection.
    static bool are_connected(const unique_descriptor& near, const owned_descriptor& far)
    {
        sockaddr_in ours{}, theirs{};
        socklen_t size = sizeof ours;
        return ::getsockname(near.get(), reinterpret_cast<sockaddr*>(&ours), &size) == 0 &&
               ::getpeername(far.get(), reinterpret_cast<sockaddr*>(&theirs), &size) == 0 &&
               ours.sin_port == theirs.sin_port;
    }

    unique_descriptor listener = test_support::loopback_listener(1000);
};

BOOST_AUTO_TEST_SUITE(streams_of_a_ring, *needs_buffer_ring)

// ---------------------------------------------------------------------- accept

BOOST_AUTO_TEST_CASE(connections_are_accepted_in_order_until_the_stream_is_cancelled)
{
    for (const bool old : {false, true}) {
        watched w(old);
        listening server;
        auto accepting = w.ring.accept_stream(server.listener.get());
        std::vector<unique_descriptor> clients;
        std::vector<owned_descriptor> accepted;
        for (int i = 0; i < 10; ++i) {
            clients.push_back(server.connect());
            auto [result, connection] = accepting.next().wait();
            BOOST_TEST(result.value() == connection.get());
            BOOST_TEST(listening::are_connected(clients.back(), connection));
            accepted.push_back(std::move(connection));
        }
        clients.push_back(server.connect());
        w.until([&] { return accepting.queued() == 1; });
        BOOST_TEST(accepting.queued() == 1U);
        accepting.cancel();
        auto before_the_end = accepting.next().wait();
        BOOST_TEST(before_the_end.first.has_value());
        BOOST_TEST(!accepting.is_over());
        auto end = accepting.next().wait();
        BOOST_TEST((end.first.code() == std::errc::operation_canceled));
        BOOST_TEST(end.first.was_cancelled());
        BOOST_TEST(end.first.error().message().find("accept stream on descriptor ") == 0U);
        BOOST_TEST(accepting.is_over());
        BOOST_TEST(w.ring.in_flight() == 0U);
        // One request for all of them where the kernel can do that.
        if (old)
            BOOST_TEST(w.record->count(opcode::accept) > 10U);
        else
            BOOST_TEST(w.record->count(opcode::accept) == 1U);
        BOOST_TEST(w.record->refused == (old ? 1U : 0U));
    }
}

BOOST_AUTO_TEST_CASE(acceptor_that_nobody_asks_stops_at_its_mark_and_loses_nobody)
{
    for (const bool old : {false, true}) {
        watched w(old);
        listening server;
        std::vector<unique_descriptor> clients;
        auto accepting = w.ring.accept_stream(server.listener.get(), {4, 2});
        w.settle();
        for (std::size_t i = 0; i < 20; ++i) {
            clients.push_back(server.connect());
            w.until([&] { return accepting.queued() >= std::min<std::size_t>(i + 1, 4); });
        }
        // One at a time, so that the kernel had stopped by the next one.
        BOOST_TEST(accepting.queued() == 4U);
        BOOST_TEST(w.ring.in_flight() == 1U);
        BOOST_TEST(w.ring.describe().find("waits until its items are taken") != std::string::npos);
        const unsigned enters = w.record->enters, accepts = w.record->count(opcode::accept);
        w.settle();
        BOOST_TEST(w.record->enters == enters); // Nothing to do.
        for (const unique_descriptor& client : clients) {
            auto [result, connection] = accepting.next().wait();
            BOOST_TEST(result.has_value());
            BOOST_TEST(listening::are_connected(client, connection));
        }
        BOOST_TEST(w.record->count(opcode::accept) <= accepts + (old ? 20U : 10U));
    }
}

BOOST_AUTO_TEST_CASE(connections_that_nobody_takes_are_closed_with_their_stream)
{
    watched w;
    listening server;
    std::vector<unique_descriptor> clients;
    {
        auto accepting = w.ring.accept_stream(server.listener.get());
        for (int i = 0; i < 3; ++i)
            clients.push_back(server.connect());
        w.until([&] { return accepting.queued() == 3; });
        BOOST_TEST(accepting.queued() == 3U);
    }
    BOOST_TEST(w.ring.shutdown(10s));
    for (const unique_descriptor& client : clients) {
        char byte = 0;
        BOOST_TEST(::recv(client.get(), &byte, 1, 0) == 0);
    }
}

BOOST_AUTO_TEST_CASE(stream_on_what_cannot_accept_ends_with_the_error)
{
    io_ring ring;
    auto [near, far] = test_support::local_descriptor_pair();
    auto accepting = ring.accept_stream(near.get());
    auto end = accepting.next().wait();
    BOOST_TEST((end.first.code() == std::errc::invalid_argument));
    BOOST_TEST(!end.second.is_open());
    BOOST_TEST(accepting.is_over());
    BOOST_TEST(!accepting.try_next());
}

BOOST_AUTO_TEST_CASE(marks_that_make_no_sense_are_refused)
{
    io_ring ring;
    BOOST_CHECK_THROW(static_cast<void>(ring.accept_stream(0, {0, 0})), std::invalid_argument);
    BOOST_CHECK_THROW(static_cast<void>(ring.accept_stream(0, {4, 4})), std::invalid_argument);
    BOOST_TEST(ring.in_flight() == 0U);
}

// --------------------------------------------------------------------- receive

BOOST_AUTO_TEST_CASE(bytes_come_in_order_until_the_end_of_the_connection)
{
    for (const bool old : {false, true}) {
        watched w(old);
        buffer_ring buffers(w.ring, 8, 64);
        connection c(w.ring, buffers);
        std::string sent, received;
        for (int i = 0; i < 100; ++i) {
            send_text(c.far, piece(i));
            sent += piece(i);
            auto [result, buffer] = c.receiving.next().wait();
            BOOST_TEST(result.value() == buffer.size());
            received += buffer.text();
        }
        BOOST_TEST(received == sent);
        c.far.reset();
        auto [result, buffer] = c.receiving.next().wait();
        BOOST_TEST(result.value() == 0U);
        BOOST_TEST(buffer.capacity() == 0U);
        BOOST_TEST(c.receiving.is_over());
        BOOST_TEST(w.ring.in_flight() == 0U);
        BOOST_TEST(buffers.statistics().available == 8U);
        BOOST_TEST(buffers.statistics().copied == 0U);
        if (!old)
            BOOST_TEST(w.record->count(opcode::recv) == 1U);
    }
}

BOOST_AUTO_TEST_CASE(stream_that_nobody_reads_stops_at_its_mark_and_loses_nothing)
{
    for (const bool old : {false, true}) {
        watched w(old);
        buffer_ring buffers(w.ring, 64, 64);
        connection c(w.ring, buffers, {4, 2});
        w.settle();
        std::string sent;
        for (int i = 0; i < 100; ++i) {
            send_text(c.far, piece(i));
            sent += piece(i);
            w.settle();
        }
        // One at a time, so that the kernel had stopped by the next one.
        BOOST_TEST(c.receiving.queued() == 4U);
        BOOST_TEST(buffers.statistics().available == 60U);
        const unsigned enters = w.record->enters;
        w.settle();
        BOOST_TEST(w.record->enters == enters);
        std::string got;
        const auto take = [&] { got += c.receiving.next().wait().second.text(); };
        take();
        w.settle();
        BOOST_TEST(c.receiving.queued() == 3U); // Not before the low mark, ...
        take();
        w.settle();
        BOOST_TEST(c.receiving.queued() > 2U); // ... and then at once.
        c.far.reset();
        BOOST_TEST(got + c.rest() == sent);
        BOOST_TEST(buffers.statistics().available == 64U);
    }
}

BOOST_AUTO_TEST_CASE(burst_that_the_kernel_had_completed_is_kept_and_holds_no_buffers)
{
    watched w;
    buffer_ring buffers(w.ring, 16, 64);
    connection c(w.ring, buffers, {4, 2});
    std::string sent;
    for (int i = 0; i < 20; ++i)
        sent += std::string(64, static_cast<char>('a' + i));
    send_text(c.far, sent);
    w.settle();
    // The kernel uses all buffers before anybody can stop it.
    BOOST_TEST(c.receiving.queued() >= 4U);
    BOOST_TEST(c.receiving.queued() <= 16U);
    BOOST_TEST(buffers.statistics().available == 12U);
    BOOST_TEST(buffers.statistics().copied >= 1U);
    c.far.reset();
    BOOST_TEST(c.rest() == sent);
}

BOOST_AUTO_TEST_CASE(end_that_comes_together_with_the_last_bytes_is_told)
{
    for (const bool tcp : {false, true}) {
        watched w;
        w.record->polls_first = true;
        buffer_ring buffers(w.ring, 16, 64);
        connection c(w.ring, buffers, {},
                     tcp ? test_support::tcp_descriptor_pair()
                         : test_support::local_descriptor_pair());
        send_text(c.far, "last");
        c.far.reset();
        test_support::wait_readable(c.near.get());
        auto last = c.receiving.next().wait_for(test_support::watchdog_time);
        BOOST_REQUIRE(last);
        BOOST_TEST(last->second.text() == "last");
        auto end = c.receiving.next().wait_for(test_support::watchdog_time);
        BOOST_REQUIRE(end);
        BOOST_TEST(end->first.value() == 0U);
        BOOST_TEST(c.receiving.is_over());
    }
}

BOOST_AUTO_TEST_CASE(stream_waits_where_the_kernel_does_not)
{
    for (const bool old : {false, true}) {
        watched w(old);
        w.record->never_waits = true;
        buffer_ring buffers(w.ring, 16, 64);
        connection c(w.ring, buffers, {4, 2});
        w.settle();
        BOOST_TEST(w.record->count(opcode::poll_add) == 1U);
        std::string sent;
        for (int i = 0; i < 30; ++i) {
            send_text(c.far, piece(i));
            sent += piece(i);
            w.settle();
        }
        BOOST_TEST(c.receiving.queued() == 4U);
        const unsigned enters = w.record->enters;
        w.settle();
        BOOST_TEST(w.record->enters == enters);
        c.far.reset();
        BOOST_TEST(c.rest() == sent);
        connection idle(w.ring, buffers);
        w.settle();
        idle.receiving.cancel();
        BOOST_TEST((idle.receiving.next().wait().first.code() == std::errc::operation_canceled));
    }
}

BOOST_AUTO_TEST_CASE(non_blocking_listener_is_waited_for)
{
    for (const bool old : {false, true}) {
        watched w(old);
        listening server;
        ::fcntl(server.listener.get(), F_SETFL, O_NONBLOCK);
        auto accepting = w.ring.accept_stream(server.listener.get());
        w.settle();
        BOOST_TEST(!accepting.try_next());
        const unique_descriptor client = server.connect();
        BOOST_TEST(listening::are_connected(client, accepting.next().wait().second));
    }
}

BOOST_AUTO_TEST_CASE(stream_cancelled_while_it_has_stopped_gives_what_it_has_and_ends)
{
    using canceller = void (*)(watched&, connection&);
    for (const canceller cancel :
         {canceller([](watched&, connection&c) { c.receiving.cancel(); }),
          canceller([](watched&w, connection&c) { w.ring.cancel(c.near.get()); }),
          canceller([](watched&w, connection&) { BOOST_TEST(w.ring.shutdown(10s)); })}) {
        watched w;
        buffer_ring buffers(w.ring, 16, 64);
        connection c(w.ring, buffers, {2, 1});
        w.settle();
        for (int i = 0; i < 4; ++i) {
            send_text(c.far, piece(i));
            w.settle();
        }
        BOOST_TEST(c.receiving.queued() == 2U);
        auto queued = w.ring.nop().submit(); // It is not to get lost.
        cancel(w, c);
        static_cast<void>(std::move(queued).wait());
        BOOST_TEST(w.ring.in_flight() == 0U);
        BOOST_TEST(c.receiving.next().wait().second.text() == "0;");
        BOOST_TEST(c.receiving.next().wait().second.text() == "1;");
        const auto end = c.receiving.next().wait();
        BOOST_TEST((end.first.code() == std::errc::operation_canceled));
        BOOST_TEST(c.receiving.is_over());
        // What was not received is still the socket's.
        char rest[8];
        BOOST_TEST(::recv(c.near.get(), rest, sizeof rest, MSG_DONTWAIT) == 4);
    }
}

BOOST_AUTO_TEST_CASE(stream_cancelled_while_it_is_being_stopped_ends)
{
    watched w;
    buffer_ring buffers(w.ring, 16, 64);
    connection c(w.ring, buffers, {1, 0});
    w.ring.flush();
    send_text(c.far, "x");
    static_cast<void>(w.ring.timeout(0ns).submit().wait()); // Sees the one, asks for the pause.
    c.receiving.cancel();
    BOOST_TEST(c.receiving.next().wait().second.text() == "x");
    BOOST_TEST((c.receiving.next().wait().first.code() == std::errc::operation_canceled));
    BOOST_TEST(w.ring.in_flight() == 0U);
}

BOOST_AUTO_TEST_CASE(full_completion_queue_goes_unnoticed)
{
    watched w(false, 8);
    buffer_ring buffers(w.ring, 64, 16);
    connection c(w.ring, buffers, {64, 32});
    w.ring.flush();
    std::string sent;
    for (int i = 0; i < 1000; ++i)
        sent += piece(i);
    std::string received;
    send_text(c.far, sent);
    c.far.reset();
    BOOST_TEST(c.rest() == sent);
    BOOST_TEST(w.record->count(opcode::recv) > 1U); // It did happen.
    BOOST_TEST(buffers.statistics().available == 64U);
}

BOOST_AUTO_TEST_CASE(datagrams_come_one_by_one_empty_ones_too)
{
    for (const bool old : {false, true}) {
        watched w(old);
        buffer_ring buffers(w.ring, 8, 64);
        int fds[2];
        BOOST_REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds) == 0);
        connection c(w.ring, buffers, {}, {unique_descriptor(fds[0]), unique_descriptor(fds[1])});
        for (const char* text : {"one", "", "three", "", ""})
            send_text(c.far, text);
        for (const char* text : {"one", "", "three", "", ""}) {
            auto [result, buffer] = c.receiving.next().wait();
            BOOST_TEST(result.value() == std::strlen(text));
            BOOST_TEST(buffer.text() == text);
        }
        BOOST_TEST(!c.receiving.is_over());
        BOOST_TEST(buffers.statistics().available == 8U);
    }
}

// --------------------------------------------------------------------- waiting

BOOST_AUTO_TEST_CASE(callbacks_are_called_for_each_item_by_who_runs)
{
    for (const bool old : {false, true}) {
        watched w(old);
        io_ring& ring = w.ring;
        buffer_ring buffers(ring, 8, 64);
        auto c = std::make_unique<connection>(ring, buffers);
        std::string received;
        std::function<void()> ask = [&] {
            c->receiving.next().then([&](streams::receive::result_type item) {
                received += item.second.text();
                if (received.find("end") == std::string::npos)
                    ask();
                else
                    c.reset(); // From within its own callback.
            });
        };
        ask();
        BOOST_TEST(ring.poll() == 0U);
        send_text(c->far, "a");
        BOOST_TEST(ring.run_one() == 1U);
        send_text(c->far, "b");
        BOOST_TEST(ring.run_one() == 1U);
        send_text(c->far, "end");
        BOOST_TEST(ring.run() == 1U);
        BOOST_TEST(received == "abend");
        BOOST_TEST(ring.shutdown(10s));
        BOOST_TEST(buffers.statistics().available == 8U);
    }
}

BOOST_AUTO_TEST_CASE(coroutines_wait_for_items)
{
    for (const bool old : {false, true}) {
        watched w(old);
        buffer_ring buffers(w.ring, 8, 64);
        connection c(w.ring, buffers, {2, 1});
        std::string received;
        const task reading = [](connection& from, std::string& into) -> task {
            while (!from.receiving.is_over()) {
                auto [result, buffer] = co_await from.receiving.next();
                into += buffer.text();
            }
        }(c, received);
        const task sending = [](io_ring& on, connection& to) -> task {
            for (int i = 0; i < 50; ++i) {
                co_await on.send(to.far.get(), owned_buffer::copy_of(piece(i))).submit();
                if (i % 10 == 0)
                    co_await on.timeout(1us).submit();
            }
            to.far.reset();
        }(w.ring, c);
        w.ring.run();
        std::string sent;
        for (int i = 0; i < 50; ++i)
            sent += piece(i);
        BOOST_TEST(received == sent);
        BOOST_TEST(reading.handle.done());
        BOOST_TEST(sending.handle.done());
    }
}

BOOST_AUTO_TEST_CASE(who_waits_for_a_stream_that_is_destroyed_is_not_called)
{
    io_ring ring;
    buffer_ring buffers(ring, 8, 64);
    const auto alive = std::make_shared<int>();
    {
        connection c(ring, buffers);
        c.receiving.next().then([alive](streams::receive::result_type) { BOOST_ERROR("called"); });
        BOOST_TEST(alive.use_count() == 2);
        ring.poll();
    }
    BOOST_TEST(alive.use_count() == 1);
    std::optional<connection> c(std::in_place, ring, buffers);
    {
        task waiting = [](connection& from) -> task {
            co_await from.receiving.next();
            BOOST_ERROR("resumed");
        }(*c);
        ring.poll();
        c.reset();
        BOOST_TEST(ring.run() == 0U);
    }
    // The other way round: the coroutine goes, the stream stays.
    c.emplace(ring, buffers);
    {
        task waiting = [](connection& from) -> task {
            co_await from.receiving.next();
            BOOST_ERROR("resumed");
        }(*c);
        ring.poll();
        send_text(c->far, "kept");
    }
    BOOST_TEST(ring.run() == 0U);
    BOOST_TEST(c->receiving.next().wait().second.text() == "kept");
}

// The last one that is waited for: there is nothing more to run for.
BOOST_AUTO_TEST_CASE(thread_that_runs_the_ring_returns_when_who_waits_for_an_item_goes)
{
    io_ring ring;
    auto ticking = ring.timeout_stream(1h);
    std::future<std::size_t> running;
    {
        const task waiting = [](stream<streams::timeout>& from) -> task {
            co_await from.next();
            BOOST_ERROR("resumed");
        }(ticking);
        running = std::async(std::launch::async, [&ring] { return ring.run(); });
        while (ring.describe().find("in the kernel") == std::string::npos)
            std::this_thread::yield();
    }
    BOOST_TEST((running.wait_for(test_support::watchdog_time) == std::future_status::ready));
    ticking.cancel();
    BOOST_TEST(running.get() == 0U);
}

BOOST_AUTO_TEST_CASE(item_is_waited_for_no_longer_than_asked)
{
    io_ring ring;
    buffer_ring buffers(ring, 8, 64);
    connection c(ring, buffers);
    BOOST_TEST(!c.receiving.try_next());
    BOOST_TEST(!c.receiving.next().wait_for(1ms));
    send_text(c.far, "x");
    auto item = c.receiving.next().wait_for(1h);
    BOOST_REQUIRE(item);
    BOOST_TEST(item->second.text() == "x");
}

BOOST_AUTO_TEST_CASE(ring_that_goes_before_its_stream_stops_the_program)
{
    // Both while the kernel has it, and while it has stopped.
    for (const bool stopped : {false, true}) {
        const std::string said = test_support::last_words([stopped] {
            std::optional<connection> c;
            watched w;
            buffer_ring buffers(w.ring, 8, 64);
            c.emplace(w.ring, buffers, stream_limits{1, 0});
            w.settle();
            if (stopped)
                send_text(c->far, "x");
            w.settle();
        });
        BOOST_TEST(said.find("receive stream on descriptor ") != std::string::npos, said);
        BOOST_TEST((said.find("waits until its items are taken") != std::string::npos) == stopped,
                   said);
    }
}

BOOST_AUTO_TEST_CASE(stream_outlives_its_ring_when_its_end_was_taken)
{
    std::optional<io_ring> ring(std::in_place);
    auto accepting = ring->accept_stream(-1);
    static_cast<void>(accepting.next().wait());
    ring.reset();
    accepting.cancel();
    BOOST_TEST(!accepting.try_next().has_value());
    BOOST_TEST(accepting.queued() == 0U);
}

BOOST_AUTO_TEST_CASE(item_that_cannot_come_stops_the_program)
{
    const std::string behind_the_end = test_support::last_words([] {
        io_ring ring;
        auto accepting = ring.accept_stream(-1);
        static_cast<void>(accepting.next().wait());
        static_cast<void>(accepting.next().wait());
    });
    BOOST_TEST(behind_the_end.find("next() on a stream that is over") != std::string::npos);
    const std::string twice = test_support::last_words([] {
        io_ring ring;
        auto ticking = ring.timeout_stream(1h);
        ticking.next().then([](io_result<std::uint64_t>) {});
        ticking.next().then([](io_result<std::uint64_t>) {});
    });
    BOOST_TEST(twice.find("whose next one is waited for already") != std::string::npos);
    const std::string two_at_once = test_support::last_words([] {
        io_ring ring;
        auto ticking = ring.timeout_stream(1h);
        auto first = ticking.next(), second = ticking.next();
        std::move(first).then([](io_result<std::uint64_t>) {});
        std::move(second).then([](io_result<std::uint64_t>) {});
    });
    BOOST_TEST(two_at_once.find("whose next one is waited for already") != std::string::npos);
    const std::string both_of_the_end = test_support::last_words([] {
        io_ring ring;
        auto accepting = ring.accept_stream(-1);
        auto first = accepting.next(), second = accepting.next();
        static_cast<void>(std::move(first).wait());
        static_cast<void>(std::move(second).wait());
    });
    BOOST_TEST(both_of_the_end.find("next() on a stream that is over") != std::string::npos);
    const std::string moved = test_support::last_words([] {
        io_ring ring;
        auto ticking = ring.timeout_stream(1h);
        auto elsewhere = std::move(ticking);
        auto& moved_from = ticking;
        moved_from.cancel();
    });
    BOOST_TEST(moved.find("cancel() on a stream that was moved from") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
