// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/backend.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Memory from mmap, page-aligned and zeroed. Pages are used when touched.
class mapped_memory {
public:
    mapped_memory() = default;
    /// Throws std::bad_alloc.
    SAFER_RING_API explicit mapped_memory(std::size_t size_bytes);
    SAFER_RING_API mapped_memory(mapped_memory&& other) noexcept;
    SAFER_RING_API mapped_memory& operator=(mapped_memory&& other) noexcept;
    SAFER_RING_API ~mapped_memory();

    /// Gives the mapping up without unmapping it.
    void leak() noexcept { data_ = nullptr; }

    [[nodiscard]] std::byte* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Blocks a multiple of a page apart would fall on the same lines of the
/// cache, so that something is put between them.
inline constexpr std::size_t page_bytes = 4096;
inline constexpr std::size_t padding_bytes = 128;

/// Buffers that the kernel picks from when data arrives, so that an idle
/// receive holds none (IORING_REGISTER_PBUF_RING, Linux 5.19).
///
/// Each is offered at the length that recent receives needed, half or less of
/// the full one where they were small: packed side by side, small messages
/// share pages and are fetched ahead, which is worth 4 % at 1,000 connections.
/// A receive that fills a short buffer restores the length.
class receive_buffers {
public:
    /// Registers `count` buffers; with zero, or where the kernel lacks them,
    /// `available()` is false and `reason` says why. Maps less than twice
    /// `count * size_bytes`; pages are used when touched.
    SAFER_RING_API receive_buffers(backend::backend& kernel, unsigned count, unsigned size_bytes);

    static constexpr std::uint16_t group = 0;

    /// To be called when the memory has been moved elsewhere.
    void forget() noexcept { ring_ = nullptr; }

    /// Registers them with another ring, which is offered all that nobody holds; not
    /// `available()` any more where that refuses them.
    SAFER_RING_API void move_to(backend::backend& kernel) noexcept;

    /// Keeps the memory mapped for the rest of the process.
    void leak() noexcept
    {
        ring_memory_.leak();
        memory_.leak();
    }

    [[nodiscard]] bool available() const noexcept { return ring_ != nullptr; }
    [[nodiscard]] const char* reason() const noexcept { return reason_; }
    /// The full length of a buffer.
    [[nodiscard]] unsigned size_bytes() const noexcept { return size_bytes_; }
    [[nodiscard]] unsigned outstanding() const noexcept { return outstanding_; }

    /// The bytes of buffer `id`, which the kernel has just handed over.
    [[nodiscard]] const std::byte* data(std::uint32_t id) const noexcept
    {
        const unsigned halvings = halvings_of_[id] & ~held;
        return regions_[halvings] + std::size_t{id} * stride_bytes(halvings);
    }

    /// The length at which buffer `id` was offered.
    [[nodiscard]] unsigned length_bytes(std::uint32_t id) const noexcept
    {
        return size_bytes_ >> (halvings_of_[id] & ~held);
    }

    /// Learns from a receive of `size` bytes. `filled`: all of its buffer,
    /// where the caller asked for more; `more`: the kernel tells that there is
    /// more. It does not always tell (local sockets: since Linux 6.17), so that
    /// filling alone takes back one step.
    void learn(unsigned size, bool filled, bool more) noexcept
    {
        if (filled) {
            halvings_ = more || halvings_ == 0 ? 0 : halvings_ - 1;
            small_receives_ = 0;
        } else if (2 * size > size_bytes_ >> halvings_) {
            small_receives_ = 0;
        } else if (halvings_ < most_halvings_ && ++small_receives_ == patience) {
            ++halvings_;
            small_receives_ = 0;
        }
    }

    /// Notes that the kernel handed buffer `id` over.
    void taken(std::uint32_t id) noexcept
    {
        halvings_of_[id] |= held;
        ++outstanding_;
    }

    /// Offers buffer `id` to the kernel again, or keeps it in reserve.
    void give_back(std::uint32_t id) noexcept
    {
        const bool wanted = offered() < target_;
        --outstanding_;
        if (wanted)
            offer(id);
        else
            reserve(id);
    }

