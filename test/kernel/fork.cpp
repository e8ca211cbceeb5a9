// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"

#include <support/child_process.hpp>
#include <support/connected_pair.hpp>
#include <support/forking.hpp>
#include <support/lowered_limit.hpp>
#include <support/run_until.hpp>
#include <support/skip.hpp>
#include <support/thread_state.hpp>
#include <support/watchdog.hpp>

#include <safer_ring/asio/accept_stream.hpp>
#include <safer_ring/asio/receive_stream.hpp>
#include <safer_ring/asio/registrations.hpp>
#include <safer_ring/asio/zero_copy.hpp>
#include <safer_ring/ring.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

// What a child does with a ring that is its parent's, and what it gets in its place.

namespace kernel {
namespace {

using test_support::connect_to_peer;
using test_support::ended_well;
using test_support::fork_child;
using test_support::fork_with;
using test_support::io_result;
using test_support::run_until_done;

/// Reads are pending, more than the queues of a ring hold.
struct reading {
    explicit reading(std::size_t count, const safer_ring::options& settings = {})
        : ctx(std::make_unique<context>(1, settings)), bytes(count), results(count)
    {
        for (std::size_t i = 0; i != count; ++i) {
            ends.push_back(connect_to_peer<socket>(*ctx));
            ends[i].socket.async_read_some(
                net::buffer(bytes[i]),
                [this, i](error_code ec, std::size_t n) { results[i].store(ec, n); });
        }
        ctx->poll();
    }

    void write()
    {
        for (std::size_t i = 0; i != ends.size(); ++i)
            ends[i].peer.write(std::to_string(i));
    }
    bool all_have_come()
    {
        for (std::size_t i = 0; i != ends.size(); ++i) {
            run_until_done(*ctx, results[i]);
            if (results[i].ec ||
                std::string(bytes[i].data(), results[i].bytes) != std::to_string(i))
                return false;
        }
        return true;
    }

