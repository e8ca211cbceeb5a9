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
    std::size_t count = 0;
};

/// Without constructor and destructor, so that using it costs no more than its
/// address. Objects of the thread that outlive the cleaner may still have
/// operations: nothing is kept from then on.
struct thread_cache {
    std::array<blocks_of_size, sizes> kept;
    bool is_cleaned_up;
    bool is_over;
};

constinit thread_local thread_cache cache{};

struct cleaner {
    ~cleaner()
    {
        cache.is_over = true;
        for (blocks_of_size& of_size : cache.kept)
            while (block* const b = of_size.first) {
                of_size.first = b->next;
                ::operator delete(b);
            }
    }
};

/// Out of line: it happens once for each thread.
[[gnu::noinline]] void arrange_clean_up() noexcept
{
    thread_local const cleaner at_exit;
    static_cast<void>(at_exit);
    cache.is_cleaned_up = true;
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
    blocks_of_size& of_size = cache.kept[index];
    block* const b = of_size.first;
    if (b == nullptr)
        return ::operator new((index + 1) * granularity_bytes);
    of_size.first = b->next;
    --of_size.count;
    return b;
}

void recycled::operator delete(void* memory, std::size_t size_bytes) noexcept
{
    const std::size_t index = index_of(size_bytes);
    thread_cache& of_thread = cache;
    if (index >= sizes || of_thread.is_over || of_thread.kept[index].count == kept_of_each_size)
        return ::operator delete(memory);
    if (!of_thread.is_cleaned_up)
        arrange_clean_up();
    blocks_of_size& of_size = of_thread.kept[index];
    of_size.first = ::new (memory) block{of_size.first};
    ++of_size.count;
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring

#endif
