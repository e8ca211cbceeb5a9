// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "recorded_backend.hpp"

#include "support/blocking_peer.hpp"

#include "support/error_of.hpp"
#include "support/lowered_limit.hpp"

#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/io_ring.hpp>

#include <boost/test/unit_test.hpp>

#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

using namespace safer_ring;
using test_support::backend_record;
using test_support::error_of;
using test_support::has;
using test_support::recorded_backend;

namespace {

/// A ring whose kernel completes everything at once, and tells what it was told.
struct recorded_ring {
    explicit recorded_ring(const features& found = recorded_backend::all())
        : ring(std::in_place, std::make_unique<recorded_backend>(record, found))
    {
    }
    const backend::submission_entry& last() const { return record.entries.back(); }

    backend_record record;
    buffer_pool pool{4, 100};
    std::optional<io_ring> ring;
};

} // namespace

BOOST_AUTO_TEST_SUITE(registries)

BOOST_FIXTURE_TEST_CASE(table_is_made_with_the_first_file_and_places_are_used_again, recorded_ring)
{
    BOOST_TEST(record.file_places == 0U);
    registered_file first = ring->register_file(70);
    BOOST_TEST(record.file_places == options().registered_file_count);
    const registered_file second = ring->register_file(71);
    BOOST_TEST(first.index() == 0);
    BOOST_TEST(second.index() == 1);
    BOOST_TEST(record.files[0] == 70);
    BOOST_TEST(record.files[1] == 71);
    ring->unregister(std::move(first));
    BOOST_TEST(record.files.count(0) == 0U);
    BOOST_TEST(record.files.count(1) == 1U);
    const registered_file third = ring->register_file(72);
    BOOST_TEST(third.index() == 0);
    BOOST_TEST(record.files[0] == 72);
}

BOOST_FIXTURE_TEST_CASE(operation_on_a_registered_file_names_its_place, recorded_ring)
{
    const registered_file other = ring->register_file(70);
    const registered_file file = ring->register_file(71);
    static_cast<void>(ring->read(file, owned_buffer(8)).submit().wait());
    BOOST_TEST(last().fd == 1);
    BOOST_TEST((last().flags & backend::entry_fixed_file) != 0);
    static_cast<void>(ring->read(71, owned_buffer(8)).submit().wait());
    BOOST_TEST(last().fd == 71);
    BOOST_TEST((last().flags & backend::entry_fixed_file) == 0);
    static_cast<void>(ring->splice(file, 0, other, 0, 10).submit().wait());
    BOOST_TEST(last().fd == 0);
    BOOST_TEST(last().file_index == 1);
    BOOST_TEST((last().flags & backend::entry_fixed_file) != 0);
    BOOST_TEST(last().op_flags == backend::splice_from_fixed);
    static_cast<void>(ring->splice(9, 0, other, 0, 10).submit().wait());
    BOOST_TEST(last().file_index == 9);
    BOOST_TEST(last().op_flags == 0U);
}

BOOST_FIXTURE_TEST_CASE(place_stays_until_the_last_operation_on_it_is_over, recorded_ring)
{
    std::optional<registered_file> file(ring->register_file(70));
    {
        auto reading = ring->read(*file, owned_buffer(8));
        file.reset();
        BOOST_TEST(record.files.count(0) == 1U);
        const registered_file elsewhere = ring->register_file(71);
        BOOST_TEST(elsewhere.index() == 1);
        auto going_on = std::move(reading).submit();
        BOOST_TEST(record.files.count(0) == 1U);
        const auto over = std::move(going_on).wait();
        BOOST_TEST(last().fd == 0);
        BOOST_TEST(record.files.count(0) == 0U); // Although the operation is still held.
    }
}

