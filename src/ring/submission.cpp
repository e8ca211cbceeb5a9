// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "waits.hpp"

#include <safer_ring/ring/event_loop.hpp>
#include <safer_ring/ring/item_source.hpp>

#include <algorithm>
#include <cassert>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>

// Flushing and reaping: the way of an operation into the kernel and back.

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

using namespace std::chrono_literals;

/// Marks the entry of a cancellation; the rest is the operation's id.
constexpr std::uint64_t cancel_tag = std::uint64_t{1} << 63;
/// The entry that only wakes a waiting thread.
constexpr std::uint64_t wake_tag = ~std::uint64_t{0};

/// A clock other than the steady one may be set, so that a wait computed from
/// it must be looked at again.
constexpr backend::backend::timeout longest_timer_wait = 5min;

/// Of a registered file the kernel is told the place. Requests on another
/// descriptor, as a splice makes, stay as they are, and so does what a worker carries
/// out, who looks when the place may be empty, or another file's.
void name_place(const descriptor& d, backend::submission_entry& entry) noexcept
{
    if (!d.place || entry.fd != d.fd || entry.op == backend::opcode::nop)
        return;
    entry.fd = static_cast<std::int32_t>(d.place->index);
    entry.flags |= backend::entry_fixed_file;
}

/// What is done by these when the cancellation comes late is told all the same.
bool is_told_late(backend::opcode op) noexcept
{
    switch (op) {
    case backend::opcode::send:
    case backend::opcode::read:
    case backend::opcode::write:
    case backend::opcode::read_fixed:
    case backend::opcode::write_fixed:
        return true;
    default:
        return false;
    }
}

void fill_cancellation(backend::submission_entry& entry, operation_id id) noexcept
{
    entry = {};
    entry.op = backend::opcode::async_cancel;
    entry.address = static_cast<std::uint64_t>(id);
    entry.user_data = cancel_tag | static_cast<std::uint64_t>(id);
}

/// Whether what a poll has found is not what makes the call possible that waits for it.
/// io_uring tells of POLLRDHUP unasked (Linux 5.12, IO_POLL_UNMASK), to who waits for room
/// too: the peer has shut down its end only. POLLERR also stands for a socket's queue of
/// errors, which is for recvmsg(2) with MSG_ERRQUEUE; an error of the socket's own becomes
/// the `result`. `socket` is negative where POLLERR is to be believed.
bool is_beside_the_point(int& result, int socket) noexcept
{
    if (result <= 0 || (result & ~(POLLRDHUP | POLLERR)) != 0)
        return false;
    if ((result & POLLERR) == 0)
        return true;
    int error = 0;
    socklen_t size = sizeof error;
    if (socket < 0 || ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return false;
    if (error != 0)
        result = -error;
    return error == 0;
}

/// Puts the turn marker at the end of the queue whatever happens: a loop
/// without it would never look at the kernel again.
struct put_back {
    operation_queue& queue;
    operation& marker;
    bool& is_out;
    ~put_back()
    {
        queue.push_back(&marker);
        is_out = false;
    }
};

} // namespace

backend::backend::timeout event_loop::wait_duration(backend::backend::timeout wait)
{
    if (wait == wait_not || kernel_->has_completions())
        return wait_not;
    for (timer_queue_base* q = timer_queues_; q != nullptr; q = q->next_)
        if (!q->empty())
            wait = std::min(wait, q->wait_duration(longest_timer_wait));
    if (cancel_missed_)
        wait = std::min(wait, retry_wait);
    if (!paused_.empty())
        wait = std::min<backend::backend::timeout>(wait, vain_pause);
    return wait;
}

/// Writes operations that are first in line to the submission queue, as far
/// as it has room. Answers the number of entries to submit.
unsigned event_loop::fill_submissions() noexcept
{
    while (!pending_.empty()) {
        backend::submission_entry* entry = kernel_->next_submission();
        if (entry == nullptr)
            break;
        auto& op = static_cast<io_operation&>(*pending_.pop_front());
        *entry = {};
        entry->fd = op.descriptor_->fd;
        op.prepare(*this, *entry);
        name_place(*op.descriptor_, *entry);
        entry->user_data = static_cast<std::uint64_t>(op.id_);
        op.submitted_as_ = entry->op;
        if (entry->op == backend::opcode::poll_add) {
            entry->length = op.waits_for_edge_ ? backend::poll_multishot : 0;
            op.edge_came_ = false;
        }
        op.state_ = io_state::in_kernel;
        ++in_kernel_;
    }
    kernel_->publish();
    return kernel_->unsubmitted();
}

