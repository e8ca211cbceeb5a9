// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/descriptor.hpp>
#include <safer_ring/ring/event_loop.hpp>
#include <safer_ring/ring/lent_buffer.hpp>
#include <safer_ring/ring/registry.hpp>

#include <memory>
#include <utility>

/// Sending from the buffer itself, without handlers.
namespace safer_ring::inline SAFER_RING_ABI::ring {

/// send(2) from the buffer of the operation, which the network reads until the
/// kernel tells that it has let go (IORING_OP_SEND_ZC, Linux 6.0). A copy is sent
/// where the kernel, or the kind of socket, knows nothing of it, where the user may
/// not lock as much memory, and where the socket is about to be closed. A buffer that is
/// registered with the ring is sent as such.
class SAFER_RING_API zero_copy_send_operation : public io_operation {
protected:
    explicit zero_copy_send_operation(std::unique_ptr<lent_bytes> memory) noexcept
        : memory_(std::move(memory))
    {
    }
    ~zero_copy_send_operation();

    /// The buffer, which the kernel has let go of.
    std::unique_ptr<lent_bytes> take_memory() noexcept { return std::move(memory_); }

    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    bool can_perform() const noexcept final { return true; }
    bool perform(int fd) noexcept final;
    void deliver(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;
    std::unique_ptr<lent_memory> surrender() noexcept final;

private:
    void get_back() noexcept;

    std::unique_ptr<lent_bytes> memory_;
    registered_range range_;
    int polled_ = 0; // What the poll before this attempt told.
    bool by_readiness_ = false;
    bool copies_ = false;
    bool is_lent_ = false;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
