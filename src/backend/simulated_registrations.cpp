// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulation_state.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

// What a ring has registered: files, memory, and buffers on offer.

namespace safer_ring::inline SAFER_RING_ABI::backend {

/// Above the numbers that the program under test gets, so that these are reused
/// as they would be without us.
int simulation::state::duplicate(int fd)
{
    constexpr int above_program = 500;
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, above_program);
    if (copy >= 0)
        return copy;
    if (errno == EBADF)
        return -EBADF;
    std::perror("safer_ring: the simulated backend cannot duplicate a descriptor (likely "
                "cause: RLIMIT_NOFILE is too low for this test)");
    std::abort();
}

int simulation::state::registered_file(std::int64_t index) const noexcept
{
    const bool is_there = index >= 0 && static_cast<std::size_t>(index) < files.size();
    return is_there ? files[static_cast<std::size_t>(index)] : -1;
}

/// The descriptor of the file that an entry is on.
int simulation::state::descriptor_of(const submission_entry& entry) const noexcept
{
    return (entry.flags & entry_fixed_file) != 0 ? registered_file(entry.fd) : entry.fd;
}

int simulation::state::set_file(std::int64_t index, int fd)
{
    if (index < 0 || static_cast<std::size_t>(index) >= files.size())
        return files.empty() ? -ENXIO : -EINVAL;
    const int copy = fd < 0 ? -1 : duplicate(fd);
    if (copy < -1)
        return copy;
    int& place = files[static_cast<std::size_t>(index)];
    if (place >= 0)
        ::close(place);
    place = copy;
    return 0;
}

/// What an operation has opened: a descriptor, or the file of a place.
int simulation::state::install(const submission_entry& entry, int fd)
{
    if (fd < 0 || entry.file_index == 0)
        return fd;
    const int error = set_file(std::int64_t{entry.file_index} - 1, fd);
    ::close(fd);
    return error;
}

int simulation::state::close_file(const submission_entry& entry)
{
    if (entry.file_index == 0) // Of the number, not of the file.
        return ::close(entry.fd) == 0 ? 0 : -errno;
    if (entry.fd != 0)
        return -EINVAL;
    const std::int64_t index = std::int64_t{entry.file_index} - 1;
    return registered_file(index) < 0 ? -EBADF : set_file(index, -1);
}

/// From here on as the request on any memory; zero, or the negated errno.
int simulation::state::resolve_registered_memory(submission_entry& entry) const noexcept
{
    if (entry.op != opcode::read_fixed && entry.op != opcode::write_fixed)
        return 0;
    const bool is_there = entry.buffer_group < buffers.size();
    const memory_range range = is_there ? buffers[entry.buffer_group] : memory_range{};
    const auto* const begin = reinterpret_cast<const std::byte*>(entry.address);
    if (range.begin == nullptr || entry.length == 0 || begin < range.begin ||
        begin + entry.length > range.begin + range.size_bytes)
        return -EFAULT;
    entry.op = entry.op == opcode::read_fixed ? opcode::read : opcode::write;
    return 0;
}

// --------------------------------------------------------------- from outside

int simulated_backend::register_buffer_ring(provided_buffer* ring, unsigned count,
                                            std::uint16_t group) noexcept
{
    const executing_scope scope;
    simulation::state& s = *kernel_->state_;
    const std::lock_guard held(s.mutex);
    if (const int error = s.due_failure(simulation::call::register_buffer_ring); error != 0)
        return -error;
    if (!s.plan.buffer_ring)
        return -EINVAL;
    s.groups[group] = {ring, count, 0};
    return 0;
}

int simulated_backend::unregister_buffer_ring(std::uint16_t group) noexcept
{
    const executing_scope scope;
    simulation::state& s = *kernel_->state_;
    const std::lock_guard held(s.mutex);
    return s.groups.erase(group) != 0 ? 0 : -EINVAL;
}

int simulated_backend::register_file_table(unsigned count) noexcept
{
    const executing_scope scope;
    simulation::state& s = *kernel_->state_;
    const std::lock_guard held(s.mutex);
    if (!s.files.empty())
        return -EBUSY;
    s.files.assign(count, -1);
    return 0;
}

int simulated_backend::update_file(unsigned index, int fd) noexcept
{
    const executing_scope scope;
    simulation::state& s = *kernel_->state_;
    const std::lock_guard held(s.mutex);
    return s.set_file(index, fd);
}

int simulated_backend::register_buffer_table(unsigned count) noexcept
{
    const executing_scope scope;
    simulation::state& s = *kernel_->state_;
    const std::lock_guard held(s.mutex);
    if (!s.buffers.empty())
        return -EBUSY;
    s.buffers.assign(count, {nullptr, 0});
    return 0;
}

int simulated_backend::update_buffer(unsigned index, void* data, std::size_t size_bytes) noexcept
{
    const executing_scope scope;
    simulation::state& s = *kernel_->state_;
    const std::lock_guard held(s.mutex);
    if (index >= s.buffers.size())
        return s.buffers.empty() ? -ENXIO : -EINVAL;
    s.buffers[index] = {static_cast<const std::byte*>(data), data != nullptr ? size_bytes : 0};
    return 0;
}

} // namespace safer_ring::inline SAFER_RING_ABI::backend
