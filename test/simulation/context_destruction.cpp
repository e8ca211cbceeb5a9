// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/simulated_context.hpp"

#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <thread>

// A context that is destroyed with a thousand operations in flight.
using namespace simulated;

namespace {

constexpr std::size_t connection_count = 500;
constexpr std::size_t operation_count = 2 * connection_count;

struct instances {
    std::size_t calls = 0;
    std::size_t alive = 0;
};

/// Owns its socket and the memory of its operation.
struct session_state {
    explicit session_state(local_socket s) : socket(std::move(s)) {}
    std::vector<char> incoming = std::vector<char>(64, 'i');
    std::vector<char> outgoing = std::vector<char>(64, 'o');
    local_socket socket; // Destroyed first, which ends what uses the memory.
};

class counted_handler {
public:
    counted_handler(instances& n, std::shared_ptr<session_state> session)
        : instances_(&n), session_(std::move(session))
    {
        ++instances_->alive;
    }
    counted_handler(counted_handler&& other) noexcept
        : instances_(other.instances_), session_(std::move(other.session_))
    {
        ++instances_->alive;
    }
    counted_handler& operator=(counted_handler&&) = delete;
    ~counted_handler() { --instances_->alive; }
    void operator()(const error_code&, std::size_t) { ++instances_->calls; }

private:
    instances* instances_;
    std::shared_ptr<session_state> session_;
};

struct thousand_operations {
    /// The kernel takes them, and does nothing about them, or takes nothing.
    enum class kernel_does { hold, refuse };

    explicit thousand_operations(unsigned deadline_ms, int hint = 1,
                                 kernel_does kernel = kernel_does::hold)
        : ring(settings(deadline_ms), simulation_plan{}, hint)
    {
        if (kernel == kernel_does::hold)
            ring.kernel->hold_everything();
        else
            ring.kernel->fail_nth(simulation::call::enter, 1, ENOMEM, 1'000'000);
        // By a handler, behind which they go with the turn that follows, or when run_one() returns.
        net::post(*ring.context, [this] { start(); });
        BOOST_REQUIRE(ring.context->run_one() == 1);
    }

    void start()
    {
        for (std::size_t i = 0; i < connection_count; ++i) {
            auto [ours, theirs] = test_support::local_descriptor_pair();
            auto session = std::make_shared<session_state>(
                local_socket(*ring.context, net::local::stream_protocol(), ours.release()));
            peers.emplace_back(std::move(theirs));
            auto& socket = session->socket;
            socket.async_read_some(net::buffer(session->incoming),
                                   counted_handler(handlers, session));
            socket.async_write_some(net::buffer(session->outgoing),
                                    counted_handler(handlers, session));
        }
    }

    static options settings(unsigned deadline_ms)
    {
        options s = small_options();
        s.receive_buffer_count = 64;
        s.drain_deadline_ms = deadline_ms;
        return s;
    }

    void submit()
    {
        ring.poll();
        BOOST_REQUIRE(ring.kernel->in_flight_count() == operation_count);
    }

    void make_ready()
    {
        for (auto& peer : peers)
            peer.write("late");
        ring.kernel->release();
    }

    /// The kernel wrote nowhere but to the memory that was kept for it, which
    /// the address sanitizer watches; the sessions' own is freed.
    void check()
    {
        BOOST_TEST(handlers.calls == 0U);
        BOOST_TEST(handlers.alive == 0U);
        BOOST_TEST(ring.kernel->in_flight_count() == 0U);
    }

    instances handlers;
    simulated_context ring;
    std::deque<test_support::blocking_peer> peers;
};

void need_descriptors()
{
    constexpr std::size_t for_sockets_peers_and_references = 4 * connection_count + 600;
    if (!test_support::allow_descriptors(for_sockets_peers_and_references))
        SAFER_RING_SKIP("RLIMIT_NOFILE cannot be raised far enough for a thousand operations");
}

} // namespace

BOOST_AUTO_TEST_SUITE(context_with_a_thousand_operations)

BOOST_AUTO_TEST_CASE(is_destroyed_before_they_are_submitted)
{
    need_descriptors();
    thousand_operations all(5000, 1, thousand_operations::kernel_does::refuse);
    BOOST_TEST(all.ring.kernel->in_flight_count() == 0U);
    all.ring.kernel->fail_no_more(simulation::call::enter);
    all.ring.context.reset();
    all.check();
    // Writes are attempted all the same.
    for (auto& peer : all.peers)
        BOOST_REQUIRE(peer.read_to_end() == std::string(64, 'o'));
}

BOOST_AUTO_TEST_CASE(is_destroyed_when_the_completions_are_there)
{
    need_descriptors();
    thousand_operations all(5000);
    all.submit();
    all.make_ready();
    all.ring.context.reset();
    all.check();
}

BOOST_AUTO_TEST_CASE(is_destroyed_while_the_completions_come_late)
{
    need_descriptors();
    thousand_operations all(30000);
    all.submit();
    std::thread late([&] {
        const auto all_cancelled = [&] {
            const auto flying = all.ring.kernel->in_flight();
            return std::all_of(flying.begin(), flying.end(),
                               [](const auto& r) { return r.cancel_requested; });
        };
        while (!all_cancelled())
            std::this_thread::yield();
        all.make_ready();
    });
    all.ring.context.reset();
    late.join();
    all.check();
}

BOOST_AUTO_TEST_CASE(is_destroyed_and_nothing_comes_before_the_deadline)
{
    need_descriptors();
    thousand_operations all(20);
    all.submit();
    all.ring.context.reset();
    BOOST_TEST(all.handlers.alive == 0U);
    BOOST_TEST(all.ring.kernel->in_flight_count() == operation_count);
    const std::size_t kept = safer_ring::ring::quarantine::reclaim();
    all.make_ready();
    all.check();
    BOOST_TEST(safer_ring::ring::quarantine::reclaim() == kept - 1);
}

BOOST_AUTO_TEST_CASE(is_destroyed_by_a_thread_that_never_ran_it)
{
    need_descriptors();
    for (const int hint : {1, 2}) {
        thousand_operations all(5000, hint);
        std::thread([&] { all.submit(); }).join();
        all.ring.kernel->release(); // What can be cancelled now is.
        all.ring.context.reset();
        all.check();
    }
}

BOOST_AUTO_TEST_SUITE_END()
