// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/backend.hpp>
#include <safer_ring/ring/descriptor.hpp>
#include <safer_ring/ring/driver.hpp>
#include <safer_ring/ring/loop_mutex.hpp>
#include <safer_ring/ring/slot_table.hpp>
#include <safer_ring/ring/staging.hpp>
#include <safer_ring/ring/timer_queue_base.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI::ring {

class buffer_group;
class item_operation;
struct stream_item;

/// What one thread carries through run(), poll() and their kin: work that it
/// posted itself, and work that it began (or, negative, ended), merged into the
/// loop's after each handler. That handler counts as work itself until then, so
/// that what is ended late keeps nobody waiting.
struct loop_thread {
    operation_queue private_ready;
    long private_work = 0;
};

/// How many threads will run the loop, which decides what may be cheaper.
enum class threading {
    one,    ///< One at a time; cooperative task work where the kernel has it.
    many,   ///< Any number at once.
    unsafe, ///< One, and no other thread touches the loop at all: no locks.
};

/// What closing a descriptor's operations does with results that are there
/// but not yet handed over.
enum class cancel_mode {
    cancel,  ///< They are delivered: nothing that the kernel did is lost.
    release, ///< The same, and the kernel has let go when the call returns.
    close,   ///< They are dropped, and operation_aborted is reported.
};

/// The engine under an io_context: a queue of ready operations, the threads
/// that run it, and a ring.
///
/// One lock guards everything, system calls excepted: entries are filled
/// under it and submitted after it is released; the kernel serialises its
/// own side. Entries are consumed first in, first out, so a cancellation that
/// entered the kernel has every earlier start behind it.
///
/// Thread safety: every public member may be called from any thread.
class event_loop {
public:
    /// Sets up an io_uring backend. Throws std::system_error.
    SAFER_RING_API event_loop(const options& settings, threading threads);

    /// Uses the backend given, as tests do.
    SAFER_RING_API event_loop(const options& settings, threading threads,
                              std::unique_ptr<backend::backend> kernel);

    event_loop(const event_loop&) = delete;
    event_loop& operator=(const event_loop&) = delete;

    /// Requires `shutdown()` before; calls it otherwise.
    SAFER_RING_API ~event_loop();

    // ---- running: see net::io_context for the contract of each

    /// Runs handlers until stopped or out of work; `after_handler()` is called
    /// after each, and may throw.
    template <typename F>
    std::size_t run(loop_thread& self, F after_handler)
    {
        return run_until_idle(self, wait_forever, after_handler);
    }
    template <typename F>
    std::size_t poll(loop_thread& self, F after_handler)
    {
        return run_until_idle(self, wait_not, after_handler);
    }
    /// Runs at most one handler, waiting for it at most `wait`.
    SAFER_RING_API std::size_t run_one(loop_thread& self, backend::backend::timeout wait);
    /// To be called behind the last of these, also when it threw: submits the writes that
    /// handlers have started, for there may not be another turn.
    SAFER_RING_API void end_run() noexcept;

    static constexpr backend::backend::timeout wait_forever = backend::backend::timeout::max();
    static constexpr backend::backend::timeout wait_not = backend::backend::timeout::zero();

    SAFER_RING_API void stop();
    SAFER_RING_API bool stopped();
    SAFER_RING_API void restart();

    /// Counts work, under the lock or not; what follows tells the loop of it.
    void count_work() noexcept { outstanding_work_.fetch_add(1, std::memory_order_relaxed); }

    /// The same for work that is no operation, such as an executor that tracks
    /// it. Not under the lock.
    void work_started()
    {
        if (outstanding_work_.fetch_add(1, std::memory_order_relaxed) == 0)
            tell_driver();
    }
    void work_finished(long count = 1)
    {
        if (driver_ != nullptr)
            return driven_work_finished(count);
        if (outstanding_work_.fetch_sub(count, std::memory_order_acq_rel) == count)
            stop();
    }

    /// The same from inside a handler, where `self` is not null. What ends there
    /// is not taken off before the handler is done, and what begins takes its
    /// place: copies of executors that track work come and go all the time. For
    /// those that begin first there is an advance.
    void work_started(loop_thread* self)
    {
        if (self == nullptr)
            return work_started();
        if (self->private_work >= 0) {
            constexpr long advance = 16;
            if (outstanding_work_.fetch_add(advance, std::memory_order_relaxed) == 0)
                tell_driver();
            self->private_work -= advance;
        }
        ++self->private_work;
    }
    void work_finished(loop_thread* self)
    {
        if (self != nullptr)
            --self->private_work;
        else
            work_finished();
    }

