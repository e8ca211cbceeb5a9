// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/backend/backend.hpp>
#include <safer_ring/ring/loop_mutex.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <sys/uio.h>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::ring {

class registry;

/// Memory of many buffers, which is registered as one.
class SAFER_RING_API registrable_memory {
public:
    [[nodiscard]] virtual std::span<std::byte> all_bytes() noexcept = 0;
    /// It stays mapped until `let_go` has been called as often. On any thread.
    virtual void keep() noexcept = 0;
    virtual void let_go() noexcept = 0;

protected:
    registrable_memory() = default;
    registrable_memory(const registrable_memory&) = delete;
    registrable_memory& operator=(const registrable_memory&) = delete;
    ~registrable_memory() = default;
};

/// A place in one of the two tables of a ring. It is given to somebody else
/// only when nobody has a share in it any more.
struct registration {
    registry* home = nullptr;
    std::uint32_t index = 0;
    std::uint32_t owners = 0;   // Of shares: the handle, and operations.
    bool is_file = false;       // Else memory.
    bool occupied = false;      // The kernel has something there.
    bool listed = false;        // Operations may find it by the memory.
    bool takes_vectors = false; // Of a file: of parts of registered memory.
    std::span<std::byte> bytes;
    registrable_memory* memory = nullptr; // What `bytes` is of.
    registration* next = nullptr;         // In a list of those without an owner.
};

/// A share in a registration: it stays as long as there is one. May be
/// destroyed on any thread, also after the ring.
class registration_share {
public:
    registration_share() noexcept = default;
    /// Takes over a share that was counted already.
    explicit registration_share(registration* counted) noexcept : of_(counted) {}
    registration_share(registration_share&& other) noexcept : of_(std::exchange(other.of_, nullptr))
    {
    }
    registration_share& operator=(registration_share&& other) noexcept
    {
        registration_share taken(std::move(other));
        std::swap(of_, taken.of_);
        return *this;
    }
    ~registration_share() { reset(); }

    explicit operator bool() const noexcept { return of_ != nullptr; }
    [[nodiscard]] registration& operator*() const noexcept { return *of_; }
    [[nodiscard]] registration* operator->() const noexcept { return of_; }

    /// One more share in the same.
    [[nodiscard]] inline registration_share another() const noexcept;
    inline void reset() noexcept;

private:
    registration* of_ = nullptr;
};

/// The files and the memory that one ring has registered with the kernel.
///
/// A table is made with the first thing that is put into it; its places are
/// updated one by one. Who needs a place while it is registered has a share in
/// it, operations from when they are made (files) or submitted (memory) until
/// they are complete. So a place is never another's while an operation that
/// names it waits to be submitted.
///
/// Lives as long as the ring or any share. Two locks: one for the system calls,
/// which may take long, since memory is locked page by page; and one for the
/// tables, within that one if both are held. Both may be taken within the
/// engine's lock, and neither is held when the engine is called.
///
/// Thread safety: every member may be called from any thread.
class registry {
public:
    SAFER_RING_API explicit registry(backend::backend& kernel);
    registry(const registry&) = delete;
    registry& operator=(const registry&) = delete;

    /// How many there may be, before anything is registered. Makes the table of
    /// files where the kernel could not do so later.
    SAFER_RING_API void set_limits(unsigned files, unsigned buffers);

    /// Throws std::system_error, whose text names the likely cause.
    [[nodiscard]] SAFER_RING_API registration_share register_file(int fd);
    /// Puts another file into the place; throws std::system_error, with EBUSY
    /// where operations use it.
    SAFER_RING_API void replace_file(registration_share& file, int fd);
    /// The same for all buffers of a pool.
    [[nodiscard]] SAFER_RING_API registration_share register_memory(registrable_memory& memory);
    /// Throws std::system_error with EBUSY where operations use it, and leaves
    /// the share to its owner then.
    SAFER_RING_API void unregister(registration_share& share);

    /// A free place for a file that the kernel will put there; zero or the
    /// negated errno.
    [[nodiscard]] SAFER_RING_API int reserve_file(registration_share& into) noexcept;
    /// The kernel has put it there.
    SAFER_RING_API void occupy(registration& place) noexcept;
    /// The kernel has taken it away.
    SAFER_RING_API void vacate(registration& place) noexcept;

