// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "owned_operations.hpp"
#include "recorded_backend.hpp"

#include <safer_ring/ring/file_requests.hpp>
#include <safer_ring/ring/item_source.hpp>

#include <deque>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/un.h>
#include <system_error>
#include <thread>

using namespace unit;

// Descriptors of a loop that are registered with its ring.

namespace {

using backend::submission_entry;

class sync_of_test : public ring::sync_operation {
protected:
    using ring::sync_operation::sync_operation;
    ~sync_of_test() = default;
    int final_result() const noexcept { return outcome(); }
};

class next_item : public ring::item_operation {
protected:
    ~next_item() = default;
    int final_result() const noexcept { return result(); }
};

bool names_place(const submission_entry& entry, unsigned index)
{
    return (entry.flags & backend::entry_fixed_file) != 0 && entry.fd == static_cast<int>(index);
}

bool names_number(const submission_entry& entry, int fd)
{
    return (entry.flags & backend::entry_fixed_file) == 0 && entry.fd == fd;
}

/// The only one of its kind.
submission_entry only(const simulated_loop& l, opcode op)
{
    const auto entries = l.submitted(op);
    BOOST_REQUIRE(entries.size() == 1U);
    return entries.front();
}

test_support::unique_descriptor local_socket()
{
    return test_support::unique_descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

/// The errno of what `f` throws, and its text.
template <class F>
std::pair<int, std::string> refusal(F f)
{
    try {
        f();
    } catch (const std::system_error& e) {
        return {e.code().value(), e.what()};
    }
    return {0, ""};
}

} // namespace

BOOST_AUTO_TEST_SUITE(registered_descriptors)

BOOST_FIXTURE_TEST_CASE(requests_of_a_registered_socket_name_its_place, simulated_loop)
{
    connection first(*this), c(*this), other(*this);
    loop.register_file(*first);
    loop.register_file(*c);
    std::string in(8, ' '), in_other(8, ' '), out = "out";
    record& received = start<receive_into>(*c, direction::read, in);
    start<receive_into>(*other, direction::read, in_other);
    record& sent = start<send_from>(*c, direction::write, out);
    record& urgent = start<wait_for_events>(*first, direction::except, short{POLLPRI});
    poll();
    c.peer.write("in");
    other.peer.write("other");
    poll();
    loop.cancel(*first);
    run();
    BOOST_TEST(received.result == 2);
    BOOST_TEST(sent.result == 3);
    BOOST_TEST(c.peer.read(3) == "out");
    BOOST_TEST(urgent.result == -ECANCELED);
    BOOST_TEST(in_other.substr(0, 5) == "other");
    const auto receives = submitted(opcode::recv);
    BOOST_REQUIRE(receives.size() == 2U);
    BOOST_TEST(names_place(receives[0], 1));
    BOOST_TEST(names_number(receives[1], other.socket.get()));
    BOOST_TEST(names_place(only(*this, opcode::send), 1));
    BOOST_TEST(names_place(only(*this, opcode::poll_add), 0));
}

BOOST_FIXTURE_TEST_CASE(so_do_those_that_accept_and_connect, simulated_loop)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto listener = local_socket();
    // The kernel chooses a name.
    BOOST_REQUIRE(
        ::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)) == 0);
    BOOST_REQUIRE(::listen(listener.get(), 4) == 0);
    socklen_t size = sizeof address;
    BOOST_REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    const auto client = local_socket();
    ring::descriptor* const accepting = loop.open(listener.get());
    ring::descriptor* const connecting = loop.open(client.get());
    loop.register_file(*accepting);
    loop.register_file(*connecting);
    record& accepted = start<accept_one>(*accepting, direction::read);
    record& connected = start<connect_to>(*connecting, direction::write, &address, size);
    run();
    BOOST_TEST(connected.result == 0);
    const test_support::unique_descriptor server(accepted.result);
    BOOST_TEST(server.get() >= 0);
    BOOST_TEST(names_place(only(*this, opcode::accept), 0));
    BOOST_TEST(names_place(only(*this, opcode::connect), 1));
    loop.close(accepting);
    loop.close(connecting);
}

BOOST_FIXTURE_TEST_CASE(so_do_transfers_of_a_registered_file, simulated_loop)
{
    open_file f(*this, digits), other(*this, digits);
    loop.register_file(*f.handle);
    std::string to(4, '.'), from = "abcd", to_other(4, '.');
    f.read(to, 0);
    f.write(from, 4);
    owned_transfer<> owned(f, direction::read, owned_buffer(2), 8);
    run();
    BOOST_TEST(to == "0123");
    BOOST_TEST(f.contents() == "0123abcd89");
    BOOST_TEST(owned.text() == "89");
    for (const auto& entry : submitted(opcode::read))
        BOOST_TEST(names_place(entry, 0));
    BOOST_TEST(names_place(only(*this, opcode::write), 0));
    other.read(to_other, 0);
    run();
    BOOST_TEST(names_number(submitted(opcode::read).back(), other.file.get()));
}

