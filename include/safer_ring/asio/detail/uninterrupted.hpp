// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

/// Blocking calls that go on where a completion has cut them short.
///
/// When a request completes, the kernel interrupts the thread that submitted it
/// (TIF_NOTIFY_SIGNAL). Most calls it begins again; but one that has moved something
/// answers with that, and one with a time limit with EINTR, as behind a signal
/// (signal(7)). Elsewhere than on a ring neither happens.
namespace safer_ring::inline SAFER_RING_ABI::detail {

/// By SO_RCVTIMEO or SO_SNDTIMEO, whichever is the option.
inline bool has_time_limit(int fd, int option) noexcept
{
    timeval limit{};
    socklen_t size = sizeof limit;
    return ::getsockopt(fd, SOL_SOCKET, option, &limit, &size) == 0 &&
           (limit.tv_sec != 0 || limit.tv_usec != 0);
}

/// What `call()` answers, which sets `ec`, when it is not interrupted. Where there is
/// no time limit, it is a signal of the program that interrupts.
template <typename Call>
auto uninterrupted(int fd, int option, boost::system::error_code& ec, Call call)
{
    auto answer = call();
    while (ec == boost::asio::error::interrupted && has_time_limit(fd, option))
        answer = call();
    return answer;
}

/// Waits until more can be moved. False where that is not to be expected, and where an
/// error waits for the next call: the one behind a short count would take it away.
inline bool can_go_on(int fd, int option) noexcept
{
    const int mode = ::fcntl(fd, F_GETFL);
    if (mode < 0 || (mode & O_NONBLOCK) != 0 || has_time_limit(fd, option))
        return false;
    const int wanted = option == SO_RCVTIMEO ? POLLIN : POLLOUT;
    pollfd entry{fd, static_cast<short>(wanted), 0};
    return ::poll(&entry, 1, -1) > 0 && entry.revents == wanted;
}

/// Moves all of `vectors` by as many calls as it takes, each of which answers the bytes
/// that it moved, behind `moved` bytes; as many as can be, and then without an error.
template <typename Vectors, typename Call>
std::size_t move_all(int fd, int option, Vectors& vectors, boost::system::error_code& ec, Call call,
                     std::size_t moved = 0)
{
    for (bool more = moved == 0 || vectors.drop_front(moved); more;) {
        const std::size_t n = uninterrupted(fd, option, ec, call);
        moved += n;
        more = n != 0 && vectors.drop_front(n) && can_go_on(fd, option);
    }
    if (moved != 0)
        ec = {};
    return moved;
}

} // namespace safer_ring::inline SAFER_RING_ABI::detail
