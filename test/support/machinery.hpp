// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace test_support {

/// What runs behind a program's back.
struct machinery {
    int threads = 0; ///< Without the kernel's own workers (iou-*).
    int epoll_descriptors = 0;
};

/// Counts them in /proc/self (proc_pid_task(5), proc_pid_fd(5)).
inline machinery machinery_of_this_process()
{
    machinery found;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::string name;
        std::getline(std::ifstream(task.path() / "comm"), name);
        if (!name.starts_with("iou-"))
            ++found.threads;
    }
    for (const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        const auto target = std::filesystem::read_symlink(fd.path(), gone);
        if (!gone && target == "anon_inode:[eventpoll]")
            ++found.epoll_descriptors;
    }
    return found;
}

} // namespace test_support