    /// Whether `find` may find something.
    [[nodiscard]] bool has_memory() const noexcept
    {
        return registered_memory_.load(std::memory_order_relaxed) != 0;
    }
    /// A share in what this address is registered by, if it is.
    [[nodiscard]] SAFER_RING_API registration_share find(const void* address) noexcept;
    /// The same for all parts of a vectored operation, which the kernel takes
    /// from one registered buffer only, and where none is empty.
    [[nodiscard]] SAFER_RING_API registration_share find_all(std::span<const iovec> parts) noexcept;

    /// No operation finds it from now on.
    SAFER_RING_API void give_up(registration& place) noexcept;
    SAFER_RING_API void add_owner(registration& place) noexcept;
    SAFER_RING_API void remove_owner(registration& place) noexcept;

    /// The ring goes away, and all that it has registered with it.
    SAFER_RING_API void leave() noexcept;

private:
    struct table {
        std::deque<registration> places; // Their addresses stay.
        registration* free = nullptr;
        registration* to_clear = nullptr; // The kernel had no memory to do it.
        unsigned limit = 0;
        bool made = false;
    };
    using table_guard = std::lock_guard<loop_mutex>;

    ~registry() = default;
    int make_table(table& of) noexcept;
    int make_files(unsigned& limit) noexcept;
    int claim(table& from, registration*& place) noexcept;
    registration* pop_free(table& from) noexcept;
    void clear_again(table& of) noexcept;
    int clear_in_kernel(registration& place) noexcept;
    void put_back(registration& place) noexcept;
    void clear(registration& place) noexcept;
    void release_user() noexcept;
    [[nodiscard]] table& table_of(const registration& place) noexcept
    {
        return place.is_file ? files_ : buffers_;
    }
    [[noreturn]] void fail(int error, const std::string& what, const table& of);

    std::mutex calls_; // System calls, one at a time, and `kernel_`.
    backend::backend* kernel_;
    const bool gives_direct_descriptors_;
    const bool takes_vectors_;
    loop_mutex tables_{true}; // All below but the counts.
    table files_;
    table buffers_;
    std::atomic<std::size_t> registered_memory_{0}; // Places that can be found.
    std::atomic<std::size_t> users_{1};             // The ring, and places with an owner.
};

/// The ring's hold on its registry.
class registry_owner {
public:
    explicit registry_owner(backend::backend& kernel) : registry_(new registry(kernel)) {}
    registry_owner(const registry_owner&) = delete;
    registry_owner& operator=(const registry_owner&) = delete;
    ~registry_owner() { leave(); }

    [[nodiscard]] registry& operator*() const noexcept { return *registry_; }
    [[nodiscard]] registry* operator->() const noexcept { return registry_; }
    /// The ring is about to go; there is nothing behind `*` any more.
    void leave() noexcept
    {
        if (registry_ != nullptr)
            std::exchange(registry_, nullptr)->leave();
    }
    void swap(registry_owner& other) noexcept { std::swap(registry_, other.registry_); }

private:
    registry* registry_;
};

inline registration_share registration_share::another() const noexcept
{
    of_->home->add_owner(*of_);
    return registration_share(of_);
}

inline void registration_share::reset() noexcept
{
    if (of_ != nullptr)
        of_->home->remove_owner(*std::exchange(of_, nullptr));
}

/// Memory that an operation reads into or writes from, as it is registered
/// with the operation's ring.
class registered_range {
public:
    void look_in(registry& home) noexcept { home_ = &home; }
    /// What was found with another ring, as the parent of a fork has it, is given up.
    void find(const void* memory) noexcept
    {
        range_ =
            home_ != nullptr && home_->has_memory() ? home_->find(memory) : registration_share();
    }
    void find_all(std::span<const iovec> parts) noexcept
    {
        range_ =
            home_ != nullptr && home_->has_memory() ? home_->find_all(parts) : registration_share();
    }
    void reset() noexcept { range_.reset(); }
    void prepare(backend::submission_entry& entry, backend::opcode fixed) const noexcept
    {
        if (!range_ || entry.length == 0 || entry.op == backend::opcode::send)
            return;
        entry.op = fixed;
        entry.buffer_group = static_cast<std::uint16_t>(range_->index);
        if (fixed == backend::opcode::send_zc)
            entry.ioprio |= backend::send_registered_buffer;
    }

private:
    registry* home_ = nullptr;
    registration_share range_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
