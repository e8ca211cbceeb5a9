// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/backend/backend.hpp>

#include <sstream>
#include <sys/utsname.h>
#include <system_error>

namespace safer_ring::inline SAFER_RING_ABI {

std::string features::describe() const
{
    utsname kernel{};
    ::uname(&kernel);
    const auto yes_no = [](bool value) { return value ? "yes" : "no"; };
    std::ostringstream text;
    text << "backend: " << (backend_name.empty() ? "none" : backend_name) << '\n'
         << "kernel: " << kernel.release << '\n'
         << "queues: " << submission_entries << " submissions, " << completion_entries
         << " completions\n"
         << "buffers chosen by the kernel: " << yes_no(buffer_ring) << '\n'
         << "receive polls first: " << yes_no(receive_poll_first) << '\n'
         << "cooperative task work: " << yes_no(cooperative_taskrun) << '\n'
         << "time-out within the wait: " << yes_no(wait_timeout) << '\n'
         << "reads that never wait: " << yes_no(nowait_reads) << '\n'
         << "zero-copy send: " << yes_no(zero_copy_send) << '\n'
         << "submission goes on after an error: " << yes_no(submit_all) << '\n'
         << "accept and receive again and again: " << yes_no(multishot_accept) << ", "
         << yes_no(multishot_receive) << '\n'
         << "several buffers in one completion: " << yes_no(receive_bundles) << '\n'
         << "one buffer for several receives: " << yes_no(incremental_buffers) << '\n'
         << "registered files: " << yes_no(registered_files) << '\n'
         << "registered buffers: " << yes_no(registered_buffers) << '\n'
         << "registered buffers in vectored operations: " << yes_no(registered_vectors) << '\n'
         << "direct descriptors: " << yes_no(direct_descriptors) << '\n'
         << "messages from ring to ring: " << yes_no(ring_messages) << '\n';
    for (const auto& note : notes)
        text << "note: " << note << '\n';
    return text.str();
}

features features::probe()
{
    try {
        return backend::make_io_uring(options{}, true)->found();
    } catch (const std::system_error& error) {
        features none;
        none.notes.emplace_back(error.what());
        return none;
    }
}

} // namespace safer_ring::inline SAFER_RING_ABI
