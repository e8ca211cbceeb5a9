// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/annotations.hpp>
#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/registry.hpp>

#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

namespace ring {

struct registration_access;

/// Stops the program unless the handle has something.
SAFER_RING_API void require_handle(const registration_share& share, const char* what) noexcept;

} // namespace ring

class registered_file;

/// What an operation is made on: a descriptor or a registered file, which goes
/// on being registered until the operation is complete.
class file_ref {
public:
    file_ref(int fd) noexcept : fd_(fd) {}

private:
    friend class registered_file;
    friend struct ring::registration_access;

    explicit file_ref(ring::registration_share&& file) noexcept : file_(std::move(file)) {}

    int fd_ = -1;
    ring::registration_share file_;
};

/// A file that is registered with a ring: its operations spare the look-up of
/// a descriptor, and a direct descriptor (`io_ring::accept_direct` and the
/// like) has no number in the process at all.
///
/// *Made* by `io_ring::register_file` and by operations that give one.
///
/// *Lifetime*: the kernel holds a reference of its own to the file, so that the
/// descriptor it was registered by may be closed. Destroyed, or given to
/// `io_ring::unregister`, the handle ends that; operations on it that are under
/// way keep file and place until they are complete. The handle may outlive the
/// ring, which ends all its registrations.
///
/// *When the file itself is closed*: with the last reference. Linux before 6.13
/// may keep one until operations on other registered files or buffers that were
/// begun earlier are complete; `io_ring::shutdown` tells the peer at once.
///
/// *After a move* it is empty. Clang reports the use of such a handle with
/// `-Wconsumed`; elsewhere, and with another ring, the use stops the program.
///
/// *Thread safety*: distinct objects may be used at once, and one by several
/// operations at once.
///
/// @code
/// int ends[2];
/// assert(::pipe(ends) == 0);
/// const safer_ring::owned_descriptor writer(ends[1]);
/// safer_ring::io_ring ring;
/// safer_ring::registered_file reader = ring.register_file(ends[0]);
/// ::close(ends[0]);
/// assert(::write(writer.get(), "hello", 5) == 5);
/// auto [result, buffer] = ring.read(reader, safer_ring::owned_buffer(64)).submit().wait().take();
/// assert(buffer.text() == "hello");
/// ring.unregister(std::move(reader));
/// @endcode
class SAFER_RING_CONSUMABLE(unconsumed) registered_file {
public:
    /// None.
    SAFER_RING_RETURNS(consumed) registered_file() noexcept = default;
    SAFER_RING_RETURNS(unconsumed) registered_file(registered_file&&) noexcept = default;
    SAFER_RING_SETS(unconsumed) registered_file& operator=(registered_file&& other) noexcept
    {
        registered_file taken(std::move(other));
        std::swap(file_, taken.file_);
        return *this;
    }
    // Compilers quote these lines to who tries.
    // clang-format off
    registered_file(const registered_file&) = delete; // A registration has one handle: pass it on by std::move().
    registered_file& operator=(const registered_file&) = delete; // A registration has one handle: pass it on by std::move().
    registered_file(int fd) = delete; // Nothing is registered by the way: ask for it by ring.register_file(fd).
    // clang-format on
    SAFER_RING_API ~registered_file();

    [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(file_); }
    /// Its place in the table, as messages tell it.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE int index() const noexcept
    {
        ring::require_handle(file_, "registered_file");
        return static_cast<int>(file_->index);
    }

    /// For operations.
    SAFER_RING_NOT_AFTER_MOVE operator file_ref() const noexcept
    {
        ring::require_handle(file_, "registered_file");
        return file_ref(file_.another());
    }

private:
    friend struct ring::registration_access;

    SAFER_RING_RETURNS(unconsumed)
    explicit registered_file(ring::registration_share&& file) noexcept : file_(std::move(file)) {}

    ring::registration_share file_;
};

