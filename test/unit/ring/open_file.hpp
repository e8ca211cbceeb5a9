// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "simulated_loop.hpp"

#include <safer_ring/ring/file_operations.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <sys/uio.h>
#include <utility>

namespace unit {

inline constexpr std::size_t block = ring::staging_pool::largest_pages_bytes;

/// What the attempts of an operation find, in place of a file system.
enum class attempts { find_all, find_nothing, are_refused, see_an_end };

/// Transfers between a file and a string.
class file_transfer : public ring::file_operation {
protected:
    file_transfer(direction way, std::string& bytes, std::uint64_t offset, attempts found)
        : ring::file_operation(way, bytes.size(), offset), way_(way), bytes_(bytes), found_(found)
    {
    }
    ~file_transfer() = default;

    ssize_t transfer_now(int fd, std::size_t skip, std::size_t limit, std::uint64_t offset,
                         int flags) noexcept override
    {
        if ((flags & RWF_NOWAIT) != 0 && found_ == attempts::see_an_end)
            return 0;
        if ((flags & RWF_NOWAIT) != 0 && found_ != attempts::find_all)
            return found_ == attempts::find_nothing ? -EAGAIN : -EOPNOTSUPP;
        const iovec piece{bytes_.data() + skip, limit};
        const auto position = static_cast<off_t>(offset);
        const auto n = way_ == direction::read ? ::preadv2(fd, &piece, 1, position, 0)
                                               : ::pwritev2(fd, &piece, 1, position, 0);
        return n < 0 ? -errno : n;
    }

    void copy(std::byte* memory, std::size_t size, std::size_t skip) noexcept override
    {
        if (way_ == direction::read)
            std::memcpy(bytes_.data() + skip, memory, size);
        else
            std::memcpy(memory, bytes_.data() + skip, size);
    }

    int final_result() const noexcept { return result(); }

    std::byte* data() const noexcept { return reinterpret_cast<std::byte*>(bytes_.data()); }

private:
    direction way_;
    std::string& bytes_;
    attempts found_;
};

class transfer_in_memory : public file_transfer {
protected:
    using file_transfer::file_transfer;
    ~transfer_in_memory() = default;

    std::byte* memory(std::size_t skip) const noexcept override { return data() + skip; }
};

/// A file of the loop; random access unless it is made a stream.
struct open_file {
    open_file(simulated_loop& l, const std::string& contents, bool concurrent = true, int flags = 0)
        : loop(l), file(::open("/dev/shm", O_TMPFILE | O_RDWR | flags, 0600)),
          handle(l.loop.open(file.get()))
    {
        BOOST_REQUIRE(::pwrite(file.get(), contents.data(), contents.size(), 0) ==
                      static_cast<ssize_t>(contents.size()));
        ring::look_at_file(*handle);
        handle->concurrent = concurrent;
    }
    open_file(const open_file&) = delete;
    open_file& operator=(const open_file&) = delete;
    ~open_file() { close(); }

    void close()
    {
        if (handle != nullptr)
            loop.loop.close(std::exchange(handle, nullptr));
        file.reset();
    }
    std::string contents() const
    {
        struct stat status {};
        ::fstat(file.get(), &status);
        std::string all(static_cast<std::size_t>(status.st_size), '\0');
        BOOST_REQUIRE(::pread(file.get(), all.data(), all.size(), 0) == status.st_size);
        return all;
    }
    off_t position() const { return ::lseek(file.get(), 0, SEEK_CUR); }

    record& read(std::string& to, std::uint64_t offset, attempts found = attempts::find_nothing)
    {
        return loop.start<file_transfer>(*handle, direction::read, direction::read, to, offset,
                                         found);
    }
    /// Into memory in one piece, as most is.
    record& read_into_memory(std::string& to, std::uint64_t offset)
    {
        return loop.start<transfer_in_memory>(*handle, direction::read, direction::read, to, offset,
                                              attempts::find_nothing);
    }
    record& write(std::string& from, std::uint64_t offset, attempts found = attempts::find_nothing)
    {
        return loop.start<file_transfer>(*handle, direction::write, direction::write, from, offset,
                                         found);
    }
    /// Reads and writes of a stream stand in one line.
    record& next_read(std::string& to, attempts found = attempts::find_nothing)
    {
        return loop.start<file_transfer>(*handle, direction::write, direction::read, to,
                                         ring::file_operation::at_position, found);
    }
    record& next_write(std::string& from, attempts found = attempts::find_nothing)
    {
        return loop.start<file_transfer>(*handle, direction::write, direction::write, from,
                                         ring::file_operation::at_position, found);
    }

    simulated_loop& loop;
    test_support::unique_descriptor file;
    ring::descriptor* handle;
};

inline const std::string digits = "0123456789";

inline bool is_same_file(int a, int b)
{
    struct stat of_a {
    }, of_b{};
    return ::fstat(a, &of_a) == 0 && ::fstat(b, &of_b) == 0 && of_a.st_ino == of_b.st_ino;
}

/// By which a worker of the kernel, which was given the last write to `f`, knows the file.
inline int number_of_writing_worker(const open_file& f)
{
    const auto entry = f.loop.submitted(opcode::write).back();
    BOOST_REQUIRE(int(entry.flags) == int(backend::entry_async));
    BOOST_TEST(entry.fd != f.file.get());
    BOOST_TEST(is_same_file(entry.fd, f.file.get()));
    return entry.fd;
}

} // namespace unit
