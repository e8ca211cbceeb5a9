// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/buffer_group.hpp>
#include <safer_ring/ring/event_loop.hpp>
#include <safer_ring/ring/item_source.hpp>

#include "missed_end.hpp"

#include <cerrno>
#include <new>
#include <span>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

// What a stream asks the kernel for, and what the answers mean.

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

/// It was cancelled, for a pause or because the thread that submitted it has
/// exited, or interrupted: nothing was consumed.
bool is_undone(int result) noexcept
{
    return result == -ECANCELED || result == -EINTR;
}

} // namespace

item_source::item_source(const stream_limits& limits) : io_operation(role::source), limits_(limits)
{
    if (limits.high_water == 0 || limits.low_water >= limits.high_water)
        throw std::invalid_argument("safer_ring: the low-water mark of a stream has to be "
                                    "below its high-water mark");
}

void item_source::push(stream_item&& item) noexcept
{
    if (items_.push(std::move(item)) == streams::outcome::is_lost)
        has_lost_ = true;
}

void item_source::push_end(int result) noexcept
{
    stream_item item;
    item.result = result;
    push(std::move(item));
    has_ended_ = true;
}

stream_item item_source::pop() noexcept
{
    if (items_.size() != 0)
        return items_.pop();
    stream_item lost;
    lost.result = -ENOMEM;
    if (stands_alone()) {
        has_lost_ = false;
        items_.forget_loss();
    }
    return lost;
}

// ---------------------------------------------------------------- receive

void receive_source::prepare(event_loop& loop, backend::submission_entry& entry) noexcept
{
    buffer_group* const buffers = loop.stream_buffers();
    if (is_polling_ || !is_multishot_ || buffers == nullptr) {
        is_polling_ = true;
        prepare_poll(entry, POLLIN);
        return;
    }
    // Without IORING_RECVSEND_POLL_FIRST, with which it would more often be
    // in doubt whether the end was missed.
    fill(entry);
    entry.flags = backend::entry_buffer_select;
    entry.buffer_group = buffers->number();
    entry.ioprio = backend::receive_multishot;
}

void receive_source::fill(backend::submission_entry& entry) noexcept
{
    entry.op = backend::opcode::recv;
}

ssize_t receive_source::receive_once(owned_buffer& buffer) noexcept
{
    const ssize_t n = ::recv(descriptor_->fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    return n < 0 ? -errno : n;
}

void receive_source::take_in(event_loop& loop, int result, std::uint32_t flags) noexcept
{
    if (std::exchange(is_polling_, false)) {
        if (result >= 0)
            receive_now(loop.settings().receive_buffer_size_bytes);
        else if (!is_undone(result))
            push_end(result);
        return;
    }
    if (result > 0) {
        const auto size_bytes = static_cast<std::size_t>(result);
        push({result, loop.stream_buffers()->take(flags, size_bytes, !has_room()), {}});
        // Datagrams, which stand alone, have no end.
        begins_anew_ = !stands_alone() && may_miss_end(descriptor_->fd, flags);
        return;
    }
    drop(loop, result, flags);
    switch (result) {
    case -ENOBUFS:
        // What is there goes into memory of the heap, so that the request does not
        // come back at once for want of a buffer again and again.
        loop.stream_buffers()->note_exhaustion();
        [[fallthrough]];
    case -EAGAIN: // The user made the descriptor non-blocking.
        is_polling_ = true;
        return;
    case -EINVAL: // Should it not be for the multishot, the next receive tells.
        is_multishot_ = false;
        return;
    case -ECANCELED:
    case -EINTR:
        return;
    default:
        push_end(result);
    }
}

ssize_t receive_source::receive_uninterrupted(owned_buffer& buffer) noexcept
{
    ssize_t n = 0;
    do
        n = receive_once(buffer);
    while (n == -EINTR);
    return n;
}

/// A few buffers at once, so that the kernel is not asked for each; no more, since
/// others wait meanwhile.
void receive_source::receive_now(std::size_t size_bytes) noexcept
{
    constexpr int few = 4;
    for (int i = 0; i < few && has_room(); ++i) {
        owned_buffer buffer;
        try {
            buffer = owned_buffer(size_bytes);
        } catch (const std::bad_alloc&) {
            return push_end(-ENOMEM);
        }
        const ssize_t n = receive_uninterrupted(buffer);
        if (would_block(n))
            return;
        if (n <= 0)
            return push_end(static_cast<int>(n));
        const auto received_bytes = static_cast<std::size_t>(n);
        buffer.resize(received_bytes);
        push({static_cast<int>(n), std::move(buffer), {}});
        if (received_bytes < size_bytes && !may_be_more())
            return;
    }
}

void receive_source::drop(event_loop& loop, int, std::uint32_t flags) noexcept
{
    if ((flags & backend::completion_buffer) != 0)
        static_cast<void>(loop.stream_buffers()->take(flags, 0, false));
}

void receive_source::take_leftover(event_loop& loop) noexcept
{
    descriptor& d = *descriptor_;
    if (d.leftover_buffer != descriptor::none) {
        try {
            const std::byte* const data =
                loop.buffers().data(d.leftover_buffer) + d.leftover_offset;
            push({static_cast<int>(d.leftover_size),
                  owned_buffer::copy_of(std::span(data, d.leftover_size)),
                  {}});
        } catch (const std::bad_alloc&) {
            return push_end(-ENOMEM); // They stay, for who asks again.
        }
        loop.consume_leftover(d, d.leftover_size, false);
    }
    if (d.leftover_error != 0)
        push_end(std::exchange(d.leftover_error, 0));
}

void receive_source::leave(int error) noexcept
{
    if (error != -ENOMEM) // That one is ours; the kernel tells of others once, as of ECONNRESET.
        descriptor_->leftover_error = error;
}

// ----------------------------------------------------------------- accept

void accept_source::prepare(event_loop& loop, backend::submission_entry& entry) noexcept
{
    if (is_polling_)
        return prepare_poll(entry, POLLIN);
    entry.op = backend::opcode::accept;
    if (is_multishot_ && loop.found().multishot_accept)
        entry.ioprio = backend::accept_multishot;
}

void accept_source::take_in(event_loop&, int result, std::uint32_t) noexcept
{
    if (std::exchange(is_polling_, false)) {
        was_polling_ = result >= 0;
        if (result < 0 && !is_undone(result))
            push_end(result);
        return;
    }
    const bool polled = std::exchange(was_polling_, false);
    if (result >= 0)
        return push({0, {}, owned_descriptor(result)});
    switch (result) {
    case -EAGAIN: // The user made the descriptor non-blocking.
        is_polling_ = true;
        return;
    case -EMFILE:
    case -ENFILE:
        // The kernel reserves the number before it looks for a connection; they
        // are the caller's only when there is one.
        is_polling_ = !polled;
        return polled ? push_end(result) : void();
    case -EINVAL: // For the multishot, or for the socket, and then again.
        return std::exchange(is_multishot_, false) ? void() : push_end(result);
    case -ECONNABORTED:
    case -EPROTO:
        return reports_aborted_ ? push_end(result) : void();
    case -ECANCELED:
    case -EINTR:
        return;
    default:
        push_end(result);
    }
}

void accept_source::drop(event_loop&, int result, std::uint32_t) noexcept
{
    if (result >= 0 && !is_polling_) // The result of a poll is no descriptor.
        ::close(result);
}

void accept_source::take_leftover(event_loop&) noexcept
{
    const int socket = std::exchange(descriptor_->leftover_socket, -1);
    if (socket >= 0)
        push({0, {}, owned_descriptor(socket)});
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
