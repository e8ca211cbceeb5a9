// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "handle_of.hpp"

#include <algorithm>

// What is started.
namespace programs {
namespace {

using namespace std::chrono_literals;
using kind = meaning::kind;

constexpr std::size_t most_handles = 40;

/// Moves out of `from`, which loses its last.
template <typename T>
T take_last(std::vector<T>& from)
{
    T last = std::move(from.back());
    from.pop_back();
    return last;
}

/// One chain of all of these.
std::shared_ptr<chain_outcome> chain_of(std::span<const meaning_ptr> all, bool hard)
{
    auto outcome = std::make_shared<chain_outcome>();
    outcome->hard = hard;
    outcome->results.resize(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        meaning& m = *all[i];
        // A receive has succeeded with what there is.
        const bool receives = m.what == kind::stream_read && m.on->is_socket;
        const bool in_full = m.base != nullptr && !receives;
        outcome->in_full.push_back(in_full ? static_cast<int>(m.size_bytes) : -1);
        m.chain = outcome;
        m.place_in_chain = i;
    }
    return outcome;
}

} // namespace

unsigned random_program::next_tag(const channel* c)
{
    do
        last_tag_ = (last_tag_ + 1) % tags;
    while (c != nullptr && c->model.has(last_tag_));
    return last_tag_;
}

channel* random_program::channel_for(bool reads, std::optional<bool> is_socket)
{
    std::vector<channel*> free;
    for (channel& c : channels_)
        if (!c.retired && (reads ? c.readers : c.writers) == 0 &&
            (!is_socket || c.is_socket == *is_socket))
            free.push_back(&c);
    return free.empty() ? nullptr : free[below(free.size())];
}

std::optional<random_program::kept_buffer> random_program::take_buffer()
{
    if (kept_.empty())
        return std::nullopt;
    std::swap(kept_[below(kept_.size())], kept_.back());
    kept_buffer b = take_last(kept_);
    if (!is_filled(b.bytes.bytes(), b.tag))
        problem("somebody wrote to a buffer of the program");
    places_.moves(b.base, buffer_places::caller, buffer_places::operation);
    return b;
}

meaning_ptr random_program::plan_read(channel& c, kept_buffer& b)
{
    auto m = std::make_shared<meaning>();
    m->what = kind::stream_read;
    m->on = &c;
    m->fd = c.reader.get();
    m->base = b.base;
    m->data = b.bytes.data();
    m->size_bytes = b.bytes.capacity();
    m->from_pool = b.from_pool;
    ++c.readers;
    ++c.operations;
    return m;
}

meaning_ptr random_program::plan_write(channel& c, kept_buffer& b)
{
    auto m = std::make_shared<meaning>();
    m->what = kind::stream_write;
    m->on = &c;
    m->fd = c.writer.get();
    m->base = b.base;
    m->from_pool = b.from_pool;
    if (b.bytes.size() > 1 && chance(200))
        b.bytes.consume(1);
    b.bytes.resize(1 + below(b.bytes.capacity()));
    m->tag = next_tag(&c);
    fill(b.bytes.bytes(), m->tag);
    m->data = b.bytes.data();
    m->size_bytes = b.bytes.size();
    m->written = c.model.begins(m->tag, m->size_bytes);
    ++c.writers;
    ++c.operations;
    return m;
}

meaning_ptr random_program::plan_shared_write(channel& c, const kept_shared& b)
{
    auto m = std::make_shared<meaning>();
    m->what = kind::stream_write;
    m->on = &c;
    m->fd = c.writer.get();
    m->base = b.base;
    m->data = b.bytes.data();
    m->size_bytes = b.bytes.size();
    m->tag = b.tag;
    m->is_shared = true;
    m->from_pool = b.from_pool;
    m->written = c.model.begins(m->tag, m->size_bytes);
    places_.is_copied(b.base, buffer_places::operation);
    ++c.writers;
    ++c.operations;
    return m;
}

/// Null where that part of the file is in use.
meaning_ptr random_program::plan_file(kept_buffer& b, bool writes)
{
    const std::size_t size = writes ? 1 + below(b.bytes.capacity()) : b.bytes.capacity();
    const std::size_t offset = below(file_content_.size_bytes() - size);
    if (!file_content_.may_be_used(offset, size, writes))
        return nullptr;
    auto m = std::make_shared<meaning>();
    m->what = writes ? kind::file_write : kind::file_read;
    m->fd = file_.get();
    m->base = b.base;
    m->data = b.bytes.data();
    m->from_pool = b.from_pool;
    m->size_bytes = size;
    m->offset = offset;
    if (writes) {
        b.bytes.resize(size);
        m->tag = next_tag(nullptr);
        fill(b.bytes.bytes(), m->tag);
    }
    file_content_.is_used(offset, size, writes);
    return m;
}

void random_program::start_read()
{
    channel* const c = channel_for(true, std::nullopt);
    if (c == nullptr)
        return;
    auto b = take_buffer();
    if (!b)
        return;
    meaning_ptr m = plan_read(*c, *b);
    file_ref from = end_of(*c, true, *m);
    if (c->is_socket && chance(700))
        return start(ring_->receive(std::move(from), std::move(b->bytes)), m);
    start(ring_->read(std::move(from), std::move(b->bytes)), m);
}

void random_program::start_write()
{
    channel* const c = channel_for(false, std::nullopt);
    if (c == nullptr)
        return;
    auto b = take_buffer();
    if (!b)
        return;
    meaning_ptr m = plan_write(*c, *b);
    file_ref to = end_of(*c, false, *m);
    if (c->is_socket)
        return start_send(std::move(to), std::move(b->bytes), m);
    start(ring_->write(std::move(to), std::move(b->bytes)), m);
}

void random_program::start_shared_write()
{
    channel* const c = channel_for(false, std::nullopt);
    if (c == nullptr || shared_.empty())
        return;
    const kept_shared& b = shared_[below(shared_.size())];
    if (c->model.has(b.tag))
        return;
    meaning_ptr m = plan_shared_write(*c, b);
    file_ref to = end_of(*c, false, *m);
    if (c->is_socket)
        return start_send(std::move(to), b.bytes, m);
    start(ring_->write(std::move(to), b.bytes), m);
}

template <typename Buffer>
void random_program::start_send(file_ref to, Buffer bytes, meaning_ptr m)
{
    if (!chance(350))
        return start(ring_->send(std::move(to), std::move(bytes)), std::move(m));
    m->without_copy = true;
    start(ring_->send_zero_copy(std::move(to), std::move(bytes)), std::move(m));
}

/// A vectored operation, or a message without an address.
void random_program::start_in_parts()
{
    const bool reads = chance(500);
    channel* const c = channel_for(reads, std::nullopt);
    const std::size_t count = 1 + below(3);
    if (c == nullptr || kept_.size() < count)
        return;
    auto m = std::make_shared<meaning>();
    message<owned_buffer> all;
    for (std::size_t i = 0; i < count; ++i) {
        auto b = take_buffer();
        m->parts.push_back(reads ? plan_read(*c, *b) : plan_write(*c, *b));
        m->size_bytes += m->parts.back()->size_bytes;
        all.buffers.push_back(std::move(b->bytes));
    }
    m->on = c;
    ++c->operations;
    file_ref end = end_of(*c, reads, *m);
    const bool as_message = c->is_socket && chance(500);
    if (reads && as_message)
        return start(ring_->receive_message(std::move(end), std::move(all)), m);
    if (reads)
        return start(ring_->read(std::move(end), std::move(all.buffers)), m);
    if (as_message)
        return start(ring_->send_message(std::move(end), std::move(all)), m);
    start(ring_->write(std::move(end), std::move(all.buffers)), m);
}

void random_program::start_file()
{
    auto b = take_buffer();
    if (!b)
        return;
    const bool writes = chance(500);
    const meaning_ptr m = plan_file(*b, writes);
    if (!m) {
        places_.moves(b->base, buffer_places::operation, buffer_places::caller);
        return keep(std::move(b->bytes), b->base, b->from_pool);
    }
    if (writes)
        return start(ring_->write(m->fd, std::move(b->bytes)).at(m->offset), m);
    start(ring_->read(m->fd, std::move(b->bytes)).at(m->offset), m);
}

void random_program::start_without_buffer()
{
    auto m = std::make_shared<meaning>();
    switch (below(5)) {
    case 0:
        return start(ring_->nop(), m);
    case 1:
        m->what = kind::long_timeout;
        return start(ring_->timeout(1h), m);
    case 2:
        return start(ring_->timeout(kernel_ ? 0ns : 20us), m);
    case 3:
        m->fd = file_.get();
        return start(ring_->fdatasync(m->fd), m);
    default:
        break;
    }
    const bool reads = chance(500);
    auto c = channels_.begin();
    std::advance(c, static_cast<std::ptrdiff_t>(below(channels_.size())));
    m->on = &*c;
    ++c->operations;
    file_ref end = end_of(*c, reads, *m);
    start(ring_->poll(std::move(end), reads ? POLLIN : POLLOUT), m);
}

void random_program::start_something()
{
    if (handles_.size() >= most_handles)
        return;
    const std::size_t what = below(100);
    if (what < 26)
        start_read();
    else if (what < 45)
        start_write();
    else if (what < 51)
        start_in_parts();
    else if (what < 59)
        start_shared_write();
    else if (what < 67)
        start_file();
    else if (what < 75)
        start_without_buffer();
    else if (what < 81)
        start_on_descriptors();
    else if (what < 83)
        start_on_places();
    else if (what < 84)
        start_allocate();
    else if (what < 87)
        start_splice();
    else if (what < 89)
        start_message();
    else if (what < 93)
        start_stream();
    else
        start_chain();
}

template <typename... Ops>
void random_program::start_linked(std::array<meaning_ptr, sizeof...(Ops)> all,
                                  operation<Ops, building>... ops)
{
    const auto outcome = chain_of(all, chance(400));
    std::size_t next = 0;
    (limit(ops, *all[next++], 60), ...);
    // No loop here: clang's -Wconsumed would say that it changes the operations.
    std::ranges::for_each(all, [this](const meaning_ptr& m) { begins(m); });
    ++totals_.chains;
    auto add = [&](auto&&... submitted_ops) {
        std::size_t i = 0;
        (handles_.push_back(
             std::make_unique<handle_of<Ops>>(*this, std::move(submitted_ops), all[i++])),
         ...);
    };
    std::apply(add, outcome->hard ? ring_->submit_in_order(std::move(ops)...)
                                  : ring_->submit_linked(std::move(ops)...));
}

void random_program::start_chain()
{
    if (kept_.size() < 3 || settings_.submission_entries < 8)
        return;
    const bool sockets = chance(500);
    channel* const from = channel_for(true, sockets);
    channel* const to = channel_for(false, sockets);
    if (from == nullptr || to == nullptr)
        return;
    const auto plain = [] { return std::make_shared<meaning>(); };
    const int reader = from->reader.get(), writer = to->writer.get();
    auto first = take_buffer(), second = take_buffer();
    if (sockets) {
        auto sent = plan_write(*to, *first), received = plan_read(*from, *second);
        return start_linked({sent, received, plain()}, ring_->send(writer, std::move(first->bytes)),
                            ring_->receive(reader, std::move(second->bytes)), ring_->nop());
    }
    switch (below(4)) {
    case 0: {
        auto read = plan_read(*from, *first), written = plan_write(*to, *second);
        return start_linked({plain(), read, written}, ring_->nop(),
                            ring_->read(reader, std::move(first->bytes)),
                            ring_->write(writer, std::move(second->bytes)));
    }
    case 1: { // Two on one stream, which come in order.
        auto early = plan_write(*to, *first), late = plan_write(*to, *second);
        late->on = to;
        return start_linked({early, late}, ring_->write(writer, std::move(first->bytes)),
                            ring_->write(writer, std::move(second->bytes)));
    }
    case 2: {
        auto written = plan_write(*to, *first), read = plan_read(*from, *second);
        return start_linked({plain(), written, read}, ring_->timeout(0ns),
                            ring_->write(writer, std::move(first->bytes)),
                            ring_->read(reader, std::move(second->bytes)));
    }
    default: {
        auto polled = plain();
        polled->fd = reader;
        auto read = plan_read(*from, *first), written = plan_write(*to, *second);
        polled->on = from;
        ++from->operations;
        return start_linked({polled, written, read}, ring_->poll(reader, POLLIN),
                            ring_->write(writer, std::move(second->bytes)),
                            ring_->read(reader, std::move(first->bytes)));
    }
    }
}

} // namespace programs
