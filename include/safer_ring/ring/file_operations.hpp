// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/descriptor.hpp>
#include <safer_ring/ring/event_loop.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <sys/types.h>

/// The operations of files, without handlers.
namespace safer_ring::inline SAFER_RING_ABI::ring {

/// To be called before the first operation on `d`: finds out what it is.
SAFER_RING_API void look_at_file(descriptor& d) noexcept;

/// Moves bytes between a file and the caller's memory.
///
/// What needs no waiting is done straight into or from the caller's memory
/// (RWF_NOWAIT): most of the time a file is in the page cache. Reads at an
/// offset share the call that submits all that a turn has started, and have
/// ended when it returns; the rest is done where the operation starts. What
/// would wait goes through blocks of staging memory of at most
/// `staging_pool::largest_pages_bytes`, one after the other, until all is
/// moved, the file ends, or an error occurs. The kernel sees nothing else, so
/// a request that nobody can interrupt may outlive operation and caller.
///
/// `done_bytes_` have been moved for good: a cancelled operation reports them.
///
/// A pipe or a device opened as a file waits for readiness, and then makes one
/// non-blocking call.
class SAFER_RING_API file_operation : public io_operation {
public:
    /// In place of an offset: where the file's own position is.
    static constexpr std::uint64_t at_position = backend::file_position;

protected:
    file_operation(direction way, std::size_t size_bytes, std::uint64_t offset) noexcept;
    ~file_operation() = default;

    /// Of the caller's buffers together, as far as one system call could go.
    [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }

    /// preadv2(2) or pwritev2(2) with what the caller's buffers have behind
    /// the first `skip` bytes, at most `limit` bytes; the result, or the
    /// negated errno.
    virtual ssize_t transfer_now(int fd, std::size_t skip, std::size_t limit, std::uint64_t offset,
                                 int flags) noexcept = 0;

    /// Copies `size` bytes between `block` and what the caller's buffers have
    /// behind the first `skip` bytes.
    virtual void copy(std::byte* block, std::size_t size, std::size_t skip) noexcept = 0;

    /// Where the caller's memory is behind the first `skip` bytes, if it is one
    /// piece; null otherwise.
    [[nodiscard]] virtual std::byte* memory(std::size_t skip) const noexcept
    {
        static_cast<void>(skip);
        return nullptr;
    }

    bool attempts_first(event_loop& loop) noexcept final;
    bool can_perform() const noexcept final;
    bool perform(int fd) noexcept final;
    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    bool borrows_memory() const noexcept final { return at_once_; }
    step settle(event_loop& loop) noexcept final;
    void deliver(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;
    void keep_for_later(event_loop& loop) noexcept final;
    std::unique_ptr<lent_memory> surrender() noexcept final;

private:
    bool attempt(int fd) noexcept;
    [[nodiscard]] std::uint64_t next_offset() const noexcept
    {
        return offset_ == at_position ? at_position : offset_ + done_bytes_;
    }
    [[nodiscard]] bool moves_position() const noexcept;
    [[nodiscard]] bool reads_at_once(event_loop& loop) const noexcept;
    step settle_at_once() noexcept;
    [[nodiscard]] bool acquire(event_loop& loop) noexcept;
    void conclude_with(int result) noexcept;

    std::uint64_t offset_;
    std::uint32_t size_bytes_;
    std::uint32_t done_bytes_ = 0;
    std::uint32_t in_block_bytes_ = 0; // Asked for; of a read that has ended, what has come.
    worker_descriptor file_of_worker_;
    staged block_;
    direction way_;
    bool block_has_data_ = false; // To be copied to the caller.
    bool by_readiness_ = false;
    bool by_worker_ = false;  // The kernel is not to try it in the call that submits.
    bool refused_ = false;    // The file system has no RWF_NOWAIT.
    bool at_once_ = false;    // The request ends in the call that submits it.
    bool doubts_end_ = false; // An attempt that reads nothing need not have met the end.
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
