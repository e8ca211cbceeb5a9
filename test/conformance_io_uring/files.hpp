// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "conformance/contexts.hpp"

#include "support/blocking_peer.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <memory>
#include <string>
#include <tuple>

#include <fcntl.h>
#include <unistd.h>

// Files to read and write, and where they lie.
namespace conformance {

template <class Ctx>
using random_file_of = net::basic_random_access_file<executor_of<Ctx>>;

template <class Ctx>
using stream_file_of = net::basic_stream_file<executor_of<Ctx>>;

/// Bytes that tell where in a file they belong.
inline std::string pattern(std::size_t size)
{
    std::string bytes(size, '\0');
    unsigned state = 1;
    for (auto& byte : bytes) {
        state = state * 1103515245u + 12345u;
        byte = static_cast<char>(state >> 16);
    }
    return bytes;
}

/// How a file is kept, which decides what can be had without waiting.
enum class storage {
    cached,   ///< In the page cache.
    uncached, ///< On the disk only.
    half,     ///< The first half is in the page cache.
    memory,   ///< On tmpfs, which knows no RWF_NOWAIT.
    direct,   ///< Opened with O_DIRECT.
};
inline constexpr storage all_storage[] = {storage::cached, storage::uncached, storage::half,
                                          storage::memory, storage::direct};
inline constexpr const char* storage_names[] = {"cached", "uncached", "half cached", "tmpfs",
                                                "direct"};

/// A file that is removed at the end.
class temporary_file {
public:
    explicit temporary_file(const std::string& contents = "", storage kept = storage::cached)
        : kept_(kept), path_(kept == storage::memory ? "/dev/shm" : "/var/tmp")
    {
        path_ += "/safer_ring_XXXXXX";
        const test_support::unique_descriptor fd(::mkstemp(path_.data()));
        BOOST_REQUIRE(fd.get() >= 0);
        for (std::size_t done = 0; done < contents.size();) {
            const auto n = ::write(fd.get(), contents.data() + done, contents.size() - done);
            BOOST_REQUIRE(n > 0);
            done += static_cast<std::size_t>(n);
        }
        if (kept == storage::cached || kept == storage::memory)
            return;
        ::fsync(fd.get());
        ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
        if (kept == storage::half) {
            std::string half(contents.size() / 2, '\0');
            ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_RANDOM);
            BOOST_REQUIRE(::pread(fd.get(), half.data(), half.size(), 0) >= 0);
        }
    }
    temporary_file(const temporary_file&) = delete;
    temporary_file& operator=(const temporary_file&) = delete;
    ~temporary_file() { ::unlink(path_.c_str()); }

    const std::string& path() const { return path_; }

    /// -1 where the file system has no O_DIRECT.
    int open(int flags = O_RDWR) const
    {
        return ::open(path_.c_str(), flags | (kept_ == storage::direct ? O_DIRECT : 0));
    }

    std::string contents() const
    {
        const test_support::unique_descriptor fd(::open(path_.c_str(), O_RDONLY));
        std::string all;
        char block[65536];
        for (ssize_t n = 0; (n = ::read(fd.get(), block, sizeof block)) > 0;)
            all.append(block, static_cast<std::size_t>(n));
        return all;
    }

private:
    storage kept_;
    std::string path_;
};

/// Memory as O_DIRECT wants it.
class aligned_memory {
public:
    explicit aligned_memory(std::size_t size_bytes)
        : data_(static_cast<char*>(std::aligned_alloc(4096, size_bytes))), size_(size_bytes)
    {
        BOOST_REQUIRE(data_ != nullptr);
        fill('.');
    }
    void fill(char value) { std::fill_n(data_.get(), size_, value); }
    void assign(const std::string& bytes) { std::copy(bytes.begin(), bytes.end(), data_.get()); }
    std::string string(std::size_t size) const { return std::string(data_.get(), size); }
    net::mutable_buffer buffer() const { return {data_.get(), size_}; }
    net::mutable_buffer buffer(std::size_t from, std::size_t size) const
    {
        return {data_.get() + from, size};
    }

private:
    struct freed {
        void operator()(char* p) const { std::free(p); }
    };
    std::unique_ptr<char, freed> data_;
    std::size_t size_;
};

/// Both ends of a pipe: what is not a regular file, and may have to be waited for.
struct pipe_ends {
    pipe_ends() { std::tie(read_end, write_end) = test_support::pipe_descriptor_pair(); }
    test_support::unique_descriptor read_end;
    test_support::unique_descriptor write_end;
};

} // namespace conformance
