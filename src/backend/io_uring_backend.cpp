// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/backend/backend.hpp>

#include "fork_watch.hpp"
#include "kernel_abi.hpp"
#include "limit_text.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <mutex>
#include <new>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::backend {
namespace {

/// How long the memory of a ring that was closed may be missing.
constexpr std::chrono::milliseconds recovery_time(100);

/// The smallest queue worth having before ENOMEM is reported.
constexpr unsigned least_submission_entries = 16;

/// ThreadSanitizer holds signal handlers back until the thread is in a call it
/// knows to block. It knows ppoll() and not io_uring_enter(), where a program
/// would sleep on for ever with its SIGTERM unheard.
#if defined(__SANITIZE_THREAD__)
constexpr bool waits_in_poll = true;
#elif defined(__has_feature)
constexpr bool waits_in_poll = __has_feature(thread_sanitizer);
#else
constexpr bool waits_in_poll = false;
#endif

std::string likely_cause(int error)
{
    switch (error) {
    case ENOSYS:
        return "the kernel has no io_uring (Linux 5.10 is the oldest supported) or a seccomp "
               "filter hides it";
    case EPERM:
    case EACCES: {
        int setting = 0;
        std::ifstream("/proc/sys/kernel/io_uring_disabled") >> setting;
        if (setting != 0)
            return "kernel.io_uring_disabled is " + std::to_string(setting) +
                   "; ask for 0, or for 1 with membership in kernel.io_uring_group; or a seccomp "
                   "filter refuses io_uring_setup";
        return "a seccomp filter or security module refuses io_uring_setup, as container "
               "runtimes do by default";
    }
    case ENOMEM: {
        // A ring's memory counts against the second since Linux 5.12, and before, and again since
        // 6.14, against the first.
        const std::string group = "the memory limit of the control group (MemoryMax=, --memory)";
        const auto locked = limit_text(RLIMIT_MEMLOCK);
        if (!locked)
            return group;
        return "RLIMIT_MEMLOCK is " + *locked + " bytes (ulimit -l, LimitMEMLOCK=), or " + group;
    }
    case EINVAL: {
        utsname kernel{};
        ::uname(&kernel);
        return std::string("Linux 5.10 is the oldest supported, and this is ") + kernel.release;
    }
    case EMFILE:
        return "RLIMIT_NOFILE of " + limit_text(RLIMIT_NOFILE).value_or("unlimited") +
               " descriptors is used up; raise it (ulimit -n, LimitNOFILE=)";
    case ENFILE:
        return "the system-wide limit fs.file-max is used up";
    default:
        return "unexpected";
    }
}

[[noreturn]] void throw_setup_error(int error, const char* operation)
{
    throw std::system_error(error, std::system_category(),
                            std::string("safer_ring: ") + operation +
                                " (likely cause: " + likely_cause(error) + ")");
}

class io_uring_backend final : public backend, private fork_watch {
    using clock = std::chrono::steady_clock;

public:
    io_uring_backend(const options& settings, bool cooperative)
    {
        set_up(settings, cooperative);
        if ((parameters_.features & IORING_FEAT_NODROP) == 0) {
            ::io_uring_queue_exit(&ring_);
            throw_setup_error(ENOSYS, "io_uring_setup: the kernel would drop completions");
        }
        adopt_queues();
        try {
            record_features();
            watch_forks();
        } catch (...) {
            ::io_uring_queue_exit(&ring_);
            throw;
        }
    }

    ~io_uring_backend() override
    {
        ignore_forks();
        // As io_uring_queue_exit() does it, but not by raw system calls: ThreadSanitizer would take
        // the next ring at this address for this one, and its first use for a race.
        for_each_mapping(
            [](void* memory, std::size_t size_bytes) { ::munmap(memory, size_bytes); });
        if (is_inherited_)
            return;
        ::close(ring_.ring_fd);
        last_closed() = clock::now().time_since_epoch();
    }