BOOST_FIXTURE_TEST_CASE(operation_that_is_never_submitted_keeps_no_place, recorded_ring)
{
    registered_file file = ring->register_file(70);
    {
        auto reading = ring->read(file, owned_buffer(8));
        const std::string text = error_of([&] { ring->unregister(std::move(file)); },
                                          std::errc::device_or_resource_busy);
        BOOST_TEST(has(text, "unregistering file 0"));
        BOOST_TEST(has(text, "wait for them or cancel them"));
        BOOST_TEST(file.is_open());
    }
    ring->unregister(std::move(file));
    BOOST_TEST(!file.is_open());
    BOOST_TEST(record.files.empty());
}

BOOST_FIXTURE_TEST_CASE(file_in_its_place_is_replaced_unless_in_use, recorded_ring)
{
    registered_file file = ring->register_file(70);
    ring->replace(file, 71);
    BOOST_TEST(record.files[0] == 71);
    const auto reading = ring->read(file, owned_buffer(8));
    const std::string text =
        error_of([&] { ring->replace(file, 72); }, std::errc::device_or_resource_busy);
    BOOST_TEST(has(text, "descriptor 72"));
    BOOST_TEST(record.files[0] == 71);
    error_of([&] { ring->replace(file, -2); }, std::errc::bad_file_descriptor);
    BOOST_TEST(record.files[0] == 71);
}

BOOST_FIXTURE_TEST_CASE(failed_registration_takes_no_place, recorded_ring)
{
    record.failures = {-EBADF};
    const std::string text = error_of([&] { static_cast<void>(ring->register_file(7)); },
                                      std::errc::bad_file_descriptor);
    BOOST_TEST(has(text, "registering descriptor 7"));
    // These would mean something else to the kernel.
    for (const int fd : {-1, -2})
        BOOST_TEST(!error_of([&] { static_cast<void>(ring->register_file(fd)); },
                             std::errc::bad_file_descriptor)
                        .empty());
    BOOST_TEST(ring->register_file(8).index() == 0);
}

BOOST_FIXTURE_TEST_CASE(place_that_could_not_be_cleared_is_not_given_away_before_it_is,
                        recorded_ring)
{
    registered_file first = ring->register_file(70);
    record.failures = {-ENOMEM};
    ring->unregister(std::move(first));
    BOOST_TEST(record.files.count(0) == 1U);
    record.failures = {-ENOMEM};
    BOOST_TEST(ring->register_file(71).index() == 1);
    BOOST_TEST(record.files.count(0) == 1U);
    const registered_file third = ring->register_file(72);
    BOOST_TEST(third.index() == 0);
    BOOST_TEST(record.files[0] == 72);
}

BOOST_AUTO_TEST_CASE(more_than_there_are_places_are_refused)
{
    backend_record record;
    recorded_backend kernel(record);
    ring::registry_owner owner(kernel);
    ring::registry& registry = *owner;
    registry.set_limits(2, 1);
    const ring::registration_share first = registry.register_file(70);
    std::optional<ring::registration_share> second(registry.register_file(71));
    BOOST_TEST(record.file_places == 2U);
    const std::string text = error_of([&] { static_cast<void>(registry.register_file(72)); },
                                      std::errc::too_many_files_open_in_system);
    BOOST_TEST(has(text, "all 2 places are taken; options::registered_file_count"));
    ring::registration_share third;
    BOOST_TEST(registry.reserve_file(third) == -ENFILE);
    second.reset();
    BOOST_TEST(registry.reserve_file(third) == 0);
    BOOST_TEST(third->index == 1U);
    BOOST_TEST(record.files.size() == 1U);
}

BOOST_AUTO_TEST_CASE(table_is_made_early_where_it_would_wait_for_what_is_in_flight)
{
    for (const bool newer : {false, true}) {
        features found = recorded_backend::all();
        found.registered_buffers = newer;
        backend_record record;
        recorded_backend kernel(record, found);
        const ring::registry_owner owner(kernel);
        (*owner).set_limits(5, 5);
        BOOST_TEST(record.file_places == (newer ? 0U : 5U));
    }
}

