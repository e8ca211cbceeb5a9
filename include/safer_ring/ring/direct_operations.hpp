// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/operations.hpp>

#include <cstdint>
#include <string>

/// Operations that give a registered file, which has no descriptor in the
/// process (a direct descriptor). All need Linux 5.19, and answer EOPNOTSUPP
/// where the kernel has no such files; ENFILE when all places for registered
/// files are taken.
namespace safer_ring::inline SAFER_RING_ABI::ops {

/// What socket(2) is told.
struct socket_to_make {
    int domain;
    int type;
    int protocol;

    void prepare_socket(backend::submission_entry& entry, int type_and_flags) const noexcept
    {
        entry.op = backend::opcode::socket;
        entry.fd = domain;
        entry.offset = static_cast<std::uint64_t>(type_and_flags);
        entry.length = static_cast<std::uint32_t>(protocol);
    }
};

/// socket(2), close-on-exec; the new socket is owned. Linux 5.19; EINVAL
/// before.
struct socket : into_descriptor, socket_to_make {
    using value_type = int;

    void prepare(backend::submission_entry& entry) const noexcept
    {
        prepare_socket(entry, type | SOCK_CLOEXEC);
    }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "socket"}; }
};

/// A place is taken when the operation is submitted, so that what comes has one.
/// (With IORING_FILE_INDEX_ALLOC the kernel takes a place when it is needed, and
/// closes an accepted connection that finds none.)
struct into_registered_file : without_buffer {
    using value_type = int;
    ring::registry* home;
    registered_file descriptor = {};
    ring::registration_share place = {};
    int refused = 0;

    void lend() noexcept { refused = home->reserve_file(place); }
    void prepare_place(backend::submission_entry& entry) const noexcept
    {
        if (place) // Counted from one, since zero asks for a descriptor.
            entry.file_index = static_cast<std::int32_t>(place->index) + 1;
    }
    [[nodiscard]] int refusal() const noexcept { return -refused; }
    /// Its value is the index.
    [[nodiscard]] int conclude(int result) const noexcept
    {
        return result < 0 ? result : static_cast<int>(place->index);
    }
    void take_back(int result) noexcept
    {
        if (result >= 0) {
            home->occupy(*place);
            descriptor = ring::registration_access::file(std::move(place));
        }
        place.reset();
    }
};

/// accept4(2); what was accepted is a registered file.
///
/// Cancelled, or failed, it gives its place back, and the connection stays in
/// the backlog; dropped when it is complete, the connection is closed.
///
/// @code
/// safer_ring::io_ring ring;
/// if (ring.found().direct_descriptors) {
///     sockaddr_in address{};
///     address.sin_family = AF_INET;
///     address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
///     socklen_t size = sizeof address;
///     auto* const where = reinterpret_cast<sockaddr*>(&address);
///     const safer_ring::owned_descriptor listener(::socket(AF_INET, SOCK_STREAM, 0));
///     assert(::bind(listener.get(), where, size) == 0 && ::listen(listener.get(), 1) == 0);
///     assert(::getsockname(listener.get(), where, &size) == 0);
///
///     auto accepting = ring.accept_direct(listener.get()).submit();
///     auto [made, client] = ring.socket_direct(AF_INET, SOCK_STREAM).submit().wait().take();
///     auto connected = ring.connect(client, where, size).submit().wait().result();
///     auto [accepted, server] = std::move(accepting).wait().take();
///     assert(made && connected && accepted);
///     auto sent = ring.send(server, safer_ring::owned_buffer::copy_of("hi")).submit().wait();
///     auto received = ring.receive(client, safer_ring::owned_buffer(8)).submit().wait();
///     assert(std::move(received).take().second.text() == "hi");
/// }
/// @endcode
struct accept_direct : into_registered_file {
    int fd;

    void prepare(backend::submission_entry& entry) const noexcept
    {
        entry.op = backend::opcode::accept;
        entry.fd = fd;
        prepare_place(entry);
    }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "accept_direct", fd}; }
};

/// open(2); what was opened is a registered file. The kernel closes it without
/// the flush of close(2), which a file system over a network reports late errors
/// by: ops::sync does.
struct open_direct : into_registered_file, path_to_open {
    void prepare(backend::submission_entry& entry) const noexcept
    {
        // Without a descriptor there is none to close, and the kernel refuses the flag.
        prepare_path(entry, flags & ~O_CLOEXEC);
        prepare_place(entry);
    }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "open_direct"}; }
};

/// socket(2); the new socket is a registered file.
struct socket_direct : into_registered_file, socket_to_make {
    void prepare(backend::submission_entry& entry) const noexcept
    {
        prepare_socket(entry, type & ~SOCK_CLOEXEC);
        prepare_place(entry);
    }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "socket_direct"}; }
};

/// Ends a registration, and with it the file, unless somebody else has it open
/// or an operation on it has begun already. One that was made on it and has not
/// begun fails with EBADF. Unlike the end of a handle it can be linked to what is
/// to come before it.
///
/// The place is given to another file when this is complete, and all operations
/// that were made on it are. Cancelled, dropped or failed, it ends the
/// registration all the same.
///
/// Before Linux 5.19 the file is closed when the ring sees that the turn of this
/// has come.
///
/// @code
/// int ends[2];
/// assert(::pipe(ends) == 0);
/// const safer_ring::owned_descriptor reader(ends[0]);
/// safer_ring::owned_descriptor by_number(ends[1]);
/// safer_ring::io_ring ring;
/// safer_ring::registered_file writer = ring.register_file(by_number.get());
/// by_number.close();
/// auto write = ring.write(writer, safer_ring::owned_buffer::copy_of("last words"));
/// auto [writing, closing] =
///     ring.submit_linked(std::move(write), ring.close(std::move(writer)));
/// auto closed = std::move(closing).wait().result();
/// assert(closed.value() == 0);
/// char bytes[16];
/// assert(::read(reader.get(), bytes, sizeof bytes) == 10);
/// assert(::read(reader.get(), bytes, sizeof bytes) == 0);
/// @endcode
struct close_direct : without_buffer {
    using value_type = int;
    static constexpr bool begins_once = true;
    ring::registration_share closing;
    bool by_kernel;
    int index = static_cast<int>(closing->index);

    void prepare(backend::submission_entry& entry) const noexcept
    {
        if (!by_kernel) // Its end is that of the last share.
            return;
        entry.op = backend::opcode::close;
        entry.fd = 0; // The kernel refuses a descriptor beside a place.
        entry.file_index = index + 1;
    }
    void take_back(int result) noexcept
    {
        if (result >= 0 && by_kernel)
            closing->home->vacate(*closing);
        closing.reset();
    }
    [[nodiscard]] io_error subject() const noexcept
    {
        io_error what{{}, "close"};
        what.registered_file = index;
        return what;
    }
};

} // namespace safer_ring::inline SAFER_RING_ABI::ops
