// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulation_state.hpp"

#include <safer_ring/ring/annotations.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

// Executing the requests, by system calls that do not block.

namespace safer_ring::inline SAFER_RING_ABI::backend {
namespace {

bool would_block(int error) noexcept
{
    return error == EAGAIN || error == EWOULDBLOCK;
}

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

} // namespace

void copy_as_kernel(void* to, const void* from, std::size_t size_bytes) noexcept
{
#if defined(SAFER_RING_ADDRESS_SANITIZER)
    if (is_lent(to) || is_lent(from))
        return copy_unchecked(to, from, size_bytes);
#endif
    std::memcpy(to, from, size_bytes);
}

short simulation::state::events_of(const request& r) noexcept
{
    switch (r.entry.op) {
    case opcode::poll_add:
        return static_cast<short>(r.entry.op_flags);
    case opcode::send:
    case opcode::send_zc:
    case opcode::write:
    case opcode::connect:
        return POLLOUT;
    default:
        return (r.entry.op_flags & MSG_OOB) != 0 && r.entry.op == opcode::recv ? POLLPRI : POLLIN;
    }
}

/// Whether it is done at once, ready or not.
bool simulation::state::never_waits(const request& r) noexcept
{
    return r.notifies || r.entry.op == opcode::fsync || r.entry.op == opcode::shutdown ||
           r.entry.op == opcode::fallocate || r.entry.op == opcode::splice;
}

/// True when the request has its result and is to be removed.
bool simulation::state::attempt(request& r)
{
    if (r.entry.op == opcode::timeout)
        return false;
    if (r.notifies)
        return notify(r);
    pollfd ready{r.file, events_of(r), 0};
    ::poll(&ready, 1, 0);
    outcome o;
    const std::optional<int> result = execute(r, o, ready.revents);
    if (!result)
        return false;
    o.op = r.entry.op;
    o.completion.user_data = r.entry.user_data;
    o.completion.result = *result;
    if (r.entry.op == opcode::send_zc) {
        o.completion.flags |= completion_more;
        r.notifies = true;
        r.cancel_requested = false;
        r.held = holds_notifications;
    }
    add_outcome(std::move(o));
    drop(r);
    follow(r, *result);
    return !r.notifies;
}

/// The network has had the bytes until now. Never comes before what was sent.
bool simulation::state::notify(request& r)
{
    for (const outcome& o : outcomes)
        if (o.completion.user_data == r.entry.user_data)
            return false;
    gather(r.entry);
    outcome o;
    o.op = r.entry.op;
    o.completion.user_data = r.entry.user_data;
    o.completion.flags = completion_notification;
    add_outcome(std::move(o));
    return true;
}

/// A read with RWF_NOWAIT is over when the call that submits it returns, with
/// all that it writes, and answers EAGAIN where it would have to wait.
void simulation::state::read_at_once(request& r)
{
    pollfd ready{r.file, POLLIN, 0};
    ::poll(&ready, 1, 0);
    outcome o;
    std::optional<int> result = injected_result(r);
    if (!result)
        result = ready.revents == 0 ? -EAGAIN : read(r, o);
    o.completion.user_data = r.entry.user_data;
    o.completion.result = result.value_or(-EAGAIN);
    finish(o);
    drop(r);
    follow(r, o.completion.result);
}

/// Ends a request whose time, or time limit, is over.
bool simulation::state::run_out(request& r)
{
    if (!r.due && !r.limit_due)
        return false;
    const auto now = clock::now();
    if (r.limit_due && now >= *r.limit_due) {
        r.limit_due.reset();
        complete(*std::exchange(r.limit, std::nullopt), -ETIME);
        end(r, -ECANCELED);
        return true;
    }
    if (!r.due || now < *r.due)
        return false;
    end(r, -ETIME);
    return true;
}

std::optional<simulation::state::clock::time_point> simulation::state::earliest_timer() const
{
    std::optional<clock::time_point> earliest;
    for (const request& r : requests)
        for (const auto& timer : {r.due, r.limit_due})
            if (timer && !r.held && (!earliest || *timer < *earliest))
                earliest = timer;
    return earliest;
}

/// What is linked to a request that has ended begins, or ends as well.
void simulation::state::follow(request& r, int result)
{
    if (closed)
        return;
    if (r.limit)
        complete(*r.limit, -ECANCELED);
    if (r.behind.empty())
        return;
    const submission_entry& e = r.entry;
    const bool moves_bytes = e.op == opcode::read || e.op == opcode::write;
    const bool is_success = result == -ETIME && (e.op_flags & timeout_is_success) != 0;
    const bool failed = (result < 0 && !is_success) ||
                        (moves_bytes && static_cast<std::uint32_t>(result) != e.length);
    if (!failed || (e.flags & entry_hard_link) != 0)
        return begin(r.behind);
    for (const submission_entry& linked : r.behind)
        complete(linked, -ECANCELED);
}

void simulation::state::end(request& r, int result)
{
    complete(r.entry, result);
    drop(r);
    follow(r, result);
}

std::optional<int> simulation::state::execute(request& r, outcome& o, short revents)
{
    if (const auto injected = injected_result(r))
        return injected;
    switch (r.entry.op) {
    case opcode::poll_add:
        return revents != 0 ? std::optional<int>(revents) : std::nullopt;
    case opcode::recv:
        return receive(r, o);
    case opcode::send:
    case opcode::send_zc:
        return send(r);
    case opcode::read:
    case opcode::write:
        // Always ready for a file on a disk; a pipe or a terminal may block.
        if (revents == 0)
            return r.nonblocking ? std::optional<int>(-EAGAIN) : std::nullopt;
        return r.entry.op == opcode::read ? read(r, o) : write(r);
    case opcode::accept:
        // The listening socket may block, and its mode is the user's.
        if (revents == 0)
            return r.nonblocking ? std::optional<int>(-EAGAIN) : std::nullopt;
        return accept(r, o);
    case opcode::connect:
        return connect(r);
    case opcode::fsync:
        return ::fsync(r.file) == 0 ? 0 : -errno;
    case opcode::shutdown:
        return ::shutdown(r.file, static_cast<int>(r.entry.length)) == 0 ? 0 : -errno;
    case opcode::fallocate:
        return ::fallocate(r.file, static_cast<int>(r.entry.length),
                           static_cast<off_t>(r.entry.offset),
                           static_cast<off_t>(r.entry.address)) == 0
                   ? 0
                   : -errno;
    case opcode::splice:
        return splice(r);
    default: // Done elsewhere, or nothing that anybody asks for.
        return -EINVAL;
    }
}

std::optional<int> simulation::state::injected_result(const request& r)
{
    if (random.chance(plan.interrupted))
        return -EINTR;
    if (random.chance(plan.lost_thread))
        return -ECANCELED;
    if (r.entry.op == opcode::poll_add)
        return std::nullopt;
    if (random.chance(plan.would_block))
        return -EAGAIN;
    if (!random.chance(plan.connection_error))
        return std::nullopt;
    switch (r.entry.op) {
    case opcode::recv:
        return -random.pick({ECONNRESET, ETIMEDOUT, EHOSTUNREACH});
    case opcode::send:
    case opcode::send_zc:
        return -random.pick({EPIPE, ECONNRESET});
    case opcode::read:
        return -EIO;
    case opcode::write:
        return -random.pick({EIO, ENOSPC});
    case opcode::accept:
        return -random.pick({ECONNABORTED, EPROTO, EMFILE, ENOBUFS});
    case opcode::connect:
        return -random.pick({ECONNREFUSED, ETIMEDOUT, ENETUNREACH});
    default:
        return std::nullopt;
    }
}

std::optional<int> simulation::state::receive(request& r, outcome& o)
{
    const submission_entry& e = r.entry;
    std::size_t length = e.length;
    const provided_buffer* chosen = nullptr;
    buffer_group* group = nullptr;
    o.to = reinterpret_cast<void*>(e.address);
    if ((e.flags & entry_buffer_select) != 0) {
        const auto found = groups.find(e.buffer_group);
        if (found == groups.end() || found->second.available() == 0 ||
            random.chance(plan.no_buffers))
            return -ENOBUFS;
        group = &found->second;
        chosen = &group->ring[group->head & (group->count - 1)];
        length = length == 0 ? chosen->length : std::min<std::size_t>(length, chosen->length);
        o.to = reinterpret_cast<void*>(chosen->address);
    }
    shorten(length);
    o.data.resize(length);
    const auto n =
        ::recv(r.file, o.data.data(), length, static_cast<int>(e.op_flags) | MSG_DONTWAIT);
    if (n < 0) {
        o.data.clear();
        if (!would_block(errno))
            return -errno;
        return r.nonblocking ? std::optional<int>(-EAGAIN) : std::nullopt;
    }
    o.data.resize(static_cast<std::size_t>(n));
    if (group != nullptr && (n > 0 || random.chance(plan.end_takes_buffer))) {
        ++group->head;
        o.completion.flags |= completion_buffer | std::uint32_t{chosen->id}
                                                      << completion_buffer_shift;
    }
    int left = 0;
    if (n > 0 && ::ioctl(r.file, FIONREAD, &left) == 0 && left > 0)
        o.completion.flags |= completion_socket_nonempty;
    return static_cast<int>(n);
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
    std::size_t length = e.length;
    shorten(length);
    std::vector<std::byte> data(length);
    if (length != 0)
        copy_as_kernel(data.data(), reinterpret_cast<const void*>(e.address), length);
    return data;
}

std::optional<int> simulation::state::send(request& r)
{
    const submission_entry& e = r.entry;
    const std::vector<std::byte> data = gather(e);
    const auto n = ::send(r.file, data.data(), data.size(),
                          static_cast<int>(e.op_flags) | MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0)
        return static_cast<int>(n);
    if (!would_block(errno))
        return -errno;
    return r.nonblocking ? std::optional<int>(-EAGAIN) : std::nullopt;
}

std::optional<int> simulation::state::read(request& r, outcome& o)
{
    const submission_entry& e = r.entry;
    std::size_t length = e.length;
    shorten(length);
    o.to = reinterpret_cast<void*>(e.address);
    o.data.resize(length);
    const iovec to{o.data.data(), length};
    // An offset of -1 is the file's own position here as it is in the ring.
    const auto n = ::preadv2(r.file, &to, 1, static_cast<off_t>(e.offset), 0);
    if (n < 0) {
        o.data.clear();
        return -errno;
    }
    o.data.resize(static_cast<std::size_t>(n));
    return static_cast<int>(n);
}

std::optional<int> simulation::state::write(request& r)
{
    const submission_entry& e = r.entry;
    std::vector<std::byte> data = gather(e);
    const iovec from{data.data(), data.size()};
    const auto n = ::pwritev2(r.file, &from, 1, static_cast<off_t>(e.offset), 0);
    return n < 0 ? -errno : static_cast<int>(n);
}

std::optional<int> simulation::state::accept(request& r, outcome& o)
{
    const submission_entry& e = r.entry;
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    const int socket = ::accept4(r.file, reinterpret_cast<sockaddr*>(&address), &size,
                                 static_cast<int>(e.op_flags));
    if (socket >= 0 && e.file_index != 0)
        return install(e, socket);
    if (socket < 0) {
        if (!would_block(errno))
            return -errno;
        return r.nonblocking ? std::optional<int>(-EAGAIN) : std::nullopt;
    }
    if (e.address != 0 && e.offset != 0) {
        socklen_t room = 0;
        std::memcpy(&room, reinterpret_cast<const void*>(e.offset), sizeof room);
        const auto* const bytes = reinterpret_cast<const std::byte*>(&address);
        o.data.assign(bytes, bytes + std::min(size, room));
        o.to = reinterpret_cast<void*>(e.address);
        o.size_value = size;
        o.size_to = reinterpret_cast<void*>(e.offset);
    }
    return socket;
}

std::optional<int> simulation::state::connect(request& r)
{
    const submission_entry& e = r.entry;
    if (r.connecting) {
        pollfd ready{r.file, POLLOUT, 0};
        if (::poll(&ready, 1, 0) == 0)
            return std::nullopt;
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(r.file, SOL_SOCKET, SO_ERROR, &error, &size);
        return -error;
    }
    sockaddr_storage address{};
    const auto size = static_cast<socklen_t>(e.offset);
    std::memcpy(&address, reinterpret_cast<const void*>(e.address), size);
    // The mode of a file can only be changed for all who have it open; it is
    // put back at once.
    const int mode = ::fcntl(r.file, F_GETFL);
    ::fcntl(r.file, F_SETFL, mode | O_NONBLOCK);
    const int error =
        ::connect(r.file, reinterpret_cast<const sockaddr*>(&address), size) == 0 ? 0 : errno;
    ::fcntl(r.file, F_SETFL, mode);
    if (error != EINPROGRESS && !would_block(error))
        return -error;
    if (r.nonblocking)
        return -EAGAIN;
    r.connecting = error == EINPROGRESS;
    return std::nullopt;
}

int simulation::state::open(const submission_entry& entry)
{
    const int fd = ::openat(entry.fd, reinterpret_cast<const char*>(entry.address),
                            static_cast<int>(entry.op_flags), static_cast<mode_t>(entry.length));
    return fd < 0 ? -errno : install(entry, fd);
}

/// As of pipes that are non-blocking: EAGAIN where it would have to wait.
int simulation::state::splice(const request& r)
{
    const submission_entry& e = r.entry;
    const bool from_registered = (e.op_flags & splice_from_fixed) != 0;
    const int from = from_registered ? registered_file(e.file_index) : e.file_index;
    auto from_offset = static_cast<off64_t>(e.address), to_offset = static_cast<off64_t>(e.offset);
    std::size_t length = e.length;
    shorten(length);
    const auto n = ::splice(from, from_offset < 0 ? nullptr : &from_offset, r.file,
                            to_offset < 0 ? nullptr : &to_offset, length, SPLICE_F_NONBLOCK);
    return n < 0 ? -errno : static_cast<int>(n);
}

void simulation::state::cancel(const submission_entry& entry)
{
    const auto found = std::find_if(requests.begin(), requests.end(), [&](const request& r) {
        return r.entry.user_data == entry.address;
    });
    if (found == requests.end() || found->notifies) {
        const bool executed = std::any_of(outcomes.begin(), outcomes.end(), [&](const outcome& o) {
            return o.completion.user_data == entry.address;
        });
        return complete(entry, executed && random.chance(0.5) ? -EALREADY : -ENOENT);
    }
    if (found->held) {
        found->cancel_requested = true;
        return complete(entry, -EALREADY);
    }
    if (random.chance(plan.missed_cancel))
        return complete(entry, random.pick({-EALREADY, -ENOENT}));
    const bool answer_first = random.chance(plan.reorder);
    if (answer_first)
        complete(entry, 0);
    end(*found, -ECANCELED);
    requests.erase(found);
    if (!answer_first)
        complete(entry, 0);
}

void simulation::state::complete(const submission_entry& entry, int result)
{
    outcome o;
    o.op = entry.op;
    o.completion.user_data = entry.user_data;
    o.completion.result = result;
    add_outcome(std::move(o));
}

void simulation::state::add_outcome(outcome&& o)
{
    if (random.chance(plan.late_completion))
        o.delay = delay();
    outcomes.push_back(std::move(o));
}

void simulation::state::drop(request& r) noexcept
{
    if (r.file >= 0)
        ::close(r.file);
    r.file = -1;
}

} // namespace safer_ring::inline SAFER_RING_ABI::backend
