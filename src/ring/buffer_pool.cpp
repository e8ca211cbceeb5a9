// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/registry.hpp>
#include <safer_ring/ring/staging.hpp>

#include <algorithm>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

/// The memory, and which parts of it are here. Lives until pool, buffers and
/// registrations are gone.
class buffer_pool::state final : public ring::buffer_origin, public ring::registrable_memory {
public:
    state(std::size_t count, std::size_t size_bytes)
        : size_bytes_(size_bytes), stride_bytes_(stride_of(count, size_bytes)),
          memory_(count * stride_bytes_), free_(std::make_unique<std::uint32_t[]>(count)),
          free_count_(count)
    {
        statistics_.count = count;
        statistics_.least_available = count;
        for (std::size_t i = 0; i < count; ++i) // The first one is taken first.
            free_[i] = static_cast<std::uint32_t>(count - 1 - i);
        ring::poison(memory_.data(), memory_.size());
    }
    ~state() { ring::unpoison(memory_.data(), memory_.size()); }

    std::optional<owned_buffer> try_acquire() noexcept
    {
        std::byte* memory = nullptr;
        {
            const std::lock_guard held(mutex_);
            if (free_count_ == 0) {
                ++statistics_.refused;
                return std::nullopt;
            }
            memory = memory_.data() + free_[--free_count_] * stride_bytes_;
            ++statistics_.acquired;
            statistics_.least_available = std::min(statistics_.least_available, free_count_);
        }
        ring::unpoison(memory, size_bytes_);
        return ring::buffer_access::make(memory, size_bytes_, this);
    }

    void give_back(std::byte* memory) noexcept override
    {
        ring::poison(memory, size_bytes_);
        const auto offset = static_cast<std::size_t>(memory - memory_.data());
        bool last = false;
        {
            const std::lock_guard held(mutex_);
            free_[free_count_++] = static_cast<std::uint32_t>(offset / stride_bytes_);
            last = is_unused();
        }
        if (last)
            delete this;
    }

    /// The pool is gone.
    void abandon() noexcept
    {
        bool last = false;
        {
            const std::lock_guard held(mutex_);
            abandoned_ = true;
            last = is_unused();
        }
        if (last)
            delete this;
    }

    [[nodiscard]] std::span<std::byte> all_bytes() noexcept override
    {
        return {memory_.data(), memory_.size()};
    }
    void keep() noexcept override
    {
        const std::lock_guard held(mutex_);
        ++registrations_;
    }
    void let_go() noexcept override
    {
        bool last = false;
        {
            const std::lock_guard held(mutex_);
            --registrations_;
            last = is_unused();
        }
        if (last)
            delete this;
    }

    statistics_type statistics() const noexcept
    {
        const std::lock_guard held(mutex_);
        statistics_type now = statistics_;
        now.available = free_count_;
        return now;
    }

    std::size_t size_bytes() const noexcept { return size_bytes_; }

private:
    bool is_unused() const noexcept
    {
        return abandoned_ && free_count_ == statistics_.count && registrations_ == 0;
    }

    static std::size_t stride_of(std::size_t count, std::size_t size_bytes)
    {
        if (count == 0 || size_bytes == 0)
            throw std::invalid_argument("safer_ring: a buffer_pool needs a count and a size "
                                        "above zero");
        constexpr std::size_t most = std::numeric_limits<std::ptrdiff_t>::max();
        if (count > std::numeric_limits<std::uint32_t>::max() ||
            size_bytes > most / count - ring::page_bytes)
            throw std::bad_alloc();
        return (size_bytes + ring::page_bytes - 1) / ring::page_bytes * ring::page_bytes;
    }

    const std::size_t size_bytes_;
    const std::size_t stride_bytes_;
    ring::mapped_memory memory_;
    mutable std::mutex mutex_;
    std::unique_ptr<std::uint32_t[]> free_; // The last one given back is the next one taken.
    std::size_t free_count_;
    statistics_type statistics_;
    std::size_t registrations_ = 0;
    bool abandoned_ = false;
};

buffer_pool::buffer_pool(std::size_t count, std::size_t size_bytes)
    : state_(new state(count, size_bytes))
{
}

buffer_pool::buffer_pool(buffer_pool&& other) noexcept
    : state_(std::exchange(other.state_, nullptr))
{
}

buffer_pool& buffer_pool::operator=(buffer_pool&& other) noexcept
{
    buffer_pool taken(std::move(other));
    std::swap(state_, taken.state_);
    return *this;
}

buffer_pool::~buffer_pool()
{
    if (state_ != nullptr)
        state_->abandon();
}

std::optional<owned_buffer> buffer_pool::try_acquire() noexcept
{
    return state_ != nullptr ? state_->try_acquire() : std::nullopt;
}

buffer_pool::statistics_type buffer_pool::statistics() const noexcept
{
    return state_ != nullptr ? state_->statistics() : statistics_type();
}

ring::registrable_memory& buffer_pool::memory() const
{
    if (state_ == nullptr)
        throw std::invalid_argument("safer_ring: a buffer_pool that was moved from has no buffers");
    return *state_;
}

std::size_t buffer_pool::size_bytes() const noexcept
{
    return state_ != nullptr ? state_->size_bytes() : 0;
}

} // namespace safer_ring::inline SAFER_RING_ABI