    /// A receive found no buffer: offer more of them from now on.
    void ran_out() noexcept
    {
        target_ = target_ * 2 < count_ ? target_ * 2 : count_;
        while (offered() < target_ && reserved_ > 0)
            offer(reserve_[--reserved_]);
    }

private:
    // The kernel takes buffers in the order in which they were offered, so it
    // goes round all that are. Few of them stay in the cache; how many a turn
    // needs is learnt from running out.
    static constexpr unsigned first_target = 64;
    static constexpr unsigned least_length_bytes = 512;
    static constexpr unsigned max_halvings = 3;
    /// Beside the halvings of a buffer that is not the kernel's, nor in reserve.
    static constexpr std::uint8_t held = 0x80;
    /// So many small receives in a row halve the length.
    static constexpr unsigned patience = 1024;

    [[nodiscard]] std::size_t stride_bytes(unsigned halvings) const noexcept
    {
        const std::size_t length = size_bytes_ >> halvings;
        return length < page_bytes ? length : length + padding_bytes;
    }
    [[nodiscard]] unsigned offered() const noexcept { return count_ - outstanding_ - reserved_; }

    void reserve(std::uint32_t id) noexcept
    {
        halvings_of_[id] = 0;
        reserve_[reserved_++] = static_cast<std::uint16_t>(id);
    }

    void offer(std::uint32_t id) noexcept
    {
        // The first element's `tail` is the ring's, so it is left alone.
        backend::provided_buffer& b = ring_[tail_ & mask_];
        halvings_of_[id] = static_cast<std::uint8_t>(halvings_);
        b.address = reinterpret_cast<std::uint64_t>(data(id));
        b.length = size_bytes_ >> halvings_;
        b.id = static_cast<std::uint16_t>(id);
        ++tail_;
        std::atomic_ref(ring_[0].tail).store(tail_, std::memory_order_release);
    }

    mapped_memory ring_memory_;
    mapped_memory memory_;
    backend::provided_buffer* ring_ = nullptr;
    std::byte* regions_[max_halvings + 1] = {}; // Of `memory_`, one for each length.
    std::unique_ptr<std::uint8_t[]> halvings_of_;
    unsigned halvings_ = 0; // At which buffers are offered now.
    unsigned most_halvings_ = 0;
    unsigned small_receives_ = 0; // In a row.
    std::unique_ptr<std::uint16_t[]> reserve_;
    unsigned reserved_ = 0;
    unsigned target_ = 0;
    unsigned count_ = 0;
    std::uint16_t mask_ = 0;
    std::uint16_t tail_ = 0;
    unsigned size_bytes_ = 0;
    unsigned outstanding_ = 0;
    const char* reason_ = "";
};

/// A piece of staging memory, returned to its pool by `staging_pool::release`.
struct staged {
    std::byte* data = nullptr;
    std::uint32_t size_class = 0;
    explicit operator bool() const noexcept { return data != nullptr; }
};

/// Memory for what a submitted request points to: copies of small writes,
/// addresses. A few sizes, so that small writes lie side by side; last in
/// first out, so that hot memory is used again. Grows by slabs up to a bound;
/// past it, single blocks come from the heap and go back there, so that what
/// the user starts is never refused. After a burst, slabs go back to the
/// system.
class staging_pool {
public:
    explicit staging_pool(std::size_t large_size_bytes) noexcept
        : sizes_{small_size_bytes, 2 * small_size_bytes, 4 * small_size_bytes,
                 spaced(large_size_bytes)}
    {
    }
    staging_pool(const staging_pool&) = delete;
    staging_pool& operator=(const staging_pool&) = delete;
    SAFER_RING_API ~staging_pool();

    static constexpr std::size_t small_size_bytes = 512;

    /// Memory for `size_bytes`, at most the large size. Throws std::bad_alloc.
    staged acquire(std::size_t size_bytes)
    {
        std::uint32_t which = 0;
        while (which < large_class && size_bytes > sizes_[which])
            ++which;
        if (free_[which] == nullptr)
            return grow(which);
        node* n = free_[which];
        free_[which] = n->next;
        ++outstanding_;
        return {reinterpret_cast<std::byte*>(n), which};
    }

