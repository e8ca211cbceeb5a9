// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/event_loop.hpp>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

// Cancelling, closing and releasing, and what they leave behind.

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

using namespace std::chrono_literals;

constexpr direction all_directions[] = {direction::read, direction::write, direction::except};

/// How long release() lets the kernel finish a cancellation. Requests on
/// sockets end within microseconds; the bound is for a kernel that hangs.
constexpr backend::backend::timeout release_deadline = 1s;

/// The same for close(), where only the port and the peer's end of file
/// would come late: what the kernel still holds is detached anyway.
constexpr backend::backend::timeout close_deadline = 100ms;

} // namespace

void event_loop::cancel(descriptor& d, loop_thread* self)
{
    guard held(mutex_);
    put_posted_first(self);
    cancel_all(held, d, cancel_mode::cancel);
}

int event_loop::close(descriptor* d, loop_thread* self)
{
    worker_descriptor for_workers; // Closed without the lock, since a file may be flushed then.
    return close(d, self, for_workers);
}

int event_loop::close(descriptor* d, loop_thread* self, worker_descriptor& for_workers)
{
    guard held(mutex_);
    put_posted_first(self);
    cancel_all(held, *d, cancel_mode::close);
    const int fd = d->fd;
    for_workers = std::move(d->for_workers);
    forget(d);
    return fd;
}

int event_loop::release(descriptor* d, loop_thread* self)
{
    worker_descriptor for_workers;
    guard held(mutex_);
    put_posted_first(self);
    cancel_all(held, *d, cancel_mode::release);
    drop_leftovers(*d);
    const int fd = d->fd;
    for_workers = std::move(d->for_workers);
    forget(d);
    return fd;
}

int event_loop::native(const descriptor& d)
{
    const guard held(mutex_);
    return d.fd;
}

bool event_loop::is_busy(const descriptor& d)
{
    const guard held(mutex_);
    return std::any_of(std::begin(all_directions), std::end(all_directions),
                       [&d](direction dir) { return d.front(dir) != nullptr; });
}

void event_loop::cancel(operation_id id, loop_thread* self)
{
    guard held(mutex_);
    put_posted_first(self);
    if (!wait_until_performed(held, id))
        return;
    hurry_late();
    reap();
    io_operation* op = slots_.find(id);
    if (op == nullptr || op->descriptor_ == nullptr)
        return hand_back(held);
    if (op->direction_ == direction::write && !op->descriptor_->concurrent)
        attempt_writes(held, *op->descriptor_);
    if (op->state_ == io_state::in_kernel && !op->cancel_requested_) {
        request_cancel(*op);
        flush_published();
        reap();
        if (op->descriptor_ == nullptr) // Its bytes have gone: what is missing is a notification.
            return hand_back(held);
    }
    if (borrows_memory(*op)) { // Also where another thread has asked, and waits itself.
        await_kernel(
            held,
            [this, id] {
                const io_operation* const sought = slots_.find(id);
                return sought != nullptr && borrows_memory(*sought);
            },
            wait_forever);
        op = slots_.find(id);
        if (op == nullptr || op->descriptor_ == nullptr)
            return hand_back(held);
    }
    io_operation* const next = op->after_;
    conclude(*op, cancel_mode::cancel);
    // What stood behind it may be first in line now.
    if (next != nullptr && next->state_ == io_state::queued && has_turn(*next))
        begin(*next);
    hand_back(held);
}