/// A worker looks at its request when the place may be another file's, or nobody's.
BOOST_FIXTURE_TEST_CASE(what_a_worker_does_names_no_place, simulated_loop)
{
    open_file f(*this, digits);
    loop.register_file(*f.handle);
    record& synced = start<sync_of_test>(*f.handle, direction::write, false);
    std::string to(4, '.');
    kernel->fail_nth(opcode::read, 1, EAGAIN);
    f.read(to, 0);
    run();
    kernel->fail_nth(opcode::write, 1, EAGAIN);
    owned_transfer<> written(f, direction::write, bytes_of("abc"), 0);
    run();
    BOOST_TEST(synced.result == 0);
    BOOST_TEST(to == "0123");
    BOOST_TEST(f.contents() == "abc3456789");
    const auto sync = only(*this, opcode::fsync);
    BOOST_TEST(int(sync.flags & backend::entry_fixed_file) == 0);
    BOOST_TEST(is_same_file(sync.fd, f.file.get()));
    for (const opcode op : {opcode::read, opcode::write}) {
        const auto entries = submitted(op);
        BOOST_REQUIRE(entries.size() == 2U);
        BOOST_TEST(names_place(entries[0], 0));
        BOOST_TEST(int(entries[1].flags) == int(backend::entry_async));
    }
}

BOOST_FIXTURE_TEST_CASE(stream_of_items_names_the_place, simulated_loop)
{
    connection c(*this);
    loop.register_file(*c);
    auto* const source = new ring::receive_source(safer_ring::stream_limits());
    BOOST_REQUIRE(loop.open_stream(*c, *source) == 0);
    record& r = note();
    BOOST_REQUIRE(loop.start_next(*source, *new recorded<next_item>(reporter{&r, nullptr, "", {}}),
                                  nullptr, &last_id));
    poll();
    // The simulated kernel has no multishot receives.
    BOOST_TEST(names_place(only(*this, opcode::poll_add), 0));
    loop.close_stream(source);
    c.close();
    run();
    BOOST_TEST(r.done());
}

BOOST_AUTO_TEST_CASE(zero_copy_send_names_place_and_registered_buffer)
{
    simulation_plan plan;
    plan.zero_copy_send = true;
    simulated_loop l(small_options(), plan);
    connection c(l);
    l.loop.register_file(*c);
    buffer_pool first(1, 4), pool(2, 4), plain(1, 4);
    const registered_buffers of_first = registered(l, first), of_pool = registered(l, pool);
    l.kernel->hold_notifications();
    record& named = l.start<zero_copy_send_of_test>(*c, direction::write, take_from(pool, 'a'));
    record& other = l.start<zero_copy_send_of_test>(*c, direction::write, take_from(plain, 'b'));
    l.poll();
    l.poll();
    BOOST_TEST(c.peer.read(8) == "aaaabbbb");
    BOOST_TEST(missing(pool) == 1U);
    l.kernel->release();
    l.run();
    BOOST_TEST(named.result == 4);
    BOOST_TEST(other.result == 4);
    const auto sends = l.submitted(opcode::send_zc);
    BOOST_REQUIRE(sends.size() == 2U);
    BOOST_TEST(names_place(sends[0], 0));
    BOOST_TEST((sends[0].ioprio & backend::send_registered_buffer) != 0);
    BOOST_TEST(sends[0].buffer_group == 1U);
    BOOST_TEST((sends[1].ioprio & backend::send_registered_buffer) == 0);

    // A copy is an ordinary send.
    l.kernel->fail_nth(opcode::send_zc, 1, ENOMEM);
    record& copied = l.start<zero_copy_send_of_test>(*c, direction::write, take_from(pool, 'c'));
    l.run();
    BOOST_TEST(copied.result == 4);
    BOOST_TEST(only(l, opcode::send).ioprio == 0U);
    BOOST_TEST(missing(pool) == 0U);
}

BOOST_FIXTURE_TEST_CASE(who_registers_again_has_the_place_still, simulated_loop)
{
    connection c(*this), next(*this);
    loop.register_file(*c);
    loop.register_file(*c);
    loop.register_file(*next);
    BOOST_TEST(c.handle->place->index == 0U);
    BOOST_TEST(next.handle->place->index == 1U);
}

BOOST_FIXTURE_TEST_CASE(whoever_gives_the_descriptor_up_empties_the_place, simulated_loop)
{
    for (const bool by_release : {false, true}) {
        connection c(*this), next(*this);
        loop.register_file(*c);
        BOOST_REQUIRE(c.handle->place->index == 0U);
        if (by_release)
            loop.release(std::exchange(c.handle, nullptr));
        c.close();
        // The ring has no file of it either, which its peer would wait for.
        BOOST_TEST(c.peer.read(1).empty());
        loop.register_file(*next);
        BOOST_TEST(next.handle->place->index == 0U);
    }
}

