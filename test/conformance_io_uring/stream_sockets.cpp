// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The tests of TCP sockets once more, where Asio's own sockets are on io_uring too.
#include "conformance/stream_sockets.cpp"