void event_loop::cancel_all(guard& held, descriptor& d, cancel_mode mode)
{
    const bool had_stream = mode != cancel_mode::cancel && d.stream != nullptr;
    if (had_stream)
        abandon_stream(d);
    if (d.front(direction::read) == nullptr && d.front(direction::write) == nullptr &&
        d.front(direction::except) == nullptr) {
        if (mode == cancel_mode::close)
            drop_leftovers(d);
        if (had_stream) // To end it may have brought completions of others.
            hand_back(held);
        return;
    }
    wait_until_performed(held, d);
    hurry_late();
    reap();
    attempt_writes(held, d);
    request_ends(d);
    // Also where another thread has asked already, and waits itself. Whenever the lock is given
    // up, what was pending may be taken to the kernel by a thread that has its turn.
    const auto has_still = [this, &d](bool (*what)(const io_operation&)) {
        request_ends(d);
        return has_any(d, what);
    };
    await_kernel(
        held, [&] { return has_still(borrows_memory); }, wait_forever);
    // What another thread submitted ends there. A closed descriptor waits for
    // it too, so that its port is free; a whole context drains all at once.
    // Nothing waits for a disk, which cannot be interrupted.
    if (mode != cancel_mode::cancel && !shut_down_ && d.kind != file_kind::regular)
        await_kernel(
            held,
            [&] {
                return has_still([](const io_operation& op) {
                    // A worker that splices, to a disk perhaps, has numbers of its own.
                    return owes_result(op) && op.submitted_as_ != backend::opcode::splice;
                });
            },
            mode == cancel_mode::release ? release_deadline : close_deadline);
    // The lock was given up meanwhile, so that a thread may be performing again.
    wait_until_performed(held, d);
    hurry_late();
    request_ends(d);
    if (mode != cancel_mode::cancel && kernel_ && kernel_->unsubmitted() != 0) {
        // The kernel takes nothing; the number is given up all the same.
        kernel_->disown(d.fd);
        if (d.place)
            kernel_->disown_registered(d.place->index);
    }
    for (const direction dir : all_directions)
        for (io_operation* op = d.front(dir); op != nullptr;) {
            io_operation* const next = op->after_;
            conclude(*op, mode);
            op = next;
        }
    if (mode == cancel_mode::close)
        drop_leftovers(d);
    hand_back(held);
}

/// Asks for the end of what nobody has asked it for.
void event_loop::request_ends(descriptor& d) noexcept
{
    bool requested = false;
    for (const direction dir : all_directions)
        for (io_operation* op = d.front(dir); op != nullptr; op = op->after_)
            if (op->state_ == io_state::in_kernel && !op->cancel_requested_) {
                request_cancel(*op);
                requested = true;
            } else if (op->state_ == io_state::queued) {
                op->cancel_requested_ = true; // Its turn would come: begin() ends it then.
            }
    if (!requested)
        return;
    // Entering runs this thread's task work, so what it submitted itself has
    // completed when the call returns.
    flush_published();
    reap();
}

/// What was put off to the end of the turn goes to the queue of what is ready,
/// for it may end now, and then comes before what stands behind it.
void event_loop::hurry_late() noexcept
{
    ready_.splice_back(late_);
    ready_.splice_back(paused_);
}

/// Gives one operation the end that `mode` asks for. Afterwards the caller's
/// memory is not touched on its behalf.
void event_loop::conclude(io_operation& op, cancel_mode mode) noexcept
{
    switch (op.state_) {
    case io_state::pending:
        pending_.remove(&op);
        op.result_ = -ECANCELED;
        op.discard(*this);
        make_ready(op);
        break;
    case io_state::queued:
        if (mode == cancel_mode::cancel && op.cancel_requested_ && !has_turn(op))
            return; // Ends in its turn, behind what the kernel still has.
        op.result_ = -ECANCELED;
        op.discard(*this);
        make_ready(op);
        break;
    case io_state::ready:
        if (op.needs_perform_) {
            op.needs_perform_ = false;
            op.result_ = -ECANCELED;
            op.discard(*this);
        } else if (mode == cancel_mode::close) {
            op.discard(*this);
        } else if (!op.delivered_) {
            op.deliver(*this);
        }
        break;
    case io_state::in_kernel:
        op.detached_ = true;
        if (mode == cancel_mode::cancel)
            return; // Stays in line, so that what it brings comes first.
        break;
    case io_state::idle:
    case io_state::performing:
        return;
    }
    op.delivered_ = true;
    op.descriptor_->remove(op);
    op.descriptor_ = nullptr;
}

void event_loop::resume(io_operation& op) noexcept
{
    if (op.state_ == io_state::queued)
        begin(op);
}

void event_loop::leave(io_operation& op) noexcept
{
    io_operation* const next = op.descriptor_ != nullptr && has_turn(op) ? op.after_ : nullptr;
    detach(op);
    if (next != nullptr && next->state_ == io_state::queued)
        begin(*next);
}

void event_loop::request_end(io_operation& op) noexcept
{
    if (op.state_ != io_state::in_kernel || op.cancel_requested_)
        return;
    request_cancel(op);
    flush_published();
}

