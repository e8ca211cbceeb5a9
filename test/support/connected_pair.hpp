// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "blocking_peer.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <sys/resource.h>

namespace test_support {

namespace detail {

template <class Socket>
inline constexpr bool is_local =
    std::is_same_v<typename Socket::protocol_type, boost::asio::local::stream_protocol>;

template <class Socket>
std::pair<unique_descriptor, unique_descriptor> descriptor_pair()
{
    if constexpr (is_local<Socket>)
        return local_descriptor_pair();
    else
        return tcp_descriptor_pair();
}

template <class Socket, class Context>
Socket adopt(Context& context, unique_descriptor fd)
{
    if constexpr (is_local<Socket>)
        return Socket(context, boost::asio::local::stream_protocol(), fd.release());
    else
        return Socket(context, boost::asio::ip::tcp::v4(), fd.release());
}

} // namespace detail

/// Two sockets that are connected with each other.
template <class Socket, class Context>
std::pair<Socket, Socket> connected_pair(Context& context)
{
    auto [first, second] = detail::descriptor_pair<Socket>();
    return {detail::adopt<Socket>(context, std::move(first)),
            detail::adopt<Socket>(context, std::move(second))};
}

template <class Socket>
struct socket_and_peer {
    Socket socket;
    blocking_peer peer;
};

/// A socket whose other end the test drives with blocking system calls.
template <class Socket, class Context>
socket_and_peer<Socket> connect_to_peer(Context& context)
{
    auto [first, second] = detail::descriptor_pair<Socket>();
    return {detail::adopt<Socket>(context, std::move(first)), blocking_peer(std::move(second))};
}

/// Raises the soft limit of open descriptors as far as the hard one allows,
/// and tells whether `count` fit.
inline bool allow_descriptors(std::size_t count)
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    if (limit.rlim_cur < count) {
        limit.rlim_cur = std::min<rlim_t>(count, limit.rlim_max);
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur >= count;
}

} // namespace test_support
