// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "echo/message_pattern.hpp"
#include "ring/ring_task.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace benchmark {

/// The clients of the echo: one message under way on each connection, each a different window of
/// pseudo-random bytes, and every byte that comes back is compared.
class echo_clients {
public:
    echo_clients(const ring_task& task, std::uint16_t port, std::uint64_t requests_each)
        : size_(task.size_bytes), seed_(task.seed), requests_each_(requests_each), pattern_(size_),
          received_(size_), peers_(task.depth), epoll_(::epoll_create1(0))
    {
        for (std::size_t i = 0; i < peers_.size(); ++i) {
            peers_[i].fd = connect(port);
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u64 = i;
            if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, peers_[i].fd, &event) != 0)
                fail(errno, "epoll_ctl");
        }
    }

    /// The sum over all messages, which does not depend on their order.
    std::uint64_t run()
    {
        for (std::size_t i = 0; i < peers_.size(); ++i)
            send(i);
        std::vector<epoll_event> events(peers_.size());
        while (open_ != 0) {
            const int count =
                ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
            for (int n = 0; n < count; ++n)
                readable(static_cast<std::size_t>(events[static_cast<std::size_t>(n)].data.u64));
        }
        return sum_;
    }

private:
    struct peer {
        int fd = -1;
        std::uint64_t answered = 0;
        std::size_t received = 0;
    };

    static int connect(std::uint16_t port)
    {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            fail(errno, "connecting to the echo");
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        return fd;
    }

    const char* message(std::size_t index) const
    {
        return pattern_.message(index, seed_ << 24 ^ peers_[index].answered);
    }

    void send(std::size_t index)
    {
        if (::send(peers_[index].fd, message(index), size_, MSG_NOSIGNAL) !=
            static_cast<ssize_t>(size_))
            fail(errno, "sending a request");
    }

    void readable(std::size_t index)
    {
        peer& p = peers_[index];
        const ssize_t count = ::recv(p.fd, received_.data(), size_ - p.received, MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (count <= 0)
            fail(count < 0 ? errno : ECONNRESET, "receiving an answer");
        if (std::memcmp(received_.data(), message(index) + p.received,
                        static_cast<std::size_t>(count)) != 0)
            throw std::runtime_error("an answer is not what was sent");
        p.received += static_cast<std::size_t>(count);
        if (p.received != size_)
            return;
        p.received = 0;
        // From what was sent: all of the answer is the same, of which the buffer has the last part.
        std::uint64_t word = 0;
        std::memcpy(&word, message(index), std::min(sizeof word, size_));
        sum_ += mix(word ^ index);
        if (++p.answered != requests_each_)
            return send(index);
        ::close(p.fd);
        --open_;
    }

    std::size_t size_;
    std::uint64_t seed_;
    std::uint64_t requests_each_;
    message_pattern pattern_;
    std::vector<char> received_;
    std::vector<peer> peers_;
    std::size_t open_ = peers_.size();
    int epoll_;
    std::uint64_t sum_ = 0;
};

/// What an echo server serves: connected sockets whose other ends are in a process of their own, so
/// that the processor time of this one is the server's. It is counted from one answer to another,
/// while requests are under way.
class echo_work {
public:
    explicit echo_work(const ring_task& task)
        : size_(task.size_bytes),
          requests_each_((task.warm_up + task.units + task.depth - 1) / task.depth),
          warm_up_(task.warm_up), total_(requests_each_ * task.depth)
    {
        const int listener = listen_on_loopback(0);
        start_clients(task, listener);
        for (std::size_t i = 0; i < task.depth; ++i) {
            connections_.push_back(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
            if (connections_.back() < 0)
                fail(errno, "accepting a connection of the load");
        }
        ::close(listener);
    }
    echo_work(const echo_work&) = delete;
    echo_work& operator=(const echo_work&) = delete;

    /// The server closes them when the client has.
    const std::vector<int>& connections() const { return connections_; }
    std::size_t message_bytes() const { return size_; }
    std::uint64_t units() const { return total_ - warm_up_; }
    const stopwatch& watch() const { return watch_; }

    void answered()
    {
        ++answered_;
        if (answered_ == warm_up_)
            watch_.start();
        else if (answered_ == total_)
            watch_.stop();
    }

    /// What the clients have found; throws where it is not what they sent.
    std::uint64_t checksum() const
    {
        std::uint64_t sum = 0;
        const ssize_t count = ::read(result_, &sum, sizeof sum);
        int status = 0;
        ::waitpid(clients_, &status, 0);
        ::close(result_);
        if (count != sizeof sum || status != 0)
            throw std::runtime_error("the load of the echo has failed");
        if (answered_ != total_)
            throw std::runtime_error("answers were sent in parts: " + std::to_string(answered_) +
                                     " of " + std::to_string(total_));
        return sum;
    }

private:
    /// The output is flushed before, and the child ends without flushing it again.
    void start_clients(const ring_task& task, int listener)
    {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0)
            fail(errno, "creating a pipe");
        clients_ = ::fork();
        if (clients_ < 0)
            fail(errno, "fork");
        if (clients_ == 0) {
            try {
                pin_to_cpu(task.load_cpu);
                const std::uint16_t port = local_port(listener);
                ::close(listener);
                const std::uint64_t sum = echo_clients(task, port, requests_each_).run();
                ::_exit(::write(ends[1], &sum, sizeof sum) == sizeof sum ? 0 : 1);
            } catch (const std::exception& error) {
                std::fprintf(stderr, "load: %s\n", error.what());
                ::_exit(1);
            }
        }
        ::close(ends[1]);
        result_ = ends[0];
    }

    std::size_t size_;
    std::uint64_t requests_each_;
    std::uint64_t warm_up_;
    std::uint64_t total_;
    std::uint64_t answered_ = 0;
    std::vector<int> connections_;
    stopwatch watch_;
    pid_t clients_ = -1;
    int result_ = -1;
};

} // namespace benchmark
