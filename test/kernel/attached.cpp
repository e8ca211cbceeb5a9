// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <safer_ring/asio/receive_stream.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

// A ring context on the threads of a net::io_context, with our executor in the
// types. The conformance suite runs on attached contexts through the drop-in.
namespace kernel {
namespace {

using namespace std::chrono_literals;
using test_support::connected_pair;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until;
using test_support::run_until_done;

/// A host, its ring, and two sockets of the ring that are connected.
struct attached_pair {
    handler_checks checks;
    net::io_context host;
    context& ring = safer_ring::attach(host);
    std::pair<socket, socket> ends = connected_pair<socket>(ring);
    socket& a = ends.first;
    socket& b = ends.second;
};

BOOST_AUTO_TEST_SUITE(attached, *needs_io_uring)

BOOST_FIXTURE_TEST_CASE(its_host_runs_it_and_both_kinds_of_objects, attached_pair)
{
    BOOST_TEST(&safer_ring::attach(host) == &ring);
    std::array<char, 4> text{};
    timer ours(ring, 1ms);
    net::steady_timer theirs(host, 1ms);
    net::async_write(a, net::buffer("ping", 4),
                     checks.once([](error_code ec, std::size_t) { BOOST_TEST(!ec); }));
    net::async_read(b, net::buffer(text), checks.once([](error_code ec, std::size_t n) {
        BOOST_TEST(!ec);
        BOOST_TEST(n == 4u);
    }));
    ours.async_wait(checks.once([](error_code ec) { BOOST_TEST(!ec); }));
    theirs.async_wait(checks.once([](error_code ec) { BOOST_TEST(!ec); }));
    net::post(ring, checks.once([] {}));
    host.run();
    BOOST_TEST(std::string(text.data(), 4) == "ping");
}

/// The kernel still has the request of the stream then, which is no work.
BOOST_FIXTURE_TEST_CASE(host_that_has_run_out_of_work_is_told_of_who_waits_for_an_item,
                        attached_pair)
{
    safer_ring::receive_stream stream(b);
    for (const char* text : {"one", "two"}) {
        stream.async_next(checks.once([&](error_code ec, safer_ring::owned_buffer piece) {
            BOOST_TEST(!ec);
            BOOST_TEST(piece.text() == text);
        }));
        net::post(host, [&] { net::write(a, net::buffer(text, 3)); });
        host.run();
        host.restart();
    }
}

BOOST_AUTO_TEST_CASE(its_work_keeps_the_host_running_until_it_is_done)
{
    net::io_context host;
    context& ring = safer_ring::attach(host);
    auto work = net::make_work_guard(ring);
    std::promise<void> runs;
    std::thread runner([&] {
        net::post(host, [&] { runs.set_value(); });
        host.run();
    });
    test_support::wait_for(runs.get_future());
    std::promise<void> ran;
    net::post(ring, [&] { ran.set_value(); });
    test_support::wait_for(ran.get_future());
    BOOST_TEST(!host.stopped());
    work.reset();
    runner.join();
    BOOST_TEST(host.stopped());
}

BOOST_FIXTURE_TEST_CASE(a_handler_may_wait_for_what_it_starts_while_another_thread_is_free,
                        attached_pair)
{
    b.send(net::buffer("x", 1));
    std::array<char, 1> byte{};
    bool received = false;
    net::post(ring, checks.once([&] {
        std::promise<void> done;
        a.async_receive(net::buffer(byte), [&](error_code, std::size_t) { done.set_value(); });
        test_support::wait_for(done.get_future());
        received = true;
    }));
    std::vector<std::thread> runners;
    for (int i = 0; i < 2; ++i)
        runners.emplace_back([&] { host.run(); });
    for (auto& runner : runners)
        runner.join();
    BOOST_TEST(received);
}

BOOST_FIXTURE_TEST_CASE(a_handler_may_run_the_host_for_what_it_starts, attached_pair)
{
    b.send(net::buffer("x", 1));
    std::array<char, 1> byte{};
    bool received = false;
    net::post(ring, checks.once([&] {
        host.poll();
        a.async_receive(net::buffer(byte), [&](error_code, std::size_t) { received = true; });
        while (!received && host.run_one_for(test_support::watchdog_time) != 0) {
        }
    }));
    host.run();
    BOOST_TEST(received);
}

BOOST_AUTO_TEST_CASE(stopping_the_host_stops_it_behind_the_handler_that_did)
{
    net::io_context host;
    context& ring = safer_ring::attach(host);
    int ran = 0;
    for (int i = 0; i < 5; ++i)
        net::post(ring, [&] {
            ++ran;
            host.stop();
        });
    for (int expected = 1; expected <= 5; ++expected) {
        host.restart();
        host.run();
        BOOST_TEST(ran == expected);
    }
}

BOOST_AUTO_TEST_CASE(an_exception_leaves_the_host_s_run_and_loses_no_handler)
{
    net::io_context host;
    context& ring = safer_ring::attach(host);
    int ran = 0;
    for (int i = 0; i < 3; ++i)
        net::post(ring, [&] {
            ++ran;
            throw std::runtime_error("thrown");
        });
    for (int expected = 1; expected <= 3; ++expected) {
        BOOST_CHECK_THROW(host.run(), std::runtime_error);
        BOOST_TEST(ran == expected);
    }
    host.run();
}

BOOST_AUTO_TEST_CASE(its_own_run_and_stop_are_refused)
{
    net::io_context host;
    context& ring = safer_ring::attach(host);
    BOOST_CHECK_THROW(ring.run(), std::logic_error);
    BOOST_CHECK_THROW(ring.run_one(), std::logic_error);
    BOOST_CHECK_THROW(ring.poll(), std::logic_error);
    BOOST_CHECK_THROW(ring.stop(), std::logic_error);
    BOOST_CHECK_THROW(ring.restart(), std::logic_error);
    BOOST_TEST(!ring.stopped());
}

BOOST_AUTO_TEST_CASE(many_threads_attach_and_get_the_same_one)
{
    net::io_context host;
    std::vector<std::future<context*>> rings;
    for (int i = 0; i < 8; ++i)
        rings.push_back(std::async(std::launch::async, [&] { return &safer_ring::attach(host); }));
    context* const ring = &safer_ring::attach(host);
    for (auto& other : rings)
        BOOST_TEST(other.get() == ring);
}

BOOST_AUTO_TEST_CASE(destroying_the_host_destroys_handlers_and_lets_go_of_memory)
{
    handler_checks checks;
    std::array<char, 64> buffer{};
    {
        net::io_context host;
        context& ring = safer_ring::attach(host);
        auto connected = test_support::connect_to_peer<socket>(ring);
        auto own = std::make_shared<socket>(std::move(connected.socket));
        connected.peer.write("late");
        own->async_receive(net::buffer(buffer), checks.never_with(own));
        timer late(ring, std::chrono::hours(1));
        late.async_wait(checks.never());
        net::post(ring, checks.never());
    }
    BOOST_TEST(buffer[0] == '\0');
}

BOOST_AUTO_TEST_CASE(timers_started_from_other_threads_fire)
{
    net::io_context host;
    context& ring = safer_ring::attach(host);
    auto work = net::make_work_guard(host);
    std::thread runner([&] { host.run(); });
    for (int i = 0; i < 50; ++i) {
        timer soon(ring, 1ms);
        std::promise<void> fired;
        soon.async_wait([&](error_code) { fired.set_value(); });
        test_support::wait_for(fired.get_future());
    }
    work.reset();
    runner.join();
}

/// A service in the older style that needs another one.
class inner_service : public safer_ring::io_context::service {
public:
    inline static net::execution_context::id id;
    explicit inner_service(safer_ring::io_context& owner) : safer_ring::io_context::service(owner)
    {
    }
};
class outer_service : public safer_ring::io_context::service {
public:
    inline static net::execution_context::id id;
    explicit outer_service(safer_ring::io_context& owner)
        : safer_ring::io_context::service(owner), inner(net::use_service<inner_service>(owner))
    {
    }
    inner_service& inner;
};

BOOST_AUTO_TEST_CASE(services_in_the_older_style_may_use_each_other)
{
    context ring;
    auto& outer = net::use_service<outer_service>(ring);
    BOOST_TEST(&outer.inner == &net::use_service<inner_service>(ring));
    BOOST_TEST(&outer == &net::use_service<outer_service>(ring));
    BOOST_TEST(&outer.get_io_context() == &ring);
}

BOOST_AUTO_TEST_CASE(what_a_handler_posts_comes_before_more_starts_than_the_queue_holds)
{
    constexpr std::size_t count = 64;
    net::io_context host;
    safer_ring::options settings;
    settings.submission_entries = 4;
    context& ring = safer_ring::attach(host, settings);
    std::vector<std::pair<socket, socket>> ends;
    std::array<char, 4> text{};
    for (std::size_t i = 0; i < count; ++i) {
        ends.push_back(connected_pair<socket>(ring));
        net::write(ends.back().second, net::buffer("x", 1));
    }
    std::string order;
    net::post(ring, [&] {
        net::post(host, [&] { order += 'f'; });
        for (auto& [reads, writes] : ends)
            reads.async_read_some(net::buffer(text),
                                  [&](error_code, std::size_t) { order += 'r'; });
    });
    net::post(ring, [] {}); // For which there is a turn in the host's queue.
    host.run();
    BOOST_TEST(order == 'f' + std::string(count, 'r'));
}

/// Pipes of the ring, to which two writes have found no room: attempts are put off then.
struct attached_pipe : attached_pair {
    net::basic_readable_pipe<safer_ring::executor> reader{ring};
    net::basic_writable_pipe<safer_ring::executor> writer{ring};
    const std::string much = std::string(64 * 1024, '.');
    std::string got = std::string(64 * 1024, '\0');
    std::size_t read = 0;
    io_result written;

    attached_pipe()
    {
        net::connect_pipe(reader, writer);
        io_result first, no_room;
        net::post(ring, [&] { writer.async_write_some(net::buffer(much), checks.into(first)); });
        run_until_done(host, first);
        net::post(ring, [&] { writer.async_write_some(net::buffer(much), checks.into(no_room)); });
        host.restart();
        host.poll(); // It finds no room, and waits for it.
        net::read(reader, net::buffer(got));
        run_until_done(host, no_room);
        net::read(reader, net::buffer(got));
    }
    void write() { writer.async_write_some(net::buffer(much, 8192), checks.into(written)); }
    void read_some() { read = reader.read_some(net::buffer(got)); }
    void expect_read()
    {
        run_until_done(host, written);
        BOOST_TEST(read == 8192u);
    }
};

BOOST_FIXTURE_TEST_CASE(read_in_a_later_turn_sees_a_write_that_was_put_off, attached_pipe)
{
    net::post(ring, [&] {
        net::post(ring, [&] { read_some(); });
        write();
    });
    for (int i = 0; i != 300; ++i) // More handlers than a turn calls.
        net::post(ring, [] {});
    expect_read();
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
