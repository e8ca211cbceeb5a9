// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/socket_operations.hpp>
#include <safer_ring/ring/file_operations.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <sys/uio.h>
#include <tuple>

/// Operations of files with the caller's buffers, still without handlers.
namespace safer_ring::inline SAFER_RING_ABI::detail {

inline std::byte* bytes_of(const net::mutable_buffer& buffer) noexcept
{
    return static_cast<std::byte*>(buffer.data());
}
inline std::byte* bytes_of(const net::const_buffer& buffer) noexcept
{
    return static_cast<std::byte*>(const_cast<void*>(buffer.data()));
}

/// Calls `f(data, size)` for each piece of `buffers` that is not empty, behind
/// the first `skip` bytes and as far as `limit` bytes, until it answers false.
template <typename Buffers, typename F>
void for_each_piece(const Buffers& buffers, std::size_t skip, std::size_t limit, F&& f) noexcept
{
    const auto end = net::buffer_sequence_end(buffers);
    for (auto it = net::buffer_sequence_begin(buffers); it != end && limit != 0; ++it) {
        const auto buffer = *it;
        const std::size_t size = net::buffer(buffer).size();
        if (size <= skip) {
            skip -= size;
            continue;
        }
        const std::size_t piece = std::min(size - skip, limit);
        if (!f(bytes_of(buffer) + skip, piece))
            return;
        skip = 0;
        limit -= piece;
    }
}

/// A part of a buffer sequence as the kernel wants it. Asio, too, passes at
/// most 64 buffers at a time.
class file_vectors {
public:
    template <typename Buffers>
    file_vectors(const Buffers& buffers, std::size_t skip, std::size_t limit) noexcept
    {
        for_each_piece(buffers, skip, limit, [this](std::byte* data, std::size_t size) {
            iovecs_[size_++] = {data, size};
            return size_ != iovecs_.size();
        });
    }
    [[nodiscard]] const iovec* data() const noexcept { return iovecs_.data(); }
    [[nodiscard]] int size() const noexcept { return static_cast<int>(size_); }

private:
    std::array<iovec, 64> iovecs_;
    std::size_t size_ = 0;
};

/// True when a buffer has a size and no memory: the kernel would answer
/// EFAULT, but what is staged is copied here.
template <typename Buffers>
bool lacks_memory(const Buffers& buffers) noexcept
{
    bool found = false;
    for_each_piece(buffers, 0, ~std::size_t{0}, [&found](const std::byte* data, std::size_t) {
        found = data == nullptr;
        return !found;
    });
    return found;
}

/// Reads at `offset`; the handler is told the end of the file as net::error::eof.
template <typename Buffers>
class file_read : public ring::file_operation {
protected:
    file_read(const Buffers& buffers, std::uint64_t offset)
        : ring::file_operation(ring::direction::read, net::buffer_size(buffers), offset),
          buffers_(buffers)
    {
    }
    ~file_read() = default;

    ssize_t transfer_now(int fd, std::size_t skip, std::size_t limit, std::uint64_t offset,
                         int flags) noexcept override
    {
        const file_vectors to(buffers_.get(size_bytes()), skip, limit);
        return retry_interrupted(
            [&] { return ::preadv2(fd, to.data(), to.size(), static_cast<off_t>(offset), flags); });
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
        : ring::file_operation(ring::direction::write, net::buffer_size(buffers), offset),
          buffers_(buffers)
    {
    }
    ~file_write() = default;

    ssize_t transfer_now(int fd, std::size_t skip, std::size_t limit, std::uint64_t offset,
                         int flags) noexcept override
    {
        const file_vectors from(buffers_.get(size_bytes()), skip, limit);
        return retry_interrupted([&] {
            return ::pwritev2(fd, from.data(), from.size(), static_cast<off_t>(offset), flags);
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
