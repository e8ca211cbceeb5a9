// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "support/program.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace benchmark {

/// Blocks of a file, in an order that depends on the seed alone, and what is checked of each: the
/// number at its beginning, and eight words of it go into a sum that all programs must agree on.
class random_reads {
public:
    static constexpr std::size_t block_bytes = 4096;

    random_reads(std::uint64_t blocks, std::uint64_t seed) : blocks_(blocks), state_(seed) {}

    std::uint64_t next_offset() { return mix(++state_) % blocks_ * block_bytes; }

    void check(std::uint64_t offset, const void* block)
    {
        constexpr std::size_t words = block_bytes / sizeof(std::uint64_t);
        std::uint64_t number = 0;
        std::memcpy(&number, block, sizeof number);
        if (number != offset / block_bytes)
            throw std::runtime_error("what was read at " + std::to_string(offset) +
                                     " does not belong there");
        for (std::size_t i = 0; i < words; i += words / 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, static_cast<const char*>(block) + i * sizeof word, sizeof word);
            sum_ += mix(word + i);
        }
    }

    std::uint64_t sum() const { return sum_; }

    /// The finaliser of SplitMix64: a bijection whose output bits depend on all input bits.
    static std::uint64_t mix(std::uint64_t x)
    {
        x += 0x9e3779b97f4a7c15U;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
        return x ^ (x >> 31);
    }

private:
    std::uint64_t blocks_;
    std::uint64_t state_;
    std::uint64_t sum_ = 0;
};

/// Writes the file that is read, unless it is there, and reads it once, so that all of it is in the
/// page cache.
inline void prepare_file(const std::string& path, std::uint64_t blocks)
{
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
    if (file < 0)
        fail(errno, "opening " + path);
    struct stat status {};
    ::fstat(file, &status);
    std::vector<std::uint64_t> block(random_reads::block_bytes / sizeof(std::uint64_t));
    const bool there =
        static_cast<std::uint64_t>(status.st_size) >= blocks * random_reads::block_bytes;
    for (std::uint64_t n = 0; n < blocks; ++n) {
        ssize_t done = 0;
        if (there) {
            done = ::read(file, block.data(), random_reads::block_bytes);
        } else {
            for (std::size_t i = 0; i < block.size(); ++i)
                block[i] = random_reads::mix(n * block.size() + i);
            block[0] = n;
            done = ::write(file, block.data(), random_reads::block_bytes);
        }
        if (done != random_reads::block_bytes)
            fail(errno, "preparing " + path);
    }
    ::close(file);
}

/// What a program is told.
struct random_read_options {
    std::string path;
    std::uint64_t blocks = 0;
    std::size_t depth = 0;
    std::uint64_t reads = 0;
    std::uint64_t seed = 0;
    bool registered = false; // File and buffers, with the ring.
};

/// Seconds of the clock given.
inline double seconds(clockid_t clock)
{
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// The main function of all programs. `Reader(options)` has `run(random_reads&, reads)`, which reads
/// so many blocks, and `facts()`; if `Reader::registers` is there it can register. A tenth of the reads come before those that are measured.
template <class Reader>
int read_randomly(int argc, char** argv, const char* program)
{
    const arguments given(argc, argv,
                          {"--file-mib", "--depth", "--reads", "--seed", "--cpu", "--registered"});
    random_read_options options;
    // Where it is put by the driver, which has to be a folder of a real file system.
    const char* const folder = std::getenv("SAFER_RING_BENCH_DIR");
    options.path = std::string(folder != nullptr ? folder : "/var/tmp") + "/safer_ring_random_read";
    options.blocks = given.number("--file-mib", 256) * (1 << 20) / random_reads::block_bytes;
    options.depth = given.number("--depth", 32);
    options.reads = given.number("--reads", 1000000);
    options.seed = given.number("--seed", 1);
    options.registered = given.number("--registered", 0) != 0;
    if (options.registered && !requires { Reader::registers; })
        throw std::invalid_argument("this program registers nothing");
    if (options.blocks == 0 || options.depth == 0 || options.reads == 0)
        throw std::invalid_argument("sizes and counts must be at least 1");
    if (given.has("--cpu"))
        pin_to_cpu(static_cast<int>(given.number("--cpu", 0)));
    prepare_file(options.path, options.blocks);
    Reader reader(options);
    random_reads warm_up(options.blocks, options.seed + 1);
    reader.run(warm_up, options.reads / 10 + options.depth);
    random_reads reads(options.blocks, options.seed);
    print_ready(program, 0, reader.facts());
    const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    const double wall = seconds(CLOCK_MONOTONIC);
    reader.run(reads, options.reads);
    const double wall_after = seconds(CLOCK_MONOTONIC);
    const double cpu_after = seconds(CLOCK_PROCESS_CPUTIME_ID);
    std::printf("result {\"reads\": %llu, \"seconds\": %.9f, \"cpu_seconds\": %.9f, "
                "\"checksum\": \"%016llx\"}\n",
                static_cast<unsigned long long>(options.reads), wall_after - wall, cpu_after - cpu,
                static_cast<unsigned long long>(reads.sum()));
    return 0;
}

} // namespace benchmark
