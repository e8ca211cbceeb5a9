// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

/// Boost.Asio on io_uring: include this, give `safer_ring::executor` to the
/// I/O objects, and run them on a `safer_ring::io_context`.

#include <safer_ring/asio/detail/boost_version.hpp>

#include <safer_ring/asio/default_token.hpp>
#include <safer_ring/asio/io_objects.hpp>