/// The kernel takes nothing, and what it was to take names a place that is another's
/// by the time it does.
BOOST_FIXTURE_TEST_CASE(request_left_behind_by_a_close_never_meets_the_next_file, simulated_loop)
{
    for (const bool by_release : {false, true}) {
        open_file gone(*this, "gone"), next(*this, "next");
        loop.register_file(*gone.handle);
        const int number = gone.file.get();
        std::string to = "....", from = "lost";
        record *read = nullptr, *written = nullptr;
        {
            const shut_kernel shut(*this);
            read = &gone.read(to, 0);
            written = &gone.write(from, 0);
            poll();
            if (by_release)
                loop.release(std::exchange(gone.handle, nullptr));
            gone.close();
            loop.register_file(*next.handle);
            BOOST_REQUIRE(next.handle->place->index == 0U);
        }
        run();
        BOOST_TEST(read->result == -ECANCELED);
        BOOST_TEST(written->result == -ECANCELED);
        BOOST_TEST(to == "....");
        BOOST_TEST(next.contents() == "next");
        for (const opcode op : {opcode::read, opcode::write}) {
            const auto entry = submitted(op).back();
            BOOST_TEST(entry.fd == -1);
            BOOST_TEST(!names_number(entry, number));
        }
        BOOST_TEST(everything_is_back());
    }
}

BOOST_FIXTURE_TEST_CASE(requests_of_others_are_not_taken_back_with_those_of_a_place, simulated_loop)
{
    // The number of one is the place of the other.
    const test_support::unique_descriptor keeps(::dup(STDERR_FILENO));
    open_file gone(*this, "gone"), other(*this, digits);
    std::deque<open_file> before;
    while (before.size() < static_cast<std::size_t>(other.file.get()))
        loop.register_file(*before.emplace_back(*this, "").handle);
    loop.register_file(*gone.handle);
    BOOST_REQUIRE(static_cast<int>(gone.handle->place->index) == other.file.get());
    std::string to = "....", to_other = "....";
    record* read = nullptr;
    {
        const shut_kernel shut(*this);
        gone.read(to, 0);
        read = &other.read(to_other, 0);
        poll();
        gone.close();
    }
    run();
    BOOST_TEST(read->result == 4);
    BOOST_TEST(to_other == "0123");
}

BOOST_FIXTURE_TEST_CASE(operations_under_way_keep_the_file_that_is_unregistered, simulated_loop)
{
    open_file f(*this, digits), next(*this, "........");
    loop.register_file(*f.handle);
    kernel->hold(opcode::read);
    std::string to(4, '.'), pending(4, '.');
    record& held = f.read(to, 0);
    poll();
    record& later = f.read(pending, 4);
    BOOST_TEST(loop.unregister_file(*f.handle));
    loop.register_file(*next.handle);
    BOOST_TEST(next.handle->place->index == 0U);
    kernel->release();
    run();
    BOOST_TEST(held.result == 4);
    BOOST_TEST(to == "0123");
    BOOST_TEST(later.result == 4);
    BOOST_TEST(pending == "4567");
    BOOST_TEST(names_number(submitted(opcode::read).back(), f.file.get()));
    BOOST_TEST(loop.unregister_file(*f.handle)); // There is none any more.
}

BOOST_FIXTURE_TEST_CASE(file_stays_registered_while_the_kernel_takes_nothing, simulated_loop)
{
    open_file f(*this, digits), next(*this, "........");
    loop.register_file(*f.handle);
    std::string to(4, '.');
    record* read = nullptr;
    {
        const shut_kernel shut(*this);
        read = &f.read(to, 0);
        poll();
        BOOST_TEST(!loop.unregister_file(*f.handle));
        loop.register_file(*next.handle);
        BOOST_TEST(next.handle->place->index == 1U);
    }
    BOOST_TEST(loop.unregister_file(*f.handle));
    run();
    BOOST_TEST(read->result == 4);
    BOOST_TEST(to == "0123");
    BOOST_TEST(names_place(only(*this, opcode::read), 0));
}

