// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/descriptor.hpp>
#include <safer_ring/ring/event_loop.hpp>

#include <cstddef>
#include <memory>

/// What files are asked for besides bytes, without handlers.
namespace safer_ring::inline SAFER_RING_ABI::ring {

/// fsync(2), or fdatasync(2), by a worker of the kernel (Linux 5.1).
///
/// The kernel tells the error of an earlier write once for each open file, so
/// what a cancelled one answers is told all the same, as far as the file is
/// not closed.
class SAFER_RING_API sync_operation : public io_operation {
protected:
    explicit sync_operation(bool data_only) noexcept : data_only_(data_only) {}
    ~sync_operation() = default;

    /// What the handler is to be told.
    [[nodiscard]] int outcome() const noexcept { return is_late_ ? late_result_ : result_; }

    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;
    void keep_for_later(event_loop& loop) noexcept final;
    std::unique_ptr<lent_memory> surrender() noexcept final;

private:
    worker_descriptor file_of_worker_;
    int late_result_ = 0;
    bool data_only_;
    bool is_late_ = false;
};

/// openat(2) by the kernel, which resolves the path (Linux 5.6), on a
/// descriptor that has no number yet. The file becomes that descriptor's before
/// the handler is called; where that has been closed meanwhile, or the
/// operation cancelled, the file is closed.
class SAFER_RING_API open_operation : public io_operation {
protected:
    /// `path` must live until the operation has been started, and be shorter
    /// than PATH_MAX.
    open_operation(const char* path, std::size_t size_bytes, int flags, bool is_stream) noexcept
        : path_(path), size_bytes_(size_bytes), flags_(flags), is_stream_(is_stream)
    {
    }
    ~open_operation();

    void stage(event_loop& loop) final;
    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    void deliver(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;

private:
    void close_file() noexcept;

    const char* path_;
    std::size_t size_bytes_;
    staged staged_;
    int flags_;
    bool is_stream_;
    bool placed_ = false; // The file is the descriptor's.
};

/// A file that is to be read from front to back is read ahead.
SAFER_RING_API void advise_of_use(int file, bool is_stream) noexcept;

} // namespace safer_ring::inline SAFER_RING_ABI::ring
