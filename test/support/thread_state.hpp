// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <fstream>
#include <string>

#include <sys/types.h>

namespace test_support {

/// Whether this thread of the process sleeps in a system call (proc_pid_stat(5)).
inline bool sleeps(pid_t thread)
{
    std::ifstream stat("/proc/self/task/" + std::to_string(thread) + "/stat");
    std::string number, name, state;
    stat >> number >> name >> state;
    return state == "S";
}

} // namespace test_support
