// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "watchdog.hpp"

#include <boost/asio/execution_context.hpp>

#include <cstdio>
#include <exception>

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace test_support {

/// Starts a child that does `in_child`, which answers whether all was well, and ends; a signal ends it
/// when it hangs. Checks of Boost.Test there would be counted by nobody.
template <class F>
pid_t fork_child(F in_child)
{
    const pid_t child = ::fork();
    if (child != 0)
        return child;
    limit_time_of_child();
    bool is_well = false;
    try {
        is_well = in_child();
    } catch (const std::exception& e) {
        std::fprintf(stderr, "in a child: %s\n", e.what());
    } catch (...) {
    }
    ::_exit(is_well ? 0 : 1);
}

/// The same, and both processes tell `context` of it, as Asio wants it.
template <class Context, class F>
pid_t fork_with(Context& context, F in_child)
{
    using boost::asio::execution_context;
    context.notify_fork(execution_context::fork_prepare);
    const pid_t child = fork_child([&] {
        context.notify_fork(execution_context::fork_child);
        return in_child();
    });
    context.notify_fork(execution_context::fork_parent);
    return child;
}

/// Waits for the child, and whether it was well.
inline bool ended_well(pid_t child)
{
    int status = -1;
    return ::waitpid(child, &status, 0) == child && status == 0;
}

} // namespace test_support
