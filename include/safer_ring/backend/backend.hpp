// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/entry.hpp>
#include <safer_ring/backend/features.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace safer_ring::inline SAFER_RING_ABI::backend {

/// The seam below the ring layer: a submission queue to fill, one call to
/// flush and wait, a completion queue to read.
///
/// Both queues are plain memory that the derived class sets up, so that an
/// entry costs no virtual call; only `enter` is virtual, once per batch. For
/// io_uring the memory is the kernel's; other backends allocate their own and
/// follow the same protocol.
///
/// Thread safety: the caller serialises everything but `enter`, which any
/// number of threads may call at once.
class SAFER_RING_API backend {
public:
    using timeout = std::chrono::nanoseconds;

    backend(const backend&) = delete;
    backend& operator=(const backend&) = delete;
    virtual ~backend() = default;

    /// A free entry behind the published ones, or null when the queue is full.
    submission_entry* next_submission() noexcept
    {
        if (sq_tail_ - sq_head() >= sq_entries_)
            return nullptr;
        return &sq_[sq_tail_++ & sq_mask_];
    }

    /// Makes the entries filled so far visible to `enter`.
    void publish() noexcept
    {
        std::atomic_ref(*sq_ktail_).store(sq_tail_, std::memory_order_release);
    }

    /// Takes `fd` out of the entries that no `enter` has taken yet, because the
    /// number will soon be another file's: they will fail with EBADF. One that
    /// the kernel is just reading has the old file, or gets none.
    void disown(int fd) noexcept { disown(fd, 0); }
    /// The same for the place of a registered file.
    void disown_registered(std::uint32_t index) noexcept
    {
        disown(static_cast<std::int32_t>(index), entry_fixed_file);
    }

    /// Published entries that no `enter` has taken yet.
    [[nodiscard]] unsigned unsubmitted() const noexcept { return sq_tail_ - sq_head(); }

    /// Takes up to `to_submit` entries, first in first out, then waits until
    /// `min_complete` completions are there or `wait` has passed. A `wait` of
    /// zero does not block, a null one has no limit. Answers the number of
    /// entries taken, or the negated errno.
    virtual int enter(unsigned to_submit, unsigned min_complete, const timeout* wait) noexcept = 0;

    /// True when `enter` would find completions that are not in the queue:
    /// pending task work, or an overflow that the kernel keeps.
    [[nodiscard]] bool needs_enter() const noexcept
    {
        return (std::atomic_ref(*sq_kflags_).load(std::memory_order_relaxed) & sq_attention_) != 0;
    }

    /// How many completions there are.
    [[nodiscard]] unsigned completions() const noexcept
    {
        return std::atomic_ref(*cq_ktail_).load(std::memory_order_acquire) - cq_head_;
    }

    [[nodiscard]] bool has_completions() const noexcept { return completions() != 0; }

    /// How many there have ever been, those that were taken included. It wraps around.
    [[nodiscard]] unsigned completions_so_far() const noexcept
    {
        return std::atomic_ref(*cq_ktail_).load(std::memory_order_acquire);
    }

    /// Takes the next completion, which must be there.
    completion_entry take_completion() noexcept
    {
        const completion_entry entry = cq_[cq_head_++ & cq_mask_];
        std::atomic_ref(*cq_khead_).store(cq_head_, std::memory_order_release);
        return entry;
    }

    /// Calls `f(const completion_entry&)` for every completion there is.
    template <typename F>
    unsigned for_each_completion(F&& f)
    {
        const unsigned tail = std::atomic_ref(*cq_ktail_).load(std::memory_order_acquire);
        const unsigned count = tail - cq_head_;
        while (cq_head_ != tail) {
            const completion_entry entry = cq_[cq_head_++ & cq_mask_];
            f(entry);
        }
        std::atomic_ref(*cq_khead_).store(cq_head_, std::memory_order_release);
        return count;
    }

    /// Offers a ring of `count` buffers (a power of two) under `group`.
    /// Answers zero or the negated errno.
    virtual int register_buffer_ring(provided_buffer* ring, unsigned count,
                                     std::uint16_t group) noexcept = 0;