BOOST_AUTO_TEST_CASE(kernel_without_registrations_says_so)
{
    recorded_ring r{features()};
    const std::string of_file = error_of([&] { static_cast<void>(r.ring->register_file(7)); },
                                         std::errc::operation_not_supported);
    BOOST_TEST(has(of_file, "no registered files"));
    const std::string of_pool =
        error_of([&] { static_cast<void>(r.ring->register_buffers(r.pool)); },
                 std::errc::operation_not_supported);
    BOOST_TEST(has(of_pool, "Linux 5.13"));
    features found = recorded_backend::all();
    found.direct_descriptors = false;
    recorded_ring older{found};
    older.record.result = -EBADF; // What kernels answer to the end of no descriptor.
    auto [opened, file] = older.ring->open_direct("/dev/null", O_RDONLY).submit().wait().take();
    BOOST_TEST((opened.code() == std::errc::operation_not_supported));
    BOOST_TEST(!file.is_open());
    BOOST_TEST((older.last().op == backend::opcode::close && older.last().fd == -1));
}

BOOST_FIXTURE_TEST_CASE(handles_outlive_their_ring, recorded_ring)
{
    registered_file file = ring->register_file(70);
    registered_buffers buffers = ring->register_buffers(pool);
    const operation<ops::read, building> made = ring->read(file, owned_buffer(8));
    ring.reset();
    BOOST_TEST(record.gone);
    BOOST_TEST(record.files.size() == 1U);
    file = registered_file();
    buffers = registered_buffers();
    BOOST_TEST(record.files.size() == 1U); // Nobody has told a backend that is gone.
}

BOOST_FIXTURE_TEST_CASE(reads_and_writes_of_registered_buffers_name_their_place, recorded_ring)
{
    buffer_pool other(2, 5000);
    const auto read_into = [&](owned_buffer buffer) {
        return ring->read(7, std::move(buffer)).submit().wait().take().second;
    };
    owned_buffer buffer = read_into(std::move(*other.try_acquire()));
    BOOST_TEST((last().op == backend::opcode::read));
    std::optional<registered_buffers> first(ring->register_buffers(pool));
    BOOST_TEST(record.buffer_places == options().registered_buffer_count);
    registered_buffers second = ring->register_buffers(other);
    BOOST_TEST(record.buffers[1].second == second.size_bytes());
    buffer = read_into(std::move(buffer));
    BOOST_TEST((last().op == backend::opcode::read_fixed));
    BOOST_TEST(last().buffer_group == 1U);
    read_into(std::move(*pool.try_acquire()));
    BOOST_TEST(last().buffer_group == 0U);
    read_into(owned_buffer(64));
    BOOST_TEST((last().op == backend::opcode::read));

    // Behind the beginning of the last buffer, and shared.
    std::optional<owned_buffer> last_one = other.try_acquire();
    last_one->consume(4999);
    const shared_buffer shared = std::move(*last_one).freeze();
    static_cast<void>(ring->write(7, shared).submit().wait());
    BOOST_TEST((last().op == backend::opcode::write_fixed));
    BOOST_TEST(last().buffer_group == 1U);
    BOOST_TEST(last().length == 1U);
    static_cast<void>(ring->send(7, shared).submit().wait());
    BOOST_TEST((last().op == backend::opcode::send));
    owned_buffer empty = std::move(*pool.try_acquire());
    empty.resize(0);
    static_cast<void>(ring->write(7, std::move(empty)).submit().wait());
    BOOST_TEST((last().op == backend::opcode::write)); // The kernel has no empty ranges.

    first.reset();
    BOOST_TEST(record.buffers.count(0) == 0U);
    read_into(std::move(*pool.try_acquire()));
    BOOST_TEST((last().op == backend::opcode::read));
    ring->unregister(std::move(second));
    read_into(std::move(buffer));
    BOOST_TEST((last().op == backend::opcode::read));
    BOOST_TEST(record.buffers.empty());
}

