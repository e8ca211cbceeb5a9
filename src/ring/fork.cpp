// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/buffer_group.hpp>
#include <safer_ring/ring/event_loop.hpp>

#include <cerrno>
#include <exception>
#include <utility>

// A loop in a process that forks. The ring stays the parent's, and its queues are
// memory that both would write to: the backend cuts the child off from it (see
// backend::is_inherited), and the loop goes on with a ring of its own there.

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

using namespace std::chrono_literals;

/// What the kernel does not let go of in this time, such as a read from a disk, stays
/// the parent's, and is made once more by the child.
constexpr backend::backend::timeout fork_deadline = 100ms;

} // namespace

void event_loop::prepare_fork()
{
    using clock = std::chrono::steady_clock;
    guard held(mutex_);
    if (!kernel_ || kernel_->is_inherited())
        return;
    // What was started is to have begun, as on Asio: a connect must not be made twice.
    while (!pending_.empty()) {
        fill_submissions();
        if (!flush_published())
            break; // The kernel takes nothing; it stays pending.
    }
    const std::vector<operation_id> ids = ids_in_kernel();
    reap();
    const auto deadline = clock::now() + fork_deadline;
    // Asked again where a cancellation has found its request between two states. A zero-copy send
    // that is only to be told of stays, since nothing ends that sooner.
    for (bool asks = true; clock::now() < deadline; asks = cancel_missed_) {
        bool is_owed = false;
        if (asks)
            cancel_missed_ = false;
        for (const operation_id id : ids) {
            const io_operation* const op = slots_.find(id);
            if (op == nullptr || !owes_result(*op))
                continue;
            is_owed = true;
            if (asks)
                write_cancellation(*op);
        }
        if (!is_owed || !enter_briefly(held))
            break;
        reap();
    }
    hand_back(held);
}

void event_loop::continue_in_child()
{
    guard held(mutex_);
    if (kernel_ && kernel_->is_inherited())
        renew();
    hand_back(held);
}

std::vector<operation_id> event_loop::ids_in_kernel() const
{
    std::vector<operation_id> ids;
    slots_.for_each([&ids](const io_operation& op) {
        if (is_in_kernel(op))
            ids.push_back(op.id_);
    });
    return ids;
}

/// As if the kernel had lost the requests: those that nobody has cancelled are to be
/// submitted again.
void event_loop::take_back(const std::vector<operation_id>& ids) noexcept
{
    for (const operation_id id : ids) {
        const io_operation& op = *slots_.find(id);
        take_in({static_cast<std::uint64_t>(id), -ECANCELED,
                 op.result_known_ ? backend::completion_notification : 0});
    }
}

/// Everything that may throw comes before what cannot be taken back.
void event_loop::renew()
{
    auto kernel = backend::make_io_uring(options_, threads_ != threading::many);
    registry_owner registrations(*kernel);
    registrations->set_limits(options_.registered_file_count, options_.registered_buffer_count);
    const std::vector<operation_id> lost = ids_in_kernel();
    if (driver_ != nullptr)
        driver_->moved_to_child(kernel->ready_descriptor());
    batch_ = 0;
    take_back(lost);
    // A child that closes what it does not use must not write what the parent writes.
    slots_.for_each([](io_operation& op) { op.is_parents_ = true; });
    registry_.swap(registrations);
    registrations.leave();
    kernel_.swap(kernel);
    buffers_.move_to(*kernel_);
    features_.buffer_ring = buffers_.available();
    if (stream_buffers_)
        stream_buffers_->forget_ring();
    stream_buffers_.reset();
    asked_for_stream_buffers_ = false;
    waiting_ = driver_ != nullptr;
    cancel_missed_ = false;
    for (descriptor* d = descriptors_; d != nullptr; d = d->next) {
        if (!std::exchange(d->place, {}))
            continue;
        try {
            d->place = registry_->register_file(d->fd);
        } catch (const std::exception&) {
            // It only costs the look-up. The places of those behind it must go in any case:
            // they are of the parent's ring.
        }
    }
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
