// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The tests of timers once more, where Asio's own contexts wait in io_uring.
// On ours only: run() of such a net::io_context (1.81) counts operations of
// Asio's own among the handlers that it has called.
#define SAFER_RING_TEST_OURS_ONLY
#include "conformance/timers.cpp"
