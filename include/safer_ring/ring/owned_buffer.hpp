// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/annotations.hpp>

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

class shared_buffer;

namespace ring {

/// Where buffers come from that are not from the heap, and return to.
class SAFER_RING_API buffer_origin {
public:
    /// Takes back the memory of one buffer. Called on any thread.
    virtual void give_back(std::byte* memory) noexcept = 0;

protected:
    buffer_origin() = default;
    buffer_origin(const buffer_origin&) = delete;
    buffer_origin& operator=(const buffer_origin&) = delete;
    ~buffer_origin() = default;
};

struct buffer_access;

} // namespace ring

/// Bytes that have one owner: who holds the object, or the operation that it
/// was moved into, which gives it back when the kernel has let go of it. The
/// address of the bytes stays the same through moves.
///
/// A fresh buffer has a size of all that was asked for. A read fills it up to
/// its capacity and leaves the size at what came in, so that the same buffer
/// can be written again as it is; `resize` makes it as long as is wanted before
/// that.
///
/// *Lifetime*: it may outlive the pool, ring or context that it came from, and
/// be destroyed on any thread; its memory goes back where it came from then.
///
/// *Thread safety*: distinct objects may be used at once.
///
/// *After a move* it is empty: no bytes, no capacity. Clang reports the use of
/// such a buffer with `-Wconsumed`; elsewhere a transfer of it is one of no
/// bytes.
///
/// @code
/// safer_ring::owned_buffer buffer(4096);
/// std::memcpy(buffer.data(), "hello", 5);
/// buffer.resize(5);
/// safer_ring::owned_buffer elsewhere = std::move(buffer);
/// assert(elsewhere.text() == "hello");
/// @endcode
class SAFER_RING_CONSUMABLE(unconsumed) owned_buffer {
public:
    /// No bytes, no capacity, no memory.
    SAFER_RING_RETURNS(unconsumed) owned_buffer() noexcept = default;

    /// `size_bytes` bytes of the heap, whose values are not set. The address is
    /// a multiple of 4096 for that much and more, and of 512 from 512 on, as
    /// direct I/O wants it (open(2), O_DIRECT). Throws std::bad_alloc.
    SAFER_RING_RETURNS(unconsumed) SAFER_RING_API explicit owned_buffer(std::size_t size_bytes);

    /// A copy of these bytes, on the heap. Throws std::bad_alloc.
    SAFER_RING_RETURNS(unconsumed)
    SAFER_RING_API static owned_buffer copy_of(std::span<const std::byte> bytes);
    SAFER_RING_RETURNS(unconsumed) static owned_buffer copy_of(std::string_view text)
    {
        return copy_of(std::as_bytes(std::span(text)));
    }