    [[nodiscard]] bool one_thread() const noexcept { return threads_ != threading::many; }
    /// False when no other thread than the running one may touch the loop.
    [[nodiscard]] bool thread_safe() const noexcept { return threads_ != threading::unsafe; }
    [[nodiscard]] const features& found() const noexcept { return features_; }
    [[nodiscard]] const options& settings() const noexcept { return options_; }

    // ---- running on the turns of somebody else's loop

    /// Leaves it to `d`, from now on and for good, when `drive` is called;
    /// run() and its kin must not be. To be called before anything is started.
    SAFER_RING_API void hand_to(driver& d);
    [[nodiscard]] bool is_driven() const noexcept { return driver_ != nullptr; }
    /// To be called after `count_work` where nothing else tells the loop.
    void tell_driver()
    {
        if (driver_ != nullptr)
            wake_driver();
    }

    /// Runs what is ready, at most so many handlers that the other loop is not
    /// starved, flushes what they started, and tells the driver when to come
    /// again. What the flush completes is left to a call that the driver
    /// arranges for afterwards: the other loop may have a handler in its queue
    /// that was posted before the operation was started, and so comes first. A
    /// call that was arranged for earlier runs what is ready, and no
    /// completions.
    ///
    /// `goes_on()` is called after each handler, and may throw. May be
    /// called by several threads at once.
    template <typename F>
    void drive(loop_thread& self, F goes_on)
    {
        guard held(mutex_);
        wake_sent_ = false;
        end_of_drive at_the_end{*this, held};
        if (put_off_ == 0)
            look_again();
        for (int n = 0; n < handlers_per_drive && do_run_one(held, self, wait_not) != 0; ++n) {
            if (!goes_on())
                return;
            if (!held.owns_lock())
                held.lock();
        }
        at_the_end.is_whole = true;
    }

    /// Becomes readable when there are completions.
    [[nodiscard]] int ready_descriptor() const noexcept { return kernel_->ready_descriptor(); }

    // ---- work without I/O

    /// Queues `op` and counts it as work. `self` is the calling thread's
    /// state when it runs this loop, null otherwise.
    SAFER_RING_API void post(operation* op, bool is_continuation, loop_thread* self);

    /// Queues operations that are counted already.
    SAFER_RING_API void post_deferred(operation_queue& ops, loop_thread* self);

    /// Takes over what an outer run() of the same thread kept for itself.
    SAFER_RING_API void adopt(loop_thread& outer);

    // ---- descriptors

    /// Throws std::bad_alloc; the descriptor itself is not touched.
    SAFER_RING_API descriptor* open(int fd);

    /// Queues `op` on `d` and counts it as work. Throws std::bad_alloc, and
    /// then nothing has happened. `id`, if given, is written before the
    /// operation can complete.
    SAFER_RING_API void start(descriptor& d, direction dir, io_operation& op, loop_thread* self,
                              operation_id* id = nullptr);

    /// The same for an operation of our own that does not keep run() from
    /// returning, and counts itself as work when it is completed.
    SAFER_RING_API void start_internal(descriptor& d, direction dir, io_operation& op);

    /// Completes `op`, which needs no descriptor, with `result`.
    SAFER_RING_API void complete_at_once(io_operation& op, int result, bool is_continuation,
                                         loop_thread* self);

    /// Cancels all operations of `d`; memory that came with them is neither
    /// read nor written once this has returned. `self` as for `post`.
    SAFER_RING_API void cancel(descriptor& d, loop_thread* self = nullptr);

    /// The same for one operation, if it is still there.
    SAFER_RING_API void cancel(operation_id id, loop_thread* self = nullptr);

    /// Cancels everything and forgets `d`; closing the number is then safe.
    /// Answers it, since an operation may have opened the file meanwhile, and the number
    /// that its requests had, if any: see worker_descriptor.hpp.
    SAFER_RING_API int close(descriptor* d, loop_thread* self, worker_descriptor& for_workers);
    SAFER_RING_API int close(descriptor* d, loop_thread* self = nullptr);

