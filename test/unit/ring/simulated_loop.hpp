// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "recorded_operations.hpp"

#include "support/blocking_peer.hpp"

#include <safer_ring/backend/simulated.hpp>
#include <safer_ring/ring/event_loop.hpp>

#include <algorithm>
#include <deque>
#include <fcntl.h>

namespace unit {

using backend::opcode;
using backend::simulation;
using backend::simulation_plan;
using ring::direction;
using safer_ring::options;

inline void make_nonblocking(int fd)
{
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/// Few and small buffers, so that a test reaches their bounds.
inline options small_options()
{
    options settings;
    settings.submission_entries = 16;
    settings.completion_entries = 64;
    settings.receive_buffer_count = 4;
    settings.receive_buffer_size_bytes = 64;
    settings.send_buffer_size_bytes = 256;
    settings.drain_deadline_ms = 2000;
    return settings;
}

/// A loop on a simulated kernel, run by the test itself.
struct simulated_loop {
    explicit simulated_loop(const options& settings = small_options(),
                            const simulation_plan& plan = {},
                            ring::threading threads = ring::threading::one)
        : kernel(std::make_shared<simulation>(plan)),
          loop(settings, threads, std::make_unique<backend::simulated_backend>(kernel, settings))
    {
    }

    /// A new record, which outlives the loop.
    record& note() { return records.emplace_back(); }

    template <class Leaf, class... Args>
    record& start(ring::descriptor& d, direction dir, Args&&... args)
    {
        return start_named<Leaf>("", {}, d, dir, std::forward<Args>(args)...);
    }

    template <class Leaf, class... Args>
    record& start_named(std::string name, std::function<void()> then, ring::descriptor& d,
                        direction dir, Args&&... args)
    {
        record& r = note();
        auto op = std::make_unique<recorded<Leaf>>(
            reporter{&r, &order, std::move(name), std::move(then)}, std::forward<Args>(args)...);
        ring::loop_thread starting; // As in a handler that is over then.
        const bool waits_for_turn = dir == direction::write && !starts_elsewhere;
        loop.start(d, dir, *op,
                   within_handler   ? &self
                   : waits_for_turn ? &starting
                                    : nullptr,
                   &last_id);
        op.release();
        loop.adopt(starting);
        return r;
    }

    record& post(std::string name, std::function<void()> then = {})
    {
        record& r = note();
        loop.post(new posted(reporter{&r, &order, std::move(name), std::move(then)}), false,
                  nullptr);
        return r;
    }

    /// Lets the kernel have its turn and runs what is ready.
    std::size_t poll()
    {
        loop.restart();
        return loop.poll(self, [] {});
    }

    /// The kernel's turn also when there is no work to wait for.
    void turn()
    {
        loop.work_started();
        poll();
        loop.work_finished();
    }

    /// Runs handlers until all records are complete.
    std::size_t run()
    {
        loop.restart();
        return loop.run(self, [] {});
    }

    /// Every buffer and every block of staging memory is back.
    [[nodiscard]] bool everything_is_back()
    {
        return loop.buffers().outstanding() == 0 && loop.staging().outstanding() == 0 &&
               kernel->in_flight_count() == 0;
    }

    /// Entries of one kind, in the order of their submission.
    [[nodiscard]] std::vector<backend::submission_entry> submitted(opcode op) const
    {
        auto entries = kernel->submitted();
        std::erase_if(entries, [op](const auto& e) { return e.op != op; });
        return entries;
    }

    /// Runs `f` as a handler, in which operations start as handlers start them.
    template <class F>
    void in_handler(F f)
    {
        post("", [this, f] {
            within_handler = true;
            f();
            within_handler = false;
        });
    }

    std::deque<record> records;
    bool within_handler = false;
    bool starts_elsewhere =
        false; ///< And not in a handler, where writes are not attempted at once.
    history order;
    ring::operation_id last_id = ring::operation_id::none;
    std::shared_ptr<simulation> kernel;
    ring::event_loop loop;
    ring::loop_thread self;
};

/// A descriptor of the loop with the other end of its connection.
struct connection {
    explicit connection(simulated_loop& l) : connection(l, test_support::local_descriptor_pair()) {}
    connection(simulated_loop& l,
               std::pair<test_support::unique_descriptor, test_support::unique_descriptor> ends)
        : loop(l), socket(std::move(ends.first)), peer(std::move(ends.second)),
          handle(l.loop.open(socket.get()))
    {
    }
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;
    ~connection() { close(); }

    void close()
    {
        if (handle != nullptr)
            loop.loop.close(std::exchange(handle, nullptr));
        socket.reset();
    }

    ring::descriptor& operator*() const { return *handle; }

    simulated_loop& loop;
    test_support::unique_descriptor socket;
    test_support::blocking_peer peer;
    ring::descriptor* handle;
};

/// A loop with a listening socket.
struct listening_loop : simulated_loop {
    test_support::unique_descriptor listener = test_support::loopback_listener();
    ring::descriptor* handle = loop.open(listener.get());

    ~listening_loop()
    {
        if (handle != nullptr)
            loop.close(handle);
    }
    test_support::unique_descriptor client() const
    {
        return test_support::loopback_client(test_support::local_port(listener.get()));
    }
};

} // namespace unit
