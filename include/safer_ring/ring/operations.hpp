// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/io_result.hpp>
#include <safer_ring/ring/owned_descriptor.hpp>
#include <safer_ring/ring/registered_file.hpp>
#include <safer_ring/ring/shared_buffer.hpp>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <utility>

/// What an io_ring can be asked for: the parameters of each operation, how they
/// become an entry, and what comes back. All need Linux 5.10 unless said
/// otherwise. `fd` is -1 in what is made on a registered file.
namespace safer_ring::inline SAFER_RING_ABI::ops {

/// The kernel takes no more in one go (read(2)); the rest is a short count.
inline std::uint32_t length_of(std::size_t size_bytes) noexcept
{
    return static_cast<std::uint32_t>(std::min<std::size_t>(size_bytes, 0x7ffff000));
}

/// Of more, a part would be a success to what is linked: EINVAL then.
inline int refusal_of_length(std::size_t size_bytes) noexcept
{
    return length_of(size_bytes) != size_bytes ? EINVAL : 0;
}

/// The kernel looks at these when the request is submitted (getname() in its fs/namei.c).
inline int refusal_of_path(const std::string& path) noexcept
{
    return path.size() >= PATH_MAX ? ENAMETOOLONG : path.empty() ? ENOENT : 0;
}

/// Where an operation that has no buffer leaves its result.
struct without_buffer {
    void lend() noexcept {}
    void take_back(int) noexcept {}
    [[nodiscard]] const void* memory() const noexcept { return nullptr; }
};

/// Does nothing.
struct nop : without_buffer {
    using value_type = int;
    void prepare(backend::submission_entry&) const noexcept {}
    [[nodiscard]] io_error subject() const noexcept { return {{}, "nop"}; }
};

/// Fills an owned buffer up to its capacity, from its beginning or behind its
/// size.
struct into_buffer {
    owned_buffer buffer;
    bool appends = false;
    std::size_t kept_bytes = 0;

    void lend() noexcept
    {
        if (appends)
            ring::buffer_access::make_room(buffer);
        kept_bytes = appends ? buffer.size() : 0;
        ring::buffer_access::lend(buffer);
    }
    void take_back(int result) noexcept
    {
        ring::buffer_access::get_back(buffer);
        // With MSG_TRUNC the result is the length of the datagram, which may be longer.
        buffer.resize(kept_bytes +
                      std::min(static_cast<std::size_t>(std::max(result, 0)), asked_bytes()));
    }
    [[nodiscard]] const void* memory() const noexcept { return buffer.data(); }
    [[nodiscard]] std::size_t asked_bytes() const noexcept
    {
        return buffer.capacity() - kept_bytes;
    }
    void prepare_memory(backend::submission_entry& entry) noexcept
    {
        entry.address = reinterpret_cast<std::uint64_t>(buffer.data() + kept_bytes);
        entry.length = length_of(asked_bytes());
    }
};

/// Sends the bytes of an owned or shared buffer.
template <typename Buffer>
struct from_buffer {
    Buffer buffer;

    void lend() noexcept
    {
        if constexpr (std::same_as<Buffer, owned_buffer>)
            ring::buffer_access::lend(buffer);
    }
    void take_back(int) noexcept
    {
        if constexpr (std::same_as<Buffer, owned_buffer>)
            ring::buffer_access::get_back(buffer);
    }
    [[nodiscard]] const void* memory() const noexcept { return buffer.data(); }
    [[nodiscard]] int refusal_in_chain() const noexcept { return refusal_of_length(buffer.size()); }
    void prepare_memory(backend::submission_entry& entry) const noexcept
    {
        entry.address = reinterpret_cast<std::uint64_t>(buffer.data());
        entry.length = length_of(buffer.size());
    }
};

/// read(2), or pread(2) with an offset: at least one byte, zero at the end.
struct read : into_buffer {
    static constexpr backend::opcode with_registered_buffer = backend::opcode::read_fixed;
    using value_type = std::size_t;
    int fd;
    std::uint64_t offset = backend::file_position;

