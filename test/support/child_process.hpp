// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "blocking_peer.hpp"
#include "watchdog.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace test_support {

/// What a child process that runs `f` says on standard error, and how it ended.
template <class F>
std::pair<std::string, int> in_a_child(F f)
{
    int ends[2];
    BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const unique_descriptor reader(ends[0]);
    const pid_t child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
        limit_time_of_child();
        ::dup2(ends[1], STDERR_FILENO);
        ::signal(SIGABRT, SIG_DFL);
        f();
        ::_exit(0);
    }
    ::close(ends[1]);
    std::string said;
    char block[4096];
    for (ssize_t n = 0; (n = ::read(reader.get(), block, sizeof block)) > 0;)
        said.append(block, static_cast<std::size_t>(n));
    int status = 0;
    ::waitpid(child, &status, 0);
    return {said, status};
}

/// The same for one that has to abort.
template <class F>
std::string last_words(F f)
{
    const auto [said, status] = in_a_child(f);
    BOOST_TEST((WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT), said);
    return said;
}

} // namespace test_support
