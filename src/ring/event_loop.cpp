// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "waits.hpp"

#include <safer_ring/ring/buffer_group.hpp>
#include <safer_ring/ring/event_loop.hpp>
#include <safer_ring/ring/item_source.hpp>
#include <safer_ring/ring/quarantine.hpp>

#include <cassert>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include <poll.h>

namespace safer_ring::inline SAFER_RING_ABI::ring {

event_loop::event_loop(const options& settings, threading threads)
    : event_loop(settings, threads, backend::make_io_uring(settings, threads != threading::many))
{
}

event_loop::event_loop(const options& settings, threading threads,
                       std::unique_ptr<backend::backend> kernel)
    : options_(settings), threads_(threads), mutex_(threads != threading::unsafe),
      kernel_(std::move(kernel)), registry_(*kernel_), features_(kernel_->found()),
      buffers_(*kernel_, settings.buffer_ring ? settings.receive_buffer_count : 0,
               settings.receive_buffer_size_bytes),
      staging_(std::make_unique<staging_pool>(settings.send_buffer_size_bytes))
{
    if (!buffers_.available() && settings.buffer_ring && settings.receive_buffer_count != 0) {
        const std::string note =
            std::string("no buffers chosen by the kernel: ") + buffers_.reason();
        if (settings.on_missing == fallback::strict)
            throw std::system_error(std::make_error_code(std::errc::not_supported),
                                    "safer_ring: " + note);
        if (settings.on_missing == fallback::warn)
            std::fprintf(stderr, "safer_ring: %s\n", note.c_str());
        features_.notes.push_back(note);
    }
    features_.buffer_ring = buffers_.available();
    registry_->set_limits(settings.registered_file_count, settings.registered_buffer_count);
    ready_.push_back(&turn_marker_);
    quarantine::reclaim();
}

/// Runs after each handler, also when it threw: counts the work it finished
/// and the work it posted, and queues the latter.
struct event_loop::after_completion {
    event_loop& loop;
    guard& held;
    loop_thread& self;