    std::unique_ptr<context> ctx;
    std::vector<std::array<char, 16>> bytes;
    std::vector<io_result> results;
    std::vector<test_support::socket_and_peer<socket>> ends;
};

safer_ring::options small_queues()
{
    safer_ring::options settings;
    settings.submission_entries = 16;
    settings.completion_entries = 32;
    settings.receive_buffer_count = 4;
    return settings;
}

BOOST_AUTO_TEST_SUITE(forks, *needs_io_uring)

BOOST_AUTO_TEST_CASE(child_that_destroys_the_context_leaves_the_parent_alone)
{
    for (const bool closes_first : {false, true}) {
        reading r(100, small_queues());
        const pid_t child = fork_child([&] {
            if (closes_first)
                for (auto& end : r.ends)
                    end.socket.close();
            r.ends.clear();
            r.ctx.reset();
            return true;
        });
        BOOST_TEST(ended_well(child));
        r.write();
        BOOST_TEST(r.all_have_come());
    }
}

/// As a daemon, whose parent ends. Its reads go with it, and nobody else takes the bytes.
BOOST_AUTO_TEST_CASE(child_that_runs_the_context_without_a_word_gets_a_ring_of_its_own)
{
    auto answer = test_support::pipe_descriptor_pair();
    const pid_t parent = fork_child([&] {
        reading r(100, small_queues());
        auto while_it_lives = test_support::pipe_descriptor_pair();
        fork_child([&] {
            while_it_lives.second.reset();
            char none = 0;
            const bool has_ended = ::read(while_it_lives.first.get(), &none, 1) == 0;
            r.write();
            const char said = has_ended && r.all_have_come() ? 'y' : 'n';
            return ::write(answer.second.get(), &said, 1) == 1;
        });
        ::_exit(0);
        return true;
    });
    answer.second.reset();
    BOOST_TEST(ended_well(parent));
    char said = ' ';
    BOOST_TEST(::read(answer.first.get(), &said, 1) == 1);
    BOOST_TEST(said == 'y');
}

BOOST_AUTO_TEST_CASE(child_of_a_child_goes_on_and_so_does_the_parent)
{
    reading r(3);
    const bool has_buffers = r.ctx->features().buffer_ring;
    const pid_t child = fork_with(*r.ctx, [&] {
        if (r.ctx->features().buffer_ring != has_buffers)
            return false;
        const pid_t grandchild = fork_with(*r.ctx, [&] {
            r.write();
            return r.all_have_come();
        });
        return ended_well(grandchild);
    });
    BOOST_TEST(ended_well(child));
    r.write();
    BOOST_TEST(r.all_have_come());
}

BOOST_AUTO_TEST_CASE(child_that_forks_before_it_has_a_ring_loses_nothing)
{
    reading r(3);
    r.ctx->notify_fork(net::execution_context::fork_prepare);
    const pid_t child = fork_child([&] {
        const pid_t grandchild = fork_with(*r.ctx, [&] {
            r.write();
            return r.all_have_come();
        });
        return ended_well(grandchild);
    });
    BOOST_TEST(ended_well(child));
}

BOOST_AUTO_TEST_CASE(more_than_the_queues_hold_goes_on_in_both)
{
    reading r(100, small_queues());
    const pid_t child = fork_with(*r.ctx, [&] {
        r.write();
        return r.all_have_come();
    });
    BOOST_TEST(ended_well(child));
    r.write();
    BOOST_TEST(r.all_have_come());
}

BOOST_AUTO_TEST_CASE(child_without_room_for_a_ring_is_told_and_may_try_again)
{
    reading r(3);
    r.ctx->notify_fork(net::execution_context::fork_prepare);
    const pid_t child = fork_child([&] {
        // As in at_the_bounds.cpp: UBSan wants a descriptor for its check of a type.
        static_cast<void>(std::system_error(EMFILE, std::system_category(), "before"));
        std::optional<test_support::no_more_descriptors> limit(std::in_place);
        try {
            r.ctx->notify_fork(net::execution_context::fork_child);
            return false;
        } catch (const std::system_error& e) {
            limit.reset();
            if (e.code().value() != EMFILE)
                return false;
        }
        r.ctx->notify_fork(net::execution_context::fork_child);
        r.write();
        return r.all_have_come();
    });
    BOOST_TEST(ended_well(child));
}

BOOST_AUTO_TEST_CASE(cancelled_operations_end_in_the_child_before_it_has_a_ring)
{
    reading r(3);
    const pid_t child = fork_child([&] {
        r.ends[0].socket.cancel();
        r.ends[1].socket.close();
        r.ends[2].socket.release();
        for (io_result& result : r.results) {
            run_until_done(*r.ctx, result);
            if (result.ec != net::error::operation_aborted)
                return false;
        }
        return true;
    });
    BOOST_TEST(ended_well(child));
    r.write();
    BOOST_TEST(r.all_have_come());
}

/// A child closes what it does not use: what waits to be written there is written by the
/// parent, and once.
BOOST_AUTO_TEST_CASE(writes_of_the_parent_are_not_made_by_a_child_that_closes)
{
    enum ways { both_say_so, parent_says_so, nobody_does };
    for (const ways way : {both_say_so, parent_says_so, nobody_does}) {
        auto ctx = std::make_unique<context>(1);
        auto ends = connect_to_peer<socket>(*ctx);
        ends.socket.non_blocking(true);
        const std::string filling(1 << 16, 'f');
        std::size_t sent_bytes = 0;
        for (error_code ec; !ec;)
            sent_bytes += ends.socket.write_some(net::buffer(filling), ec);
        io_result first, second;
        const auto into = [](io_result& result) {
            return [&result](error_code ec, std::size_t n) { result.store(ec, n); };
        };
        ends.socket.async_send(net::buffer("first", 5), into(first));
        ends.socket.async_send(net::buffer("second", 6), into(second));
        ctx->poll();
        auto there_is_room = test_support::pipe_descriptor_pair();
        const auto close_when_there_is_room = [&] {
            char none = 0;
            there_is_room.second.reset();
            static_cast<void>(::read(there_is_room.first.get(), &none, 1));
            ends.socket.close();
            ctx.reset();
            return true;
        };
        if (way == parent_says_so)
            ctx->notify_fork(net::execution_context::fork_prepare);
        const pid_t child = way == both_say_so ? fork_with(*ctx, close_when_there_is_room)
                                               : fork_child(close_when_there_is_room);
        BOOST_TEST(ends.peer.read(sent_bytes).size() == sent_bytes);
        there_is_room.second.reset();
        BOOST_TEST(ended_well(child));
        run_until_done(*ctx, first);
        run_until_done(*ctx, second);
        ends.socket.close();
        BOOST_TEST(ends.peer.read_to_end() == "firstsecond");
    }
}

BOOST_AUTO_TEST_CASE(registered_files_are_registered_in_the_child)
{
    reading r(2);
    if (!r.ctx->features().registered_files)
        SAFER_RING_SKIP("the kernel registers no files");
    safer_ring::register_file(r.ends[0].socket);
    const pid_t child = fork_with(*r.ctx, [&] {
        safer_ring::register_file(r.ends[1].socket);
        r.write();
        const bool well = r.all_have_come();
        safer_ring::unregister_file(r.ends[0].socket);
        return well;
    });
    BOOST_TEST(ended_well(child));
    r.write();
    BOOST_TEST(r.all_have_come());
}

/// A table has no more places than a process may have descriptors: there is one for some of them.
BOOST_AUTO_TEST_CASE(files_that_a_child_cannot_register_are_looked_up_as_before)
{
    const int spare = ::dup(STDERR_FILENO);
    reading r(40);
    if (!r.ctx->features().registered_files)
        SAFER_RING_SKIP("the kernel registers no files");
    for (auto& end : r.ends)
        safer_ring::register_file(end.socket);
    r.ctx->notify_fork(net::execution_context::fork_prepare);
    const pid_t child = fork_child([&] {
        // As in at_the_bounds.cpp: UBSan wants a descriptor for its check of a type.
        static_cast<void>(std::system_error(ENFILE, std::system_category(), "before"));
        {
            ::close(spare); // For the ring.
            const test_support::lowered_limit limit(RLIMIT_NOFILE, static_cast<rlim_t>(spare) + 1);
            r.ctx->notify_fork(net::execution_context::fork_child);
        }
        r.write();
        return r.all_have_come();
    });
    ::close(spare);
    BOOST_TEST(ended_well(child));
}

BOOST_AUTO_TEST_CASE(streams_go_on_in_the_child)
{
    context ctx(1);
    auto ends = connect_to_peer<socket>(ctx);
    acceptor listener(ctx, tcp::endpoint(net::ip::address_v4::loopback(), 0));
    safer_ring::receive_stream bytes(ends.socket);
    safer_ring::accept_stream connections(listener);
    std::string text;
    io_result received, accepted;
    const auto ask = [&] {
        received = accepted = io_result();
        bytes.async_next([&](error_code ec, safer_ring::owned_buffer piece) {
            text += piece.text();
            received.store(ec);
        });
        connections.async_next([&](error_code ec, auto) { accepted.store(ec); });
    };
    const auto happens = [&](const std::string& word) {
        ends.peer.write(word);
        net::io_context plain;
        tcp::socket(plain).connect(listener.local_endpoint());
        run_until_done(ctx, received);
        run_until_done(ctx, accepted);
        return !received.ec && !accepted.ec;
    };
    ask();
    BOOST_TEST(happens("one "));
    ask();
    ctx.poll();
    const pid_t child = fork_with(ctx, [&] {
        if (!happens("two "))
            return false;
        ask();
        ctx.poll();
        const std::string requests = ctx.impl().loop().describe();
        if (ctx.features().multishot_receive && requests.find("receive") == std::string::npos)
            return false; // Of buffers that the child's ring does not know.
        return happens("three ") && text == "one two three ";
    });
    BOOST_TEST(ended_well(child));
    BOOST_TEST(happens("four "));
    BOOST_TEST(text == "one four ");
}

BOOST_AUTO_TEST_CASE(zero_copy_send_that_was_sent_is_told_in_both)
{
    context ctx(1);
    if (!ctx.features().zero_copy_send)
        SAFER_RING_SKIP("the kernel has no zero-copy send");
    auto ends = connect_to_peer<socket>(ctx);
    io_result sent;
    constexpr std::size_t size_bytes = 1 << 17;
    safer_ring::async_send_zero_copy(
        ends.socket, safer_ring::owned_buffer(size_bytes),
        [&](error_code ec, std::size_t n, safer_ring::owned_buffer) { sent.store(ec, n); });
    ctx.poll();
    const pid_t child = fork_with(ctx, [&] {
        run_until_done(ctx, sent);
        return !sent.ec && sent.bytes != 0;
    });
    BOOST_TEST(ended_well(child));
    std::vector<std::byte> sink(size_bytes);
    while (!sent.done) {
        static_cast<void>(::recv(ends.peer.fd(), sink.data(), sink.size(), MSG_DONTWAIT));
        ctx.poll();
    }
    BOOST_TEST(sent.ec == error_code());
}

/// Which nobody in the child will ever be told of.
BOOST_AUTO_TEST_CASE(child_that_destroys_the_context_does_not_wait_for_memory_of_the_parents)
{
    auto own = std::make_unique<context>(1);
    if (!own->features().zero_copy_send)
        SAFER_RING_SKIP("the kernel has no zero-copy send");
    auto ends = connect_to_peer<socket>(*own);
    safer_ring::async_send_zero_copy(ends.socket, safer_ring::owned_buffer(1 << 17),
                                     [](error_code, std::size_t, safer_ring::owned_buffer) {});
    own->poll();
    const auto [said, status] = test_support::in_a_child([&] {
        ends.socket.close();
        own.reset();
    });
    BOOST_TEST(said == "");
    BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(handler_that_forks_leaves_the_rest_of_its_turn_to_the_parent)
{
    context ctx(1);
    std::array<test_support::socket_and_peer<socket>, 3> ends{
        connect_to_peer<socket>(ctx), connect_to_peer<socket>(ctx), connect_to_peer<socket>(ctx)};
    std::array<char, 8> bytes[3];
    timer due(ctx);
    pid_t child = -1;
    std::size_t reads = 0;
    const auto fork_once = [&](error_code, std::size_t) {
        ++reads;
        if (child == -1)
            child = ::fork();
    };
    ends[0].socket.async_read_some(net::buffer(bytes[0]), fork_once);
    ends[1].socket.async_read_some(net::buffer(bytes[1]), fork_once);
    ends[2].socket.async_read_some(net::buffer(bytes[2]), [](error_code, std::size_t) {});
    ctx.poll();
    ends[0].peer.write("a");
    ends[1].peer.write("b");
    // In the same turn; what it cancels is looked for among what has completed.
    due.expires_after(std::chrono::seconds(0));
    due.async_wait([&](error_code) { ends[2].socket.close(); });
    ctx.poll();
    if (child == 0) {
        ::alarm(static_cast<unsigned>(test_support::watchdog_time.count()));
        ctx.poll();
        ::_exit(ctx.impl().loop().stale_completions() == 0 ? 0 : 1);
    }
    BOOST_REQUIRE(child > 0);
    BOOST_TEST(reads == 2U);
    BOOST_TEST(ended_well(child));
}

BOOST_AUTO_TEST_CASE(child_of_a_thread_that_ran_the_ring_is_not_kept_waiting)
{
    auto ring = std::make_unique<safer_ring::io_ring>();
    auto [near, far] = test_support::local_descriptor_pair();
    bool is_over = false;
    ring->receive(near.get(), safer_ring::owned_buffer(16)).submit().then([&](auto) {
        is_over = true;
    });
    std::atomic<pid_t> id{0};
    std::thread runs([&] {
        id = ::gettid();
        ring->run();
    });
    // In the kernel, where it holds no lock that the child would inherit.
    while (id == 0 || !test_support::sleeps(id))
        std::this_thread::yield();
    const pid_t child = fork_child([&] {
        auto mine = ring->nop().submit();
        try {
            static_cast<void>(std::move(mine).wait());
        } catch (const std::system_error&) {
        }
        return ring->shutdown(std::chrono::hours(1));
    });
    BOOST_TEST(ended_well(child));
    test_support::blocking_peer(std::move(far)).write("text");
    runs.join();
    BOOST_TEST(is_over);
}

// Nobody was in the kernel at the fork: these are the child's own.
BOOST_AUTO_TEST_CASE(threads_of_a_child_do_not_take_one_another_for_the_parents)
{
    safer_ring::io_ring ring;
    const pid_t child = fork_child([&] {
        std::atomic<int> refused{0};
        const auto wait_often = [&] {
            for (int i = 0; i != 200; ++i)
                refused += ring.nop().submit().wait().result().code().value() == EBADF;
        };
        std::thread first(wait_often), second(wait_often), third(wait_often);
        first.join();
        second.join();
        third.join();
        return refused == 600;
    });
    BOOST_TEST(ended_well(child));
}

BOOST_AUTO_TEST_CASE(child_uses_a_ring_of_the_smallest_queues)
{
    safer_ring::options smallest;
    smallest.submission_entries = 1;
    smallest.completion_entries = 0;
    safer_ring::io_ring ring(smallest);
    const pid_t child =
        fork_child([&] { return ring.nop().submit().wait().result().code().value() == EBADF; });
    BOOST_TEST(ended_well(child));
}

BOOST_AUTO_TEST_CASE(message_of_a_child_to_a_ring_of_its_parents_is_not_told_as_sent)
{
    safer_ring::io_ring ring;
    auto messages = ring.messages();
    const auto to_parent = ring.address();
    const pid_t child = fork_child([&] {
        safer_ring::io_ring own;
        const auto result = own.message_ring(to_parent, 1).submit().wait().result();
        return result.code().value() == EPIPE;
    });
    BOOST_TEST(ended_well(child));
    ring.poll();
    BOOST_TEST(!messages.try_next());
}

BOOST_AUTO_TEST_CASE(rings_own_operations_end_in_the_child_and_go_on_in_the_parent)
{
    auto ring = std::make_unique<safer_ring::io_ring>();
    auto [near, far] = test_support::local_descriptor_pair();
    auto receive = ring->receive(near.get(), safer_ring::owned_buffer(16)).submit();
    BOOST_TEST(!receive.wait_for(std::chrono::seconds(0)));
    const pid_t child = fork_child([&] {
        try {
            static_cast<void>(ring->nop().submit().wait().result().value());
            return false;
        } catch (const std::system_error& e) {
            if (e.code().value() != EBADF)
                return false;
        }
        try {
            static_cast<void>(receive.wait_for(std::chrono::hours(1)));
            return false;
        } catch (const std::system_error& e) {
            if (std::string(e.what()).find("fork()") == std::string::npos)
                return false;
        }
        receive.cancel();
        if (std::move(receive).wait().result())
            return false;
        ring.reset();
        return true;
    });
    BOOST_TEST(ended_well(child));
    test_support::blocking_peer(std::move(far)).write("text");
    auto [result, buffer] = std::move(receive).wait().take();
    BOOST_TEST(result.value() == 4U);
    BOOST_TEST(buffer.text().substr(0, 4) == "text");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
