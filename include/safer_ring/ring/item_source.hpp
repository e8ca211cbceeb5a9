// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/descriptor.hpp>
#include <safer_ring/ring/owned_buffer.hpp>
#include <safer_ring/ring/owned_descriptor.hpp>
#include <safer_ring/ring/stream_kinds.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <sys/types.h>
#include <utility>

/// What keeps coming in on a descriptor of the event loop, item by item, from one
/// request that completes again and again.
namespace safer_ring::inline SAFER_RING_ABI::ring {

class event_loop;

/// What a stream brings: some bytes, a connection, or an error.
struct stream_item {
    int result = -ECANCELED; ///< As of the plain operation; zero is the end of a stream of bytes.
    owned_buffer buffer;
    owned_descriptor socket;
};

/// The request of a stream, with the items that nobody has taken.
///
/// While the kernel has it, it belongs to the loop as well as to the stream
/// object; who lets go last destroys it. It is never in the loop's queue of what
/// is ready and counts as no work: that does who waits for an item.
///
/// Members are called under the loop's lock.
class SAFER_RING_API item_source : public io_operation {
public:
    /// Throws std::invalid_argument for marks that make no sense.
    explicit item_source(const stream_limits& limits);
    virtual ~item_source() = default;

    void complete(event_loop&) final {}
    void destroy() noexcept final { delete this; }

protected:
    /// An error that is one of the descriptor's, and is told once, or the end.
    void push_end(int result) noexcept;
    void push(stream_item&& item) noexcept;
    [[nodiscard]] bool has_room() const noexcept { return items_.size() < limits_.high_water; }

    /// Takes in a completion of the request; `flags` are the kernel's.
    virtual void take_in(event_loop& loop, int result, std::uint32_t flags) noexcept = 0;
    /// Drops what one brought that comes too late.
    virtual void drop(event_loop& loop, int result, std::uint32_t flags) noexcept = 0;
    /// Makes an item of what an earlier, cancelled operation left.
    virtual void take_leftover(event_loop& loop) noexcept = 0;
    /// The other way round, with an error that nobody has been told of.
    virtual void leave(int) noexcept {}
    /// Whether an item means what it does without the one before it.
    [[nodiscard]] virtual bool stands_alone() const noexcept { return true; }

    bool is_multishot_ = true; ///< Until the kernel refuses that.
    bool is_polling_ = false;  ///< The next request waits for readiness.
    /// The kernel is to give the request back, since it might not tell of the end.
    bool begins_anew_ = false;

private:
    friend class event_loop;

    step settle(event_loop&) noexcept final { return step::again; }

    /// Whether there is a reason to have a request in the kernel.
    [[nodiscard]] bool wants_more() const noexcept
    {
        return is_open_ && !is_stopping_ && !is_held_back_ && !has_ended_ && !has_lost_;
    }
    /// Whether there is one not to have the request there any more.
    [[nodiscard]] bool is_to_be_given_back() const noexcept
    {
        return is_held_back_ || has_lost_ || begins_anew_;
    }
    [[nodiscard]] bool has_item() const noexcept { return items_.size() != 0 || has_lost_; }
    [[nodiscard]] stream_item pop() noexcept;

    stream_limits limits_;
    streams::fifo<stream_item> items_;
    bool is_open_ = false;
    bool is_stopping_ = false;
    bool is_held_back_ = false; // From the high-water mark down to the low one.
    bool has_ended_ = false;    // By an error or the end, until somebody asks again.
    bool has_lost_ = false;     // There was no memory to keep an item.
    bool is_to_cancel_ = false; // In the loop's queue of those.
    bool has_owner_ = true;     // The stream object.
};

/// Bytes of a stream socket, each time in a buffer that the kernel chooses. Where
/// it cannot, or has none left, it waits for readiness and reads into one of the
/// heap.
class SAFER_RING_API receive_source : public item_source {
public:
    using item_source::item_source;

protected:
    /// The call that the kernel is to make again and again.
    virtual void fill(backend::submission_entry& entry) noexcept;
    /// The same call, once and without blocking, into `buffer`: the bytes that are in it
    /// then, or the negated errno.
    virtual ssize_t receive_once(owned_buffer& buffer) noexcept;
    /// Whether there may be more behind a call that has brought less than was asked for.
    [[nodiscard]] virtual bool may_be_more() const noexcept { return false; }

private:
    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept override;
    void take_in(event_loop& loop, int result, std::uint32_t flags) noexcept override;
    void drop(event_loop& loop, int result, std::uint32_t flags) noexcept override;
    void take_leftover(event_loop& loop) noexcept override;
    void leave(int error) noexcept override;
    /// Of bytes, what comes behind a gap is of no use.
    [[nodiscard]] bool stands_alone() const noexcept override { return false; }
    void receive_now(std::size_t size_bytes) noexcept;
    ssize_t receive_uninterrupted(owned_buffer& buffer) noexcept;
};

/// Connections of a listening socket.
class SAFER_RING_API accept_source final : public item_source {
public:
    accept_source(const stream_limits& limits, bool reports_aborted)
        : item_source(limits), reports_aborted_(reports_aborted)
    {
    }

private:
    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept override;
    void take_in(event_loop& loop, int result, std::uint32_t flags) noexcept override;
    void drop(event_loop& loop, int result, std::uint32_t flags) noexcept override;
    void take_leftover(event_loop& loop) noexcept override;

    bool reports_aborted_;
    bool was_polling_ = false; // There was a connection when we looked.
};

/// Takes the next item of the stream that is open on its descriptor. Waits in
/// line without a request of its own.
class SAFER_RING_API item_operation : public io_operation {
protected:
    item_operation() noexcept : io_operation(role::next_item) {}
    ~item_operation() = default;

    /// Behind the result, whose kind the leaf knows.
    [[nodiscard]] stream_item take_item() noexcept { return std::exchange(item_, stream_item()); }

private:
    friend class event_loop;

    void prepare(event_loop&, backend::submission_entry&) noexcept final {}
    step settle(event_loop&) noexcept final { return step::done; }
    void discard(event_loop&) noexcept final
    {
        item_ = stream_item();
        result_ = -ECANCELED;
    }
    void give(stream_item&& item) noexcept
    {
        result_ = item.result;
        item_ = std::move(item);
    }

    stream_item item_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
