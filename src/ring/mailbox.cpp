// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/mailbox.hpp>
#include <safer_ring/ring/message_operations.hpp>

#include "backend/fork_watch.hpp"

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

namespace safer_ring::inline SAFER_RING_ABI {

namespace ring {
namespace {

/// A mailbox without messages keeps so many places at most.
constexpr std::size_t kept = 64;

int checked(int fd, const char* what)
{
    if (fd < 0)
        throw std::system_error(errno, std::system_category(),
                                std::string("safer_ring: ") + what +
                                    " for messages to a ring (likely cause: RLIMIT_NOFILE is too "
                                    "low; ulimit -n, LimitNOFILE=)");
    return fd;
}

} // namespace

mailbox::mailbox(int ring_fd)
    : generation_(backend::fork_watch::generation()),
      event_(checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "an eventfd"))
{
    // The number of the ring's own descriptor may be another file's by the time
    // that a message gets to the kernel.
    if (ring_fd >= 0)
        ring_ = owned_descriptor(
            checked(::fcntl(ring_fd, F_DUPFD_CLOEXEC, 0), "a descriptor of the ring"));
}

mailbox::~mailbox() = default;

// -------------------------------------------------------------------- sending

void mailbox::reserve()
{
    const std::lock_guard held(mutex_);
    if (reserved_ == values_.size()) {
        std::vector<std::uint64_t> larger(values_.empty() ? 8 : values_.size() * 2);
        for (std::size_t i = 0; i < count_; ++i)
            larger[i] = values_[(head_ + i) % values_.size()];
        values_ = std::move(larger);
        head_ = 0;
    }
    ++reserved_;
}

void mailbox::release_place() noexcept
{
    if (--reserved_ == 0 && values_.size() > kept)
        std::vector<std::uint64_t>().swap(values_);
}

void mailbox::unreserve() noexcept
{
    const std::lock_guard held(mutex_);
    release_place();
}

void mailbox::begin() noexcept
{
    const std::lock_guard held(mutex_);
    ++under_way_;
}

void mailbox::end() noexcept
{
    const std::lock_guard held(mutex_);
    if (--under_way_ == 0 && is_closed_)
        ring_.close();
}

/// In the child of a fork this is a copy, which the ring does not look into.
bool mailbox::is_there() const noexcept
{
    return !is_closed_ && generation_ == backend::fork_watch::generation();
}

mailbox::route mailbox::begin_route(bool by_kernel, int& ring_fd) noexcept
{
    const std::lock_guard held(mutex_);
    ring_fd = ring_.get();
    if (!is_there())
        return route::none;
    return by_kernel && ring_.is_open() ? route::by_kernel : route::by_hand;
}

int mailbox::deliver(std::uint64_t value) noexcept
{
    const std::lock_guard held(mutex_);
    if (!is_there())
        return -EPIPE;
    push(value);
    if (!is_signalled_)
        is_signalled_ = ::eventfd_write(event_.get(), 1) == 0;
    return 0;
}

// ------------------------------------------------------------------ receiving

void mailbox::push(std::uint64_t value) noexcept
{
    values_[(head_ + count_++) % values_.size()] = value;
}

void mailbox::arrive(std::uint64_t value) noexcept
{
    const std::lock_guard held(mutex_);
    if (count_ != reserved_) // Else it is from somebody who has not got an address of us.
        push(value);
}

void mailbox::close() noexcept
{
    const std::lock_guard held(mutex_);
    is_closed_ = true;
    if (under_way_ == 0)
        ring_.close();
}

std::uint64_t mailbox::new_reader() noexcept
{
    const std::lock_guard held(mutex_);
    return ++readers_;
}

void mailbox::pass_on(std::uint64_t reader) noexcept
{
    const std::lock_guard held(mutex_);
    reader_ = reader;
}

std::size_t mailbox::size(std::uint64_t reader) const noexcept
{
    const std::lock_guard held(mutex_);
    return reader == reader_ ? count_ : 0;
}

std::uint64_t mailbox::pop() noexcept
{
    const std::lock_guard held(mutex_);
    const std::uint64_t value = values_[head_];
    head_ = (head_ + 1) % values_.size();
    --count_;
    release_place();
    if (values_.empty())
        head_ = 0;
    if (count_ == 0 && is_signalled_) {
        eventfd_t signals = 0;
        is_signalled_ = ::eventfd_read(event_.get(), &signals) != 0 && errno != EAGAIN;
    }
    return value;
}

} // namespace ring

namespace streams {

void messages::prepare(backend::submission_entry& entry, bool multishot) noexcept
{
    entry.op = backend::opcode::poll_add;
    entry.fd = box_->event_descriptor();
    entry.op_flags = POLLIN;
    entry.length = multishot ? backend::poll_multishot : 0;
}

outcome messages::take_in(int result, std::uint32_t) noexcept
{
    return result < 0 ? outcome::is_over : outcome::goes_on;
}

} // namespace streams
} // namespace safer_ring::inline SAFER_RING_ABI
