// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/buffer_ring.hpp>
#include <safer_ring/ring/io_ring.hpp>

#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

buffer_ring::buffer_ring(io_ring& ring, std::size_t count, std::size_t size_bytes, buffer_use use)
    : group_(ring::buffer_group::make(&ring.core_, count, size_bytes, use))
{
    ring.core_.attach(group_);
}

buffer_ring& buffer_ring::operator=(buffer_ring&& other) noexcept
{
    buffer_ring taken(std::move(other));
    std::swap(group_, taken.group_);
    return *this;
}

buffer_ring::~buffer_ring()
{
    if (!group_)
        return;
    if (ring::ring_core* const core = group_->core(); core != nullptr)
        core->orphan(std::move(group_));
}

buffer_ring_statistics buffer_ring::statistics() const noexcept
{
    return group_ ? group_->statistics() : buffer_ring_statistics();
}

std::size_t buffer_ring::size_bytes() const noexcept
{
    return group_ ? group_->size_bytes() : 0;
}

} // namespace safer_ring::inline SAFER_RING_ABI
