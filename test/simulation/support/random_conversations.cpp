// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "random_conversations.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <algorithm>
#include <sstream>

namespace simulated {
namespace {

constexpr char new_owner = '#';

/// The byte at this place of a stream; never the new owner's pattern.
char byte_at(std::uint64_t stream, std::uint64_t position)
{
    const std::uint64_t mixed = (position * 0x9e3779b97f4a7c15U) ^ (stream * 0xbf58476d1ce4e5b9U);
    const char c = static_cast<char>((mixed >> 40) & 0x7f);
    return c == new_owner ? '$' : c;
}

options random_options(std::mt19937_64& random)
{
    const auto one_of = [&random](std::initializer_list<unsigned> values) {
        return values.begin()[random() % values.size()];
    };
    options settings;
    settings.submission_entries = one_of({2, 4, 16, 64});
    settings.completion_entries = one_of({4, 8, 32, 128});
    settings.receive_buffer_count = one_of({1, 2, 4, 16});
    settings.receive_buffer_size_bytes = one_of({16, 64, 256, 2048});
    settings.send_buffer_size_bytes = one_of({32, 128, 1024});
    settings.drain_deadline_ms = 20000;
    return settings;
}

} // namespace

/// One operation and the memory that is the caller's until it gives it away.
struct random_conversations::operation_in_flight {
    std::vector<char> memory;
    std::string delivered; // What was in the memory when it was given away.
    bool taken = false;
    bool cancelled = false;
};

/// One end of a connection: it writes one stream and reads another.
struct random_conversations::end_point {
    std::uint64_t stream = 0; // Of what it writes.
    end_point* other = nullptr;
    std::optional<local_socket> socket;
    net::cancellation_signal cancel_read;
    net::cancellation_signal cancel_write;
    std::shared_ptr<operation_in_flight> read;
    std::shared_ptr<operation_in_flight> write;
    std::uint64_t written = 0;   // As reported.
    std::uint64_t uncertain = 0; // Aborted by the close: may have been sent.
    std::uint64_t received = 0;
    bool read_ended = false;
    bool broken = false; // An error other than end of file.
};

class random_conversations::handler {
public:
    handler(random_conversations& all, end_point& e, std::shared_ptr<operation_in_flight> op,
            bool reads)
        : all_(&all), end_(&e), op_(std::move(op)), reads_(reads)
    {
        ++all_->handlers_alive_;
    }
    handler(handler&& other) noexcept
        : all_(other.all_), end_(other.end_), op_(std::move(other.op_)), reads_(other.reads_)
    {
        ++all_->handlers_alive_;
    }
    handler& operator=(handler&&) = delete;
    ~handler() { --all_->handlers_alive_; }

