// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/owned_buffer.hpp>

#include <atomic>

namespace safer_ring::inline SAFER_RING_ABI {

/// Bytes that nobody changes any more, with any number of owners: one message
/// for ten thousand connections. Made by `owned_buffer::freeze()`; every write
/// accepts it.
///
/// Copies share the bytes, and may each show a part of them; the memory goes
/// back where it came from with the last copy, on whatever thread that is.
///
/// *Thread safety*: distinct objects may be used at once, also where they share
/// bytes.
///
/// @code
/// const safer_ring::shared_buffer news = safer_ring::owned_buffer::copy_of("news").freeze();
/// safer_ring::shared_buffer copy = news;
/// copy.consume(1);
/// assert(news.text() == "news" && copy.text() == "ews");
/// @endcode
class shared_buffer {
public:
    /// No bytes.
    shared_buffer() noexcept = default;

    shared_buffer(const shared_buffer& other) noexcept : bytes_(other.bytes_), block_(other.block_)
    {
        if (block_ != nullptr)
            block_->owners.fetch_add(1, std::memory_order_relaxed);
    }
    shared_buffer(shared_buffer&& other) noexcept
        : bytes_(std::exchange(other.bytes_, {})), block_(std::exchange(other.block_, nullptr))
    {
    }
    // Not one that takes a copy: in a template clang 14 does not destroy it, if it is made of {}.
    shared_buffer& operator=(const shared_buffer& other) noexcept
    {
        shared_buffer(other).swap(*this);
        return *this;
    }
    shared_buffer& operator=(shared_buffer&& other) noexcept
    {
        shared_buffer(std::move(other)).swap(*this);
        return *this;
    }
    ~shared_buffer()
    {
        if (block_ != nullptr && block_->owners.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete block_;
    }

    [[nodiscard]] const std::byte* data() const noexcept { return bytes_.data(); }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
    [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::string_view text() const noexcept
    {
        return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
    }

    /// Lets this copy show so many bytes less at the front, at most none.
    void consume(std::size_t size_bytes) noexcept
    {
        bytes_ = bytes_.subspan(size_bytes < bytes_.size() ? size_bytes : bytes_.size());
    }

    void swap(shared_buffer& other) noexcept
    {
        std::swap(bytes_, other.bytes_);
        std::swap(block_, other.block_);
    }

private:
    friend class owned_buffer;

    struct block {
        explicit block(owned_buffer&& b) noexcept : buffer(std::move(b)) {}
        std::atomic<std::size_t> owners{1};
        owned_buffer buffer;
    };

    explicit shared_buffer(block* b) noexcept : bytes_(b->buffer.bytes()), block_(b) {}

    std::span<const std::byte> bytes_;
    block* block_ = nullptr;
};

} // namespace safer_ring::inline SAFER_RING_ABI
