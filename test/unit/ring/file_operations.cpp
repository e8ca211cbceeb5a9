// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "open_file.hpp"

#include "support/lowered_limit.hpp"

#include <deque>

using namespace unit;

BOOST_AUTO_TEST_SUITE(file_operations)

BOOST_FIXTURE_TEST_CASE(what_is_cached_is_read_without_an_entry, simulated_loop)
{
    open_file f(*this, digits);
    std::string bytes(4, '.');
    record& r = f.read(bytes, 3, attempts::find_all);
    BOOST_TEST(bytes == "3456"); // In the call already; the handler comes later.
    BOOST_TEST(r.open());
    run();
    BOOST_TEST(r.result == 4);
    BOOST_TEST(submitted(opcode::read).empty());
}

BOOST_FIXTURE_TEST_CASE(attempt_sees_the_end_of_the_file, simulated_loop)
{
    open_file f(*this, digits);
    std::string bytes(8, '.'), nothing(8, '.');
    record& part = f.read(bytes, 7, attempts::find_all);
    record& end = f.read(nothing, 10, attempts::find_all);
    run();
    BOOST_TEST(part.result == 3);
    BOOST_TEST(bytes == "789.....");
    BOOST_TEST(end.result == 0);
    BOOST_TEST(submitted(opcode::read).empty());
}

BOOST_FIXTURE_TEST_CASE(refusal_is_remembered, simulated_loop)
{
    open_file f(*this, digits);
    std::string bytes(4, '.');
    f.read(bytes, 0, attempts::are_refused);
    run();
    BOOST_TEST(bytes == "0123");
    // This one would find everything, but is not asked any more.
    f.read(bytes, 4, attempts::find_all);
    BOOST_TEST(bytes == "0123");
    run();
    BOOST_TEST(bytes == "4567");
    BOOST_TEST(submitted(opcode::read).size() == 2U);
}

BOOST_FIXTURE_TEST_CASE(write_that_ends_on_the_disk_is_not_attempted, simulated_loop)
{
    for (const int flags : {O_SYNC, O_DSYNC}) {
        open_file f(*this, "", true, flags);
        std::string bytes = digits;
        f.write(bytes, 0, attempts::find_all);
        BOOST_TEST(f.contents().empty());
        run();
        BOOST_TEST(f.contents() == digits);
    }
    BOOST_TEST(submitted(opcode::write).size() == 2U);
}

// O_DIRECT and O_DSYNC: a call that must not wait would wait for the disk, with
// all threads of the loop shut out.
BOOST_FIXTURE_TEST_CASE(who_closes_or_asks_does_not_make_writes_that_wait_for_a_disk,
                        simulated_loop)
{
    for (const bool direct : {true, false}) {
        open_file f(*this, "....", true, direct ? 0 : O_DSYNC);
        f.handle->direct = direct;
        std::string bytes = "data";
        record& r = f.write(bytes, 0, attempts::find_all);
        loop.attempt_writes(*f.handle);
        BOOST_TEST(f.contents() == "....");
        f.close();
        poll();
        BOOST_TEST(r.result == -ECANCELED);
        BOOST_TEST(everything_is_back());
    }
}