BOOST_AUTO_TEST_CASE(full_table_is_an_error_that_changes_nothing)
{
    options settings = small_options();
    settings.registered_file_count = 1;
    simulated_loop l(settings);
    open_file first(l, digits), second(l, digits);
    l.loop.register_file(*first.handle);
    const auto [error, text] = refusal([&] { l.loop.register_file(*second.handle); });
    BOOST_TEST(error == ENFILE);
    BOOST_TEST(text.find("registered_file_count") != std::string::npos, text);
    BOOST_TEST(text.find("descriptor " + std::to_string(second.file.get())) != std::string::npos,
               text);
    std::string a(4, '.'), b(4, '.');
    first.read(a, 0);
    second.read(b, 4);
    l.run();
    BOOST_TEST(a + b == "01234567");
    const auto reads = l.submitted(opcode::read);
    BOOST_REQUIRE(reads.size() == 2U);
    BOOST_TEST(names_place(reads[0], 0));
    BOOST_TEST(names_number(reads[1], second.file.get()));
    first.close();
    l.loop.register_file(*second.handle);
    BOOST_TEST(second.handle->place->index == 0U);
}

BOOST_AUTO_TEST_CASE(kernel_without_registrations_says_so)
{
    safer_ring::features found = test_support::recorded_backend::all();
    found.registered_files = found.registered_buffers = false;
    test_support::backend_record record;
    ring::event_loop loop(small_options(), ring::threading::one,
                          std::make_unique<test_support::recorded_backend>(record, found));
    const test_support::unique_descriptor file(::open("/dev/null", O_RDWR));
    ring::descriptor* const d = loop.open(file.get());
    buffer_pool pool(1, 4);
    const auto [error, text] = refusal([&] { loop.register_file(*d); });
    BOOST_TEST(error == EOPNOTSUPP);
    BOOST_TEST(text.find("features::notes") != std::string::npos, text);
    BOOST_TEST(!d->place);
    BOOST_TEST(loop.unregister_file(*d));
    const auto [of_memory, why] = refusal(
        [&] { static_cast<void>(loop.register_memory(ring::registration_access::memory(pool))); });
    BOOST_TEST(of_memory == EOPNOTSUPP);
    BOOST_TEST(record.file_places == 0U);
    loop.close(d);
}

BOOST_FIXTURE_TEST_CASE(closed_number_cannot_be_registered, simulated_loop)
{
    ring::descriptor* const d = loop.open(-1); // As of a file that is being opened.
    BOOST_TEST(refusal([&] { loop.register_file(*d); }).first == EBADF);
    BOOST_TEST(!d->place);
    loop.close(d);
}

/// Their shares outlive the registry's kernel.
BOOST_AUTO_TEST_CASE(registrations_outlive_a_loop_that_cannot_wait)
{
    options settings = small_options();
    settings.drain_deadline_ms = 1;
    std::shared_ptr<simulation> kernel;
    buffer_pool pool(1, 4);
    std::optional<registered_buffers> handle;
    {
        simulated_loop l(settings);
        kernel = l.kernel;
        connection c(l), idle(l);
        l.loop.register_file(*c);
        l.loop.register_file(*idle);
        handle.emplace(registered(l, pool));
        std::string to(8, '.');
        kernel->hold(opcode::recv);
        l.start<receive_into>(*c, direction::read, to);
        l.poll();
        l.loop.shutdown();
        BOOST_TEST(kernel->closed());
        BOOST_TEST(refusal([&] { l.loop.register_file(*c); }).first == 0); // It is.
        connection late(l);
        BOOST_TEST(refusal([&] { l.loop.register_file(*late); }).first == ECANCELED);
        BOOST_TEST(refusal([&] { registered(l, pool); }).first == ECANCELED);
        BOOST_TEST(l.loop.unregister_file(*c));
    }
    handle.reset();
    kernel->release();
}

BOOST_AUTO_TEST_CASE(another_thread_closes_and_registers_while_one_runs)
{
    simulated_loop l(small_options(), {}, ring::threading::many);
    l.loop.work_started();
    std::thread runner([&l] {
        ring::loop_thread self;
        l.loop.run(self, [] {});
    });
    std::deque<std::string> in;
    std::deque<record*> closed, received;
    for (int i = 0; i != 100; ++i) {
        connection gone(l);
        l.loop.register_file(*gone);
        closed.push_back(&l.start<receive_into>(*gone, direction::read, in.emplace_back(1, ' ')));
        gone.close();
        connection next(l);
        l.loop.register_file(*next);
        BOOST_TEST(next.handle->place->index == 0U);
        received.push_back(&l.start<receive_into>(*next, direction::read, in.emplace_back(1, ' ')));
        next.peer.write(std::string(1, static_cast<char>('A' + i % 26)));
        while (l.loop.is_busy(*next))
            std::this_thread::yield();
    }
    l.loop.work_finished();
    runner.join();
    for (int i = 0; i != 100; ++i) {
        BOOST_TEST(closed[static_cast<std::size_t>(i)]->result == -ECANCELED);
        BOOST_TEST(received[static_cast<std::size_t>(i)]->result == 1);
        BOOST_TEST(in[static_cast<std::size_t>(2 * i + 1)][0] == 'A' + i % 26);
    }
}

BOOST_AUTO_TEST_SUITE_END()
