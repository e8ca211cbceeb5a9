// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

namespace safer_ring::inline SAFER_RING_ABI::backend {

/// Told in the child of fork(2), before fork() returns there. What creates
/// processes without the handlers of pthread_atfork(3), as a bare clone(2) does, is
/// not seen.
class fork_watch {
public:
    /// Another number in each process that a fork made of one in which somebody watches.
    [[nodiscard]] static unsigned generation() noexcept;

    fork_watch(const fork_watch&) = delete;
    fork_watch& operator=(const fork_watch&) = delete;

protected:
    fork_watch() = default;
    ~fork_watch() = default;

    /// From here on; throws std::system_error. While `forked` may be called, a fork
    /// by another thread does not see a half of the object.
    void watch_forks();
    /// No longer, if at all.
    void ignore_forks() noexcept;

private:
    /// Other threads of the parent do not exist here, and what they held locked stays
    /// so: nothing but system calls.
    virtual void forked() noexcept = 0;

    static void before_fork() noexcept;
    static void in_parent() noexcept;
    static void in_child() noexcept;

    fork_watch* previous_ = nullptr;
    fork_watch* next_ = nullptr;
    bool is_watching_ = false;
};

} // namespace safer_ring::inline SAFER_RING_ABI::backend
