// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <cstddef>
#include <string>

namespace http_server {

// How many connections the limit of open file descriptors leaves room for, beside the files being
// sent.
std::size_t connections_within_limit();

// For messages about that limit: its value, and how to raise it.
std::string descriptor_limit_advice();

} // namespace http_server
