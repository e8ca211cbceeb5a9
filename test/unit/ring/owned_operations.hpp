// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "open_file.hpp"

#include "support/sanitizer.hpp"

#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/owned_transfer.hpp>
#include <safer_ring/ring/registered_file.hpp>
#include <safer_ring/ring/shared_buffer.hpp>
#include <safer_ring/ring/zero_copy_send.hpp>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#if defined(SAFER_RING_TEST_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#endif

// Operations that own their buffer, as leaves that hand it back to the test.
namespace unit {

using ring::transfer_extent;
using safer_ring::buffer_pool;
using safer_ring::owned_buffer;
using safer_ring::registered_buffers;
using safer_ring::shared_buffer;

/// A buffer with these bytes.
inline owned_buffer bytes_of(std::string_view text)
{
    return owned_buffer::copy_of(std::as_bytes(std::span(text)));
}

/// A buffer of the pool, filled with `value`.
inline owned_buffer take_from(buffer_pool& pool, char value = '.')
{
    auto buffer = pool.try_acquire();
    BOOST_REQUIRE(buffer);
    std::memset(buffer->data(), value, buffer->size());
    return std::move(*buffer);
}

inline std::size_t missing(const buffer_pool& pool)
{
    return pool.statistics().count - pool.statistics().available;
}

inline registered_buffers registered(simulated_loop& l, buffer_pool& pool)
{
    using access = ring::registration_access;
    return access::buffers(l.loop.register_memory(access::memory(pool)));
}

/// Keeps the kernel from taking anything for as long as it lives.
struct shut_kernel {
    static constexpr unsigned for_long = 1U << 20; // Calls.
    explicit shut_kernel(simulated_loop& l) : kernel(*l.kernel)
    {
        kernel.fail_nth(simulation::call::enter, 1, EBUSY, for_long);
    }
    shut_kernel(const shut_kernel&) = delete;
    shut_kernel& operator=(const shut_kernel&) = delete;
    ~shut_kernel() { kernel.fail_no_more(simulation::call::enter); }
    simulation& kernel;
};

/// Whether a sanitizer would report who touches this; true where there is none.
inline bool is_lent([[maybe_unused]] const void* memory)
{
#if defined(SAFER_RING_TEST_ADDRESS_SANITIZER)
    return __asan_address_is_poisoned(memory) != 0;
#else
    return true;
#endif
}

/// What came back, beside the result.
template <class Buffer>
struct come_back {
    Buffer buffer;
    std::size_t moved_bytes = 0;
    bool all = false;
};

/// A transfer of a file, in the buffer itself.
template <class Buffer>
class transfer_in_place : public ring::owned_transfer_operation {
protected:
    transfer_in_place(direction way, Buffer&& buffer, std::uint64_t offset, come_back<Buffer>& back,
                      transfer_extent extent = transfer_extent::all)
        : transfer_in_place(way, std::make_unique<ring::lent_buffer<Buffer>>(std::move(buffer)),
                            offset, back, extent)
    {
    }
    ~transfer_in_place() = default;

    int final_result() noexcept
    {
        const auto memory = take_memory();
        back_.buffer = std::move(static_cast<ring::lent_buffer<Buffer>&>(*memory).buffer);
        back_.moved_bytes = moved_bytes();
        back_.all = is_all_moved();
        return result();
    }

private:
    transfer_in_place(direction way, std::unique_ptr<ring::lent_buffer<Buffer>>&& memory,
                      std::uint64_t offset, come_back<Buffer>& back, transfer_extent extent)
        : transfer_in_place(way, memory->bytes(), memory, offset, back, extent)
    {
    }
    transfer_in_place(direction way, std::span<const std::byte> bytes,
                      std::unique_ptr<ring::lent_buffer<Buffer>>& memory, std::uint64_t offset,
                      come_back<Buffer>& back, transfer_extent extent)
        : ring::owned_transfer_operation(way, extent, std::move(memory), bytes, offset), back_(back)
    {
    }

    come_back<Buffer>& back_;
};

class zero_copy_send_of_test : public ring::zero_copy_send_operation {
protected:
    explicit zero_copy_send_of_test(owned_buffer&& buffer)
        : ring::zero_copy_send_operation(
              std::make_unique<ring::lent_buffer<owned_buffer>>(std::move(buffer)))
    {
    }
    ~zero_copy_send_of_test() = default;
    int final_result() const noexcept { return result(); }
};

/// A transfer that was started: what its handler was told, and what came back.
template <class Buffer = owned_buffer>
struct owned_transfer {
    owned_transfer(open_file& f, direction way, Buffer buffer, std::uint64_t offset,
                   transfer_extent extent = transfer_extent::all)
        : memory(buffer.data()), told(f.loop.start<transfer_in_place<Buffer>>(
                                     *f.handle, way, way, std::move(buffer), offset, back, extent)),
          id(f.loop.last_id)
    {
    }
    owned_transfer(const owned_transfer&) = delete;
    owned_transfer& operator=(const owned_transfer&) = delete;

    /// The bytes that were moved, as far as that goes.
    [[nodiscard]] std::string_view text() const
    {
        return std::string_view(reinterpret_cast<const char*>(back.buffer.data()),
                                back.moved_bytes);
    }

    const std::byte* memory;
    come_back<Buffer> back;
    record& told;
    ring::operation_id id;
};

} // namespace unit
