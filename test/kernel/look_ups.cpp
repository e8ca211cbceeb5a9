// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"

#include <support/forking.hpp>
#include <support/lowered_limit.hpp>
#include <support/run_until.hpp>
#include <support/skip.hpp>
#include <support/thread_state.hpp>

#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>

// Threads that look names up, which a child of fork(2) does not have.
namespace kernel {
namespace {

using resolver = net::ip::basic_resolver<tcp, safer_ring::executor>;
using test_support::ended_well;
using test_support::fork_child;
using test_support::fork_with;

struct looking_up {
    bool finds()
    {
        bool found = false;
        resolver names(*ctx);
        names.async_resolve("127.0.0.1", "80", [&](error_code ec, const auto& results) {
            found = !ec && !results.empty();
        });
        ctx->restart();
        ctx->run();
        return found;
    }
    /// And their thread waits for more.
    void leave_a_thread()
    {
        const std::set<int> before = threads();
        BOOST_TEST(finds());
        for (const int id : threads())
            while (!before.contains(id) && threads().contains(id) && !test_support::sleeps(id))
                std::this_thread::yield();
    }
    static std::set<int> threads()
    {
        std::set<int> ids;
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task"))
            ids.insert(std::stoi(entry.path().filename()));
        return ids;
    }

    std::unique_ptr<context> ctx = std::make_unique<context>();
};

BOOST_AUTO_TEST_SUITE(look_ups, *needs_io_uring)

BOOST_FIXTURE_TEST_CASE(child_does_not_wait_for_threads_of_its_parents, looking_up)
{
    leave_a_thread();
    BOOST_TEST(ended_well(fork_child([&] {
        ctx.reset();
        return true;
    })));
}

BOOST_FIXTURE_TEST_CASE(child_looks_up_with_threads_of_its_own, looking_up)
{
    leave_a_thread();
    BOOST_TEST(ended_well(fork_child([&] { return finds(); })));
    // Of its child, too.
    BOOST_TEST(ended_well(fork_child(
        [&] { return ended_well(fork_with(*ctx, [&] { return finds(); })) && finds(); })));
    BOOST_TEST(finds());
}

BOOST_FIXTURE_TEST_CASE(child_looks_up_in_two_contexts_at_once, looking_up)
{
    looking_up other;
    leave_a_thread();
    other.leave_a_thread();
    BOOST_TEST(ended_well(fork_child([&] {
        auto found = std::async(std::launch::async, [&] { return other.finds(); });
        return finds() && found.get();
    })));
}

BOOST_FIXTURE_TEST_CASE(child_that_was_told_of_an_error_looks_up_all_the_same, looking_up)
{
    leave_a_thread();
    ctx->notify_fork(net::execution_context::fork_prepare);
    const pid_t child = fork_child([&] {
        // As in at_the_bounds.cpp: UBSan wants a descriptor for its check of a type.
        static_cast<void>(std::system_error(EMFILE, std::system_category(), "before"));
        std::optional<test_support::no_more_descriptors> limit(std::in_place);
        try {
            ctx->notify_fork(net::execution_context::fork_child);
            return false;
        } catch (const std::system_error&) {
            limit.reset();
        }
        return finds();
    });
    ctx->notify_fork(net::execution_context::fork_parent);
    BOOST_TEST(ended_well(child));
    BOOST_TEST(finds());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
