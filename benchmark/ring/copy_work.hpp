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

/// A file and where it is copied to, both of the size `--size`. It is copied in passes, as many as
/// it takes, and in each one a block goes to the place behind that of the pass before, so that what
/// an earlier pass has left is not what a later one has to write.
class copy_work {
public:
    static constexpr std::size_t block_bytes = 65536;

    /// Where a block is read from, and where it is written to.
    struct offsets {
        std::uint64_t from;
        std::uint64_t to;
    };

    explicit copy_work(const ring_task& task)
        : blocks_(std::max<std::uint64_t>(task.size_bytes / block_bytes, 1)), seed_(task.seed),
          from_(open_file(task.folder + "/safer_ring_copy_from")),
          to_(open_file(task.folder + "/safer_ring_copy_to"))
    {
        // In a pass of fewer, there would never be so many under way.
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
        passes_ = 0;
    }

    /// Has `copy` copy so many blocks. Each pass is over before the next one begins, since a write
    /// that overtook one of the pass before, to the same place, would be undone by it.
    template <class Copy>
    void run(Copy& copy, std::uint64_t count)
    {
        while (count != 0) {
            pass_blocks_ = std::min(count, blocks_);
            shift_ = passes_++ % blocks_;
            next_ = 0;
            copy.run(*this, pass_blocks_);
            count -= pass_blocks_;
        }
    }

    int from() const { return from_; }
    int to() const { return to_; }

    offsets next_offsets()
    {
        const std::uint64_t block = next_++;
        const std::uint64_t place = block + shift_;
        return {block * block_bytes, (place < blocks_ ? place : place - blocks_) * block_bytes};
    }

    static void check_length(std::uint64_t bytes)
    {
        if (bytes != block_bytes)
            throw std::runtime_error("only " + std::to_string(bytes) +
                                     " bytes of a block were transferred");
    }

    /// Reads all of the target and compares it with what the last two passes have to leave there.
    std::uint64_t checksum() const
    {
        std::vector<std::uint64_t> wanted(block_bytes / sizeof(std::uint64_t));
        std::vector<std::uint64_t> found(wanted.size());
        std::uint64_t sum = 0;
        for (std::uint64_t place = 0; place < blocks_; ++place) {
            fill_as_left(wanted, place);
            if (::pread(to_, found.data(), block_bytes, static_cast<off_t>(place * block_bytes)) !=
                block_bytes)
                fail(errno, "reading the copy");
            if (found != wanted)
                throw std::runtime_error("block " + std::to_string(place) +
                                         " of the copy is wrong");
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

    /// What is at a place in the end: of the last pass, if that came so far, else of the one
    /// before, else what `begin` has put there.
    void fill_as_left(std::vector<std::uint64_t>& block, std::uint64_t place) const
    {
        const std::uint64_t of_last = (place + blocks_ - shift_) % blocks_;
        if (of_last < pass_blocks_)
            fill(block, of_last);
        else if (passes_ > 1)
            fill(block, (of_last + 1) % blocks_);
        else
            std::fill(block.begin(), block.end(), 0);
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
    std::uint64_t passes_ = 0;
    // Of the pass that was begun last: how many blocks it has, by how many places they are moved,
    // and which one is next.
    std::uint64_t pass_blocks_ = 0;
    std::uint64_t shift_ = 0;
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
