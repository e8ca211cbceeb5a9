// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

/// Opens and closes a socket on a context of Asio's.
[[gnu::visibility("default")]] bool open_and_close(boost::asio::io_context& context);

/// What it calls, for a library that has an open_and_close() of its own.
[[gnu::visibility("default")]] bool open_and_close_in_part(boost::asio::io_context& context);
