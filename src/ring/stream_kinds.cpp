// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/stream_kinds.hpp>

#include "missed_end.hpp"

#include <cerrno>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>

namespace safer_ring::inline SAFER_RING_ABI::streams {
namespace {

int type_of_socket(int fd) noexcept
{
    int type = -1;
    socklen_t size = sizeof type;
    return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 ? type : -1;
}

using clock = std::chrono::steady_clock;

/// The last there is where it would be later than that.
clock::time_point after(clock::time_point time, std::chrono::nanoseconds interval) noexcept
{
    return interval < clock::time_point::max() - time ? time + interval : clock::time_point::max();
}

/// Whether a receive of zero bytes is a message of none.
bool has_empty_messages(int fd) noexcept
{
    const int type = type_of_socket(fd);
    return type == SOCK_DGRAM || type == SOCK_RAW || type == SOCK_RDM;
}

/// Whether the kernel cuts what does not fit into the memory that it is given.
bool has_messages(int fd) noexcept
{
    return has_empty_messages(fd) || type_of_socket(fd) == SOCK_SEQPACKET;
}

} // namespace

// --------------------------------------------------------------------- accept

void accept::prepare(backend::submission_entry& entry, bool multishot) noexcept
{
    entry.op = backend::opcode::accept;
    entry.fd = fd_;
    entry.op_flags = SOCK_CLOEXEC;
    entry.ioprio = multishot ? backend::accept_multishot : std::uint16_t{0};
}

outcome accept::take_in(int result, std::uint32_t) noexcept
{
    if (result >= 0)
        return items_.push(owned_descriptor(result));
    // A connection that was gone before it was accepted: nothing is wrong with the
    // listening socket (accept(2)).
    return result == -ECONNABORTED || result == -EPROTO ? outcome::goes_on : outcome::is_over;
}

accept::result_type accept::take(bool cancelled) noexcept
{
    owned_descriptor taken = items_.pop();
    return {io_result<int>(taken.get(), cancelled), std::move(taken)};
}

accept::result_type accept::end(const io_error& error, bool cancelled)
{
    return {io_result<int>(error, cancelled), owned_descriptor()};
}

// -------------------------------------------------------------------- receive

receive::receive(int fd, std::shared_ptr<ring::buffer_group> buffers, const stream_limits& limits)
    : fd_(fd), has_end_(!has_empty_messages(fd)), buffers_(std::move(buffers)),
      high_water_(limits.high_water),
      bundles_(limits.bundles && buffers_->use() == ring::buffer_use::whole &&
               type_of_socket(fd) == SOCK_STREAM)
{
    // The kernel would receive each into what the last one left of a buffer.
    if (buffers_->use() == ring::buffer_use::in_parts && has_messages(fd))
        throw std::invalid_argument("safer_ring: datagrams would be cut where a part of a buffer "
                                    "ends; receive them with buffer_use::whole");
}

void receive::prepare(backend::submission_entry& entry, bool multishot) noexcept
{
    entry.op = backend::opcode::recv;
    entry.fd = fd_;
    entry.flags = backend::entry_buffer_select;
    entry.buffer_group = buffers_->number();
    // Without IORING_RECVSEND_POLL_FIRST, with which it would more often be
    // in doubt whether the end was missed.
    if (multishot)
        entry.ioprio = backend::receive_multishot;
    else
        entry.length = static_cast<std::uint32_t>(buffers_->size_bytes());
    if (bundles_)
        entry.ioprio |= backend::receive_bundle;
}

outcome receive::take_in(int result, std::uint32_t flags) noexcept
{
    if (result == -ENOBUFS) {
        buffers_->note_exhaustion();
        return outcome::starves;
    }
    auto left = static_cast<std::size_t>(std::max(result, 0));
    const bool has_buffer = (flags & backend::completion_buffer) != 0;
    if (left == 0 && (result < 0 || has_end_)) {
        if (has_buffer) // It goes back as it came.
            static_cast<void>(buffers_->take(flags, 0, false));
        return outcome::is_over;
    }
    if (!has_buffer)
        return items_.push(owned_buffer());
    outcome kept = outcome::goes_on;
    do { // Each of a bundle is full, but for the last; without bundles there is one.
        const std::size_t here = bundles_ ? std::min(left, buffers_->room(flags)) : left;
        const std::uint32_t next = left > here ? buffers_->behind(flags) : 0;
        kept = items_.push(buffers_->take(flags, here, items_.size() >= high_water_));
        flags = next;
        left -= here;
    } while (left != 0);
    return kept;
}

bool receive::begins_anew(int result, std::uint32_t flags) const noexcept
{
    return has_end_ && result > 0 && ring::may_miss_end(fd_, flags);
}

receive::result_type receive::take(bool cancelled) noexcept
{
    owned_buffer taken = items_.pop();
    return {io_result<std::size_t>(taken.size(), cancelled), std::move(taken)};
}

receive::result_type receive::end(const io_error& error, bool cancelled)
{
    if (!error.code)
        return {io_result<std::size_t>(std::size_t{0}, cancelled), owned_buffer()};
    return {io_result<std::size_t>(error, cancelled), owned_buffer()};
}

// ----------------------------------------------------------------------- poll

void poll::prepare(backend::submission_entry& entry, bool multishot) noexcept
{
    entry.op = backend::opcode::poll_add;
    entry.fd = fd_;
    // Linux 6.18 wakes nobody who asks for POLLPRI alone.
    const int asked = (events_ & POLLPRI) != 0 ? events_ | POLLRDBAND : events_;
    entry.op_flags = static_cast<std::uint32_t>(asked);
    entry.length = multishot ? backend::poll_multishot : 0;
}

outcome poll::take_in(int result, std::uint32_t) noexcept
{
    if (result < 0)
        return outcome::is_over;
    there_ |= result;
    return outcome::goes_on;
}

poll::result_type poll::take(bool cancelled) noexcept
{
    return {std::exchange(there_, 0), cancelled};
}

// -------------------------------------------------------------------- timeout

timeout::timeout(std::chrono::nanoseconds interval) noexcept
    : interval_(interval), due_(after(clock::now(), interval))
{
}

void timeout::prepare(backend::submission_entry& entry, bool multishot) noexcept
{
    using std::chrono::seconds;
    is_single_ = !multishot;
    const std::chrono::nanoseconds time = multishot ? interval_ : due_.time_since_epoch();
    const auto whole = std::chrono::duration_cast<seconds>(time);
    time_ = {whole.count(), (time - whole).count()};
    entry.op = backend::opcode::timeout;
    entry.address = reinterpret_cast<std::uint64_t>(&time_);
    entry.length = 1;
    entry.op_flags = multishot ? backend::timeout_multishot : backend::timeout_absolute;
}

outcome timeout::take_in(int result, std::uint32_t) noexcept
{
    if (result != -ETIME)
        return outcome::is_over;
    std::uint64_t passed = 1;
    if (is_single_) {
        // All that have passed by now, so that none is started for the past.
        const std::int64_t missed = std::max((clock::now() - due_) / interval_, std::int64_t{0});
        passed += static_cast<std::uint64_t>(missed);
        due_ = after(due_ + interval_ * missed, interval_);
    }
    passed_ += passed;
    return outcome::goes_on;
}

timeout::result_type timeout::take(bool cancelled) noexcept
{
    return {std::exchange(passed_, 0), cancelled};
}

} // namespace safer_ring::inline SAFER_RING_ABI::streams