    [[nodiscard]] int refusal_in_chain() const noexcept { return refusal_of_length(asked_bytes()); }
    void prepare(backend::submission_entry& entry) noexcept
    {
        entry.op = backend::opcode::read;
        entry.fd = fd;
        entry.offset = offset;
        prepare_memory(entry);
    }
    [[nodiscard]] io_error subject() const noexcept
    {
        return {{}, "read", fd, offset, asked_bytes()};
    }
};

/// write(2), or pwrite(2) with an offset; may write less than all.
template <typename Buffer>
struct write : from_buffer<Buffer> {
    static constexpr backend::opcode with_registered_buffer = backend::opcode::write_fixed;
    using value_type = std::size_t;
    int fd;
    std::uint64_t offset = backend::file_position;

    void prepare(backend::submission_entry& entry) const noexcept
    {
        entry.op = backend::opcode::write;
        entry.fd = fd;
        entry.offset = offset;
        this->prepare_memory(entry);
    }
    [[nodiscard]] io_error subject() const noexcept
    {
        return {{}, "write", fd, offset, this->buffer.size()};
    }
};

/// recv(2): at least one byte of a stream, zero at its end; one datagram.
struct receive : into_buffer {
    using value_type = std::size_t;
    int fd;
    int flags;

    void prepare(backend::submission_entry& entry) noexcept
    {
        entry.op = backend::opcode::recv;
        entry.fd = fd;
        entry.op_flags = static_cast<std::uint32_t>(flags);
        prepare_memory(entry);
    }
    [[nodiscard]] io_error subject() const noexcept
    {
        return {{}, "receive", fd, backend::file_position, asked_bytes()};
    }
};

/// send(2); may send less than all of a stream. Raises no SIGPIPE.
template <typename Buffer>
struct send : from_buffer<Buffer> {
    static constexpr bool may_send_less = true;
    using value_type = std::size_t;
    int fd;
    int flags;

    void prepare(backend::submission_entry& entry) const noexcept
    {
        entry.op = backend::opcode::send;
        entry.fd = fd;
        entry.op_flags = static_cast<std::uint32_t>(flags | MSG_NOSIGNAL);
        this->prepare_memory(entry);
    }
    [[nodiscard]] io_error subject() const noexcept
    {
        return {{}, "send", fd, backend::file_position, this->buffer.size()};
    }
};

/// Whether the kernel can send without a copy on this socket, as far as is known.
inline bool can_send_zero_copy(int fd) noexcept
{
    const auto option = [fd](int name) {
        int value = -1;
        socklen_t size = sizeof value;
        return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
    };
    const int domain = option(SO_DOMAIN), protocol = option(SO_PROTOCOL);
    return (domain == AF_INET || domain == AF_INET6) && option(SO_TYPE) != SOCK_RAW &&
           (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP);
}

/// send(2) without a copy where that can be had: the bytes go to the network
/// from the buffer itself, which comes back when the kernel has let go of it,
/// that is, for TCP, when the peer has acknowledged them. Pays for large
/// messages; not a stream socket, where each send may send less than all.
///
/// Linux 6.0; before that, on sockets that cannot (local ones), and where
/// RLIMIT_MEMLOCK is too low, it is an ordinary send. So it is in a chain on registered
/// files, which cannot be asked; in a chain there is no second try, and too low a limit
/// is told (ENOMEM, ENOBUFS).
template <typename Buffer>
struct send_zero_copy : from_buffer<Buffer> {
    static constexpr backend::opcode with_registered_buffer = backend::opcode::send_zc;
    static constexpr bool may_send_less = true;
    using value_type = std::size_t;
    int fd;
    int flags;
    bool copies; ///< It is an ordinary send.

    void prepare(backend::submission_entry& entry) const noexcept
    {
        entry.op = copies ? backend::opcode::send : backend::opcode::send_zc;
        entry.fd = fd;
        entry.op_flags = static_cast<std::uint32_t>(flags | MSG_NOSIGNAL);
        this->prepare_memory(entry);
    }
    /// Where there is no second try.
    void begin_in_chain() noexcept { copies = copies || !can_send_zero_copy(fd); }
    [[nodiscard]] bool goes_on(int result) noexcept
    {
        // The last two come from RLIMIT_MEMLOCK, which an ordinary send has no need of.
        const bool lacks = result == -EOPNOTSUPP || result == -ENOMEM || result == -ENOBUFS;
        return lacks && !std::exchange(copies, true);
    }
    [[nodiscard]] io_error subject() const noexcept
    {
        return {{}, "zero-copy send", fd, backend::file_position, this->buffer.size()};
    }
};

/// fsync(2) or fdatasync(2). In a chain the kernel takes its failure for a
/// success (io_fsync in Linux 6.18): what is linked to it begins all the same.
struct sync : without_buffer {
    using value_type = int;
    int fd;
    bool data_only;

