// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>

#include <unistd.h>

namespace test_support {

/// A name for a local socket, or a FIFO, that is removed at the end.
class socket_path {
public:
    socket_path()
    {
        static std::atomic<int> count = 0;
        path_ =
            folder() / ("safer_ring_" + std::to_string(::getpid()) + "_" + std::to_string(count++));
        std::filesystem::remove(path_);
    }
    socket_path(const socket_path&) = delete;
    socket_path& operator=(const socket_path&) = delete;
    ~socket_path()
    {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
    std::string string() const { return path_.string(); }

private:
    /// A name has to fit into the 108 bytes of sockaddr_un::sun_path, which a long TMPDIR may fill alone.
    static std::filesystem::path folder()
    {
        constexpr std::size_t leaves_room = 60;
        std::filesystem::path usual = std::filesystem::temp_directory_path();
        return usual.native().size() <= leaves_room ? usual : "/tmp";
    }

    std::filesystem::path path_;
};

} // namespace test_support
