// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/mailbox.hpp>
#include <safer_ring/ring/operations.hpp>
#include <safer_ring/ring/stream_kinds.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

namespace ring {

/// What user data of a completion begins with that is a message: an answer to a
/// cancellation of what has generation zero, which nothing has.
inline constexpr std::uint64_t message_tag = std::uint64_t{1} << 63;
inline bool is_message(std::uint64_t user_data) noexcept
{
    return user_data >> 32 == message_tag >> 32;
}

} // namespace ring

namespace ops {

/// A message to another ring, or to the same: 64 bits, which its
/// `io_ring::messages()` gives. What was written before it was submitted may be
/// read by who got it.
///
/// *Order*: messages of one ring to another come in the order in which they
/// were executed, which for those that are not linked or drained is that of
/// submission. *Success* says that the other ring has it, which drops what
/// nobody has taken when it is destroyed. There is no bound to how many may wait
/// there; each takes eight bytes of memory, which are reserved before it is
/// submitted.
///
/// *Errors*: EPIPE, the other ring is gone. EOVERFLOW, the kernel had no memory
/// to put the message behind a completion queue that is full. Neither is
/// anything to a ring that is only busy: nothing is lost then.
///
/// *Kernel*: since Linux 5.18, where both rings are the kernel's, it brings the
/// message itself (IORING_OP_MSG_RING), in the system call that submits
/// whatever else there is, and when what it is linked to has succeeded, with no
/// thread of the sender in between. Elsewhere the sender's ring hands it over
/// when it sees that its turn has come, by a system call of its own (eventfd).
///
/// @code
/// safer_ring::io_ring here, there;
/// auto messages = there.messages();
/// auto sent = here.message_ring(there.address(), 42).submit().wait().result();
/// assert(sent.value() == 0);
/// assert(messages.next().wait().value() == 42);
/// @endcode
struct message_ring : without_buffer {
    using value_type = int;
    ring::message_ticket to;
    std::uint64_t value;
    bool by_kernel; ///< This ring's kernel can; whether it does, once it is prepared.
    bool refused = false;

    void lend() noexcept { to->begin(); }
    void prepare(backend::submission_entry& entry) noexcept
    {
        int ring_fd = -1;
        const auto route = to->begin_route(by_kernel, ring_fd);
        refused = route == ring::mailbox::route::none;
        by_kernel = route == ring::mailbox::route::by_kernel;
        if (!by_kernel) // It has its turn, in a chain too, when this nop has.
            return;
        entry.op = backend::opcode::msg_ring;
        entry.fd = ring_fd;
        // The other ring's completion: user data, and the result.
        entry.offset = ring::message_tag | value >> 32;
        entry.length = static_cast<std::uint32_t>(value);
    }
    [[nodiscard]] int refusal() const noexcept { return refused ? EPIPE : 0; }
    [[nodiscard]] int conclude(int result) noexcept
    {
        return result >= 0 && !by_kernel ? to->deliver(value) : result;
    }
    void take_back(int result) noexcept
    {
        to->end();
        if (result >= 0)
            to.use_up();
    }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "message to a ring"}; }
};

} // namespace ops

namespace streams {

/// The messages that a ring gets.
class SAFER_RING_API messages {
public:
    using result_type = io_result<std::uint64_t>;

    explicit messages(std::shared_ptr<ring::mailbox> box) noexcept
        : box_(std::move(box)), reader_(box_->new_reader())
    {
    }
    [[nodiscard]] std::uint64_t reader() const noexcept { return reader_; }
    /// What is waited for is that the mailbox has something from a sender that
    /// has put it there by hand; single requests see that again and again.
    static constexpr std::size_t high_water(bool multishot) noexcept
    {
        return multishot ? std::numeric_limits<std::size_t>::max() : 1;
    }
    void prepare(backend::submission_entry& entry, bool multishot) noexcept;
    outcome take_in(int result, std::uint32_t flags) noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return box_->size(reader_); }
    [[nodiscard]] result_type take(bool cancelled) noexcept { return {box_->pop(), cancelled}; }
    static result_type end(const io_error& error, bool cancelled) { return {error, cancelled}; }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "message stream"}; }

private:
    std::shared_ptr<ring::mailbox> box_;
    std::uint64_t reader_; // Which of the mailbox's.
};

} // namespace streams
} // namespace safer_ring::inline SAFER_RING_ABI
