// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulated_loop.hpp"

#include <safer_ring/ring/quarantine.hpp>

#include <boost/test/unit_test.hpp>

#include <optional>

using namespace unit;

BOOST_AUTO_TEST_SUITE(quarantine)

namespace {

options impatient_options()
{
    options settings = small_options();
    settings.drain_deadline_ms = 20;
    return settings;
}

} // namespace

BOOST_AUTO_TEST_CASE(memory_is_kept_until_the_kernel_lets_go_and_then_reclaimed)
{
    const std::size_t kept_before = ring::quarantine::reclaim();
    auto ends = test_support::local_descriptor_pair();
    auto l = std::make_unique<simulated_loop>(impatient_options());
    const auto kernel = l->kernel;
    std::deque<record> notes(2);
    std::string caller(64, 'c');
    {
        connection c(*l, std::move(ends));
        kernel->hold(opcode::recv);
        kernel->hold(opcode::send);
        std::string outgoing = "outgoing";
        l->loop.start(*c, direction::read,
                      *new recorded<receive_into>(reporter{&notes[0], nullptr, "", {}}, caller),
                      nullptr);
        ring::loop_thread starting; // From elsewhere, it would be attempted at once.
        l->loop.start(*c, direction::write,
                      *new recorded<send_from>(reporter{&notes[1], nullptr, "", {}}, outgoing),
                      &starting);
        l->loop.adopt(starting);
        l->poll();
        BOOST_REQUIRE(kernel->in_flight_count() == 2U);
        c.close();
        l.reset();
        // Handlers are gone although the kernel is not done.
        BOOST_TEST(notes[0].destroyed());
        BOOST_TEST(notes[1].destroyed());
        BOOST_TEST(kernel->in_flight_count() == 2U);
        BOOST_TEST(kernel->closed());
        BOOST_TEST(ring::quarantine::reclaim() == kept_before + 1);
        for (const auto& range : kernel->referenced_memory())
            BOOST_TEST(!range.overlaps(caller.data(), caller.size()));
        // Now the kernel writes: into memory that must still be there.
        c.peer.write("late data that nobody waits for any more");
        kernel->release();
        BOOST_TEST(c.peer.read(8) == "outgoing"); // Read from memory that must still be there.
    }
    BOOST_TEST(caller == std::string(64, 'c'));
    BOOST_TEST(kernel->in_flight_count() == 0U);
    BOOST_TEST(ring::quarantine::reclaim() == kept_before);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_watched_is_kept_for_good)
{
    const std::size_t kept_before = ring::quarantine::reclaim();
    auto kernel = std::make_shared<simulation>();
    auto own = std::make_unique<backend::simulated_backend>(kernel, small_options());
    // The pool is empty: what stays for the rest of the process is little.
    ring::receive_buffers buffers(*own, 2, 64);
    kernel->fail_nth(simulation::call::close_when_drained, 1, EINVAL);
    ring::quarantine::keep(std::move(own), std::move(buffers),
                           std::make_unique<ring::staging_pool>(64));
    BOOST_TEST(kernel->closed());
    BOOST_TEST(ring::quarantine::reclaim() == kept_before + 1);
    BOOST_TEST(ring::quarantine::reclaim() == kept_before + 1);
}

BOOST_AUTO_TEST_SUITE_END()
