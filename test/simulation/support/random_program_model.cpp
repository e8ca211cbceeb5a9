// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "random_program.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

// What becomes of operations, and what the model makes of it.
namespace programs {
namespace {

using kind = meaning::kind;

bool is_write(const meaning& m)
{
    return m.what == kind::stream_write || m.what == kind::file_write;
}

} // namespace

void random_program::begins(const meaning_ptr& m)
{
    m->number = ++last_number_;
    in_flight_.emplace(m->number, m.get());
    ++totals_.submitted;
}

void random_program::is_over(meaning& m, int result, bool was_cancelled)
{
    in_flight_.erase(m.number);
    ++totals_.over;
    totals_.drained += m.drained ? 1 : 0;
    totals_.late_results += was_cancelled && result >= 0 ? 1 : 0;
    if (was_cancelled && !m.cancel_asked)
        problem("an operation says that it was cancelled, which nobody asked for");
    if (result < 0)
        check_failure(m, -result, was_cancelled);
    const bool has_memory = m.base != nullptr || !m.parts.empty();
    if (result > 0 && has_memory && static_cast<std::size_t>(result) > m.size_bytes)
        problem("more bytes were moved than there was room for");
    if (result >= 0 && m.what == kind::long_timeout)
        problem("a timeout came an hour early");
    if (result >= 0 && m.drained)
        check_drain(m);
    if (m.chain)
        check_chain(m, result);
    const auto moved = static_cast<std::size_t>(std::max(result, 0));
    if (m.what == kind::stream_write || m.what == kind::splices)
        m.on->model.is_written(*m.written, moved);
    for (std::size_t i = 0, left = moved; i < m.parts.size(); ++i) {
        meaning& part = *m.parts[i];
        const std::size_t of_this = std::min(left, part.size_bytes);
        left -= of_this;
        if (part.what == kind::stream_write)
            part.on->model.is_written(*part.written, of_this);
    }
    if (m.what == kind::message)
        message_is_over(m, result >= 0);
    if (m.what == kind::connects)
        ++(result >= 0 ? connected_ : connects_failed_);
    // On the kernel that is here, local sockets copy all the same.
    const bool can = kernel_ && kernel_->plan().zero_copy_send;
    totals_.zero_copy_sends += m.without_copy && can && result > 0 ? 1 : 0;
    totals_.in_parts += !m.parts.empty() && result > 0 ? 1 : 0;
    totals_.messages += m.what == kind::message && result >= 0 ? 1 : 0;
    totals_.splices += m.what == kind::splices && result > 0 ? 1 : 0;
    totals_.connections += m.what == kind::connects && result >= 0 ? 1 : 0;
    if (m.what == kind::file_write)
        file_content_.is_written(m.offset, m.size_bytes, m.tag, moved);
}

void random_program::check_failure(const meaning& m, int error, bool was_cancelled)
{
    const bool in_chain = m.chain != nullptr;
    const backend::simulation_plan* const plan = kernel_ ? &kernel_->plan() : nullptr;
    switch (error) {
    case ECANCELED:
        totals_.cancelled += was_cancelled ? 1 : 0;
        if (was_cancelled || in_chain)
            return;
        break;
    case ETIMEDOUT:
        if (m.limited && !in_chain && !was_cancelled) {
            ++totals_.timed_out;
            return;
        }
        break;
    case EINTR: // Not submitted once more, since somebody wanted its end, or it is linked.
        if ((plan != nullptr || m.what == kind::splices) && (in_chain || was_cancelled))
            return;
        break;
    case EAGAIN: // A pipe that is full, which nobody waits for here.
        if (plan != nullptr && (plan->would_block > 0 || m.what == kind::splices))
            return;
        break;
    default:
        break;
    }
    const auto injected = {ECONNRESET, ETIMEDOUT, EHOSTUNREACH, EPIPE,
                           EIO,        ENOSPC,    ECONNABORTED, EPROTO,
                           EMFILE,     ENOBUFS,   ECONNREFUSED, ENETUNREACH};
    if (plan != nullptr && plan->connection_error > 0 &&
        std::find(injected.begin(), injected.end(), error) != injected.end())
        return;
    problem(std::string("an operation failed for no reason: ") + std::strerror(error));
}

/// What is linked to a failure has not begun.
void random_program::check_chain(meaning& m, int result)
{
    chain_outcome& c = *m.chain;
    c.results[m.place_in_chain] = result;
    if (c.hard)
        return;
    for (std::size_t i = 0; i + 1 < c.results.size(); ++i) {
        if (!c.results[i] || !c.results[i + 1])
            continue;
        const int first = *c.results[i];
        const bool in_full = first >= 0 && (c.in_full[i] < 0 || first == c.in_full[i]);
        if (!in_full && *c.results[i + 1] >= 0)
            problem("a chain went on behind a failure");
    }
}

/// Everything that was submitted before it is over.
void random_program::check_drain(const meaning& m)
{
    for (const auto& h : handles_)
        if (h->is_submitted() && h->m->number < m.number && !h->is_over())
            problem("a drained operation did not wait for all that came before");
}

void random_program::come_back(meaning& m, int result, owned_buffer&& buffer)
{
    const auto moved = static_cast<std::size_t>(std::max(result, 0));
    if (buffer.data() != m.data)
        return problem("another buffer came back");
    if (buffer.size() != (is_write(m) ? m.size_bytes : moved))
        problem("a buffer came back with another size");
    if (is_write(m) && !is_filled(buffer.bytes(), m.tag))
        problem("the bytes that were sent have changed");
    if (m.what == kind::stream_read)
        m.on->model.is_read(buffer.bytes());
    if (m.what == kind::file_read)
        file_content_.is_read(m.offset, m.size_bytes, buffer.bytes());
    totals_.bytes += moved;
    places_.moves(m.base, buffer_places::operation, buffer_places::caller);
    keep(std::move(buffer), m.base, m.from_pool);
}

void random_program::come_back(meaning& m, shared_buffer&& buffer)
{
    if (buffer.data() != m.data || buffer.size() != m.size_bytes ||
        !is_filled(buffer.bytes(), m.tag))
        problem("shared bytes have changed");
    buffer = {};
    places_.leaves(m.base, buffer_places::operation);
}

/// The first ones are full before the next gets a byte.
void random_program::come_back(meaning& m, int result, std::vector<owned_buffer>&& buffers)
{
    if (buffers.size() != m.parts.size())
        return problem("of several buffers another number came back");
    int left = std::max(result, 0);
    for (std::size_t i = 0; i < buffers.size(); ++i) {
        const int of_this = std::min(left, static_cast<int>(m.parts[i]->size_bytes));
        left -= of_this;
        come_back(*m.parts[i], of_this, std::move(buffers[i]));
    }
}

/// What was dropped, or a part of it; `begun`: it was submitted.
void random_program::is_forgotten(meaning& m, bool begun, bool over)
{
    if (begun && m.what == kind::stream_read)
        m.on->retired = true;
    const bool in_file = m.what == kind::file_read || m.what == kind::file_write;
    if (begun && in_file)
        file_content_.is_given_up(m.offset, m.size_bytes, m.what == kind::file_write);
    if (begun && !over) {
        if (m.base != nullptr)
            places_.moves(m.base, buffer_places::operation, buffer_places::given_up);
        return;
    }
    if (m.base != nullptr)
        places_.leaves(m.base, buffer_places::operation);
    if (m.what == kind::file_write)
        file_content_.given_up_is_over(m.offset, m.size_bytes);
    if (!begun && m.what == kind::file_read)
        file_content_.is_read(m.offset, m.size_bytes, {});
    if (!begun && (m.what == kind::stream_write || m.what == kind::splices))
        m.on->model.is_written(*m.written, 0);
}

/// Destroyed by its owner, as a handle, a callback or a coroutine; `over`: it is
/// known to be complete.
void random_program::is_dropped(const meaning_ptr& m, bool over)
{
    in_flight_.erase(m->number);
    const bool begun = m->number != 0;
    if (m->what == kind::accepts || m->what == kind::connects)
        connections_are_unknown_ = connections_are_unknown_ || begun;
    if (!begun && m->what == kind::connects)
        ++connects_failed_;
    is_forgotten(*m, begun, over);
    for (const meaning_ptr& part : m->parts)
        is_forgotten(*part, begun, over);
    if (begun && !over) {
        given_up_.push_back(m);
        ++given_up_in_flight_;
        ++totals_.given_up;
        return;
    }
    leave_channel(*m);
}

void random_program::leave_channel(meaning& m)
{
    for (const meaning_ptr& part : m.parts)
        leave_channel(*part);
    if (m.on == nullptr)
        return;
    --m.on->operations;
    if (m.what == kind::stream_read)
        --m.on->readers;
    if (m.what == kind::stream_write || m.what == kind::splices)
        --m.on->writers;
    m.on = nullptr;
}

void random_program::given_up_is_over()
{
    for (const meaning_ptr& m : given_up_) {
        if (m->what == kind::file_write)
            file_content_.given_up_is_over(m->offset, m->size_bytes);
        leave_channel(*m);
    }
    given_up_.clear();
    places_.given_up_is_over();
}

void random_program::callback_is_called()
{
    if (ring_ == nullptr || in_callback_)
        return;
    if (chance(150)) {
        in_callback_ = true;
        act();
        in_callback_ = false;
    }
    if (chance(20))
        throw thrown_by_callback();
}

/// After a poll, which has called everything that was due: what is in flight and
/// not the program's was given up.
void random_program::check_in_flight()
{
    std::size_t ours = callbacks_;
    for (const auto& h : handles_)
        ours += h->is_submitted() && !h->is_over() ? 1 : 0;
    for (const waiting_coroutine& c : coroutines_)
        ours += c.coroutine.done() ? 0 : 1;
    ours += streams_.size(); // All that there was was taken.
    const std::size_t all = ring_->in_flight();
    if (all < ours)
        return problem("the ring has lost an operation");
    if (all - ours > given_up_in_flight_)
        problem("the ring has operations that nobody started");
    given_up_in_flight_ = all - ours;
    if (given_up_in_flight_ == 0)
        given_up_is_over();
}

void random_program::check_memory()
{
    if (pool_)
        places_.check_pool(pool_->statistics().available, pool_count_);
    if (!kernel_)
        return;
    for (const auto& range : kernel_->referenced_memory())
        for (const kept_buffer& b : kept_)
            if (range.overlaps(b.bytes.data(), b.bytes.size()))
                problem("the kernel has a pointer to a buffer of the program");
    for (const auto& range : kernel_->referenced_memory())
        for (const view& v : views_)
            if (range.overlaps(v.bytes.data(), v.bytes.size()))
                problem("the kernel may choose a buffer that the program has");
}

} // namespace programs
