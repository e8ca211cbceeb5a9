// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <cstddef>

namespace stress {

/// The bytes that this process has asked malloc(3) and its kin for, operator
/// new included, and not given back. mallinfo(3) would count what it rounds
/// the requests up to, a matter of which block it happens to find.
std::size_t live_bytes();

} // namespace stress