/// To be called at the end of whatever reaped outside a turn: the completions
/// taken may have been what the thread in the kernel was to wake for.
void event_loop::hand_back(guard& held)
{
    // Of streams that have enough, before the next turn: a handler may do for long what reaps.
    if (!to_cancel_.empty() && kernel_ && !kernel_->is_inherited()) {
        cancel_held_back();
        flush_published();
    }
    wake_for_ready(held);
    if (std::exchange(reaped_meanwhile_, false) || cancel_missed_ || !pending_.empty() ||
        !to_cancel_.empty())
        wake_waiter(held);
}

void event_loop::wake_for_ready(guard& held)
{
    if (ready_.holds_more_than(&turn_marker_))
        wake_one(held);
}

template <typename F>
bool event_loop::has_any(const descriptor& d, F is_sought) noexcept
{
    for (const direction dir : all_directions)
        for (const io_operation* op = d.front(dir); op != nullptr; op = op->after_)
            if (is_sought(*op))
                return true;
    return false;
}

bool event_loop::is_in_kernel(const io_operation& op) noexcept
{
    return op.state_ == io_state::in_kernel;
}

/// Whether nothing in its line is to come before it: what has ended stays there until its handler runs.
bool event_loop::has_turn(const io_operation& op) noexcept
{
    const io_operation* const before = op.descriptor_->concurrent ? nullptr : op.before_;
    return before == nullptr || (before->state_ == io_state::ready && !before->needs_perform_);
}

/// Of a zero-copy send only the memory may be left with the kernel.
bool event_loop::owes_result(const io_operation& op) noexcept
{
    return is_in_kernel(op) && !op.result_known_;
}

/// Whether the kernel may still write to the caller's memory. What such entries
/// ask for ends in the call that submits them, so that this is over when they
/// are flushed; a file that was given O_DIRECT behind our back is the exception,
/// and worth waiting for a disk.
bool event_loop::borrows_memory(const io_operation& op) noexcept
{
    return is_in_kernel(op) && op.borrows_memory();
}

/// Whether one of this descriptor's operations is in the middle of a
/// non-blocking call on another thread.
bool event_loop::is_performing(const descriptor& d) noexcept
{
    return has_any(d, [](const io_operation& op) { return op.state_ == io_state::performing; });
}

/// Results of such operations become final first.
void event_loop::wait_until_performed(guard& held, const descriptor& d)
{
    while (is_performing(d))
        wait_for_performed(held);
}

/// The same for the descriptor of one operation, or, where operations have no
/// order, for that one alone: of the others there may always be one. False when
/// the operation has ended.
///
/// It is looked up after each wait, in which another thread may have closed the
/// descriptor: whoever emits a signal need not keep the I/O object alive.
bool event_loop::wait_until_performed(guard& held, operation_id id)
{
    for (;;) {
        const io_operation* op = slots_.find(id);
        if (op == nullptr || op->descriptor_ == nullptr)
            return false;
        const descriptor& d = *op->descriptor_;
        if (d.concurrent ? op->state_ != io_state::performing : !is_performing(d))
            return true;
        wait_for_performed(held);
    }
}

void event_loop::wait_for_performed(guard& held)
{
    ++performing_waiters_;
    performed_.wait(held);
    --performing_waiters_;
}

void event_loop::attempt_writes(descriptor& d)
{
    // Not even the lock is taken where there is nothing to do: in a child of fork(2) it may be a
    // thread's that is not there, and native_handle() is what a child calls before exec(3).
    if (d.front(direction::write) == nullptr || (kernel_ && kernel_->is_inherited()))
        return;
    guard held(mutex_);
    wait_until_performed(held, d);
    // A write that another thread has published but not submitted yet counts
    // as started: the kernel takes an entry only after trying it.
    if (kernel_ && kernel_->unsubmitted() != 0)
        flush_published();
    reap();
    attempt_writes(held, d);
    hand_back(held);
}

void event_loop::attempt_writes(guard&, descriptor& d)
{
    hurry_late();
    if (kernel_ && kernel_->is_inherited())
        return; // They are the parent's, but for what a child starts before it has a ring.
    for (io_operation* op = d.front(direction::write); op != nullptr; op = op->after_) {
        if (op->state_ == io_state::ready && !op->needs_perform_)
            continue;
        if (d.concurrent && (op->state_ != io_state::pending || !op->can_perform()))
            continue;
        if (op->state_ == io_state::in_kernel || op->is_parents_ || !op->can_perform() ||
            !op->perform(d.fd)) {
            if (op->state_ == io_state::queued)
                begin(*op);
            if (d.concurrent)
                continue;
            return;
        }
        if (op->state_ == io_state::ready) {
            op->needs_perform_ = false; // It is in the ready queue already.
            continue;
        }
        if (op->state_ == io_state::pending)
            pending_.remove(op);
        make_ready(*op);
    }
}

