// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/owned_transfer.hpp>
#include <safer_ring/ring/socket_operations.hpp>

#include <cerrno>
#include <fcntl.h>
#include <sys/uio.h>

namespace safer_ring::inline SAFER_RING_ABI::ring {

owned_transfer_operation::~owned_transfer_operation()
{
    get_back();
}

void owned_transfer_operation::get_back() noexcept
{
    if (is_lent_ && memory_ != nullptr)
        memory_->get_back();
    is_lent_ = false;
    range_.reset();
}

void owned_transfer_operation::prepare(event_loop& loop, backend::submission_entry& entry) noexcept
{
    const bool reads = way_ == direction::read;
    const auto bytes = left();
    entry.op = reads ? backend::opcode::read : backend::opcode::write;
    entry.address = reinterpret_cast<std::uint64_t>(bytes.data());
    entry.length = one_call(bytes.size());
    entry.offset = offset_ + moved_bytes_;
    if (file_of_worker_.is_open()) {
        entry.fd = file_of_worker_.get();
        entry.flags = backend::entry_async;
    }
    range_.look_in(loop.registrations());
    range_.find(bytes.data());
    range_.prepare(entry, reads ? backend::opcode::read_fixed : backend::opcode::write_fixed);
    if (!is_lent_)
        memory_->lend();
    is_lent_ = true;
}

io_operation::step owned_transfer_operation::settle(event_loop&) noexcept
{
    get_back();
    // The user made the descriptor non-blocking, which means nothing for a file on a
    // disk, but the ring takes it at its word where the file system has no RWF_NOWAIT.
    if (would_block(result_) && !file_of_worker_.is_open()) {
        const int error = descriptor_->share_for_worker(file_of_worker_);
        if (error == 0)
            return step::again;
        result_ = error;
    }
    if (result_ <= 0) // The end of the file, or an error.
        return step::done;
    moved_bytes_ += static_cast<std::size_t>(result_);
    result_ = 0;
    return is_done() ? step::done : step::again;
}

/// Before the descriptor is closed, or asked for something that comes after it.
bool owned_transfer_operation::can_perform() const noexcept
{
    constexpr auto write_bit = 1U << static_cast<unsigned>(direction::write);
    return way_ == direction::write && !descriptor_->direct &&
           (descriptor_->refuses_nowait & write_bit) == 0;
}

bool owned_transfer_operation::perform(int fd) noexcept
{
    while (!is_done()) {
        const auto bytes = left();
        const iovec from{const_cast<std::byte*>(bytes.data()), one_call(bytes.size())};
        ssize_t n = 0;
        do
            n = ::pwritev2(fd, &from, 1, static_cast<off_t>(offset_ + moved_bytes_), RWF_NOWAIT);
        while (n < 0 && errno == EINTR);
        n = n < 0 ? -errno : n;
        if (would_block(n) || n == -EOPNOTSUPP || n == -ENOSYS)
            return false;
        if (n <= 0) {
            result_ = static_cast<int>(n);
            return true;
        }
        moved_bytes_ += static_cast<std::size_t>(n);
    }
    result_ = 0;
    return true;
}

void owned_transfer_operation::deliver(event_loop&) noexcept
{
    get_back();
}

void owned_transfer_operation::discard(event_loop&) noexcept
{
    get_back();
}

/// What a cancelled transfer has moved all the same is told, and that it was cancelled
/// if there was more to move.
void owned_transfer_operation::keep_for_later(event_loop&) noexcept
{
    if (result_ > 0) {
        moved_bytes_ += static_cast<std::size_t>(result_);
        result_ = is_done() ? 0 : -ECANCELED;
    }
    get_back();
}

/// A worker of a kernel that has not let go in time may still look its number up:
/// that stays open, so that it never becomes another file's.
std::unique_ptr<lent_memory> owned_transfer_operation::surrender() noexcept
{
    file_of_worker_.leak();
    return std::move(memory_);
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
