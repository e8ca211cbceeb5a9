// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

/// The ring layer: no Boost header is included from here.

#include <safer_ring/backend/backend.hpp>
#include <safer_ring/backend/features.hpp>
#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/buffer_ring.hpp>
#include <safer_ring/ring/event_loop.hpp>
#include <safer_ring/ring/io_ring.hpp>
#include <safer_ring/ring/owned_buffer.hpp>
#include <safer_ring/ring/registered_file.hpp>
#include <safer_ring/ring/shared_buffer.hpp>
#include <safer_ring/ring/stream.hpp>
