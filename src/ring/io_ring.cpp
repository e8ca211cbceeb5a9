// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/io_ring.hpp>

namespace safer_ring::inline SAFER_RING_ABI {

// Any thread may submit, wait and go: no cooperative task work.
io_ring::io_ring(const options& settings) : core_(backend::make_io_uring(settings, false)) {}

} // namespace safer_ring::inline SAFER_RING_ABI