    ~after_completion()
    {
        if (self.private_work > 1)
            loop.outstanding_work_.fetch_add(self.private_work - 1, std::memory_order_relaxed);
        else if (self.private_work < 1)
            loop.work_finished(1 - self.private_work);
        self.private_work = 0;
        if (!self.private_ready.empty()) {
            held.lock(); // The caller goes on with it.
            loop.ready_.splice_back(self.private_ready);
        }
    }
};

std::size_t event_loop::run_one(loop_thread& self, backend::backend::timeout wait)
{
    if (!has_work())
        return 0;
    guard held(mutex_);
    return do_run_one(held, self, wait);
}

/// Another thread is having the kernel's turn.
void event_loop::wait_for_turn(guard& held, backend::backend::timeout wait)
{
    ++idle_threads_;
    const auto woken = [this] { return wakeups_ > 0 || stopped_; };
    if (wait == wait_forever)
        idle_.wait(held, woken);
    else
        idle_.wait_for(held, wait, woken);
    --idle_threads_;
    if (wakeups_ > 0)
        --wakeups_;
}

/// The turn marker, which is in front, goes behind all that is ready, and `ops`
/// with it.
void event_loop::put_before_turn(operation_queue& ops) noexcept
{
    ready_.pop_front();
    ready_.splice_back(ops);
    ready_.push_back(&turn_marker_);
}

void event_loop::take_turn(guard& held, backend::backend::timeout wait)
{
    try {
        turn(held, wait);
    } catch (...) { // The next one is another thread's, which may be asleep.
        if (driver_ == nullptr && !one_thread())
            wake_for_more(held);
        throw;
    }
}

/// Of few reads, and asked of each.
inline bool event_loop::minds_urgent_data(const io_operation& op) noexcept
{
    return op.direction_ == direction::read && op.descriptor_ != nullptr &&
           op.descriptor_->minds_urgent_data;
}

std::size_t event_loop::do_run_one(guard& held, loop_thread& self, backend::backend::timeout wait)
{
    const bool forever = wait == wait_forever;
    bool waited = false;
    while (!stopped_) {
        operation* op = ready_.front();
        if (op == nullptr) {
            if (waited || wait == wait_not)
                return 0;
            wait_for_turn(held, wait);
            waited = !forever;
            continue;
        }
        if (op != &turn_marker_) {
            ready_.pop_front();
        } else if (put_off_ != 0) {
            if (--put_off_ == 0)
                return 0;
            ready_.pop_front();
            ready_.push_back(&turn_marker_);
            continue;
        } else if (batch_ != 0) {
            if (kernel_->is_inherited()) { // A handler has forked: the others are the parent's.
                batch_ = 0;
                continue;
            }
            op = take_completed();
            if (op == nullptr)
                continue;
        } else if (!due_.empty()) {
            put_before_turn(due_);
            continue;
        } else if (!late_.empty() && late_taken_in_turn_ != turn_) {
            late_taken_in_turn_ = turn_;
            put_before_turn(late_);
            continue;
        } else {
            if (waited &&
                ready_.holds_more_than(&turn_marker_)) { // Put there by what has completed.
                ready_.pop_front();
                ready_.push_back(&turn_marker_);
                continue;
            }
            if (waited) {
                wake_for_more(held);
                return 0;
            }
            assert(self.private_work == 0);
            ready_.pop_front();
            const bool more = !ready_.empty() || !late_.empty();
            if (more && driver_ == nullptr && !one_thread())
                wake_for_more(held);
            take_turn(held, more ? wait_not : wait);
            if (driver_ != nullptr) { // See drive().
                put_off_ = wake_sent_ ? put_off : 0;
                return 0;
            }
            waited = !forever;
            continue;
        }
        if (op->is_io() && minds_urgent_data(static_cast<io_operation&>(*op)))
            op = urgent_first(held, static_cast<io_operation&>(*op));
        if (op == nullptr)
            continue;
        if (op->is_io() && !settle_before_handler(held, static_cast<io_operation&>(*op)))
            continue;
        if (!ready_.empty() && !one_thread())
            wake_for_more(held);
        held.unlock();
        const after_completion count{*this, held, self};
        op->complete(*this);
        return 1;
    }
    return 0;
}

bool event_loop::perform_unlocked(guard& held, io_operation& op)
{
    op.state_ = io_state::performing;
    const int fd = op.descriptor_->fd;
    held.unlock();
    const bool done = op.perform(fd);
    held.lock();
    op.state_ = io_state::ready;
    if (performing_waiters_ != 0)
        performed_.notify_all();
    return done;
}

bool event_loop::settle_before_handler(guard& held, io_operation& op)
{
    if (op.needs_perform_) {
        op.needs_perform_ = false;
        const bool was_paused = op.is_paused_;
        op.is_paused_ = false;
        if (!perform_unlocked(held, op)) {
            if (pauses(op, was_paused)) {
                pause(held, op);
                return false;
            }
            if (runs_late() && op.attempts_again(*this)) {
                op.needs_perform_ = true;
                write_was_put_off_ = write_was_put_off_ || op.direction_ == direction::write;
                late_.push_back(&op);
                return false;
            }
            op.state_ = io_state::pending;
            pending_.push_back(&op);
            submit_started(held, nullptr);
            return false;
        }
        begin_next(op);
        submit_started(held, nullptr);
    }
    if (!op.delivered_)
        op.deliver(*this);
    if (waiting_ && !pending_.empty())
        submit_started(held, nullptr); // What it kept waiting elsewhere.
    detach(op);
    return true;
}

void event_loop::detach(io_operation& op) noexcept
{
    if (op.descriptor_ != nullptr)
        op.descriptor_->remove(op);
    op.descriptor_ = nullptr;
    if (op.id_ != operation_id::none)
        slots_.erase(op.id_);
    op.id_ = operation_id::none;
    op.state_ = io_state::idle;
}

void event_loop::stop()
{
    guard held(mutex_);
    stop_all(held);
}

bool event_loop::stopped()
{
    const guard held(mutex_);
    return stopped_;
}

void event_loop::restart()
{
    const guard held(mutex_);
    stopped_ = false;
}

void event_loop::stop_all(guard& held)
{
    if (driver_ != nullptr) // Its loop goes on; it is told that there is no work.
        return wake_waiter(held);
    stopped_ = true;
    idle_.notify_all();
    wake_waiter(held);
}

/// There is more in the queue than the caller will take: let an idle thread
/// come, or the one that waits in the kernel.
void event_loop::wake_for_more(guard& held)
{
    if (!one_thread())
        wake_one(held);
}

void event_loop::wake_one(guard& held)
{
    if (idle_threads_ > wakeups_) {
        ++wakeups_;
        idle_.notify_one();
    } else {
        wake_waiter(held);
    }
}

/// Ends the wait of the thread in the kernel by a completion that belongs to
/// nobody. A no-op completes within the call, so it leaves nothing behind
/// with the calling thread.
///
/// The lock stays held: as soon as it is released, another thread may find
/// the loop out of work and destroy it.
void event_loop::wake_waiter(guard&)
{
    if (!waiting_ || wake_sent_)
        return;
    if (driver_ != nullptr) {
        wake_sent_ = true;
        driver_->wake();
        return;
    }
    backend::submission_entry* entry = kernel_->next_submission();
    if (entry == nullptr) {
        // The queue is full of entries that the waiting thread is about to
        // submit; taking them makes room.
        flush_published();
        entry = kernel_->next_submission();
        if (entry == nullptr)
            return;
    }
    *entry = {};
    entry->user_data = ~std::uint64_t{0};
    kernel_->publish();
    let_published_go(1); // That thread takes this one too, then.
    wake_sent_ = (!has_refused_ && kernel_->enter(1, 0, &no_wait) == 1) || flush_published();
}

void event_loop::post(operation* op, bool is_continuation, loop_thread* self)
{
    if (self != nullptr && (one_thread() || is_continuation)) {
        ++self->private_work;
        self->private_ready.push_back(op);
        return;
    }
    count_work();
    guard held(mutex_);
    ready_.push_back(op);
    wake_one(held);
}

void event_loop::post_deferred(operation_queue& ops, loop_thread* self)
{
    if (ops.empty())
        return;
    if (self != nullptr && one_thread()) {
        self->private_ready.splice_back(ops);
        return;
    }
    guard held(mutex_);
    ready_.splice_back(ops);
    wake_one(held);
}

descriptor* event_loop::open(int fd)
{
    auto* d = new descriptor(fd);
    const guard held(mutex_);
    d->next = descriptors_;
    if (descriptors_ != nullptr)
        descriptors_->previous = d;
    descriptors_ = d;
    return d;
}

void event_loop::register_file(descriptor& d)
{
    int fd = -1;
    {
        const guard held(mutex_);
        if (d.place)
            return;
        if (!kernel_)
            throw std::system_error(ECANCELED, std::system_category(),
                                    "safer_ring: registering a descriptor with a context that is "
                                    "being destroyed");
        fd = d.fd;
    }
    registration_share place = registry_->register_file(fd);
    const guard held(mutex_);
    d.place = std::move(place);
}

bool event_loop::unregister_file(descriptor& d)
{
    registration_share place; // Given up without the lock.
    guard held(mutex_);
    if (!d.place || !kernel_)
        return true;
    // The place may be another file's when what names it is submitted late.
    const bool is_named = !flush_published();
    reap();
    if (!is_named)
        place = std::move(d.place);
    hand_back(held);
    held.unlock();
    return !is_named;
}

registration_share event_loop::register_memory(registrable_memory& memory)
{
    {
        const guard held(mutex_);
        if (!kernel_)
            throw std::system_error(ECANCELED, std::system_category(),
                                    "safer_ring: registering buffers with a context that is being "
                                    "destroyed");
    }
    return registry_->register_memory(memory);
}

void event_loop::adopt(loop_thread& outer)
{
    outstanding_work_.fetch_add(std::exchange(outer.private_work, 0), std::memory_order_relaxed);
    post_deferred(outer.private_ready, nullptr);
}

void event_loop::complete_at_once(io_operation& op, int result, bool is_continuation,
                                  loop_thread* self)
{
    op.result_ = result;
    post(&op, is_continuation, self);
}

void event_loop::add(timer_queue_base& queue)
{
    const guard held(mutex_);
    queue.next_ = timer_queues_;
    timer_queues_ = &queue;
}

void event_loop::remove(timer_queue_base& queue)
{
    const guard held(mutex_);
    for (timer_queue_base** p = &timer_queues_; *p != nullptr; p = &(*p)->next_)
        if (*p == &queue) {
            *p = queue.next_;
            return;
        }
}

void event_loop::timer_added(guard& held)
{
    wake_waiter(held);
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
