// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <cstddef>
#include <linux/sockios.h>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>

namespace test_support {

inline bool is_ready(int fd, short events, int limit_ms)
{
    pollfd entry{fd, events, 0};
    return ::poll(&entry, 1, limit_ms) > 0;
}

/// Whether nothing that was written makes room again before somebody reads. What TCP has sent takes room
/// until it is acknowledged, which the peer may put off for 40 ms; SIOCOUTQNSD counts what is not sent (tcp(7)).
inline bool is_settled(int writer)
{
    int unacknowledged = 0;
    int unsent = 0;
    return ::ioctl(writer, SIOCOUTQ, &unacknowledged) != 0 ||
           ::ioctl(writer, SIOCOUTQNSD, &unsent) != 0 || unacknowledged == unsent;
}

/// Calls `write_one`, which writes a little and answers whether it had room,
/// until not a byte more has room, not even when the kernel has moved on what
/// was on its way.
template <typename WriteOne>
void fill_up(int writer, WriteOne write_one)
{
    for (bool is_full = false; !is_full;) {
        is_full = is_settled(writer) && !is_ready(writer, POLLOUT, 1);
        while (write_one())
            is_full = false;
        if (!is_full)
            is_ready(writer, POLLOUT, 1); // Lets a moment pass where it has to be looked at again.
    }
}

/// Leaves no room in a stream socket: what is written next has to wait for the
/// peer to read. Answers how many bytes that took.
inline std::size_t fill_socket(int writer)
{
    constexpr int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const std::string block(1 << 16, 'f');
    std::size_t filled = 0;
    fill_up(writer, [&] {
        ssize_t n = ::send(writer, block.data(), block.size(), flags);
        // Byte by byte only the rest: what the kernel moves on makes room for much once more.
        if (n < 0)
            n = ::send(writer, block.data(), 1, flags);
        filled += n > 0 ? static_cast<std::size_t>(n) : 0;
        return n > 0;
    });
    return filled;
}

} // namespace test_support
