// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulation_state.hpp"

#include <cerrno>
#include <sstream>
#include <utility>

// What a test sees and steers.

namespace safer_ring::inline SAFER_RING_ABI::backend {
simulation_plan simulation_plan::random(std::uint64_t seed)
{
    random_source source(seed);
    // Each kind of trouble is absent from some plans, so that others show
    // what they do alone.
    const auto now_and_then = [&source](double most) {
        return source.chance(0.4) ? 0.0 : most * static_cast<double>(source.below(1000)) / 1000.0;
    };
    simulation_plan plan;
    plan.seed = source.next();
    plan.enter_error = now_and_then(0.3);
    plan.partial_submission = now_and_then(0.5);
    plan.short_count = now_and_then(0.6);
    plan.interrupted = now_and_then(0.2);
    plan.would_block = now_and_then(0.2);
    plan.no_buffers = now_and_then(0.3);
    plan.connection_error = now_and_then(0.01);
    plan.lost_thread = now_and_then(0.1);
    plan.spurious_ready = now_and_then(0.1);
    plan.late_start = now_and_then(0.5);
    plan.late_completion = now_and_then(0.5);
    plan.missed_cancel = now_and_then(0.7);
    plan.reorder = now_and_then(1.0);
    plan.end_takes_buffer = now_and_then(1.0);
    plan.longest_delay_enters = 1 + static_cast<unsigned>(source.below(8));
    plan.refuses_when_overflowing = source.chance(0.3);
    plan.buffer_ring = !source.chance(0.15);
    plan.receive_poll_first = !source.chance(0.3);
    plan.error_takes_buffer = now_and_then(0.5);
    return plan;
}

std::string simulation_plan::describe() const
{
    std::ostringstream text;
    text << "simulation seed " << seed << ": enter_error " << enter_error << ", partial_submission "
         << partial_submission << ", short_count " << short_count << ", interrupted " << interrupted
         << ", would_block " << would_block << ", no_buffers " << no_buffers
         << ", connection_error " << connection_error << ", lost_thread " << lost_thread
         << ", spurious_ready " << spurious_ready << ", late_start " << late_start
         << ", late_completion " << late_completion << ", missed_cancel " << missed_cancel
         << ", reorder " << reorder << ", end_takes_buffer " << end_takes_buffer
         << ", longest_delay_enters " << longest_delay_enters << ", refuses_when_overflowing "
         << refuses_when_overflowing << ", buffer_ring " << buffer_ring << ", receive_poll_first "
         << receive_poll_first << ", error_takes_buffer " << error_takes_buffer;
    return text.str();
}

simulation::simulation(const simulation_plan& plan) : state_(std::make_unique<state>(plan)) {}

simulation::~simulation() = default;

const simulation_plan& simulation::plan() const noexcept
{
    return state_->plan;
}

void simulation::fail_nth(call which, unsigned n, int error, unsigned times)
{
    const std::lock_guard held(state_->mutex);
    state_->call_failures[which].push_back({state_->calls[which] + n, times, error});
}

void simulation::fail_no_more(call which)
{
    const std::lock_guard held(state_->mutex);
    state_->call_failures[which].clear();
}

void simulation::fail_nth(opcode op, unsigned n, int error)
{
    const std::lock_guard held(state_->mutex);
    state_->entry_failures[op].push_back({state_->entries[op] + n, 1, error});
}

bool simulation::failures_spent() const
{
    const std::lock_guard held(state_->mutex);
    const auto spent = [](const auto& failures, auto& counts) {
        for (const auto& [what, list] : failures)
            for (const auto& f : list)
                if (counts[what] + 1 < f.at + f.times)
                    return false;
        return true;
    };
    return spent(state_->call_failures, state_->calls) &&
           spent(state_->entry_failures, state_->entries);
}

unsigned simulation::count(call which) const
{
    const std::lock_guard held(state_->mutex);
    return state_->calls[which];
}

unsigned simulation::count(opcode op) const
{
    const std::lock_guard held(state_->mutex);
    return state_->entries[op];
}

void simulation::hold(opcode op)
{
    const std::lock_guard held(state_->mutex);
    state_->held_opcodes.insert(op);
    for (auto& r : state_->requests)
        r.held = r.held || r.entry.op == op;
}

void simulation::hold_descriptor(int fd)
{
    const std::lock_guard held(state_->mutex);
    state_->held_descriptors.insert(fd);
    for (auto& r : state_->requests)
        r.held = r.held || r.entry.fd == fd;
}

void simulation::hold_everything()
{
    const std::lock_guard held(state_->mutex);
    state_->holds_everything = true;
    for (auto& r : state_->requests)
        r.held = true;
}

void simulation::hold_notifications()
{
    const std::lock_guard held(state_->mutex);
    state_->holds_notifications = true;
}

void simulation::release()
{
    const executing_scope scope;
    state& s = *state_;
    const std::lock_guard held(s.mutex);
    s.held_opcodes.clear();
    s.held_descriptors.clear();
    s.holds_everything = false;
    s.holds_notifications = false;
    for (auto it = s.requests.begin(); it != s.requests.end();) {
        const auto current = it++;
        if (!std::exchange(current->held, false))
            continue;
        current->start_delay = 0;
        if (s.attempt(*current)) {
            s.requests.erase(current);
        } else if (current->cancel_requested) {
            s.end(*current, -ECANCELED);
            s.requests.erase(current);
        }
    }
    if (s.closed)
        for (auto& o : s.outcomes)
            o.delay = 0;
    s.deliver_outcomes();
    s.update_attention();
    s.wake_waiters();
    s.finish_closed();
}

void simulation::hold_waits()
{
    const std::lock_guard held(state_->mutex);
    state_->waits_are_held = true;
}

void simulation::await_held_wait()
{
    state::guard held(state_->mutex);
    state_->held_waits_changed.wait(held, [this] { return state_->held_waits != 0; });
}

void simulation::release_waits()
{
    const std::lock_guard held(state_->mutex);
    state_->waits_are_held = false;
    state_->held_waits_changed.notify_all();
}

void simulation::step()
{
    const executing_scope scope;
    const std::lock_guard held(state_->mutex);
    state_->flush_overflow();
    state_->progress();
}

void simulation::post(const completion_entry& completion)
{
    const executing_scope scope;
    const std::lock_guard held(state_->mutex);
    state_->post(completion);
    state_->update_attention();
}

std::vector<simulation::request_info> simulation::in_flight() const
{
    const executing_scope scope;
    const std::lock_guard held(state_->mutex);
    std::vector<request_info> found;
    for (const auto& r : state_->requests)
        found.push_back(
            {r.entry.op, r.entry.fd, r.entry.user_data, r.held, r.cancel_requested, r.entry});
    return found;
}

std::size_t simulation::in_flight_count() const
{
    const std::lock_guard held(state_->mutex);
    return state_->requests.size() + state_->outcomes.size();
}

std::vector<submission_entry> simulation::submitted() const
{
    const executing_scope scope;
    const std::lock_guard held(state_->mutex);
    return state_->history;
}

std::vector<simulation::memory_range> simulation::referenced_memory() const
{
    const executing_scope scope;
    const std::lock_guard held(state_->mutex);
    std::vector<memory_range> ranges;
    for (const auto& r : state_->requests)
        state::add_memory_of(ranges, r.entry);
    for (const auto& o : state_->outcomes)
        state::add_memory_of(ranges, o);
    for (const auto& [id, group] : state_->groups)
        state::add_memory_of(ranges, group);
    return ranges;
}

unsigned simulation::buffers_on_offer() const
{
    const std::lock_guard held(state_->mutex);
    unsigned n = 0;
    for (const auto& [id, group] : state_->groups)
        n += group.available();
    return n;
}

bool simulation::closed() const
{
    const std::lock_guard held(state_->mutex);
    return state_->closed;
}

} // namespace safer_ring::inline SAFER_RING_ABI::backend
