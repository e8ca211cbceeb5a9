// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "watchdog.hpp"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace test_support {

/// Throws with the operation's and the descriptor's name when `result` is -1.
inline int check_call(long result, const char* operation, int fd)
{
    if (result < 0)
        throw std::system_error(errno, std::system_category(),
                                std::string(operation) + " on descriptor " + std::to_string(fd) +
                                    " of the test's peer");
    return static_cast<int>(result);
}

/// Waits until the kernel reports one of `events` for `fd`. Returns false
/// when the watchdog's time has passed.
inline bool wait_ready(int fd, short events)
{
    pollfd entry{fd, events, 0};
    const int limit_ms = static_cast<int>(watchdog_time.count() * 1000);
    int n = 0;
    do {
        n = ::poll(&entry, 1, limit_ms);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

/// Throws when `fd` does not become readable.
inline void wait_readable(int fd)
{
    if (!wait_ready(fd, POLLIN))
        throw std::runtime_error("descriptor " + std::to_string(fd) + " has not become readable");
}

/// A descriptor that closes itself.
class unique_descriptor {
public:
    explicit unique_descriptor(int fd = -1) noexcept : fd_(fd) {}
    unique_descriptor(unique_descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    unique_descriptor& operator=(unique_descriptor&& other) noexcept
    {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~unique_descriptor() { reset(); }

    int get() const noexcept { return fd_; }
    int release() noexcept { return std::exchange(fd_, -1); }
    void reset() noexcept
    {
        if (fd_ >= 0)
            ::close(fd_);
        fd_ = -1;
    }

private:
    int fd_;
};

/// The other end of a connection, driven by plain blocking system calls, so
/// that a test of one end depends on nothing that is itself under test.
class blocking_peer {
public:
    explicit blocking_peer(unique_descriptor fd) : fd_(std::move(fd)) {}

    int fd() const noexcept { return fd_.get(); }

    /// Sends all of `bytes`.
    void write(std::string_view bytes)
    {
        while (!bytes.empty()) {
            const auto n = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR)
                continue;
            bytes.remove_prefix(static_cast<std::size_t>(check_call(n, "send", fd())));
        }
    }

    void write_out_of_band(char byte)
    {
        check_call(::send(fd(), &byte, 1, MSG_OOB | MSG_NOSIGNAL), "send", fd());
    }

    char read_out_of_band()
    {
        if (!wait_ready(fd(), POLLPRI))
            throw std::runtime_error("no out-of-band data has come");
        char byte = 0;
        check_call(::recv(fd(), &byte, 1, MSG_OOB), "recv", fd());
        return byte;
    }

    /// Receives `size` bytes, or fewer when the stream ends before.
    std::string read(std::size_t size)
    {
        std::string bytes(size, '\0');
        std::size_t got = 0;
        while (got < size) {
            const std::size_t n = receive(bytes.data() + got, size - got);
            if (n == 0)
                break;
            got += n;
        }
        bytes.resize(got);
        return bytes;
    }

    /// Receives until the other side has ended its stream.
    std::string read_to_end()
    {
        std::string bytes;
        char chunk[65536];
        while (const std::size_t n = receive(chunk, sizeof chunk))
            bytes.append(chunk, n);
        return bytes;
    }

    /// Receives until the other side has ended its stream or reset the
    /// connection, which it does when it closes with unread bytes.
    std::string read_to_end_or_reset()
    {
        std::string bytes;
        try {
            char chunk[65536];
            while (const std::size_t n = receive(chunk, sizeof chunk))
                bytes.append(chunk, n);
        } catch (const std::system_error& error) {
            if (error.code() != std::errc::connection_reset)
                throw;
        }
        return bytes;
    }

    /// Waits until all that was sent is at the other end of the TCP connection.
    /// The descriptor there cannot be asked while a receive is pending on it:
    /// one that waits inside the kernel takes the data as it comes, and the
    /// descriptor never polls as readable.
    void wait_delivered()
    {
        const auto deadline = std::chrono::steady_clock::now() + watchdog_time;
        for (int unacknowledged = 1; unacknowledged != 0;) {
            check_call(::ioctl(fd(), SIOCOUTQ, &unacknowledged), "ioctl(SIOCOUTQ)", fd());
            if (std::chrono::steady_clock::now() > deadline)
                throw std::runtime_error("what the test's peer has sent is not acknowledged");
            std::this_thread::yield();
        }
    }

    void shutdown_write() { check_call(::shutdown(fd(), SHUT_WR), "shutdown", fd()); }

    /// Closes with a reset instead of an orderly end.
    void reset()
    {
        const linger option{1, 0};
        check_call(::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &option, sizeof option), "setsockopt",
                   fd());
        close();
    }

    void close() { fd_.reset(); }

private:
    std::size_t receive(char* data, std::size_t size)
    {
        for (;;) {
            wait_readable(fd());
            // A descriptor that was taken over from a socket may be non-blocking.
            const auto n = ::recv(fd(), data, size, 0);
            if (n < 0 && (errno == EINTR || errno == EAGAIN))
                continue;
            return static_cast<std::size_t>(check_call(n, "recv", fd()));
        }
    }

    unique_descriptor fd_;
};

/// A listening TCP socket on an ephemeral loopback port.
inline unique_descriptor loopback_listener(int backlog = 128)
{
    unique_descriptor listener(
        check_call(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket", -1));
    // Without this, ports of connections that were closed a minute ago count as
    // taken, and repeated runs run out of them.
    const int reuse = 1;
    check_call(::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse),
               "setsockopt", listener.get());
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check_call(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address),
               "bind", listener.get());
    check_call(::listen(listener.get(), backlog), "listen", listener.get());
    return listener;
}

inline sockaddr_in local_address(int fd)
{
    sockaddr_in address{};
    socklen_t length = sizeof address;
    check_call(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), "getsockname",
               fd);
    return address;
}

inline unsigned short local_port(int fd)
{
    return ntohs(local_address(fd).sin_port);
}

/// A TCP connection to a loopback port.
inline unique_descriptor loopback_client(unsigned short port)
{
    unique_descriptor client(
        check_call(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket", -1));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    check_call(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address),
               "connect", client.get());
    return client;
}

/// Both ends of a TCP connection over loopback.
inline std::pair<unique_descriptor, unique_descriptor> tcp_descriptor_pair()
{
    const unique_descriptor listener = loopback_listener();
    unique_descriptor client = loopback_client(local_port(listener.get()));
    wait_readable(listener.get());
    unique_descriptor server(check_call(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC),
                                        "accept", listener.get()));
    return {std::move(server), std::move(client)};
}

/// Both ends of a local stream connection.
inline std::pair<unique_descriptor, unique_descriptor> local_descriptor_pair()
{
    int fds[2] = {-1, -1};
    check_call(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), "socketpair", -1);
    return {unique_descriptor(fds[0]), unique_descriptor(fds[1])};
}

/// The read end and the write end of a pipe.
inline std::pair<unique_descriptor, unique_descriptor> pipe_descriptor_pair(int flags = 0)
{
    int fds[2] = {-1, -1};
    check_call(::pipe2(fds, O_CLOEXEC | flags), "pipe2", -1);
    return {unique_descriptor(fds[0]), unique_descriptor(fds[1])};
}

/// A listener whose queue of completed connections is full, so that a connect
/// to it stays in progress: the kernel drops the further requests silently.
class full_listener {
public:
    full_listener() : listener_(loopback_listener(0))
    {
        for (auto& client : clients_) {
            client = unique_descriptor(check_call(
                ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket", -1));
            sockaddr_in address = local_address(listener_.get());
            if (::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) <
                    0 &&
                errno != EINPROGRESS)
                check_call(-1, "connect", client.get());
        }
        wait_readable(listener_.get());
    }

    unsigned short port() const { return local_port(listener_.get()); }

private:
    unique_descriptor listener_;
    unique_descriptor clients_[8];
};

} // namespace test_support
