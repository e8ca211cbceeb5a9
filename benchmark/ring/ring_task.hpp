// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "support/program.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <stdexcept>
#include <string>

namespace benchmark {

/// What a program is told: one of the tasks, and how much of it. A unit is what the cost is given
/// for: a nop, a block that is copied, a request that is answered.
struct ring_task {
    std::string name;
    std::uint64_t units = 0;
    /// So many come before those that are measured, whatever `units` is.
    std::uint64_t warm_up = 0;
    /// How many are under way; for the echo, connections.
    std::size_t depth = 0;
    std::size_t size_bytes = 0;
    std::uint64_t seed = 0;
    /// The processor of the echo's load; anywhere when negative.
    int load_cpu = -1;
    /// The echo's receives wait for data at once, without having looked for it
    /// (IORING_RECVSEND_POLL_FIRST, Linux 5.19); by hand only.
    bool polls_first = false;
    std::string folder;
};

inline ring_task read_ring_task(const arguments& given)
{
    ring_task task;
    task.name = given.text("--task", "nop");
    task.units = given.number("--units", 1000000);
    task.warm_up = given.number("--warm-up", 2000);
    task.depth = given.number("--depth", 32);
    task.size_bytes = given.number("--size", 512);
    task.seed = given.number("--seed", 1);
    task.polls_first = given.number("--poll-first", 0) != 0;
    if (given.has("--load-cpu"))
        task.load_cpu = static_cast<int>(given.number("--load-cpu", 0));
    const char* const folder = std::getenv("SAFER_RING_BENCH_DIR");
    task.folder = folder != nullptr ? folder : "/var/tmp";
    if (task.units == 0 || task.warm_up == 0 || task.depth == 0 || task.size_bytes == 0)
        throw std::invalid_argument("sizes and counts must be at least 1");
    return task;
}

/// The finaliser of SplitMix64: a bijection whose output bits depend on all input bits.
inline std::uint64_t mix(std::uint64_t x)
{
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

/// Two clocks between two moments: that of the wall, and the processor time of this process with
/// the workers that the kernel has for it. The load of the echo is another process.
class stopwatch {
public:
    void start()
    {
        wall_ = seconds(CLOCK_MONOTONIC);
        cpu_ = seconds(CLOCK_PROCESS_CPUTIME_ID);
    }
    void stop()
    {
        cpu_ = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_;
        wall_ = seconds(CLOCK_MONOTONIC) - wall_;
    }

    void print_result(std::uint64_t units, std::uint64_t checksum) const
    {
        std::printf("result {\"units\": %llu, \"seconds\": %.9f, \"cpu_seconds\": %.9f, "
                    "\"checksum\": \"%016llx\"}\n",
                    static_cast<unsigned long long>(units), wall_, cpu_,
                    static_cast<unsigned long long>(checksum));
    }

private:
    static double seconds(clockid_t clock)
    {
        timespec now{};
        ::clock_gettime(clock, &now);
        return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
    }

    double wall_ = 0;
    double cpu_ = 0;
};

} // namespace benchmark
