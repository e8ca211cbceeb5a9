// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/io_ring.hpp>

#include <cstring>
#include <stdexcept>
#include <string>

namespace safer_ring::inline SAFER_RING_ABI {

// Any thread may submit, wait and go: no cooperative task work.
io_ring::io_ring(const options& settings) : core_(backend::make_io_uring(settings, false)) {}

operation<ops::connect, building> io_ring::connect(int fd, const sockaddr* address,
                                                   socklen_t address_size_bytes)
{
    ops::connect op{{}, fd, {}, address_size_bytes};
    if (address_size_bytes > sizeof op.address)
        throw std::invalid_argument("safer_ring: an address of " +
                                    std::to_string(address_size_bytes) +
                                    " bytes is longer than any socket takes");
    std::memcpy(&op.address, address, address_size_bytes);
    return make(std::move(op));
}

stream<streams::receive> io_ring::receive_stream(int fd, const buffer_ring& buffers,
                                                 const stream_limits& limits)
{
    if (!buffers.group_ || buffers.group_->core() != &core_)
        throw std::invalid_argument("safer_ring: a receive_stream wants a buffer_ring of the same "
                                    "io_ring, which was not moved from");
    return {core_, streams::receive(fd, buffers.group_, limits), limits};
}

stream<streams::timeout> io_ring::timeout_stream(std::chrono::nanoseconds interval)
{
    if (interval <= std::chrono::nanoseconds::zero())
        throw std::invalid_argument("safer_ring: a timeout_stream wants an interval above zero");
    return {core_, streams::timeout(interval), {}};
}

} // namespace safer_ring::inline SAFER_RING_ABI
