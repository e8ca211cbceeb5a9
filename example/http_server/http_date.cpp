// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "http_date.hpp"

#include <array>
#include <cstdio>

namespace http_server {

std::string format_http_date(std::time_t time)
{
    // strftime would do, but follows the locale of the process.
    constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm parts{};
    if (!gmtime_r(&time, &parts))
        return format_http_date(0);
    std::array<char, 64> text{};
    const auto length =
        std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                      days.at(static_cast<std::size_t>(parts.tm_wday)), parts.tm_mday,
                      months.at(static_cast<std::size_t>(parts.tm_mon)), parts.tm_year + 1900,
                      parts.tm_hour, parts.tm_min, parts.tm_sec);
    return {text.data(), static_cast<std::size_t>(length)};
}

std::optional<std::time_t> parse_http_date(std::string_view text)
{
    const std::string terminated{text};
    for (const char* format :
         {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"}) {
        std::tm parts{};
        const char* end = strptime(terminated.c_str(), format, &parts);
        if (end && *end == '\0')
            return timegm(&parts);
    }
    return std::nullopt;
}

const std::string& current_http_date()
{
    static thread_local std::time_t formatted_time = -1;
    static thread_local std::string formatted;
    const auto now = std::time(nullptr);
    if (now != formatted_time) {
        formatted = format_http_date(now);
        formatted_time = now;
    }
    return formatted;
}

} // namespace http_server
