// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "skip.hpp"

#include <string>

namespace test_support {

/// Why the kernel's io_uring cannot be used here, as in a container whose
/// seccomp profile blocks it; empty where it can.
std::string no_io_uring();

/// Decorator of test cases and suites that are made for our contexts.
inline const auto needs_io_uring = unless(&no_io_uring);

/// The same for all test cases that are instances of a template for a context
/// which needs it, told by their names. To be called before any of them runs.
void skip_contexts_without_io_uring();

} // namespace test_support
