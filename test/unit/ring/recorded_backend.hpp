// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <safer_ring/backend/backend.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace test_support {

/// What a recorded_backend was told, which outlives it.
struct backend_record {
    unsigned file_places = 0;
    unsigned buffer_places = 0;
    std::map<unsigned, int> files;
    std::map<unsigned, std::pair<void*, std::size_t>> buffers;
    std::vector<safer_ring::backend::submission_entry> entries;
    std::vector<int> failures;  ///< Of the next updates, zero for success.
    int result = 0;             ///< Of all operations.
    bool holds_reads = false;   ///< They complete when this is over.
    unsigned endless_waits = 0; ///< With no limit, and nothing completed to end them.
    bool gone = false;
};

/// Completes everything at once, and records entries and registrations. Never
/// waits.
class recorded_backend final : public safer_ring::backend::backend {
public:
    explicit recorded_backend(backend_record& record, const safer_ring::features& found = all())
        : record_(record), entries_(size), completions_(2 * size)
    {
        features_ = found;
        features_.submission_entries = size;
        sq_ = entries_.data();
        sq_khead_ = &counters_[0];
        sq_ktail_ = &counters_[1];
        sq_kflags_ = &counters_[2];
        sq_entries_ = size;
        sq_mask_ = size - 1;
        cq_ = completions_.data();
        cq_khead_ = &counters_[3];
        cq_ktail_ = &counters_[4];
        cq_mask_ = 2 * size - 1;
    }
    ~recorded_backend() override { record_.gone = true; }

    static safer_ring::features all()
    {
        safer_ring::features found;
        found.registered_files = found.registered_buffers = found.direct_descriptors = true;
        found.registered_vectors = found.zero_copy_send = true;
        return found;
    }

    int enter(unsigned to_submit, unsigned min_complete, const timeout* wait) noexcept override
    {
        const std::lock_guard held(mutex_);
        if (!record_.holds_reads)
            for (const std::uint64_t read : std::exchange(reads_, {}))
                complete(read);
        // Another thread may have taken them meanwhile.
        to_submit = std::min(to_submit, std::atomic_ref(counters_[1]).load() - counters_[0]);
        const unsigned waiting = counters_[4] - std::atomic_ref(counters_[3]).load();
        if (waiting + to_submit > completions_.size())
            return -EBUSY;
        for (unsigned i = 0; i < to_submit; ++i) {
            const auto& entry = entries_[(counters_[0] + i) & sq_mask_];
            record_.entries.push_back(entry);
            if (record_.holds_reads && entry.op == safer_ring::backend::opcode::read)
                reads_.push_back(entry.user_data);
            else
                complete(entry.user_data);
        }
        std::atomic_ref(counters_[0]).fetch_add(to_submit, std::memory_order_release);
        if (min_complete != 0 && wait == nullptr &&
            counters_[4] == std::atomic_ref(counters_[3]).load())
            ++record_.endless_waits;
        return static_cast<int>(to_submit);
    }
    int register_buffer_ring(safer_ring::backend::provided_buffer*, unsigned,
                             std::uint16_t) noexcept override
    {
        return -EINVAL;
    }
    int close_when_drained(int) noexcept override { return -EINVAL; }

    int register_file_table(unsigned count) noexcept override
    {
        record_.file_places = count;
        return 0;
    }
    int update_file(unsigned index, int fd) noexcept override
    {
        const int error = next_failure();
        if (error == 0 && fd < 0)
            record_.files.erase(index);
        else if (error == 0)
            record_.files[index] = fd;
        return error;
    }
    int register_buffer_table(unsigned count) noexcept override
    {
        record_.buffer_places = count;
        return 0;
    }
    int update_buffer(unsigned index, void* data, std::size_t size_bytes) noexcept override
    {
        const int error = next_failure();
        if (error == 0 && data == nullptr)
            record_.buffers.erase(index);
        else if (error == 0)
            record_.buffers[index] = {data, size_bytes};
        return error;
    }

private:
    static constexpr unsigned size = 16;

    void complete(std::uint64_t user_data) noexcept
    {
        completions_[counters_[4] & cq_mask_] = {user_data, record_.result, 0};
        std::atomic_ref(counters_[4]).fetch_add(1, std::memory_order_release);
    }
    int next_failure() noexcept
    {
        if (record_.failures.empty())
            return 0;
        const int error = record_.failures.front();
        record_.failures.erase(record_.failures.begin());
        return error;
    }

    backend_record& record_;
    std::mutex mutex_;
    std::vector<safer_ring::backend::submission_entry> entries_;
    std::vector<safer_ring::backend::completion_entry> completions_;
    std::vector<std::uint64_t> reads_;
    unsigned counters_[5] = {};
};

} // namespace test_support
