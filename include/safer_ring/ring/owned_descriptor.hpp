// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

#include <unistd.h>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

/// A descriptor with one owner, closed when that is destroyed: what was accepted
/// or opened is not lost, whoever drops it.
///
/// @code
/// safer_ring::owned_descriptor descriptor(::dup(0));
/// assert(descriptor.is_open());
/// safer_ring::owned_descriptor elsewhere = std::move(descriptor);
/// elsewhere.close();
/// assert(!elsewhere.is_open());
/// @endcode
class owned_descriptor {
public:
    owned_descriptor() noexcept = default;
    explicit owned_descriptor(int fd) noexcept : fd_(fd) {}
    owned_descriptor(owned_descriptor&& other) noexcept : fd_(other.release()) {}
    owned_descriptor& operator=(owned_descriptor&& other) noexcept
    {
        owned_descriptor taken(std::move(other));
        std::swap(fd_, taken.fd_);
        return *this;
    }
    ~owned_descriptor() { close(); }

    /// -1 where there is none.
    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
    /// Gives it to the caller.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    void close() noexcept
    {
        if (fd_ >= 0)
            ::close(std::exchange(fd_, -1));
    }

private:
    int fd_ = -1;
};

} // namespace safer_ring::inline SAFER_RING_ABI
