// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "owned_operations.hpp"
#include "recorded_backend.hpp"

#include "support/lowered_limit.hpp"

#include <safer_ring/ring/quarantine.hpp>

#include <deque>
#include <optional>

using namespace unit;

// Transfers of files in which the kernel works on the buffer of the operation.

namespace {

std::uint64_t address_of(const void* memory)
{
    return reinterpret_cast<std::uint64_t>(memory);
}

/// A kernel that moves less than it was asked for.
simulation_plan moving_little()
{
    simulation_plan plan;
    plan.short_count = 1;
    return plan;
}

} // namespace

BOOST_AUTO_TEST_SUITE(owned_transfers)

BOOST_FIXTURE_TEST_CASE(kernel_works_on_the_buffer_itself, simulated_loop)
{
    open_file f(*this, digits);
    owned_transfer<> read(f, direction::read, owned_buffer(4), 3);
    owned_transfer<> write(f, direction::write, bytes_of("abc"), 7);
    owned_transfer<shared_buffer> shared(f, direction::write, bytes_of("!").freeze(), 10);
    run();
    BOOST_TEST(read.text() == "3456");
    BOOST_TEST(read.back.buffer.data() == read.memory);
    for (const auto& back : {read.back.all, write.back.all, shared.back.all})
        BOOST_TEST(back);
    BOOST_TEST(write.back.moved_bytes == 3U);
    BOOST_TEST(f.contents() == "0123456abc!");
    const auto reads = submitted(opcode::read), writes = submitted(opcode::write);
    BOOST_REQUIRE(reads.size() == 1U);
    BOOST_REQUIRE(writes.size() == 2U);
    BOOST_TEST(reads[0].address == address_of(read.memory));
    BOOST_TEST(writes[0].address == address_of(write.memory));
    BOOST_TEST(writes[1].address == address_of(shared.memory));
    BOOST_TEST(everything_is_back());
}

BOOST_AUTO_TEST_CASE(read_goes_on_where_the_kernel_stopped)
{
    std::string contents(5000, '\0');
    for (std::size_t i = 0; i < contents.size(); ++i)
        contents[i] = static_cast<char>(i * 7 / 5);
    simulated_loop l(small_options(), moving_little());
    open_file f(l, contents);
    owned_transfer<> t(f, direction::read, owned_buffer(4000), 500);
    l.run();
    BOOST_TEST(t.told.result == 0);
    BOOST_TEST(t.back.all);
    BOOST_TEST((t.text() == contents.substr(500, 4000)));
    BOOST_TEST(l.submitted(opcode::read).size() > 1U);
}

BOOST_AUTO_TEST_CASE(some_bytes_are_the_first_that_the_kernel_moves)
{
    simulated_loop l(small_options(), moving_little());
    open_file f(l, std::string(1000, 'c'));
    owned_transfer<> read(f, direction::read, owned_buffer(1000), 0, transfer_extent::some);
    l.run();
    owned_transfer<> write(f, direction::write, bytes_of(std::string(1000, 'd')), 0,
                           transfer_extent::some);
    l.run();
    for (const auto* t : {&read, &write}) {
        BOOST_TEST(t->told.result == 0);
        BOOST_TEST(t->back.moved_bytes > 0U);
        BOOST_TEST(!t->back.all);
    }
    BOOST_TEST((read.text() == std::string(read.back.moved_bytes, 'c')));
    BOOST_TEST((f.contents() == std::string(write.back.moved_bytes, 'd') +
                                    std::string(1000 - write.back.moved_bytes, 'c')));
    BOOST_TEST(l.submitted(opcode::read).size() == 1U);
    BOOST_TEST(l.submitted(opcode::write).size() == 1U);
}

