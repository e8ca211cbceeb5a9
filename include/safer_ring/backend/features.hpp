// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI {

/// What to do where the kernel lacks what options::on_missing is about.
enum class fallback {
    graceful, ///< Go on without it; `features` says so.
    warn,     ///< The same, with a line on standard error.
    strict,   ///< Throw std::system_error that names the feature.
};

/// Settings of a ring. The defaults suit a server; sizes are bounds of our
/// own pools, and reaching one refuses no operation that the user starts.
struct options {
    /// Entries of the submission queue, which the kernel rounds up to a power
    /// of two. More starts than that in one turn are submitted in several
    /// system calls. Zero is refused with std::invalid_argument.
    unsigned submission_entries = 1024;

    /// Entries of the completion queue; no fewer than the other has. The kernel
    /// keeps what does not fit (IORING_FEAT_NODROP, Linux 5.5) and hands it over
    /// at the next turn.
    unsigned completion_entries = 4096;

    /// Receive buffers that the kernel picks from when data arrives; a power
    /// of two, at most 32768; another number is refused with std::invalid_argument.
    /// Zero turns them off. With none left a receive waits for readiness and reads
    /// straight into the caller's memory.
    unsigned receive_buffer_count = 1024;

    /// Longest size of each of them, not zero. While receives are small they are offered
    /// at down to an eighth of it, from memory of their own: less than twice
    /// count times size is mapped, of which only what is used takes memory.
    unsigned receive_buffer_size_bytes = 4096;

    /// Writes up to this size are copied and submitted with everything else
    /// of a turn; larger ones are written straight from the caller's memory.
    unsigned send_buffer_size_bytes = 4096;

    /// How long the destructor waits for the kernel to let go of operations
    /// before it sets their memory aside. That is freed when a loop is made or
    /// destroyed after the kernel has let go, and never if it does not.
    unsigned drain_deadline_ms = 5000;

    /// Threads that resolvers of one context may use at most; they are started
    /// when look-ups need them. Look-ups beyond wait in a queue.
    unsigned resolver_threads = 4;

    /// Files that a context or an io_ring may have registered at once; at the
    /// bound, registering another fails with ENFILE. No more than RLIMIT_NOFILE.
    unsigned registered_file_count = 1024;

    /// Pools of buffers that it may have registered at once, likewise.
    unsigned registered_buffer_count = 64;

    /// Whether to use IORING_SETUP_COOP_TASKRUN, where the kernel has it (Linux 5.19).
    bool cooperative_taskrun = true;

    /// Whether to use buffers chosen by the kernel, where it has them (Linux 5.19).
    bool buffer_ring = true;

    /// What to do where buffers chosen by the kernel are asked for and missing.
    /// Whatever else a kernel lacks is done in another way, as `features` tells.
    fallback on_missing = fallback::graceful;
};

/// What was found on this machine, and why something is off.
struct features {
    bool io_uring = false;            ///< Requests run on a kernel ring.
    bool buffer_ring = false;         ///< Kernel-chosen buffers: Linux 5.19.
    bool receive_poll_first = false;  ///< Linux 5.19.
    bool cooperative_taskrun = false; ///< Linux 5.19.
    bool wait_timeout = false;        ///< Time-outs in io_uring_enter: Linux 5.11.
    bool submit_all = false;          ///< Linux 5.18.
    bool nowait_reads = false;        ///< Reads that never outlive their call: Linux 5.18.
    bool zero_copy_send = false;      ///< Linux 6.0.
    bool multishot_accept = false;    ///< One request for many connections: Linux 5.19.
    bool multishot_receive = false;   ///< Linux 6.0.
    bool receive_bundles = false;     ///< Several buffers in one completion: Linux 6.10.
    bool incremental_buffers = false; ///< A buffer for several receives: Linux 6.12.
    bool registered_files = false;    ///< Can be registered with a ring: Linux 5.5.
    bool registered_buffers = false;  ///< The same, one by one: Linux 5.13.
    bool registered_vectors = false;  ///< Several parts of one in one go: Linux 6.15.
    bool direct_descriptors = false;  ///< Registered files that operations give: Linux 5.19.
    bool ring_messages = false;       ///< Brought from ring to ring by the kernel: Linux 5.18.
    unsigned submission_entries = 0;
    unsigned completion_entries = 0;
    std::string backend_name;       ///< "io_uring" or "simulated".
    std::vector<std::string> notes; ///< Why something is off, or smaller than asked for.

    /// Several lines for people: backend, features, notes.
    [[nodiscard]] SAFER_RING_API std::string describe() const;

    /// Sets up a ring with the default options and tells what it found.
    /// A machine without io_uring is an answer (`io_uring == false` with the
    /// reason in `notes`), not an exception.
    [[nodiscard]] SAFER_RING_API static features probe();
};

} // namespace safer_ring::inline SAFER_RING_ABI
