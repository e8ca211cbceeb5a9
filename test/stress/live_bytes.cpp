// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "live_bytes.hpp"

#include <support/sanitizer.hpp>

#if defined(SAFER_RING_TEST_ADDRESS_SANITIZER) || defined(SAFER_RING_TEST_THREAD_SANITIZER)

// From sanitizer/allocator_interface.h, which GCC's packages leave out.
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();

namespace stress {

std::size_t live_bytes()
{
    return ::__sanitizer_get_current_allocated_bytes();
}

} // namespace stress

#else

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>

// A program may replace malloc as a whole; glibc keeps its own under these
// names (glibc manual, "Replacing malloc").
extern "C" {
void* __libc_malloc(std::size_t size);
void __libc_free(void* block);
}

namespace {

/// Stands in front of each block.
struct header {
    void* base;
    std::size_t size;
};

constexpr std::size_t page_bytes = 4096;

std::atomic<std::size_t> live{0};

header& header_of(void* block)
{
    return static_cast<header*>(block)[-1];
}

void* allocate(std::size_t size, std::size_t alignment)
{
    alignment = std::max(alignment, alignof(std::max_align_t));
    const std::size_t extra = sizeof(header) + alignment;
    void* base = size <= PTRDIFF_MAX - extra ? __libc_malloc(size + extra) : nullptr;
    if (base == nullptr) {
        errno = ENOMEM;
        return nullptr;
    }
    const auto first = reinterpret_cast<std::uintptr_t>(base) + sizeof(header);
    void* block = reinterpret_cast<void*>((first + alignment - 1) / alignment * alignment);
    header_of(block) = {base, size};
    live += size;
    return block;
}

} // namespace

extern "C" {

void* malloc(std::size_t size)
{
    return allocate(size, 1);
}

void free(void* block)
{
    if (block == nullptr)
        return;
    live -= header_of(block).size;
    __libc_free(header_of(block).base);
}

void* calloc(std::size_t count, std::size_t size)
{
    std::size_t total = 0;
    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return nullptr;
    }
    void* block = allocate(total, 1);
    return block != nullptr ? std::memset(block, 0, total) : nullptr;
}

void* realloc(void* block, std::size_t size)
{
    if (block == nullptr)
        return malloc(size);
    void* larger = allocate(size, 1);
    if (larger == nullptr)
        return nullptr;
    std::memcpy(larger, block, std::min(size, header_of(block).size));
    free(block);
    return larger;
}

void* aligned_alloc(std::size_t alignment, std::size_t size)
{
    return allocate(size, alignment);
}

void* memalign(std::size_t alignment, std::size_t size)
{
    return allocate(size, alignment);
}

void* valloc(std::size_t size)
{
    return allocate(size, page_bytes);
}

void* pvalloc(std::size_t size)
{
    return allocate((size + page_bytes - 1) / page_bytes * page_bytes, page_bytes);
}

std::size_t malloc_usable_size(void* block)
{
    return block != nullptr ? header_of(block).size : 0;
}

int posix_memalign(void** block, std::size_t alignment, std::size_t size)
{
    *block = allocate(size, alignment);
    return *block != nullptr ? 0 : ENOMEM;
}

} // extern "C"

namespace stress {

std::size_t live_bytes()
{
    return live;
}

} // namespace stress

#endif