    void operator()(const error_code& ec, std::size_t n)
    {
        ++all_->handlers_called_;
        reads_ ? all_->on_read(*end_, *op_, ec, n) : all_->on_write(*end_, *op_, ec, n);
    }

private:
    random_conversations* all_;
    end_point* end_;
    std::shared_ptr<operation_in_flight> op_;
    bool reads_;
};

random_conversations::random_conversations(std::uint64_t seed)
    : random_(seed), seed_(seed), settings_(random_options(random_)),
      ring_(settings_, simulation_plan::random(seed), random_() % 2 == 0 ? 1 : 2)
{
    // Buffers that are offered short where they may be: 512 bytes of 2048.
    constexpr int until_short = 2 * 1024;
    const int learnt = chance(50) ? until_short : 0;
    for (int i = 0; i < learnt; ++i)
        ring_.context->impl().loop().buffers().learn(1, false, false);
    const std::size_t connections = 1 + below(12);
    for (std::size_t i = 0; i < connections; ++i) {
        auto [first, second] = test_support::local_descriptor_pair();
        auto& a = ends_.emplace_back();
        auto& b = ends_.emplace_back();
        a.socket.emplace(*ring_.context, net::local::stream_protocol(), first.release());
        b.socket.emplace(*ring_.context, net::local::stream_protocol(), second.release());
        a.stream = 2 * i;
        b.stream = 2 * i + 1;
        a.other = &b;
        b.other = &a;
        if (chance(15)) // EAGAIN instead of waiting in the kernel.
            a.socket->native_non_blocking(true);
    }
}

random_conversations::~random_conversations() = default;

std::size_t random_conversations::below(std::size_t bound)
{
    return random_() % bound;
}

bool random_conversations::chance(unsigned percent)
{
    return below(100) < percent;
}

void random_conversations::problem(const std::string& what)
{
    constexpr std::size_t enough = 5;
    if (problems_.size() < enough)
        problems_.push_back(what);
}

std::string random_conversations::describe() const
{
    std::ostringstream text;
    text << "SAFER_RING_SEED=" << seed_ << " replays it; " << ends_.size() / 2
         << " connections, queues of " << settings_.submission_entries << " and "
         << settings_.completion_entries << ", " << settings_.receive_buffer_count
         << " receive buffers of " << settings_.receive_buffer_size_bytes
         << " bytes, send buffers of " << settings_.send_buffer_size_bytes << " bytes; "
         << ring_.kernel->plan().describe();
    return text.str();
}

void random_conversations::run()
{
    const std::size_t actions = 50 + below(400);
    for (std::size_t i = 0; i < actions && problems_.empty(); ++i)
        act();
    if (chance(25)) { // In the middle of everything.
        ends_.clear();
        ring_.context.reset();
    } else {
        drain();
        check_end();
    }
    if (handlers_alive_ != 0)
        problem(std::to_string(handlers_alive_) + " handler objects were not destroyed");
    if (ring_.context != nullptr && handlers_called_ != handlers_made_)
        problem(std::to_string(handlers_made_) + " handlers, " + std::to_string(handlers_called_) +
                " calls");
    for (const given_away& g : given_away_)
        if (!std::all_of(g.memory.begin(), g.memory.end(), [](char c) { return c == new_owner; }))
            problem("memory that was given away was written to");
}

void random_conversations::act()
{
    end_point& e = ends_[below(ends_.size())];
    if (!e.socket || chance(25)) {
        ring_.poll();
        return;
    }
    switch (below(20)) {
    default:
        start_read(e);
        start_write(*e.other, 4096);
        return;
    case 0:
        e.socket->cancel();
        return after_cancel(e);
    case 1:
        e.cancel_read.emit(net::cancellation_type::terminal);
        if (e.read)
            take_memory(*e.read);
        return;
    case 2:
        e.cancel_write.emit(net::cancellation_type::terminal);
        if (e.write)
            take_memory(*e.write);
        return;
    case 3:
        if (chance(20))
            end(e, chance(50));
        return;
    case 4: // A synchronous read between the asynchronous ones.
        if (!e.read && !e.read_ended) {
            auto op = std::make_shared<operation_in_flight>();
            op->memory.assign(1 + below(100), 'r');
            e.socket->non_blocking(true);
            error_code ec;
            const std::size_t n = e.socket->read_some(net::buffer(op->memory), ec);
            if (ec != net::error::would_block) {
                e.read = op;
                on_read(e, *op, ec, n);
            }
        }
        return;
    }
}

void random_conversations::start_read(end_point& e)
{
    if (!e.socket || e.read || e.read_ended)
        return;
    e.read = std::make_shared<operation_in_flight>();
    e.read->memory.assign(1 + below(chance(20) ? 5000 : 300), 'r');
    ++handlers_made_;
    ++totals_.operations;
    e.socket->async_read_some(
        net::buffer(e.read->memory),
        net::bind_cancellation_slot(e.cancel_read.slot(), handler(*this, e, e.read, true)));
}

void random_conversations::start_write(end_point& e, std::size_t most)
{
    if (!e.socket || e.write || e.broken)
        return;
    e.write = std::make_shared<operation_in_flight>();
    e.write->memory.resize(1 + below(most));
    for (std::size_t i = 0; i < e.write->memory.size(); ++i)
        e.write->memory[i] = byte_at(e.stream, e.written + i);
    ++handlers_made_;
    ++totals_.operations;
    e.socket->async_write_some(
        net::buffer(e.write->memory),
        net::bind_cancellation_slot(e.cancel_write.slot(), handler(*this, e, e.write, false)));
}

/// The call that cancelled has returned: the memory goes to its next owner.
void random_conversations::take_memory(operation_in_flight& op)
{
    if (op.taken)
        return;
    op.taken = true;
    op.cancelled = true;
    op.delivered.assign(op.memory.data(), op.memory.size());
    std::fill(op.memory.begin(), op.memory.end(), new_owner);
    given_away_.push_back({std::move(op.memory)});
}

void random_conversations::after_cancel(end_point& e)
{
    if (e.read)
        take_memory(*e.read);
    if (e.write)
        take_memory(*e.write);
}

void random_conversations::on_read(end_point& e, operation_in_flight& op, const error_code& ec,
                                   std::size_t n)
{
    e.read.reset();
    if (ec == net::error::operation_aborted) {
        ++totals_.aborted;
        if (!op.cancelled)
            problem("a read was aborted that nobody cancelled");
        if (n != 0)
            problem("an aborted read brought bytes");
        return;
    }
    if (ec) {
        e.read_ended = true;
        if (ec != net::error::eof)
            e.broken = true;
        return;
    }
    if (op.cancelled)
        ++totals_.cancelled_with_data;
    const char* const bytes = op.taken ? op.delivered.data() : op.memory.data();
    for (std::size_t i = 0; i < n; ++i)
        if (bytes[i] != byte_at(e.other->stream, e.received + i)) {
            problem("stream " + std::to_string(e.other->stream) + " is wrong at " +
                    std::to_string(e.received + i));
            break;
        }
    e.received += n;
    totals_.bytes_received += n;
    if (e.received > e.other->written + 4096)
        problem("more was received than was written");
}

void random_conversations::on_write(end_point& e, operation_in_flight& op, const error_code& ec,
                                    std::size_t n)
{
    e.write.reset();
    if (ec == net::error::operation_aborted) {
        ++totals_.aborted;
        if (!op.cancelled)
            problem("a write was aborted that nobody cancelled");
        if (!e.socket) // Closed: what the kernel did after that is not told.
            e.uncertain = op.taken ? op.delivered.size() : op.memory.size();
        return;
    }
    if (ec) {
        e.broken = true;
        return;
    }
    e.written += n;
}

void random_conversations::end(end_point& e, bool by_destruction)
{
    if (by_destruction) {
        e.socket.reset();
    } else {
        e.socket->close();
        e.socket.reset();
    }
    after_cancel(e);
}

/// Reads everything that is on its way.
void random_conversations::drain()
{
    constexpr int most_turns = 20000;
    const auto finished = [this] {
        for (const end_point& e : ends_) {
            if (e.write)
                return false;
            const bool whole = e.socket && !e.read_ended;
            if (whole && (e.other->socket ? e.received < e.other->written : true))
                return false;
        }
        return true;
    };
    for (int i = 0; i < most_turns && problems_.empty(); ++i) {
        if (finished())
            break;
        for (end_point& e : ends_) {
            if (e.broken && e.socket) // Or its peer would write until nothing fits any more.
                end(e, chance(50));
            start_read(e);
        }
        ring_.poll();
    }
    if (!finished())
        problem("streams do not come to their end; in flight:\n" + ring_.context->describe());
    for (end_point& e : ends_)
        if (e.socket)
            end(e, chance(50));
    for (int i = 0; i < most_turns && handlers_called_ != handlers_made_; ++i)
        ring_.poll();
}

void random_conversations::check_end()
{
    for (const end_point& e : ends_) {
        // A reader that was closed first, or whose peer closed with unread
        // bytes, need not have seen everything.
        if (e.broken || e.other->broken)
            continue;
        const std::uint64_t most = e.other->written + e.other->uncertain;
        if (e.received > most)
            problem("received " + std::to_string(e.received) + " bytes of " + std::to_string(most));
        if (e.read_ended && e.received < e.other->written)
            problem("the stream ended after " + std::to_string(e.received) + " of " +
                    std::to_string(e.other->written) + " bytes");
        totals_.streams_completed += e.received >= e.other->written;
    }
    ring_.settle();
    if (!ring_.everything_is_back())
        problem("not everything is back: " +
                std::to_string(ring_.context->impl().loop().buffers().outstanding()) +
                " receive buffers, " +
                std::to_string(ring_.context->impl().loop().staging().outstanding()) +
                " blocks of staging memory, " + std::to_string(ring_.kernel->in_flight_count()) +
                " requests");
    if (ring_.context->impl().loop().stale_completions() != 0)
        problem("completions that belong to no operation");
}

} // namespace simulated
