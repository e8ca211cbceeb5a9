// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The tests of local sockets once more, where Asio's own sockets are on io_uring.
// On ours only: Asio's io_uring backend (1.81) aborts writes that are started
// just before close(), which its epoll backend sends
// (local_writes_followed_by_close_arrive).
#define SAFER_RING_TEST_OURS_ONLY
#include "conformance/local_sockets.cpp"
