// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <string>
#include <vector>

/// Failures of allocations and of system calls outside the backend seam, by
/// definitions of these functions that this program has in place of the
/// libraries'. They count and fail only on a thread that is armed, and not
/// inside the simulated kernel.
namespace injected {

/// Counts from here to the end of its scope; with `fail_at`, counted from
/// one, that allocation throws or answers null.
class allocation_failure {
public:
    explicit allocation_failure(unsigned fail_at = 0) noexcept;
    allocation_failure(const allocation_failure&) = delete;
    allocation_failure& operator=(const allocation_failure&) = delete;
    ~allocation_failure();

    [[nodiscard]] unsigned count() const noexcept;
    [[nodiscard]] bool happened() const noexcept;
    static void disarm() noexcept;
};

/// The same for system calls; that call answers -1 with this errno.
class system_call_failure {
public:
    explicit system_call_failure(unsigned fail_at = 0, int error = 0) noexcept;
    system_call_failure(const system_call_failure&) = delete;
    system_call_failure& operator=(const system_call_failure&) = delete;
    ~system_call_failure();

    /// The names of the calls that were made, in order.
    [[nodiscard]] std::vector<std::string> calls() const;
    [[nodiscard]] bool happened() const noexcept;
};

} // namespace injected
