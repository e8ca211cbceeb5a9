// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/boost_version.hpp>

#include <safer_ring/asio/detail/operation_memory.hpp>
#include <safer_ring/ring/event_loop.hpp>

#if defined(SAFER_RING_ASIO_HAS_SERVICE_MAKER)
#include <boost/asio/config.hpp>
#endif
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace safer_ring::inline SAFER_RING_ABI {

template <typename Allocator, unsigned Bits>
class basic_executor;

namespace detail {

class attachment;

/// One thread inside run(), poll() and their kin: the loop's part and Asio's.
struct running_thread : thread_info_base {
    ring::loop_thread loop;
};

/// Holds the engine as the first service of a context, so that it is shut
/// down after every service that uses it and destroyed last.
class loop_service : public net::execution_context::service, public thread_context {
public:
    using key_type = loop_service;
    inline static net::execution_context::id id;

    template <typename... Args>
    explicit loop_service(net::execution_context& owner, Args&&... args)
        : net::execution_context::service(owner), loop_(std::forward<Args>(args)...)
    {
    }

    ring::event_loop& loop() noexcept { return loop_; }

    /// The state of the calling thread if it runs this context, else null.
    running_thread* current() noexcept
    {
        return static_cast<running_thread*>(thread_context::call_stack::contains(this));
    }
    /// Inlined by order: executors that track work ask fifty times for a request of Beast's.
    [[gnu::always_inline]] ring::loop_thread* current_loop() noexcept
    {
        running_thread* const t = current();
        return t != nullptr ? &t->loop : nullptr;
    }

private:
    void shutdown() override { loop_.shutdown(); }
    void notify_fork(boost::asio::execution_context::fork_event event) override
    {
        if (event == boost::asio::execution_context::fork_prepare)
            loop_.prepare_fork();
        else if (event == boost::asio::execution_context::fork_child)
            loop_.continue_in_child();
    }

    ring::event_loop loop_;
};

} // namespace detail

/// The context that runs handlers and I/O on io_uring: the counterpart of
/// net::io_context, with the same interface and behaviour.
///
/// *Thread safety*: distinct objects: safe. Shared objects: safe, with the
/// exceptions that net::io_context names for restart() and the UNSAFE
/// concurrency hints.
///
/// *fork(2)*: as with net::io_context, call notify_fork() before and after; then what
/// is pending goes on in both processes, and who comes first has the data. The child
/// gets a ring of its own, in notify_fork(fork_child) or else when it runs the
/// context; it throws std::system_error when the kernel refuses one. A child that does
/// neither, and destroys the context or leaves it, does not touch the parent's ring.
/// Look-ups of names in the child need the calls. Files stay registered in the child,
/// the buffers of pools do not. Reads and writes of files that the kernel has begun are
/// made by both.
///
/// *Concurrency hint*: with 1, the kernel runs completions only when the
/// running thread enters it (cooperative task work, Linux 5.19), and work
/// posted by that thread needs no lock. Other hints let any number of threads
/// call run() at once.
///
/// *Object lifetimes*: destroying the context cancels what is in flight,
/// waits until the kernel has let go of it, and destroys the handlers without
/// calling them. What the kernel keeps beyond options::drain_deadline_ms is
/// set aside, with a report on standard error, and never freed on hope.
///
/// *Errors*: constructors throw std::system_error whose text names the likely
/// cause, such as seccomp, kernel.io_uring_disabled, RLIMIT_MEMLOCK or
/// RLIMIT_NOFILE.
///
/// *Kernel*: Linux 5.10; newer features are used where they are found.
class io_context : public boost::asio::execution_context {
public:
    template <typename Allocator, unsigned Bits>
    friend class basic_executor;
    friend class detail::attachment;

    using executor_type = basic_executor<std::allocator<void>, 0>;
    using count_type = std::size_t;
    class work;
    class strand;
    class service;

    io_context() : io_context(BOOST_ASIO_CONCURRENCY_HINT_DEFAULT) {}
    explicit io_context(int concurrency_hint) : io_context(concurrency_hint, options{}) {}
    explicit io_context(const options& settings)
        : io_context(BOOST_ASIO_CONCURRENCY_HINT_DEFAULT, settings)
    {
    }
    io_context(int concurrency_hint, const options& settings)
        : impl_(add_impl(new detail::loop_service(*this, settings, configure(concurrency_hint))))
    {
    }
    /// Runs on the backend given, as tests do.
    io_context(int concurrency_hint, const options& settings,
               std::unique_ptr<backend::backend> kernel)
        : impl_(add_impl(new detail::loop_service(*this, settings, configure(concurrency_hint),
                                                  std::move(kernel))))
    {
    }
#if defined(SAFER_RING_ASIO_HAS_SERVICE_MAKER)
    /// With an initial set of services, such as a configuration: of its values,
    /// scheduler.concurrency_hint, scheduler.locking and reactor.io_locking
    /// count, as the concurrency hint does elsewhere. Without the drop-in,
    /// locking must not be off where objects of Asio's own are on the context
    /// (ssl::stream has some): the thread behind them goes by it too.
    explicit io_context(const service_maker& initial_services, const options& settings = options{})
        : boost::asio::execution_context(initial_services),
          impl_(add_impl(new detail::loop_service(*this, settings, configured_threads())))
    {
    }
#endif
#if defined(SAFER_RING_ASIO_HAS_CONTEXT_ALLOCATOR)
    /// With an allocator for services. Operations have that of their handler;
    /// what the kernel works with is allocated as ever.
    template <typename Allocator>
    io_context(std::allocator_arg_t tag, const Allocator& memory)
        : io_context(tag, memory, BOOST_ASIO_CONCURRENCY_HINT_DEFAULT)
    {
    }
    template <typename Allocator>
    io_context(std::allocator_arg_t tag, const Allocator& memory, int concurrency_hint,
               const options& settings = options{})
        : boost::asio::execution_context(tag, memory),
          impl_(add_impl(new detail::loop_service(*this, settings, configure(concurrency_hint))))
    {
    }
    template <typename Allocator>
    io_context(std::allocator_arg_t tag, const Allocator& memory,
               const service_maker& initial_services, const options& settings = options{})
        : boost::asio::execution_context(tag, memory, initial_services),
          impl_(add_impl(new detail::loop_service(*this, settings, configured_threads())))
    {
    }
#endif
    io_context(const io_context&) = delete;
    io_context& operator=(const io_context&) = delete;

    executor_type get_executor() noexcept;

    /// What was found on this machine, and why something is off.
    [[nodiscard]] const safer_ring::features& features() const noexcept
    {
        return impl_.loop().found();
    }

    /// A line for each operation that is in the kernel.
    [[nodiscard]] std::string describe() const
    {
        return impl_.loop().describe();
    }

    count_type run()
    {
        refuse_if_attached("run");
        const end_of_run at_the_end{impl_};
        in_run scope(impl_);
        return impl_.loop().run(scope.thread().loop,
                                [&] { scope.thread().rethrow_pending_exception(); });
    }

    template <typename Rep, typename Period>
    std::size_t run_for(const std::chrono::duration<Rep, Period>& rel_time)
    {
        return run_until(std::chrono::steady_clock::now() + rel_time);
    }

    template <typename Clock, typename Duration>
    std::size_t run_until(const std::chrono::time_point<Clock, Duration>& abs_time)
    {
        refuse_if_attached("run_until");
        const end_of_run at_the_end{impl_};
        std::size_t n = 0;
        while (run_one_before(abs_time) != 0)
            if (n != (std::numeric_limits<std::size_t>::max)())
                ++n;
        return n;
    }

    count_type run_one()
    {
        refuse_if_attached("run_one");
        const end_of_run at_the_end{impl_};
        return run_one_within(ring::event_loop::wait_forever);
    }

    template <typename Rep, typename Period>
    std::size_t run_one_for(const std::chrono::duration<Rep, Period>& rel_time)
    {
        return run_one_until(std::chrono::steady_clock::now() + rel_time);
    }

    template <typename Clock, typename Duration>
    std::size_t run_one_until(const std::chrono::time_point<Clock, Duration>& abs_time)
    {
        refuse_if_attached("run_one_until");
        const end_of_run at_the_end{impl_};
        return run_one_before(abs_time);
    }

    count_type poll()
    {
        refuse_if_attached("poll");
        const end_of_run at_the_end{impl_};
        in_run scope(impl_);
        return impl_.loop().poll(scope.thread().loop,
                                 [&] { scope.thread().rethrow_pending_exception(); });
    }

    count_type poll_one()
    {
        refuse_if_attached("poll_one");
        const end_of_run at_the_end{impl_};
        return run_one_within(ring::event_loop::wait_not);
    }

    void stop()
    {
        refuse_if_attached("stop");
        impl_.loop().stop();
    }
    [[nodiscard]] bool stopped() const
    {
        return impl_.loop().stopped();
    }
    void restart()
    {
        refuse_if_attached("restart");
        impl_.loop().restart();
    }

#if !defined(BOOST_ASIO_NO_DEPRECATED)
    count_type run(boost::system::error_code& ec)
    {
        return ec = {}, run();
    }
    count_type run_one(boost::system::error_code& ec)
    {
        return ec = {}, run_one();
    }
    count_type poll(boost::system::error_code& ec)
    {
        return ec = {}, poll();
    }
    count_type poll_one(boost::system::error_code& ec)
    {
        return ec = {}, poll_one();
    }
    void reset()
    {
        restart();
    }
    template <typename Handler>
    auto dispatch(Handler&& handler);
    template <typename Handler>
    auto post(Handler&& handler);
    template <typename Handler>
    auto wrap(Handler handler);
#endif

    /// The context that this one is attached to; null for one of its own.
    [[nodiscard]] boost::asio::execution_context* host() const noexcept
    {
        return host_;
    }

    /// The engine, for services of this library.
    detail::loop_service& impl() noexcept
    {
        return impl_;
    }

private:
    /// Makes the calling thread known as one that runs this context.
    class in_run {
    public:
        explicit in_run(detail::loop_service& impl) : context_(&impl, thread_)
        {
            // A nested run takes over what the outer one kept for itself.
            if (auto* outer = static_cast<detail::running_thread*>(context_.next_by_key()))
                impl.loop().adopt(outer->loop);
        }
        detail::running_thread& thread() noexcept { return thread_; }

    private:
        detail::running_thread thread_;
        detail::thread_context::call_stack::context context_;
    };

    /// What a handler has started is not left behind where run() and its kin end, also by an exception.
    struct end_of_run {
        detail::loop_service& impl;
        ~end_of_run() { impl.loop().end_run(); }
    };

    template <typename Clock, typename Duration>
    std::size_t run_one_before(const std::chrono::time_point<Clock, Duration>& abs_time)
    {
        // A clock may be set while we wait, so it is looked at every second.
        for (auto now = Clock::now(); now < abs_time; now = Clock::now()) {
            auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(
                std::min<std::common_type_t<decltype(abs_time - now), std::chrono::seconds>>(
                    abs_time - now, std::chrono::seconds(1)));
            if (left <= std::chrono::nanoseconds::zero())
                left = std::chrono::nanoseconds(1);
            const std::size_t n = run_one_within(left);
            if (n != 0 || stopped())
                return n;
        }
        return 0;
    }

    std::size_t run_one_within(backend::backend::timeout wait)
    {
        in_run scope(impl_);
        const std::size_t n = impl_.loop().run_one(scope.thread().loop, wait);
        scope.thread().rethrow_pending_exception();
        return n;
    }

    void refuse_if_attached(const char* member) const
    {
        if (impl_.loop().is_driven())
            throw std::logic_error(std::string("safer_ring::io_context::") + member +
                                   ": this context is attached to a net::io_context; call that "
                                   "one's member instead");
    }

    /// One turn of an attached context, on a thread of its host, as long as
    /// `goes_on()` after each handler.
    template <typename F>
    void drive(F goes_on)
    {
        in_run scope(impl_);
        impl_.loop().drive(scope.thread().loop, [&] {
            scope.thread().rethrow_pending_exception();
            return goes_on();
        });
    }

    /// Notes the hint where net::config finds it.
    ring::threading configure(int hint)
    {
#if defined(SAFER_RING_ASIO_HAS_SERVICE_MAKER)
        int noted = hint;
#if !defined(SAFER_RING_DROP_IN)
        // Asio's own machinery, which a program without the drop-in may have
        // on this context, looks there too. It has a thread of its own, and so
        // must not be told that it needs no locks.
        if (!BOOST_ASIO_CONCURRENCY_HINT_IS_LOCKING(SCHEDULER, hint) ||
            !BOOST_ASIO_CONCURRENCY_HINT_IS_LOCKING(REACTOR_IO, hint))
            noted = BOOST_ASIO_CONCURRENCY_HINT_SAFE;
#endif
        boost::asio::config_from_concurrency_hint(noted).make(*this);
#endif
        return threads_of(hint);
    }

    static ring::threading threads_of(int hint) noexcept
    {
        if (hint == 1)
            hint = BOOST_ASIO_CONCURRENCY_HINT_1;
        if (!BOOST_ASIO_CONCURRENCY_HINT_IS_LOCKING(SCHEDULER, hint))
            return ring::threading::unsafe;
        if (hint == 1 || !BOOST_ASIO_CONCURRENCY_HINT_IS_LOCKING(REACTOR_IO, hint))
            return ring::threading::one;
        return ring::threading::many;
    }

#if defined(SAFER_RING_ASIO_HAS_SERVICE_MAKER)
    ring::threading configured_threads()
    {
        const boost::asio::config values(*this);
        if (!values.get("scheduler", "locking", true))
            return ring::threading::unsafe;
        if (values.get("scheduler", "concurrency_hint", 0) == 1 ||
            !values.get("reactor", "io_locking", true))
            return ring::threading::one;
        return ring::threading::many;
    }
#endif

    detail::loop_service& add_impl(detail::loop_service* impl)
    {
        std::unique_ptr<detail::loop_service> owned(impl);
        detail::add_made_service<detail::loop_service>(*this, impl);
        return *owned.release();
    }

    detail::loop_service& impl_;
    boost::asio::execution_context* host_ = nullptr;
};

/// Base of services that belong to a safer_ring::io_context, with the members
/// of net::io_context::service.
class io_context::service : public boost::asio::execution_context::service {
public:
    io_context& get_io_context() { return static_cast<io_context&>(context()); }

protected:
    explicit service(io_context& owner) : boost::asio::execution_context::service(owner) {}

private:
#if !defined(BOOST_ASIO_NO_DEPRECATED)
    void shutdown() override
    {
        shutdown_service();
    }
    virtual void shutdown_service() {}
    void notify_fork(boost::asio::execution_context::fork_event event) override
    {
        fork_service(event);
    }
    virtual void fork_service(boost::asio::execution_context::fork_event) {}
#else
    void shutdown() override {}
#endif
};

} // namespace safer_ring::inline SAFER_RING_ABI

#include <safer_ring/asio/detail/services_of_ours.hpp>
#include <safer_ring/asio/executor.hpp>
