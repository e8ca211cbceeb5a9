// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <string_view>

namespace http_server {

// Whether the text is a host with or without a port, as a Host field and an absolute target name it
// (RFC 3986, section 3.2). The host must not be empty: http knows no such thing.
bool is_authority(std::string_view text) noexcept;

} // namespace http_server
