// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/owned_descriptor.hpp>

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <new>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// A number of our own for a file, for requests that are left to a worker of the
/// kernel. That looks the number up when it gets to the request (Linux 6.18), when
/// the user's may have been closed and be another file's.
///
/// One for all requests of a descriptor, which closes it when it is closed itself and
/// the last of them has ended. No earlier: closing any number of a file ends the
/// locks that the process has on it (fcntl(2), F_SETLK), and has the file systems that
/// write back then (NFS, FUSE) tell of an error there.
class worker_descriptor {
public:
    [[nodiscard]] bool is_open() const noexcept { return number_ != nullptr; }
    [[nodiscard]] int get() const noexcept { return number_->get(); }
    void reset() noexcept { number_.reset(); }

    /// For the file of `fd`, if there is none yet. Zero, or the negated errno.
    int open(int fd) noexcept
    {
        if (is_open())
            return 0;
        owned_descriptor number(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
        if (!number.is_open())
            return -errno;
        try {
            number_ = std::make_shared<owned_descriptor>(std::move(number));
        } catch (const std::bad_alloc&) {
            return -ENOMEM;
        }
        return 0;
    }

    /// Keeps the number open for the rest of the process, for all who share it; nobody
    /// asks for it any more.
    void leak() noexcept
    {
        if (is_open())
            static_cast<void>(number_->release());
    }

private:
    std::shared_ptr<owned_descriptor> number_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
