// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/shared_buffer.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

namespace safer_ring::inline SAFER_RING_ABI {
namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t sector_bytes = 512;

/// Memory for std::free().
std::byte* allocate(std::size_t size_bytes)
{
    void* memory = nullptr;
    if (size_bytes < sector_bytes)
        memory = std::malloc(size_bytes);
    else if (::posix_memalign(&memory, size_bytes < page_bytes ? sector_bytes : page_bytes,
                              size_bytes) != 0)
        memory = nullptr;
    if (memory == nullptr)
        throw std::bad_alloc();
    return static_cast<std::byte*>(memory);
}

} // namespace

owned_buffer::owned_buffer(std::size_t size_bytes)
    : memory_(size_bytes != 0 ? allocate(size_bytes) : nullptr), size_(size_bytes),
      capacity_(size_bytes)
{
}

owned_buffer owned_buffer::copy_of(std::span<const std::byte> bytes)
{
    owned_buffer copy(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.data());
    return copy;
}

void owned_buffer::throw_no_capacity(std::size_t wanted_bytes, std::size_t capacity_bytes)
{
    throw std::length_error("safer_ring: an owned_buffer of " + std::to_string(capacity_bytes) +
                            " bytes cannot be resized to " + std::to_string(wanted_bytes) +
                            "; its capacity is what it was made with");
}

shared_buffer owned_buffer::freeze() &&
{
    return shared_buffer(new shared_buffer::block(std::move(*this)));
}

void owned_buffer::give_back() noexcept
{
    if (origin_ != nullptr)
        origin_->give_back(memory_);
    else
        std::free(memory_);
}

} // namespace safer_ring::inline SAFER_RING_ABI
