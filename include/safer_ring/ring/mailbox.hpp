// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/owned_descriptor.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI {

class io_ring;

namespace ring {

/// The messages that one ring got and nobody has taken. Shared by the ring and
/// by who sends to it, so it may outlive the ring.
///
/// Room for a message is reserved before it is on its way, so that none is lost
/// for want of memory. Those that the kernel brings are put here by the ring;
/// the others by the sender, who tells the ring by an eventfd, which is readable
/// from then until the last message is taken.
///
/// *Order of locks*: those of engines come before the one in here.
///
/// Thread safety: every member may be called from any thread.
class mailbox {
public:
    /// `ring_fd` is what the kernel brings messages by, -1 if it cannot. Throws
    /// std::system_error where there is no descriptor left.
    SAFER_RING_API explicit mailbox(int ring_fd);
    mailbox(const mailbox&) = delete;
    mailbox& operator=(const mailbox&) = delete;
    SAFER_RING_API ~mailbox();

    // ---- by who sends

    /// Throws std::bad_alloc.
    SAFER_RING_API void reserve();
    /// Of one that was not sent.
    SAFER_RING_API void unreserve() noexcept;
    /// A message is under way to the ring, which the kernel keeps meanwhile.
    SAFER_RING_API void begin() noexcept;
    SAFER_RING_API void end() noexcept;
    /// How the message is to go.
    enum class route : std::uint8_t {
        none, ///< The ring is gone, or another process's.
        by_kernel,
        by_hand,
    };
    [[nodiscard]] SAFER_RING_API route begin_route(bool by_kernel, int& ring_fd) noexcept;
    /// Zero, or EPIPE, negated, when the ring is gone.
    [[nodiscard]] SAFER_RING_API int deliver(std::uint64_t value) noexcept;

    // ---- by the ring

    /// The kernel has brought one.
    SAFER_RING_API void arrive(std::uint64_t value) noexcept;
    /// The ring goes away.
    SAFER_RING_API void close() noexcept;
    [[nodiscard]] int event_descriptor() const noexcept { return event_.get(); }
    /// A number for who is going to take messages, one at a time.
    [[nodiscard]] SAFER_RING_API std::uint64_t new_reader() noexcept;
    /// Those that nobody has taken are this one's, and all that come.
    SAFER_RING_API void pass_on(std::uint64_t reader) noexcept;
    /// How many there are for this one.
    [[nodiscard]] SAFER_RING_API std::size_t size(std::uint64_t reader) const noexcept;
    [[nodiscard]] SAFER_RING_API std::uint64_t pop() noexcept;

private:
    [[nodiscard]] bool is_there() const noexcept;
    void push(std::uint64_t value) noexcept;
    void release_place() noexcept;

    const unsigned generation_; // Of the process whose ring it is.
    const owned_descriptor event_;
    mutable std::mutex mutex_; // Of all below.
    owned_descriptor ring_;
    std::size_t under_way_ = 0;
    std::vector<std::uint64_t> values_; // In a circle, from head_ on.
    std::size_t head_ = 0;
    std::size_t count_ = 0;
    std::size_t reserved_ = 0;  // These, and those that may come.
    std::uint64_t readers_ = 0; // That have a number.
    std::uint64_t reader_ = 0;  // Whose they are.
    bool is_signalled_ = false;
    bool is_closed_ = false;
};

/// A message's way to a mailbox, with the room for it there.
class message_ticket {
public:
    /// Throws std::bad_alloc.
    explicit message_ticket(std::shared_ptr<mailbox> to) : to_(std::move(to)) { to_->reserve(); }
    message_ticket(message_ticket&&) noexcept = default;
    message_ticket& operator=(message_ticket&&) = delete;
    ~message_ticket()
    {
        if (to_)
            to_->unreserve();
    }

    [[nodiscard]] mailbox& operator*() const noexcept { return *to_; }
    [[nodiscard]] mailbox* operator->() const noexcept { return to_.get(); }
    /// The message has its room for itself.
    void use_up() noexcept { to_.reset(); }

private:
    std::shared_ptr<mailbox> to_;
};

} // namespace ring

/// Where messages to a ring go: `io_ring::address()`. May be copied, given to
/// other threads, and kept when the ring is gone, to which messages fail with
/// EPIPE then; as they do in a child of fork().
///
/// *Thread safety*: distinct objects may be used at once.
class ring_address {
    friend class io_ring;

    explicit ring_address(std::shared_ptr<ring::mailbox> box) noexcept : box_(std::move(box)) {}

    std::shared_ptr<ring::mailbox> box_;
};

} // namespace safer_ring::inline SAFER_RING_ABI