    SAFER_RING_API void release(staged& block) noexcept
    {
        if (!block)
            return;
        if (block.size_class >= first_page_class)
            return release_pages(block);
        if (block.size_class == heap_class) {
            ::operator delete(block.data);
        } else {
            node* n = ::new (block.data) node{free_[block.size_class]};
            free_[block.size_class] = n;
        }
        block = {};
        if (--outstanding_ == 0 && slab_count_ > kept_slabs && ++quiet_ == patience)
            give_slabs_back();
    }

    /// Page-aligned memory for a transfer of `size_bytes` to or from a file, or
    /// for as much of it as one block holds. Throws std::bad_alloc.
    SAFER_RING_API staged acquire_pages(std::size_t size_bytes);

    /// How much a block of `acquire_pages` holds.
    static std::size_t size_of_pages(const staged& block) noexcept
    {
        return page_bytes << (block.size_class - first_page_class);
    }

    /// The largest block, and the largest while those outstanding have
    /// together more than `plenty_bytes`: a thousand large transfers at once
    /// get on in smaller steps instead of in a gigabyte of memory.
    static constexpr std::size_t largest_pages_bytes = std::size_t{1} << 20;
    static constexpr std::size_t frugal_pages_bytes = std::size_t{64} << 10;
    static constexpr std::size_t plenty_bytes = std::size_t{32} << 20;
    /// Blocks that are not in use go back to the system beyond this.
    static constexpr std::size_t kept_pages_bytes = std::size_t{4} << 20;

    [[nodiscard]] std::size_t outstanding() const noexcept
    {
        return outstanding_ + outstanding_pages_;
    }
    [[nodiscard]] std::size_t slabs() const noexcept { return slab_count_; }

    static constexpr std::size_t slab_size_bytes = std::size_t{256} * 1024;
    /// More than these go back when, without a new one in between, so often
    /// nothing has been outstanding: under a steady load that is rarely enough
    /// to cost nothing. A block that stays outstanding, such as that of an
    /// accept with the peer's address, holds them all.
    static constexpr std::size_t kept_slabs = 16;
    static constexpr unsigned patience = 256;

private:
    struct node {
        node* next;
    };

    /// Behind the memory of a block of pages, where the kernel does not write,
    /// so that the destructor finds also what was never released.
    struct pages_record {
        pages_record* next = nullptr; // Of all there are.
        pages_record* previous = nullptr;
        pages_record* next_free = nullptr; // Of those of the same class that are not in use.
        std::uint32_t size_class = 0;
    };

    /// Aligned, and not a multiple of a page: see receive_buffers.
    static constexpr std::size_t spaced(std::size_t size_bytes) noexcept
    {
        constexpr std::size_t line_bytes = 64;
        const std::size_t size = (size_bytes + line_bytes - 1) / line_bytes * line_bytes;
        return size % page_bytes == 0 ? size + padding_bytes : size;
    }

    static constexpr std::uint32_t large_class = 3;
    static constexpr std::uint32_t heap_class = 4;
    static constexpr std::uint32_t first_page_class = 8;
    static constexpr unsigned page_class_count = 9; // A page to `largest_pages_bytes`.
    static constexpr std::size_t max_slabs = 256;

    SAFER_RING_API staged grow(std::uint32_t which);
    SAFER_RING_API void release_pages(staged& block) noexcept;
    static pages_record* record_of(const staged& block) noexcept;
    void destroy_pages(pages_record* r) noexcept;
    SAFER_RING_API void give_slabs_back() noexcept;

    std::size_t sizes_[large_class + 1];
    node* free_[large_class + 1] = {};
    std::array<mapped_memory, max_slabs> slabs_;
    std::size_t slab_count_ = 0;
    unsigned quiet_ = 0; // How often nothing was outstanding since the last new slab.
    std::size_t outstanding_ = 0;
    pages_record* all_pages_ = nullptr;
    pages_record* free_pages_[page_class_count] = {};
    std::size_t outstanding_pages_ = 0;
    std::size_t outstanding_pages_bytes_ = 0;
    std::size_t free_pages_bytes_ = 0;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
