// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/entry.hpp>
#include <safer_ring/ring/lent_memory.hpp>
#include <safer_ring/ring/operation.hpp>
#include <safer_ring/ring/slot_table.hpp>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <poll.h>
#include <sys/types.h>

namespace safer_ring::inline SAFER_RING_ABI::ring {

class event_loop;
struct descriptor;

/// Operations of one descriptor and direction run first in, first out, unless
/// the descriptor is `concurrent`.
enum class direction : std::uint8_t { read, write, except };
inline constexpr std::size_t direction_count = 3;

/// Of a system call's result, negative for an errno: to be tried again when
/// the descriptor is ready.
inline bool would_block(ssize_t result) noexcept
{
    return result == -EAGAIN || result == -EWOULDBLOCK;
}

/// The result of a receive or an accept on a descriptor that a stream is open on.
/// No errno of the kernel's is as large.
inline constexpr int stream_is_open = -4097;

/// Where an operation is between its start and its handler.
enum class io_state : std::uint8_t {
    idle,       ///< Not started, or already out of the loop's hands.
    queued,     ///< Behind another operation of its descriptor and direction.
    pending,    ///< First in line; will be written to the submission queue at the next flush.
    in_kernel,  ///< Submitted; the kernel owes a completion.
    ready,      ///< Has its result, or is due to perform: its handler is next, or queued.
    performing, ///< A thread is in a non-blocking system call for it, without the loop's lock.
};

/// An operation on a descriptor: the handler-free base that holds all the
/// logic; a typed leaf adds buffers and handler.
///
/// The node itself is never visible to the kernel: entries point only to
/// staging memory, so a node can be destroyed whatever the kernel still does.
/// The exception is `borrows_memory`.
///
/// All members but `perform` are called under the loop's lock and must not
/// run user code that could come back into the loop.
class io_operation : public operation {
public:
    /// Zero or a positive result, or the negated errno.
    [[nodiscard]] int result() const noexcept { return result_; }
    [[nodiscard]] operation_id id() const noexcept { return id_; }
    [[nodiscard]] io_state state() const noexcept { return state_; }

protected:
    /// What follows a completion from the kernel.
    enum class step : std::uint8_t {
        done,    ///< `result_` is final.
        again,   ///< Submit once more, after another `prepare`.
        perform, ///< The descriptor is ready: call `perform` before the handler.
    };

    /// What is done otherwise than with most.
    enum class role : std::uint8_t {
        none,
        source,       ///< Of a stream of items: see item_source.hpp.
        next_item,    ///< Waits for one of these.
        in_two_lines, ///< `takes_turn` is asked: see splice_operation.hpp.
        unending,     ///< Performs whenever it can, and is not done by that.
    };

    explicit io_operation(role r = role::none) noexcept : operation(true), role_(r) {}
    ~io_operation() = default;

    /// Takes what the kernel will need out of the caller's hands before the
    /// operation is queued. May throw std::bad_alloc, and then has no effect.
    virtual void stage(event_loop&) {}

    /// Completes with what an earlier, cancelled operation left with the
    /// descriptor; false when there is nothing.
    virtual bool complete_from_leftover(event_loop&) noexcept { return false; }

    /// Called when an operation `in_two_lines` has become first in one. False to
    /// keep that place without going to the kernel, until `event_loop::resume`.
    [[nodiscard]] virtual bool takes_turn(event_loop&) noexcept { return true; }

    /// Fills a fresh `entry`, all but user data, and the descriptor where it is
    /// that of the operation.
    virtual void prepare(event_loop& loop, backend::submission_entry& entry) noexcept = 0;

    /// True when the entry that `prepare` filled last points to the caller's
    /// memory, which only one may that has ended when the call that submits it
    /// returns. Whoever cancels makes sure of that.
    [[nodiscard]] virtual bool borrows_memory() const noexcept { return false; }

    /// Judges `result_` and `completion_flags_` as they came from the kernel.
    virtual step settle(event_loop& loop) noexcept = 0;

    /// Asked when the operation starts first in line: true to try `perform`
    /// already.
    [[nodiscard]] virtual bool attempts_first(event_loop&) noexcept { return false; }

    /// True when the attempt is what others may wait for, and not what is submitted behind it:
    /// started elsewhere than in a handler, it is made at once.
    [[nodiscard]] virtual bool attempts_elsewhere() const noexcept { return false; }

    /// True to submit it within the call that starts it, in a handler too.
    [[nodiscard]] virtual bool begins_within_start() const noexcept { return false; }

    /// True to try it, if not then, when what is ready already has been handled.
    [[nodiscard]] virtual bool attempts_later(event_loop&) const noexcept { return false; }

    /// Asked when that was in vain: true to try it after the next turn, before
    /// the kernel is asked to wait.
    [[nodiscard]] virtual bool attempts_again(event_loop&) noexcept { return false; }

    /// True when `perform` may stand in for the kernel, also before submission.
    [[nodiscard]] virtual bool can_perform() const noexcept { return false; }

    /// A non-blocking attempt; true when `result_` is final, false for EAGAIN.
    /// May be called without the loop's lock, in state `performing`.
    virtual bool perform(int) noexcept { return true; }

    /// Hands the result to the caller's memory; staging goes back.
    virtual void deliver(event_loop&) noexcept {}

    /// Drops the result: what was accepted is closed, staging goes back.
    virtual void discard(event_loop&) noexcept {}

    /// The caller's memory may be gone from now on although the kernel still
    /// owes a completion. What it brings stays with the descriptor.
    virtual void keep_for_later(event_loop& loop) noexcept { discard(loop); }

    /// Gives up the memory that the kernel has not let go of when the operation is
    /// destroyed.
    virtual std::unique_ptr<lent_memory> surrender() noexcept { return nullptr; }

    [[nodiscard]] bool cancel_requested() const noexcept { return cancel_requested_; }

    /// False when what `perform` found at the start, or a leftover, was enough.
    [[nodiscard]] bool was_submitted() const noexcept
    {
        return submitted_as_ != backend::opcode::nop;
    }

    static void prepare_poll(backend::submission_entry& entry, std::uint32_t events) noexcept
    {
        // A request for POLLPRI alone is never woken: io_uring leaves that bit
        // out when it filters wake-ups (6.18, io_poll_wake). Sockets wake with
        // POLLRDBAND as well, but for ordinary data too, so that who asks for
        // POLLPRI has to look again.
        if ((events & POLLPRI) != 0)
            events |= POLLRDBAND;
        entry.op = backend::opcode::poll_add;
        entry.op_flags = events;
    }

private:
    // Small members first: they fit behind those of the base, and an operation
    // is a line of the cache shorter, of which a thousand are in flight.
    io_state state_ = io_state::idle;
    const role role_ : 4;
    direction direction_ : 4 = direction::read;
    backend::opcode submitted_as_ = backend::opcode::nop; // For who asks what is in flight.
    bool needs_perform_ = false;                          // Ready means: the descriptor is ready.
    bool cancel_requested_ = false;   // An ECANCELED is ours, not a dead thread's.
    bool detached_ = false;           // The caller's memory must not be touched.
    bool delivered_ : 1 = false;      // deliver() has run ahead of the handler.
    bool result_known_ : 1 = false;   // The kernel is still to tell that it let go of the memory.
    bool is_parents_ : 1 = false;     // Started before a fork, in the other process, which goes on.
    bool waits_for_edge_ : 1 = false; // Polls for what happens, not for what is so.
    bool edge_came_ : 1 = false;      // That has happened; the poll is to end.
    bool doubts_errors_ : 1 = false;  // POLLERR was not what lets a call go through.
    bool was_in_vain_ : 1 = false;    // An attempt, although a poll had told of readiness.
    bool is_paused_ : 1 = false;      // Since it was, again.

protected:
    int result_ = -ECANCELED;
    std::uint32_t completion_flags_ = 0;
    descriptor* descriptor_ = nullptr;

private:
    friend class event_loop;
    friend struct descriptor;

    io_operation* after_ = nullptr;  // Next of the same descriptor and direction.
    io_operation* before_ = nullptr; // Previous of the same.
    operation_id id_ = operation_id::none;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
