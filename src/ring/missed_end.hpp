// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/entry.hpp>

#include <cstdint>
#include <poll.h>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Whether a multishot receive, of which a completion with bytes has these flags,
/// may go on without ever telling of the end of its socket.
///
/// Linux 6.18 looks for more behind a receive only where the socket says that there
/// is more, which a local one does not of its end, nor TCP of a reset. An end that
/// came together with the last bytes, while the request began to wait, wakes nobody
/// any more. Before a68ed2df7213 (Linux 7.0) that happens at any time. One that
/// comes behind this completion wakes the request, so that it is enough to look now.
[[nodiscard]] inline bool may_miss_end(int fd, std::uint32_t flags) noexcept
{
    constexpr std::uint32_t both = backend::completion_more | backend::completion_socket_nonempty;
    if ((flags & both) != backend::completion_more)
        return false;
    pollfd peer{fd, POLLRDHUP, 0};
    return ::poll(&peer, 1, 0) > 0 && (peer.revents & (POLLRDHUP | POLLHUP)) != 0;
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
