// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "support/skip.hpp"

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <string>
#include <sys/mman.h>
#include <vector>

// Buffers that the kernel takes in part only.
namespace test_support {

/// 2^31 bytes, which take up no memory until they are written to.
class huge_region {
public:
    static constexpr std::size_t size_bytes = std::size_t{1} << 31;

    huge_region()
        : data_(::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))
    {
        if (data_ == MAP_FAILED)
            SAFER_RING_SKIP("no 2 GiB of addresses: overcommit is strict, or a limit is set");
    }
    huge_region(const huge_region&) = delete;
    huge_region& operator=(const huge_region&) = delete;
    ~huge_region() { ::munmap(data_, size_bytes); }

    boost::asio::mutable_buffer buffer() const { return {data_, size_bytes}; }

private:
    void* data_;
};

/// IOV_MAX is 1,024.
inline constexpr std::size_t more_than_iov_max = 1100;

/// A buffer for each byte of `text`.
inline std::vector<boost::asio::mutable_buffer> byte_by_byte(std::string& text)
{
    std::vector<boost::asio::mutable_buffer> buffers;
    for (char& c : text)
        buffers.push_back(boost::asio::buffer(&c, 1));
    return buffers;
}
inline std::vector<boost::asio::const_buffer> byte_by_byte(const std::string& text)
{
    std::vector<boost::asio::const_buffer> buffers;
    for (const char& c : text)
        buffers.push_back(boost::asio::buffer(&c, 1));
    return buffers;
}

} // namespace test_support
