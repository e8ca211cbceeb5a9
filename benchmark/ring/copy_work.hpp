// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "ring/ring_task.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <liburing.h>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace benchmark {

/// A file and where it is copied to, both of the size `--size`. The copy begins again at the front
/// as often as there are blocks to be copied.
class copy_work {
public:
    static constexpr std::size_t block_bytes = 65536;

    explicit copy_work(const ring_task& task)
        : blocks_(std::max<std::uint64_t>(task.size_bytes / block_bytes, 1)), seed_(task.seed),
          from_(open_file(task.folder + "/safer_ring_copy_from")),
          to_(open_file(task.folder + "/safer_ring_copy_to"))
    {
        // The blocks that are under way must not be the same, or the last write could be undone.
        if (blocks_ <= task.depth)
            throw std::invalid_argument("the file has to have more blocks than are under way");
        std::vector<std::uint64_t> block(block_bytes / sizeof(std::uint64_t));
        for (std::uint64_t n = 0; n < blocks_; ++n) {
            fill(block, n);
            put(from_, block, n);
        }
        begin();
    }
    ~copy_work()
    {
        ::close(from_);
        ::close(to_);
    }
    copy_work(const copy_work&) = delete;
    copy_work& operator=(const copy_work&) = delete;

    /// From the front, into a target whose contents nobody can take for a copy.
    void begin()
    {
        const std::vector<std::uint64_t> nothing(block_bytes / sizeof(std::uint64_t));
        for (std::uint64_t n = 0; n < blocks_; ++n)
            put(to_, nothing, n);
        next_ = 0;
    }

    int from() const { return from_; }
    int to() const { return to_; }

    std::uint64_t next_offset() { return next_++ % blocks_ * block_bytes; }

    static void check_length(std::uint64_t bytes)
    {
        if (bytes != block_bytes)
            throw std::runtime_error("only " + std::to_string(bytes) +
                                     " bytes of a block were transferred");
    }

    /// Reads all of the target that was written since `begin` and compares it with what the source was made of.
    std::uint64_t checksum() const
    {
        std::vector<std::uint64_t> wanted(block_bytes / sizeof(std::uint64_t));
        std::vector<std::uint64_t> found(wanted.size());
        std::uint64_t sum = 0;
        for (std::uint64_t n = 0; n < std::min(blocks_, next_); ++n) {
            fill(wanted, n);
            if (::pread(to_, found.data(), block_bytes, static_cast<off_t>(n * block_bytes)) !=
                block_bytes)
                fail(errno, "reading the copy");
            if (found != wanted)
                throw std::runtime_error("block " + std::to_string(n) + " of the copy is wrong");
            for (const std::uint64_t word : found)
                sum = sum * 31 + word;
        }
        return sum;
    }

private:
    static int open_file(const std::string& path)
    {
        const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (file < 0)
            fail(errno, "opening " + path);
        return file;
    }

    void fill(std::vector<std::uint64_t>& block, std::uint64_t number) const
    {
        for (std::size_t i = 0; i < block.size(); ++i)
            block[i] = mix(seed_ ^ (number * block.size() + i));
    }

    static void put(int file, const std::vector<std::uint64_t>& block, std::uint64_t number)
    {
        if (::pwrite(file, block.data(), block_bytes, static_cast<off_t>(number * block_bytes)) !=
            block_bytes)
            fail(errno, "preparing the files");
    }

    std::uint64_t blocks_;
    std::uint64_t seed_;
    int from_;
    int to_;
    std::uint64_t next_ = 0;
};

/// Where a file system cannot write without waiting (ext4), the kernel's workers of this thread do
/// it. They run on any processor unless they are told (IORING_REGISTER_IOWQ_AFF, Linux 5.14), by
/// way of any ring of the thread.
inline void pin_workers(int cpu)
{
    io_uring ring{};
    int error = ::io_uring_queue_init(1, &ring, 0);
    if (error < 0)
        fail(-error, "io_uring_setup");
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(cpu), &set);
    error = ::io_uring_register_iowq_aff(&ring, sizeof set, &set);
    ::io_uring_queue_exit(&ring);
    if (error < 0 && error != -EINVAL) // An older kernel, where they stay free.
        fail(-error, "binding the kernel's workers to processor " + std::to_string(cpu));
}

} // namespace benchmark