BOOST_AUTO_TEST_CASE(each_piece_is_asked_for_behind_the_last)
{
    for (const direction way : {direction::read, direction::write}) {
        test_support::backend_record record;
        record.result = 3;
        simulated_loop l; // For a file, and for what tells the result.
        open_file f(l, digits);
        ring::event_loop loop(small_options(), ring::threading::one,
                              std::make_unique<test_support::recorded_backend>(record));
        ring::descriptor* const d = loop.open(f.file.get());
        d->concurrent = true;
        unit::record told;
        come_back<owned_buffer> back;
        owned_buffer buffer(8);
        const std::uint64_t address = address_of(buffer.data());
        loop.start(*d, way,
                   *new recorded<transfer_in_place<owned_buffer>>(
                       reporter{&told, nullptr, "", {}}, way, std::move(buffer), 100U, back),
                   nullptr);
        for (int i = 0; i != 20 && told.open(); ++i) {
            if (i == 2)
                record.result = 2; // Of the last piece there is no more.
            loop.run_one(l.self, std::chrono::nanoseconds(0));
        }
        BOOST_TEST(told.result == 0);
        BOOST_TEST(back.all);
        BOOST_TEST(back.moved_bytes == 8U);
        std::uint64_t done = 0;
        for (const auto& entry : record.entries) {
            BOOST_TEST(entry.address == address + done);
            BOOST_TEST(entry.offset == 100 + done);
            BOOST_TEST(entry.length == 8 - done);
            done += done == 6 ? 2 : 3;
        }
        BOOST_TEST(done == 8U);
        loop.close(d);
    }
}

BOOST_FIXTURE_TEST_CASE(end_of_the_file_ends_a_read, simulated_loop)
{
    open_file f(*this, digits);
    owned_transfer<> some(f, direction::read, owned_buffer(20), 4);
    owned_transfer<> none(f, direction::read, owned_buffer(20), 10);
    run();
    BOOST_TEST(some.told.result == 0);
    BOOST_TEST(!some.back.all);
    BOOST_TEST(some.text() == "456789");
    BOOST_TEST(none.told.result == 0);
    BOOST_TEST(none.back.moved_bytes == 0U);
}

BOOST_AUTO_TEST_CASE(error_behind_the_first_piece_leaves_what_was_moved)
{
    simulated_loop l(small_options(), moving_little());
    open_file f(l, std::string(1000, 'c'));
    l.kernel->fail_nth(opcode::read, 2, EIO);
    owned_transfer<> t(f, direction::read, owned_buffer(1000), 0);
    l.run();
    BOOST_TEST(t.told.result == -EIO);
    BOOST_TEST(t.back.moved_bytes > 0U);
    BOOST_TEST((t.text() == std::string(t.back.moved_bytes, 'c')));
}

BOOST_FIXTURE_TEST_CASE(nonblocking_file_is_read_by_a_worker_with_a_descriptor_of_its_own,
                        simulated_loop)
{
    for (const bool closes : {false, true}) {
        open_file f(*this, digits);
        kernel->fail_nth(opcode::write, 1, EAGAIN);
        kernel->hold(opcode::write);
        owned_transfer<> t(f, direction::write, bytes_of("abc"), 0);
        poll();
        poll();
        const int number = number_of_writing_worker(f);
        if (closes)
            f.close();
        BOOST_TEST(::fcntl(number, F_GETFD) >= 0);
        kernel->release();
        run();
        BOOST_TEST(t.told.result == (closes ? -ECANCELED : 0));
        f.close();
        BOOST_TEST(::fcntl(number, F_GETFD) < 0);
        BOOST_TEST(everything_is_back());
    }
}

