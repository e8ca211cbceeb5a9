// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/io_ring.hpp>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

// Any thread may submit, wait and go: no cooperative task work.
io_ring::io_ring(const options& settings) : core_(backend::make_io_uring(settings, false))
{
    core_.registrations().set_limits(settings.registered_file_count,
                                     settings.registered_buffer_count);
}

operation<ops::connect, building> io_ring::connect(file_ref file, const sockaddr* address,
                                                   socklen_t address_size_bytes)
{
    ops::connect op{{}, number(file), {}, address_size_bytes};
    if (address_size_bytes > sizeof op.address)
        throw std::invalid_argument("safer_ring: an address of " +
                                    std::to_string(address_size_bytes) +
                                    " bytes is longer than any socket takes");
    std::memcpy(&op.address, address, address_size_bytes);
    return make(std::move(op), file);
}

stream<streams::messages> io_ring::messages()
{
    streams::messages of_ring(core_.messages());
    const std::uint64_t reader = of_ring.reader();
    stream<streams::messages> made(core_, std::move(of_ring), {});
    core_.give_messages_to(*made.request_, reader);
    return made;
}

// --------------------------------------------------------------- registrations

void io_ring::require_mine(const ring::registration_share& share) noexcept
{
    if (share->home != &core_.registrations())
        ring::stop_program("a registration is used with another ring than the one that it was made "
                           "with");
}

registered_file io_ring::register_file(int fd)
{
    return ring::registration_access::file(core_.registrations().register_file(fd));
}

void io_ring::replace(registered_file& file, int fd)
{
    ring::registration_share& share = ring::registration_access::share(file);
    ring::require_handle(share, "registered_file");
    require_mine(share);
    core_.registrations().replace_file(share, fd);
}

registered_buffers io_ring::register_buffers(buffer_pool& pool)
{
    using access = ring::registration_access;
    return access::buffers(core_.registrations().register_memory(access::memory(pool)));
}

void io_ring::unregister(registered_file&& file)
{
    ring::registration_share& share = ring::registration_access::share(file);
    ring::require_handle(share, "registered_file");
    require_mine(share);
    core_.registrations().unregister(share);
}

void io_ring::unregister(registered_buffers&& buffers)
{
    ring::registration_share& share = ring::registration_access::share(buffers);
    ring::require_handle(share, "registered_buffers");
    require_mine(share);
    core_.registrations().unregister(share);
}

stream<streams::receive> io_ring::receive_stream(int fd, const buffer_ring& buffers,
                                                 const stream_limits& limits)
{
    if (!buffers.group_ || buffers.group_->core() != &core_)
        throw std::invalid_argument("safer_ring: a receive_stream wants a buffer_ring of the same "
                                    "io_ring, which was not moved from");
    return {core_, streams::receive(fd, buffers.group_, limits), limits};
}

stream<streams::timeout> io_ring::timeout_stream(std::chrono::nanoseconds interval)
{
    if (interval <= std::chrono::nanoseconds::zero())
        throw std::invalid_argument("safer_ring: a timeout_stream wants an interval above zero");
    return {core_, streams::timeout(interval), {}};
}

} // namespace safer_ring::inline SAFER_RING_ABI
