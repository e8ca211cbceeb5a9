// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/staging.hpp>

#include <algorithm>
#include <cerrno>
#include <new>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::ring {
namespace {

const char* why_not(int error) noexcept
{
    switch (error) {
    case -EINVAL:
        return "the kernel has none (Linux 5.19)";
    case -ENOMEM:
        return "the kernel has no memory for them (RLIMIT_MEMLOCK: ulimit -l, LimitMEMLOCK=)";
    default:
        return "the kernel refused to register them";
    }
}

} // namespace

mapped_memory::mapped_memory(std::size_t size_bytes) : size_(size_bytes)
{
    void* p =
        ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        throw std::bad_alloc();
    data_ = static_cast<std::byte*>(p);
}

mapped_memory::mapped_memory(mapped_memory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0))
{
}

mapped_memory& mapped_memory::operator=(mapped_memory&& other) noexcept
{
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

mapped_memory::~mapped_memory()
{
    if (data_ != nullptr)
        ::munmap(data_, size_);
}

receive_buffers::receive_buffers(backend::backend& kernel, unsigned count, unsigned size_bytes)
    : size_bytes_(size_bytes)
{
    constexpr unsigned most = 32768; // io_uring_register(2), IORING_REGISTER_PBUF_RING
    // Also where there are none: a stream makes as large a buffer then.
    if (size_bytes == 0)
        throw std::invalid_argument("safer_ring: options::receive_buffer_size_bytes is zero; a "
                                    "receive_buffer_count of zero turns the buffers off");
    if (count == 0) {
        reason_ = "turned off";
        return;
    }
    if (count > most || (count & (count - 1)) != 0)
        throw std::invalid_argument("safer_ring: options::receive_buffer_count is " +
                                    std::to_string(count) +
                                    "; the kernel wants a power of two up to 32768");
    ring_memory_ = mapped_memory(std::size_t{count} * sizeof(backend::provided_buffer));
    while (most_halvings_ < max_halvings &&
           size_bytes >> (most_halvings_ + 1) >= least_length_bytes)
        ++most_halvings_;
    std::size_t total = 0;
    for (unsigned h = 0; h <= most_halvings_; ++h)
        total += count * stride_bytes(h);
    memory_ = mapped_memory(total);
    regions_[0] = memory_.data();
    for (unsigned h = 1; h <= most_halvings_; ++h)
        regions_[h] = regions_[h - 1] + count * stride_bytes(h - 1);
    halvings_of_ = std::make_unique<std::uint8_t[]>(count);
    reserve_ = std::make_unique<std::uint16_t[]>(count);
    auto* ring = reinterpret_cast<backend::provided_buffer*>(ring_memory_.data());
    const int error = kernel.register_buffer_ring(ring, count, group);
    if (error != 0) {
        reason_ = why_not(error);
        memory_ = mapped_memory();
        ring_memory_ = mapped_memory();
        return;
    }
    ring_ = ring;
    mask_ = static_cast<std::uint16_t>(count - 1);
    count_ = count;
    target_ = std::min(first_target, count);
    for (unsigned id = 0; id < target_; ++id)
        offer(id);
    for (unsigned id = count; id-- > target_;)
        reserve_[reserved_++] = static_cast<std::uint16_t>(id);
}

void receive_buffers::move_to(backend::backend& kernel) noexcept
{
    if (ring_ == nullptr)
        return;
    std::atomic_ref(ring_[0].tail).store(0, std::memory_order_relaxed);
    tail_ = 0;
    if (const int error = kernel.register_buffer_ring(ring_, count_, group); error != 0) {
        reason_ = why_not(error);
        ring_ = nullptr;
        target_ = 0; // What is held still comes back, and is not offered.
    }
    reserved_ = 0;
    for (unsigned id = count_; id-- > 0;)
        if ((halvings_of_[id] & held) == 0)
            reserve(id);
    while (offered() < target_ && reserved_ > 0)
        offer(reserve_[--reserved_]);
}

staging_pool::~staging_pool()
{
    while (all_pages_ != nullptr)
        destroy_pages(all_pages_);
}

staged staging_pool::grow(std::uint32_t which)
{
    if (slab_count_ == max_slabs) {
        staged block{static_cast<std::byte*>(::operator new(sizes_[which])), heap_class};
        ++outstanding_;
        return block;
    }
    const mapped_memory& slab = slabs_[slab_count_] =
        mapped_memory(std::max(slab_size_bytes, sizes_[which]));
    ++slab_count_;
    quiet_ = 0;
    // Pushed backwards, so that blocks are handed out in order of address.
    for (std::size_t n = slab.size() / sizes_[which]; n-- > 0;)
        free_[which] = ::new (slab.data() + n * sizes_[which]) node{free_[which]};
    return acquire(sizes_[which]);
}

staging_pool::pages_record* staging_pool::record_of(const staged& block) noexcept
{
    return reinterpret_cast<pages_record*>(block.data + size_of_pages(block));
}

staged staging_pool::acquire_pages(std::size_t size_bytes)
{
    const std::size_t most =
        outstanding_pages_bytes_ < plenty_bytes ? largest_pages_bytes : frugal_pages_bytes;
    unsigned which = 0;
    while (size_bytes > page_bytes << which && page_bytes << which < most)
        ++which;
    const std::size_t size = page_bytes << which;
    staged block{nullptr, first_page_class + which};
    if (pages_record* r = free_pages_[which]; r != nullptr) {
        free_pages_[which] = r->next_free;
        free_pages_bytes_ -= size;
        block.data = reinterpret_cast<std::byte*>(r) - size;
    } else {
        block.data = static_cast<std::byte*>(
            ::operator new(size + sizeof(pages_record), std::align_val_t(page_bytes)));
        r = ::new (record_of(block)) pages_record;
        r->size_class = block.size_class;
        r->next = all_pages_;
        if (all_pages_ != nullptr)
            all_pages_->previous = r;
        all_pages_ = r;
    }
    ++outstanding_pages_;
    outstanding_pages_bytes_ += size;
    return block;
}

void staging_pool::release_pages(staged& block) noexcept
{
    const std::size_t size = size_of_pages(block);
    pages_record* const r = record_of(block);
    --outstanding_pages_;
    outstanding_pages_bytes_ -= size;
    block = {};
    if (free_pages_bytes_ + size > kept_pages_bytes)
        return destroy_pages(r);
    pages_record*& first = free_pages_[r->size_class - first_page_class];
    r->next_free = first;
    first = r;
    free_pages_bytes_ += size;
}

void staging_pool::destroy_pages(pages_record* r) noexcept
{
    (r->previous != nullptr ? r->previous->next : all_pages_) = r->next;
    if (r->next != nullptr)
        r->next->previous = r->previous;
    const std::size_t size = page_bytes << (r->size_class - first_page_class);
    ::operator delete(reinterpret_cast<std::byte*>(r) - size, std::align_val_t(page_bytes));
}

void staging_pool::give_slabs_back() noexcept
{
    for (node*& first : free_)
        first = nullptr;
    while (slab_count_ != 0)
        slabs_[--slab_count_] = mapped_memory();
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring
