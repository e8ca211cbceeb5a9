// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/descriptor.hpp>
#include <safer_ring/ring/event_loop.hpp>

#include <cstddef>
#include <cstdint>
#include <sys/socket.h>
#include <sys/types.h>
#include <utility>

/// The operations of stream sockets, without handlers: which request goes to
/// the kernel, what its answer means, and whose memory it may see.
namespace safer_ring::inline SAFER_RING_ABI::ring {

/// What one system call can transfer at most (read(2), MAX_RW_COUNT).
inline std::uint32_t one_call(std::size_t size_bytes) noexcept
{
    constexpr std::size_t most = 0x7ffff000;
    return static_cast<std::uint32_t>(size_bytes < most ? size_bytes : most);
}

/// Receives some bytes. The kernel picks one of its own receive buffers when
/// data is there; the bytes are copied to the caller just before the handler.
/// Where recent receives filled whole buffers, or the kernel has none, it
/// waits for readiness and reads straight into the caller's memory.
class SAFER_RING_API receive_operation : public io_operation {
protected:
    receive_operation(std::size_t size_bytes, int flags) noexcept
        : size_bytes_(one_call(size_bytes)), flags_(flags)
    {
    }
    ~receive_operation() = default;

    /// Of the caller's buffers together, as far as one call goes.
    [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }

    /// Copies `size` bytes to the caller's buffers.
    virtual void scatter(const std::byte* data, std::size_t size) noexcept = 0;

    /// recvmsg(2) into the caller's buffers; the result, or the negated errno.
    virtual ssize_t receive_now(int fd, int flags) noexcept = 0;

    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    bool attempts_first(event_loop& loop) noexcept final;
    bool perform(int fd) noexcept final;
    void deliver(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;
    void keep_for_later(event_loop& loop) noexcept final;
    bool complete_from_leftover(event_loop& loop) noexcept final;

private:
    [[nodiscard]] bool wants_bulk(const event_loop& loop) const noexcept;
    [[nodiscard]] bool holds_buffer() const noexcept
    {
        return (completion_flags_ & backend::completion_buffer) != 0;
    }
    [[nodiscard]] std::uint32_t buffer_id() const noexcept
    {
        return completion_flags_ >> backend::completion_buffer_shift;
    }
    void release_buffer(event_loop& loop) noexcept;

    std::uint32_t size_bytes_;
    int flags_;
    std::uint32_t submitted_in_turn_ = 0;
    bool by_readiness_ = false;
    bool found_nothing_ = false;
    bool looks_first_ = false; // Whether what woke it was ordinary data.
};

/// Sends some bytes. Up to a staging buffer they are copied when the
/// operation starts and submitted with everything else of the turn, or sent at
/// once by a local socket that is about alone. More are written straight from
/// the caller's memory without blocking, and what does not fit waits for
/// readiness.
class SAFER_RING_API send_operation : public io_operation {
protected:
    send_operation(std::size_t size_bytes, int flags) noexcept
        : size_bytes_(one_call(size_bytes)), flags_(flags)
    {
    }
    ~send_operation() = default;

    /// Of the caller's buffers together, as far as one call goes.
    [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }

    /// Copies the caller's bytes, all of them, to `out`.
    virtual void gather(std::byte* out) noexcept = 0;

    /// sendmsg(2) from the caller's buffers; the result, or the negated errno.
    virtual ssize_t send_now(int fd, int flags) noexcept = 0;

    void stage(event_loop& loop) final;
    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    bool attempts_first(event_loop& loop) noexcept final;
    bool attempts_elsewhere() const noexcept final { return true; }
    bool can_perform() const noexcept final { return true; }
    bool perform(int fd) noexcept final;
    void deliver(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;

private:
    std::uint32_t size_bytes_;
    int flags_;
    staged staged_;
    bool by_readiness_ = false;
};

/// Accepts a connection; the result is its descriptor. ECONNABORTED and
/// EPROTO are tried again unless the caller wants to see them.
class SAFER_RING_API accept_operation : public io_operation {
protected:
    accept_operation(bool wants_address, bool reports_aborted) noexcept
        : wants_address_(wants_address), reports_aborted_(reports_aborted)
    {
    }
    /// Closes a socket that nobody took.
    ~accept_operation();

    /// The accepted socket, now the caller's; negative for an error.
    int take_socket() noexcept { return std::exchange(result_, -1); }

    /// Hands over the peer's address, in the kernel's format.
    virtual void take_address(const void* address, std::size_t size) noexcept = 0;

    void stage(event_loop& loop) final;
    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    void deliver(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;
    void keep_for_later(event_loop& loop) noexcept final;
    bool complete_from_leftover(event_loop& loop) noexcept final;

private:
    struct address_block {
        sockaddr_storage address;
        socklen_t size;
    };

    staged staged_;
    bool wants_address_;
    bool reports_aborted_;
    bool by_readiness_ = false;
    bool polled_ = false; // There was a connection when we looked.
};

/// Connects a socket.
class SAFER_RING_API connect_operation : public io_operation {
protected:
    connect_operation(const void* address, std::size_t size) noexcept;
    ~connect_operation() = default;

    /// A local peer is told who connects (SO_PEERCRED), which a handler may change behind the call
    /// by seteuid(2); and it is what decides whether the path may be used.
    bool begins_within_start() const noexcept final { return descriptor_->is_local; }
    void stage(event_loop& loop) final;
    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    bool perform(int fd) noexcept final;
    void deliver(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;

private:
    sockaddr_storage address_;
    socklen_t address_size_;
    staged staged_;
    bool by_readiness_ = false;
    bool is_repeated_ = false;
};

/// Waits for readiness, then makes one non-blocking system call of the
/// leaf's. The way of everything that has no request of its own.
class SAFER_RING_API readiness_operation : public io_operation {
protected:
    /// With `attempts_first` the call is tried before waiting.
    readiness_operation(short events, bool attempts_first) noexcept
        : events_(events), attempts_first_(attempts_first)
    {
    }
    ~readiness_operation() = default;

    /// The call; its result or the negated errno. EAGAIN waits again.
    virtual ssize_t call(int fd) noexcept = 0;

    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    bool attempts_first(event_loop&) noexcept final;
    bool attempts_elsewhere() const noexcept final { return true; }
    bool can_perform() const noexcept final { return attempts_first_; }
    bool perform(int fd) noexcept final;
    void deliver(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;
    bool complete_from_leftover(event_loop& loop) noexcept final;

private:
    [[nodiscard]] bool reads() const noexcept;

    short events_;
    bool attempts_first_;
    bool called_ = false;
    bool found_nothing_ = false;
    std::uint32_t submitted_in_turn_ = 0;
};

/// Waits for readiness, level-triggered, and consumes nothing.
class SAFER_RING_API wait_operation : public io_operation {
protected:
    explicit wait_operation(short events) noexcept : events_(events) {}
    ~wait_operation() = default;

    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;
    bool complete_from_leftover(event_loop& loop) noexcept final;

private:
    short events_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
