// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulation_state.hpp"

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

template <typename T>
std::vector<std::byte> bytes_of(const T& value)
{
    const auto* const begin = reinterpret_cast<const std::byte*>(&value);
    return {begin, begin + sizeof value};
}

} // namespace

short simulation::state::events_of(const request& r) noexcept
{
    switch (r.entry.op) {
    case opcode::poll_add:
        return static_cast<short>(r.entry.op_flags);
    case opcode::send:
    case opcode::send_zc:
    case opcode::sendmsg:
    case opcode::write:
    case opcode::writev:
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

/// Of a transfer that is a failure to what is linked to it. One that is to wait for all ends
/// short here as it did before Linux 5.19.
bool simulation::state::is_short(const submission_entry& e, std::size_t moved_bytes)
{
    switch (e.op) {
    case opcode::read:
    case opcode::readv:
    case opcode::write:
    case opcode::writev:
    case opcode::splice:
        return moved_bytes != length_of(e);
    case opcode::send:
    case opcode::send_zc:
    case opcode::sendmsg:
    case opcode::recv:
    case opcode::recvmsg:
        return (e.op_flags & MSG_WAITALL) != 0 && moved_bytes != length_of(e);
    default:
        return false;
    }
}

/// What is linked to a request that has ended begins, or ends as well.
void simulation::state::follow(request& r, int result)
{
    if (closed)
        return;
    // Once: of a send that notifies later they are over with its result.
    r.limit_due.reset();
    if (const auto limit = std::exchange(r.limit, std::nullopt))
        complete(*limit, -ECANCELED);
    const std::vector<submission_entry> behind = std::exchange(r.behind, {});
    if (behind.empty())
        return;
    const submission_entry& e = r.entry;
    const bool is_success = result == -ETIME && (e.op_flags & timeout_is_success) != 0;
    const bool failed = result < 0 ? !is_success : is_short(e, static_cast<std::size_t>(result));
    if (!failed || (e.flags & entry_hard_link) != 0)
        return begin(behind);
    for (const submission_entry& linked : behind)
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
    if (const auto injected = injected_result(r)) {
        if (random.chance(plan.error_takes_buffer))
            keep_buffer(r.entry, o);
        return injected;
    }
    switch (r.entry.op) {
    case opcode::poll_add:
        return revents != 0 ? std::optional<int>(revents) : std::nullopt;
    case opcode::recv:
        return receive(r, o);
    case opcode::send:
    case opcode::send_zc:
    case opcode::sendmsg:
        return send(r);
    case opcode::recvmsg:
        return receive_message(r, o);
    case opcode::read:
    case opcode::readv:
    case opcode::write:
    case opcode::writev:
        // Always ready for a file on a disk; a pipe or a terminal may block.
        if (revents == 0)
            return r.nonblocking ? std::optional<int>(-EAGAIN) : std::nullopt;
        return events_of(r) == POLLIN ? read(r, o) : write(r);
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
    case opcode::recvmsg:
        return -random.pick({ECONNRESET, ETIMEDOUT, EHOSTUNREACH});
    case opcode::send:
    case opcode::send_zc:
    case opcode::sendmsg:
        return -random.pick({EPIPE, ECONNRESET});
    case opcode::read:
    case opcode::readv:
        return -EIO;
    case opcode::write:
    case opcode::writev:
        return -random.pick({EIO, ENOSPC});
    case opcode::accept:
        return -random.pick({ECONNABORTED, EPROTO, EMFILE, ENOBUFS});
    case opcode::connect:
        return -random.pick({ECONNREFUSED, ETIMEDOUT, ENETUNREACH});
    default:
        return std::nullopt;
    }
}

/// The next one is the caller's, whatever the result.
void simulation::state::keep_buffer(const submission_entry& e, outcome& o) noexcept
{
    const auto found = groups.find(e.buffer_group);
    if ((e.flags & entry_buffer_select) == 0 || found == groups.end() ||
        found->second.available() == 0)
        return;
    buffer_group& group = found->second;
    const provided_buffer& chosen = group.ring[group.head++ & (group.count - 1)];
    o.completion.flags |= completion_buffer | std::uint32_t{chosen.id} << completion_buffer_shift;
}

std::optional<int> simulation::state::receive(request& r, outcome& o)
{
    const submission_entry& e = r.entry;
    std::size_t length = e.length;
    const provided_buffer* chosen = nullptr;
    buffer_group* group = nullptr;
    o.to = parts_of(e);
    if ((e.flags & entry_buffer_select) != 0) {
        const auto found = groups.find(e.buffer_group);
        if (found == groups.end() || found->second.available() == 0 ||
            random.chance(plan.no_buffers))
            return -ENOBUFS;
        group = &found->second;
        chosen = &group->ring[group->head & (group->count - 1)];
        length = length == 0 ? chosen->length : std::min<std::size_t>(length, chosen->length);
        o.to = {{reinterpret_cast<void*>(chosen->address), length}};
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
    if (group != nullptr && (n > 0 || random.chance(plan.end_takes_buffer)))
        keep_buffer(e, o);
    int left = 0;
    if (n > 0 && ::ioctl(r.file, FIONREAD, &left) == 0 && left > 0)
        o.completion.flags |= completion_socket_nonempty;
    return static_cast<int>(n);
}

std::optional<int> simulation::state::receive_message(request& r, outcome& o)
{
    auto* const theirs = reinterpret_cast<msghdr*>(r.entry.address);
    msghdr header = *theirs;
    const std::size_t length = prepare_to_fill(r.entry, o);
    iovec to{o.data.data(), length};
    std::vector<std::byte> address(header.msg_name != nullptr ? header.msg_namelen : 0);
    std::vector<std::byte> control(header.msg_controllen);
    header.msg_name = address.empty() ? nullptr : address.data();
    header.msg_control = control.empty() ? nullptr : control.data();
    header.msg_iov = &to;
    header.msg_iovlen = 1;
    const auto n = ::recvmsg(r.file, &header, static_cast<int>(r.entry.op_flags) | MSG_DONTWAIT);
    if (n < 0) {
        o.data.clear();
        if (!would_block(errno))
            return -errno;
        return r.nonblocking ? std::optional<int>(-EAGAIN) : std::nullopt;
    }
    // More than there was room for, where MSG_TRUNC asks for the length.
    o.data.resize(std::min(static_cast<std::size_t>(n), o.data.size()));
    address.resize(std::min<std::size_t>(header.msg_namelen, address.size()));
    control.resize(header.msg_controllen);
    o.also.push_back({theirs->msg_name, std::move(address)});
    o.also.push_back({theirs->msg_control, std::move(control)});
    o.also.push_back({&theirs->msg_namelen, bytes_of(header.msg_namelen)});
    o.also.push_back({&theirs->msg_controllen, bytes_of(header.msg_controllen)});
    o.also.push_back({&theirs->msg_flags, bytes_of(header.msg_flags)});
    return static_cast<int>(n);
}

std::optional<int> simulation::state::send(request& r)
{
    const submission_entry& e = r.entry;
    std::vector<std::byte> data = gather(e);
    iovec from{data.data(), data.size()};
    msghdr header{};
    if (e.op == opcode::sendmsg)
        header = *reinterpret_cast<const msghdr*>(e.address);
    header.msg_iov = &from;
    header.msg_iovlen = 1;
    const auto n =
        ::sendmsg(r.file, &header, static_cast<int>(e.op_flags) | MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0)
        return static_cast<int>(n);
    if (!would_block(errno))
        return -errno;
    return r.nonblocking ? std::optional<int>(-EAGAIN) : std::nullopt;
}

std::optional<int> simulation::state::read(request& r, outcome& o)
{
    const submission_entry& e = r.entry;
    const std::size_t length = prepare_to_fill(e, o);
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
        o.also.push_back(
            {reinterpret_cast<void*>(e.address), {bytes, bytes + std::min(size, room)}});
        o.also.push_back({reinterpret_cast<void*>(e.offset), bytes_of(size)});
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