BOOST_FIXTURE_TEST_CASE(zero_copy_sends_of_registered_buffers_name_their_place, recorded_ring)
{
    const auto send = [&](owned_buffer buffer) {
        record.result = static_cast<int>(buffer.size());
        return ring->send_zero_copy(7, std::move(buffer)).submit().wait();
    };
    const registered_buffers registered = ring->register_buffers(pool);
    send(owned_buffer::copy_of("elsewhere"));
    BOOST_TEST((last().op == backend::opcode::send_zc));
    BOOST_TEST(last().ioprio == 0U);
    send(std::move(*pool.try_acquire()));
    BOOST_TEST((last().op == backend::opcode::send_zc));
    BOOST_TEST(last().ioprio == backend::send_registered_buffer);
    BOOST_TEST(last().buffer_group == 0U);

    // A socket that cannot: the ordinary send knows no such flag.
    record.result = -EOPNOTSUPP;
    auto sending = ring->send_zero_copy(7, std::move(*pool.try_acquire())).submit();
    ring->flush();
    BOOST_TEST(last().ioprio == backend::send_registered_buffer);
    record.result = 0;
    static_cast<void>(std::move(sending).wait());
    BOOST_TEST((last().op == backend::opcode::send));
    BOOST_TEST(last().ioprio == 0U);

    features older = recorded_backend::all();
    older.zero_copy_send = false;
    recorded_ring without{older};
    const registered_buffers there = without.ring->register_buffers(without.pool);
    static_cast<void>(
        without.ring->send_zero_copy(7, std::move(*without.pool.try_acquire())).submit().wait());
    BOOST_TEST((without.last().op == backend::opcode::send));
    BOOST_TEST(without.last().ioprio == 0U);
}

BOOST_FIXTURE_TEST_CASE(vectored_operations_on_one_registered_pool_name_its_place, recorded_ring)
{
    buffer_pool other(2, 5000);
    const test_support::unique_descriptor stored(::memfd_create("vectors", MFD_CLOEXEC));
    const registered_file file = ring->register_file(stored.get());
    const auto both = [](std::optional<owned_buffer> a, std::optional<owned_buffer> b) {
        std::vector<owned_buffer> buffers;
        buffers.push_back(std::move(*a));
        buffers.push_back(std::move(*b));
        return buffers;
    };
    const auto op_of = [&](std::vector<owned_buffer> buffers) {
        static_cast<void>(ring->read(file, std::move(buffers)).submit().wait());
        return last().op;
    };
    const registered_buffers first = ring->register_buffers(pool);
    const registered_buffers second = ring->register_buffers(other);
    using backend::opcode;
    BOOST_TEST((op_of(both(other.try_acquire(), other.try_acquire())) == opcode::readv_fixed));
    BOOST_TEST(last().buffer_group == 1U);
    BOOST_TEST(last().length == 2U);
    BOOST_TEST((op_of(both(pool.try_acquire(), other.try_acquire())) == opcode::readv));
    BOOST_TEST((op_of(both(pool.try_acquire(), owned_buffer(8))) == opcode::readv));
    BOOST_TEST((op_of(both(owned_buffer(8), pool.try_acquire())) == opcode::readv));
    BOOST_TEST((op_of({}) == opcode::readv));

    static_cast<void>(
        ring->write(file, both(other.try_acquire(), other.try_acquire())).submit().wait());
    BOOST_TEST((last().op == opcode::writev_fixed));
    for (const std::size_t empty : {0U, 1U}) {
        auto with_empty = both(other.try_acquire(), other.try_acquire());
        with_empty[empty].resize(0);
        static_cast<void>(ring->write(file, std::move(with_empty)).submit().wait());
        BOOST_TEST((last().op == opcode::writev));
    }
    // More than the kernel takes from there: as any.
    buffer_pool large(1, 1 << 22);
    const registered_buffers third = ring->register_buffers(large);
    const shared_buffer piece = std::move(*large.try_acquire()).freeze();
    static_cast<void>(ring->write(file, std::vector(400, piece)).submit().wait());
    BOOST_TEST((last().op == opcode::writev_fixed));
    static_cast<void>(ring->write(file, std::vector(600, piece)).submit().wait());
    BOOST_TEST((last().op == opcode::writev));

    // The kernel would take the array for the memory on some files, and one by its number may be any.
    static_cast<void>(
        ring->read(stored.get(), both(other.try_acquire(), other.try_acquire())).submit().wait());
    BOOST_TEST((last().op == opcode::readv));
    const test_support::unique_descriptor comm(::open("/proc/self/comm", O_RDONLY | O_CLOEXEC));
    const registered_file of_proc = ring->register_file(comm.get());
    static_cast<void>(
        ring->read(of_proc, both(other.try_acquire(), other.try_acquire())).submit().wait());
    BOOST_TEST((last().op == opcode::readv));
    static_cast<void>(ring->register_file(stored.get())); // Its place is the next one's.
    const auto opened = ring->open_direct("/dev/null", O_RDONLY).submit().wait().take().second;
    static_cast<void>(
        ring->read(opened, both(other.try_acquire(), other.try_acquire())).submit().wait());
    BOOST_TEST((last().op == opcode::readv));

    features older = recorded_backend::all();
    older.registered_vectors = false;
    recorded_ring without{older};
    const registered_buffers there = without.ring->register_buffers(without.pool);
    const registered_file file_there = without.ring->register_file(stored.get());
    static_cast<void>(
        without.ring->read(file_there, both(without.pool.try_acquire(), without.pool.try_acquire()))
            .submit()
            .wait());
    BOOST_TEST((without.last().op == opcode::readv));
}