/// One turn of the kernel: flush, wait, count what has completed, collect due
/// timers. The turn marker goes back to the end of the queue whatever happens;
/// where it stands, the completions are taken, and then the timers, so that
/// data that came in time is seen before its time-out, as in Asio's reactors.
void event_loop::turn(guard& held, backend::backend::timeout wait)
{
    marker_is_out_ = true;
    const put_back at_the_end{ready_, turn_marker_, marker_is_out_};
    if (kernel_->is_inherited()) [[unlikely]]
        renew();
    ++turn_;
    if (cancel_missed_)
        retry_missed_cancels();
    cancel_held_back();
    free_finished();
    write_was_started_ = false;
    unsigned to_submit = fill_submissions();
    has_refused_ = false;
    int error = 0;
    while (!pending_.empty() && error >= 0) { // More than the queue holds.
        held.unlock();
        error = kernel_->enter(to_submit, 0, &no_wait);
        held.lock();
        // What it has completed by now would overtake what a handler has posted to a host.
        if (driver_ == nullptr || error < 0)
            reap();
        to_submit = fill_submissions();
    }
    // What was refused a place in the queue must not sleep behind the rest.
    const bool idle = ready_.empty() && pending_.empty() && late_.empty() && !stopped_;
    wait = idle ? wait_duration(wait) : wait_not;
    if (to_submit != 0 || wait != wait_not || kernel_->needs_enter()) {
        const bool blocks = wait != wait_not;
        if (driver_ == nullptr) {
            waiting_ = blocks;
            wake_sent_ = false;
        }
        held.unlock();
        error = kernel_->enter(to_submit, blocks ? 1 : 0, wait == wait_forever ? nullptr : &wait);
        held.lock();
        waiting_ = driver_ != nullptr;
    }
    if ((error == -EAGAIN || error == -EBUSY || error == -ENOMEM) && !kernel_->has_completions()) {
        held.unlock();
        kernel_->enter(0, 1, &retry_wait);
        held.lock();
    }
    has_refused_ = kernel_->unsubmitted() != 0;
    write_was_started_ = write_was_started_ || has_refused_ || !pending_.empty();
    end_pauses();
    take_stock(true);
    if (batch_ == 0 && driver_ == nullptr)
        ready_.splice_back(due_);
    if (error < 0 && !backend::is_transient(error))
        throw std::system_error(-error, std::system_category(),
                                "safer_ring: io_uring_enter failed; the ring cannot go on");
}

/// Counts what has completed and collects due timers; they run where the turn
/// marker stands.
void event_loop::take_stock(bool with_timers)
{
    batch_ = kernel_->completions();
    calls_granted_ = 0;
    quiet_turns_ = batch_ <= few ? std::min(quiet_turns_ + 1, quiet_after_turns) : 0;
    for (timer_queue_base* q = timer_queues_; with_timers && q != nullptr; q = q->next_)
        if (!q->empty())
            q->take_due(due_);
}

/// Submits what is published while the lock is held. False when the kernel
/// did not take everything.
bool event_loop::flush_published() noexcept
{
    constexpr int attempts = 64;
    kernel_->publish();
    for (int i = 0; i < attempts; ++i) {
        const unsigned count = kernel_->unsubmitted();
        if (count == 0)
            break;
        if (kernel_->enter(count, 0, &no_wait) < 0)
            reap(); // EBUSY: the kernel wants room for completions first.
    }
    has_refused_ = kernel_->unsubmitted() != 0;
    return !has_refused_;
}

void event_loop::submit_unlocked(guard& held) noexcept
{
    const unsigned to_submit = fill_submissions();
    held.unlock();
    const int taken = kernel_->enter(to_submit, 0, &no_wait);
    held.lock();
    if (!pending_.empty() || taken < static_cast<int>(to_submit)) {
        // What was refused is no other thread's to submit, and would be in front of
        // what is to wake the waiting one, which takes a single entry.
        flush_published();
        wake_waiter(held);
    }
}

/// Takes in every completion there is, also those that a thread had yet to
/// take one by one; their operations go to the end of the queue.
void event_loop::reap() noexcept
{
    batch_ = 0;
    const unsigned count =
        kernel_->for_each_completion([this](const backend::completion_entry& e) { take_in(e); });
    if (count != 0 && waiting_) {
        // These may have been what was to wake the waiting thread, the no-op
        // of an earlier wake-up among them.
        reaped_meanwhile_ = true;
        wake_sent_ = false;
    }
}

