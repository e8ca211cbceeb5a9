// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace test_support {

/// The threads of this process, by their number, without the kernel's own workers (iou-*) and without
/// those that are ending: a thread that was joined stays in /proc a moment longer.
inline std::vector<std::string> living_threads()
{
    constexpr unsigned long pf_exiting = 0x4; // Set before who joins it is woken (do_exit()).
    std::vector<std::string> found;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        // proc_pid_stat(5): number (name) state ppid pgrp session tty_nr tpgid flags ...
        std::string line, word;
        if (!std::getline(std::ifstream(task.path() / "stat"), line))
            continue;
        std::istringstream fields(line.substr(line.rfind(')') + 1));
        for (int field = 0; field < 7; ++field)
            fields >> word;
        if ((std::stoul(word) & pf_exiting) == 0 && line.find("(iou-") == std::string::npos)
            found.push_back(task.path().filename().string());
    }
    std::sort(found.begin(), found.end());
    return found;
}

/// What runs behind a program's back.
struct machinery {
    int threads = 0; ///< Without the kernel's own workers (iou-*).
    int epoll_descriptors = 0;
};

/// Counts them in /proc/self (proc_pid_task(5), proc_pid_fd(5)).
inline machinery machinery_of_this_process()
{
    machinery found;
    found.threads = static_cast<int>(living_threads().size());
    for (const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        const auto target = std::filesystem::read_symlink(fd.path(), gone);
        if (!gone && target == "anon_inode:[eventpoll]")
            ++found.epoll_descriptors;
    }
    return found;
}

} // namespace test_support