BOOST_FIXTURE_TEST_CASE(registered_buffers_stay_until_the_last_operation_is_over, recorded_ring)
{
    std::optional<registered_buffers> registered(ring->register_buffers(pool));
    auto reading = ring->read(7, std::move(*pool.try_acquire())).submit();
    const std::string text = error_of([&] { ring->unregister(std::move(*registered)); },
                                      std::errc::device_or_resource_busy);
    BOOST_TEST(has(text, "unregistering buffers 0"));
    BOOST_TEST(registered->is_registered());
    registered.reset();
    BOOST_TEST(record.buffers.count(0) == 1U);
    auto second = ring->read(7, std::move(*pool.try_acquire())).submit();
    const auto over = std::move(second).wait(), first_over = std::move(reading).wait();
    BOOST_TEST((record.entries[0].op == backend::opcode::read_fixed));
    BOOST_TEST((record.entries[1].op == backend::opcode::read)); // It keeps nothing.
    BOOST_TEST(record.buffers.empty());
}

BOOST_FIXTURE_TEST_CASE(pool_is_registered_with_two_rings_and_goes_before_them, recorded_ring)
{
    backend_record elsewhere;
    io_ring other(std::make_unique<recorded_backend>(elsewhere));
    std::optional<buffer_pool> gone(std::in_place, 2, 100);
    owned_buffer buffer = std::move(*gone->try_acquire());
    registered_buffers here = ring->register_buffers(*gone);
    registered_buffers there = other.register_buffers(*gone);
    gone.reset();
    buffer = other.read(7, std::move(buffer)).submit().wait().take().second;
    BOOST_TEST((elsewhere.entries.back().op == backend::opcode::read_fixed));
    here = registered_buffers();
    buffer = ring->read(7, std::move(buffer)).submit().wait().take().second;
    BOOST_TEST((last().op == backend::opcode::read));
    buffer = owned_buffer();
    BOOST_TEST(there.size_bytes() == elsewhere.buffers[0].second);
    // Under AddressSanitizer, and for a mapping at all, this tells whether the memory is still there.
    const auto [memory, size_bytes] = elsewhere.buffers[0];
    safer_ring::ring::unpoison(memory, size_bytes);
    static_cast<std::byte*>(memory)[size_bytes - 1] = std::byte{1};
    there = registered_buffers();
    unsigned char resident = 0;
    BOOST_TEST(::mincore(memory, 1, &resident) == -1); // Not mapped any more.
    buffer_pool moved(1, 1), to = std::move(moved);
    BOOST_CHECK_THROW(static_cast<void>(ring->register_buffers(moved)), std::invalid_argument);
}