BOOST_FIXTURE_TEST_CASE(kernel_never_sees_the_callers_memory, simulated_loop)
{
    open_file f(*this, digits);
    std::string to(10, '.'), from(10, 'w');
    f.read(to, 0);
    f.write(from, 10);
    kernel->hold_everything();
    poll();
    std::size_t staged_bytes = 0;
    for (const auto& entry : kernel->submitted())
        staged_bytes += entry.length;
    BOOST_TEST(staged_bytes == 20U);
    for (const auto& range : kernel->referenced_memory())
        for (const std::string* mine : {&to, &from})
            BOOST_TEST(!range.overlaps(mine->data(), mine->size()));
    kernel->release();
    run();
    BOOST_TEST(to == digits);
    BOOST_TEST(f.contents() == digits + from);
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(blocks_are_page_aligned, simulated_loop)
{
    open_file f(*this, digits);
    std::deque<std::string> bytes;
    for (const std::size_t size : {1U, 4096U, 4097U, 100000U, 1U << 20, 5U << 20})
        f.read(bytes.emplace_back(size, '.'), 0);
    poll();
    BOOST_TEST(submitted(opcode::read).size() == 6U);
    for (const auto& entry : submitted(opcode::read))
        BOOST_TEST(entry.address % 4096 == 0U);
}

BOOST_FIXTURE_TEST_CASE(large_transfers_go_block_by_block, simulated_loop)
{
    std::string contents(3 * block + 5, 'c');
    for (std::size_t i = 0; i < contents.size(); i += 1000)
        contents[i] = static_cast<char>(i);
    open_file f(*this, contents), copy(*this, "");
    std::string bytes(contents.size() + 10, '.');
    record& read = f.read(bytes, 0);
    record& write = copy.write(contents, 0);
    run();
    BOOST_TEST(read.result == static_cast<int>(contents.size()));
    BOOST_TEST((bytes == contents + std::string(10, '.')));
    BOOST_TEST(write.result == static_cast<int>(contents.size()));
    BOOST_TEST((copy.contents() == contents));
    BOOST_TEST(submitted(opcode::write).size() == 4U);
    for (const auto& entry : submitted(opcode::write))
        BOOST_TEST(entry.length <= block);
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(error_behind_the_first_block_leaves_what_was_moved, simulated_loop)
{
    const std::string contents(3 * block, 'c');
    open_file f(*this, contents);
    std::string bytes(contents.size(), '.');
    kernel->fail_nth(opcode::read, 2, EIO);
    record& r = f.read(bytes, 0);
    run();
    BOOST_TEST(r.result == static_cast<int>(block));
    record& again = f.read(bytes, 0);
    kernel->fail_nth(opcode::read, 1, EIO);
    run();
    BOOST_TEST(again.result == -EIO);
}

BOOST_FIXTURE_TEST_CASE(cancelled_behind_the_first_block_tells_what_was_moved, simulated_loop)
{
    const std::string contents(3 * block, 'c');
    for (const direction way : {direction::read, direction::write}) {
        open_file f(*this, contents);
        std::string bytes(contents.size(), '.');
        const auto op = way == direction::read ? opcode::read : opcode::write;
        kernel->hold(op);
        record& r = way == direction::read ? f.read(bytes, 0) : f.write(bytes, 0);
        poll();
        kernel->release();
        kernel->step();
        kernel->hold(op);
        poll(); // Settles the first block.
        poll(); // Submits the second.
        BOOST_TEST(kernel->in_flight_count() == 1U);
        BOOST_TEST(r.open());
        loop.cancel(*f.handle);
        kernel->release();
        run();
        // What the second block brought came too late for a read; it was written all the same.
        const std::size_t moved = way == direction::read ? block : 2 * block;
        BOOST_TEST(r.result == static_cast<int>(moved));
        const std::string& changed = way == direction::read ? bytes : f.contents();
        BOOST_TEST(changed[moved - 1] == (way == direction::read ? 'c' : '.'));
        BOOST_TEST(changed[moved] == (way == direction::read ? '.' : 'c'));
    }
}

BOOST_FIXTURE_TEST_CASE(random_access_has_no_order_and_no_limit, simulated_loop)
{
    open_file f(*this, digits);
    kernel->hold(opcode::read);
    std::deque<std::string> bytes;
    std::deque<record*> reads;
    for (unsigned i = 0; i < 10; ++i)
        reads.push_back(&f.read(bytes.emplace_back(1, '.'), i));
    poll();
    BOOST_TEST(kernel->in_flight_count() == 10U);
    // Started later, done sooner: nothing stands in its way.
    std::string later(2, '.');
    record& r = f.read(later, 5, attempts::find_all);
    poll();
    BOOST_TEST(r.done());
    kernel->release();
    run();
    for (std::size_t i = 0; i < 10; ++i) {
        BOOST_TEST(reads[i]->result == 1);
        BOOST_TEST(bytes[i] == digits.substr(i, 1));
    }
}

BOOST_FIXTURE_TEST_CASE(cancel_finds_all_of_them, simulated_loop)
{
    open_file f(*this, digits);
    std::string held(10, '.'), unsubmitted(10, '.'), ready(10, '.');
    kernel->hold(opcode::read);
    record& in_kernel = f.read(held, 0);
    poll();
    record& pending = f.read(unsubmitted, 0);
    record& done = f.read(ready, 0, attempts::find_all);
    loop.cancel(*f.handle);
    poll();
    BOOST_TEST(pending.result == -ECANCELED);
    BOOST_TEST(done.result == 10);
    BOOST_TEST(in_kernel.open()); // The disk has it; its handler waits, and cancel did not.
    kernel->release();
    run();
    BOOST_TEST(in_kernel.result == -ECANCELED);
    BOOST_TEST(held == "..........");
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(cancel_of_one_leaves_the_others, simulated_loop)
{
    open_file f(*this, digits);
    std::string first(10, '.'), second(10, '.'), third(10, '.');
    kernel->hold(opcode::read);
    record& a = f.read(first, 0);
    record& b = f.read(second, 0);
    const auto id = last_id;
    record& c = f.read(third, 0);
    poll();
    loop.cancel(id);
    kernel->release();
    run();
    BOOST_TEST(a.result == 10);
    BOOST_TEST(b.result == -ECANCELED);
    BOOST_TEST(c.result == 10);
    BOOST_TEST(second == "..........");
}

BOOST_FIXTURE_TEST_CASE(close_detaches_all_and_waits_for_none, simulated_loop)
{
    open_file f(*this, digits);
    auto memory = std::make_unique<std::deque<std::string>>(5, std::string(10, '.'));
    kernel->hold_everything();
    std::deque<record*> reads;
    for (auto& bytes : *memory)
        reads.push_back(&f.read(bytes, 0));
    poll();
    const unsigned enters = kernel->count(simulation::call::enter);
    f.close();
    // One to hand in the cancellations; waiting would take many.
    BOOST_TEST(kernel->count(simulation::call::enter) <= enters + 1);
    memory.reset(); // A write to it is found by a sanitizer.
    kernel->release();
    run();
    for (const record* r : reads)
        BOOST_TEST(r->result == -ECANCELED);
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(release_waits_for_no_disk_either, simulated_loop)
{
    open_file f(*this, digits);
    std::string bytes(10, '.');
    kernel->hold_everything();
    record& r = f.read(bytes, 0);
    poll();
    const unsigned enters = kernel->count(simulation::call::enter);
    loop.release(std::exchange(f.handle, nullptr));
    BOOST_TEST(kernel->count(simulation::call::enter) <= enters + 1);
    kernel->release();
    run();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(bytes == "..........");
}

BOOST_AUTO_TEST_CASE(blocks_outlive_a_loop_that_the_disk_outlasts)
{
    options settings = small_options();
    settings.drain_deadline_ms = 1;
    std::shared_ptr<simulation> kernel;
    std::string bytes(10, '.');
    {
        simulated_loop l(settings);
        kernel = l.kernel;
        open_file f(l, digits);
        f.read(bytes, 0);
        kernel->hold_everything();
        l.poll();
    }
    kernel->release(); // Writes to the block, which the sanitizer wants to be there.
    BOOST_TEST(bytes == "..........");
}

BOOST_FIXTURE_TEST_CASE(stream_reads_take_turns, simulated_loop)
{
    open_file f(*this, digits, false);
    std::string first(3, '.'), second(3, '.'), third(8, '.');
    kernel->hold(opcode::read);
    f.next_read(first);
    f.next_read(second);
    record& last = f.next_read(third, attempts::find_all);
    poll();
    BOOST_TEST(kernel->in_flight_count() == 1U);
    kernel->release();
    run();
    BOOST_TEST(first + second == "012345");
    BOOST_TEST(last.result == 4);
    BOOST_TEST(f.position() == 10);
}

BOOST_FIXTURE_TEST_CASE(stream_writes_and_reads_share_the_position, simulated_loop)
{
    open_file f(*this, digits, false);
    std::string read(2, '.'), written = "ab", rest(2, '.');
    f.next_read(read);
    f.next_write(written);
    f.next_read(rest);
    run();
    BOOST_TEST(read == "01");
    BOOST_TEST(rest == "45");
    BOOST_TEST(f.contents() == "01ab456789");
}

// The kernel does not move it behind a write past the page cache that ends later.
BOOST_FIXTURE_TEST_CASE(stream_writes_past_the_page_cache_go_where_they_are_told, simulated_loop)
{
    open_file f(*this, digits, false);
    f.handle->direct = true;
    std::string large(block + 5, 'l'), small = "abc", cancelled = "xyz";
    f.next_write(large);
    record& written = f.next_write(small);
    run();
    BOOST_TEST(written.result == 3);
    BOOST_TEST((f.contents() == large + small));
    kernel->hold(opcode::write);
    record& last = f.next_write(cancelled);
    poll();
    loop.cancel(*f.handle);
    kernel->release();
    run();
    BOOST_TEST(last.result == 3);
    BOOST_TEST((f.contents() == large + small + cancelled));
    BOOST_TEST(f.position() == static_cast<off_t>(f.contents().size()));
    std::uint64_t expected = 0;
    for (const auto& entry : submitted(opcode::write)) {
        BOOST_TEST(entry.offset == expected);
        expected += entry.length;
    }
}

BOOST_FIXTURE_TEST_CASE(appended_past_the_page_cache_is_where_the_end_is, simulated_loop)
{
    open_file f(*this, digits, false, O_APPEND);
    f.handle->direct = true;
    std::string more = "more";
    f.next_write(more);
    run();
    BOOST_TEST(f.contents() == digits + more);
    BOOST_TEST(submitted(opcode::write).at(0).offset == backend::file_position);
}

BOOST_FIXTURE_TEST_CASE(cancelled_stream_read_leaves_the_position, simulated_loop)
{
    open_file f(*this, digits, false);
    std::string lost(4, '.'), next(4, '.');
    kernel->hold(opcode::read);
    record& r = f.next_read(lost);
    poll();
    loop.cancel(*f.handle);
    f.next_read(next);
    kernel->release();
    run();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(lost == "....");
    BOOST_TEST(next == "0123");
}

BOOST_FIXTURE_TEST_CASE(cancelled_write_tells_what_was_written, simulated_loop)
{
    open_file f(*this, "", false);
    std::string bytes = digits;
    kernel->hold(opcode::write);
    record& r = f.next_write(bytes);
    poll();
    loop.cancel(*f.handle);
    bytes.assign(10, 'N');
    kernel->release();
    run();
    BOOST_TEST(r.result == 10);
    BOOST_TEST(f.contents() == digits);
}

BOOST_FIXTURE_TEST_CASE(read_that_has_come_is_delivered_by_cancel, simulated_loop)
{
    open_file f(*this, digits);
    std::string bytes(10, '.');
    kernel->hold(opcode::read);
    record& r = f.read(bytes, 0);
    poll();
    kernel->release();
    kernel->step(); // Completed, and not yet seen by the loop.
    loop.cancel(*f.handle);
    BOOST_TEST(bytes == digits);
    run();
    BOOST_TEST(r.result == 10);
}

BOOST_FIXTURE_TEST_CASE(nonblocking_file_is_read_by_a_worker, simulated_loop)
{
    open_file f(*this, digits);
    std::string bytes(10, '.');
    kernel->fail_nth(opcode::read, 1, EAGAIN);
    record& r = f.read(bytes, 0);
    run();
    BOOST_TEST(r.result == 10);
    const auto entries = submitted(opcode::read);
    BOOST_REQUIRE(entries.size() == 2U);
    BOOST_TEST(int(entries[0].flags) == 0);
    BOOST_TEST(int(entries[1].flags) == int(backend::entry_async));
}

/// A worker looks the number up late: what was closed meanwhile may have become
/// another file's. It is not closed before the file is, since closing any number of a
/// file ends the locks that the process has on it.
BOOST_FIXTURE_TEST_CASE(worker_has_a_descriptor_of_its_own_until_it_has_ended, simulated_loop)
{
    for (const bool closes : {false, true}) {
        open_file f(*this, digits);
        std::string bytes = "abc";
        kernel->fail_nth(opcode::write, 1, EAGAIN);
        kernel->hold(opcode::write);
        record& r = f.write(bytes, 0);
        poll();
        poll();
        const int number = number_of_writing_worker(f);
        if (closes)
            f.close();
        BOOST_TEST(::fcntl(number, F_GETFD) >= 0);
        kernel->release();
        run();
        BOOST_TEST(r.result == (closes ? -ECANCELED : 3));
        BOOST_TEST((::fcntl(number, F_GETFD) < 0) == closes);
        f.close();
        BOOST_TEST(::fcntl(number, F_GETFD) < 0);
        BOOST_TEST(everything_is_back());
    }
}

BOOST_FIXTURE_TEST_CASE(worker_without_a_descriptor_is_an_error, simulated_loop)
{
    open_file f(*this, digits);
    std::string bytes(10, '.');
    kernel->fail_nth(opcode::read, 1, EAGAIN);
    record& r = f.read(bytes, 0);
    {
        const test_support::no_more_descriptors limit;
        run();
    }
    BOOST_TEST(r.result == -EMFILE);
    BOOST_TEST(everything_is_back());
}

BOOST_AUTO_TEST_CASE(everything_arrives_whatever_the_kernel_does)
{
    std::string contents(200000, '\0');
    for (std::size_t i = 0; i < contents.size(); ++i)
        contents[i] = static_cast<char>(i * 7 / 5);
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        const auto plan = simulation_plan::random(seed);
        BOOST_TEST_CONTEXT(plan.describe())
        {
            simulated_loop l(small_options(), plan);
            open_file f(l, contents);
            std::deque<std::string> bytes;
            std::deque<record*> reads;
            for (std::size_t i = 0; i < 40; ++i)
                reads.push_back(&f.read(bytes.emplace_back(5000, '.'), i * 5000));
            l.run();
            for (std::size_t i = 0; i < 40; ++i) {
                const int n = reads[i]->result;
                BOOST_TEST((n == -EIO || n > 0 || n == -EAGAIN));
                if (n > 0)
                    BOOST_TEST((bytes[i].substr(0, static_cast<std::size_t>(n)) ==
                                contents.substr(i * 5000, static_cast<std::size_t>(n))));
            }
            BOOST_TEST(l.everything_is_back());
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
