// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>
#include <safer_ring/ring/event_loop.hpp>

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

/// Where a call may block, and how many completions there were before.
struct blocking_call {
    ring::event_loop& loop;
    int fd;
    int option; ///< Of its time limit: SO_RCVTIMEO or SO_SNDTIMEO.
    unsigned completions;
};

inline short events_of(const blocking_call& at) noexcept
{
    return at.option == SO_RCVTIMEO ? POLLIN : POLLOUT;
}

/// Whether a call that answered EINTR is to be made again; waits until it can go on.
///
/// Without a time limit, or when nothing has been completed meanwhile, it was a signal
/// of the program, which may want to end: it is told. When something has, on whatever
/// thread, which a busy context can say of nearly every call, a signal that
/// came during the same call is taken for one that came just before it, against which a
/// program that looks for signals between its calls is not safe anyway. The next one is
/// told for certain: poll(2), which Asio too waits in when the limit has passed, is begun
/// again behind a completion, and never behind a handler of a signal.
///
/// EINTR remains for what interrupts a thread without a completion in this context: one
/// in another context that it runs as well, the end of one that it ran, a request that
/// was woken for nothing. These are rare, and look like a signal.
inline bool is_to_go_on(blocking_call& at)
{
    if (!has_time_limit(at.fd, at.option) || at.loop.completions_so_far() == at.completions)
        return false;
    pollfd entry{at.fd, events_of(at), 0};
    if (::poll(&entry, 1, -1) < 0)
        return false;
    at.completions = at.loop.submit_before_blocking();
    return true;
}

/// What `call()` answers, which sets `ec`, when it is not interrupted by a completion.
template <typename Call>
auto uninterrupted(blocking_call at, boost::system::error_code& ec, Call call)
{
    auto answer = call();
    while (ec == boost::asio::error::interrupted && is_to_go_on(at))
        answer = call();
    return answer;
}

/// Waits until more can be moved. False where that is not to be expected, and where an
/// error waits for the next call: the one behind a short count would take it away.
inline bool can_go_on(const blocking_call& at) noexcept
{
    const int mode = ::fcntl(at.fd, F_GETFL);
    if (mode < 0 || (mode & O_NONBLOCK) != 0 || has_time_limit(at.fd, at.option))
        return false;
    pollfd entry{at.fd, events_of(at), 0};
    return ::poll(&entry, 1, -1) > 0 && entry.revents == entry.events;
}

/// Moves all of `vectors` by as many calls as it takes, each of which answers the bytes
/// that it moved, behind `moved` bytes; as many as can be, and then without an error.
template <typename Vectors, typename Call>
std::size_t move_all(const blocking_call& at, Vectors& vectors, boost::system::error_code& ec,
                     Call call, std::size_t moved = 0)
{
    for (bool more = moved == 0 || vectors.drop_front(moved); more;) {
        const std::size_t n = uninterrupted(at, ec, call);
        moved += n;
        more = n != 0 && vectors.drop_front(n) && can_go_on(at);
    }
    if (moved != 0)
        ec = {};
    return moved;
}

} // namespace safer_ring::inline SAFER_RING_ABI::detail
