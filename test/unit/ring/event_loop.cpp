// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulated_loop.hpp"

#include "support/child_process.hpp"
#include "support/watchdog.hpp"

#include <boost/test/unit_test.hpp>

#include <future>
#include <stdexcept>
#include <thread>

using namespace unit;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(event_loop)

namespace {

struct many_threads : simulated_loop {
    many_threads() : simulated_loop(small_options(), {}, ring::threading::many) {}

    /// `order` is for one thread.
    void post_to_any(std::function<void()> then)
    {
        loop.post(new posted(reporter{&note(), nullptr, "", std::move(then)}), false, nullptr);
    }
};

options without_kernel_buffers(safer_ring::fallback on_missing)
{
    options settings = small_options();
    settings.on_missing = on_missing;
    return settings;
}

simulation_plan kernel_without_buffers()
{
    simulation_plan plan;
    plan.buffer_ring = false;
    return plan;
}

} // namespace

BOOST_FIXTURE_TEST_CASE(posted_work_runs_in_the_order_of_posting, simulated_loop)
{
    post("a");
    post("b", [this] { post("d"); });
    post("c");
    BOOST_TEST(run() == 4U);
    BOOST_TEST(order == (history{"a", "b", "c", "d"}));
}

BOOST_FIXTURE_TEST_CASE(without_work_it_is_stopped_at_once, simulated_loop)
{
    BOOST_TEST(run() == 0U);
    BOOST_TEST(loop.stopped());
}

