// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/buffer_group.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

constexpr std::size_t most_buffers = 32768; // io_uring_register(2), IORING_REGISTER_PBUF_RING

std::size_t stride_of(std::size_t count, std::size_t size_bytes)
{
    if (count == 0 || count > most_buffers || (count & (count - 1)) != 0)
        throw std::invalid_argument("safer_ring: a buffer_ring of " + std::to_string(count) +
                                    " buffers; the kernel wants a power of two up to 32768");
    if (size_bytes == 0 || size_bytes > std::numeric_limits<std::int32_t>::max())
        throw std::invalid_argument("safer_ring: buffers of " + std::to_string(size_bytes) +
                                    " bytes for a buffer_ring; the kernel wants 1 to 2^31 - 1");
    constexpr std::size_t line_bytes = 64;
    return (size_bytes + line_bytes - 1) / line_bytes * line_bytes;
}

/// So many are never kept by what nobody takes: what comes in with fewer left
/// is copied, and its buffer goes round again.
constexpr std::size_t reserve_of(std::size_t count) noexcept
{
    return std::max<std::size_t>(count / 4, 1);
}

/// The kernel is shown those that came back together.
constexpr unsigned batch_of(std::size_t count) noexcept
{
    return static_cast<unsigned>(std::clamp<std::size_t>(count / 8, 1, 32));
}

const char* likely_cause(int error)
{
    switch (error) {
    case EINVAL:
        return "the kernel has no buffer rings: Linux 5.19";
    case ENOMEM:
        return "RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=) is too low for the ring's pages";
    case EPERM:
    case EACCES:
        return "a seccomp filter or a restriction of the ring refuses io_uring_register";
    default:
        return "unexpected";
    }
}

} // namespace

std::shared_ptr<buffer_group> buffer_group::make(ring_core* core, std::size_t count,
                                                 std::size_t size_bytes, buffer_use use)
{
    return {new buffer_group(core, count, size_bytes, use),
            [](buffer_group* group) { group->abandon(); }};
}

buffer_group::buffer_group(ring_core* core, std::size_t count, std::size_t size_bytes,
                           buffer_use use)
    : core_(core), size_bytes_(size_bytes), stride_bytes_(stride_of(count, size_bytes)), use_(use),
      ring_memory_(count * sizeof(backend::provided_buffer)), memory_(count * stride_bytes_),
      ring_(reinterpret_cast<backend::provided_buffer*>(ring_memory_.data())),
      records_(std::make_unique<record[]>(count))
{
    statistics_.count = count;
    for (std::uint32_t id = 0; id < count; ++id)
        offer(id);
    statistics_.least_available = count;
    publish();
}

buffer_group::~buffer_group()
{
    unpoison(memory_.data(), memory_.size());
}

// ------------------------------------------------------------ the kernel's offer

void buffer_group::attach(backend::backend& kernel, std::uint16_t number)
{
    const auto count = static_cast<unsigned>(statistics_.count);
    const int error = use_ == buffer_use::whole
                          ? kernel.register_buffer_ring(ring_, count, number)
                          : kernel.register_incremental_buffer_ring(ring_, count, number);
    if (error == -EINVAL && use_ == buffer_use::in_parts)
        throw std::system_error(-error, std::system_category(),
                                "safer_ring: a buffer_ring whose buffers are used in parts "
                                "(likely cause: the kernel has none: Linux 6.12)");
    if (error != 0)
        throw std::system_error(-error, std::system_category(),
                                std::string("safer_ring: a buffer_ring (likely cause: ") +
                                    likely_cause(-error) + ")");
    number_ = number;
}

void buffer_group::detach(backend::backend& kernel) noexcept
{
    kernel.unregister_buffer_ring(number_);
    forget_ring();
}

void buffer_group::forget_ring() noexcept
{
    const std::lock_guard held(mutex_);
    core_ = nullptr;
}

ring_core* buffer_group::core() const noexcept
{
    const std::lock_guard held(mutex_);
    return core_;
}

/// Under the lock, as all below.
void buffer_group::offer(std::uint32_t id) noexcept
{
    poison(data(id), size_bytes_);
    records_[id] = {0, 0, tail_, 0, true};
    records_[entry_at(tail_ - 1U).id].next = static_cast<std::uint16_t>(id);
    // The first element's `tail` is the ring's, so it is left alone.
    backend::provided_buffer& b = entry_at(tail_);
    b.address = reinterpret_cast<std::uint64_t>(data(id));
    b.length = static_cast<std::uint32_t>(size_bytes_);
    b.id = static_cast<std::uint16_t>(id);
    ++tail_;
    ++statistics_.available;
    ++untouched_;
}

