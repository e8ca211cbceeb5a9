// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>
#include <safer_ring/ring/annotations.hpp>

#include <cstddef>
#include <new>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Memory for what is made and destroyed once for each operation. Each thread
/// keeps up to 64 blocks of each size that it uses, up to 512 bytes; what is
/// beyond that comes from and goes to the heap.
///
/// Under AddressSanitizer it is the heap alone, so that a use after free is found.
class recycled {
public:
#if !defined(SAFER_RING_ADDRESS_SANITIZER)
    [[nodiscard]] SAFER_RING_API static void* operator new(std::size_t size_bytes);
    SAFER_RING_API static void operator delete(void* memory, std::size_t size_bytes) noexcept;
    /// For what is aligned more than all memory is, such as a callback may be by what
    /// it has captured: the heap.
    [[nodiscard]] static void* operator new(std::size_t size_bytes, std::align_val_t alignment)
    {
        return ::operator new(size_bytes, alignment);
    }
    static void operator delete(void* memory, std::align_val_t alignment) noexcept
    {
        ::operator delete(memory, alignment);
    }
#endif

protected:
    recycled() = default;
    recycled(const recycled&) = default;
    recycled& operator=(const recycled&) = default;
    ~recycled() = default;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
