// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/datagram_source.hpp>

#include <cerrno>
#include <cstring>
#include <sys/uio.h>

namespace safer_ring::inline SAFER_RING_ABI::ring {

void datagram_source::fill(backend::submission_entry& entry) noexcept
{
    wanted_.msg_namelen = room_for_address_bytes;
    entry.op = backend::opcode::recvmsg;
    entry.address = reinterpret_cast<std::uint64_t>(&wanted_);
    entry.length = 1;
}

ssize_t datagram_source::receive_once(owned_buffer& buffer) noexcept
{
    sockaddr_storage from{};
    iovec to{buffer.data() + front_bytes, buffer.size() - front_bytes};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &to;
    message.msg_iovlen = 1;
    const ssize_t n = ::recvmsg(descriptor_->fd, &message, MSG_DONTWAIT);
    if (n < 0)
        return -errno;
    const backend::message_header header{message.msg_namelen, 0, static_cast<std::uint32_t>(n),
                                         static_cast<std::uint32_t>(message.msg_flags)};
    std::memcpy(buffer.data(), &header, sizeof header);
    std::memcpy(buffer.data() + sizeof header, &from, sizeof from);
    return static_cast<ssize_t>(front_bytes) + n;
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
