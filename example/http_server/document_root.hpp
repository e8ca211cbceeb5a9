// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

namespace http_server {

// Owns a file descriptor; -1 for none.
class file_descriptor {
public:
    file_descriptor() = default;
    explicit file_descriptor(int fd) noexcept : fd_(fd) {}
    file_descriptor(file_descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    file_descriptor& operator=(file_descriptor&& other) noexcept
    {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~file_descriptor();

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
};

struct file_info {
    enum class kind { regular, directory, other };
    kind what = kind::other;
    std::uint64_t size = 0;
    std::time_t modified = 0;
    long modified_ns = 0;
};

struct opened_file {
    int error = 0; // an errno value; the other members mean something only when it is 0
    file_descriptor fd;
    file_info info;
};

// A folder, and nothing outside of it: symbolic links are followed only if they are relative, and as
// long as they stay inside.
class document_root {
public:
    // Throws std::runtime_error with the likely cause when `path` cannot be served.
    explicit document_root(const std::string& path);

    // Opens no pipe and no device: of what is neither a file nor a folder only that is told.
    // `relative` has no leading slash and no ".." segment.
    opened_file open(const std::string& relative) const;

    // The absolute path, for messages.
    const std::string& path() const noexcept { return path_; }

    // The names of the regular files right in the folder, sorted, `most` at most.
    std::vector<std::string> list(std::size_t most) const;

private:
    int open_beneath(const std::string& relative, int flags) const;

    std::string path_;
    file_descriptor fd_;
};

} // namespace http_server