    int enter(unsigned to_submit, unsigned min_complete, const timeout* wait) noexcept override
    {
        if (is_inherited_) [[unlikely]]
            return answer_without_kernel(to_submit, min_complete);
        if (min_complete == 0 || (wait != nullptr && *wait <= timeout::zero()))
            return call_enter(to_submit, 0, IORING_ENTER_GETEVENTS, nullptr, _NSIG / 8);
        if (waits_in_poll || (wait != nullptr && !features_.wait_timeout))
            return enter_then_poll(to_submit, wait);
        if (wait == nullptr)
            return call_enter(to_submit, min_complete, wait_flags_, nullptr, _NSIG / 8);

        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*wait);
        __kernel_timespec limit{};
        limit.tv_sec = seconds.count();
        limit.tv_nsec = (*wait - seconds).count();
        io_uring_getevents_arg argument{};
        argument.ts = reinterpret_cast<std::uint64_t>(&limit);
        return call_enter(to_submit, min_complete, wait_flags_ | IORING_ENTER_EXT_ARG, &argument,
                          sizeof argument);
    }

    int register_buffer_ring(provided_buffer* buffers, unsigned count,
                             std::uint16_t group) noexcept override
    {
        return register_buffers(buffers, count, group, 0);
    }

    int register_incremental_buffer_ring(provided_buffer* buffers, unsigned count,
                                         std::uint16_t group) noexcept override
    {
        return register_buffers(buffers, count, group, incremental_buffer_ring);
    }

    int unregister_buffer_ring(std::uint16_t group) noexcept override
    {
        return ::io_uring_unregister_buf_ring(&ring_, group);
    }

    /// Linux before 5.19 knows no empty table, but empty places in one.
    int register_file_table(unsigned count) noexcept override
    {
        if (const int result = register_empty(IORING_REGISTER_FILES2, count); result != -EINVAL)
            return result;
        const std::unique_ptr<int[]> none(new (std::nothrow) int[count]);
        if (!none)
            return -ENOMEM;
        std::fill_n(none.get(), count, -1);
        return call_register(IORING_REGISTER_FILES, none.get(), count);
    }

    int update_file(unsigned index, int fd) noexcept override
    {
        // The kernel empties the place before it looks at the descriptor.
        if (fd >= 0 && !is_registrable(fd))
            return -EBADF;
        io_uring_files_update request{};
        request.offset = index;
        request.fds = reinterpret_cast<std::uint64_t>(&fd);
        return call_register(IORING_REGISTER_FILES_UPDATE, &request, 1);
    }

    int register_buffer_table(unsigned count) noexcept override
    {
        if (const int result = register_empty(IORING_REGISTER_BUFFERS2, count); result != -EINVAL)
            return result;
        const std::unique_ptr<iovec[]> none(new (std::nothrow) iovec[count]());
        if (!none)
            return -ENOMEM;
        io_uring_rsrc_register request{};
        request.nr = count;
        request.data = reinterpret_cast<std::uint64_t>(none.get());
        return call_register(IORING_REGISTER_BUFFERS2, &request, sizeof request);
    }

    int update_buffer(unsigned index, void* data, std::size_t size_bytes) noexcept override
    {
        const iovec bytes{data, size_bytes};
        io_uring_rsrc_update2 request{};
        request.offset = index;
        request.data = reinterpret_cast<std::uint64_t>(&bytes);
        request.nr = 1;
        return call_register(IORING_REGISTER_BUFFERS_UPDATE, &request, sizeof request);
    }

    int ready_descriptor() const noexcept override { return ring_.ring_fd; }