BOOST_FIXTURE_TEST_CASE(work_that_is_only_counted_keeps_it_running, many_threads)
{
    loop.work_started();
    std::promise<std::size_t> ran;
    std::thread runner([&] { ran.set_value(run()); });
    post("a", [this] { loop.work_finished(); });
    auto result = ran.get_future();
    const bool returned = result.wait_for(test_support::watchdog_time) == std::future_status::ready;
    BOOST_TEST(returned);
    if (!returned)
        loop.stop();
    runner.join();
    BOOST_TEST(result.get() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_stopped_loop_keeps_its_work_for_later, simulated_loop)
{
    post("a", [this] { loop.stop(); });
    post("b");
    BOOST_TEST(run() == 1U);
    BOOST_TEST(order == (history{"a"}));
    BOOST_TEST(loop.poll(self, [] {}) == 0U);
    BOOST_TEST(run() == 1U);
    BOOST_TEST(order == (history{"a", "b"}));
}

BOOST_FIXTURE_TEST_CASE(run_one_runs_one_and_poll_does_not_wait, simulated_loop)
{
    post("a");
    post("b");
    BOOST_TEST(loop.run_one(self, ring::event_loop::wait_forever) == 1U);
    BOOST_TEST(order.size() == 1U);
    BOOST_TEST(poll() == 1U);
    connection c(*this);
    std::string buffer(8, '\0');
    start<receive_into>(*c, direction::read, buffer);
    BOOST_TEST(poll() == 0U);
    BOOST_TEST(loop.run_one(self, 1ms) == 0U);
    BOOST_TEST(!loop.stopped());
}

BOOST_FIXTURE_TEST_CASE(a_handler_that_throws_loses_no_other, simulated_loop)
{
    post("a");
    post("b", [] { throw std::runtime_error("from a handler"); });
    post("c");
    BOOST_CHECK_THROW(run(), std::runtime_error);
    BOOST_TEST(order == (history{"a", "b"}));
    BOOST_TEST(run() == 1U);
    BOOST_TEST(order == (history{"a", "b", "c"}));
}

namespace {

/// Two receives that complete in the same turn.
struct batch_of_two : simulated_loop {
    connection a{*this};
    connection b{*this};
    std::string buffer_a = std::string(8, '\0');
    std::string buffer_b = std::string(8, '\0');

    void receive(std::function<void()> then_a)
    {
        start_named<receive_into>("a", std::move(then_a), *a, direction::read, buffer_a);
        start_named<receive_into>("b", {}, *b, direction::read, buffer_b);
        poll();
        a.peer.write("x");
        kernel->step();
        b.peer.write("y");
        kernel->step();
    }
};

} // namespace

BOOST_FIXTURE_TEST_CASE(what_a_handler_posts_comes_behind_its_whole_batch, batch_of_two)
{
    receive([this] { post("posted"); });
    run();
    BOOST_TEST(order == (history{"a", "b", "posted"}));
}

BOOST_FIXTURE_TEST_CASE(a_handler_that_throws_leaves_the_rest_of_its_batch, batch_of_two)
{
    receive([] { throw std::runtime_error("from a handler"); });
    BOOST_CHECK_THROW(run(), std::runtime_error);
    BOOST_TEST(order == (history{"a"}));
    BOOST_TEST(run() == 1U);
    BOOST_TEST(order == (history{"a", "b"}));
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(a_loop_stopped_within_a_batch_keeps_the_rest, batch_of_two)
{
    receive([this] { loop.stop(); });
    BOOST_TEST(run() == 1U);
    BOOST_TEST(order == (history{"a"}));
    BOOST_TEST(run() == 1U);
    BOOST_TEST(order == (history{"a", "b"}));
}

BOOST_FIXTURE_TEST_CASE(a_batch_is_run_one_by_one_too, batch_of_two)
{
    receive({});
    BOOST_TEST(loop.run_one(self, loop.wait_not) == 1U);
    BOOST_TEST(order == (history{"a"}));
    BOOST_TEST(loop.run_one(self, loop.wait_not) == 1U);
    BOOST_TEST(order == (history{"a", "b"}));
}

BOOST_FIXTURE_TEST_CASE(a_loop_destroyed_within_a_batch_destroys_the_rest, batch_of_two)
{
    receive([this] { loop.stop(); });
    run();
    a.close();
    b.close();
    loop.shutdown();
    BOOST_TEST(records.back().destroyed());
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(a_handler_that_reposts_itself_starves_no_io, simulated_loop)
{
    connection c(*this);
    std::string buffer(8, '\0');
    c.peer.write("x");
    bool received = false;
    int reposts = 0;
    std::function<void()> repost = [&] {
        if (!received && ++reposts < 1000)
            post("spin", repost);
    };
    post("spin", repost);
    start_named<receive_into>(
        "receive", [&] { received = true; }, *c, direction::read, buffer);
    run();
    BOOST_TEST(received);
    BOOST_TEST(reposts < 1000);
}

BOOST_FIXTURE_TEST_CASE(a_post_from_another_thread_wakes_the_one_that_waits, simulated_loop)
{
    connection c(*this);
    std::string buffer(8, '\0');
    record& pending = start<receive_into>(*c, direction::read, buffer);
    std::thread poster([&] {
        // The receive is in flight: the loop is waiting or about to.
        while (kernel->in_flight_count() == 0)
            std::this_thread::yield();
        post("posted", [&] { loop.cancel(*c); });
    });
    run();
    poster.join();
    BOOST_TEST(pending.done());
    BOOST_TEST(pending.result == -ECANCELED);
}

BOOST_FIXTURE_TEST_CASE(stop_wakes_the_one_that_waits, simulated_loop)
{
    connection c(*this);
    std::string buffer(8, '\0');
    record& pending = start<receive_into>(*c, direction::read, buffer);
    std::thread stopper([&] {
        while (kernel->in_flight_count() == 0)
            std::this_thread::yield();
        loop.stop();
    });
    BOOST_TEST(run() == 0U);
    stopper.join();
    BOOST_TEST(pending.open());
}

BOOST_FIXTURE_TEST_CASE(a_wake_up_that_the_kernel_refuses_is_tried_again, simulated_loop)
{
    for (const int error : {EINTR, EAGAIN, EBUSY, ENOMEM}) {
        connection c(*this);
        std::string buffer(8, '\0');
        record& pending = start<receive_into>(*c, direction::read, buffer);
        std::thread poster([&] {
            while (kernel->in_flight_count() == 0)
                std::this_thread::yield();
            kernel->fail_nth(simulation::call::enter, 1, error, 3);
            post("posted", [&] { loop.cancel(*c); });
        });
        run();
        poster.join();
        BOOST_TEST(pending.done());
    }
}

BOOST_FIXTURE_TEST_CASE(an_operation_started_by_another_thread_is_submitted, simulated_loop)
{
    connection waiting(*this);
    connection c(*this);
    std::string buffer(8, '\0');
    std::string other(8, '\0');
    start<receive_into>(*waiting, direction::read, buffer);
    record* started = nullptr;
    std::thread starter([&] {
        while (kernel->in_flight_count() == 0)
            std::this_thread::yield();
        c.peer.write("hello");
        record& r = note();
        auto* op =
            new recorded<receive_into>(reporter{&r, nullptr, "", [&] { loop.stop(); }}, other);
        loop.start(*c, direction::read, *op, nullptr);
        started = &r;
    });
    run();
    starter.join();
    BOOST_TEST(started->done());
    BOOST_TEST(started->result == 5);
}

BOOST_FIXTURE_TEST_CASE(a_start_that_the_kernel_refuses_swallows_no_wake_up, many_threads)
{
    connection c(*this);
    std::string buffer(8, '\0');
    loop.work_started();
    kernel->hold_waits();
    std::thread waiting([this] { loop.run(self, [] {}); });
    kernel->await_held_wait();
    ring::loop_thread mine;
    post_to_any([&] {
        // Takes what has woken the other thread, which then waits anew.
        std::promise<void> waits_again;
        post_to_any([&] {
            kernel->hold_waits();
            waits_again.set_value();
        });
        kernel->release_waits();
        waits_again.get_future().wait();
        kernel->await_held_wait();
        kernel->fail_nth(simulation::call::enter, 1, EAGAIN);
        loop.start(*c, direction::read,
                   *new recorded<receive_into>(reporter{&note(), nullptr, "", {}}, buffer), &mine);
    });
    loop.run_one(mine, ring::event_loop::wait_forever);
    std::promise<void> ran;
    post_to_any([&ran] { ran.set_value(); });
    kernel->release_waits();
    BOOST_TEST(
        (ran.get_future().wait_for(test_support::watchdog_time) == std::future_status::ready));
    c.peer.write("x");
    loop.work_finished();
    waiting.join();
}

BOOST_FIXTURE_TEST_CASE(threads_that_run_out_of_work_all_return, many_threads)
{
    constexpr int thread_count = 4;
    constexpr int posts = 2000;
    std::atomic<int> ran{0};
    std::deque<record> notes(posts);
    for (record& r : notes)
        loop.post(new posted(reporter{&r, nullptr, "", [&] { ++ran; }}), false, nullptr);
    std::vector<std::thread> threads;
    std::atomic<std::size_t> total{0};
    for (int i = 0; i < thread_count; ++i)
        threads.emplace_back([&] {
            ring::loop_thread mine;
            total += loop.run(mine, [] {});
        });
    for (std::thread& t : threads)
        t.join();
    BOOST_TEST(ran == posts);
    BOOST_TEST(total == static_cast<std::size_t>(posts));
}

BOOST_FIXTURE_TEST_CASE(while_one_handler_blocks_another_thread_delivers, many_threads)
{
    connection c(*this);
    std::string buffer(8, '\0');
    std::promise<void> received;
    auto delivered = std::future_status::deferred;
    record& blocking = note();
    loop.post(
        new posted(reporter{
            &blocking, nullptr, "",
            [&] { delivered = received.get_future().wait_for(test_support::watchdog_time); }}),
        false, nullptr);
    record& r = note();
    loop.start(*c, direction::read,
               *new recorded<receive_into>(reporter{&r, nullptr, "", [&] { received.set_value(); }},
                                           buffer),
               nullptr);
    c.peer.write("x");
    std::thread other([this] {
        ring::loop_thread mine;
        loop.run(mine, [] {});
    });
    run();
    other.join();
    BOOST_TEST((delivered == std::future_status::ready));
    BOOST_TEST(blocking.done());
    BOOST_TEST(r.done());
}

BOOST_FIXTURE_TEST_CASE(more_starts_than_the_queue_holds_are_submitted_in_one_turn, simulated_loop)
{
    std::deque<connection> connections;
    std::deque<std::string> buffers;
    for (int i = 0; i < 100; ++i) {
        auto& c = connections.emplace_back(*this);
        start<receive_into>(*c, direction::read, buffers.emplace_back(8, '\0'));
    }
    poll();
    BOOST_TEST(kernel->in_flight_count() == 100U);
    for (auto& c : connections)
        c.peer.write("x");
    while (poll() != 0) {
    }
    BOOST_TEST(std::all_of(records.begin(), records.end(),
                           [](const record& r) { return r.done() && r.result == 1; }));
}

BOOST_FIXTURE_TEST_CASE(a_refused_batch_does_not_strand_what_is_behind_it, simulated_loop)
{
    // The first batch fills the queue; were the loop to wait after it was
    // refused, the last one, which can complete, would not even be submitted.
    for (const int error : {EINTR, EAGAIN, EBUSY, ENOMEM}) {
        std::deque<connection> connections;
        std::deque<std::string> buffers;
        for (int i = 0; i < 40; ++i) {
            auto& c = connections.emplace_back(*this);
            start_named<receive_into>(
                "", i == 39 ? std::function<void()>([&] { loop.stop(); }) : std::function<void()>(),
                *c, direction::read, buffers.emplace_back(8, '\0'));
        }
        connections.back().peer.write("x");
        kernel->fail_nth(simulation::call::enter, 1, error);
        run();
        BOOST_TEST(records.back().done());
        connections.clear();
        poll();
    }
}

BOOST_AUTO_TEST_CASE(completions_that_do_not_fit_are_kept_and_given_later)
{
    options settings = small_options();
    settings.completion_entries = 4;
    for (const bool refuses : {false, true}) {
        simulation_plan plan;
        plan.refuses_when_overflowing = refuses;
        simulated_loop l(settings, plan);
        std::deque<connection> connections;
        std::deque<std::string> buffers;
        for (int i = 0; i < 50; ++i) {
            auto& c = connections.emplace_back(l);
            c.peer.write("x");
            l.start<wait_for_events>(*c, direction::read, short{POLLIN});
            l.start<send_from>(*c, direction::write, buffers.emplace_back("y"));
        }
        BOOST_TEST(l.run() == 100U);
        BOOST_TEST(l.everything_is_back());
    }
}

BOOST_FIXTURE_TEST_CASE(a_lasting_failure_of_the_ring_is_thrown_and_the_loop_can_go_on,
                        simulated_loop)
{
    connection c(*this);
    std::string buffer(8, '\0');
    record& r = start<receive_into>(*c, direction::read, buffer);
    kernel->fail_nth(simulation::call::enter, 1, EBADF);
    BOOST_CHECK_EXCEPTION(run(), std::system_error, [](const std::system_error& e) {
        return e.code().value() == EBADF &&
               std::string(e.what()).find("io_uring_enter") != std::string::npos;
    });
    c.peer.write("x");
    BOOST_TEST(run() == 1U);
    BOOST_TEST(r.result == 1);
}

BOOST_AUTO_TEST_CASE(destruction_destroys_what_was_not_run)
{
    auto own = std::make_unique<simulated_loop>();
    std::deque<record> notes(3);
    connection c(*own);
    std::string buffer(8, '\0');
    own->loop.post(new posted(reporter{&notes[0], nullptr, "", {}}), false, nullptr);
    own->loop.start(*c, direction::read,
                    *new recorded<receive_into>(reporter{&notes[1], nullptr, "", {}}, buffer),
                    nullptr);
    own->loop.start(*c, direction::read,
                    *new recorded<receive_into>(reporter{&notes[2], nullptr, "", {}}, buffer),
                    nullptr);
    own->loop.run_one(own->self, 1ms); // The post; the first receive is in flight.
    c.handle = nullptr;                // The loop forgets it.
    own.reset();
    BOOST_TEST(notes[0].done());
    BOOST_TEST(notes[1].destroyed());
    BOOST_TEST(notes[2].destroyed());
}

BOOST_AUTO_TEST_CASE(a_kernel_without_buffers_is_told_as_options_ask)
{
    using safer_ring::fallback;
    simulated_loop graceful(without_kernel_buffers(fallback::graceful), kernel_without_buffers());
    BOOST_TEST(!graceful.loop.found().buffer_ring);
    BOOST_REQUIRE(graceful.loop.found().notes.size() == 1U);
    BOOST_TEST(graceful.loop.found().notes[0].find("5.19") != std::string::npos);
    BOOST_TEST(graceful.loop.found().describe().find("simulated") != std::string::npos);
    BOOST_CHECK_THROW(
        simulated_loop(without_kernel_buffers(fallback::strict), kernel_without_buffers()),
        std::system_error);
    const auto said = [](fallback on_missing) {
        return test_support::in_a_child([on_missing] {
                   simulated_loop made(without_kernel_buffers(on_missing),
                                       kernel_without_buffers());
               })
            .first;
    };
    BOOST_TEST(said(fallback::warn) == "safer_ring: " + graceful.loop.found().notes[0] + "\n");
    BOOST_TEST(said(fallback::graceful) == "");
}

BOOST_AUTO_TEST_SUITE_END()
