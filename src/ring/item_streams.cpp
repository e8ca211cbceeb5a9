// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/buffer_group.hpp>
#include <safer_ring/ring/event_loop.hpp>
#include <safer_ring/ring/item_source.hpp>

#include <chrono>
#include <exception>
#include <utility>

// Streams of items: a source, whose request completes again and again, and the
// operations that wait for its items. These stand in line with the other reads of
// the descriptor; the source does so only from its end until the kernel has let go
// of it, so that no read that comes after it takes what still belongs to it.

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

/// How long stop_stream() lets the kernel finish a cancellation.
constexpr std::chrono::seconds stop_deadline(1);

} // namespace

buffer_group* event_loop::stream_buffers() noexcept
{
    constexpr std::uint16_t group = receive_buffers::group + 1;
    if (std::exchange(asked_for_stream_buffers_, true) || !buffers_.available() ||
        !features_.multishot_receive)
        return stream_buffers_.get();
    try {
        auto made = buffer_group::make(nullptr, options_.receive_buffer_count,
                                       options_.receive_buffer_size_bytes, buffer_use::whole);
        made->attach(*kernel_, group);
        stream_buffers_ = std::move(made);
    } catch (const std::exception&) {
        // No memory, or too little of it may be locked: streams go on without.
    }
    return stream_buffers_.get();
}

int event_loop::open_stream(descriptor& d, item_source& s)
{
    const guard held(mutex_);
    if (!kernel_ || shut_down_)
        return -ECANCELED;
    if (d.stream != nullptr)
        return stream_is_open;
    s.id_ = slots_.insert(s);
    s.descriptor_ = &d;
    s.direction_ = direction::read;
    s.is_open_ = true;
    d.stream = &s;
    return 0;
}

bool event_loop::start_next(item_source& s, item_operation& op, loop_thread* self, operation_id* id)
{
    descriptor* d = nullptr;
    {
        const guard held(mutex_);
        d = s.is_open_ ? s.descriptor_ : nullptr;
    }
    if (d == nullptr)
        return false;
    start(*d, direction::read, op, self, id);
    return true;
}

bool event_loop::is_open(const item_source& s)
{
    const guard held(mutex_);
    return s.is_open_;
}

std::size_t event_loop::items_held(const item_source& s)
{
    const guard held(mutex_);
    return s.items_.size();
}

/// First in line now. True when it has ended at once.
bool event_loop::begin_item(item_operation& op) noexcept
{
    item_source* const s = op.descriptor_->stream;
    if (s == nullptr || s->is_stopping_) {
        op.discard(*this);
        make_ready(op);
        return true;
    }
    op.state_ = io_state::queued;
    if (!s->has_item()) {
        s->has_ended_ = false;
        if (op.descriptor_->has_leftover())
            s->take_leftover(*this);
    }
    if (s->has_item()) {
        op.give(s->pop());
        make_ready(op);
    }
    adjust(*s);
    return op.state_ == io_state::ready;
}

/// A completion of the source's request. Answers who is to be told of it first,
/// if `keeps_first`, instead of making that ready.
item_operation* event_loop::take_in_item(item_source& s, bool keeps_first) noexcept
{
    const bool goes_on = (s.completion_flags_ & backend::completion_more) != 0;
    if (!goes_on) {
        s.state_ = io_state::idle;
        s.cancel_requested_ = false;
        s.begins_anew_ = false;
        if (std::exchange(s.is_to_cancel_, false))
            to_cancel_.remove(&s);
    }
    if (!s.is_open_) {
        s.drop(*this, s.result_, s.completion_flags_);
        if (!goes_on)
            finish(s);
        return nullptr;
    }
    s.take_in(*this, s.result_, s.completion_flags_);
    item_operation* const first = serve(s, keeps_first);
    adjust(s);
    return first;
}

/// Gives items to who waits for them.
item_operation* event_loop::serve(item_source& s, bool keeps_first) noexcept
{
    item_operation* first = nullptr;
    if (s.is_stopping_)
        return first;
    for (io_operation* op = s.descriptor_->front(direction::read); op != nullptr; op = op->after_) {
        if (op->role_ != io_operation::role::next_item || op->state_ != io_state::queued)
            continue;
        if (!s.has_item()) {
            s.has_ended_ = false; // Somebody asks what comes behind an error.
            break;
        }
        auto& next = static_cast<item_operation&>(*op);
        next.give(s.pop());
        // Behind one that has its item already, and is in the queue, it has to wait.
        if (keeps_first && first == nullptr && next.before_ == nullptr) {
            first = &next;
            next.state_ = io_state::ready;
        } else {
            make_ready(next);
        }
    }
    return first;
}

