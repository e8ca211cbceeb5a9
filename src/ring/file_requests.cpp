// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/file_operations.hpp>
#include <safer_ring/ring/file_requests.hpp>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace safer_ring::inline SAFER_RING_ABI::ring {
// ------------------------------------------------------------------- sync

void sync_operation::prepare(event_loop&, backend::submission_entry& entry) noexcept
{
    // Each is left to a worker. Another file that it found there would be told nothing
    // of its own disk any more.
    late_result_ = descriptor_->share_for_worker(file_of_worker_);
    if (late_result_ != 0) {
        entry.op = backend::opcode::nop; // `settle` tells.
        return;
    }
    entry.op = backend::opcode::fsync;
    entry.fd = file_of_worker_.get();
    entry.op_flags = data_only_ ? backend::fsync_data_only : 0;
}

io_operation::step sync_operation::settle(event_loop&) noexcept
{
    if (!file_of_worker_.is_open())
        result_ = late_result_;
    return step::done;
}

void sync_operation::discard(event_loop&) noexcept
{
    result_ = -ECANCELED;
}

void sync_operation::keep_for_later(event_loop&) noexcept
{
    is_late_ = true;
    if (file_of_worker_.is_open())
        late_result_ = result_ == -EINTR ? -ECANCELED : result_;
}

/// As of a file_operation.
std::unique_ptr<lent_memory> sync_operation::surrender() noexcept
{
    file_of_worker_.leak();
    return nullptr;
}

// ------------------------------------------------------------------- open

open_operation::~open_operation()
{
    close_file();
}

void open_operation::stage(event_loop& loop)
{
    const std::size_t size_bytes = size_bytes_ + 1;
    staged_ = size_bytes <= staging_pool::small_size_bytes
                  ? loop.staging().acquire(size_bytes)
                  : loop.staging().acquire_pages(size_bytes);
    std::memcpy(staged_.data, path_, size_bytes_);
    staged_.data[size_bytes_] = std::byte{0};
    path_ = nullptr;
}

void open_operation::prepare(event_loop&, backend::submission_entry& entry) noexcept
{
    constexpr std::uint32_t all_that_umask_allows = 0777;
    entry.op = backend::opcode::openat;
    // By a worker: the call that submits would try with O_NONBLOCK, which opens a
    // FIFO that nobody writes to, and fails with ENXIO for one that nobody reads
    // (io_openat2(), Linux 6.18).
    entry.flags = backend::entry_async;
    entry.fd = AT_FDCWD;
    entry.address = reinterpret_cast<std::uint64_t>(staged_.data);
    entry.length = all_that_umask_allows;
    entry.op_flags = static_cast<std::uint32_t>(flags_);
}

io_operation::step open_operation::settle(event_loop&) noexcept
{
    return step::done;
}

void open_operation::deliver(event_loop& loop) noexcept
{
    if (result_ >= 0 && !placed_ && descriptor_ != nullptr) {
        descriptor_->fd = result_;
        look_at_file(*descriptor_);
        descriptor_->concurrent = !is_stream_;
        advise_of_use(result_, is_stream_);
        placed_ = true;
        result_ = 0;
    }
    loop.staging().release(staged_);
}

void open_operation::discard(event_loop& loop) noexcept
{
    close_file();
    result_ = -ECANCELED;
    if (staged_) // The pool may have been set aside.
        loop.staging().release(staged_);
}

void open_operation::close_file() noexcept
{
    if (result_ >= 0 && !placed_)
        ::close(result_);
}

void advise_of_use(int file, bool is_stream) noexcept
{
    ::posix_fadvise(file, 0, 0, is_stream ? POSIX_FADV_SEQUENTIAL : POSIX_FADV_RANDOM);
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
