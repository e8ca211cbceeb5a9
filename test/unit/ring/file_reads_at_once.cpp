// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "open_file.hpp"

#include <atomic>
#include <thread>

using namespace unit;

namespace {

bool points_to(const backend::submission_entry& entry, const std::string& bytes)
{
    return entry.address == reinterpret_cast<std::uint64_t>(bytes.data());
}

bool never_waits(const backend::submission_entry& entry)
{
    return entry.op_flags == RWF_NOWAIT;
}

struct loop_of_many_threads : simulated_loop {
    loop_of_many_threads() : simulated_loop(small_options(), {}, ring::threading::many) {}
};

simulation_plan without_nowait_reads()
{
    simulation_plan plan;
    plan.nowait_reads = false;
    return plan;
}
struct loop_on_an_old_kernel : simulated_loop {
    loop_on_an_old_kernel() : simulated_loop(small_options(), without_nowait_reads()) {}
};

simulation_plan of_the_oldest_kernel()
{
    simulation_plan plan = without_nowait_reads();
    plan.wait_timeout = false;
    return plan;
}
struct loop_on_the_oldest_kernel : simulated_loop {
    loop_on_the_oldest_kernel() : simulated_loop(small_options(), of_the_oldest_kernel()) {}
};

simulation_plan with_short_reads()
{
    simulation_plan plan;
    plan.short_count = 1;
    return plan;
}
struct loop_of_short_reads : simulated_loop {
    loop_of_short_reads() : simulated_loop(small_options(), with_short_reads()) {}
};

} // namespace

BOOST_AUTO_TEST_SUITE(file_reads_at_once)

BOOST_FIXTURE_TEST_CASE(end_that_an_attempt_sees_costs_no_request, loop_on_an_old_kernel)
{
    open_file f(*this, digits);
    std::string bytes(8, '.');
    record& read = f.read(bytes, 7, attempts::find_all);
    run();
    BOOST_TEST(read.result == 3);
    BOOST_TEST(submitted(opcode::read).empty());
}

// Linux 5.10 says so also where it would have to read ahead.
BOOST_FIXTURE_TEST_CASE(end_that_an_attempt_sees_is_not_believed, loop_on_the_oldest_kernel)
{
    open_file f(*this, digits);
    std::string bytes(4, '.'), next(4, '.'), nothing(4, '.');
    record& read = f.read(bytes, 3, attempts::see_an_end);
    record& of_stream = f.next_read(next, attempts::see_an_end);
    record& end = f.read(nothing, 10, attempts::see_an_end);
    run();
    BOOST_TEST(read.result == 4);
    BOOST_TEST(bytes == "3456");
    BOOST_TEST(of_stream.result == 4);
    BOOST_TEST(next == "0123");
    BOOST_TEST(end.result == 0);
}

BOOST_FIXTURE_TEST_CASE(reads_share_a_call_and_need_no_staging, simulated_loop)
{
    open_file f(*this, digits);
    std::string first(4, '.'), second(4, '.');
    const unsigned enters = kernel->count(simulation::call::enter);
    record& a = f.read_into_memory(first, 3);
    record& b = f.read_into_memory(second, 5);
    BOOST_TEST(first == "....");
    run();
    BOOST_TEST(a.result == 4);
    BOOST_TEST(b.result == 4);
    BOOST_TEST(first == "3456");
    BOOST_TEST(second == "5678");
    const auto entries = submitted(opcode::read);
    BOOST_REQUIRE(entries.size() == 2U);
    BOOST_TEST((never_waits(entries[0]) && points_to(entries[0], first)));
    BOOST_TEST((never_waits(entries[1]) && points_to(entries[1], second)));
    BOOST_TEST(kernel->count(simulation::call::enter) == enters + 1);
}