    SAFER_RING_RETURNS(unconsumed)
    owned_buffer(owned_buffer&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)), origin_(std::exchange(other.origin_, {})),
          offset_(std::exchange(other.offset_, 0)), size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0))
    {
    }

    SAFER_RING_SETS(unconsumed) owned_buffer& operator=(owned_buffer&& other) noexcept
    {
        owned_buffer taken(std::move(other));
        swap(taken);
        return *this;
    }

    // Compilers quote these lines to who tries.
    // clang-format off
    owned_buffer(const owned_buffer&) = delete; // A buffer has one owner: pass it on by std::move().
    owned_buffer& operator=(const owned_buffer&) = delete; // A buffer has one owner: pass it on by std::move().
    // clang-format on

    ~owned_buffer()
    {
        if (memory_ != nullptr)
            give_back();
    }

    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE std::byte* data() noexcept { return memory_ + offset_; }
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE const std::byte* data() const noexcept
    {
        return memory_ + offset_;
    }
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE std::size_t size() const noexcept { return size_; }
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE bool empty() const noexcept { return size_ == 0; }
    /// How large `resize` can make it.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE std::size_t capacity() const noexcept
    {
        return capacity_ - offset_;
    }

    /// The bytes up to `size()`.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE std::span<std::byte> bytes() noexcept
    {
        return {data(), size_};
    }
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE std::span<const std::byte> bytes() const noexcept
    {
        return {data(), size_};
    }
    /// The same as characters.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE std::string_view text() const noexcept
    {
        return {reinterpret_cast<const char*>(data()), size_};
    }
    /// What lies behind `size()`, up to the capacity.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE std::span<std::byte> spare() noexcept
    {
        return {data() + size_, capacity() - size_};
    }

    /// Sets the size; bytes that come in with it have no particular values.
    /// Throws std::length_error above the capacity; the memory never grows.
    SAFER_RING_NOT_AFTER_MOVE void resize(std::size_t size_bytes)
    {
        if (size_bytes > capacity())
            throw_no_capacity(size_bytes, capacity());
        size_ = size_bytes;
    }

    /// Drops so many bytes at the front, at most all. When nothing is left, the
    /// whole memory is capacity again.
    SAFER_RING_NOT_AFTER_MOVE void consume(std::size_t size_bytes) noexcept
    {
        if (size_bytes < size_) {
            offset_ += size_bytes;
            size_ -= size_bytes;
        } else {
            offset_ = 0;
            size_ = 0;
        }
    }

    /// Moves the bytes to the front of the memory, so that what was consumed is
    /// capacity again.
    SAFER_RING_NOT_AFTER_MOVE void compact() noexcept
    {
        if (offset_ != 0)
            std::memmove(memory_, data(), size_);
        offset_ = 0;
    }

    /// Makes these bytes immutable, so that any number of operations may send
    /// them at once. Throws std::bad_alloc, and then keeps them.
    [[nodiscard]] SAFER_RING_API shared_buffer freeze() &&; // As std::move(buffer).freeze().

    SAFER_RING_NOT_AFTER_MOVE void swap(owned_buffer& other) noexcept
    {
        std::swap(memory_, other.memory_);
        std::swap(origin_, other.origin_);
        std::swap(offset_, other.offset_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }

private:
    friend struct ring::buffer_access;

    SAFER_RING_RETURNS(unconsumed)
    owned_buffer(std::byte* memory, std::size_t size_bytes, ring::buffer_origin* origin) noexcept
        : memory_(memory), origin_(origin), size_(size_bytes), capacity_(size_bytes)
    {
    }

    SAFER_RING_API void give_back() noexcept;
    [[noreturn]] SAFER_RING_API static void throw_no_capacity(std::size_t wanted_bytes,
                                                              std::size_t capacity_bytes);

    std::byte* memory_ = nullptr;
    ring::buffer_origin* origin_ = nullptr; // Null: the heap.
    std::size_t offset_ = 0;                // Of what was not consumed.
    std::size_t size_ = 0;
    std::size_t capacity_ = 0; // From `memory_` on.
};

namespace ring {

/// What pools and operations do with buffers, and nobody else.
struct buffer_access {
    /// Memory that goes back to `origin`, or, where that is null, to the heap.
    static owned_buffer make(std::byte* memory, std::size_t size_bytes,
                             buffer_origin* origin) noexcept
    {
        return {memory, size_bytes, origin};
    }
    static buffer_origin* origin(const owned_buffer& buffer) noexcept { return buffer.origin_; }
    /// Also what was consumed of it.
    static std::size_t whole_capacity(const owned_buffer& buffer) noexcept
    {
        return buffer.capacity_;
    }

    /// For what is to come behind the bytes: moves them where there is less room behind
    /// them than was consumed in front.
    static void make_room(owned_buffer& buffer) noexcept
    {
        if (buffer.spare().size() < buffer.offset_)
            buffer.compact();
    }

    /// From now on the bytes are the kernel's: AddressSanitizer reports who
    /// touches them.
    static void lend(const owned_buffer& buffer) noexcept
    {
        poison(buffer.memory_, buffer.capacity_);
    }
    static void get_back(const owned_buffer& buffer) noexcept
    {
        unpoison(buffer.memory_, buffer.capacity_);
    }
};

} // namespace ring
} // namespace safer_ring::inline SAFER_RING_ABI