/// The buffers of a pool, registered with a ring: reads into them and writes
/// from them, on that ring, spare the look-up of their pages. So do zero-copy
/// sends, and, since Linux 6.15 (`features::registered_vectors`), vectored reads
/// and writes whose buffers are all of one such pool and not empty, on a
/// file that `register_file` registered and that is a socket, a pipe, a block device, or
/// on one of the usual file systems (for other files the kernel would take the array of
/// parts for the memory). Nothing else changes in how the buffers are used; with other rings they
/// are as any.
///
/// *Made* by `io_ring::register_buffers`.
///
/// *Lifetime*: the memory stays, also when the pool is gone, until the handle
/// is destroyed or given to `io_ring::unregister`; reads and writes that are
/// under way keep the registration until they are complete. The handle may
/// outlive the ring, which ends all its registrations.
///
/// *After a move* it is empty, as a registered_file.
///
/// *Thread safety*: distinct objects may be used at once.
///
/// @code
/// safer_ring::buffer_pool pool(8, 4096);
/// safer_ring::io_ring ring;
/// const safer_ring::owned_descriptor file(::open("/dev/zero", O_RDONLY));
/// if (ring.found().registered_buffers) {
///     const safer_ring::registered_buffers registered = ring.register_buffers(pool);
///     auto reading = ring.read(file.get(), std::move(*pool.try_acquire())).submit();
///     auto [result, buffer] = std::move(reading).wait().take();
///     assert(result.value() == 4096);
/// }
/// @endcode
class SAFER_RING_CONSUMABLE(unconsumed) registered_buffers {
public:
    /// None.
    SAFER_RING_RETURNS(consumed) registered_buffers() noexcept = default;
    SAFER_RING_RETURNS(unconsumed) registered_buffers(registered_buffers&&) noexcept = default;
    SAFER_RING_SETS(unconsumed) registered_buffers& operator=(registered_buffers&& other) noexcept
    {
        registered_buffers taken(std::move(other));
        std::swap(buffers_, taken.buffers_);
        return *this;
    }
    // clang-format off
    registered_buffers(const registered_buffers&) = delete; // A registration has one handle: pass it on by std::move().
    registered_buffers& operator=(const registered_buffers&) = delete; // A registration has one handle: pass it on by std::move().
    registered_buffers(buffer_pool& pool) = delete; // Nothing is registered by the way: ask for it by ring.register_buffers(pool).
    // clang-format on
    SAFER_RING_API ~registered_buffers();

    [[nodiscard]] bool is_registered() const noexcept { return static_cast<bool>(buffers_); }
    /// Of all buffers together, with what is between them.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE std::size_t size_bytes() const noexcept
    {
        ring::require_handle(buffers_, "registered_buffers");
        return buffers_->bytes.size();
    }

private:
    friend struct ring::registration_access;

    SAFER_RING_RETURNS(unconsumed)
    explicit registered_buffers(ring::registration_share&& buffers) noexcept
        : buffers_(std::move(buffers))
    {
    }

    ring::registration_share buffers_;
};

namespace ring {

/// What rings and operations do with handles, and nobody else.
struct registration_access {
    static registered_file file(registration_share&& share) noexcept
    {
        return registered_file(std::move(share));
    }
    static registered_buffers buffers(registration_share&& share) noexcept
    {
        return registered_buffers(std::move(share));
    }
    /// Throws std::invalid_argument for a pool that was moved from.
    static registrable_memory& memory(const buffer_pool& pool) { return pool.memory(); }
    static int descriptor(const file_ref& file) noexcept { return file.fd_; }
    static registration_share take(file_ref& file) noexcept { return std::move(file.file_); }
    static registration_share& share(registered_file& file) noexcept { return file.file_; }
    static const registration_share& share(const registered_file& file) noexcept
    {
        return file.file_;
    }
    static registration_share& share(registered_buffers& buffers) noexcept
    {
        return buffers.buffers_;
    }
};

} // namespace ring
} // namespace safer_ring::inline SAFER_RING_ABI
