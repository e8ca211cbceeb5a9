// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace http_server {

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string format_http_date(std::time_t time);

// Reads that form and the two obsolete ones that RFC 9110, section 5.6.7 asks recipients to accept.
std::optional<std::time_t> parse_http_date(std::string_view text);

// The current time for the Date header. Formatted once a second, for which it needs no system call.
const std::string& current_http_date();

} // namespace http_server
