// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/item_source.hpp>

#include <cstddef>
#include <sys/socket.h>
#include <sys/types.h>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Datagrams with their senders, each in one buffer, as backend::message_header tells. What
/// does not fit into it is lost, as it is to recvmsg(2).
class SAFER_RING_API datagram_source final : public receive_source {
public:
    static constexpr std::size_t room_for_address_bytes = sizeof(sockaddr_storage);
    static constexpr std::size_t front_bytes =
        sizeof(backend::message_header) + room_for_address_bytes;

    using receive_source::receive_source;

private:
    void fill(backend::submission_entry& entry) noexcept override;
    ssize_t receive_once(owned_buffer& buffer) noexcept override;
    [[nodiscard]] bool may_be_more() const noexcept override { return true; }
    [[nodiscard]] bool stands_alone() const noexcept override { return true; }

    // What of the messages is wanted. The kernel reads it when it takes the entry.
    msghdr wanted_{};
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
