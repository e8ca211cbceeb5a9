// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/operations.hpp>

#include <climits>
#include <cstdint>
#include <cstring>
#include <sys/uio.h>
#include <unistd.h>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI {

/// A datagram, or what goes over a local socket: bytes, the peer's address, and
/// ancillary data (cmsg(3)).
///
/// To be received, the bytes of `buffers` and of `control` are filled up to
/// their capacities; `flags` says then whether something did not fit (MSG_TRUNC,
/// MSG_CTRUNC). To be sent, an address of no length is none.
///
/// Descriptors that come in as ancillary data (SCM_RIGHTS) are close-on-exec,
/// and belong to who reads `control`. They are closed when the operation is
/// dropped before anybody has taken the message.
///
/// @code
/// int ends[2];
/// assert(::socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
/// const safer_ring::owned_descriptor a(ends[0]), b(ends[1]);
/// safer_ring::io_ring ring;
///
/// safer_ring::message<safer_ring::owned_buffer> question;
/// question.buffers.push_back(safer_ring::owned_buffer::copy_of("head"));
/// question.buffers.push_back(safer_ring::owned_buffer::copy_of("body"));
/// auto sending = ring.send_message(a.get(), std::move(question)).submit();
///
/// safer_ring::message<safer_ring::owned_buffer> room;
/// room.buffers.push_back(safer_ring::owned_buffer(100));
/// auto receiving = ring.receive_message(b.get(), std::move(room)).submit();
/// auto [result, received] = std::move(receiving).wait().take();
/// assert(result.value() == 8);
/// assert(received.buffers[0].text() == "headbody" && received.flags == 0);
/// auto [sent, sent_message] = std::move(sending).wait().take();
/// assert(sent.value() == 8 && sent_message.buffers[1].text() == "body");
/// @endcode
template <typename Buffer>
struct message {
    std::vector<Buffer> buffers;
    sockaddr_storage address{};
    socklen_t address_size_bytes = 0;
    owned_buffer control;
    int flags = 0;
};

namespace ops {

/// The kernel takes no more buffers in one go (IOV_MAX); the rest is a short
/// count.
inline std::size_t parts_of(std::size_t buffers) noexcept
{
    return std::min<std::size_t>(buffers, IOV_MAX);
}

/// A part for each buffer: of its capacity, to be filled, or of its size.
///
/// Made before submission, since that must not fail half-way.
template <typename Buffer>
std::vector<iovec> make_parts(std::vector<Buffer>& buffers, bool fills)
{
    std::vector<iovec> parts(buffers.size());
    for (std::size_t i = 0; i < parts.size(); ++i) {
        // A shared buffer is const; to be sent the kernel only reads it.
        parts[i].iov_base = const_cast<std::byte*>(std::as_const(buffers[i]).data());
        parts[i].iov_len = buffers[i].size();
        if constexpr (std::same_as<Buffer, owned_buffer>)
            if (fills)
                parts[i].iov_len = buffers[i].capacity();
    }
    return parts;
}

inline std::size_t size_of(const std::vector<iovec>& parts) noexcept
{
    std::size_t bytes = 0;
    for (const iovec& part : parts)
        bytes += part.iov_len;
    return bytes;
}

template <typename Buffer>
void lend_all(const std::vector<Buffer>& buffers) noexcept
{
    if constexpr (std::same_as<Buffer, owned_buffer>)
        for (const owned_buffer& b : buffers)
            ring::buffer_access::lend(b);
}

template <typename Buffer>
void get_all_back(const std::vector<Buffer>& buffers) noexcept
{
    if constexpr (std::same_as<Buffer, owned_buffer>)
        for (const owned_buffer& b : buffers)
            ring::buffer_access::get_back(b);
}

/// Spreads what came in over the buffers, the first ones full.
inline void resize_all(std::vector<owned_buffer>& buffers, int result) noexcept
{
    auto left = static_cast<std::size_t>(std::max(result, 0));
    for (owned_buffer& b : buffers) {
        b.resize(std::min(left, b.capacity()));
        left -= b.size();
    }
}

/// Several buffers of a file or stream.
template <typename Buffer, bool Fills>
struct vectored {
    std::vector<Buffer> buffers;
    std::vector<iovec> parts = make_parts(buffers, Fills);

    void lend() noexcept { lend_all(buffers); }
    void take_back(int result) noexcept
    {
        get_all_back(buffers);
        if constexpr (Fills)
            resize_all(buffers, result);
    }
    [[nodiscard]] const void* memory() const noexcept
    {
        return parts.empty() ? nullptr : parts.front().iov_base;
    }
    void prepare_memory(backend::submission_entry& entry) const noexcept
    {
        entry.address = reinterpret_cast<std::uint64_t>(parts.data());
        entry.length = static_cast<std::uint32_t>(parts_of(parts.size()));
    }
    [[nodiscard]] int refusal_in_chain() const noexcept
    {
        return parts.size() > IOV_MAX ? EINVAL : refusal_of_length(size_of(parts));
    }
};

/// readv(2), or preadv(2) with an offset: into one buffer after the other.
struct read_vectored : vectored<owned_buffer, true> {
    static constexpr backend::opcode with_registered_buffer = backend::opcode::readv_fixed;
    using value_type = std::size_t;
    int fd;
    std::uint64_t offset = backend::file_position;