BOOST_FIXTURE_TEST_CASE(limit_of_locked_memory_is_explained, recorded_ring)
{
    const test_support::lowered_limit little(RLIMIT_MEMLOCK, 65536);
    record.failures = {-ENOMEM};
    const std::string text = error_of([&] { static_cast<void>(ring->register_buffers(pool)); },
                                      std::errc::not_enough_memory);
    BOOST_TEST(has(text, "registering a pool of 16384 bytes"));
    BOOST_TEST(has(text, "RLIMIT_MEMLOCK is 65536 bytes"));
    BOOST_TEST(has(text, "CAP_IPC_LOCK"));
    const registered_buffers registered = ring->register_buffers(pool);
    BOOST_TEST(record.buffers.count(0) == 1U);
    buffer_pool large((std::size_t{1} << 18) + 1, 4096);
    BOOST_TEST(has(error_of([&] { static_cast<void>(ring->register_buffers(large)); },
                            std::errc::argument_list_too_long),
                   "use several pools"));
}

BOOST_FIXTURE_TEST_CASE(direct_descriptor_has_a_place_from_its_submission_on, recorded_ring)
{
    const registered_file listener = ring->register_file(70);
    record.result = -ECONNABORTED;
    auto [failed, none] = ring->accept_direct(listener).submit().wait().take();
    BOOST_TEST((failed.code() == std::errc::connection_aborted));
    BOOST_TEST(!none.is_open());
    BOOST_TEST(last().fd == 0);
    BOOST_TEST(last().file_index == 2); // Counted from one.
    BOOST_TEST(last().op_flags == 0U);
    record.result = 0;
    {
        auto [accepted, file] = ring->accept_direct(7).submit().wait().take();
        BOOST_TEST(accepted.value() == 1);
        BOOST_TEST(file.index() == 1);
        BOOST_TEST(last().fd == 7);
        record.files[1] = 99; // As the kernel does.
        auto [opened, second] =
            ring->open_direct("/dev/null", O_RDONLY | O_CLOEXEC).submit().wait().take();
        BOOST_TEST(opened.value() == 2);
        BOOST_TEST(last().op_flags == static_cast<std::uint32_t>(O_RDONLY));
    }
    BOOST_TEST(record.files.count(1) == 0U);
    // Taken by nobody.
    record.files[1] = 99;
    static_cast<void>(ring->socket_direct(AF_INET, SOCK_STREAM | SOCK_CLOEXEC).submit().wait());
    BOOST_TEST(record.files.count(1) == 0U);
    BOOST_TEST(last().offset == static_cast<std::uint64_t>(SOCK_STREAM));
    // Dropped: it is complete by the time it is cancelled.
    record.files[1] = 99;
    {
        auto dropped = ring->socket_direct(AF_INET, SOCK_STREAM).submit();
        ring->flush();
    }
    BOOST_TEST(record.files.count(1) == 0U);
    BOOST_TEST(record.files.count(0) == 1U);
}

BOOST_FIXTURE_TEST_CASE(place_of_a_closed_file_is_free_when_the_close_is_complete, recorded_ring)
{
    registered_file file = ring->register_file(70);
    auto reading = ring->read(file, owned_buffer(8));
    auto closing = ring->close(std::move(file)).submit();
    const registered_file beside = ring->register_file(71);
    BOOST_TEST(beside.index() == 1);
    ring->flush();
    BOOST_TEST((last().op == backend::opcode::close));
    BOOST_TEST(last().fd == 0);
    BOOST_TEST(last().file_index == 1);
    BOOST_TEST((last().flags & backend::entry_fixed_file) == 0);
    const auto closed = std::move(closing).wait().result();
    BOOST_TEST(closed.value() == 0);
    BOOST_TEST(ring->register_file(72).index() == 2); // Somebody may still name the first.
    static_cast<void>(std::move(reading).submit().wait());
    BOOST_TEST(record.files.count(0) == 1U); // The kernel has closed it, so nobody else did.
    BOOST_TEST(ring->register_file(73).index() == 0);
}