/// Starts or stops the request according to what is held.
void event_loop::adjust(item_source& s) noexcept
{
    if (s.items_.size() >= s.limits_.high_water)
        s.is_held_back_ = true;
    else if (s.items_.size() <= s.limits_.low_water)
        s.is_held_back_ = false;
    if (s.state_ == io_state::idle && s.wants_more()) {
        s.state_ = io_state::pending;
        pending_.push_back(&s);
    } else if (s.state_ == io_state::in_kernel && s.is_to_be_given_back() && !s.cancel_requested_ &&
               !s.is_to_cancel_) {
        // Not from here, where completions are being taken: asking may take more.
        s.is_to_cancel_ = true;
        to_cancel_.push_back(&s);
    }
}

void event_loop::cancel_held_back() noexcept
{
    while (operation* const op = to_cancel_.pop_front()) {
        auto& s = static_cast<item_source&>(*op);
        s.is_to_cancel_ = false;
        if (s.is_to_be_given_back())
            request_cancel(s);
    }
}

void event_loop::conclude_waiting(descriptor& d) noexcept
{
    for (io_operation* op = d.front(direction::read); op != nullptr;) {
        io_operation* const next = op->after_;
        if (op->role_ == io_operation::role::next_item && op->state_ == io_state::queued)
            conclude(*op, cancel_mode::cancel);
        op = next;
    }
}

void event_loop::end_request(item_source& s) noexcept
{
    if (std::exchange(s.is_to_cancel_, false))
        to_cancel_.remove(&s);
    if (s.state_ == io_state::pending) {
        pending_.remove(&s);
        s.state_ = io_state::idle;
    } else if (s.state_ == io_state::in_kernel && !s.cancel_requested_) {
        request_cancel(s);
        flush_published();
    }
}

int event_loop::stop_stream(item_source& s, std::vector<stream_item>& left,
                            const std::function<void(std::size_t)>& make_room)
{
    guard held(mutex_);
    if (!s.is_open_)
        return 0;
    s.is_stopping_ = true;
    conclude_waiting(*s.descriptor_);
    end_request(s);
    reap();
    const auto deadline = std::chrono::steady_clock::now() + stop_deadline;
    while (s.state_ == io_state::in_kernel && std::chrono::steady_clock::now() < deadline &&
           enter_briefly(held)) {
    }
    if (!s.is_open_) { // Its descriptor was closed meanwhile.
        hand_back(held);
        return 0;
    }
    int result = s.has_lost_ ? -ENOMEM : 0;
    if (s.state_ == io_state::in_kernel)
        result = -ETIMEDOUT;
    try {
        if (result != -ETIMEDOUT) {
            left.reserve(s.items_.size());
            if (make_room)
                make_room(s.items_.size());
        }
    } catch (...) {
        s.is_stopping_ = false;
        adjust(s);
        hand_back(held);
        throw;
    }
    if (result == -ETIMEDOUT) {
        s.is_stopping_ = false;
        hand_back(held);
        return result;
    }
    while (s.items_.size() != 0) {
        stream_item item = s.pop();
        if (item.result < 0) // There is at most one, behind the rest.
            s.leave(item.result);
        else if (item.buffer.size() != 0 || item.socket.is_open())
            left.push_back(std::move(item));
    }
    abandon_stream(*s.descriptor_);
    hand_back(held);
    return result;
}

/// The stream is over; who still waits for an item is left to the caller.
void event_loop::abandon_stream(descriptor& d) noexcept
{
    item_source& s = *std::exchange(d.stream, nullptr);
    s.is_open_ = false;
    while (s.items_.size() != 0)
        static_cast<void>(s.pop());
    if (s.state_ == io_state::in_kernel) {
        s.detached_ = true;
        d.push_back(s);
        end_request(s); // Which may be the end of it.
    } else {
        end_request(s);
        finish(s);
    }
}

/// The kernel has let go of it, and no item will be asked for.
void event_loop::finish(item_source& s) noexcept
{
    s.state_ = io_state::idle;
    slots_.erase(std::exchange(s.id_, operation_id::none));
    descriptor* const d = std::exchange(s.descriptor_, nullptr);
    if (d != nullptr && s.detached_) {
        io_operation* const after = s.after_;
        d->remove(s);
        if (after != nullptr && after->state_ == io_state::queued)
            begin(*after);
    }
    if (!s.has_owner_)
        finished_.push_back(&s);
}

void event_loop::free_finished() noexcept
{
    while (operation* const op = finished_.pop_front())
        op->destroy();
}

void event_loop::close_stream(item_source* s) noexcept
{
    {
        guard held(mutex_);
        if (s->is_open_) {
            descriptor& d = *s->descriptor_;
            conclude_waiting(d);
            abandon_stream(d);
            reap();
            hand_back(held);
        }
        s->has_owner_ = false;
        if (s->state_ == io_state::in_kernel)
            return;
    }
    s->destroy();
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