    void prepare(backend::submission_entry& entry) const noexcept
    {
        entry.op = backend::opcode::fsync;
        entry.fd = fd;
        entry.op_flags = data_only ? backend::fsync_data_only : 0;
    }
    [[nodiscard]] io_error subject() const noexcept
    {
        return {{}, data_only ? "fdatasync" : "fsync", fd};
    }
};

/// poll(2) for one descriptor, once; the value is the events that are there.
struct poll : without_buffer {
    using value_type = int;
    int fd;
    short events;

    void prepare(backend::submission_entry& entry) const noexcept
    {
        entry.op = backend::opcode::poll_add;
        entry.fd = fd;
        // Linux 6.18 wakes nobody who asks for POLLPRI alone.
        const int asked = (events & POLLPRI) != 0 ? events | POLLRDBAND : events;
        entry.op_flags = static_cast<std::uint32_t>(asked);
    }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "poll", fd}; }
};

/// Completes, with success, when the time is over. What is linked to it begins
/// then (Linux 5.18; before, it is cancelled: submit_in_order goes on there too).
struct timeout : without_buffer {
    using value_type = int;
    backend::kernel_time time;
    std::uint32_t flags = 0;

    void prepare(backend::submission_entry& entry) const noexcept
    {
        entry.op = backend::opcode::timeout;
        entry.address = reinterpret_cast<std::uint64_t>(&time);
        entry.length = 1;
        entry.op_flags = flags;
    }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "timeout"}; }
};

/// Gives a new descriptor, which is owned.
struct into_descriptor : without_buffer {
    owned_descriptor descriptor;

    void take_back(int result) noexcept { descriptor = owned_descriptor(std::max(result, -1)); }
};

/// accept4(2), close-on-exec; what was accepted is owned.
struct accept : into_descriptor {
    using value_type = int;
    int fd;

    void prepare(backend::submission_entry& entry) const noexcept
    {
        entry.op = backend::opcode::accept;
        entry.fd = fd;
        entry.op_flags = SOCK_CLOEXEC;
    }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "accept", fd}; }
};

/// connect(2); the address is copied.
///
/// A connection whose wait was interrupted goes on being established
/// (connect(2), EINTR), and asking for it again answers EALREADY meanwhile; the
/// outcome is to be had by waiting for it to become writable.
struct connect : without_buffer {
    using value_type = int;
    int fd;
    sockaddr_storage address;
    socklen_t address_size_bytes;
    bool begun = false;
    bool repeated = false;
    bool under_way = false;

    void prepare(backend::submission_entry& entry) noexcept
    {
        repeated = std::exchange(begun, true);
        entry.fd = fd;
        if (under_way) {
            entry.op = backend::opcode::poll_add;
            entry.op_flags = POLLOUT;
            return;
        }
        entry.op = backend::opcode::connect;
        entry.address = reinterpret_cast<std::uint64_t>(&address);
        entry.offset = address_size_bytes;
    }
    [[nodiscard]] bool goes_on(int result) noexcept
    {
        if (under_way && result >= 0 && fd < 0) { // Only connect can ask a registered file.
            under_way = false;
            return true;
        }
        return repeated && !under_way && (under_way = result == -EALREADY);
    }
    [[nodiscard]] int conclude(int result) const noexcept
    {
        if (repeated && result == -EISCONN)
            return 0;
        if (!under_way || result < 0)
            return result;
        int error = 0;
        socklen_t size = sizeof error;
        return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? -error : -errno;
    }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "connect", fd}; }
};

/// shutdown(2). Linux 5.11; EINVAL before.
struct shutdown : without_buffer {
    using value_type = int;
    int fd;
    int how;

    void prepare(backend::submission_entry& entry) const noexcept
    {
        entry.op = backend::opcode::shutdown;
        entry.fd = fd;
        entry.length = static_cast<std::uint32_t>(how);
    }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "shutdown", fd}; }
};

