// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulated_loop.hpp"

#include <boost/test/unit_test.hpp>

#include <fcntl.h>

using namespace unit;

namespace {

/// A receive in flight, and the caller's memory it is for.
struct pending_receive : simulated_loop {
    connection c{*this};
    std::string buffer = std::string(8, '.');
    record& r = start<receive_into>(*c, direction::read, buffer);

    pending_receive()
    {
        poll();
        BOOST_REQUIRE(kernel->in_flight_count() == 1U);
    }

    /// Cancels, and lets the kernel complete with data all the same.
    void receive_late_data()
    {
        kernel->hold(opcode::recv);
        loop.cancel(*c);
        c.peer.write("late");
        kernel->release();
    }

    std::string take(std::size_t size, bool peek = false)
    {
        std::string bytes(size, '\0');
        bytes.resize(
            loop.take_leftover(*c, reinterpret_cast<std::byte*>(bytes.data()), size, peek));
        return bytes;
    }
};

const std::string untouched(8, '.');

} // namespace

BOOST_AUTO_TEST_SUITE(cancellation)

BOOST_FIXTURE_TEST_CASE(a_receive_that_waits_is_aborted, pending_receive)
{
    loop.cancel(*c);
    BOOST_TEST(r.open()); // Never from inside the call.
    poll();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(buffer == untouched);
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(data_that_was_there_is_copied_before_cancel_returns, pending_receive)
{
    c.peer.write("early");
    kernel->step(); // Completed, and not yet seen by the loop.
    loop.cancel(*c);
    BOOST_TEST(buffer == "early...");
    buffer = untouched; // From now on the memory is the caller's again.
    poll();
    BOOST_TEST(r.result == 5);
    BOOST_TEST(buffer == untouched);
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(a_read_done_when_it_was_started_is_delivered_by_the_cancellation,
                        simulated_loop)
{
    connection c(*this);
    std::string first(256, '.');
    c.peer.write(std::string(64 + 100, 'x')); // A full receive buffer, and more.
    start<receive_into>(*c, direction::read, first);
    poll();
    BOOST_REQUIRE((*c).bulk_read);
    std::string second(256, '.');
    record& r = start<receive_into>(*c, direction::read, second); // Reads at once.
    loop.cancel(*c);
    BOOST_TEST(second == std::string(100, 'x') + std::string(156, '.'));
    second.assign(256, '.');
    poll();
    BOOST_TEST(r.result == 100);
    BOOST_TEST(second == std::string(256, '.'));
}

BOOST_FIXTURE_TEST_CASE(closing_discards_data_that_was_there, pending_receive)
{
    c.peer.write("early");
    kernel->step();
    c.close();
    poll();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(buffer == untouched);
    BOOST_TEST(everything_is_back());
    BOOST_TEST(kernel->buffers_on_offer() == 4U);
}

BOOST_FIXTURE_TEST_CASE(releasing_delivers_data_that_was_there, pending_receive)
{
    c.peer.write("early");
    loop.release(std::exchange(c.handle, nullptr));
    BOOST_TEST((buffer == "early..." || buffer == untouched));
    const bool delivered = buffer == "early...";
    poll();
    BOOST_TEST(r.result == (delivered ? 5 : -ECANCELED));
    if (!delivered) {
        char left[8];
        BOOST_TEST(::recv(c.socket.get(), left, sizeof left, MSG_DONTWAIT) == 5);
    }
}

BOOST_FIXTURE_TEST_CASE(data_that_comes_after_the_cancellation_stays_with_the_descriptor,
                        pending_receive)
{
    receive_late_data();
    poll();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(buffer == untouched);
    c.peer.write("r");
    BOOST_TEST(loop.leftover_size(*c) == 4U);
    record& wait = start<wait_for_events>(*c, direction::read, short{POLLIN});
    poll();
    BOOST_TEST(wait.result == 0);
    BOOST_TEST(take(2, true) == "la"); // Peeked at.
    BOOST_TEST(take(2) == "la");
    std::string next(8, '.');
    record& second = start<receive_into>(*c, direction::read, next);
    poll();
    BOOST_TEST(second.result == 2);
    BOOST_TEST(next == "te......");
    BOOST_TEST(loop.leftover_size(*c) == 0U);
    record& third = start<receive_into>(*c, direction::read, next);
    poll();
    BOOST_TEST(third.result == 1);
    BOOST_TEST(next == "re......");
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(late_data_is_there_for_a_synchronous_call_although_no_turn_came,
                        pending_receive)
{
    receive_late_data();
    kernel->step();
    BOOST_TEST(loop.leftover_size(*c) == 4U);
    BOOST_TEST(take(8) == "late");
    poll();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(a_receive_started_behind_a_cancelled_one_gets_its_late_data,
                        pending_receive)
{
    kernel->hold(opcode::recv);
    loop.cancel(*c);
    std::string next(8, '.');
    record& second = start_named<receive_into>("second", {}, *c, direction::read, next);
    poll();
    BOOST_TEST(kernel->in_flight_count() == 1U); // First in, first out.
    c.peer.write("late");
    kernel->release();
    poll();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(second.result == 4);
    BOOST_TEST(next == "late....");
    BOOST_TEST(order == (history{"", "second"}));
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(late_data_of_a_closed_descriptor_is_dropped, pending_receive)
{
    kernel->hold(opcode::recv);
    c.close();
    buffer = untouched;
    poll();
    BOOST_TEST(r.open()); // The kernel has not let go.
    c.peer.write("late");
    kernel->release();
    poll();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(buffer == untouched);
    BOOST_TEST(everything_is_back());
    BOOST_TEST(kernel->buffers_on_offer() == 4U);
}

BOOST_FIXTURE_TEST_CASE(left_over_data_is_dropped_with_its_descriptor, pending_receive)
{
    receive_late_data();
    poll();
    BOOST_TEST(loop.buffers().outstanding() == 1U);
    c.close();
    BOOST_TEST(loop.buffers().outstanding() == 0U);
    BOOST_TEST(kernel->buffers_on_offer() == 4U);
}

BOOST_FIXTURE_TEST_CASE(a_cancellation_that_missed_is_tried_again, pending_receive)
{
    for (const int error : {ENOENT, EALREADY}) {
        record& again = start<receive_into>(*c, direction::read, buffer);
        poll();
        kernel->fail_nth(opcode::async_cancel, 1, error);
        loop.cancel(*c);
        while (again.open())
            poll();
        BOOST_TEST(again.result == -ECANCELED);
        BOOST_TEST(kernel->failures_spent());
    }
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(very_many_behind_a_cancelled_one_end_without_recursion, pending_receive)
{
    constexpr int many = 300'000;
    std::vector<record*> behind;
    for (int i = 0; i < many; ++i)
        behind.push_back(&start<receive_into>(*c, direction::read, buffer));
    kernel->hold(opcode::recv);
    loop.cancel(*c);
    kernel->release();
    run();
    BOOST_TEST(std::all_of(behind.begin(), behind.end(),
                           [](const record* each) { return each->result == -ECANCELED; }));
}

/// As one that waits for a disk: to ask again in each turn would keep the loop from
/// sleeping for as long as that takes, since the answer ends the wait.
BOOST_FIXTURE_TEST_CASE(what_cannot_be_cancelled_lets_the_loop_sleep, pending_receive)
{
    kernel->hold(opcode::recv);
    loop.cancel(*c);
    constexpr int turns = 20;
    for (int i = 0; i < turns; ++i)
        loop.run_one(self, std::chrono::hours(1));
    const auto asked = submitted(opcode::async_cancel).size();
    BOOST_TEST(asked > 1U);
    BOOST_TEST(asked <= 1U + turns / 2);
    BOOST_TEST(r.open());
    kernel->release();
    run();
    BOOST_TEST(r.result == -ECANCELED);
}

BOOST_FIXTURE_TEST_CASE(a_cancellation_is_not_lost_when_the_kernel_takes_nothing, pending_receive)
{
    // Neither the full queue nor the refusals may swallow it.
    constexpr unsigned more_than_the_attempts = 3000;
    for (const int error : {EBUSY, EAGAIN, ENOMEM, EINTR}) {
        std::deque<connection> connections;
        std::deque<std::string> buffers;
        for (int i = 0; i < 40; ++i)
            start<receive_into>(*connections.emplace_back(*this), direction::read,
                                buffers.emplace_back(8, '.'));
        poll();
        kernel->fail_nth(simulation::call::enter, 1, error, more_than_the_attempts);
        for (auto& each : connections)
            loop.cancel(*each);
        loop.cancel(*c);
        run();
        for (const record& each : records)
            BOOST_TEST(each.result == -ECANCELED);
        BOOST_TEST(everything_is_back());
    }
}

BOOST_FIXTURE_TEST_CASE(cancelled_operations_complete_in_the_order_of_their_start, simulated_loop)
{
    connection c(*this);
    std::string buffer(8, '.');
    for (int i = 0; i < 4; ++i)
        start_named<receive_into>(std::to_string(i), {}, *c, direction::read, buffer);
    poll();
    loop.cancel(*c);
    run();
    BOOST_TEST(order == (history{"0", "1", "2", "3"}));
    for (const record& r : records)
        BOOST_TEST(r.result == -ECANCELED);
}

BOOST_FIXTURE_TEST_CASE(one_operation_can_be_cancelled_by_its_id, simulated_loop)
{
    for (const int victim : {0, 1, 2}) { // In the kernel, in the middle, at the end.
        connection c(*this);
        order.clear();
        std::deque<std::string> buffers;
        ring::operation_id id{};
        for (int i = 0; i < 3; ++i) {
            start_named<receive_into>(std::to_string(i), {}, *c, direction::read,
                                      buffers.emplace_back(2, '.'));
            if (i == victim)
                id = last_id;
        }
        poll();
        loop.cancel(id);
        poll();
        BOOST_TEST(order == (history{std::to_string(victim)}));
        buffers[static_cast<std::size_t>(victim)] = "..";
        c.peer.write("aabb");
        run();
        std::string received;
        for (const auto& buffer : buffers)
            received += buffer == ".." ? "" : buffer;
        BOOST_TEST(received == "aabb");
        loop.cancel(id); // It is gone; nobody else is hit.
        BOOST_TEST(everything_is_back());
    }
}

BOOST_FIXTURE_TEST_CASE(an_id_of_the_past_cancels_nobody, simulated_loop)
{
    connection c(*this);
    std::string buffer(8, '.');
    c.peer.write("x");
    start<receive_into>(*c, direction::read, buffer);
    const ring::operation_id stale = last_id;
    run();
    record& r = start<receive_into>(*c, direction::read, buffer);
    poll();
    loop.cancel(stale);
    loop.cancel(ring::operation_id::none);
    poll();
    BOOST_TEST(r.open());
    BOOST_TEST(submitted(opcode::async_cancel).empty());
}

BOOST_FIXTURE_TEST_CASE(a_stale_completion_is_counted_and_dropped, pending_receive)
{
    const auto id = static_cast<std::uint64_t>(last_id);
    const auto generation = std::uint64_t{1} << 32;
    kernel->post({id + generation, 5, 0});
    kernel->post({id + 77, 5, 0});
    poll();
    BOOST_TEST(loop.stale_completions() == 2U);
    BOOST_TEST(r.open());
    c.peer.write("abc");
    run();
    BOOST_TEST(r.result == 3);
    kernel->post({id, 5, 0}); // Its own, a second time.
    turn();
    BOOST_TEST(loop.stale_completions() == 3U);
    BOOST_TEST(r.completions == 1);
}

BOOST_FIXTURE_TEST_CASE(a_second_completion_of_what_waits_for_its_handler_is_stale, pending_receive)
{
    c.peer.write("abc");
    kernel->step();
    kernel->post({static_cast<std::uint64_t>(last_id), 8, 0}); // In the same batch.
    connection other{*this};
    std::string elsewhere(8, '.');
    start<receive_into>(*other, direction::read, elsewhere);
    loop.cancel(*other); // Takes in both, ahead of the handlers.
    poll();
    BOOST_TEST(loop.stale_completions() == 1U);
    BOOST_TEST(r.result == 3);
    BOOST_TEST(r.completions == 1);
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(a_buffer_that_came_with_a_stale_completion_is_given_back, pending_receive)
{
    // What no one asked for takes no buffer from the others.
    c.peer.write("abc");
    run();
    const unsigned before = kernel->buffers_on_offer();
    kernel->post({static_cast<std::uint64_t>(last_id), 5, backend::completion_buffer});
    turn();
    BOOST_TEST(loop.buffers().outstanding() == 0U);
    BOOST_TEST(kernel->buffers_on_offer() == before + 1);
}

BOOST_FIXTURE_TEST_CASE(what_was_closed_before_it_was_submitted_never_is, simulated_loop)
{
    auto first = std::make_unique<connection>(*this);
    std::string buffer(8, '.');
    record& r = start<receive_into>(**first, direction::read, buffer);
    const int number = first->socket.get();
    first->close();
    connection second(*this);
    BOOST_REQUIRE(second.socket.get() == number); // Else the test shows nothing.
    second.peer.write("for the new one");
    poll();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(submitted(opcode::recv).empty());
    BOOST_TEST(buffer == untouched);
    char all[32];
    BOOST_TEST(::recv(number, all, sizeof all, MSG_DONTWAIT) == 15);
}

BOOST_FIXTURE_TEST_CASE(what_was_queued_when_the_number_was_reused_hits_the_old_file_only,
                        simulated_loop)
{
    // The entry is in the submission queue when the descriptor is closed:
    // the first enter was refused.
    auto first = std::make_unique<connection>(*this);
    std::string buffer(8, '.');
    record& r = start<receive_into>(**first, direction::read, buffer);
    kernel->fail_nth(simulation::call::enter, 1, EAGAIN, 2);
    poll();
    BOOST_REQUIRE(submitted(opcode::recv).empty());
    const int number = first->socket.get();
    first->close();
    connection second(*this);
    BOOST_REQUIRE(second.socket.get() == number);
    second.peer.write("for the new one");
    poll();
    BOOST_TEST(r.result == -ECANCELED);
    char all[32];
    BOOST_TEST(::recv(number, all, sizeof all, MSG_DONTWAIT) == 15);
}

BOOST_FIXTURE_TEST_CASE(what_the_kernel_refused_throughout_a_close_never_meets_a_new_file,
                        simulated_loop)
{
    auto first = std::make_unique<connection>(*this);
    std::string buffer(8, '.');
    record& r = start<receive_into>(**first, direction::read, buffer);
    constexpr unsigned forever = 1'000'000'000;
    kernel->fail_nth(simulation::call::enter, 1, EAGAIN, forever);
    poll();
    const int number = first->socket.get();
    first->close();
    connection second(*this);
    BOOST_REQUIRE(second.socket.get() == number);
    second.peer.write("for the new one");
    kernel->fail_no_more(simulation::call::enter);
    poll();
    BOOST_TEST(r.result == -ECANCELED);
    for (const auto& e : submitted(opcode::recv))
        BOOST_TEST(e.fd == -1);
    char all[32];
    BOOST_TEST(::recv(number, all, sizeof all, MSG_DONTWAIT) == 15);
}

BOOST_FIXTURE_TEST_CASE(a_request_holds_on_to_its_file_when_the_number_is_reused, pending_receive)
{
    kernel->hold(opcode::recv);
    const int number = c.socket.get();
    c.close();
    connection second(*this);
    BOOST_REQUIRE(second.socket.get() == number);
    second.peer.write("for the new one");
    kernel->release();
    poll();
    BOOST_TEST(r.result == -ECANCELED);
    char all[32];
    BOOST_TEST(::recv(number, all, sizeof all, MSG_DONTWAIT) == 15);
}

BOOST_AUTO_TEST_SUITE_END()
