// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <string_view>

namespace http_server {

// The content type for a file name, by its extension; application/octet-stream when that says
// nothing.
std::string_view content_type(std::string_view file_name) noexcept;

} // namespace http_server