BOOST_FIXTURE_TEST_CASE(worker_that_cannot_have_a_descriptor_is_an_error, simulated_loop)
{
    open_file f(*this, digits);
    kernel->fail_nth(opcode::read, 1, EAGAIN);
    owned_transfer<> t(f, direction::read, owned_buffer(10), 0);
    {
        const test_support::no_more_descriptors limit;
        run();
    }
    BOOST_TEST(t.told.result == -EMFILE);
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(cancelled_before_the_flush_it_never_begins, simulated_loop)
{
    for (const direction way : {direction::read, direction::write})
        for (const bool closes : {false, true}) {
            open_file f(*this, digits);
            owned_transfer<> t(f, way, bytes_of("abc"), 0);
            if (closes)
                f.close();
            else
                loop.cancel(t.id);
            poll();
            BOOST_TEST(t.told.result == -ECANCELED);
            BOOST_TEST(t.back.buffer.text() == "abc");
            BOOST_TEST(t.back.moved_bytes == 0U);
        }
    BOOST_TEST(submitted(opcode::read).empty());
    BOOST_TEST(submitted(opcode::write).empty());
}

BOOST_FIXTURE_TEST_CASE(nobody_who_ends_it_waits_for_the_disk, simulated_loop)
{
    enum ways { cancel_all, cancel_one, close, release };
    for (const direction way : {direction::read, direction::write})
        for (const ways by : {cancel_all, cancel_one, close, release}) {
            open_file f(*this, digits);
            kernel->hold_everything();
            owned_transfer<> t(f, way, bytes_of("abc"), 0);
            poll();
            const unsigned enters = kernel->count(simulation::call::enter);
            if (by == cancel_all)
                loop.cancel(*f.handle);
            else if (by == cancel_one)
                loop.cancel(t.id);
            else if (by == close)
                f.close();
            else
                loop.release(std::exchange(f.handle, nullptr));
            BOOST_TEST(kernel->count(simulation::call::enter) <= enters + 1);
            poll();
            BOOST_TEST(t.told.open()); // The buffer is the kernel's, and its handler waits.
            BOOST_TEST(is_lent(t.memory));
            kernel->release();
            run();
            const bool tells = by == cancel_all || by == cancel_one;
            BOOST_TEST(t.told.result == (tells ? 0 : -ECANCELED));
            BOOST_TEST(t.back.all == tells);
            BOOST_TEST(t.back.buffer.data() == t.memory);
            BOOST_TEST(t.back.buffer.text() == (way == direction::read ? "012" : "abc"));
            BOOST_TEST(everything_is_back());
        }
}

/// And not the end of the file, nor success, which would say that there is no more to do.
BOOST_AUTO_TEST_CASE(cancelled_behind_some_pieces_it_tells_both)
{
    for (const bool late : {false, true}) {
        simulated_loop l(small_options(), moving_little());
        open_file f(l, std::string(1000, 'c'));
        if (late)
            l.kernel->hold(opcode::read);
        else // So that request and cancellation are taken by the same call.
            l.kernel->fail_nth(simulation::call::enter, 1, EBUSY, shut_kernel::for_long);
        owned_transfer<> t(f, direction::read, owned_buffer(1000), 0);
        l.poll();
        l.kernel->fail_no_more(simulation::call::enter);
        l.loop.cancel(t.id);
        l.kernel->release();
        l.run();
        BOOST_TEST(t.told.result == -ECANCELED);
        BOOST_TEST(t.back.moved_bytes > 0U);
        BOOST_TEST(t.back.moved_bytes < 1000U);
        BOOST_TEST((t.text() == std::string(t.back.moved_bytes, 'c')));
        BOOST_TEST(l.submitted(opcode::read).size() == 1U);
        BOOST_TEST(l.everything_is_back());
    }
}

/// A device takes writes that do not wait, which few file systems do.
BOOST_FIXTURE_TEST_CASE(write_that_was_started_is_attempted_before_the_file_is_closed,
                        simulated_loop)
{
    for (const bool waits_for_a_disk : {false, true}) {
        const test_support::unique_descriptor file(::open("/dev/null", O_WRONLY));
        ring::descriptor* const d = loop.open(file.get());
        d->kind = ring::file_kind::regular;
        d->concurrent = true;
        d->direct = waits_for_a_disk;
        come_back<owned_buffer> back;
        record& told = start<transfer_in_place<owned_buffer>>(
            *d, direction::write, direction::write, bytes_of("abc"), 0U, back);
        loop.close(d);
        poll();
        BOOST_TEST(told.result == (waits_for_a_disk ? -ECANCELED : 0));
        BOOST_TEST(back.moved_bytes == (waits_for_a_disk ? 0U : 3U));
        BOOST_TEST(back.buffer.text() == "abc");
    }
    BOOST_TEST(submitted(opcode::write).empty());
}

BOOST_AUTO_TEST_CASE(registered_buffer_is_named_and_no_other)
{
    simulated_loop l, elsewhere;
    open_file f(l, digits);
    buffer_pool first(1, 4), pool(2, 4), others(1, 4), plain(1, 4);
    const registered_buffers of_first = registered(l, first);
    std::optional<registered_buffers> of_pool(registered(l, pool));
    const registered_buffers of_others = registered(elsewhere, others);
    owned_transfer<> read(f, direction::read, take_from(pool), 2);
    owned_transfer<> write(f, direction::write, take_from(pool, 'w'), 6);
    owned_transfer<> from_first(f, direction::read, take_from(first), 0);
    l.run();
    BOOST_TEST(read.text() == "2345");
    BOOST_TEST(f.contents() == "012345wwww");
    const auto reads = l.submitted(opcode::read_fixed), writes = l.submitted(opcode::write_fixed);
    BOOST_REQUIRE(reads.size() == 2U);
    BOOST_REQUIRE(writes.size() == 1U);
    BOOST_TEST(reads[0].buffer_group == 1U);
    BOOST_TEST(writes[0].buffer_group == 1U);
    BOOST_TEST(reads[1].buffer_group == 0U);
    BOOST_TEST(reads[0].address == address_of(read.memory));

    owned_transfer<> unregistered(f, direction::read, take_from(plain), 0);
    owned_transfer<> of_another_loop(f, direction::read, take_from(others), 0);
    owned_transfer<> from_the_heap(f, direction::write, bytes_of("heap"), 6);
    of_pool.reset();
    owned_transfer<> given_up(f, direction::read, std::move(read.back.buffer), 0);
    l.run();
    BOOST_TEST(given_up.text() == "0123");
    BOOST_TEST(l.submitted(opcode::read).size() == 3U);
    BOOST_TEST(l.submitted(opcode::write).size() == 1U);
    BOOST_TEST(l.submitted(opcode::read_fixed).size() == 2U);
}

/// As with a fork, whose child has a ring of its own.
BOOST_AUTO_TEST_CASE(registration_with_another_ring_is_forgotten)
{
    simulated_loop l, next;
    buffer_pool pool(1, 4);
    const registered_buffers of_pool = registered(l, pool);
    const owned_buffer buffer = take_from(pool);
    ring::registered_range range;
    const auto op_of = [&](simulated_loop& of) {
        range.look_in(of.loop.registrations());
        range.find(buffer.data());
        backend::submission_entry entry{};
        entry.op = opcode::read;
        entry.length = 4;
        range.prepare(entry, opcode::read_fixed);
        return entry.op;
    };
    BOOST_TEST((op_of(l) == opcode::read_fixed));
    BOOST_TEST((op_of(next) == opcode::read));
}

BOOST_FIXTURE_TEST_CASE(registration_stays_until_the_kernel_has_let_go, simulated_loop)
{
    open_file f(*this, digits);
    buffer_pool pool(1, 4), next(1, 4);
    std::optional<registered_buffers> handle(registered(*this, pool));
    kernel->hold(opcode::read);
    owned_transfer<> t(f, direction::read, take_from(pool), 0);
    poll();
    handle.reset();
    const registered_buffers elsewhere = registered(*this, next);
    kernel->release();
    run();
    BOOST_TEST(t.text() == "0123");
    owned_transfer<> other(f, direction::read, take_from(next), 0);
    run();
    BOOST_TEST(submitted(opcode::read_fixed).back().buffer_group == 1U);
    buffer_pool last(1, 4);
    const registered_buffers again = registered(*this, last);
    owned_transfer<> in_its_place(f, direction::read, take_from(last), 0);
    run();
    BOOST_TEST(submitted(opcode::read_fixed).back().buffer_group == 0U);
}

BOOST_AUTO_TEST_CASE(loop_that_goes_waits_for_what_is_under_way)
{
    const std::size_t kept_before = ring::quarantine::reclaim();
    simulation_plan plan;
    plan.late_start = 1;
    buffer_pool pool(1, 4);
    std::optional<registered_buffers> handle;
    record told;
    come_back<owned_buffer> back;
    {
        simulated_loop l(small_options(), plan);
        open_file f(l, digits);
        handle.emplace(registered(l, pool));
        l.loop.start(
            *f.handle, direction::read,
            *new recorded<transfer_in_place<owned_buffer>>(
                reporter{&told, nullptr, "", {}}, direction::read, take_from(pool), 0U, back),
            nullptr);
        l.poll();
        BOOST_TEST(missing(pool) == 1U);
        BOOST_TEST(l.kernel->in_flight_count() == 1U);
    }
    BOOST_TEST(told.destroyed());
    BOOST_TEST(missing(pool) == 0U);
    BOOST_TEST(ring::quarantine::reclaim() == kept_before);
}

BOOST_AUTO_TEST_CASE(buffers_outlive_a_loop_that_the_disk_outlasts)
{
    options settings = small_options();
    settings.drain_deadline_ms = 1;
    for (const bool is_registered : {false, true})
        for (const direction way : {direction::read, direction::write}) {
            const std::size_t kept_before = ring::quarantine::reclaim();
            std::optional<buffer_pool> pool(std::in_place, 1, 4);
            std::optional<registered_buffers> handle;
            record told;
            come_back<owned_buffer> back;
            auto l = std::make_unique<simulated_loop>(settings);
            const auto kernel = l->kernel;
            const test_support::unique_descriptor file(
                ::open("/dev/shm", O_TMPFILE | O_RDWR, 0600));
            BOOST_REQUIRE(::write(file.get(), "0123", 4) == 4);
            ring::descriptor* const d = l->loop.open(file.get());
            d->kind = ring::file_kind::regular;
            d->concurrent = true;
            if (is_registered)
                handle.emplace(registered(*l, *pool));
            kernel->hold_everything();
            l->loop.start(
                *d, way,
                *new recorded<transfer_in_place<owned_buffer>>(
                    reporter{&told, nullptr, "", {}}, way, take_from(*pool, 'w'), 0U, back),
                nullptr);
            l->poll();
            l.reset();
            BOOST_TEST(told.destroyed());
            BOOST_TEST(missing(*pool) == 1U);
            BOOST_TEST(ring::quarantine::reclaim() == kept_before + 1);
            // The memory is the kernel's, whatever becomes of pool and handle.
            if (way == direction::write) {
                pool.reset();
                handle.reset();
            }
            kernel->release();
            BOOST_TEST(ring::quarantine::reclaim() == kept_before);
            char bytes[4];
            BOOST_REQUIRE(::pread(file.get(), bytes, 4, 0) == 4);
            BOOST_TEST(std::string(bytes, 4) == (way == direction::read ? "0123" : "wwww"));
            if (pool)
                BOOST_TEST(missing(*pool) == 0U);
        }
}

/// A worker may look its number up when the loop is gone.
BOOST_AUTO_TEST_CASE(number_of_a_worker_that_outlasts_the_loop_becomes_nobody_elses)
{
    options settings = small_options();
    settings.drain_deadline_ms = 1;
    int number = -1;
    std::shared_ptr<simulation> kernel;
    {
        simulated_loop l(settings);
        kernel = l.kernel;
        open_file f(l, digits);
        kernel->fail_nth(opcode::read, 1, EAGAIN);
        kernel->hold(opcode::read);
        owned_transfer<> t(f, direction::read, owned_buffer(4), 0);
        l.poll();
        l.poll();
        number = l.submitted(opcode::read).back().fd;
        BOOST_REQUIRE(number != f.file.get());
    }
    BOOST_TEST(::fcntl(number, F_GETFD) >= 0);
    ::close(number);
    kernel->release();
}

BOOST_AUTO_TEST_CASE(everything_arrives_whatever_the_kernel_does)
{
    std::string contents(100000, '\0');
    for (std::size_t i = 0; i < contents.size(); ++i)
        contents[i] = static_cast<char>(i * 7 / 5);
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        const auto plan = simulation_plan::random(seed);
        BOOST_TEST_CONTEXT(plan.describe())
        {
            simulated_loop l(small_options(), plan);
            open_file f(l, contents), copy(l, "");
            buffer_pool pool(10, 5000);
            const registered_buffers handle = registered(l, pool);
            std::deque<owned_transfer<>> reads, writes;
            for (std::size_t i = 0; i < 20; ++i) {
                owned_buffer to = i < 10 ? take_from(pool) : owned_buffer(5000);
                reads.emplace_back(f, direction::read, std::move(to), i * 5000);
                writes.emplace_back(copy, direction::write,
                                    bytes_of(contents.substr(i * 5000, 5000)), i * 5000);
            }
            l.run();
            for (std::size_t i = 0; i < 20; ++i) {
                const int read = reads[i].told.result, written = writes[i].told.result;
                BOOST_TEST((read == 0 || read == -EIO || read == -EAGAIN));
                BOOST_TEST(reads[i].back.all == (read == 0));
                BOOST_TEST(
                    (reads[i].text() == contents.substr(i * 5000, reads[i].back.moved_bytes)));
                BOOST_TEST(
                    (written == 0 || written == -EIO || written == -ENOSPC || written == -EAGAIN));
                BOOST_TEST(writes[i].back.all == (written == 0));
                if (written == 0)
                    BOOST_TEST((copy.contents().substr(i * 5000, 5000) ==
                                contents.substr(i * 5000, 5000)));
            }
            BOOST_TEST(l.everything_is_back());
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
