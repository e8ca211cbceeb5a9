// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <cstdint>
#include <string_view>

namespace http_server {

// What to send of a file of a known size for a Range header.
struct byte_range {
    enum class kind {
        whole, // no range, several ranges, another unit, or nonsense: all of these may be ignored
        part,  // `offset` and `length`, which is at least 1 and ends within the file
        unsatisfiable, // the range begins behind the end of the file
    };
    kind what = kind::whole;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

// `header` is the value of a Range header (RFC 9110, section 14.2), empty when there is none.
byte_range parse_range(std::string_view header, std::uint64_t file_size) noexcept;

} // namespace http_server