    int close_when_drained(int fd) noexcept override
    {
        int result = update_file(0, fd); // Nobody submits any more: any place will do.
        // Without a table; before Linux 5.13, making one would wait for all requests.
        if (result == -ENXIO && (parameters_.features & IORING_FEAT_RSRC_TAGS) != 0)
            result = ::io_uring_register_files(&ring_, &fd, 1);
        if (result == 0)
            ::close(fd);
        return result;
    }

private:
    template <typename F>
    void for_each_mapping(F&& f) noexcept
    {
        f(ring_.sq.ring_ptr, ring_.sq.ring_sz);
        if (ring_.cq.ring_ptr != ring_.sq.ring_ptr) // Before IORING_FEAT_SINGLE_MMAP.
            f(ring_.cq.ring_ptr, ring_.cq.ring_sz);
        f(ring_.sq.sqes, parameters_.sq_entries * sizeof(io_uring_sqe));
    }

    /// The queues are shared with the parent, whose they stay: here there are empty ones
    /// in their place.
    void forked() noexcept override
    {
        for_each_mapping([](void* memory, std::size_t size_bytes) {
            if (::mmap(memory, size_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
                std::abort();
        });
        ::close(std::exchange(ring_.ring_fd, -1));
        sq_tail_ = cq_head_ = 0;
        is_inherited_ = true;
    }

    /// By several threads at once, as the kernel would; of both queues the other end is
    /// theirs.
    int answer_without_kernel(unsigned to_submit, unsigned min_complete) noexcept
    {
        const std::lock_guard held(answering_);
        unsigned tail = *cq_ktail_;
        const unsigned not_taken = std::atomic_ref(*cq_khead_).load(std::memory_order_acquire);
        const unsigned published = std::atomic_ref(*sq_ktail_).load(std::memory_order_acquire);
        unsigned head = *sq_khead_;
        unsigned taken = 0;
        for (; taken != to_submit && head != published; ++taken, ++head) {
            if (tail - not_taken + 2 > cq_mask_ + 1)
                break;
            const submission_entry& entry = sq_[head & sq_mask_];
            const bool cancels = entry.op == opcode::async_cancel;
            if (cancels)
                cq_[tail++ & cq_mask_] = {entry.address, -ECANCELED, 0};
            cq_[tail++ & cq_mask_] = {entry.user_data, cancels ? 0 : -EBADF, 0};
        }
        std::atomic_ref(*sq_khead_).store(head, std::memory_order_release);
        std::atomic_ref(*cq_ktail_).store(tail, std::memory_order_release);
        if (taken != 0 || (to_submit == 0 && (min_complete == 0 || tail != not_taken)))
            return static_cast<int>(taken);
        return to_submit == 0 ? -EBADF : -EBUSY;
    }

    int register_buffers(provided_buffer* buffers, unsigned count, std::uint16_t group,
                         std::uint16_t flags) noexcept
    {
        // Before Linux 5.13, a call that the kernel does not know is answered when all requests
        // have ended. None before 5.18, which has the flag, has buffer rings (5.19).
        if ((parameters_.features & IORING_FEAT_LINKED_FILE) == 0)
            return -EINVAL;
        io_uring_buf_reg request{};
        request.ring_addr = reinterpret_cast<std::uint64_t>(buffers);
        request.ring_entries = count;
        request.bgid = group;
        // A member of its own in newer headers only; padding that has to be
        // zero for kernels without flags.
        std::memcpy(reinterpret_cast<std::byte*>(&request) + offsetof(io_uring_buf_reg, bgid) +
                        sizeof request.bgid,
                    &flags, sizeof flags);
        return with_memory([&] { return ::io_uring_register_buf_ring(&ring_, &request, 0); });
    }

    /// The raw call, since liburing's functions keep a submission tail of
    /// their own. Answers the negated errno as the rest of this class does.
    int call_enter(unsigned to_submit, unsigned min_complete, unsigned flags, void* argument,
                   std::size_t size) noexcept
    {
        return ::io_uring_enter2(static_cast<unsigned>(ring_.ring_fd), to_submit, min_complete,
                                 flags, static_cast<sigset_t*>(argument), size);
    }

    /// Zero, or the negated errno.
    int call_register(unsigned what, const void* argument, unsigned count) noexcept
    {
        const int result = with_memory([&] {
            return ::io_uring_register(static_cast<unsigned>(ring_.ring_fd), what, argument, count);
        });
        return result < 0 ? result : 0;
    }

    /// Neither what was opened for its path alone (O_PATH) nor a ring is. Told to submit
    /// nothing, the kernel answers EBADF for the one as for a number without a file,
    /// EOPNOTSUPP for every file that it takes, and anything else for a ring.
    static bool is_registrable(int fd) noexcept
    {
        return ::io_uring_enter(static_cast<unsigned>(fd), 0, 0, 0, nullptr) == -EOPNOTSUPP;
    }

    /// A table with empty places (IORING_RSRC_REGISTER_SPARSE, Linux 5.19).
    /// liburing's own function would raise the limit of descriptors.
    int register_empty(unsigned what, unsigned count) noexcept
    {
        io_uring_rsrc_register request{};
        request.nr = count;
        request.flags = IORING_RSRC_REGISTER_SPARSE;
        return call_register(what, &request, sizeof request);
    }

    /// Linux 5.10 has no time-out in io_uring_enter (IORING_FEAT_EXT_ARG came
    /// with 5.11); there the ring's own descriptor is polled, which is readable
    /// while there are completions. What other threads take meanwhile cannot be
    /// looked at here. As with the kernel's own wait, there is none when not all
    /// was taken, and a signal is told of only if nothing was.
    int enter_then_poll(unsigned to_submit, const timeout* wait) noexcept
    {
        const int submitted = call_enter(to_submit, 0, IORING_ENTER_GETEVENTS, nullptr, _NSIG / 8);
        if (submitted != static_cast<int>(to_submit))
            return submitted;
        timespec limit{};
        if (wait != nullptr) {
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*wait);
            limit.tv_sec = static_cast<time_t>(seconds.count());
            limit.tv_nsec = static_cast<long>((*wait - seconds).count());
        }
        pollfd entry{ring_.ring_fd, POLLIN, 0};
        const int ready = ::ppoll(&entry, 1, wait != nullptr ? &limit : nullptr, nullptr);
        return ready < 0 && submitted == 0 ? -errno : submitted;
    }

    /// What `call()` answers when it has memory. The kernel gives that of a closed ring back
    /// to the user's limit some milliseconds later, when its work queue has come to it
    /// (Linux 6.18): a program that makes one context after the other would run out of it.
    template <typename Call>
    static int with_memory(Call call) noexcept
    {
        for (const auto begin = clock::now();;) {
            const int result = call();
            const auto now = clock::now();
            if (result != -ENOMEM || now - begin > recovery_time ||
                now.time_since_epoch() - last_closed().load() > recovery_time)
                return result;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    /// When this process closed a ring.
    static std::atomic<clock::duration>& last_closed() noexcept
    {
        static std::atomic<clock::duration> time{clock::duration::min() / 2};
        return time;
    }

    /// Tries the flags a kernel may have from the most to the least, since an
    /// unknown one is refused with EINVAL; ENOMEM that lasts halves the queues.
    void set_up(const options& settings, bool cooperative)
    {
        const unsigned base = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
        const unsigned modern = base | IORING_SETUP_SUBMIT_ALL;
        const unsigned candidates[] = {
            cooperative ? modern | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG : modern,
            modern,
            base,
        };
        if (settings.submission_entries == 0)
            throw std::invalid_argument("safer_ring: options::submission_entries is 0");
        unsigned entries = settings.submission_entries;
        unsigned completions = settings.completion_entries;
        for (;;) {
            int error = 0;
            for (const unsigned flags : candidates) {
                error = -with_memory([&] {
                    parameters_ = {};
                    parameters_.flags = flags;
                    // Fewer of them than of the others are refused; in the child of a fork, a
                    // cancellation is answered by two.
                    parameters_.cq_entries = std::max({entries, completions, 2U});
                    return ::io_uring_queue_init_params(entries, &ring_, &parameters_);
                });
                if (error != EINVAL)
                    break;
            }
            if (error == 0)
                return;
            if (error != ENOMEM || entries <= least_submission_entries)
                throw_setup_error(error, "io_uring_setup");
            if (entries == settings.submission_entries)
                features_.notes.push_back("queues made smaller: io_uring_setup answered ENOMEM "
                                          "(likely cause: " +
                                          likely_cause(ENOMEM) + ")");
            entries /= 2;
            completions /= 2;
        }
    }

    void adopt_queues() noexcept
    {
        sq_ = reinterpret_cast<submission_entry*>(ring_.sq.sqes);
        sq_khead_ = ring_.sq.khead;
        sq_ktail_ = ring_.sq.ktail;
        sq_kflags_ = ring_.sq.kflags;
        sq_entries_ = parameters_.sq_entries;
        sq_mask_ = sq_entries_ - 1;
        sq_tail_ = *ring_.sq.ktail;
        sq_attention_ = IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN;
        cq_ = reinterpret_cast<completion_entry*>(ring_.cq.cqes);
        cq_khead_ = ring_.cq.khead;
        cq_ktail_ = ring_.cq.ktail;
        cq_mask_ = parameters_.cq_entries - 1;
        cq_head_ = *ring_.cq.khead;
        // The kernel reads entries through an index array; an entry is always
        // used at its own place, so the array is filled once. From liburing 2.6
        // on, its set-up asks for rings without one (Linux 6.6), whose entries
        // are used at their own places anyway.
        if (ring_.sq.array != nullptr)
            for (unsigned i = 0; i < sq_entries_; ++i)
                ring_.sq.array[i] = i;
    }

    void record_features()
    {
        features_.io_uring = true;
        features_.backend_name = "io_uring";
        features_.submission_entries = parameters_.sq_entries;
        features_.completion_entries = parameters_.cq_entries;
        if ((parameters_.features & feature_no_iowait) != 0)
            wait_flags_ |= enter_no_iowait;
        features_.wait_timeout = (parameters_.features & IORING_FEAT_EXT_ARG) != 0;
        features_.submit_all = (parameters_.flags & IORING_SETUP_SUBMIT_ALL) != 0;
        features_.cooperative_taskrun = (parameters_.flags & IORING_SETUP_COOP_TASKRUN) != 0;
        // RWF_NOWAIT is older, but with no kernel before that of this flag has it been made sure
        // that a read with it is neither waited for nor left to a worker.
        features_.nowait_reads = (parameters_.features & IORING_FEAT_LINKED_FILE) != 0;
        features_.zero_copy_send = knows_operation(opcode::send_zc);
        features_.ring_messages = knows_operation(opcode::msg_ring);
        probe_entries();
        features_.buffer_ring = probe_buffer_ring(0);
        features_.incremental_buffers = probe_buffer_ring(incremental_buffer_ring);
        probe_registration();
        if (!features_.receive_poll_first)
            features_.notes.push_back("no IORING_RECVSEND_POLL_FIRST (Linux 5.19)");
    }

    /// Where there is no table yet, an update that the kernel knows is refused
    /// with ENXIO. Tables themselves are made when they are needed.
    void probe_registration()
    {
        features_.registered_files = update_file(0, -1) == -ENXIO;
        // Linux before 5.13 would let all operations end for a call it does not know.
        const bool updates_buffers = (parameters_.features & IORING_FEAT_RSRC_TAGS) != 0;
        features_.registered_buffers = updates_buffers && update_buffer(0, nullptr, 0) == -ENXIO;
        features_.registered_vectors =
            features_.registered_buffers && knows_operation(opcode::readv_fixed);
        // Operations that give direct descriptors came one by one with Linux 5.15; with 5.19 all are
        // there, socket as the last.
        features_.direct_descriptors =
            features_.registered_files && knows_operation(opcode::socket);
        if (!features_.registered_files)
            features_.notes.push_back(
                "no registered files: IORING_REGISTER_FILES_UPDATE is refused");
        if (!features_.registered_buffers)
            features_.notes.push_back(
                updates_buffers ? "no registered buffers: IORING_REGISTER_BUFFERS_UPDATE is refused"
                                : "no IORING_REGISTER_BUFFERS_UPDATE (Linux 5.13)");
        if (!features_.direct_descriptors)
            features_.notes.push_back("no direct descriptors (Linux 5.19)");
    }

    bool knows_operation(opcode op) noexcept
    {
        constexpr unsigned most = 256;
        alignas(io_uring_probe)
            std::byte memory[sizeof(io_uring_probe) + most * sizeof(io_uring_probe_op)] = {};
        auto* const probe = reinterpret_cast<io_uring_probe*>(memory);
        return call_register(IORING_REGISTER_PROBE, probe, most) == 0 &&
               ::io_uring_opcode_supported(probe, static_cast<int>(op)) != 0;
    }

    /// An unknown bit is refused with EINVAL; a kernel that knows it gets as far
    /// as the bad descriptor. Kernels that look up the descriptor first (before
    /// Linux 5.18, IORING_FEAT_LINKED_FILE) are too old to know any of these.
    void probe_entries() noexcept
    {
        if ((parameters_.features & IORING_FEAT_LINKED_FILE) == 0)
            return;
        struct trial {
            opcode op;
            std::uint16_t ioprio;
            std::uint8_t flags;
            bool& found;
        };
        const trial trials[] = {
            {opcode::recv, receive_poll_first, 0, features_.receive_poll_first},
            {opcode::accept, accept_multishot, 0, features_.multishot_accept},
            {opcode::recv, receive_multishot, entry_buffer_select, features_.multishot_receive},
            {opcode::recv, receive_bundle, entry_buffer_select, features_.receive_bundles},
        };
        // One by one: before Linux 5.18 a failing entry ends the submission.
        for (const trial& each : trials) {
            submission_entry* entry = next_submission();
            *entry = {};
            entry->op = each.op;
            entry->ioprio = each.ioprio;
            entry->flags = each.flags;
            entry->user_data = ~std::uint64_t{0}; // Nobody's, should it be taken later on.
            publish();
            if (!submit_trial())
                return; // It would be taken for the next one.
            for_each_completion(
                [&](const completion_entry& done) { each.found = done.result == -EBADF; });
        }
    }

    /// Also where memory is short for a moment, or a signal comes.
    bool submit_trial() noexcept
    {
        constexpr int most_attempts = 8;
        int taken = enter(1, 1, nullptr);
        for (int i = 1; i < most_attempts && taken < 0 && is_transient(taken); ++i)
            taken = enter(1, 1, nullptr);
        return taken == 1;
    }

    /// Registers a ring of one buffer and takes it back. Where there is no memory for that
    /// (RLIMIT_MEMLOCK), there is none for any.
    bool probe_buffer_ring(std::uint16_t flags) noexcept
    {
        const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        void* memory =
            ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return false;
        const int result = register_buffers(static_cast<provided_buffer*>(memory), 1, 0, flags);
        if (result == 0)
            unregister_buffer_ring(0);
        ::munmap(memory, page);
        return result == 0;
    }

    ::io_uring ring_{};
    io_uring_params parameters_{};
    unsigned wait_flags_ = IORING_ENTER_GETEVENTS;
    std::mutex answering_; // In the child of a fork.
};

} // namespace

std::unique_ptr<backend> make_io_uring(const options& settings, bool cooperative)
{
    return std::make_unique<io_uring_backend>(settings,
                                              cooperative && settings.cooperative_taskrun);
}

} // namespace safer_ring::inline SAFER_RING_ABI::backend
