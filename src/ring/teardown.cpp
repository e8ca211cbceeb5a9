// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/buffer_group.hpp>
#include <safer_ring/ring/event_loop.hpp>
#include <safer_ring/ring/item_source.hpp>
#include <safer_ring/ring/quarantine.hpp>

#include <algorithm>
#include <cstdio>
#include <new>
#include <sstream>
#include <string>

// The end of a loop: cancel, drain, destroy handlers, and set aside what the
// kernel keeps.

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

const char* name(backend::opcode op) noexcept
{
    switch (op) {
    case backend::opcode::nop:
        return "nop";
    case backend::opcode::fsync:
        return "fsync";
    case backend::opcode::poll_add:
        return "poll";
    case backend::opcode::timeout:
        return "timeout";
    case backend::opcode::accept:
        return "accept";
    case backend::opcode::async_cancel:
        return "cancel";
    case backend::opcode::connect:
        return "connect";
    case backend::opcode::openat:
        return "open";
    case backend::opcode::read:
    case backend::opcode::read_fixed:
        return "read";
    case backend::opcode::write:
    case backend::opcode::write_fixed:
        return "write";
    case backend::opcode::send:
        return "send";
    case backend::opcode::send_zc:
        return "zero-copy send";
    case backend::opcode::splice:
        return "splice";
    case backend::opcode::recv:
        return "receive";
    case backend::opcode::recvmsg:
        return "receive message";
    default: // The event loop asks for nothing else.
        return "unknown";
    }
}

} // namespace

event_loop::~event_loop()
{
    shutdown();
    while (descriptors_ != nullptr)
        forget(descriptors_);
    quarantine::reclaim();
}

void event_loop::shutdown()
{
    guard held(mutex_);
    shut_down_ = true;
    if (kernel_ && kernel_->is_inherited())
        take_back(ids_in_kernel());
    for (;;) {
        for (descriptor* d = descriptors_; d != nullptr && kernel_; d = d->next)
            cancel_all(held, *d, cancel_mode::close);
        if (!drain(held))
            set_aside(held);
        operation_queue doomed;
        ready_.remove(&turn_marker_);
        doomed.splice_back(ready_);
        doomed.splice_back(due_);
        doomed.splice_back(late_);
        doomed.splice_back(paused_);
        ready_.push_back(&turn_marker_);
        for (timer_queue_base* q = timer_queues_; q != nullptr; q = q->next_)
            q->take_all(doomed);
        if (doomed.empty())
            break;
        // Destroying a handler may close sockets and start or post anew, so
        // it happens without the lock and until nothing is left.
        while (operation* op = doomed.pop_front()) {
            if (op->is_io()) {
                auto& io = static_cast<io_operation&>(*op);
                if (!io.delivered_)
                    io.discard(*this);
                detach(io);
            }
            held.unlock();
            op->destroy();
            held.lock();
        }
    }
    free_finished();
    outstanding_work_.store(0, std::memory_order_relaxed);
}

/// Waits until the kernel has let go of everything, at most until the drain
/// deadline.
bool event_loop::drain(guard& held)
{
    using steady = std::chrono::steady_clock;
    const auto deadline = steady::now() + std::chrono::milliseconds(options_.drain_deadline_ms);
    if (kernel_)
        reap(); // What has completed holds no memory, whatever the deadline.
    while (in_kernel_ != 0 && kernel_) {
        retry_missed_cancels();
        flush_published();
        const auto left = deadline - steady::now();
        if (left <= steady::duration::zero())
            return false;
        const backend::backend::timeout step =
            std::min<backend::backend::timeout>(left, std::chrono::milliseconds(20));
        held.unlock();
        const int error = kernel_->enter(0, 1, &step);
        held.lock();
        reap();
        if (error < 0 && !backend::is_transient(error))
            return in_kernel_ == 0; // It takes nothing any more, and tells nothing.
    }
    return true;
}

/// The kernel did not let go in time: handlers go, the memory it may still
/// write to stays until the ring is really gone.
void event_loop::set_aside(guard& held)
{
    std::string text;
    try {
        text = describe_locked();
    } catch (const std::bad_alloc&) {
        text = "  (no memory to list them)\n";
    }
    std::fprintf(stderr,
                 "safer_ring: %zu operations did not end within %u ms of the context's "
                 "destruction; their memory is set aside until the kernel lets go:\n%s",
                 in_kernel_, options_.drain_deadline_ms, text.c_str());
    registry_.leave();
    operation_queue stuck;
    lent_memories lent;
    slots_.for_each([&](io_operation& op) {
        if (op.state_ != io_state::in_kernel)
            return;
        stuck.push_back(&op);
        lent.add(op.surrender());
    });
    quarantine::keep(std::move(kernel_), std::move(buffers_), std::move(staging_), std::move(lent),
                     std::move(stream_buffers_));
    buffers_.forget();
    in_kernel_ = 0;
    while (operation* op = stuck.pop_front()) {
        auto& io = static_cast<io_operation&>(*op);
        if (io.role_ == io_operation::role::source) {
            finish(static_cast<item_source&>(io));
            continue;
        }
        detach(io);
        held.unlock();
        op->destroy();
        held.lock();
    }
}

std::string event_loop::describe()
{
    const guard held(mutex_);
    return describe_locked();
}

std::string event_loop::describe_locked() const
{
    std::ostringstream text;
    slots_.for_each([&text](const io_operation& op) {
        if (op.state_ != io_state::in_kernel)
            return;
        text << "  " << name(op.submitted_as_);
        if (op.descriptor_ != nullptr)
            text << " on descriptor " << op.descriptor_->fd;
        text << (op.cancel_requested_ ? ", cancelled" : "") << '\n';
    });
    return text.str();
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
