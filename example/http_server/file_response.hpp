// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "document_root.hpp"
#include "policy.hpp"

#include <boost/beast/http/empty_body.hpp>

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

namespace http_server {

using response_head = http::response<http::empty_body>;

// The decision on a regular file: the complete header, and which part of the file follows it.
struct file_response {
    response_head head;
    std::uint64_t offset = 0;
    std::uint64_t length = 0; // 0 also for HEAD, 304, 412 and 416
};

// Touches no file: conditional requests, ranges and HEAD are decided from the header and `info`
// alone. `now` is the current time, later than which no file is said to have been modified.
file_response respond_with_file(const request_head& request, const file_info& info,
                                std::string_view file_name, std::time_t now);

// Changes whenever the file does, as far as its size and time of modification tell.
std::string entity_tag(const file_info& info);

} // namespace http_server
