// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <string>
#include <string_view>

namespace http_server {

// A request target made into a path below the root.
struct target {
    enum class kind { path, malformed, leads_upwards };
    kind what = kind::path;
    std::string_view reason; // why it is not a path
    std::string
        path; // "a/b.txt": decoded, without empty or dot segments; empty for the root itself
    bool directory = false; // whether it ended with a slash
    std::string query;      // as it came, without the question mark
};

// Decodes percent-encoding exactly once, and before it looks at the segments, so that an encoded
// "../" is seen. This is the first of two walls: the root is also opened so that the kernel refuses
// to leave it.
target parse_target(std::string_view text);

// For a Location header: everything that is not plainly allowed in a path is encoded.
std::string percent_encode(std::string_view path);

} // namespace http_server