/// Waits as long as `is_busy()`, and for so long at most.
template <typename F>
void event_loop::await_kernel(guard& held, F is_busy, backend::backend::timeout limit)
{
    using clock = std::chrono::steady_clock;
    const auto deadline = limit == wait_forever ? clock::time_point::max() : clock::now() + limit;
    while (is_busy() && clock::now() < deadline && enter_briefly(held)) {
    }
}

/// A step of waiting for the kernel to let go of something; false when it takes
/// nothing any more, of which the next turn will tell.
bool event_loop::enter_briefly(guard& held) noexcept
{
    constexpr backend::backend::timeout step = 1ms;
    if (cancel_missed_)
        retry_missed_cancels();
    flush_published();
    held.unlock();
    const int error = kernel_->enter(0, 1, &step);
    held.lock();
    reap();
    // What was taken on the way is not to wait for this. Once a step: the wake-up of another thread
    // ends the next call here, and is reaped, when that thread is slower.
    const auto now = std::chrono::steady_clock::now();
    if (reaped_meanwhile_ && now >= handed_back_ + step) {
        handed_back_ = now;
        hand_back(held);
    }
    return error >= 0 || backend::is_transient(error);
}

void event_loop::drop_leftovers(descriptor& d) noexcept
{
    if (d.leftover_buffer != descriptor::none)
        buffers_.give_back(d.leftover_buffer);
    d.leftover_buffer = descriptor::none;
    d.leftover_error = 0;
    if (d.leftover_socket >= 0)
        ::close(d.leftover_socket);
    d.leftover_socket = -1;
}

void event_loop::forget(descriptor* d) noexcept
{
    (d->previous != nullptr ? d->previous->next : descriptors_) = d->next;
    if (d->next != nullptr)
        d->next->previous = d->previous;
    if (write_is_queued_at_ == d)
        write_is_queued_at_ = nullptr;
    delete d;
}

/// A cancelled operation may have completed although no thread has taken its completion yet, or
/// be about to, since the cancellation came too late: what it brings comes before what the socket
/// has now, and it would rob who waits for that.
void event_loop::take_in_late(guard& held, descriptor& d)
{
    const auto is_ending = [&d] {
        const io_operation* const first = d.front(direction::read);
        return first != nullptr && first->detached_ && first->state_ == io_state::in_kernel;
    };
    if (!kernel_ || kernel_->is_inherited() || !is_ending())
        return;
    reap();
    await_kernel(held, is_ending, close_deadline);
    hand_back(held);
}

bool event_loop::has_leftover(descriptor& d)
{
    guard held(mutex_);
    take_in_late(held, d);
    return d.has_leftover();
}

int event_loop::take_leftover_error(descriptor& d)
{
    guard held(mutex_);
    take_in_late(held, d);
    return d.leftover_buffer == descriptor::none ? std::exchange(d.leftover_error, 0) : 0;
}

std::size_t event_loop::leftover_size(descriptor& d)
{
    guard held(mutex_);
    take_in_late(held, d);
    return d.leftover_buffer == descriptor::none ? 0 : d.leftover_size;
}

std::size_t event_loop::take_leftover(descriptor& d, std::byte* out, std::size_t size, bool peek)
{
    guard held(mutex_);
    take_in_late(held, d);
    if (d.leftover_buffer == descriptor::none || size == 0)
        return 0;
    const std::size_t n = std::min<std::size_t>(size, d.leftover_size);
    if (out != nullptr)
        std::memcpy(out, buffers_.data(d.leftover_buffer) + d.leftover_offset, n);
    consume_leftover(d, static_cast<std::uint32_t>(n), peek);
    return n;
}

void event_loop::consume_leftover(descriptor& d, std::uint32_t size, bool peek) noexcept
{
    if (peek)
        return;
    d.leftover_offset += size;
    d.leftover_size -= size;
    if (d.leftover_size == 0) {
        buffers_.give_back(d.leftover_buffer);
        d.leftover_buffer = descriptor::none;
    }
}

int event_loop::take_leftover_socket(descriptor& d)
{
    guard held(mutex_);
    take_in_late(held, d);
    return std::exchange(d.leftover_socket, -1);
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
