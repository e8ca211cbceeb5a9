// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/io_context.hpp>

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/descriptor_base.hpp>
#include <boost/asio/require.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// Memory for the one handler of a kind that is under way at a time, so that
/// arranging for the next turn cannot fail for want of memory.
class handler_slot {
public:
    template <typename T>
    class allocator {
    public:
        using value_type = T;
        explicit allocator(handler_slot& slot) noexcept : slot_(&slot) {}
        template <typename U>
        allocator(const allocator<U>& other) noexcept : slot_(other.slot_)
        {
        }
        T* allocate(std::size_t n) { return static_cast<T*>(slot_->allocate(n * sizeof(T))); }
        void deallocate(T* p, std::size_t) noexcept { slot_->deallocate(p); }
        friend bool operator==(const allocator&, const allocator&) = default;

    private:
        template <typename>
        friend class allocator;
        handler_slot* slot_;
    };

    void* allocate(std::size_t size)
    {
        if (size <= memory_.size() && !in_use_.exchange(true))
            return memory_.data();
        return ::operator new(size);
    }
    void deallocate(void* p) noexcept
    {
        if (p == memory_.data())
            in_use_ = false;
        else
            ::operator delete(p);
    }

private:
    alignas(std::max_align_t) std::array<std::byte, 512> memory_;
    std::atomic<bool> in_use_ = false;
};

/// A ring context that belongs to a net::io_context, and takes its turns on
/// the threads that run that one.
class attachment : public net::execution_context::service, private ring::driver {
public:
    using key_type = attachment;
    inline static net::execution_context::id id;

    explicit attachment(net::execution_context& host, const options& settings = {})
        : net::execution_context::service(host), host_(static_cast<net::io_context&>(host)),
          reactor_(net::use_service<asio_descriptor_service>(host)), completions_(reactor_),
          timer_(reactor_), context_(BOOST_ASIO_CONCURRENCY_HINT_SAFE, settings)
    {
        watch(loop().ready_descriptor());
        context_.host_ = &host;
        loop().hand_to(*this);
    }

    io_context& context() noexcept { return context_; }

private:
    /// A descriptor that Asio's reactor waits for. Not one of Asio's I/O
    /// objects, which would be ours with the drop-in.
    struct watched {
        explicit watched(asio_descriptor_service& reactor) : service(reactor)
        {
            service.construct(implementation);
        }
        watched(const watched&) = delete;
        watched& operator=(const watched&) = delete;
        ~watched() { service.destroy(implementation); }

        void assign(int fd, const char* what)
        {
            boost::system::error_code ec;
            if (fd < 0)
                ec.assign(errno, boost::system::system_category());
            else
                service.assign(implementation, fd, ec);
            if (!ec)
                return;
            if (fd >= 0)
                ::close(fd);
            throw std::system_error(ec.value(), std::system_category(),
                                    std::string("safer_ring::attach: the host cannot watch ") +
                                        what + " (RLIMIT_NOFILE?)");
        }

        asio_descriptor_service& service;
        typename asio_descriptor_service::implementation_type implementation;
        bool pending = false; // A wait's handler is under way.
        handler_slot memory;
    };

    ring::event_loop& loop() noexcept { return context_.impl().loop(); }

    void watch(int ready_descriptor)
    {
        completions_.assign(::fcntl(ready_descriptor, F_DUPFD_CLOEXEC, 0), "the ring");
        timer_.assign(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "a timerfd");
    }

    void shutdown() override
    {
        ended_ = true;
        context_.shutdown();
    }

    /// The host's reactor, which is older, comes before it in the child.
    void notify_fork(net::execution_context::fork_event event) override
    {
        context_.notify_fork(event);
    }

    void drive()
    {
        if (!ended_)
            context_.drive([this] { return !host_.stopped(); });
    }

    // ---- ring::driver

    void wake() noexcept override
    {
        if (ended_ || wake_pending_.exchange(true))
            return;
        const auto ex =
            net::require(host_.get_executor(), net::execution::blocking.never,
                         net::execution::allocator(handler_slot::allocator<void>(wake_memory_)));
        ex.execute([this] {
            wake_pending_ = false;
            drive();
        });
    }

    void wait_for(backend::backend::timeout wait) noexcept override
    {
        if (ended_)
            return;
        wait_readable(completions_);
        if (wait == ring::event_loop::wait_forever)
            return;
        // Zero would disarm it.
        const auto ns = std::max<std::chrono::nanoseconds::rep>(wait.count(), 1);
        itimerspec in{};
        in.it_value.tv_sec = ns / 1'000'000'000;
        in.it_value.tv_nsec = ns % 1'000'000'000;
        ::timerfd_settime(reactor_.native_handle(timer_.implementation), 0, &in, nullptr);
        wait_readable(timer_);
    }

    void rest() noexcept override
    {
        if (ended_)
            return;
        boost::system::error_code ignored;
        reactor_.cancel(completions_.implementation, ignored);
        reactor_.cancel(timer_.implementation, ignored);
    }

    /// A timerfd is shared with the parent, as the ring is. Closing ends the waits,
    /// whose handlers take a turn.
    void moved_to_child(int ready_descriptor) override
    {
        boost::system::error_code ignored;
        reactor_.close(completions_.implementation, ignored);
        reactor_.close(timer_.implementation, ignored);
        watch(ready_descriptor);
    }

    void wait_readable(watched& descriptor) noexcept
    {
        if (std::exchange(descriptor.pending, true))
            return;
        auto handler = net::bind_allocator(
            handler_slot::allocator<void>(descriptor.memory),
            [this, &descriptor](const boost::system::error_code&) { waited(descriptor); });
        descriptor.service.async_wait(descriptor.implementation,
                                      net::posix::descriptor_base::wait_read, handler,
                                      host_.get_executor());
    }

    /// Takes a turn also when the wait was cancelled: work may have begun again
    /// since.
    void waited(watched& descriptor)
    {
        {
            const auto held = loop().lock();
            descriptor.pending = false;
        }
        drive();
    }

    net::io_context& host_;
    asio_descriptor_service& reactor_;
    watched completions_;
    watched timer_;
    io_context context_;
    std::atomic<bool> wake_pending_ = false;
    handler_slot wake_memory_;
    std::atomic<bool> ended_ = false;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
