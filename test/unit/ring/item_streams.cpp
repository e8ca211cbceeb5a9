// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "driven_loop.hpp"
#include "open_stream.hpp"

#include <safer_ring/ring/buffer_group.hpp>
#include <safer_ring/ring/quarantine.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <poll.h>
#include <random>
#include <string>
#include <utility>
#include <vector>

// Streams of items at the moments that a real kernel hardly ever has. A request of
// the simulated one completes once; further completions are posted by hand.

using namespace unit;

namespace {

/// Somebody waits for an item, and the kernel does not let go of the request.
struct held_stream : simulated_loop {
    held_stream()
    {
        kernel->hold(opcode::poll_add);
        waiting = &stream.next(text);
        poll();
    }

    connection c{*this};
    receiving stream{*this, *c, stream_limits()};
    std::string text;
    const record* waiting = nullptr;
};

BOOST_AUTO_TEST_SUITE(item_streams)

BOOST_FIXTURE_TEST_CASE(bytes_and_error_of_a_cancelled_receive_come_first, simulated_loop)
{
    connection c(*this);
    std::string buffer(16, ' ');
    kernel->hold(opcode::recv);
    start<receive_into>(*c, direction::read, buffer);
    poll();
    loop.cancel(*c);
    c.peer.write("left");
    kernel->release();
    poll();
    BOOST_REQUIRE(loop.leftover_size(*c) == 4U);
    c.handle->leftover_error = -ECONNRESET;
    c.peer.write("behind");
    receiving stream(*this, *c, stream_limits());
    std::string text;
    stream.next(text);
    poll();
    BOOST_TEST(text == "left");
    poll();
    const record& error = stream.next(text);
    poll();
    BOOST_TEST(error.result == -ECONNRESET);
    stream.next(text);
    run();
    BOOST_TEST(text == "leftbehind");
    stream.close();
    c.close();
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(error_that_nobody_took_is_left_by_stop, simulated_loop)
{
    connection c(*this);
    receiving stream(*this, *c, stream_limits());
    std::string text;
    stream.next(text);
    c.peer.write("bytes");
    run();
    turn();
    text.clear();
    c.peer.write("bytes");
    turn();
    turn();
    kernel->post({request_in_flight(*kernel, opcode::poll_add), -EIO, 0});
    turn();
    BOOST_TEST(stream.held() == 2U);
    BOOST_TEST(stream.stop(text) == 0);
    BOOST_TEST(text == "bytes");
    std::string buffer(16, ' ');
    const record& plain = start<receive_into>(*c, direction::read, buffer);
    poll();
    BOOST_TEST(plain.result == -EIO);
}

BOOST_FIXTURE_TEST_CASE(reads_behind_a_dropped_stream_wait_for_its_request, held_stream)
{
    stream.close();
    std::string buffer(16, ' ');
    const record& plain = start<receive_into>(*c, direction::read, buffer);
    poll();
    BOOST_TEST(waiting->result == -ECANCELED);
    BOOST_TEST(submitted(opcode::recv).empty());
    kernel->release();
    turn();
    turn();
    BOOST_TEST(submitted(opcode::recv).size() == 1U);
    c.peer.write("plain");
    run();
    BOOST_TEST(plain.result == 5);
    c.close();
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(stop_says_when_the_kernel_does_not_let_go_and_loses_nothing, held_stream)
{
    BOOST_TEST(stream.stop(text) == -ETIMEDOUT);
    BOOST_TEST(stream.is_open());
    poll();
    BOOST_TEST(waiting->result == -ECANCELED);
    c.peer.write("kept");
    kernel->release();
    turn();
    stream.next(text);
    run();
    BOOST_TEST(text == "kept");
    BOOST_TEST(stream.stop(text) == 0);
    BOOST_TEST(!stream.is_open());
}

BOOST_AUTO_TEST_CASE(receive_that_finds_no_buffer_waits_for_readiness_once)
{
    simulation_plan plan;
    plan.multishot_receive = true;
    for (const int error : {ENOBUFS, EAGAIN}) {
        simulated_loop l(small_options(), plan);
        connection c(l);
        receiving stream(l, *c, stream_limits());
        l.kernel->fail_nth(opcode::recv, 1, error);
        std::string text;
        stream.next(text);
        for (int i = 0; i < 10; ++i)
            l.poll();
        BOOST_TEST(l.submitted(opcode::recv).size() == 1U);
        BOOST_TEST(l.submitted(opcode::poll_add).size() == 1U);
        c.peer.write("bytes");
        l.run();
        BOOST_TEST(text == "bytes");
        l.turn(); // The buffers may be back.
        BOOST_TEST(l.submitted(opcode::recv).size() == 2U);
        BOOST_TEST(l.submitted(opcode::poll_add).size() == 1U);
    }
}

BOOST_FIXTURE_TEST_CASE(one_readiness_is_for_a_few_pieces, simulated_loop)
{
    constexpr std::size_t piece_bytes = 64; // As of small_options().
    const auto pieces_after = [&](const std::string& bytes, bool then_ends, stream_limits limits) {
        connection c(*this);
        receiving stream(*this, *c, limits);
        std::string text;
        c.peer.write(bytes);
        if (then_ends)
            c.peer.shutdown_write();
        stream.next(text);
        run();
        BOOST_TEST(text.size() == std::min(bytes.size(), piece_bytes));
        return 1 + stream.held();
    };
    const std::string many(6 * piece_bytes, 'm'), few(piece_bytes + 1, 'f');
    BOOST_TEST(pieces_after(many, false, stream_limits()) == 4U);
    BOOST_TEST(pieces_after(many, false, stream_limits{2, 1}) == 2U);
    // A short one is the last: what comes behind it is told by the next readiness.
    BOOST_TEST(pieces_after(few, true, stream_limits()) == 2U);
}

BOOST_FIXTURE_TEST_CASE(stop_without_memory_for_what_is_left_loses_nothing, simulated_loop)
{
    connection c(*this);
    auto* const source = new ring::receive_source(stream_limits());
    BOOST_REQUIRE(loop.open_stream(*c, *source) == 0);
    std::string text;
    record& r = note();
    auto op = std::make_unique<recorded<next_into>>(reporter{&r, nullptr, "", {}}, text);
    BOOST_REQUIRE(loop.start_next(*source, *op, nullptr, nullptr));
    op.release();
    c.peer.write("told");
    run();
    turn();
    c.peer.write("kept");
    turn();
    turn();
    BOOST_REQUIRE(loop.items_held(*source) == 1U);
    std::vector<ring::stream_item> left;
    const auto has_no_room = [](std::size_t n) {
        BOOST_TEST(n == 1U);
        throw std::bad_alloc();
    };
    BOOST_CHECK_THROW(loop.stop_stream(*source, left, has_no_room), std::bad_alloc);
    BOOST_TEST(loop.is_open(*source));
    BOOST_TEST(loop.stop_stream(*source, left) == 0);
    BOOST_REQUIRE(left.size() == 1U);
    BOOST_TEST(left[0].buffer.text() == "kept");
    loop.close_stream(source);
}

/// One is held, and another comes in the turn in which a handler asks for two.
BOOST_FIXTURE_TEST_CASE(who_waits_is_served_behind_who_has_been_served, simulated_loop)
{
    const test_support::unique_descriptor listeners[] = {test_support::loopback_listener(),
                                                         test_support::loopback_listener()};
    ring::descriptor* const handles[] = {loop.open(listeners[0].get()),
                                         loop.open(listeners[1].get())};
    {
        accepting one(*this, *handles[0], stream_limits(), false);
        accepting other(*this, *handles[1], stream_limits(), false);
        std::string text;
        const auto comes_in = [&](std::uint64_t request) {
            kernel->post({request, ::dup(listeners[0].get()), backend::completion_more});
        };
        one.next(text);
        poll();
        const std::uint64_t request_of_one = request_in_flight(*kernel, opcode::accept);
        comes_in(request_of_one);
        comes_in(request_of_one);
        run();
        turn();
        BOOST_REQUIRE(one.held() == 1U);
        other.next(text, "other", [&] {
            one.next(text, "first");
            one.next(text, "second");
        });
        poll();
        for (const auto& r : kernel->in_flight())
            if (r.user_data != request_of_one)
                comes_in(r.user_data);
        comes_in(request_of_one);
        run();
        BOOST_TEST(order == (history{"", "other", "first", "second"}),
                   boost::test_tools::per_element());
    }
    loop.close(handles[0]);
    loop.close(handles[1]);
}

/// The kernel wants room for completions before it takes the cancellation, and so they
/// are taken outside a turn.
BOOST_AUTO_TEST_CASE(closing_a_descriptor_with_a_stream_strands_nothing_of_others)
{
    driven_loop l;
    connection c(l), other(l);
    receiving stream(l, *c, stream_limits());
    std::string text;
    stream.next(text);
    c.peer.write("one");
    l.drive();
    l.drive();
    BOOST_TEST(text == "one");
    std::string buffer(16, ' ');
    const record& plain = l.start<receive_into>(*other, direction::read, buffer);
    l.drive();
    BOOST_REQUIRE(l.kernel->in_flight_count() == 2U);
    BOOST_REQUIRE(l.driver.wakes == 0);
    c.peer.write("two");
    other.peer.write("other");
    l.kernel->step();
    l.kernel->fail_nth(simulation::call::enter, 1, EBUSY);
    c.close();
    BOOST_TEST(l.kernel->failures_spent());
    BOOST_TEST(l.driver.wakes == 1);
    l.drive();
    BOOST_TEST(plain.result == 5);
}

/// The request of a stream is no work, so that the loop rests while the kernel has it.
BOOST_AUTO_TEST_CASE(who_waits_for_a_request_in_flight_ends_the_rest_of_a_driven_loop)
{
    for (const bool is_dropped : {false, true}) {
        driven_loop l;
        connection c(l);
        receiving stream(l, *c, stream_limits());
        std::string text;
        stream.next(text);
        l.drive();
        c.peer.write("one");
        l.drive();
        l.drive();
        BOOST_TEST(text == "one");
        BOOST_TEST(l.driver.is_resting);
        BOOST_TEST(l.kernel->in_flight_count() == 1U);
        std::string buffer(16, ' ');
        if (is_dropped) {
            l.kernel->hold(opcode::poll_add);
            stream.close();
            l.drive();
            BOOST_TEST(l.driver.is_resting);
            l.start<receive_into>(*c, direction::read, buffer);
        } else {
            stream.next(text);
        }
        BOOST_TEST(l.driver.wakes == 1);
        l.drive();
        BOOST_TEST(!l.driver.is_resting);
        l.kernel->release();
        stream.close();
        c.close();
        l.drive();
    }
}

BOOST_AUTO_TEST_CASE(sources_end_with_the_loop_whoever_lets_go_last)
{
    for (const bool held : {false, true})
        for (const bool dropped_first : {false, true}) {
            options settings = small_options();
            settings.drain_deadline_ms = 20;
            auto ends = test_support::local_descriptor_pair();
            auto l = std::make_unique<simulated_loop>(settings);
            const auto kernel = l->kernel;
            {
                connection c(*l, std::move(ends));
                if (held)
                    kernel->hold(opcode::poll_add);
                receiving stream(*l, *c, stream_limits());
                std::string text;
                const record& waiting = stream.next(text);
                l->poll();
                if (dropped_first)
                    stream.close();
                c.handle = nullptr; // Goes with the loop.
                l->loop.shutdown();
                BOOST_TEST(waiting.destroyed());
                if (!dropped_first)
                    BOOST_TEST(!stream.is_open());
                stream.close();
                l.reset();
            }
            kernel->release();
            ring::quarantine::reclaim();
        }
}

BOOST_AUTO_TEST_CASE(buffers_of_streams_are_kept_as_long_as_the_ring_is)
{
    for (const bool is_told : {true, false}) {
        auto kernel = std::make_shared<simulation>();
        auto own = std::make_unique<backend::simulated_backend>(kernel, small_options());
        if (!is_told)
            kernel->fail_nth(simulation::call::close_when_drained, 1, EINVAL);
        ring::receive_buffers buffers(*own, 2, 64);
        auto group = ring::buffer_group::make(nullptr, 2, 64, ring::buffer_use::whole);
        const std::weak_ptr<ring::buffer_group> kept = group;
        auto ends = test_support::local_descriptor_pair();
        backend::submission_entry* const entry = own->next_submission();
        *entry = {};
        entry->op = opcode::poll_add;
        entry->op_flags = POLLIN;
        entry->fd = ends.first.get();
        kernel->hold(opcode::poll_add);
        own->publish();
        constexpr backend::backend::timeout no_wait{0};
        BOOST_REQUIRE(own->enter(1, 0, &no_wait) == 1);
        ring::quarantine::keep(std::move(own), std::move(buffers),
                               std::make_unique<ring::staging_pool>(64), {}, std::move(group));
        ring::quarantine::reclaim();
        BOOST_TEST(!kept.expired());
        kernel->release();
        ring::quarantine::reclaim();
        BOOST_TEST(kept.expired() == is_told);
    }
}

/// Plain receives and streams that come and go, on a kernel that does what it likes.
struct coming_and_going {
    explicit coming_and_going(std::uint64_t seed) : l(small_options(), plan(seed)), random(seed) {}

    static simulation_plan plan(std::uint64_t seed)
    {
        simulation_plan plan = simulation_plan::random(seed);
        plan.enter_error = 0;
        plan.connection_error = 0;
        plan.refuses_when_overflowing = false;
        plan.multishot_receive = seed % 2 == 0;
        return plan;
    }
    bool chance(unsigned percent) { return random() % 100 < percent; }

    /// Results in the order of their handlers.
    void collect()
    {
        for (; taken < texts.size(); ++taken) {
            const record& r = l.records[taken];
            if (r.open())
                return;
            if (r.result > 0)
                received += texts[taken].substr(0, static_cast<std::size_t>(r.result));
            else
                BOOST_TEST(r.result == -ECANCELED);
        }
    }
    void turn()
    {
        l.turn();
        collect();
    }
    void receive()
    {
        texts.emplace_back(32, ' ');
        l.start<receive_into>(*c, direction::read, texts.back());
    }
    void stop()
    {
        std::string left;
        BOOST_TEST(stream->stop(left) == 0);
        stream.reset();
        // Handlers have what comes before; a plain receive that still waits has
        // kept the stream from beginning.
        for (int turns = 0; taken < texts.size() && !left.empty(); ++turns) {
            BOOST_REQUIRE(turns < 100);
            turn();
        }
        received += left;
    }
    void step(int number)
    {
        if (chance(30)) {
            const std::string text = std::to_string(number) + ' ';
            c.peer.write(text);
            sent += text;
        }
        if (!stream && chance(30)) {
            stream.emplace(l, *c, stream_limits{3, 1});
        } else if (stream && chance(10)) {
            stop();
        } else if (chance(40)) {
            if (stream)
                stream->next(texts.emplace_back());
            else
                receive();
            if (chance(30))
                l.loop.cancel(l.last_id);
        } else if (chance(5)) {
            l.loop.cancel(*c);
        }
        if (chance(50))
            turn();
    }
    void receive_the_rest()
    {
        if (stream)
            stop();
        for (int turns = 0; received.size() < sent.size(); ++turns) {
            BOOST_REQUIRE(turns < 10000);
            if (taken == texts.size())
                receive();
            turn();
        }
    }

    simulated_loop l;
    connection c{l};
    std::mt19937_64 random;
    std::optional<receiving> stream;
    std::deque<std::string> texts;
    std::string sent, received;
    std::size_t taken = 0;
};

/// The bytes arrive once and in order.
BOOST_AUTO_TEST_CASE(bytes_come_in_order_whatever_happens)
{
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        BOOST_TEST_CONTEXT("seed " << seed)
        {
            coming_and_going test(seed);
            for (int step = 0; step < 300; ++step)
                test.step(step);
            test.receive_the_rest();
            BOOST_TEST(test.received == test.sent);
            test.c.close();
            // Cancellations are late or missed here.
            for (int turns = 0; turns < 100 && !test.l.everything_is_back(); ++turns)
                test.l.turn();
            BOOST_TEST(test.l.everything_is_back());
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