    void prepare(backend::submission_entry& entry) const noexcept
    {
        entry.op = backend::opcode::readv;
        entry.fd = fd;
        entry.offset = offset;
        prepare_memory(entry);
    }
    [[nodiscard]] io_error subject() const noexcept
    {
        return {{}, "vectored read", fd, offset, size_of(parts)};
    }
};

/// writev(2), or pwritev(2) with an offset; may write less than all.
template <typename Buffer>
struct write_vectored : vectored<Buffer, false> {
    static constexpr backend::opcode with_registered_buffer = backend::opcode::writev_fixed;
    using value_type = std::size_t;
    int fd;
    std::uint64_t offset = backend::file_position;

    void prepare(backend::submission_entry& entry) const noexcept
    {
        entry.op = backend::opcode::writev;
        entry.fd = fd;
        entry.offset = offset;
        this->prepare_memory(entry);
    }
    [[nodiscard]] io_error subject() const noexcept
    {
        return {{}, "vectored write", fd, offset, size_of(this->parts)};
    }
};

/// What msghdr points to stays with the operation.
template <typename Buffer, bool Fills>
struct with_message {
    safer_ring::message<Buffer> message;
    std::vector<iovec> parts = make_parts(message.buffers, Fills);
    msghdr header{};

    void lend() noexcept
    {
        lend_all(message.buffers);
        ring::buffer_access::lend(message.control);
    }
    [[nodiscard]] const void* memory() const noexcept
    {
        return parts.empty() ? nullptr : parts.front().iov_base;
    }
    void prepare_memory(backend::submission_entry& entry) noexcept
    {
        header.msg_iov = parts.data();
        // Of a datagram there is no rest: sendmsg(2) refuses more with EMSGSIZE.
        header.msg_iovlen = Fills ? parts_of(parts.size()) : parts.size();
        header.msg_name = Fills || message.address_size_bytes != 0 ? &message.address : nullptr;
        header.msg_namelen = Fills ? sizeof message.address : message.address_size_bytes;
        header.msg_controllen = Fills ? message.control.capacity() : message.control.size();
        header.msg_control = header.msg_controllen != 0 ? message.control.data() : nullptr;
        entry.address = reinterpret_cast<std::uint64_t>(&header);
        entry.length = 1;
    }
};

/// Closes the descriptors that the kernel has put into ancillary data.
inline void close_descriptors_in(owned_buffer& control) noexcept
{
    constexpr int pidfd = 4; // SCM_PIDFD of Linux 6.5: a descriptor, too.
    msghdr header{};
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level != SOL_SOCKET || (c->cmsg_type != SCM_RIGHTS && c->cmsg_type != pidfd))
            continue;
        const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            ::close(fd);
        }
    }
}

/// recvmsg(2): at least one byte of a stream, zero at its end; one datagram.
struct receive_message : with_message<owned_buffer, true> {
    using value_type = std::size_t;
    int fd;
    int flags;
    bool has_come = false;

    /// Of what was taken nothing is left here.
    void drop() noexcept
    {
        if (has_come)
            close_descriptors_in(message.control);
    }
    void take_back(int result) noexcept
    {
        get_all_back(message.buffers);
        ring::buffer_access::get_back(message.control);
        resize_all(message.buffers, result);
        has_come = result >= 0;
        message.address_size_bytes =
            has_come ? std::min<socklen_t>(header.msg_namelen, sizeof message.address) : 0;
        message.control.resize(
            has_come ? std::min(header.msg_controllen, message.control.capacity()) : 0);
        // The kernel repeats this one, which says nothing about the message.
        message.flags = has_come ? header.msg_flags & ~MSG_CMSG_CLOEXEC : 0;
    }
    void prepare(backend::submission_entry& entry) noexcept
    {
        entry.op = backend::opcode::recvmsg;
        entry.fd = fd;
        entry.op_flags = static_cast<std::uint32_t>(flags | MSG_CMSG_CLOEXEC);
        prepare_memory(entry);
    }
    [[nodiscard]] io_error subject() const noexcept
    {
        return {{}, "receive of a message", fd, backend::file_position, size_of(parts)};
    }
};

/// sendmsg(2); may send less than all of a stream. Raises no SIGPIPE. More than
/// IOV_MAX buffers are EMSGSIZE.
template <typename Buffer>
struct send_message : with_message<Buffer, false> {
    static constexpr bool may_send_less = true;
    using value_type = std::size_t;
    int fd;
    int flags;

    [[nodiscard]] int refusal_in_chain() const noexcept
    {
        return this->parts.size() > IOV_MAX ? EMSGSIZE : refusal_of_length(size_of(this->parts));
    }
    void take_back(int) noexcept
    {
        get_all_back(this->message.buffers);
        ring::buffer_access::get_back(this->message.control);
    }
    void prepare(backend::submission_entry& entry) noexcept
    {
        entry.op = backend::opcode::sendmsg;
        entry.fd = fd;
        entry.op_flags = static_cast<std::uint32_t>(flags | MSG_NOSIGNAL);
        this->prepare_memory(entry);
    }
    [[nodiscard]] io_error subject() const noexcept
    {
        return {{}, "send of a message", fd, backend::file_position, size_of(this->parts)};
    }
};

} // namespace ops
} // namespace safer_ring::inline SAFER_RING_ABI
