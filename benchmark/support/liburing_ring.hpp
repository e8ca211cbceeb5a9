// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "support/program.hpp"

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <liburing.h>
#include <string>
#include <sys/mman.h>

namespace benchmark {

/// A ring with the best set-up flags that the running kernel grants.
class liburing_ring {
public:
    // One batch of a thousand connections fits. Queues are walked from end to end whatever their
    // fill, so that larger ones would only cost cache.
    static constexpr unsigned submission_entries = 1024;
    static constexpr unsigned completion_entries = 4096;

    liburing_ring()
    {
        // Deferred task work (IORING_SETUP_DEFER_TASKRUN) hands out some twenty completions per
        // call. At 64 connections it was as fast as cooperative task work, and at 1,000, where
        // that brings hundreds at once, slower by 8 %.
        static constexpr struct {
            unsigned flags;
            const char* text;
        } attempts[] = {
            {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
             "SINGLE_ISSUER|COOP_TASKRUN|SUBMIT_ALL"},
            {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL, "COOP_TASKRUN|SUBMIT_ALL"},
            {0, ""},
        };
        int result = -EINVAL;
        for (const auto& attempt : attempts) {
            io_uring_params parameters{};
            parameters.flags = attempt.flags | IORING_SETUP_CQSIZE;
            parameters.cq_entries = completion_entries;
            result = ::io_uring_queue_init_params(submission_entries, &ring_, &parameters);
            if (result == 0)
                flags_ = std::string("CQSIZE") + (*attempt.text ? "|" : "") + attempt.text;
            if (result != -EINVAL)
                break;
        }
        if (result < 0)
            fail(-result,
                 "io_uring_setup (is io_uring disabled, or the locked-memory limit too low?)");
        if (::io_uring_register_ring_fd(&ring_) == 1)
            flags_ += ", registered ring descriptor";
    }

    ~liburing_ring() { ::io_uring_queue_exit(&ring_); }

    liburing_ring(const liburing_ring&) = delete;
    liburing_ring& operator=(const liburing_ring&) = delete;

    io_uring* get() { return &ring_; }
    const std::string& flags() const { return flags_; }

    /// Notes a fact about the ring beyond its set-up flags.
    void note(const std::string& fact) { flags_ += ", " + fact; }

    /// An empty submission entry; what is queued is submitted when there is none left.
    io_uring_sqe* entry()
    {
        io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
        while (!sqe) {
            const int result = ::io_uring_submit(&ring_);
            if (result < 0 && result != -EINTR && result != -EBUSY && result != -EAGAIN)
                fail(-result, "io_uring_enter (submitting a full queue)");
            sqe = ::io_uring_get_sqe(&ring_);
        }
        return sqe;
    }

    /// Submits what is queued, waits for `wanted` completions, and calls
    /// `handle(const io_uring_cqe&)` for each one that is there.
    template <class Handler>
    void submit_and_reap(unsigned wanted, Handler&& handle)
    {
        const int result = ::io_uring_submit_and_wait(&ring_, wanted);
        if (result < 0 && result != -EINTR && result != -EBUSY && result != -EAGAIN)
            fail(-result, "io_uring_enter");
        unsigned head = 0;
        unsigned count = 0;
        const io_uring_cqe* cqe = nullptr;
        io_uring_for_each_cqe(&ring_, head, cqe)
        {
            handle(*cqe);
            ++count;
        }
        ::io_uring_cq_advance(&ring_, count);
    }

private:
    io_uring ring_{};
    std::string flags_;
};

/// Equal buffers from which the kernel picks one when data has arrived (Linux 5.19).
class liburing_buffers {
public:
    static constexpr unsigned short group = 0;

    /// `count` must be a power of two.
    liburing_buffers(liburing_ring& ring, unsigned count, std::size_t size)
        : ring_(ring), count_(count), size_(size), entries_bytes_(count * sizeof(io_uring_buf))
    {
        entries_ = static_cast<io_uring_buf_ring*>(
            map(entries_bytes_, "mapping the entries of the buffer ring"));
        memory_ = static_cast<char*>(map(count_ * size_, "mapping the buffers of the buffer ring"));
        // Fewer entries of the translation buffer; without huge pages it works all the same.
        ::madvise(memory_, count_ * size_, MADV_HUGEPAGE);
        io_uring_buf_reg registration{};
        registration.ring_addr = std::bit_cast<std::uint64_t>(entries_);
        registration.ring_entries = count_;
        registration.bgid = group;
        const int result = ::io_uring_register_buf_ring(ring_.get(), &registration, 0);
        if (result < 0)
            fail(-result, "registering a buffer ring (it needs Linux 5.19)");
        ::io_uring_buf_ring_init(entries_);
        for (unsigned id = 0; id < count_; ++id)
            give_back(static_cast<std::uint16_t>(id));
        publish();
    }

    ~liburing_buffers()
    {
        ::io_uring_unregister_buf_ring(ring_.get(), group);
        ::munmap(memory_, count_ * size_);
        ::munmap(entries_, entries_bytes_);
    }

    liburing_buffers(const liburing_buffers&) = delete;
    liburing_buffers& operator=(const liburing_buffers&) = delete;

    char* data(std::uint16_t id) const { return memory_ + std::size_t{id} * size_; }
    std::size_t size() const { return size_; }
    unsigned count() const { return count_; }

    /// Queues a buffer for the kernel, which sees it after `publish()`.
    void give_back(std::uint16_t id)
    {
        ::io_uring_buf_ring_add(entries_, data(id), static_cast<unsigned>(size_), id,
                                ::io_uring_buf_ring_mask(count_), unpublished_++);
    }

    void publish()
    {
        if (unpublished_ == 0)
            return;
        ::io_uring_buf_ring_advance(entries_, unpublished_);
        unpublished_ = 0;
    }

    static std::uint16_t id_of(const io_uring_cqe& cqe)
    {
        return static_cast<std::uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
    }

private:
    static void* map(std::size_t bytes, const char* what)
    {
        void* memory =
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
        if (memory == MAP_FAILED)
            fail(errno, what);
        return memory;
    }

    liburing_ring& ring_;
    unsigned count_;
    std::size_t size_;
    std::size_t entries_bytes_;
    io_uring_buf_ring* entries_ = nullptr;
    char* memory_ = nullptr;
    int unpublished_ = 0;
};

/// How many buffers of `size` bytes a ring gets: enough for one batch of small messages, and never
/// more memory than `limit` bytes, because a ring of buffers is used in turn and so is its cache.
inline unsigned buffer_count(std::size_t size, std::size_t limit)
{
    const std::size_t most = limit / size < 64 ? 64 : limit / size;
    return static_cast<unsigned>(std::bit_floor(most > 1024 ? std::size_t{1024} : most));
}

} // namespace benchmark
