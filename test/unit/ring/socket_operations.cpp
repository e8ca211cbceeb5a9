// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulated_loop.hpp"

#include "support/full_socket.hpp"

#include <boost/test/unit_test.hpp>

using namespace unit;

namespace {

/// Receive buffers of 1024 bytes that are offered at 512, since receives were
/// small.
struct short_buffers : simulated_loop {
    connection c{*this};
    std::string buffer = std::string(1000, '\0');

    short_buffers() : simulated_loop(settings())
    {
        for (int i = 0; i < 1024; ++i)
            loop.buffers().learn(1, false, false);
        offer_all_anew();
    }

    static options settings()
    {
        options s = small_options();
        s.receive_buffer_size_bytes = 1024;
        return s;
    }

    int receive(int flags = 0)
    {
        record& r = start<receive_into>(*c, direction::read, buffer, flags);
        run();
        return r.result;
    }

    void offer_all_anew()
    {
        for (unsigned i = 0; i < settings().receive_buffer_count; ++i) {
            c.peer.write("x");
            BOOST_TEST(receive() == 1);
        }
    }
};

/// Has the loop take turns that bring nothing.
void become_quiet(simulated_loop& l)
{
    connection idle(l);
    std::string buffer(1, '\0');
    record& r = l.start<receive_into>(*idle, direction::read, buffer);
    for (int i = 0; i < 100; ++i)
        l.poll();
    l.loop.cancel(*idle);
    while (r.open())
        l.poll();
}

bool nothing_to_read(connection& c)
{
    char byte = 0;
    return ::recv(c.peer.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

} // namespace

BOOST_AUTO_TEST_SUITE(receive_operation)

BOOST_FIXTURE_TEST_CASE(asks_for_a_buffer_of_the_kernels_choice_and_no_more_than_the_caller,
                        simulated_loop)
{
    connection c(*this);
    std::string small(10, '\0');
    std::string large(1000, '\0');
    c.peer.write("0123456789abcdef");
    record& first = start<receive_into>(*c, direction::read, small);
    poll();
    record& second = start<receive_into>(*c, direction::read, large);
    poll();
    const auto entries = submitted(opcode::recv);
    BOOST_REQUIRE(entries.size() == 2U);
    for (const auto& e : entries) {
        BOOST_TEST(e.address == 0U); // The kernel never sees the caller's memory.
        BOOST_TEST((e.flags & backend::entry_buffer_select) != 0);
    }
    BOOST_TEST(entries[0].length == 10U);
    BOOST_TEST(entries[1].length == 64U); // The size of a receive buffer.
    BOOST_TEST(first.result == 10);
    BOOST_TEST(small == "0123456789");
    BOOST_TEST(second.result == 6);
    BOOST_TEST(large.substr(0, 6) == "abcdef");
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(polls_first_unless_the_last_one_left_data_behind, simulated_loop)
{
    connection c(*this);
    std::string buffer(4, '\0');
    start<receive_into>(*c, direction::read, buffer);
    poll(); // Nothing there; the data comes in a later turn.
    c.peer.write("12345678");
    poll();
    start<receive_into>(*c, direction::read, buffer);
    poll();
    const auto entries = submitted(opcode::recv);
    BOOST_REQUIRE(entries.size() == 2U);
    BOOST_TEST((entries[0].ioprio & backend::receive_poll_first) != 0);
    BOOST_TEST((entries[1].ioprio & backend::receive_poll_first) == 0);
}

BOOST_FIXTURE_TEST_CASE(polls_first_where_data_comes_later_than_the_receive, simulated_loop)
{
    connection c(*this);
    std::string buffer(4, '\0');
    for (int i = 0; i < 3; ++i) {
        start<receive_into>(*c, direction::read, buffer);
        poll();
        c.peer.write("1234");
        poll();
    }
    const auto entries = submitted(opcode::recv);
    BOOST_REQUIRE(entries.size() == 3U);
    for (const auto& e : entries)
        BOOST_TEST((e.ioprio & backend::receive_poll_first) != 0);
}

BOOST_AUTO_TEST_CASE(does_not_poll_first_where_the_kernel_does_not_know_it)
{
    simulation_plan plan;
    plan.receive_poll_first = false;
    simulated_loop l(small_options(), plan);
    connection c(l);
    std::string buffer(4, '\0');
    l.start<receive_into>(*c, direction::read, buffer);
    l.poll();
    BOOST_TEST(l.submitted(opcode::recv).at(0).ioprio == 0);
}

BOOST_FIXTURE_TEST_CASE(end_of_stream_is_a_result_of_zero_and_its_buffer_comes_back, simulated_loop)
{
    connection c(*this);
    std::string buffer(4, '\0');
    c.peer.shutdown_write();
    record& r = start<receive_into>(*c, direction::read, buffer);
    poll();
    BOOST_TEST(r.result == 0);
    BOOST_TEST(everything_is_back());
}

BOOST_AUTO_TEST_CASE(a_buffer_that_came_with_the_end_of_stream_is_given_back)
{
    simulation_plan plan;
    plan.end_takes_buffer = 1;
    simulated_loop l(small_options(), plan);
    connection c(l);
    std::string buffer(4, '\0');
    c.peer.shutdown_write();
    record& r = l.start<receive_into>(*c, direction::read, buffer);
    l.poll();
    BOOST_TEST(r.result == 0);
    BOOST_TEST(l.everything_is_back());
    BOOST_TEST(l.kernel->buffers_on_offer() == 4U);
}

BOOST_AUTO_TEST_CASE(a_buffer_that_came_with_an_interruption_is_given_back)
{
    simulation_plan plan;
    plan.interrupted = 0.7;
    plan.error_takes_buffer = 1;
    simulated_loop l(small_options(), plan);
    connection c(l);
    for (int round = 0; round < 20; ++round) {
        std::string buffer(4, '\0');
        record& r = l.start<receive_into>(*c, direction::read, buffer);
        c.peer.write("abcd");
        while (r.open())
            l.poll();
        BOOST_TEST(buffer == "abcd");
    }
    BOOST_TEST(l.everything_is_back());
    BOOST_TEST(l.kernel->buffers_on_offer() == 4U);
}

BOOST_FIXTURE_TEST_CASE(on_a_descriptor_that_does_not_block_it_waits_for_readiness, simulated_loop)
{
    connection c(*this);
    make_nonblocking(c.socket.get());
    std::string buffer(4, '\0');
    record& r = start<receive_into>(*c, direction::read, buffer);
    while (submitted(opcode::poll_add).empty())
        poll();
    BOOST_TEST(submitted(opcode::recv).size() == 1U); // EAGAIN is not tried in a loop.
    BOOST_TEST(r.open());
    c.peer.write("abcd");
    poll();
    BOOST_TEST(r.result == 4);
    BOOST_TEST(buffer == "abcd");
}

BOOST_FIXTURE_TEST_CASE(without_a_buffer_left_it_waits_for_readiness, simulated_loop)
{
    // Four receives hold all buffers: their data has come, their handlers
    // have not run.
    std::deque<connection> connections;
    std::deque<std::string> buffers;
    for (int i = 0; i < 6; ++i) {
        auto& c = connections.emplace_back(*this);
        c.peer.write("abcd");
        start<receive_into>(*c, direction::read, buffers.emplace_back(4, '\0'));
    }
    run();
    BOOST_TEST(submitted(opcode::recv).size() == 6U);
    BOOST_TEST(submitted(opcode::poll_add).size() == 2U);
    for (const auto& buffer : buffers)
        BOOST_TEST(buffer == "abcd");
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(readiness_that_is_not_so_is_waited_for_again, simulated_loop)
{
    connection c(*this);
    make_nonblocking(c.socket.get());
    std::string buffer(4, '\0');
    record& r = start<receive_into>(*c, direction::read, buffer);
    while (submitted(opcode::poll_add).empty())
        poll();
    c.peer.write("abcd");
    kernel->step(); // The poll request has its completion; now someone else takes the data.
    char stolen[4];
    BOOST_REQUIRE(::recv(c.socket.get(), stolen, sizeof stolen, 0) == 4);
    while (submitted(opcode::poll_add).size() < 2U)
        poll();
    BOOST_TEST(r.open());
    c.peer.write("efgh");
    poll();
    BOOST_TEST(buffer == "efgh");
    BOOST_TEST(r.result == 4);
}

BOOST_FIXTURE_TEST_CASE(full_buffers_switch_to_bulk_and_small_reads_switch_back, simulated_loop)
{
    connection c(*this);
    std::string buffer(256, '\0');
    c.peer.write(std::string(64 + 200, 'x'));
    record& full = start<receive_into>(*c, direction::read, buffer);
    poll();
    BOOST_TEST(full.result == 64);
    BOOST_TEST((*c).bulk_read);
    record& bulk = start<receive_into>(*c, direction::read, buffer);
    BOOST_TEST(submitted(opcode::recv).size() == 1U);
    poll();
    BOOST_TEST(bulk.result == 200); // More than a receive buffer: straight to the caller.
    BOOST_TEST(submitted(opcode::recv).size() == 1U);
    record& small = start<receive_into>(*c, direction::read, buffer);
    c.peer.write("tiny");
    poll();
    BOOST_TEST(small.result == 4);
    BOOST_TEST(!(*c).bulk_read);
    start<receive_into>(*c, direction::read, buffer);
    poll();
    BOOST_TEST(submitted(opcode::recv).size() == 2U);
}

BOOST_FIXTURE_TEST_CASE(one_that_a_short_buffer_cut_off_loses_nothing_and_restores_the_length,
                        short_buffers)
{
    std::string message(800, 'm');
    message[512] = '!';
    c.peer.write(message);
    BOOST_TEST(receive() == 512);
    BOOST_TEST(buffer.substr(0, 512) == message.substr(0, 512));
    BOOST_TEST(receive() == 288);
    BOOST_TEST(buffer.substr(0, 288) == message.substr(512));
    offer_all_anew();
    c.peer.write(message);
    BOOST_TEST(receive() == 800);
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(bulk_reads_stop_attempting_in_vain_until_data_is_early_again,
                        simulated_loop)
{
    connection c(*this);
    std::string buffer(200, '\0');
    const std::string message(200, 'x');
    const auto polls = [this] { return submitted(opcode::poll_add).size(); };
    const auto read = [&](bool data_is_there) {
        if (data_is_there)
            c.peer.write(message);
        record& r = start<receive_into>(*c, direction::read, buffer);
        poll();
        if (!data_is_there)
            c.peer.write(message);
        poll();
        BOOST_TEST(r.result == 200);
    };
    c.peer.write(std::string(small_options().receive_buffer_size_bytes, 'x'));
    start<receive_into>(*c, direction::read, buffer); // Fills a receive buffer: bulk from here on.
    poll();
    read(false); // Attempts, finds nothing, and waits.
    BOOST_TEST(polls() == 1U);
    read(true); // A whole message again, but it waits before it reads.
    BOOST_TEST(polls() == 2U);
    read(true); // The wait was over at once, so this one attempts, and needs none.
    BOOST_TEST(polls() == 2U);
}

BOOST_FIXTURE_TEST_CASE(peeking_leaves_the_data, simulated_loop)
{
    connection c(*this);
    std::string buffer(4, '\0');
    c.peer.write("abcd");
    record& peek = start<receive_into>(*c, direction::read, buffer, MSG_PEEK);
    poll();
    BOOST_TEST(peek.result == 4);
    buffer.assign(4, '\0');
    record& read = start<receive_into>(*c, direction::read, buffer);
    poll();
    BOOST_TEST(read.result == 4);
    BOOST_TEST(buffer == "abcd");
}

BOOST_FIXTURE_TEST_CASE(peeking_sees_all_however_short_the_buffers_are, short_buffers)
{
    c.peer.write(std::string(800, 'm'));
    BOOST_TEST(receive(MSG_PEEK) == 800);
}

BOOST_FIXTURE_TEST_CASE(wait_all_is_not_passed_on, simulated_loop)
{
    connection c(*this);
    std::string buffer(4, '\0');
    c.peer.write("ab");
    record& r = start<receive_into>(*c, direction::read, buffer, MSG_WAITALL);
    poll();
    BOOST_TEST(r.result == 2);
    BOOST_TEST((submitted(opcode::recv).at(0).op_flags & MSG_WAITALL) == 0U);
}

BOOST_FIXTURE_TEST_CASE(an_interrupted_one_and_one_of_a_dead_thread_are_submitted_again,
                        simulated_loop)
{
    for (const int error : {EINTR, ECANCELED}) {
        connection c(*this);
        std::string buffer(4, '\0');
        kernel->fail_nth(opcode::recv, 1, error);
        record& r = start<receive_into>(*c, direction::read, buffer);
        c.peer.write("abcd");
        while (r.open())
            poll();
        BOOST_TEST(r.result == 4);
    }
}

BOOST_FIXTURE_TEST_CASE(other_errors_are_reported, simulated_loop)
{
    for (const int error : {ECONNRESET, ETIMEDOUT, EBADF, ENOTCONN, EINVAL, ENOMEM}) {
        connection c(*this);
        std::string buffer(4, '\0');
        kernel->fail_nth(opcode::recv, 1, error);
        record& r = start<receive_into>(*c, direction::read, buffer);
        while (r.open())
            poll();
        BOOST_TEST(r.result == -error);
        BOOST_TEST(everything_is_back());
    }
}

BOOST_FIXTURE_TEST_CASE(receives_of_one_descriptor_go_to_the_kernel_one_at_a_time, simulated_loop)
{
    connection c(*this);
    std::deque<std::string> buffers;
    for (int i = 0; i < 5; ++i)
        start_named<receive_into>(std::to_string(i), {}, *c, direction::read,
                                  buffers.emplace_back(2, '\0'));
    poll();
    BOOST_TEST(kernel->in_flight_count() == 1U);
    c.peer.write("aabbccddee");
    run();
    BOOST_TEST(order == (history{"0", "1", "2", "3", "4"}));
    BOOST_TEST(buffers[0] + buffers[1] + buffers[2] + buffers[3] + buffers[4] == "aabbccddee");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(send_operation)

BOOST_FIXTURE_TEST_CASE(a_small_one_is_sent_from_a_copy_that_comes_back, simulated_loop)
{
    connection c(*this);
    std::string data = "hello";
    record& r = start<send_from>(*c, direction::write, data);
    BOOST_TEST(loop.staging().outstanding() == 1U);
    data = "HELLO"; // Copied already.
    kernel->hold(opcode::send);
    poll();
    for (const auto& range : kernel->referenced_memory())
        BOOST_TEST(!range.overlaps(data.data(), data.size()));
    kernel->release();
    poll();
    BOOST_TEST(r.result == 5);
    BOOST_TEST(c.peer.read(5) == "hello");
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(a_large_one_is_written_at_once_from_the_callers_memory, simulated_loop)
{
    connection c(*this);
    std::string data(257, 'x'); // One more than a staging buffer.
    record& r = start<send_from>(*c, direction::write, data);
    BOOST_TEST(loop.staging().outstanding() == 0U);
    poll();
    BOOST_TEST(r.result == 257);
    BOOST_TEST(submitted(opcode::send).empty());
    BOOST_TEST(submitted(opcode::poll_add).empty());
    BOOST_TEST(c.peer.read(257) == data);
}

BOOST_FIXTURE_TEST_CASE(a_large_one_that_does_not_fit_waits_for_readiness, simulated_loop)
{
    connection c(*this);
    std::string data(1 << 20, 'x');
    record& first = start<send_from>(*c, direction::write, data);
    poll();
    BOOST_REQUIRE(first.done()); // As much as fitted.
    record& second = start<send_from>(*c, direction::write, data);
    poll();
    BOOST_TEST(second.open());
    BOOST_TEST(submitted(opcode::poll_add).size() == 1U);
    c.peer.read(static_cast<std::size_t>(first.result));
    poll();
    BOOST_TEST(second.result > 0);
}

BOOST_FIXTURE_TEST_CASE(on_a_descriptor_that_does_not_block_it_waits_for_readiness, simulated_loop)
{
    connection c(*this);
    make_nonblocking(c.socket.get());
    const std::size_t filled = test_support::fill_socket(c.socket.get());
    std::string data = "hello";
    record& r = start<send_from>(*c, direction::write, data);
    while (submitted(opcode::poll_add).empty())
        poll();
    BOOST_TEST(r.open());
    c.peer.read(filled);
    while (r.open())
        poll();
    BOOST_TEST(r.result == 5);
    BOOST_TEST(c.peer.read(5) == "hello");
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(a_local_one_is_sent_at_once_where_it_is_alone, simulated_loop)
{
    connection c(*this);
    std::string data = "hello";
    const auto sends = [this] { return submitted(opcode::send).size(); };
    become_quiet(*this);
    const record* tcp = nullptr;
    in_handler([&] {
        tcp = &start<send_from>(*c, direction::write, data);
        BOOST_TEST(nothing_to_read(c));
    });
    poll();
    BOOST_TEST(tcp->result == 5);
    BOOST_TEST(sends() == 1U);

    c.handle->is_local = true;
    become_quiet(*this);
    record& alone = start<send_from>(*c, direction::write, data);
    BOOST_TEST(c.peer.read(10) == "hellohello");
    BOOST_TEST(alone.open()); // Its handler is not called from inside the start.
    poll();
    BOOST_TEST(alone.result == 5);
    BOOST_TEST(sends() == 1U);

    // No more than two in a turn.
    become_quiet(*this);
    in_handler([&] {
        for (int i = 0; i < 3; ++i)
            start<send_from>(*c, direction::write, data);
        BOOST_TEST(c.peer.read(10) == "hellohello");
        BOOST_TEST(nothing_to_read(c));
    });
    poll();
    BOOST_TEST(c.peer.read(5) == "hello");
    BOOST_TEST(sends() == 2U);

    become_quiet(*this);
    connection others[3] = {connection(*this), connection(*this), connection(*this)};
    for (connection& other : others)
        start<send_from>(*other, direction::write, data);
    poll(); // A turn that brings three completions.
    in_handler([&] {
        start<send_from>(*c, direction::write, data);
        BOOST_TEST(nothing_to_read(c));
    });
    poll();
    BOOST_TEST(sends() == 6U);
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(a_local_one_that_does_not_fit_at_once_is_submitted, simulated_loop)
{
    connection c(*this);
    c.handle->is_local = true;
    become_quiet(*this);
    const std::size_t filled = test_support::fill_socket(c.socket.get());
    std::string data = "hello";
    record& r = start<send_from>(*c, direction::write, data);
    data = "HELLO";
    poll();
    BOOST_TEST(submitted(opcode::send).size() == 1U);
    c.peer.read(filled);
    while (r.open())
        poll();
    BOOST_TEST(c.peer.read(5) == "hello");
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(writes_started_at_once_arrive_in_order, simulated_loop)
{
    connection c(*this);
    std::deque<std::string> data;
    std::string all;
    for (int i = 0; i < 10; ++i) { // Staged and bulk ones in turn.
        data.emplace_back(i % 2 == 0 ? 100 : 300, static_cast<char>('a' + i));
        all += data.back();
        start_named<send_from>(std::to_string(i), {}, *c, direction::write, data.back());
    }
    run();
    BOOST_TEST(c.peer.read(all.size()) == all);
    BOOST_TEST(order == (history{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}));
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(errors_are_reported_and_the_copy_comes_back, simulated_loop)
{
    for (const int error : {EPIPE, ECONNRESET, ENOBUFS, ENOMEM}) {
        connection c(*this);
        std::string data = "hello";
        kernel->fail_nth(opcode::send, 1, error);
        record& r = start<send_from>(*c, direction::write, data);
        poll();
        BOOST_TEST(r.result == -error);
        BOOST_TEST(everything_is_back());
    }
}

BOOST_AUTO_TEST_SUITE_END()
