// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "authority.hpp"

#include "ascii.hpp"

#include <algorithm>

namespace http_server {

namespace {

// Only the characters are looked at: nothing is connected to by this address.
bool is_ipv6_address(std::string_view text) noexcept
{
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return hex_digit(c) || c == ':' || c == '.';
    });
}

// A name, or an IPv4 address, which has the form of one.
bool is_registered_name(std::string_view text) noexcept
{
    constexpr std::string_view marks = "-._~!$&'()*+,;=";
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = to_lower(text[i]);
        if (c == '%') {
            if (i + 2 >= text.size() || !hex_digit(text[i + 1]) || !hex_digit(text[i + 2]))
                return false;
            i += 2;
        } else if (!is_digit(c) && !(c >= 'a' && c <= 'z') &&
                   marks.find(c) == std::string_view::npos) {
            return false;
        }
    }
    return !text.empty();
}

} // namespace

bool is_authority(std::string_view text) noexcept
{
    std::string_view port;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos || !is_ipv6_address(text.substr(1, end - 1)))
            return false;
        port = text.substr(end + 1);
    } else {
        const auto host = text.substr(0, text.find(':'));
        if (!is_registered_name(host))
            return false;
        port = text.substr(host.size());
    }
    // The port may be empty behind its colon.
    return port.empty() ||
           (port.front() == ':' && std::all_of(port.begin() + 1, port.end(), is_digit));
}

} // namespace http_server
