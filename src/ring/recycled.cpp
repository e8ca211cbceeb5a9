// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/recycled.hpp>

#if !defined(SAFER_RING_ADDRESS_SANITIZER)

#include <array>
#include <new>

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

constexpr std::size_t granularity_bytes = 64;
/// A read with its buffer takes 256 bytes, a connect with its address 384.
constexpr std::size_t sizes = 8;
/// As many as a ring usually has in flight: 32 KiB for each size at most.
constexpr std::size_t kept_of_each_size = 64;

struct block {
    block* next;
};

struct blocks_of_size {
    block* first = nullptr;
    /// For so many more; none before the first block comes back, and none after
    /// the thread's end, which leaves one condition to the usual way.
    std::size_t room = 0;
};

/// Without constructor and destructor, so that using it costs no more than its
/// address.
constinit thread_local std::array<blocks_of_size, sizes> cache{};
constinit thread_local bool is_in_use = false;

/// Objects of the thread that outlive it may still have operations: nothing is
/// kept from then on.
struct cleaner {
    ~cleaner()
    {
        for (blocks_of_size& of_size : cache) {
            of_size.room = 0;
            while (block* const b = of_size.first) {
                of_size.first = b->next;
                ::operator delete(b);
            }
        }
    }
};

void keep(blocks_of_size& of_size, void* memory) noexcept
{
    of_size.first = ::new (memory) block{of_size.first};
    --of_size.room;
}

/// Out of line: the first block of a thread, and those for which there is no
/// room.
[[gnu::noinline]] void keep_first(std::size_t index, void* memory) noexcept
{
    if (is_in_use)
        return ::operator delete(memory);
    is_in_use = true;
    for (blocks_of_size& of_size : cache)
        of_size.room = kept_of_each_size;
    thread_local const cleaner at_exit;
    static_cast<void>(at_exit);
    keep(cache[index], memory);
}

constexpr std::size_t index_of(std::size_t size_bytes) noexcept
{
    return (size_bytes - 1) / granularity_bytes;
}

} // namespace

void* recycled::operator new(std::size_t size_bytes)
{
    const std::size_t index = index_of(size_bytes);
    if (index >= sizes)
        return ::operator new(size_bytes);
    blocks_of_size& of_size = cache[index];
    block* const b = of_size.first;
    if (b == nullptr)
        return ::operator new((index + 1) * granularity_bytes);
    of_size.first = b->next;
    ++of_size.room;
    return b;
}

void recycled::operator delete(void* memory, std::size_t size_bytes) noexcept
{
    const std::size_t index = index_of(size_bytes);
    if (index >= sizes)
        return ::operator delete(memory);
    if (cache[index].room != 0)
        keep(cache[index], memory);
    else
        keep_first(index, memory);
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring

#endif