    /// The same, but a buffer is used up piece by piece before the next one is
    /// (IOU_PBUF_RING_INC, Linux 6.12). EINVAL where there is no such thing.
    virtual int register_incremental_buffer_ring(provided_buffer* ring, unsigned count,
                                                 std::uint16_t group) noexcept
    {
        static_cast<void>(ring);
        static_cast<void>(count);
        static_cast<void>(group);
        return -EINVAL;
    }

    /// Takes the buffers of `group` back. Answers zero or the negated errno.
    virtual int unregister_buffer_ring(std::uint16_t group) noexcept
    {
        static_cast<void>(group);
        return -EINVAL;
    }

    /// Arranges for `fd` to be closed when the last request of this backend
    /// is gone, also after its destruction; gives up our own copy. Answers
    /// zero or the negated errno.
    virtual int close_when_drained(int fd) noexcept = 0;

    // What is registered can be changed while other threads use the queues;
    // each answers zero or the negated errno.

    /// Makes the table of `count` registered files, all places empty.
    virtual int register_file_table(unsigned count) noexcept
    {
        static_cast<void>(count);
        return -EOPNOTSUPP;
    }
    /// Puts the file of `fd` there; with -1 there is none any more.
    virtual int update_file(unsigned index, int fd) noexcept
    {
        static_cast<void>(index);
        static_cast<void>(fd);
        return -EOPNOTSUPP;
    }
    /// Makes the table of `count` registered buffers, all places empty.
    virtual int register_buffer_table(unsigned count) noexcept
    {
        static_cast<void>(count);
        return -EOPNOTSUPP;
    }
    /// Puts this memory there; with null there is none any more.
    virtual int update_buffer(unsigned index, void* data, std::size_t size_bytes) noexcept
    {
        static_cast<void>(index);
        static_cast<void>(data);
        static_cast<void>(size_bytes);
        return -EOPNOTSUPP;
    }

    /// Polls as readable while there are completions; -1 if there is none.
    [[nodiscard]] virtual int ready_descriptor() const noexcept { return -1; }

    [[nodiscard]] const features& found() const noexcept { return features_; }

    /// This process is a child that was forked by the one to which the ring
    /// belongs. Nothing that is done here reaches that ring: cancellations are
    /// answered as if the kernel had ended their requests, other entries fail with
    /// EBADF, and `enter` answers that where it would have to wait.
    [[nodiscard]] bool is_inherited() const noexcept { return is_inherited_; }

protected:
    backend() = default;

    void disown(std::int32_t fd, std::uint8_t fixed_file) noexcept
    {
        for (unsigned i = sq_head(); i != sq_tail_; ++i)
            if (submission_entry& entry = sq_[i & sq_mask_];
                entry.fd == fd && (entry.flags & entry_fixed_file) == fixed_file)
                std::atomic_ref(entry.fd).store(-1, std::memory_order_relaxed);
    }

    [[nodiscard]] unsigned sq_head() const noexcept
    {
        return std::atomic_ref(*sq_khead_).load(std::memory_order_acquire);
    }

    submission_entry* sq_ = nullptr;
    unsigned* sq_khead_ = nullptr;
    unsigned* sq_ktail_ = nullptr;
    unsigned* sq_kflags_ = nullptr;
    unsigned sq_entries_ = 0;
    unsigned sq_mask_ = 0;
    unsigned sq_tail_ = 0;
    unsigned sq_attention_ = 0;
    completion_entry* cq_ = nullptr;
    unsigned* cq_khead_ = nullptr;
    unsigned* cq_ktail_ = nullptr;
    unsigned cq_mask_ = 0;
    unsigned cq_head_ = 0;
    features features_;
    bool is_inherited_ = false;
};

/// Whether a ring goes on after this answer of `enter`: a signal, a time-out, or
/// a shortage that passes.
inline bool is_transient(int error) noexcept
{
    return error == -EINTR || error == -EAGAIN || error == -EBUSY || error == -ETIME ||
           error == -ENOMEM;
}

/// Sets up a kernel ring. With `cooperative`, completions of a thread are
/// run only when it enters the kernel, which suits one running thread.
/// Throws std::system_error whose text names the likely cause.
SAFER_RING_API std::unique_ptr<backend> make_io_uring(const options& settings, bool cooperative);

} // namespace safer_ring::inline SAFER_RING_ABI::backend