BOOST_FIXTURE_TEST_CASE(close_of_a_registered_file_that_fails_ends_the_registration, recorded_ring)
{
    record.result = -EIO;
    const auto failed = ring->close(ring->register_file(70)).submit().wait().result();
    BOOST_TEST(failed.error().registered_file == 0);
    BOOST_TEST(has(failed.error().message(), "registered file 0"));
    BOOST_TEST(record.files.empty());
    // Never submitted, and given up.
    static_cast<void>(ring->close(ring->register_file(71)));
    BOOST_TEST(record.files.empty());
    static_cast<void>(ring->close(ring->register_file(72)).submit());
    ring->poll();
    BOOST_TEST(record.files.empty());
}

BOOST_AUTO_TEST_CASE(registered_file_is_closed_by_hand_where_the_kernel_cannot)
{
    features found = recorded_backend::all();
    found.direct_descriptors = false;
    recorded_ring older{found};
    auto closing = older.ring->close(older.ring->register_file(70)).submit();
    older.ring->flush();
    BOOST_TEST((older.last().op == backend::opcode::nop));
    BOOST_TEST(older.record.files.size() == 1U);
    const auto closed = std::move(closing).wait().result();
    BOOST_TEST(closed.value() == 0);
    BOOST_TEST(older.record.files.empty());
}

BOOST_FIXTURE_TEST_CASE(errors_name_the_registered_file, recorded_ring)
{
    const registered_file file = ring->register_file(70);
    record.result = -EIO;
    const auto result = ring->read(file, owned_buffer(8)).submit().wait().result();
    BOOST_TEST(result.error().message() ==
               "read of 8 bytes on registered file 0: Input/output error");
    auto first = ring->read(file, owned_buffer(8)).submit();
    BOOST_TEST(has(ring->describe(), "read of 8 bytes on registered file 0, buffer "));
    ring->cancel(file);
    const auto of_first = std::move(first).wait().result();
    BOOST_TEST((of_first.code() == std::errc::operation_canceled));
    auto second = ring->read(file, owned_buffer(8)).submit();
    for (const int fd : {-1, 0}) // The descriptor of that number is another file.
        ring->cancel(fd);
    const auto of_second = std::move(second).wait().result();
    BOOST_TEST((of_second.code() == std::errc::io_error));
    auto splicing = ring->splice(file, 0, 5, 0, 8).submit();
    ring->cancel(file);
    const auto of_splicing = std::move(splicing).wait().result();
    BOOST_TEST((of_splicing.code() == std::errc::operation_canceled));
}

BOOST_FIXTURE_TEST_CASE(threads_register_and_use_and_give_up_at_once, recorded_ring)
{
    std::vector<std::thread> threads;
    buffer_pool shared_pool(64, 100);
    std::optional<registered_file> common(ring->register_file(70));
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 200; ++i) {
                registered_file mine = ring->register_file(100 + t);
                auto buffers = ring->register_buffers(shared_pool);
                auto both = ring->read(mine, std::move(*shared_pool.try_acquire())).submit();
                auto reading = ring->read(*common, owned_buffer(8)).submit();
                if (i % 2 == 0)
                    mine = registered_file();
                if (i % 3 == 0)
                    buffers = registered_buffers();
                static_cast<void>(std::move(both).wait());
                static_cast<void>(std::move(reading).wait());
            }
        });
    for (std::thread& each : threads)
        each.join();
    BOOST_TEST(record.files.size() == 1U);
    BOOST_TEST(record.buffers.empty());
    ring->unregister(std::move(*common));
    BOOST_TEST(record.files.empty());
}

BOOST_AUTO_TEST_SUITE_END()
