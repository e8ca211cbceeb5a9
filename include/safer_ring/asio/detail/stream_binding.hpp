// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/io_context.hpp>
#include <safer_ring/ring/descriptor.hpp>

#include <sys/ioctl.h>

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// Asks a socket or an acceptor for its side of the event loop, by the one public
/// way to its service that takes any type: an io_control of our own. A service of
/// Asio's takes it for a question how many bytes there are, and the context stays
/// null.
struct stream_binding {
    io_context* context = nullptr;
    ring::descriptor* descriptor = nullptr;
    bool reports_aborted = false;

    static int name() noexcept { return FIONREAD; }
    void* data() noexcept { return &ignored_; }

private:
    int ignored_ = 0;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