    /// Cancels everything, waits until the kernel let go, and forgets `d`;
    /// answers the number.
    SAFER_RING_API int release(descriptor* d, loop_thread* self = nullptr);

    // ---- registrations: see registered_file.hpp

    /// Requests of `d` spare the look-up of its number from now on, until it is
    /// closed or released. Throws std::system_error whose text names the likely cause.
    SAFER_RING_API void register_file(descriptor& d);
    /// Ends that; false while the kernel does not take what names the place.
    SAFER_RING_API bool unregister_file(descriptor& d);
    /// Operations that own their memory find this. Throws as `register_file`.
    [[nodiscard]] SAFER_RING_API registration_share register_memory(registrable_memory& memory);
    /// For operations, under the lock.
    [[nodiscard]] registry& registrations() noexcept { return *registry_; }

    /// The number of a descriptor that an operation opens; -1 before.
    [[nodiscard]] SAFER_RING_API int native(const descriptor& d);
    /// Whether operations of `d` are under way.
    [[nodiscard]] SAFER_RING_API bool is_busy(const descriptor& d);

    /// To be called before a synchronous call on `d`: tries its queued
    /// writes, in order, so that the call comes after them.
    SAFER_RING_API void attempt_writes(descriptor& d);
    /// To be called before a synchronous call that waits for a peer: submits what
    /// was started on any descriptor, which may be what the peer is waiting for, and
    /// would else go with a turn that this thread may be about to keep from coming.
    /// Answers `completions_so_far()`: another one may interrupt the call.
    SAFER_RING_API unsigned submit_before_blocking();
    /// How many there have ever been; wraps around.
    [[nodiscard]] SAFER_RING_API unsigned completions_so_far();

    /// Whether a cancelled operation of `d` brought in anything.
    SAFER_RING_API bool has_leftover(descriptor& d);
    /// Bytes that a cancelled receive brought in.
    SAFER_RING_API std::size_t leftover_size(descriptor& d);
    /// Hands out up to `size` of them, or drops these where `out` is null; `peek` leaves them in place.
    SAFER_RING_API std::size_t take_leftover(descriptor& d, std::byte* out, std::size_t size,
                                             bool peek);
    /// The error, negated, that one met behind those bytes, or zero.
    SAFER_RING_API int take_leftover_error(descriptor& d);
    /// The socket that a cancelled accept brought in, or -1.
    SAFER_RING_API int take_leftover_socket(descriptor& d);

    // ---- streams of items: see item_source.hpp

    /// Opens the stream of `s` on `d`; its request begins when the first item is
    /// asked for, behind the reads that were started before. Answers zero, or
    /// `stream_is_open` or another negated errno. Throws std::bad_alloc.
    SAFER_RING_API int open_stream(descriptor& d, item_source& s);

    /// Starts `op` as the next of `s`; false when that is over.
    SAFER_RING_API bool start_next(item_source& s, item_operation& op, loop_thread* self,
                                   operation_id* id);

    /// Ends the stream: who waits gets operation_aborted, `left` what nobody has
    /// taken, the descriptor an error that came behind it. Answers -ETIMEDOUT, and
    /// then it goes on, when the kernel does not let go; -ENOMEM when an item was
    /// lost for want of memory. Throws std::bad_alloc, and goes on; so it does when
    /// `make_room`, which is told how many items there are, throws.
    SAFER_RING_API int stop_stream(item_source& s, std::vector<stream_item>& left,
                                   const std::function<void(std::size_t)>& make_room = {});

    /// Ends the stream and takes `s` over. What nobody has taken is dropped.
    SAFER_RING_API void close_stream(item_source* s) noexcept;

    [[nodiscard]] SAFER_RING_API bool is_open(const item_source& s);
    /// How many items there are that nobody has taken.
    [[nodiscard]] SAFER_RING_API std::size_t items_held(const item_source& s);

    // ---- timers

    SAFER_RING_API void add(timer_queue_base& queue);
    SAFER_RING_API void remove(timer_queue_base& queue);

    /// The lock under which timer queues are changed.
    [[nodiscard]] std::unique_lock<loop_mutex> lock() { return std::unique_lock(mutex_); }

    /// To be called, under the lock, when a queue's earliest expiry changed.
    SAFER_RING_API void timer_added(std::unique_lock<loop_mutex>& held);

