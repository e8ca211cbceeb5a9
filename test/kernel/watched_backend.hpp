// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/backend.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include <sys/socket.h>

namespace kernel {

/// What a watched_backend has seen, and is to do.
struct watch {
    /// Refuses what completes more than once, as a kernel does that lacks it.
    bool refuses_multishot = false;
    /// Answers EAGAIN to receives instead of waiting, as Linux 5.10 does to an
    /// accept on a non-blocking descriptor.
    bool never_waits = false;
    /// Lets multishot receives wait before they look for the first time. Linux 6.18 misses
    /// the end of a local socket then where it is there together with the last bytes.
    bool polls_first = false;
    /// Has no messages from ring to ring.
    bool hides_messages = false;
    std::atomic<unsigned> enters = 0;
    std::atomic<unsigned> limited_waits = 0;            ///< Enters that wait for so long at most.
    std::array<std::atomic<unsigned>, 256> submitted{}; ///< By opcode.
    std::atomic<unsigned> refused = 0;
    std::atomic<unsigned> bundles = 0; ///< Receives that ask for them.

    unsigned count(safer_ring::backend::opcode op) const
    {
        return submitted[static_cast<std::size_t>(op)];
    }
};

/// A kernel ring whose entries are looked at on their way to the kernel. For
/// programs of one thread.
class watched_backend final : public safer_ring::backend::backend {
    using base = safer_ring::backend::backend;
    using entry = safer_ring::backend::submission_entry;

public:
    watched_backend(const safer_ring::options& settings, std::shared_ptr<watch> record)
        : inner_(safer_ring::backend::make_io_uring(settings, false)), record_(std::move(record))
    {
        // Both queues are the same memory.
        for (const auto member : {&watched_backend::sq_khead_, &watched_backend::sq_ktail_,
                                  &watched_backend::sq_kflags_, &watched_backend::cq_khead_,
                                  &watched_backend::cq_ktail_})
            this->*member = (*inner_).*member;
        for (const auto member : {&watched_backend::sq_entries_, &watched_backend::sq_mask_,
                                  &watched_backend::sq_tail_, &watched_backend::sq_attention_,
                                  &watched_backend::cq_mask_, &watched_backend::cq_head_})
            this->*member = (*inner_).*member;
        sq_ = (*inner_).*(&watched_backend::sq_);
        cq_ = (*inner_).*(&watched_backend::cq_);
        features_ = inner_->found();
        features_.ring_messages = features_.ring_messages && !record_->hides_messages;
    }

    int enter(unsigned to_submit, unsigned min_complete, const timeout* wait) noexcept override
    {
        ++record_->enters;
        record_->limited_waits += min_complete != 0 && wait != nullptr && wait->count() > 0;
        for (unsigned i = 0; i < to_submit; ++i)
            look_at(sq_[(sq_head() + i) & sq_mask_]);
        return inner_->enter(to_submit, min_complete, wait);
    }
    int register_buffer_ring(safer_ring::backend::provided_buffer* ring, unsigned count,
                             std::uint16_t group) noexcept override
    {
        return inner_->register_buffer_ring(ring, count, group);
    }
    int register_incremental_buffer_ring(safer_ring::backend::provided_buffer* ring, unsigned count,
                                         std::uint16_t group) noexcept override
    {
        return inner_->register_incremental_buffer_ring(ring, count, group);
    }
    int unregister_buffer_ring(std::uint16_t group) noexcept override
    {
        return inner_->unregister_buffer_ring(group);
    }
    int close_when_drained(int fd) noexcept override { return inner_->close_when_drained(fd); }
    int ready_descriptor() const noexcept override { return inner_->ready_descriptor(); }

private:
    void look_at(entry& e) noexcept
    {
        using namespace safer_ring::backend;
        ++record_->submitted[static_cast<std::size_t>(e.op)];
        if (e.op == opcode::recv && (e.ioprio & receive_bundle) != 0)
            ++record_->bundles;
        const bool receives = e.op == opcode::recv || e.op == opcode::recvmsg;
        if (receives && record_->never_waits)
            e.op_flags |= MSG_DONTWAIT;
        if (receives && record_->polls_first && (e.ioprio & receive_multishot) != 0)
            e.ioprio |= receive_poll_first;
        const bool is_multishot =
            (e.op == opcode::accept && (e.ioprio & accept_multishot) != 0) ||
            (receives && (e.ioprio & receive_multishot) != 0) ||
            (e.op == opcode::poll_add && (e.length & poll_multishot) != 0) ||
            (e.op == opcode::timeout && (e.op_flags & timeout_multishot) != 0);
        if (!record_->refuses_multishot || !is_multishot)
            return;
        ++record_->refused;
        // Bits that no kernel knows.
        if (e.op == opcode::accept || receives)
            e.ioprio = 0xff00;
        else if (e.op == opcode::poll_add)
            e.length = 0x80000000;
        else
            e.op_flags = 0x80000000;
    }

    std::unique_ptr<base> inner_;
    std::shared_ptr<watch> record_;
};

} // namespace kernel
