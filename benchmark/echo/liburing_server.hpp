// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "support/liburing_ring.hpp"
#include "support/program.hpp"

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace benchmark {

/// What the two hand-written echo servers have in common: the ring, the multishot accept, the end
/// on a signal. `Derived` has `opened(descriptor)`, `received(descriptor, cqe)`,
/// `sent(descriptor, cqe)` and `before_wait()`, which answers whether to wait for a completion.
template <class Derived>
class liburing_server {
public:
    explicit liburing_server(const server_options& options)
        : listener_(listen_on_loopback(options.port)), signals_(signal_descriptor())
    {
    }

    ~liburing_server()
    {
        ::close(listener_);
        ::close(signals_);
    }

    liburing_server(const liburing_server&) = delete;
    liburing_server& operator=(const liburing_server&) = delete;

    std::uint16_t port() const { return local_port(listener_); }
    const std::string& ring_flags() const { return ring_.flags(); }

    void run()
    {
        arm_accept();
        arm_signals();
        while (!stopped_) {
            const bool wait = derived().before_wait();
            ++turn_;
            ring_.submit_and_reap(wait ? 1 : 0, [this](const io_uring_cqe& cqe) { dispatch(cqe); });
        }
    }

protected:
    enum class kind : std::uint64_t { receive, send, accept, signal };

    /// Descriptors are never negative here, and a slot is free for reuse only after the last
    /// completion of its operations, so that they identify a connection.
    static std::uint64_t user_data(kind what, int descriptor)
    {
        return static_cast<std::uint64_t>(descriptor) << 8 | static_cast<std::uint64_t>(what);
    }

    io_uring_sqe* entry(kind what, int descriptor)
    {
        io_uring_sqe* sqe = ring_.entry();
        // The prep functions of liburing leave user_data alone since 2.2, so it may be set first.
        sqe->user_data = user_data(what, descriptor);
        return sqe;
    }

    liburing_ring& ring() { return ring_; }

    /// The number of the submission under way, or of the last one.
    std::uint64_t turn() const { return turn_; }

    /// Closes the descriptor of a connection which has no operation in the kernel any more.
    void close_connection(int descriptor)
    {
        ::close(descriptor);
        if (!accepting_)
            arm_accept();
    }

private:
    Derived& derived() { return static_cast<Derived&>(*this); }

    static int signal_descriptor()
    {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        ::sigprocmask(SIG_BLOCK, &set, nullptr);
        const int descriptor = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (descriptor < 0)
            fail(errno, "signalfd");
        return descriptor;
    }

    void arm_accept()
    {
        ::io_uring_prep_multishot_accept(entry(kind::accept, listener_), listener_, nullptr,
                                         nullptr, SOCK_CLOEXEC);
        accepting_ = true;
    }

    void arm_signals()
    {
        ::io_uring_prep_poll_add(entry(kind::signal, signals_), signals_, POLLIN);
    }

    void dispatch(const io_uring_cqe& cqe)
    {
        const int descriptor = static_cast<int>(cqe.user_data >> 8);
        switch (static_cast<kind>(cqe.user_data & 0xff)) {
        case kind::receive:
            derived().received(descriptor, cqe);
            break;
        case kind::send:
            derived().sent(descriptor, cqe);
            break;
        case kind::accept:
            accepted(cqe);
            break;
        case kind::signal:
            stopped_ = true;
            break;
        }
    }

    void accepted(const io_uring_cqe& cqe)
    {
        accepting_ = (cqe.flags & IORING_CQE_F_MORE) != 0;
        if (cqe.res >= 0) {
            derived().opened(cqe.res);
        } else {
            std::fprintf(stderr, "accept: error %d\n", -cqe.res);
            // Out of descriptors: accepting goes on when a connection has been closed.
            if (cqe.res == -EMFILE || cqe.res == -ENFILE)
                return;
        }
        if (!accepting_)
            arm_accept();
    }

    int listener_;
    int signals_;
    liburing_ring ring_;
    std::uint64_t turn_ = 0;
    bool accepting_ = false;
    bool stopped_ = false;
};

} // namespace benchmark
