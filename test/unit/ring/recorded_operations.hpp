// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/socket_operations.hpp>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

// Operations of the ring layer with the simplest possible leaves: they note
// what became of them in a record that the test keeps.
namespace unit {

namespace ring = safer_ring::ring;
namespace backend = safer_ring::backend;

/// Names of operations in the order in which their handlers ran.
using history = std::vector<std::string>;

struct record {
    static constexpr int unset = -12345;

    int completions = 0;
    int destructions = 0;
    int result = unset;

    [[nodiscard]] bool done() const noexcept { return completions == 1 && destructions == 0; }
    [[nodiscard]] bool open() const noexcept { return completions == 0 && destructions == 0; }
    [[nodiscard]] bool destroyed() const noexcept { return completions == 0 && destructions == 1; }
};

/// What a leaf tells, and to whom.
struct reporter {
    record* to = nullptr;
    history* order = nullptr;
    std::string name;
    std::function<void()> then; // The handler.
};

/// The leaf of an I/O operation.
template <class Base>
class recorded final : public Base {
public:
    template <class... Args>
    explicit recorded(reporter who, Args&&... args)
        : Base(std::forward<Args>(args)...), who_(std::move(who))
    {
    }

    void complete(ring::event_loop&) override
    {
        const reporter who = std::move(who_);
        who.to->result = this->final_result();
        ++who.to->completions;
        if (who.order != nullptr)
            who.order->push_back(who.name);
        delete this;
        if (who.then)
            who.then();
    }

    void destroy() noexcept override
    {
        ++who_.to->destructions;
        delete this;
    }

private:
    reporter who_;
};

class receive_into : public ring::receive_operation {
protected:
    explicit receive_into(std::string& buffer, int flags = 0)
        : ring::receive_operation(buffer.size(), flags), buffer_(buffer)
    {
    }
    ~receive_into() = default;

    void scatter(const std::byte* data, std::size_t size) noexcept override
    {
        std::memcpy(buffer_.data(), data, size);
    }
    ssize_t receive_now(int fd, int flags) noexcept override
    {
        const auto n = ::recv(fd, buffer_.data(), buffer_.size(), flags);
        return n < 0 ? -errno : n;
    }
    int final_result() const noexcept { return result(); }

private:
    std::string& buffer_;
};

class send_from : public ring::send_operation {
protected:
    explicit send_from(std::string& buffer, int flags = 0)
        : ring::send_operation(buffer.size(), flags), buffer_(buffer)
    {
    }
    ~send_from() = default;

    void gather(std::byte* out) noexcept override
    {
        std::memcpy(out, buffer_.data(), buffer_.size());
    }
    ssize_t send_now(int fd, int flags) noexcept override
    {
        const auto n = ::send(fd, buffer_.data(), buffer_.size(), flags);
        return n < 0 ? -errno : n;
    }
    int final_result() const noexcept { return result(); }

private:
    std::string& buffer_;
};

class accept_one : public ring::accept_operation {
protected:
    explicit accept_one(std::size_t* address_size = nullptr, bool reports_aborted = false)
        : ring::accept_operation(address_size != nullptr, reports_aborted),
          address_size_(address_size)
    {
    }
    ~accept_one() = default;

    void take_address(const void*, std::size_t size) noexcept override { *address_size_ = size; }
    int final_result() noexcept { return result() < 0 ? result() : take_socket(); }

private:
    std::size_t* address_size_;
};

class connect_to : public ring::connect_operation {
protected:
    connect_to(const void* address, std::size_t size) : ring::connect_operation(address, size) {}
    ~connect_to() = default;
    int final_result() const noexcept { return result(); }
};

class wait_for_events : public ring::wait_operation {
protected:
    explicit wait_for_events(short events) : ring::wait_operation(events) {}
    ~wait_for_events() = default;
    int final_result() const noexcept { return result(); }
};

class call_when_ready : public ring::readiness_operation {
protected:
    call_when_ready(short events, bool attempts_first, std::function<ssize_t(int)> function)
        : ring::readiness_operation(events, attempts_first), function_(std::move(function))
    {
    }
    ~call_when_ready() = default;

    ssize_t call(int fd) noexcept override { return function_(fd); }
    int final_result() const noexcept { return result(); }

private:
    std::function<ssize_t(int)> function_;
};

/// Work without I/O.
class posted final : public ring::operation {
public:
    explicit posted(reporter who) : who_(std::move(who)) {}

    void complete(ring::event_loop&) override
    {
        const reporter who = std::move(who_);
        ++who.to->completions;
        if (who.order != nullptr)
            who.order->push_back(who.name);
        delete this;
        if (who.then)
            who.then();
    }
    void destroy() noexcept override
    {
        ++who_.to->destructions;
        delete this;
    }

private:
    reporter who_;
};

} // namespace unit
