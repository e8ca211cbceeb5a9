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

} // namespace safer_ring::inline SAFER_RING_ABI