/// Takes in one completion; its operation goes to the end of the queue.
void event_loop::take_in(const backend::completion_entry& entry) noexcept
{
    io_operation* op = find_completed(entry);
    if (op == nullptr)
        return;
    if (op->role_ == io_operation::role::source) {
        take_in_item(static_cast<item_source&>(*op), false);
        return;
    }
    const io_operation::step next = settle(*op);
    if (next == io_operation::step::again)
        return;
    make_ready(*op);
    if (next == io_operation::step::done)
        begin_next(*op);
}

/// The operation of the next completion of this turn, if its handler is to be
/// called. Settled no earlier than that, an operation comes into the cache
/// once; with a thousand connections, all of a turn do not fit there.
io_operation* event_loop::take_completed() noexcept
{
    --batch_;
    io_operation* op = find_completed(kernel_->take_completion());
    if (op == nullptr)
        return nullptr;
    if (op->role_ == io_operation::role::source)
        return take_in_item(static_cast<item_source&>(*op), true);
    const io_operation::step next = settle(*op);
    if (next == io_operation::step::again)
        return nullptr;
    op->state_ = io_state::ready;
    if (next == io_operation::step::done)
        begin_next(*op);
    return op;
}

/// The operation that `entry` belongs to, with its result; null when it
/// belongs to none.
io_operation* event_loop::find_completed(const backend::completion_entry& entry) noexcept
{
    if (entry.user_data == wake_tag)
        return nullptr;
    if ((entry.user_data & cancel_tag) != 0) {
        // ENOENT and EALREADY can mean that the request is between two
        // states; whether it is still there is looked at in the next turn.
        if (entry.result < 0)
            cancel_missed_ = true;
        return nullptr;
    }
    io_operation* op = slots_.find(static_cast<operation_id>(entry.user_data));
    const bool is_source = op != nullptr && op->role_ == io_operation::role::source;
    // Those of streams are of another group. Their request is never forgotten while the
    // kernel has it.
    const bool has_buffer = (entry.flags & backend::completion_buffer) != 0 && !is_source;
    if (has_buffer)
        buffers_.taken(entry.flags >> backend::completion_buffer_shift);
    if (op == nullptr || op->state_ != io_state::in_kernel) {
        ++stale_completions_;
        if (has_buffer)
            buffers_.give_back(entry.flags >> backend::completion_buffer_shift);
        return nullptr;
    }
    op->completion_flags_ = entry.flags;
    // A worker of the kernel keeps the buffer that it has chosen when the receive then fails.
    if (has_buffer && entry.result < 0) {
        buffers_.give_back(entry.flags >> backend::completion_buffer_shift);
        op->completion_flags_ &= ~backend::completion_buffer;
    }
    if (is_source) {
        op->result_ = entry.result;
        if ((entry.flags & backend::completion_more) == 0)
            --in_kernel_;
        return op;
    }
    if (op->submitted_as_ == backend::opcode::poll_add) {
        const bool more = (entry.flags & backend::completion_more) != 0;
        return take_in_poll(*op, entry.result, more) ? op : nullptr;
    }
    if ((entry.flags & backend::completion_notification) == 0)
        op->result_ = backend::as_of_system_call(entry.result);
    op->result_known_ = (entry.flags & backend::completion_more) != 0;
    if (op->result_known_) {
        let_others_pass(*op);
        return nullptr;
    }
    --in_kernel_;
    return op;
}

int event_loop::doubted_socket(const io_operation& op) noexcept
{
    const bool doubts = op.doubts_errors_ && op.descriptor_ != nullptr && !op.cancel_requested_;
    return doubts ? op.descriptor_->fd : -1;
}

/// False while the kernel has the request.
///
/// What a poll tells need not let a call go through, and the next poll would tell the
/// same at once, for ever. One that is multishot tells of it once, and then of what
/// happens; it is ended when that is what was asked for.
bool event_loop::take_in_poll(io_operation& op, int result, bool more) noexcept
{
    if (!op.edge_came_) {
        const bool lacks_multishot = result == -EINVAL && op.waits_for_edge_;
        if (lacks_multishot || is_beside_the_point(result, doubted_socket(op))) {
            if (more)
                return false;
            op.waits_for_edge_ = !lacks_multishot;
            result = -EINTR; // Nothing has come of it: it is polled again.
        }
        op.result_ = result;
    }
    if (more) {
        if (!op.edge_came_)
            end_poll(op);
        return false;
    }
    op.edge_came_ = false;
    --in_kernel_;
    return true;
}

void event_loop::end_poll(io_operation& op) noexcept
{
    op.edge_came_ = true;
    // Without a flush where there is no room: completions are being taken.
    if (!ask_to_cancel(op.id_))
        cancel_missed_ = true;
}