    // ---- for operations, under the lock

    receive_buffers& buffers() noexcept { return buffers_; }
    staging_pool& staging() noexcept { return *staging_; }
    /// Those of streams, registered by the first that asks; null where there are none.
    [[nodiscard]] SAFER_RING_API buffer_group* stream_buffers() noexcept;
    [[nodiscard]] std::uint32_t current_turn() const noexcept { return turn_; }
    /// True when what is started now will share a call with all else that the turn
    /// starts; while a thread waits in the kernel, starts are flushed one by one.
    [[nodiscard]] bool gathers_starts() const noexcept { return !waiting_; }
    /// True for the few requests of a turn that may be made by a system call of
    /// their own: when recent turns brought next to nothing each, so that few
    /// others share the call that submits them. Counts those that it grants.
    bool grants_call() noexcept
    {
        if (quiet_turns_ != quiet_after_turns)
            return false;
        if (calls_granted_ == few) { // A turn in which much is started.
            quiet_turns_ = 0;
            return false;
        }
        ++calls_granted_;
        return true;
    }
    void consume_leftover(descriptor& d, std::uint32_t size, bool peek) noexcept;
    /// Asks an operation that keeps its place in line again whether it goes on.
    SAFER_RING_API void resume(io_operation& op) noexcept;
    /// Takes an operation that waits in line out of it; it is never completed.
    SAFER_RING_API void leave(io_operation& op) noexcept;
    /// A poll told of these events, and the call that it let go ahead found nothing to do: where it
    /// was an error, the error queue of the socket is not empty, and the next poll would tell of it
    /// at once. From now on only a new edge counts.
    SAFER_RING_API static void note_vain_poll(io_operation& op, int events) noexcept;
    /// Asks the kernel to end the request of `op`, if it has one.
    SAFER_RING_API void request_end(io_operation& op) noexcept;

    // ---- fork(2): see io_context::notify_fork()

    /// Takes back what the kernel has, as far as that is soon done, so that parent
    /// and child submit it anew, each for itself.
    SAFER_RING_API void prepare_fork();
    /// In the child: gives the loop a ring of its own, as the next turn would. Throws
    /// std::system_error and std::bad_alloc, and may be called again.
    SAFER_RING_API void continue_in_child();

    // ---- end of life

    /// Cancels and drains everything, then destroys all handlers without
    /// calling them. What the kernel does not let go of in time is set aside
    /// with a report on standard error.
    SAFER_RING_API void shutdown();

    /// A line for each operation in flight.
    SAFER_RING_API std::string describe();

    /// Completions that belonged to no operation.
    [[nodiscard]] std::size_t stale_completions() const noexcept { return stale_completions_; }

private:
    using guard = std::unique_lock<loop_mutex>;
    struct marker final : operation {
        void complete(event_loop&) override {}
        void destroy() noexcept override {}
    };
    struct after_completion;
    struct end_of_drive {
        event_loop& loop;
        guard& held;
        bool is_whole = false;
        ~end_of_drive() { loop.finish_drive(held, is_whole); }
    };
    static constexpr int handlers_per_drive = 256;
    static constexpr unsigned put_off = 2;
    static constexpr unsigned quiet_after_turns = 16;
    static constexpr unsigned few = 2;
    static constexpr std::chrono::milliseconds vain_pause{1};

    template <typename F>
    std::size_t run_until_idle(loop_thread& self, backend::backend::timeout wait, F& after_handler)
    {
        std::size_t n = 0;
        if (!has_work())
            return 0;
        guard held(mutex_);
        while (do_run_one(held, self, wait) != 0) {
            after_handler();
            if (n != static_cast<std::size_t>(-1))
                ++n;
            if (!held.owns_lock())
                held.lock();
        }
        return n;
    }

