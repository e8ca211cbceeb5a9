// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "backend/limit_text.hpp"

#include <safer_ring/ring/registered_file.hpp>
#include <safer_ring/ring/registry.hpp>
#include <safer_ring/ring/ring_core.hpp>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <linux/magic.h>
#include <new>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <system_error>

namespace safer_ring::inline SAFER_RING_ABI {

registered_file::~registered_file() = default;

/// New operations do not keep it any longer.
registered_buffers::~registered_buffers()
{
    if (buffers_)
        buffers_->home->give_up(*buffers_);
}

namespace ring {
namespace {

/// More than that the kernel refuses as one buffer, with EFAULT
/// (io_uring_register(2), IORING_REGISTER_BUFFERS).
constexpr std::size_t most_bytes = std::size_t{1} << 30;

/// Of more than that the kernel does a part (read(2)), but refuses it where it is
/// in a registered buffer (io_vec_fill_bvec in Linux 6.15).
constexpr std::size_t most_bytes_of_one_call = 0x7ffff000;

/// Whether vectored requests on registered buffers are of these. For a file without
/// read_iter() and write_iter() the kernel (since 6.15, loop_rw_iter() of its
/// io_uring/rw.c) takes the array of parts for the memory; many devices, and files of
/// /proc, have none. Sockets and pipes do, and what is stored.
bool takes_registered_vectors(int fd) noexcept
{
    struct stat what {};
    if (::fstat(fd, &what) != 0)
        return false;
    if (S_ISSOCK(what.st_mode) || S_ISFIFO(what.st_mode) || S_ISBLK(what.st_mode))
        return true;
    struct statfs where {};
    if (!S_ISREG(what.st_mode) || ::fstatfs(fd, &where) != 0)
        return false;
    switch (where.f_type) {
    case BTRFS_SUPER_MAGIC:
    case EXT4_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case NFS_SUPER_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case XFS_SUPER_MAGIC:
        return true;
    default:
        return false;
    }
}

std::string hint(int error, bool is_file, unsigned places)
{
    switch (error) {
    case EOPNOTSUPP:
        return is_file ? "this kernel or sandbox has no registered files; features::notes says why"
                       : "this kernel or sandbox has no registered buffers that can be updated "
                         "(Linux 5.13); features::notes says why";
    case ENFILE:
        return "all " + std::to_string(places) + " places are taken; options::" +
               (is_file ? "registered_file_count, and RLIMIT_NOFILE (ulimit -n, LimitNOFILE=) when "
                          "the first was registered, bound them"
                        : "registered_buffer_count");
    case EMFILE:
        return "RLIMIT_NOFILE of " + backend::limit_text(RLIMIT_NOFILE).value_or("unlimited") +
               " bounds the table of registered files too; raise it (ulimit -n, LimitNOFILE=)";
    case ENOMEM:
        if (const auto locked = backend::limit_text(RLIMIT_MEMLOCK); locked && !is_file)
            return "RLIMIT_MEMLOCK is " + *locked +
                   " bytes, and registered memory counts against it unless the process has "
                   "CAP_IPC_LOCK, as root does; raise it (ulimit -l, LimitMEMLOCK=). Rings "
                   "and their buffers count as well, but for Linux 5.12 to 6.13";
        return "the kernel has no memory left";
    case EPERM:
    case EACCES:
        return "a seccomp filter or security module refuses io_uring_register";
    case E2BIG:
        return "the kernel registers 1 GiB as one at most; use several pools";
    case EBUSY:
        return "operations still use it: wait for them or cancel them; or drop the handle, and it "
               "goes with the last of them";
    default:
        return "";
    }
}

bool contains(std::span<std::byte> bytes, const void* address) noexcept
{
    const auto* const at = static_cast<const std::byte*>(address);
    return std::greater_equal<>()(at, bytes.data()) &&
           std::less<>()(at, bytes.data() + bytes.size());
}

} // namespace

void require_handle(const registration_share& share, const char* what) noexcept
{
    if (!share)
        stop_program(std::string("a ") + what +
                     " is used that was given up or moved from, or that nothing was registered "
                     "by");
}

registry::registry(backend::backend& kernel)
    : kernel_(&kernel), gives_direct_descriptors_(kernel.found().direct_descriptors),
      takes_vectors_(kernel.found().registered_vectors)
{
    const options defaults;
    files_.limit = defaults.registered_file_count;
    buffers_.limit = defaults.registered_buffer_count;
}

void registry::set_limits(unsigned files, unsigned buffers)
{
    const std::lock_guard call(calls_);
    files_.limit = files;
    buffers_.limit = buffers;
    // Linux before 5.13 lets everything in flight end before it makes a table, and takes nothing
    // new meanwhile.
    const features& found = kernel_->found();
    if (found.registered_files && !found.registered_buffers)
        make_table(files_);
}

/// The kernel takes no larger one than the process may have descriptors.
int registry::make_files(unsigned& limit) noexcept
{
    rlimit descriptors{};
    if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && descriptors.rlim_cur < limit)
        limit = std::max(static_cast<unsigned>(descriptors.rlim_cur), 1U);
    return kernel_->register_file_table(limit);
}

/// Within `calls_`, as all that calls the kernel.
int registry::make_table(table& of) noexcept
{
    if (of.made)
        return 0;
    const bool is_files = &of == &files_;
    const features& found = kernel_->found();
    if (is_files ? !found.registered_files : !found.registered_buffers)
        return -EOPNOTSUPP;
    unsigned limit = of.limit;
    if (limit == 0)
        return -ENFILE;
    const int error = is_files ? make_files(limit) : kernel_->register_buffer_table(limit);
    if (error < 0)
        return error;
    const table_guard held(tables_);
    of.limit = limit;
    of.made = true;
    return 0;
}

// ----------------------------------------------------------------- the places

registration* registry::pop_free(table& from) noexcept
{
    registration* const place = from.free;
    if (place != nullptr) {
        from.free = place->next;
        place->next = nullptr;
        place->takes_vectors = false;
        users_.fetch_add(1, std::memory_order_relaxed);
    }
    return place;
}

/// A place without an owner. Within `calls_`.
int registry::claim(table& from, registration*& place) noexcept
{
    clear_again(from);
    const table_guard held(tables_);
    place = pop_free(from);
    if (place != nullptr)
        return 0;
    if (from.places.size() >= from.limit)
        return -ENFILE;
    try {
        place = &from.places.emplace_back();
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
    place->home = this;
    place->index = static_cast<std::uint32_t>(from.places.size() - 1);
    place->is_file = &from == &files_;
    users_.fetch_add(1, std::memory_order_relaxed);
    return 0;
}

void registry::clear_again(table& of) noexcept
{
    registration* to_clear = nullptr;
    {
        const table_guard held(tables_);
        to_clear = std::exchange(of.to_clear, nullptr);
    }
    while (to_clear != nullptr)
        put_back(*std::exchange(to_clear, to_clear->next));
}

int registry::clear_in_kernel(registration& place) noexcept
{
    if (kernel_ == nullptr || !place.occupied)
        return 0;
    return place.is_file ? kernel_->update_file(place.index, -1)
                         : kernel_->update_buffer(place.index, nullptr, 0);
}

/// Empties a place that nobody owns. Within `calls_`.
void registry::put_back(registration& place) noexcept
{
    place.occupied = clear_in_kernel(place) < 0;
    const table_guard held(tables_);
    table& home = table_of(place);
    registration*& list = place.occupied ? home.to_clear : home.free;
    place.next = std::exchange(list, &place);
}

/// `place` has lost its last owner.
void registry::clear(registration& place) noexcept
{
    registrable_memory* const memory = std::exchange(place.memory, nullptr);
    {
        const std::lock_guard call(calls_);
        put_back(place);
    }
    if (memory != nullptr)
        memory->let_go();
    release_user();
}

void registry::release_user() noexcept
{
    if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        delete this;
}

void registry::leave() noexcept
{
    {
        const std::lock_guard call(calls_);
        kernel_ = nullptr;
    }
    release_user();
}

// ----------------------------------------------------------------- the owners

void registry::add_owner(registration& place) noexcept
{
    const table_guard held(tables_);
    ++place.owners;
}

void registry::remove_owner(registration& place) noexcept
{
    {
        const table_guard held(tables_);
        if (--place.owners != 0)
            return;
        if (std::exchange(place.listed, false))
            registered_memory_.fetch_sub(1, std::memory_order_relaxed);
    }
    clear(place);
}

void registry::give_up(registration& place) noexcept
{
    const table_guard held(tables_);
    if (std::exchange(place.listed, false))
        registered_memory_.fetch_sub(1, std::memory_order_relaxed);
}

void registry::unregister(registration_share& share)
{
    registration& place = *share;
    bool in_use = false;
    {
        const table_guard held(tables_);
        in_use = place.owners != 1;
        if (!in_use && std::exchange(place.listed, false))
            registered_memory_.fetch_sub(1, std::memory_order_relaxed);
    }
    if (in_use)
        fail(-EBUSY,
             (place.is_file ? "unregistering file " : "unregistering buffers ") +
                 std::to_string(place.index),
             table_of(place));
    share.reset();
}

registration_share registry::find(const void* address) noexcept
{
    const table_guard held(tables_);
    for (registration& place : buffers_.places)
        if (place.listed && contains(place.bytes, address)) {
            ++place.owners;
            return registration_share(&place);
        }
    return {};
}

registration_share registry::find_all(std::span<const iovec> parts) noexcept
{
    if (!takes_vectors_ || parts.empty())
        return {};
    registration_share of_first = find(parts.front().iov_base);
    if (!of_first)
        return {};
    std::size_t left = most_bytes_of_one_call;
    for (const iovec& part : parts) {
        const auto* const data = static_cast<const std::byte*>(part.iov_base);
        if (part.iov_len == 0 || part.iov_len > left || !contains(of_first->bytes, data) ||
            !contains(of_first->bytes, data + part.iov_len - 1))
            return {};
        left -= part.iov_len;
    }
    return of_first;
}

// --------------------------------------------------------------- registering

void registry::fail(int error, const std::string& what, const table& of)
{
    unsigned limit = 0;
    {
        const table_guard held(tables_);
        limit = of.limit;
    }
    const std::string cause = hint(-error, &of == &files_, limit);
    throw std::system_error(-error, std::system_category(),
                            "safer_ring: " + what + (cause.empty() ? "" : " (" + cause + ")"));
}

registration_share registry::register_file(int fd)
{
    const bool takes_vectors = takes_vectors_ && takes_registered_vectors(fd);
    int error = fd < 0 ? -EBADF : 0; // -1 and -2 mean something to the kernel.
    registration* place = nullptr;
    {
        const std::lock_guard call(calls_);
        if (error == 0)
            error = make_table(files_);
        if (error == 0)
            error = claim(files_, place);
        if (error == 0)
            error = kernel_->update_file(place->index, fd);
        if (place != nullptr) {
            const table_guard held(tables_);
            place->owners = 1;
            place->occupied = error == 0;
            place->takes_vectors = takes_vectors;
        }
    }
    registration_share share(place);
    if (error < 0)
        fail(error, "registering descriptor " + std::to_string(fd), files_);
    return share;
}

void registry::replace_file(registration_share& file, int fd)
{
    const bool takes_vectors = takes_vectors_ && takes_registered_vectors(fd);
    int error = fd < 0 ? -EBADF : 0;
    {
        const std::lock_guard call(calls_);
        if (error == 0) {
            const table_guard held(tables_);
            error = file->owners != 1 ? -EBUSY : 0;
        }
        if (error == 0)
            error = kernel_->update_file(file->index, fd);
        if (error == 0) {
            const table_guard held(tables_);
            file->takes_vectors = takes_vectors;
        }
    }
    if (error < 0)
        fail(error,
             "putting descriptor " + std::to_string(fd) + " in the place of registered file " +
                 std::to_string(file->index),
             files_);
}

registration_share registry::register_memory(registrable_memory& memory)
{
    const std::span<std::byte> bytes = memory.all_bytes();
    int error = bytes.size() > most_bytes ? -E2BIG : 0;
    registration* place = nullptr;
    {
        const std::lock_guard call(calls_);
        if (error == 0)
            error = make_table(buffers_);
        if (error == 0)
            error = claim(buffers_, place);
        if (error == 0)
            error = kernel_->update_buffer(place->index, bytes.data(), bytes.size());
        if (place != nullptr) {
            memory.keep();
            const table_guard held(tables_);
            place->owners = 1;
            place->bytes = bytes;
            place->memory = &memory;
            place->occupied = place->listed = error == 0;
            if (place->listed)
                registered_memory_.fetch_add(1, std::memory_order_relaxed);
        }
    }
    registration_share share(place);
    if (error < 0)
        fail(error, "registering a pool of " + std::to_string(bytes.size()) + " bytes", buffers_);
    return share;
}

int registry::reserve_file(registration_share& into) noexcept
{
    if (!gives_direct_descriptors_)
        return -EOPNOTSUPP;
    registration* place = nullptr;
    {
        const table_guard held(tables_);
        place = pop_free(files_);
    }
    if (place == nullptr) {
        const std::lock_guard call(calls_);
        if (const int error = make_table(files_); error < 0)
            return error;
        if (const int error = claim(files_, place); error < 0)
            return error;
    }
    add_owner(*place);
    into = registration_share(place);
    return 0;
}

void registry::occupy(registration& place) noexcept
{
    const table_guard held(tables_);
    place.occupied = true;
}

void registry::vacate(registration& place) noexcept
{
    const table_guard held(tables_);
    place.occupied = false;
}

} // namespace ring
} // namespace safer_ring::inline SAFER_RING_ABI
