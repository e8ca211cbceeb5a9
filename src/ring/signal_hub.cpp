// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/signal_hub.hpp>

#include "../backend/fork_watch.hpp"

#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <mutex>
#include <poll.h>
#include <stdexcept>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// What all hubs of the process share.
struct signal_state : private backend::fork_watch {
    std::mutex mutex;
    signal_hub* hubs = nullptr;
    std::atomic<int> read_end{-1};
    std::atomic<int> write_end{-1};
    std::array<std::size_t, signal_hub::max_signal_number> registrations{};
    std::array<int, signal_hub::max_signal_number> flags{}; // Of signals that are registered.

    int set_flags(int signal_number, int wanted) noexcept;

    static signal_state& get()
    {
        static signal_state state;
        return state;
    }

    void make_pipe()
    {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
            throw std::system_error(errno, std::system_category(),
                                    "safer_ring: pipe2 for signal sets (likely cause: "
                                    "RLIMIT_NOFILE is used up)");
        read_end = ends[0];
        write_end = ends[1];
    }

    void open_pipe()
    {
        make_pipe();
        try {
            watch_forks();
        } catch (...) {
            close_pipe();
            throw;
        }
    }

    /// A pipe of our own under the same numbers: what comes here is not for the parent.
    void forked() noexcept override
    {
        // Who sends one to a child at once is to be heard by it, as soon as it can.
        sigset_t all, before;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        renew_pipe();
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    void renew_pipe() noexcept
    {
        const int reader = read_end.exchange(-1), writer = write_end.exchange(-1);
        // Before the new ones: the child may be at its limit.
        ::close(reader);
        ::close(writer);
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
            return; // Rather heard by nobody than by the parent.
        if (ends[1] != writer)
            ::dup3(ends[1], writer, O_CLOEXEC);
        if (ends[0] != reader) {
            ::dup3(ends[0], reader, O_CLOEXEC);
            ::close(ends[0]);
        }
        if (ends[1] != writer && ends[1] != reader)
            ::close(ends[1]);
        read_end = reader;
        write_end = writer;
    }

    void close_pipe() noexcept
    {
        ignore_forks();
        ::close(read_end.exchange(-1));
        ::close(write_end.exchange(-1));
    }

    static void deliver(int signal_number)
    {
        signal_state& state = get();
        const std::lock_guard lock(state.mutex);
        for (signal_hub* hub = state.hubs; hub != nullptr; hub = hub->next_)
            hub->deliver(signal_number);
    }
};

namespace {

extern "C" void safer_ring_signal_handler(int signal_number)
{
    const int saved = errno;
    [[maybe_unused]] const auto written =
        ::write(signal_state::get().write_end, &signal_number, sizeof signal_number);
    errno = saved;
}

using handler_type = void (*)(int);

int install(int signal_number, handler_type handler, int flags) noexcept
{
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigfillset(&action.sa_mask);
    return ::sigaction(signal_number, &action, nullptr) == 0 ? 0 : errno;
}

handler_type installed_handler(int signal_number) noexcept
{
    struct sigaction action {};
    if (::sigaction(signal_number, nullptr, &action) != 0 || (action.sa_flags & SA_SIGINFO) != 0)
        return SIG_ERR; // Nobody's that we know.
    return action.sa_handler;
}

} // namespace

signal_operation::~signal_operation()
{
    if (hub_ != nullptr) {
        const std::lock_guard lock(signal_state::get().mutex);
        hub_->cancellable_.erase(id_);
    }
}

/// Reads the pipe whenever it is readable, for as long as the hub lives. It is not
/// counted as work, but when it is completed, at its end.
class signal_hub::pipe_reader final : public io_operation {
public:
    pipe_reader() : io_operation(role::unending) {}
    void complete(event_loop& loop) override
    {
        loop.count_work();
        delete this;
    }
    void destroy() noexcept override { delete this; }

private:
    void prepare(event_loop&, backend::submission_entry& entry) noexcept override
    {
        prepare_poll(entry, POLLIN);
    }
    step settle(event_loop&) noexcept override { return step::perform; }
    bool perform(int fd) noexcept override
    {
        if (fd < 0 || fd != signal_state::get().read_end)
            return true; // A child's, which could not have a pipe of its own.
        int signal_number = 0;
        while (::read(fd, &signal_number, sizeof signal_number) == sizeof signal_number)
            if (signal_number > 0 && signal_number < static_cast<int>(max_signal_number))
                signal_state::deliver(signal_number);
        return false;
    }
};

/// Installs our handler for the first set that has the signal, and again when
/// a later one is the first to want certain flags.
int signal_state::set_flags(int signal_number, int wanted) noexcept
{
    const auto number = static_cast<std::size_t>(signal_number);
    if (registrations[number] != 0) {
        if (wanted == signal_hub::any_flags || wanted == flags[number])
            return 0;
        if (flags[number] != signal_hub::any_flags)
            return EINVAL;
    }
    const int error = install(signal_number, &safer_ring_signal_handler,
                              wanted == signal_hub::any_flags ? 0 : wanted);
    if (error == 0)
        flags[number] = wanted;
    return error;
}

signal_hub::signal_hub(event_loop& loop, void (*respected)(int))
    : loop_(loop), respected_(respected)
{
    signal_state& state = signal_state::get();
    std::unique_lock lock(state.mutex);
    // Whoever reads the pipe first tells all hubs, on a thread that a loop without locks
    // cannot bear. There is no other hub beside one of those, so one is as good as all.
    if (state.hubs != nullptr && !(loop.thread_safe() && state.hubs->loop_.thread_safe()))
        throw std::logic_error("safer_ring: signal sets on several contexts, one of which has "
                               "BOOST_ASIO_CONCURRENCY_HINT_UNSAFE; that one must be the only "
                               "one with signal sets");
    if (state.hubs == nullptr)
        state.open_pipe();
    else if (state.read_end < 0)
        state.make_pipe(); // A child could not have one. The sets from before stay deaf.
    try {
        auto reader = std::make_unique<pipe_reader>();
        pipe_ = loop_.open(state.read_end);
        loop_.start_internal(*pipe_, direction::read, *reader);
        static_cast<void>(reader.release());
    } catch (...) {
        if (pipe_ != nullptr)
            loop_.close(pipe_);
        if (state.hubs == nullptr)
            state.close_pipe();
        throw;
    }
    next_ = state.hubs;
    state.hubs = this;
}

signal_hub::~signal_hub()
{
    shutdown();
    signal_state& state = signal_state::get();
    const std::lock_guard lock(state.mutex);
    for (signal_hub** p = &state.hubs; *p != nullptr; p = &(*p)->next_)
        if (*p == this) {
            *p = next_;
            break;
        }
    if (state.hubs == nullptr)
        state.close_pipe();
}

void signal_hub::shutdown()
{
    operation_queue ops;
    {
        const std::lock_guard lock(signal_state::get().mutex);
        while (waiting_ != nullptr)
            ops.push_back(take_wait(*waiting_));
        // What is destroyed with the loop outlives the hub.
        for (const auto& [id, op] : cancellable_)
            op->hub_ = nullptr;
        cancellable_.clear();
    }
    loop_.post_deferred(ops, nullptr);
    if (pipe_ != nullptr)
        loop_.close(std::exchange(pipe_, nullptr));
}

int signal_hub::add(signal_set& set, int signal_number, int flags)
{
    if (signal_number < 0 || signal_number >= static_cast<int>(max_signal_number))
        return EINVAL;
    const auto number = static_cast<std::size_t>(signal_number);
    signal_state& state = signal_state::get();
    const std::lock_guard lock(state.mutex);
    for (const signal_registration* r = set.signals; r != nullptr; r = r->next_in_set)
        if (r->signal_number == signal_number)
            return 0;
    auto owned = std::make_unique<signal_registration>();
    if (respected_ != nullptr && installed_handler(signal_number) == respected_)
        return EBUSY;
    if (const int error = state.set_flags(signal_number, flags); error != 0)
        return error;
    ++state.registrations[number];
    signal_registration* const r = owned.release();
    r->signal_number = signal_number;
    r->set = &set;
    // In order of number, since a wait takes the smallest pending one, as in Asio.
    signal_registration** place = &set.signals;
    while (*place != nullptr && (*place)->signal_number < signal_number)
        place = &(*place)->next_in_set;
    r->next_in_set = std::exchange(*place, r);
    r->next_in_table = std::exchange(table_[number], r);
    if (r->next_in_table != nullptr)
        r->next_in_table->previous_in_table = r;
    return 0;
}

/// Takes the registration at `place` out of its set; the last one of a signal
/// restores the default action, unless somebody else handles the signal now.
int signal_hub::remove_registration(signal_registration** place)
{
    signal_registration* const r = *place;
    const auto number = static_cast<std::size_t>(r->signal_number);
    signal_state& state = signal_state::get();
    if (state.registrations[number] == 1 &&
        installed_handler(r->signal_number) == &safer_ring_signal_handler)
        if (const int error = install(r->signal_number, SIG_DFL, 0); error != 0)
            return error;
    --state.registrations[number];
    *place = r->next_in_set;
    (r->previous_in_table != nullptr ? r->previous_in_table->next_in_table : table_[number]) =
        r->next_in_table;
    if (r->next_in_table != nullptr)
        r->next_in_table->previous_in_table = r->previous_in_table;
    delete r;
    return 0;
}

int signal_hub::remove(signal_set& set, int signal_number)
{
    if (signal_number < 0 || signal_number >= static_cast<int>(max_signal_number))
        return EINVAL;
    const std::lock_guard lock(signal_state::get().mutex);
    for (signal_registration** p = &set.signals; *p != nullptr; p = &(*p)->next_in_set)
        if ((*p)->signal_number == signal_number)
            return remove_registration(p);
    return 0;
}

int signal_hub::clear(signal_set& set)
{
    const std::lock_guard lock(signal_state::get().mutex);
    while (set.signals != nullptr)
        if (const int error = remove_registration(&set.signals); error != 0)
            return error;
    return 0;
}

void signal_hub::push_wait(signal_set& set, signal_operation& op) noexcept
{
    if (set.waits.empty()) {
        set.previous_waiting = nullptr;
        set.next_waiting = std::exchange(waiting_, &set);
        if (set.next_waiting != nullptr)
            set.next_waiting->previous_waiting = &set;
    }
    op.set_ = &set;
    set.waits.push_back(&op);
}

void signal_hub::take_wait(signal_set& set, signal_operation& op) noexcept
{
    set.waits.remove(&op);
    op.set_ = nullptr;
    if (!set.waits.empty())
        return;
    (set.previous_waiting != nullptr ? set.previous_waiting->next_waiting : waiting_) =
        set.next_waiting;
    if (set.next_waiting != nullptr)
        set.next_waiting->previous_waiting = set.previous_waiting;
}

/// The first one; null where there is none.
signal_operation* signal_hub::take_wait(signal_set& set) noexcept
{
    auto* const op = static_cast<signal_operation*>(set.waits.front());
    if (op != nullptr)
        take_wait(set, *op);
    return op;
}

void signal_hub::cancel(signal_set& set, loop_thread* self)
{
    operation_queue ops;
    {
        const std::lock_guard lock(signal_state::get().mutex);
        while (signal_operation* const op = take_wait(set)) {
            op->cancelled = true;
            ops.push_back(op);
        }
    }
    loop_.post_deferred(ops, self);
}

void signal_hub::cancel(std::uint64_t id, loop_thread* self)
{
    operation_queue ops;
    {
        const std::lock_guard lock(signal_state::get().mutex);
        const auto found = cancellable_.find(id);
        if (found == cancellable_.end() || found->second->set_ == nullptr)
            return;
        signal_operation& op = *found->second;
        take_wait(*op.set_, op);
        op.cancelled = true;
        ops.push_back(&op);
    }
    loop_.post_deferred(ops, self);
}

void signal_hub::start(signal_set& set, signal_operation& op, std::uint64_t* id, loop_thread* self)
{
    operation_queue ready;
    {
        const std::lock_guard lock(signal_state::get().mutex);
        if (id != nullptr && pipe_ != nullptr) { // Without it the hub is shut down.
            cancellable_.emplace(++last_id_, &op);
            op.hub_ = this;
            op.id_ = *id = last_id_;
        }
        loop_.count_work();
        signal_registration* pending = nullptr;
        for (signal_registration* r = set.signals; r != nullptr && pending == nullptr;
             r = r->next_in_set)
            if (r->undelivered > 0)
                pending = r;
        if (pending != nullptr) {
            --pending->undelivered;
            op.signal_number = pending->signal_number;
            ready.push_back(&op);
        } else {
            push_wait(set, op);
        }
        // Without the lock, a signal may be the end of the loop's work, and the loop gone.
        loop_.tell_driver();
    }
    loop_.post_deferred(ready, self);
}

/// Completes all waits of all sets that have the signal, as Asio does, or
/// remembers it for the next wait.
void signal_hub::deliver(int signal_number)
{
    operation_queue ops;
    for (signal_registration* r = table_[static_cast<std::size_t>(signal_number)]; r != nullptr;
         r = r->next_in_table) {
        if (r->set->waits.empty())
            ++r->undelivered;
        while (signal_operation* const op = take_wait(*r->set)) {
            op->signal_number = signal_number;
            ops.push_back(op);
        }
    }
    loop_.post_deferred(ops, nullptr);
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
