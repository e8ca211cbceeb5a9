// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/socket_operations.hpp>
#include <safer_ring/ring/file_operations.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <cstdint>
#include <cstring>
#include <sys/uio.h>
#include <tuple>

/// Operations of files with the caller's buffers, still without handlers.
namespace safer_ring::inline SAFER_RING_ABI::detail {

/// Reads at `offset`; the handler is told the end of the file as net::error::eof.
template <typename Buffers>
class file_read : public ring::file_operation {
protected:
    file_read(const Buffers& buffers, std::uint64_t offset)
        : ring::file_operation(ring::direction::read, measure(buffers).size_bytes, offset),
          buffers_(buffers)
    {
    }
    ~file_read() = default;

    ssize_t transfer_now(int fd, std::size_t skip, std::size_t limit, std::uint64_t offset,
                         int flags) noexcept override
    {
        const iovec_array to(buffers_.get(size_bytes()), skip, limit);
        return retry_interrupted([&] {
            return ::preadv2(fd, to.data(), to.count(), static_cast<off_t>(offset), flags);
        });
    }

    void copy(std::byte* block, std::size_t size, std::size_t skip) noexcept override
    {
        for_each_piece(buffers_.get(size_bytes()), skip, size,
                       [block](std::byte* data, std::size_t piece) mutable {
                           std::memcpy(data, block, piece);
                           block += piece;
                           return true;
                       });
    }

    std::byte* memory(std::size_t skip) const noexcept override
    {
        if constexpr (is_plain_buffer<Buffers>)
            return bytes_of(buffers_.get(size_bytes())) + skip;
        else
            return nullptr;
    }

    std::tuple<error_code, std::size_t> take_arguments() const noexcept
    {
        if (result() == 0)
            return {net::error::eof, 0};
        return {to_error_code(result()), result() > 0 ? static_cast<std::size_t>(result()) : 0};
    }

private:
    kept_buffers<Buffers> buffers_;
};

template <typename Buffers>
class file_write : public ring::file_operation {
protected:
    file_write(const Buffers& buffers, std::uint64_t offset)
        : ring::file_operation(ring::direction::write, measure(buffers).size_bytes, offset),
          buffers_(buffers)
    {
    }
    ~file_write() = default;

    ssize_t transfer_now(int fd, std::size_t skip, std::size_t limit, std::uint64_t offset,
                         int flags) noexcept override
    {
        const iovec_array from(buffers_.get(size_bytes()), skip, limit);
        return retry_interrupted([&] {
            return ::pwritev2(fd, from.data(), from.count(), static_cast<off_t>(offset), flags);
        });
    }

    void copy(std::byte* block, std::size_t size, std::size_t skip) noexcept override
    {
        for_each_piece(buffers_.get(size_bytes()), skip, size,
                       [block](const std::byte* data, std::size_t piece) mutable {
                           std::memcpy(block, data, piece);
                           block += piece;
                           return true;
                       });
    }

    std::tuple<error_code, std::size_t> take_arguments() const noexcept
    {
        return {to_error_code(result()), result() > 0 ? static_cast<std::size_t>(result()) : 0};
    }

private:
    kept_buffers<Buffers> buffers_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
