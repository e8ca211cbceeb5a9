// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "context.hpp"

#include <string>

namespace http_server {

// Throws std::runtime_error that names the address and the likely cause.
acceptor listen(io_context& context, const std::string& address, unsigned short port);

} // namespace http_server