BOOST_FIXTURE_TEST_CASE(what_would_wait_goes_through_a_block, simulated_loop)
{
    open_file f(*this, digits);
    std::string bytes(4, '.');
    kernel->fail_nth(opcode::read, 1, EAGAIN);
    record& r = f.read_into_memory(bytes, 3);
    run();
    BOOST_TEST(r.result == 4);
    BOOST_TEST(bytes == "3456");
    const auto entries = submitted(opcode::read);
    BOOST_REQUIRE(entries.size() == 2U);
    BOOST_TEST(!never_waits(entries[1]));
    BOOST_TEST(!points_to(entries[1], bytes));
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(goes_on_until_all_is_there, loop_of_short_reads)
{
    const std::string contents(1000, 'c');
    open_file f(*this, contents);
    std::string bytes(1000, '.');
    record& r = f.read_into_memory(bytes, 0);
    run();
    BOOST_TEST(r.result == 1000);
    BOOST_TEST(bytes == contents);
    BOOST_TEST(submitted(opcode::read).size() > 1U);
    for (const auto& entry : submitted(opcode::read))
        BOOST_TEST(never_waits(entry));
}

BOOST_FIXTURE_TEST_CASE(end_of_the_file_ends_it, simulated_loop)
{
    open_file f(*this, digits);
    std::string some(8, '.'), none(8, '.');
    record& a = f.read_into_memory(some, 6);
    record& b = f.read_into_memory(none, 10);
    run();
    BOOST_TEST(a.result == 4);
    BOOST_TEST(some == "6789....");
    BOOST_TEST(b.result == 0);
}

BOOST_FIXTURE_TEST_CASE(error_behind_the_first_piece_leaves_what_was_read, loop_of_short_reads)
{
    open_file f(*this, std::string(1000, 'c'));
    std::string bytes(1000, '.');
    kernel->fail_nth(opcode::read, 2, EIO);
    record& r = f.read_into_memory(bytes, 0);
    run();
    BOOST_TEST(r.result > 0);
    BOOST_TEST(r.result < 1000);
}

BOOST_FIXTURE_TEST_CASE(refusal_of_the_flag_is_remembered, simulated_loop)
{
    open_file f(*this, digits);
    std::string bytes(4, '.');
    kernel->fail_nth(opcode::read, 1, EOPNOTSUPP);
    record& a = f.read_into_memory(bytes, 0);
    run();
    record& b = f.read_into_memory(bytes, 3);
    run();
    BOOST_TEST(a.result == 4);
    BOOST_TEST(b.result == 4);
    BOOST_TEST(bytes == "3456");
    const auto entries = submitted(opcode::read);
    BOOST_REQUIRE(entries.size() == 3U);
    BOOST_TEST(!never_waits(entries[1]));
    BOOST_TEST(!never_waits(entries[2]));
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(cancelled_before_the_flush_is_never_submitted, simulated_loop)
{
    open_file f(*this, digits);
    auto bytes = std::make_unique<std::string>(10, '.');
    record& r = f.read_into_memory(*bytes, 0);
    loop.cancel(last_id);
    bytes.reset();
    run();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(submitted(opcode::read).empty());
}

BOOST_FIXTURE_TEST_CASE(what_the_kernel_has_not_taken_yet_is_over_when_cancel_returns,
                        simulated_loop)
{
    for (const bool all : {false, true}) {
        open_file f(*this, digits);
        auto bytes = std::make_unique<std::string>(20, '.');
        record& r = f.read_into_memory(*bytes, 0);
        kernel->fail_nth(simulation::call::enter, 1, EBUSY, 2);
        poll();
        BOOST_TEST(r.open());
        const auto before = kernel->submitted().size();
        if (all)
            loop.cancel(*f.handle);
        else
            loop.cancel(last_id);
        BOOST_TEST(kernel->submitted().size() > before);
        BOOST_TEST(kernel->in_flight_count() == 0U);
        bytes.reset(); // A write to it is found by a sanitizer.
        run();
        BOOST_TEST((r.result == -ECANCELED || r.result == 10));
        BOOST_TEST(everything_is_back());
    }
}

BOOST_FIXTURE_TEST_CASE(close_leaves_nothing_behind_either, simulated_loop)
{
    open_file f(*this, digits);
    auto bytes = std::make_unique<std::string>(20, '.');
    record& r = f.read_into_memory(*bytes, 0);
    kernel->fail_nth(simulation::call::enter, 1, EBUSY, 2);
    poll();
    f.close();
    BOOST_TEST(kernel->in_flight_count() == 0U);
    bytes.reset();
    run();
    BOOST_TEST((r.result == -ECANCELED || r.result == 10));
    BOOST_TEST(everything_is_back());
}

/// As when the program gives the file O_DIRECT behind our back.
BOOST_FIXTURE_TEST_CASE(cancel_waits_for_one_that_outlives_its_call, simulated_loop)
{
    for (const bool all : {false, true}) {
        open_file f(*this, digits);
        auto bytes = std::make_unique<std::string>(10, '.');
        kernel->hold(opcode::read);
        record& r = f.read_into_memory(*bytes, 0);
        poll();
        BOOST_TEST(kernel->in_flight_count() == 1U);
        const unsigned enters = kernel->count(simulation::call::enter);
        std::atomic<bool> has_returned = false;
        std::thread canceller([&] {
            if (all)
                loop.cancel(*f.handle);
            else
                loop.cancel(last_id);
            has_returned = true;
        });
        while (kernel->count(simulation::call::enter) < enters + 3 && !has_returned)
            std::this_thread::yield();
        BOOST_TEST(!has_returned);
        kernel->release();
        canceller.join();
        BOOST_TEST(kernel->in_flight_count() == 0U);
        bytes.reset();
        run();
        BOOST_TEST(!r.open());
        BOOST_TEST(everything_is_back());
    }
}

BOOST_FIXTURE_TEST_CASE(who_cancels_second_waits_as_well, loop_of_many_threads)
{
    for (const bool all : {false, true}) {
        open_file f(*this, digits);
        std::string bytes(10, '.');
        kernel->hold(opcode::read);
        record& r = f.read_into_memory(bytes, 0);
        poll();
        BOOST_TEST(kernel->in_flight_count() == 1U);
        const ring::operation_id id = last_id;
        std::atomic<int> returned = 0;
        const auto await_entries = [&](unsigned n) {
            const unsigned until = kernel->count(simulation::call::enter) + n;
            while (kernel->count(simulation::call::enter) < until && returned == 0)
                std::this_thread::yield();
        };
        std::thread first([&] {
            loop.cancel(id);
            ++returned;
        });
        await_entries(3);
        std::thread second([&] {
            if (all)
                loop.cancel(*f.handle);
            else
                loop.cancel(id);
            ++returned;
        });
        // It may have to wait for the lock, but not for as long as this.
        await_entries(200);
        BOOST_TEST(returned == 0);
        kernel->release();
        first.join();
        second.join();
        BOOST_TEST(kernel->in_flight_count() == 0U);
        run();
        BOOST_TEST(!r.open());
        BOOST_TEST(everything_is_back());
    }
}

BOOST_FIXTURE_TEST_CASE(long_reads_of_several_threads_are_left_out, loop_of_many_threads)
{
    constexpr std::size_t longest = 64 * 1024;
    for (const std::size_t size : {longest, longest + 1}) {
        open_file f(*this, digits);
        std::string bytes(size, '.');
        const auto before = submitted(opcode::read).size();
        f.read_into_memory(bytes, 0);
        run();
        BOOST_REQUIRE(submitted(opcode::read).size() > before);
        BOOST_TEST(never_waits(submitted(opcode::read)[before]) == (size == longest));
        BOOST_TEST(bytes.substr(0, 10) == digits);
    }
}

BOOST_FIXTURE_TEST_CASE(start_while_a_thread_waits_is_left_out, simulated_loop)
{
    open_file f(*this, digits);
    std::string bytes(4, '.');
    kernel->hold_waits();
    loop.work_started();
    std::thread waiting([&] { loop.run_one(self, ring::event_loop::wait_forever); });
    kernel->await_held_wait();
    f.read_into_memory(bytes, 0);
    kernel->release_waits();
    waiting.join();
    loop.work_finished();
    BOOST_REQUIRE(submitted(opcode::read).size() == 1U);
    BOOST_TEST(!never_waits(submitted(opcode::read).front()));
    BOOST_TEST(bytes == "0123");
}

BOOST_FIXTURE_TEST_CASE(old_kernels_are_not_trusted_with_it, loop_on_an_old_kernel)
{
    open_file f(*this, digits);
    std::string bytes(4, '.');
    f.read_into_memory(bytes, 0);
    run();
    BOOST_REQUIRE(submitted(opcode::read).size() == 1U);
    BOOST_TEST(!never_waits(submitted(opcode::read).front()));
    BOOST_TEST(bytes == "0123");
}

BOOST_AUTO_TEST_SUITE_END()
