// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/caller_buffers.hpp>
#include <safer_ring/ring/descriptor_operations.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <sys/uio.h>
#include <tuple>
#include <unistd.h>

/// Reads and writes of descriptors with the caller's buffers, still without
/// handlers.
namespace safer_ring::inline SAFER_RING_ABI::detail {

template <typename Buffers>
class descriptor_read : public ring::descriptor_read_operation {
protected:
    explicit descriptor_read(const Buffers& buffers)
        : size_bytes_(measure(buffers).size_bytes), buffers_(buffers)
    {
    }
    ~descriptor_read() = default;

    ssize_t read_now(int fd, int flags) noexcept override
    {
        iovec_array vectors(buffers_.get(size_bytes_));
        const iovec* const one = vectors.only();
        return retry_interrupted([&] {
            if (one != nullptr && flags == 0)
                return ::read(fd, one->iov_base, one->iov_len);
            return ::preadv2(fd, vectors.data(), static_cast<int>(vectors.size()), -1, flags);
        });
    }

    std::tuple<error_code, std::size_t> take_arguments() const noexcept
    {
        if (result() == 0)
            return {net::error::eof, 0};
        return {to_error_code(result()), result() > 0 ? static_cast<std::size_t>(result()) : 0};
    }

private:
    std::size_t size_bytes_;
    kept_buffers<Buffers> buffers_;
};

template <typename Buffers>
class descriptor_write : public ring::descriptor_write_operation {
protected:
    explicit descriptor_write(const Buffers& buffers)
        : descriptor_write(buffers, measure(buffers).size_bytes)
    {
    }
    ~descriptor_write() = default;

    ssize_t write_now(int fd, int flags) noexcept override
    {
        iovec_array vectors(buffers_.get(size_bytes_));
        const iovec* const one = vectors.only();
        return retry_interrupted([&] {
            if (one != nullptr && flags == 0)
                return ::write(fd, one->iov_base, one->iov_len);
            return ::pwritev2(fd, vectors.data(), static_cast<int>(vectors.size()), -1, flags);
        });
    }

    std::tuple<error_code, std::size_t> take_arguments() const noexcept
    {
        return {to_error_code(result()), result() > 0 ? static_cast<std::size_t>(result()) : 0};
    }

private:
    descriptor_write(const Buffers& buffers, std::size_t size_bytes)
        : ring::descriptor_write_operation(size_bytes), size_bytes_(size_bytes), buffers_(buffers)
    {
    }

    std::size_t size_bytes_;
    kept_buffers<Buffers> buffers_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
