// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "limits.hpp"

#include <optional>
#include <string>

namespace http_server {

struct options {
    std::string address = "127.0.0.1";
    unsigned short port = 8080;
    std::string root;
    http_server::limits limits;
};

// Nothing when the user only asked for --help, which is then printed. Throws std::runtime_error, or
// an exception of Boost.Program_options, when the command line makes no sense.
std::optional<options> parse_options(int argc, char** argv);

} // namespace http_server