void buffer_group::publish() noexcept
{
    published_tail_ = tail_;
    std::atomic_ref(ring_[0].tail).store(tail_, std::memory_order_release);
}

void buffer_group::note_exhaustion() noexcept
{
    const std::lock_guard held(mutex_);
    ++statistics_.exhausted;
}

bool buffer_group::supplies(std::uint64_t turn) noexcept
{
    const std::lock_guard held(mutex_);
    if (turn_ != turn) {
        turn_ = turn;
        left_in_turn_ = statistics_.available;
        publish();
    }
    return left_in_turn_ != 0 && left_in_turn_-- != 0;
}

// --------------------------------------------------------------- what comes in

owned_buffer buffer_group::take(std::uint32_t flags, std::size_t size_bytes, bool as_copy) noexcept
{
    const std::uint32_t id = flags >> backend::completion_buffer_shift;
    std::byte* memory = nullptr;
    std::size_t capacity_bytes = size_bytes_;
    {
        const std::lock_guard held(mutex_);
        record& r = records_[id];
        memory = data(id) + r.used_bytes;
        if (r.used_bytes == 0 && r.views == 0)
            --untouched_;
        bool is_used_up = true;
        if (use_ == buffer_use::in_parts) {
            capacity_bytes = size_bytes;
            r.used_bytes += static_cast<std::uint32_t>(size_bytes);
            is_used_up = (flags & backend::completion_buffer_more) == 0;
        }
        if (is_used_up) {
            r.is_offered = false;
            --statistics_.available;
        }
        ++r.views;
        ++views_;
        ++statistics_.received;
        statistics_.least_available = std::min(statistics_.least_available, statistics_.available);
        as_copy = as_copy || untouched_ < reserve_of(statistics_.count);
    }
    unpoison(memory, capacity_bytes);
    owned_buffer view = buffer_access::make(memory, capacity_bytes, this);
    view.resize(size_bytes);
    if (!as_copy || size_bytes == 0)
        return view;
    try {
        owned_buffer copy = owned_buffer::copy_of(view.bytes());
        const std::lock_guard held(mutex_);
        ++statistics_.copied;
        return copy;
    } catch (const std::bad_alloc&) {
        return view;
    }
}

std::uint32_t buffer_group::behind(std::uint32_t flags) const noexcept
{
    const std::lock_guard held(mutex_);
    const std::uint32_t id = records_[flags >> backend::completion_buffer_shift].next;
    return id << backend::completion_buffer_shift;
}

/// The kernel may have made the entry shorter, to what it wanted to receive, and then not
/// have received it because somebody else had; the entry stays as it is (Linux 6.10 and
/// newer, io_ring_buffers_peek).
///
/// Another buffer's entry may be there by now, and another one behind it: completions of
/// different requests need not come in the order in which they took their buffers.
std::size_t buffer_group::room(std::uint32_t flags) const noexcept
{
    const std::lock_guard held(mutex_);
    const std::uint32_t id = flags >> backend::completion_buffer_shift;
    const backend::provided_buffer& b = entry_at(records_[id].place);
    return b.id == id && b.length != 0 ? std::min<std::size_t>(b.length, size_bytes_) : size_bytes_;
}

void buffer_group::give_back(std::byte* memory) noexcept
{
    const auto offset = static_cast<std::size_t>(memory - memory_.data());
    const auto id = static_cast<std::uint32_t>(offset / stride_bytes_);
    bool last = false;
    {
        const std::lock_guard held(mutex_);
        record& r = records_[id];
        if (--r.views == 0 && !r.is_offered) {
            offer(id);
            const auto waiting = static_cast<std::uint16_t>(tail_ - published_tail_);
            if (waiting >= batch_of(statistics_.count) ||
                statistics_.available - waiting < reserve_of(statistics_.count))
                publish();
        }
        last = --views_ == 0 && abandoned_;
    }
    if (last)
        delete this;
}

/// Nobody has a pointer to it any more.
void buffer_group::abandon() noexcept
{
    bool last = false;
    {
        const std::lock_guard held(mutex_);
        abandoned_ = true;
        last = views_ == 0;
    }
    if (last)
        delete this;
}

buffer_ring_statistics buffer_group::statistics() const noexcept
{
    const std::lock_guard held(mutex_);
    return statistics_;
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