/// What open(2) is told; the path has to live as long as the request.
struct path_to_open {
    std::string path;
    int flags;
    mode_t mode;

    [[nodiscard]] int refusal_in_chain() const noexcept { return refusal_of_path(path); }
    void prepare_path(backend::submission_entry& entry, int all_flags) const noexcept
    {
        entry.op = backend::opcode::openat;
        entry.fd = AT_FDCWD;
        entry.address = reinterpret_cast<std::uint64_t>(path.c_str());
        entry.length = mode;
        entry.op_flags = static_cast<std::uint32_t>(all_flags);
    }
};

/// open(2), close-on-exec; what was opened is owned.
struct open : into_descriptor, path_to_open {
    using value_type = int;

    void prepare(backend::submission_entry& entry) const noexcept
    {
        prepare_path(entry, flags | O_CLOEXEC);
    }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "open"}; }
};

/// close(2). One that is cancelled or dropped before it has begun closes the
/// descriptor all the same.
struct close : without_buffer {
    using value_type = int;
    /// The number is free also when close(2) fails, and may be somebody else's
    /// by the time it was tried again.
    static constexpr bool begins_once = true;
    owned_descriptor closing;
    int fd = closing.get();

    void take_back(int result) noexcept
    {
        if (result != -ECANCELED)
            static_cast<void>(closing.release());
        else
            closing.close();
    }
    void prepare(backend::submission_entry& entry) const noexcept
    {
        entry.op = backend::opcode::close;
        entry.fd = fd;
    }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "close", fd}; }
};

/// statx(2) of a path, or of an open file.
struct stat : without_buffer {
    using value_type = struct ::statx;
    int fd;
    std::string path;
    int flags;
    unsigned mask;
    struct ::statx found {};

    [[nodiscard]] int refusal_in_chain() const noexcept
    {
        return (flags & AT_EMPTY_PATH) != 0 ? 0 : refusal_of_path(path);
    }
    void prepare(backend::submission_entry& entry) noexcept
    {
        entry.op = backend::opcode::statx;
        entry.fd = fd;
        entry.address = reinterpret_cast<std::uint64_t>(path.c_str());
        entry.length = mask;
        entry.offset = reinterpret_cast<std::uint64_t>(&found);
        entry.op_flags = static_cast<std::uint32_t>(flags);
    }
    [[nodiscard]] const value_type& value() const noexcept { return found; }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "stat", fd}; }
};

/// fallocate(2).
struct allocate : without_buffer {
    using value_type = int;
    int fd;
    int mode;
    std::uint64_t offset;
    std::uint64_t size_bytes;

    void prepare(backend::submission_entry& entry) const noexcept
    {
        entry.op = backend::opcode::fallocate;
        entry.fd = fd;
        entry.offset = offset;
        entry.address = size_bytes;
        entry.length = static_cast<std::uint32_t>(mode);
    }
    [[nodiscard]] io_error subject() const noexcept
    {
        return {{}, "allocate", fd, offset, static_cast<std::size_t>(size_bytes)};
    }
};

/// splice(2): one of the two has to be a pipe, and has no offset.
struct splice : without_buffer {
    using value_type = std::size_t;
    int from;
    std::uint64_t from_offset;
    int to;
    std::uint64_t to_offset;
    std::size_t size_bytes;
    ring::registration_share registered_from = {};

    [[nodiscard]] int refusal_in_chain() const noexcept { return refusal_of_length(size_bytes); }
    void take_back(int) noexcept { registered_from.reset(); }
    void prepare(backend::submission_entry& entry) const noexcept
    {
        entry.op = backend::opcode::splice;
        entry.fd = to;
        entry.offset = to_offset;
        entry.address = from_offset;
        entry.file_index = from; // splice_fd_in
        entry.length = length_of(size_bytes);
        if (registered_from) {
            entry.file_index = static_cast<std::int32_t>(registered_from->index);
            entry.op_flags = backend::splice_from_fixed;
        }
    }
    [[nodiscard]] io_error subject() const noexcept
    {
        return {{}, "splice", to, to_offset, size_bytes};
    }
};

} // namespace safer_ring::inline SAFER_RING_ABI::ops
