// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "byte_range.hpp"

#include "ascii.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace http_server {

namespace {

// A number too large for the type is as good as the largest one: no file reaches that far.
std::optional<std::uint64_t> parse_number(std::string_view digits) noexcept
{
    std::uint64_t value = 0;
    const auto end = digits.data() + digits.size();
    const auto [stopped, error] = std::from_chars(digits.data(), end, value);
    if (digits.empty() || stopped != end)
        return std::nullopt;
    if (error == std::errc::result_out_of_range)
        return std::numeric_limits<std::uint64_t>::max();
    if (error != std::errc{})
        return std::nullopt;
    return value;
}

} // namespace

byte_range parse_range(std::string_view header, std::uint64_t file_size) noexcept
{
    using kind = byte_range::kind;
    header = trim(header);
    const auto equals = header.find('=');
    if (equals == std::string_view::npos || trim(header.substr(0, equals)) != "bytes")
        return {};
    const auto spec = trim(header.substr(equals + 1));
    const auto dash = spec.find('-');
    if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos)
        return {};

    const auto last = parse_number(spec.substr(dash + 1));
    if (dash == 0) { // "-n": the last n bytes
        if (!last)
            return {};
        if (*last == 0 || file_size == 0)
            return {kind::unsatisfiable};
        const auto length = std::min(*last, file_size);
        return {kind::part, file_size - length, length};
    }
    const auto first = parse_number(spec.substr(0, dash));
    if (!first || (!last && dash + 1 != spec.size()) || (last && *last < *first))
        return {};
    if (*first >= file_size)
        return {kind::unsatisfiable};
    const auto end = last && *last < file_size ? *last + 1 : file_size;
    return {kind::part, *first, end - *first};
}

} // namespace http_server
