// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/lent_memory.hpp>
#include <safer_ring/ring/owned_buffer.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// A buffer that an operation owns, and lends to the kernel.
class lent_bytes : public lent_memory {
public:
    [[nodiscard]] virtual std::span<const std::byte> bytes() const noexcept = 0;
    /// Under AddressSanitizer, whoever touches it meanwhile is found.
    virtual void lend() const noexcept {}
    virtual void get_back() const noexcept {}
};

template <typename Buffer>
class lent_buffer final : public lent_bytes {
public:
    explicit lent_buffer(Buffer&& b) noexcept : buffer(std::move(b)) {}

    [[nodiscard]] std::span<const std::byte> bytes() const noexcept override
    {
        return {buffer.data(), buffer.size()};
    }
    void lend() const noexcept override
    {
        if constexpr (std::same_as<Buffer, owned_buffer>)
            buffer_access::lend(buffer);
    }
    void get_back() const noexcept override
    {
        if constexpr (std::same_as<Buffer, owned_buffer>)
            buffer_access::get_back(buffer);
    }

    Buffer buffer;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