/// False where there is no room.
bool event_loop::ask_to_cancel(operation_id id) noexcept
{
    backend::submission_entry* const entry = kernel_->next_submission();
    if (entry == nullptr)
        return false;
    fill_cancellation(*entry, id);
    kernel_->publish();
    return true;
}

/// What was sent without a copy is in its place in the stream, whenever the
/// kernel lets go of the memory: it is out of line, and nothing can cancel it. What
/// failed may be tried again, and stays.
void event_loop::let_others_pass(io_operation& op) noexcept
{
    if (op.result_ < 0 || op.descriptor_ == nullptr)
        return;
    op.detached_ = false;
    begin_next(op);
    op.descriptor_->remove(op);
    op.descriptor_ = nullptr;
}

/// Judges a result, and sends the operation to the kernel again if that is
/// what follows; the caller sees to it otherwise.
io_operation::step event_loop::settle(io_operation& op) noexcept
{
    using step = io_operation::step;
    // A polled request of a thread that has exited is failed with ECANCELED
    // when its descriptor becomes ready, with nothing consumed.
    const bool lost_thread = op.result_ == -ECANCELED && !op.cancel_requested_;
    if (op.detached_) {
        // What a cancelled send has sent is part of the stream, so it is told
        // as far as someone can go on with the stream; so is what a transfer
        // of a file has moved.
        const bool tells = op.descriptor_ != nullptr && is_told_late(op.submitted_as_);
        if (op.descriptor_ != nullptr)
            op.keep_for_later(*this);
        else
            op.discard(*this);
        if (!tells || op.result_ < 0)
            op.result_ = -ECANCELED;
        return step::done;
    }
    step next = lost_thread || op.result_ == -EINTR ? step::again : step::done;
    if (next == step::done && op.result_ != -ECANCELED)
        next = op.settle(*this);
    if (next != step::done && op.cancel_requested_) {
        op.result_ = -ECANCELED;
        next = step::done;
    }
    if (next == step::again) {
        op.state_ = io_state::pending;
        pending_.push_back(&op);
    }
    op.needs_perform_ = next == step::perform;
    return next;
}

void event_loop::make_ready(io_operation& op) noexcept
{
    op.state_ = io_state::ready;
    ready_.push_back(&op);
}

/// And those behind it, as long as they end at once; there may be very many.
void event_loop::begin(io_operation& op) noexcept
{
    io_operation* next = &op;
    while (begin_alone(*next)) {
        next = next->after_;
        if (next == nullptr || next->state_ != io_state::queued)
            return;
    }
}

/// True when it has ended at once.
bool event_loop::begin_alone(io_operation& op) noexcept
{
    if (op.cancel_requested_) { // Cancelled while it stood behind another.
        op.result_ = -ECANCELED;
        op.discard(*this);
        make_ready(op);
        return true;
    }
    if (op.role_ == io_operation::role::next_item)
        return begin_item(static_cast<item_operation&>(op));
    if (op.descriptor_->has_leftover() && op.complete_from_leftover(*this)) {
        make_ready(op);
        return true;
    }
    if (op.role_ == io_operation::role::in_two_lines && !op.takes_turn(*this)) {
        op.state_ = io_state::queued;
        return false;
    }
    op.state_ = io_state::pending;
    pending_.push_back(&op);
    write_was_started_ = write_was_started_ || op.direction_ == direction::write;
    return false;
}

void event_loop::begin_next(io_operation& op) noexcept
{
    if (op.after_ != nullptr && op.after_->state_ == io_state::queued)
        begin(*op.after_);
}

void event_loop::request_cancel(io_operation& op) noexcept
{
    op.cancel_requested_ = true;
    if (!op.result_known_)
        write_cancellation(op);
}

void event_loop::write_cancellation(const io_operation& op) noexcept
{
    backend::submission_entry* entry = kernel_->next_submission();
    if (entry == nullptr) {
        flush_published();
        entry = kernel_->next_submission();
    }
    if (entry == nullptr) {
        cancel_missed_ = true; // The kernel takes nothing now; the next turn asks again.
        return;
    }
    fill_cancellation(*entry, op.id_);
}

/// Every other time: the answer ends the wait of who asks, and there may be one again
/// and again, of a request that waits for a disk, say. In between, the loop sleeps.
void event_loop::retry_missed_cancels() noexcept
{
    cancels_retried_ = !cancels_retried_;
    if (!cancels_retried_)
        return;
    cancel_missed_ = false;
    slots_.for_each([this](io_operation& op) {
        if (op.state_ == io_state::in_kernel && (op.cancel_requested_ || op.edge_came_) &&
            !op.result_known_)
            write_cancellation(op);
    });
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
