// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/cpu_affinity.hpp>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <new>
#include <sched.h>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

struct free_cpu_set {
    void operator()(cpu_set_t* set) const noexcept { CPU_FREE(set); }
};
using cpu_set = std::unique_ptr<cpu_set_t, free_cpu_set>;

thread_local std::vector<int> unpinned_cpus;

} // namespace

std::vector<int> usable_cpus()
{
    // cpu_set_t has room for 1024; the kernel answers EINVAL to a set that is
    // shorter than its own (sched_getaffinity(2)).
    constexpr int most_cpus = 1 << 20;
    for (int cpus = CPU_SETSIZE; cpus <= most_cpus; cpus *= 2) {
        const cpu_set set(CPU_ALLOC(static_cast<std::size_t>(cpus)));
        if (set == nullptr)
            throw std::bad_alloc();
        const std::size_t size_bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(cpus));
        CPU_ZERO_S(size_bytes, set.get());
        if (::sched_getaffinity(0, size_bytes, set.get()) != 0) {
            if (errno == EINVAL)
                continue;
            break;
        }
        std::vector<int> found;
        for (int cpu = 0; cpu < cpus; ++cpu)
            if (CPU_ISSET_S(static_cast<std::size_t>(cpu), size_bytes, set.get()))
                found.push_back(cpu);
        if (!found.empty())
            return found;
        break;
    }
    return {0};
}

int pin_this_thread(int cpu) noexcept
try {
    std::vector<int> before = usable_cpus();
    const int error = use_cpus({cpu});
    if (error == 0 && unpinned_cpus.empty())
        unpinned_cpus = std::move(before);
    return error;
} catch (...) {
    return ENOMEM;
}

const std::vector<int>& cpus_before_pinning() noexcept
{
    return unpinned_cpus;
}

int use_cpus(const std::vector<int>& cpus) noexcept
{
    if (cpus.empty())
        return 0;
    if (cpus.front() < 0)
        return EINVAL;
    const auto size = static_cast<std::size_t>(cpus.back()) + 1;
    const cpu_set set(CPU_ALLOC(size));
    if (set == nullptr)
        return ENOMEM;
    const std::size_t size_bytes = CPU_ALLOC_SIZE(size);
    CPU_ZERO_S(size_bytes, set.get());
    for (const int cpu : cpus)
        CPU_SET_S(static_cast<std::size_t>(cpu), size_bytes, set.get());
    return ::sched_setaffinity(0, size_bytes, set.get()) == 0 ? 0 : errno;
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