    bool has_work()
    {
        if (outstanding_work_.load(std::memory_order_acquire) != 0)
            return true;
        stop();
        return false;
    }
    /// Called with the lock held, which it releases to call the handler; what
    /// follows the handler may have taken it again.
    SAFER_RING_API std::size_t do_run_one(guard& held, loop_thread& self,
                                          backend::backend::timeout wait);
    void put_before_turn(operation_queue& ops) noexcept;
    [[nodiscard]] bool runs_late() const noexcept { return one_thread() && driver_ == nullptr; }
    void wait_for_turn(guard& held, backend::backend::timeout wait);
    bool settle_before_handler(guard& held, io_operation& op);
    bool perform_unlocked(guard& held, io_operation& op);
    bool pauses(io_operation& op, bool was_paused) noexcept;
    void pause(guard& held, io_operation& op);
    void end_pauses() noexcept;
    io_operation* urgent_first(guard& held, io_operation& op);
    static bool minds_urgent_data(const io_operation& op) noexcept;
    void mind_urgent_data(guard& held, descriptor& d);
    void wake_for_more(guard& held);
    void wake_one(guard& held);
    void wake_waiter(guard& held);
    void stop_all(guard& held);

    // driver.cpp
    SAFER_RING_API void wake_driver();
    SAFER_RING_API void driven_work_finished(long count);
    SAFER_RING_API void finish_drive(guard& held, bool is_whole);
    SAFER_RING_API void look_again();

    // starting.cpp
    void do_start(descriptor& d, direction dir, io_operation& op, loop_thread* self,
                  operation_id* id, bool counts);
    [[nodiscard]] bool comes_next(guard& held, const io_operation& op, bool has_effect);
    void begin_started(guard& held, io_operation& op, const loop_thread* self, bool has_effect);
    void put_posted_first(loop_thread* self) noexcept;
    void end_rest(guard& held, const loop_thread* self);
    void submit_started(guard& held, loop_thread* self);
    void submit_alone(guard& held, io_operation& op);
    void submit_all(guard& held);
    void let_published_go(unsigned own) noexcept;
    [[nodiscard]] bool has_queued_write() noexcept;
    void hurry_writes(guard& held);
    [[nodiscard]] bool is_put_off_write(const io_operation& op) noexcept;

    // submission.cpp
    void take_turn(guard& held, backend::backend::timeout wait);
    void turn(guard& held, backend::backend::timeout wait);
    void take_stock(bool with_timers);
    backend::backend::timeout wait_duration(backend::backend::timeout wait);
    unsigned fill_submissions() noexcept;
    bool flush_published() noexcept;
    void submit_unlocked(guard& held) noexcept;
    void retry_missed_cancels() noexcept;
    void reap() noexcept;
    void take_in(const backend::completion_entry& entry) noexcept;
    io_operation* take_completed() noexcept;
    io_operation* find_completed(const backend::completion_entry& entry) noexcept;
    static int doubted_socket(const io_operation& op) noexcept;
    bool take_in_poll(io_operation& op, int result, bool more) noexcept;
    bool ask_to_cancel(operation_id id) noexcept;
    void end_poll(io_operation& op) noexcept;
    void let_others_pass(io_operation& op) noexcept;
    io_operation::step settle(io_operation& op) noexcept;
    void begin(io_operation& op) noexcept;
    [[nodiscard]] bool begin_alone(io_operation& op) noexcept;
    void make_ready(io_operation& op) noexcept;
    void begin_next(io_operation& op) noexcept;
    void detach(io_operation& op) noexcept;

    // cancellation.cpp
    void cancel_all(guard& held, descriptor& d, cancel_mode mode);
    void attempt_writes(guard& held, descriptor& d);
    [[nodiscard]] static bool is_performing(const descriptor& d) noexcept;
    void wait_until_performed(guard& held, const descriptor& d);
    [[nodiscard]] bool wait_until_performed(guard& held, operation_id id);
    void wait_for_performed(guard& held);
    void hurry_late() noexcept;
    void request_ends(descriptor& d) noexcept;
    void request_cancel(io_operation& op) noexcept;
    void write_cancellation(const io_operation& op) noexcept;
    void wake_for_ready(guard& held);
    void conclude(io_operation& op, cancel_mode mode) noexcept;
    void hand_back(guard& held);
    template <typename F>
    void await_kernel(guard& held, F is_busy, backend::backend::timeout limit);
    template <typename F>
    [[nodiscard]] static bool has_any(const descriptor& d, F is_sought) noexcept;
    [[nodiscard]] static bool is_in_kernel(const io_operation& op) noexcept;
    [[nodiscard]] static bool has_turn(const io_operation& op) noexcept;
    [[nodiscard]] static bool owes_result(const io_operation& op) noexcept;
    [[nodiscard]] static bool borrows_memory(const io_operation& op) noexcept;
    void take_in_late(guard& held, descriptor& d);
    void drop_leftovers(descriptor& d) noexcept;
    void forget(descriptor* d) noexcept;

