// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulation_state.hpp"

#include <safer_ring/ring/annotations.hpp>

#include <algorithm>
#include <cstring>
#include <sys/socket.h>

// Which memory of the program a request has, and copies from it and to it.

namespace safer_ring::inline SAFER_RING_ABI::backend {
namespace {

#if defined(SAFER_RING_ADDRESS_SANITIZER)
/// Of the shadow memory, for what __asan_poison_memory_region was called for.
constexpr unsigned char poisoned_by_program = 0xf7;

__attribute__((no_sanitize("address"))) bool is_lent(const void* data) noexcept
{
    std::size_t scale = 0, offset = 0;
    __asan_get_shadow_mapping(&scale, &offset);
    const auto address = reinterpret_cast<std::uintptr_t>(data);
    return *reinterpret_cast<const unsigned char*>((address >> scale) + offset) ==
           poisoned_by_program;
}

__attribute__((no_sanitize("address"))) void copy_unchecked(void* to, const void* from,
                                                            std::size_t size_bytes) noexcept
{
    for (std::size_t i = 0; i < size_bytes; ++i) // memcpy itself would be checked.
        static_cast<volatile char*>(to)[i] = static_cast<const volatile char*>(from)[i];
}
#endif

/// f(place in the whole, part, bytes of it), for the first `length` bytes.
template <typename F>
void each_of_first(const std::vector<iovec>& parts, std::size_t length, F f)
{
    std::size_t at = 0;
    for (const iovec& part : parts) {
        const std::size_t size = std::min(part.iov_len, length - at);
        if (size != 0)
            f(at, part.iov_base, size);
        at += size;
    }
}

std::size_t size_of(const std::vector<iovec>& parts) noexcept
{
    std::size_t bytes = 0;
    for (const iovec& part : parts)
        bytes += part.iov_len;
    return bytes;
}

using memory_ranges = std::vector<simulation::memory_range>;

void add(memory_ranges& ranges, const void* address, std::size_t size)
{
    if (address != nullptr && size != 0)
        ranges.push_back({static_cast<const std::byte*>(address), size});
}

void add(memory_ranges& ranges, std::uint64_t address, std::size_t size)
{
    add(ranges, reinterpret_cast<const void*>(address), size);
}

void add(memory_ranges& ranges, const std::vector<iovec>& parts)
{
    for (const iovec& part : parts)
        add(ranges, part.iov_base, part.iov_len);
}

} // namespace

void copy_as_kernel(void* to, const void* from, std::size_t size_bytes) noexcept
{
#if defined(SAFER_RING_ADDRESS_SANITIZER)
    if (is_lent(to) || is_lent(from))
        return copy_unchecked(to, from, size_bytes);
#endif
    std::memcpy(to, from, size_bytes);
}

/// Looked up when it is executed. The kernel has looked before (io_uring_prep_readv(3),
/// IORING_FEAT_SUBMIT_STABLE), so a list that is gone by then is found here only.
std::vector<iovec> simulation::state::parts_of(const submission_entry& e)
{
    const auto list = [](const iovec* first, std::size_t count) {
        return std::vector<iovec>(first, first + count);
    };
    switch (e.op) {
    case opcode::readv:
    case opcode::writev:
        return list(reinterpret_cast<const iovec*>(e.address), e.length);
    case opcode::sendmsg:
    case opcode::recvmsg: {
        const auto& header = *reinterpret_cast<const msghdr*>(e.address);
        return list(header.msg_iov, header.msg_iovlen);
    }
    default:
        return {{reinterpret_cast<void*>(e.address), e.length}};
    }
}

void simulation::state::shorten(std::size_t& length)
{
    if (length > 1 && random.chance(plan.short_count))
        length = 1 + random.below(length);
}

/// What an entry sends or writes, all of it or less. Copied, since there a
/// sanitizer sees a read of memory that is gone; a system call would only
/// answer EFAULT, or take what it finds.
std::vector<std::byte> simulation::state::gather(const submission_entry& e)
{
    const std::vector<iovec> parts = parts_of(e);
    std::size_t length = size_of(parts);
    shorten(length);
    std::vector<std::byte> data(length);
    each_of_first(parts, length, [&data](std::size_t at, void* part, std::size_t size) {
        copy_as_kernel(data.data() + at, part, size);
    });
    return data;
}

std::size_t simulation::state::length_of(const submission_entry& e)
{
    return size_of(parts_of(e));
}

/// Returns how many bytes there is room for, which may be less than was asked.
std::size_t simulation::state::prepare_to_fill(const submission_entry& e, outcome& o)
{
    o.to = parts_of(e);
    std::size_t length = size_of(o.to);
    shorten(length);
    o.data.resize(length);
    return length;
}

void simulation::state::deliver(const outcome& o)
{
    each_of_first(o.to, o.data.size(), [&o](std::size_t at, void* part, std::size_t size) {
        copy_as_kernel(part, o.data.data() + at, size);
    });
    for (const copied& c : o.also)
        if (!c.data.empty())
            copy_as_kernel(c.to, c.data.data(), c.data.size());
}

void simulation::state::add_memory_of(memory_ranges& ranges, const submission_entry& e)
{
    switch (e.op) {
    case opcode::recv:
    case opcode::send:
    case opcode::send_zc:
    case opcode::read:
    case opcode::write:
        return add(ranges, e.address, e.length);
    case opcode::readv:
    case opcode::writev:
        add(ranges, e.address, e.length * sizeof(iovec));
        return add(ranges, parts_of(e));
    case opcode::sendmsg:
    case opcode::recvmsg: {
        const auto& header = *reinterpret_cast<const msghdr*>(e.address);
        add(ranges, &header, sizeof header);
        add(ranges, header.msg_iov, header.msg_iovlen * sizeof(iovec));
        add(ranges, header.msg_name, header.msg_namelen);
        add(ranges, header.msg_control, header.msg_controllen);
        return add(ranges, parts_of(e));
    }
    case opcode::accept:
        add(ranges, e.address, sizeof(sockaddr_storage));
        return add(ranges, e.offset, sizeof(socklen_t));
    case opcode::connect:
        return add(ranges, e.address, e.offset);
    default: // No memory, or nothing that the event loop asks for.
        return;
    }
}

void simulation::state::add_memory_of(memory_ranges& ranges, const outcome& o)
{
    each_of_first(o.to, o.data.size(), [&ranges](std::size_t, const void* part, std::size_t size) {
        add(ranges, part, size);
    });
    for (const copied& c : o.also)
        add(ranges, c.to, c.data.size());
}

void simulation::state::add_memory_of(memory_ranges& ranges, const buffer_group& group)
{
    add(ranges, group.ring, group.count * sizeof(provided_buffer));
    for (unsigned i = 0; i < group.available(); ++i) {
        const provided_buffer& b = group.ring[(group.head + i) & (group.count - 1)];
        add(ranges, b.address, b.length);
    }
}

} // namespace safer_ring::inline SAFER_RING_ABI::backend
