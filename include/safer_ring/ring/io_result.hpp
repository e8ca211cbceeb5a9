// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/entry.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

/// Why an operation failed, and on what.
struct io_error {
    std::error_code code;
    const char* operation = "";                    ///< As in "read".
    int descriptor = -1;                           ///< -1 where there is none.
    std::uint64_t offset = backend::file_position; ///< That, where none was given.
    std::size_t size_bytes = 0;                    ///< Of what was asked for.
    int registered_file = -1;                      ///< Its index, where it is one.

    /// As in "read of 4096 bytes at 8192 from descriptor 7: Input/output error".
    [[nodiscard]] SAFER_RING_API std::string message() const;
};

/// What an operation brought, or why it failed.
///
/// `was_cancelled` tells that the program asked for its cancellation; an
/// operation that completed all the same has its value. One that a time limit
/// ended has ETIMEDOUT.
template <typename T>
class io_result {
public:
    io_result(T value, bool cancelled) noexcept : value_(value), was_cancelled_(cancelled) {}
    io_result(io_error error, bool cancelled) noexcept
        : error_(std::move(error)), was_cancelled_(cancelled)
    {
    }

    [[nodiscard]] bool has_value() const noexcept { return !error_.code; }
    explicit operator bool() const noexcept { return has_value(); }

    /// Throws std::system_error, whose text names operation and descriptor.
    [[nodiscard]] T value() const
    {
        if (error_.code)
            throw std::system_error(error_.code, error_.message());
        return value_;
    }
    [[nodiscard]] T value_or(T otherwise) const noexcept
    {
        return error_.code ? otherwise : value_;
    }

    [[nodiscard]] const io_error& error() const noexcept { return error_; }
    [[nodiscard]] std::error_code code() const noexcept { return error_.code; }
    [[nodiscard]] bool was_cancelled() const noexcept { return was_cancelled_; }

private:
    T value_{};
    io_error error_;
    bool was_cancelled_;
};

} // namespace safer_ring::inline SAFER_RING_ABI