    // item_streams.cpp
    [[nodiscard]] bool begin_item(item_operation& op) noexcept;
    item_operation* take_in_item(item_source& s, bool keeps_first) noexcept;
    item_operation* serve(item_source& s, bool keeps_first) noexcept;
    void adjust(item_source& s) noexcept;
    void conclude_waiting(descriptor& d) noexcept;
    void abandon_stream(descriptor& d) noexcept;
    void end_request(item_source& s) noexcept;
    void finish(item_source& s) noexcept;
    void cancel_held_back() noexcept;
    void free_finished() noexcept;
    bool enter_briefly(guard& held) noexcept;

    // fork.cpp
    [[nodiscard]] std::vector<operation_id> ids_in_kernel() const;
    void take_back(const std::vector<operation_id>& ids) noexcept;
    void renew();

    // teardown.cpp
    bool drain(guard& held);
    void set_aside(guard& held);
    [[nodiscard]] std::string describe_locked() const;

    const options options_;
    const threading threads_;
    loop_mutex mutex_;
    std::unique_ptr<backend::backend> kernel_;
    registry_owner registry_;
    features features_;
    receive_buffers buffers_;
    std::unique_ptr<staging_pool> staging_;
    std::shared_ptr<buffer_group> stream_buffers_;

    operation_queue ready_;
    operation_queue pending_; // First in line; to be written to the submission queue.
    slot_table<io_operation> slots_;
    descriptor* descriptors_ = nullptr;
    timer_queue_base* timer_queues_ = nullptr;
    driver* driver_ = nullptr; // Set once, before there is work.
    // Stands in `ready_` for "take the completions of the last turn, then its
    // timers, then let the kernel have another turn".
    marker turn_marker_;
    operation_queue due_; // Timers of the last turn, while `batch_` is not zero.
    // Due to perform when the handlers of the turn have run, before the next
    // flush. Filled only where the loop `runs_late`, by its one thread: others
    // could not be told of what is here.
    operation_queue late_;
    operation_queue paused_;    // Due to perform, but only in a while: see `pause`.
    operation_queue to_cancel_; // Sources of streams that the next turn asks to stop.
    operation_queue finished_;  // The same without an owner; freed where nobody looks at them.

    std::atomic<long> outstanding_work_{0};
    std::condition_variable_any idle_;
    std::condition_variable_any performed_;
    std::size_t idle_threads_ = 0;
    std::size_t wakeups_ = 0; // Idle threads that were signalled and have not woken yet.
    std::size_t performing_waiters_ = 0;
    std::size_t in_kernel_ = 0;
    std::uint32_t turn_ = 0; // Counts the kernel's turns.
    std::uint32_t late_taken_in_turn_ = 0;
    unsigned batch_ = 0;         // Completions of the last turn that are still to be taken.
    unsigned put_off_ = 0;       // How often a driven loop still passes the turn marker by.
    unsigned quiet_turns_ = 0;   // With few completions, in a row.
    unsigned calls_granted_ = 0; // In this turn.
    std::size_t stale_completions_ = 0;
    std::chrono::steady_clock::time_point paused_since_;
    std::chrono::steady_clock::time_point
        handed_back_;                // By who waits for the kernel outside of a turn.
    bool marker_is_out_ = false;     // A thread has the turn.
    bool has_refused_ = false;       // Entries are left of which the kernel wanted none.
    bool waiting_ = false;           // A thread is, or is about to be, blocked in the kernel; or
                                     // a driver waits, which it always may.
    bool wake_sent_ = false;         // It has been woken already.
    bool write_was_put_off_ = false; // To the end of its turn, and may stand there still.
    bool write_was_queued_ = false;  // Behind another of its descriptor, likewise.
    bool write_was_started_ = false; // And may not have been submitted: see `end_run`.
    const descriptor* write_is_queued_at_ = nullptr; // Where one was found.
    bool cancel_missed_ = false;                     // A cancellation did not find its request yet.
    bool cancels_retried_ = false;                   // When that was seen last.
    bool reaped_meanwhile_ = false; // Outside a turn, while a thread waited in the kernel.
    bool asked_for_stream_buffers_ = false;
    bool stopped_ = false;
    bool shut_down_ = false;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
