// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulation_state.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <system_error>
#include <unistd.h>

// The protocol of the two queues: taking entries, waiting, posting.

namespace safer_ring::inline SAFER_RING_ABI::backend {
namespace {

thread_local bool inside_simulation = false;

constexpr std::size_t longest_history = 1U << 16;
constexpr std::uint8_t link_flags = entry_link | entry_hard_link;

/// When the time of a timeout or link_timeout is over.
std::chrono::steady_clock::time_point due_time(const submission_entry& entry)
{
    using namespace std::chrono_literals;
    using clock = std::chrono::steady_clock;
    kernel_time time{};
    std::memcpy(&time, reinterpret_cast<const void*>(entry.address), sizeof time);
    const auto origin =
        (entry.op_flags & timeout_absolute) != 0 ? clock::time_point() : clock::now();
    // Centuries would overflow as a point in time.
    constexpr std::int64_t longest_seconds = std::int64_t{1} << 32;
    return origin + std::chrono::seconds(std::min(time.seconds, longest_seconds)) +
           std::chrono::nanoseconds(time.nanoseconds);
}

int new_waker()
{
    const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        throw std::system_error(errno, std::system_category(),
                                "safer_ring: eventfd for the simulated backend (likely cause: "
                                "RLIMIT_NOFILE is used up)");
    return fd;
}

} // namespace

executing_scope::executing_scope() noexcept : outer_(inside_simulation)
{
    inside_simulation = true;
}

executing_scope::~executing_scope()
{
    inside_simulation = outer_;
}

bool simulation::executing() noexcept
{
    return inside_simulation;
}

simulation::state::state(const simulation_plan& p) : plan(p), random(p.seed)
{
    idle_wakers.reserve(4); // Before there is a descriptor to lose.
    idle_wakers.push_back(new_waker());
}

simulation::state::~state()
{
    for (request& r : requests)
        drop(r);
    for (const int fd : close_when_drained)
        ::close(fd);
    for (const int fd : files)
        if (fd >= 0)
            ::close(fd);
    for (const int fd : idle_wakers)
        ::close(fd);
}

unsigned simulation::state::buffer_group::available() const noexcept
{
    const auto tail = std::atomic_ref(ring[0].tail).load(std::memory_order_acquire);
    return static_cast<std::uint16_t>(tail - head);
}

/// The errno that a test wants from this call, or zero.
int simulation::state::due_failure(call which)
{
    const unsigned n = ++calls[which];
    for (const failure& f : call_failures[which])
        if (n >= f.at && n < f.at + f.times)
            return f.error;
    return 0;
}

int simulation::state::enter(unsigned to_submit, unsigned min_complete,
                             const backend::timeout* wait)
{
    guard held(mutex);
    if (min_complete != 0 && waits_are_held) {
        ++held_waits;
        held_waits_changed.notify_all();
        held_waits_changed.wait(held, [this] { return !waits_are_held; });
        --held_waits;
    }
    if (const int error = due_failure(call::enter); error != 0)
        return -error;
    if (random.chance(plan.enter_error))
        return -random.pick({EINTR, EAGAIN, EBUSY, ENOMEM});
    flush_overflow();
    if (plan.refuses_when_overflowing && !overflow.empty() && to_submit != 0)
        return -EBUSY;
    const unsigned taken = take(to_submit);
    progress();
    if (taken != 0)
        wake_waiters();
    // The kernel does not wait either when it took less than it was told to.
    const bool blocks = min_complete != 0 && (wait == nullptr || wait->count() > 0);
    if (taken != to_submit || !blocks)
        return static_cast<int>(taken);
    // Fixed now: a completion that another thread reaps meanwhile counts.
    const unsigned target = std::atomic_ref(cq_head).load(std::memory_order_acquire) + min_complete;
    const int error = wait_for(held, target, wait);
    return taken != 0 ? static_cast<int>(taken) : error;
}

unsigned simulation::state::take(unsigned to_submit)
{
    const unsigned tail = std::atomic_ref(sq_tail).load(std::memory_order_acquire);
    unsigned n = std::min(to_submit, tail - sq_head);
    if (n > 1 && random.chance(plan.partial_submission))
        n = 1 + static_cast<unsigned>(random.below(n));
    // A chain is cut by the end of the call.
    std::vector<submission_entry> chain;
    unsigned i = 0;
    for (bool in_chain = false; i < n || (in_chain && i < to_submit && sq_head != tail); ++i) {
        const submission_entry& entry = chain.emplace_back(sq[sq_head & (sq.size() - 1)]);
        in_chain = (entry.flags & link_flags) != 0;
        note(entry);
        std::atomic_ref(sq_head).store(sq_head + 1, std::memory_order_release);
        if (!in_chain) {
            begin(chain);
            chain.clear();
        }
    }
    if (!chain.empty())
        begin(chain);
    return i;
}

int simulation::state::wait_for(guard& held, unsigned target, const backend::timeout* wait)
{
    using namespace std::chrono_literals;
    // A wait of hours would overflow as a point in time.
    const auto limit = wait != nullptr ? clock::now() + std::min<backend::timeout>(*wait, 24h)
                                       : clock::time_point::max();
    const auto reached = [&] { return static_cast<int>(cq_tail - target) >= 0; };
    const int waker = idle_wakers.empty() ? new_waker() : idle_wakers.back();
    if (!idle_wakers.empty())
        idle_wakers.pop_back();
    active_wakers.push_back(waker);
    int result = 0;
    std::vector<pollfd> polled;
    backend::timeout looked_for = 0ns;
    while (!reached()) {
        polled.assign(1, {waker, POLLIN, 0});
        bool counting = !outcomes.empty();
        for (const request& r : requests) {
            counting = counting || r.start_delay != 0 || plan.spurious_ready > 0;
            if (!r.held && r.start_delay == 0)
                polled.push_back({r.file, events_of(r), 0});
        }
        // What is late becomes due by our looking at it: so often in that time,
        // on a slow machine too, so that a seed replays.
        constexpr backend::timeout look = 200us;
        const auto now = clock::now();
        if (wait != nullptr && (looked_for >= *wait || (!counting && now >= limit))) {
            result = -ETIME;
            break;
        }
        auto slice = wait == nullptr ? backend::timeout(24h) : backend::timeout(limit - now);
        if (counting) {
            slice = look;
            looked_for += look;
        }
        if (const auto timer = earliest_timer())
            slice = std::clamp<backend::timeout>(*timer - now, 0ns, slice);
        const timespec length{static_cast<time_t>(slice / 1s),
                              static_cast<long>((slice % 1s).count())};
        held.unlock();
        ::ppoll(polled.data(), polled.size(), &length, nullptr);
        held.lock();
        std::uint64_t ignored = 0;
        [[maybe_unused]] const auto n = ::read(waker, &ignored, sizeof ignored);
        flush_overflow();
        progress();
    }
    std::erase(active_wakers, waker);
    idle_wakers.push_back(waker);
    return result;
}

void simulation::state::wake_waiters()
{
    constexpr std::uint64_t one = 1;
    for (const int fd : active_wakers)
        [[maybe_unused]] const auto n = ::write(fd, &one, sizeof one);
}

/// Executes what can be executed, and posts what is due.
void simulation::state::progress()
{
    std::vector<pollfd> polled;
    for (request& r : requests) {
        if (r.start_delay != 0)
            --r.start_delay;
        if (!r.held && r.start_delay == 0)
            polled.push_back({r.file, events_of(r), 0});
    }
    if (!polled.empty())
        ::poll(polled.data(), polled.size(), 0);
    std::size_t i = 0;
    for (auto it = requests.begin(); it != requests.end() && i < polled.size();) {
        const auto current = it++;
        if (current->held || current->start_delay != 0)
            continue;
        const bool ready = polled[i++].revents != 0 || never_waits(*current);
        if (!ready && current->entry.op == opcode::poll_add && random.chance(plan.spurious_ready)) {
            end(*current, events_of(*current));
            requests.erase(current);
        } else if ((ready && attempt(*current)) || run_out(*current)) {
            requests.erase(current);
        }
    }
    deliver_outcomes();
    update_attention();
}

void simulation::state::deliver_outcomes()
{
    std::vector<std::list<outcome>::iterator> due;
    for (auto it = outcomes.begin(); it != outcomes.end(); ++it)
        if (it->delay == 0 || --it->delay == 0)
            due.push_back(it);
    if (due.size() > 1 && random.chance(plan.reorder))
        for (std::size_t i = due.size() - 1; i > 0; --i)
            std::swap(due[i], due[random.below(i + 1)]);
    for (const auto it : due) {
        finish(*it);
        outcomes.erase(it);
    }
}

/// The write is made here and not before, so that memory which was given up
/// too early is written to after it, and a sanitizer sees that.
void simulation::state::finish(outcome& o)
{
    deliver(o);
    if (!closed)
        post(o.completion);
    else if (o.op == opcode::accept && o.completion.result >= 0)
        ::close(o.completion.result); // Nobody will ever hear of it.
}

void simulation::state::post(const completion_entry& completion)
{
    const unsigned head = std::atomic_ref(cq_head).load(std::memory_order_acquire);
    if (!overflow.empty() || cq_tail - head == cq.size()) {
        overflow.push_back(completion);
    } else {
        cq[cq_tail & (cq.size() - 1)] = completion;
        std::atomic_ref(cq_tail).store(cq_tail + 1, std::memory_order_release);
    }
    wake_waiters();
}

void simulation::state::flush_overflow()
{
    while (!overflow.empty() &&
           cq_tail - std::atomic_ref(cq_head).load(std::memory_order_acquire) < cq.size()) {
        cq[cq_tail & (cq.size() - 1)] = overflow.front();
        overflow.pop_front();
        std::atomic_ref(cq_tail).store(cq_tail + 1, std::memory_order_release);
    }
}

/// Requests make progress only within an enter, as with cooperative task
/// work, so anything in flight asks for one.
void simulation::state::update_attention()
{
    const bool wanted = !overflow.empty() || !requests.empty() || !outcomes.empty();
    std::atomic_ref(sq_flags).store(wanted ? simulation_attention : 0, std::memory_order_relaxed);
}

/// The ring is gone: the kernel cancels what it can and keeps the rest.
void simulation::state::close_ring()
{
    const guard held(mutex);
    closed = true;
    for (auto it = requests.begin(); it != requests.end();) {
        const auto current = it++;
        current->cancel_requested = true;
        if (!current->held) {
            drop(*current);
            requests.erase(current);
        }
    }
    for (outcome& o : outcomes)
        finish(o);
    outcomes.clear();
    for (const int fd : files)
        if (fd >= 0)
            ::close(fd);
    files.clear();
    finish_closed();
}

void simulation::state::finish_closed()
{
    if (!closed || !requests.empty())
        return;
    for (const int fd : close_when_drained)
        ::close(fd);
    close_when_drained.clear();
}

// ---------------------------------------------------------------- backend

simulated_backend::simulated_backend(std::shared_ptr<simulation> kernel, const options& settings)
    : kernel_(std::move(kernel))
{
    simulation::state& s = *kernel_->state_;
    s.sq.resize(std::bit_ceil(std::max(settings.submission_entries, 1U)));
    s.cq.resize(std::bit_ceil(std::max(settings.completion_entries, 1U)));
    sq_ = s.sq.data();
    sq_khead_ = &s.sq_head;
    sq_ktail_ = &s.sq_tail;
    sq_kflags_ = &s.sq_flags;
    sq_entries_ = static_cast<unsigned>(s.sq.size());
    sq_mask_ = sq_entries_ - 1;
    sq_attention_ = simulation_attention;
    cq_ = s.cq.data();
    cq_khead_ = &s.cq_head;
    cq_ktail_ = &s.cq_tail;
    cq_mask_ = static_cast<unsigned>(s.cq.size()) - 1;
    features_.backend_name = "simulated";
    features_.buffer_ring = s.plan.buffer_ring;
    features_.receive_poll_first = s.plan.receive_poll_first;
    features_.zero_copy_send = s.plan.zero_copy_send;
    features_.multishot_receive = s.plan.multishot_receive;
    features_.wait_timeout = s.plan.wait_timeout;
    features_.nowait_reads = s.plan.nowait_reads;
    features_.registered_files = features_.registered_buffers = true;
    features_.direct_descriptors = true;
    features_.submit_all = true;
    features_.submission_entries = sq_entries_;
    features_.completion_entries = static_cast<unsigned>(s.cq.size());
}

simulated_backend::~simulated_backend()
{
    const executing_scope scope;
    kernel_->state_->close_ring();
}

int simulated_backend::enter(unsigned to_submit, unsigned min_complete,
                             const timeout* wait) noexcept
{
    const executing_scope scope;
    return kernel_->state_->enter(to_submit, min_complete, wait);
}

int simulated_backend::close_when_drained(int fd) noexcept
{
    const executing_scope scope;
    simulation::state& s = *kernel_->state_;
    const std::lock_guard held(s.mutex);
    if (const int error = s.due_failure(simulation::call::close_when_drained); error != 0)
        return -error;
    s.close_when_drained.push_back(fd);
    return 0;
}

void simulation::state::note(const submission_entry& entry)
{
    if (history.size() < longest_history)
        history.push_back(entry);
}

/// The first of what is linked together; the rest follows when it has ended.
void simulation::state::begin(const std::vector<submission_entry>& chain)
{
    request r;
    r.entry = chain.front();
    auto rest = chain.begin() + 1;
    if (rest != chain.end() && rest->op == opcode::link_timeout) {
        r.limit = *rest;
        r.limit_due = due_time(*rest++);
    }
    r.behind.assign(rest, chain.end());
    submit(r);
}

void simulation::state::submit(request& r)
{
    const submission_entry& entry = r.entry;
    const unsigned n = ++entries[entry.op];
    for (const failure& f : entry_failures[entry.op])
        if (n >= f.at && n < f.at + f.times)
            return end(r, -f.error);
    if (entry.op == opcode::nop)
        return end(r, 0);
    if (entry.op == opcode::async_cancel)
        return cancel(entry);
    if (entry.op == opcode::link_timeout) // Behind nothing that it could limit.
        return end(r, -EINVAL);
    if (entry.op == opcode::timeout) {
        r.due = due_time(entry);
        r.held = is_held(entry);
        requests.push_back(r);
        return;
    }
    if (entry.op == opcode::close)
        return end(r, close_file(entry));
    if (entry.op == opcode::openat)
        return end(r, open(entry));
    if (const int error = resolve_registered_memory(r.entry); error < 0)
        return end(r, error);
    r.file = duplicate(descriptor_of(entry));
    if (r.file < 0)
        return end(r, -EBADF);
    r.nonblocking = (::fcntl(r.file, F_GETFL) & O_NONBLOCK) != 0;
    r.held = is_held(entry);
    if (entry.op == opcode::read && (entry.op_flags & RWF_NOWAIT) != 0 && !r.held)
        return read_at_once(r);
    if (random.chance(plan.late_start))
        r.start_delay = delay();
    const bool polls_first = entry.op == opcode::poll_add || entry.op == opcode::accept ||
                             (entry.op == opcode::recv && (entry.ioprio & receive_poll_first) != 0);
    if (r.nonblocking && entry.op == opcode::recv && polls_first && !r.held)
        return end(r, -EAGAIN); // It would have to wait, and its file says not to.
    if (r.held || r.start_delay != 0 || (polls_first && !r.nonblocking) || !attempt(r))
        requests.push_back(r);
}

bool simulation::state::is_held(const submission_entry& entry) const
{
    return holds_everything || held_opcodes.contains(entry.op) ||
           held_descriptors.contains(entry.fd);
}

} // namespace safer_ring::inline SAFER_RING_ABI::backend
