// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

// Clang's consumed-annotation checking (-Wconsumed) finds uses after a move
// within one function. GCC knows none of these attributes.
#if defined(__clang__)
#define SAFER_RING_CONSUMABLE(state) [[clang::consumable(state)]]
#define SAFER_RING_RETURNS(state) [[clang::return_typestate(state)]]
#define SAFER_RING_SETS(state) [[clang::set_typestate(state)]]
#define SAFER_RING_NOT_AFTER_MOVE [[clang::callable_when("unconsumed", "unknown")]]
#else
#define SAFER_RING_CONSUMABLE(state)
#define SAFER_RING_RETURNS(state)
#define SAFER_RING_SETS(state)
#define SAFER_RING_NOT_AFTER_MOVE
#endif

#if defined(__SANITIZE_ADDRESS__)
#define SAFER_RING_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SAFER_RING_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(SAFER_RING_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#endif

#include <safer_ring/export.hpp>

#include <cstddef>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Makes AddressSanitizer report who touches these bytes; no effect without it.
inline void poison(const void* data, std::size_t size_bytes) noexcept
{
#if defined(SAFER_RING_ADDRESS_SANITIZER)
    __asan_poison_memory_region(data, size_bytes);
#else
    static_cast<void>(data);
    static_cast<void>(size_bytes);
#endif
}

inline void unpoison(const void* data, std::size_t size_bytes) noexcept
{
#if defined(SAFER_RING_ADDRESS_SANITIZER)
    __asan_unpoison_memory_region(data, size_bytes);
#else
    static_cast<void>(data);
    static_cast<void>(size_bytes);
#endif
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
