// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "program_stream.hpp"

#include <algorithm>
#include <cerrno>

// Streams, and what they bring.
namespace programs {
namespace {

using namespace std::chrono_literals;
using kind = meaning::kind;

constexpr std::size_t most_streams = 5;
constexpr std::size_t offered_count = 8;
constexpr std::size_t most_views = 6;

} // namespace

void random_program::offer_buffers()
{
    if (!ring_->found().buffer_ring)
        return;
    const bool in_parts = ring_->found().incremental_buffers && chance(500);
    offered_.emplace(*ring_, offered_count, 32 + below(200),
                     in_parts ? ring::buffer_use::in_parts : ring::buffer_use::whole);
}

template <typename Kind>
void random_program::keep_stream(stream<Kind> made, meaning_ptr m)
{
    m->number = ++last_number_;
    streams_.push_back(std::make_unique<stream_of<Kind>>(*this, std::move(made), std::move(m)));
}

void random_program::start_stream()
{
    if (streams_.size() >= most_streams)
        return;
    auto m = std::make_shared<meaning>();
    const auto is_there = [this](kind what) {
        return std::any_of(streams_.begin(), streams_.end(),
                           [what](const auto& s) { return s->m->what == what; });
    };
    switch (below(6)) {
    case 0:
        m->what = kind::accepts;
        m->fd = listener_.get();
        return keep_stream(ring_->accept_stream(m->fd), m);
    case 1: // A simulated run has to replay.
        m->what = kind::long_timeout;
        return keep_stream(ring_->timeout_stream(kernel_ ? 1h : 30us), m);
    case 2:
        if (is_there(kind::messages))
            return;
        m->what = kind::messages;
        return keep_stream(ring_->messages(), m);
    default:
        break;
    }
    channel* const c = channel_for(true, true);
    if (c == nullptr || !offered_)
        return;
    m->what = kind::stream_read;
    m->on = c;
    m->fd = c->reader.get();
    ++c->readers;
    ++c->operations;
    const std::size_t high = 1 + below(8);
    const stream_limits limits{high, below(high), chance(500)};
    keep_stream(ring_->receive_stream(m->fd, *offered_, limits), m);
}

void random_program::use_a_stream()
{
    if (streams_.empty())
        return;
    const std::size_t index = below(streams_.size());
    any_stream& s = *streams_[index];
    const std::size_t what = below(100);
    if (what < 60) {
        for (std::size_t most = 1 + below(4); most != 0 && s.try_next(); --most) {
        }
    } else if (what < 88) {
        s.call_back();
    } else if (what < 93) {
        if (!s.is_over())
            s.cancel();
    } else if (what < 96) {
        drop_stream(index);
    }
}

void random_program::drop_stream(std::size_t index)
{
    std::swap(streams_[index], streams_.back());
    const std::unique_ptr<any_stream> dropped = std::move(streams_.back());
    streams_.pop_back();
    const meaning_ptr m = dropped->m;
    if (dropped->is_over())
        return;
    if (m->what == kind::stream_read)
        m->on->retired = true; // It has had bytes that nobody took.
    if (m->what == kind::accepts)
        connections_are_unknown_ = true;
    given_up_.push_back(m);
    ++given_up_in_flight_;
    ++totals_.given_up;
}

/// All that is there, so that it is known which streams are over.
void random_program::drain_streams()
{
    for (const auto& s : streams_)
        while (s->try_next()) {
        }
    std::erase_if(streams_, [](const auto& s) { return s->is_over(); });
}

void random_program::stream_is_over(meaning& m, const io_error& error)
{
    if (!error.code)
        return problem("a stream has come to an end without a reason");
    if (error.descriptor != m.fd)
        problem("the end of a stream names another descriptor");
    check_failure(m, error.code.value(), m.cancel_asked);
    leave_channel(m);
}

void random_program::item_came(const meaning_ptr& m,
                               std::pair<io_result<std::size_t>, owned_buffer>&& item, bool end)
{
    auto& [result, buffer] = item;
    if (end)
        return stream_is_over(*m, result.error());
    ++totals_.items;
    if (result.value() == 0 || result.value() != buffer.size())
        problem("an item of a stream has another size than its buffer");
    m->on->model.is_read(buffer.bytes());
    totals_.bytes += buffer.size();
    const auto bytes = buffer.bytes();
    if (views_.size() < most_views && chance(500))
        views_.push_back({std::move(buffer), {bytes.begin(), bytes.end()}});
}

void random_program::item_came(const meaning_ptr& m,
                               std::pair<io_result<int>, owned_descriptor>&& item, bool end)
{
    auto& [result, descriptor] = item;
    if (end)
        return stream_is_over(*m, result.error());
    ++totals_.items;
    ++accepted_;
    if (result.value() != descriptor.get())
        problem("an accepted connection has another number than was told");
    keep(std::move(descriptor), true);
}

void random_program::item_came(const meaning_ptr& m, io_result<std::uint64_t>&& item, bool end)
{
    if (end)
        return stream_is_over(*m, item.error());
    ++totals_.items;
    if (m->what != kind::messages) {
        if (kernel_ || item.value() == 0)
            problem("a stream of timeouts has brought an interval that is not over");
        return;
    }
    message_came(item.value());
}

void random_program::verify_views()
{
    for (const view& v : views_)
        if (!std::equal(v.content.begin(), v.content.end(), v.bytes.bytes().begin(),
                        v.bytes.bytes().end()))
            return problem("somebody wrote to what a stream has brought");
    if (!views_.empty() && chance(400)) {
        std::swap(views_[below(views_.size())], views_.back());
        views_.pop_back();
    }
}

/// Of those that the kernel may choose from none is lost.
void random_program::check_offered()
{
    if (!offered_ || !streams_.empty() || given_up_in_flight_ != 0)
        return;
    views_.clear();
    if (offered_->statistics().available != offered_count)
        problem("buffers on offer are lost");
}

} // namespace programs
