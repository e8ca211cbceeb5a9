// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

/// A context for each processor, which is the way to scale: nothing is shared
/// between them, and each takes the cheaper path of a loop with one thread.

#include <safer_ring/asio.hpp>
#include <safer_ring/ring/cpu_affinity.hpp>
#include <safer_ring/ring/worker_pool.hpp>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/basic_endpoint.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

namespace safer_ring::inline SAFER_RING_ABI {

/// Settings of an io_context_pool.
struct io_context_pool_options {
    /// How many contexts; zero: one for each processor that the calling
    /// thread may use.
    std::size_t size = 0;

    /// Each thread runs on a processor of its own; with more contexts than
    /// processors they go round. Where the kernel refuses it, because the
    /// processor was taken away since, the thread stays free.
    bool pin_threads = true;

    /// For the ring of each context.
    options ring;
};

/// Several contexts, each with concurrency hint 1 and one thread.
///
/// An object belongs to the context it was made with, and its handlers never
/// run on two threads at once, so that a session needs neither a strand nor
/// a lock as long as all its objects are on one context.
///
/// *Exceptions*: one that leaves a handler stops all contexts; join() and
/// run() rethrow it, the first if there are several.
///
/// *Object lifetimes*: the destructor stops, joins, and destroys the handlers
/// of all contexts, without calling them, before it destroys the first
/// context: a handler of one may own objects of another.
///
/// *Thread safety*: get_io_context(), get_executor(), at(), size(), stop() and
/// finish() may be called from any thread and from handlers. start(), run(),
/// join() and restart() may be called from any thread but those of the pool,
/// where join() would wait for itself and throws std::system_error.
///
/// *fork(2)*: a child has none of the threads; join() and the destructor do not wait for
/// them there. They may for a lock that a thread held at the fork, inside of a call of this
/// library: a child of a pool that is at work had better call exec(2) or _exit(2).
///
/// *Kernel*: as io_context.
///
/// @code
/// safer_ring::io_context_pool pool(2);
/// std::atomic<int> called{0};
/// for (std::size_t i = 0; i != pool.size(); ++i)
///     net::post(pool.at(i), [&] { ++called; });
/// pool.start();
/// pool.finish(); // When there is nothing left to do.
/// pool.join();
/// assert(called == 2);
/// @endcode
class io_context_pool {
public:
    using executor_type = io_context::executor_type;

    /// Throws what the constructor of io_context throws.
    explicit io_context_pool(const io_context_pool_options& settings = {})
        : cpus_(ring::usable_cpus()), pin_threads_(settings.pin_threads)
    {
        const std::size_t size = settings.size != 0 ? settings.size : cpus_.size();
        members_.reserve(size);
        for (std::size_t i = 0; i < size; ++i)
            members_.push_back(std::make_unique<member>(settings.ring));
    }
    explicit io_context_pool(std::size_t size)
        : io_context_pool(io_context_pool_options{size, true, {}})
    {
    }

    io_context_pool(const io_context_pool&) = delete;
    io_context_pool& operator=(const io_context_pool&) = delete;

    ~io_context_pool()
    {
        stop();
        join_threads();
        for (const auto& m : members_)
            m->context.shutdown();
    }

    [[nodiscard]] std::size_t size() const noexcept { return members_.size(); }

    /// The context with number `i`, less than size().
    [[nodiscard]] io_context& at(std::size_t i) { return members_.at(i)->context; }

    /// The contexts in turn, so that connections spread evenly.
    [[nodiscard]] io_context& get_io_context() noexcept
    {
        return members_[next_.fetch_add(1, std::memory_order_relaxed) % members_.size()]->context;
    }

    /// The executor of get_io_context().
    [[nodiscard]] executor_type get_executor() noexcept { return get_io_context().get_executor(); }

    /// Starts a thread for each context and returns. They run until stop(),
    /// or until finish() and the end of all work.
    ///
    /// Throws std::logic_error when they run already, and std::system_error
    /// when a thread could not be made; then none runs, and the pool is
    /// stopped.
    void start()
    {
        const std::lock_guard lock(threads_mutex_);
        if (!threads_.empty())
            throw std::logic_error("safer_ring::io_context_pool: started twice");
        threads_.reserve(members_.size());
        process_ = ::getpid();
        try {
            for (std::size_t i = 0; i < members_.size(); ++i)
                threads_.emplace_back([this, i] { run_member(i); });
        } catch (...) {
            stop();
            join_threads_locked();
            const std::lock_guard of_state(state_mutex_);
            thrown_ = nullptr; // By a handler, of those that ran meanwhile: this is told instead.
            throw;
        }
    }

    /// Waits until all threads have ended, and rethrows what left a handler.
    void join()
    {
        for (const auto& m : members_)
            if (m->context.get_executor().running_in_this_thread())
                throw std::system_error(
                    std::make_error_code(std::errc::resource_deadlock_would_occur),
                    "safer_ring::io_context_pool: join() on a thread of the pool");
        join_threads();
        std::exception_ptr thrown;
        {
            const std::lock_guard lock(state_mutex_);
            thrown = std::exchange(thrown_, nullptr);
        }
        if (thrown != nullptr)
            std::rethrow_exception(thrown);
    }

    /// start() and join(): blocks until stop(), or finish() and the end of all
    /// work.
    void run()
    {
        start();
        join();
    }

    /// Ends all threads as soon as the handlers in progress have returned.
    /// What is pending stays so, until restart() or destruction.
    void stop()
    {
        for (const auto& m : members_)
            m->context.stop();
    }

    /// The orderly end: each thread goes on until its context has run out of
    /// work. A function that is posted to a context which has ended already
    /// does not run any more; who hands work from one context to another
    /// holds an executor_work_guard on the other, as asynchronous operations
    /// do for the executor of their handler.
    void finish()
    {
        const std::lock_guard lock(state_mutex_);
        for (const auto& m : members_)
            m->work.reset();
    }

    /// Makes the contexts ready to run again after stop() or finish(). To be
    /// called when no thread runs them, and behind join() where start() is to follow.
    void restart()
    {
        const std::lock_guard lock(state_mutex_);
        for (const auto& m : members_) {
            m->context.restart();
            if (!m->work)
                m->work.emplace(m->context.get_executor());
        }
    }

private:
    /// What execution_context offers to derived classes only.
    struct pooled_context : io_context {
        explicit pooled_context(const options& settings) : io_context(1, settings) {}
        using io_context::shutdown;
    };

    struct member {
        explicit member(const options& settings)
            : context(settings), work(std::in_place, context.get_executor())
        {
        }
        pooled_context context;
        std::optional<boost::asio::executor_work_guard<executor_type>> work;
    };

    void run_member(std::size_t i) noexcept
    {
        if (pin_threads_)
            ring::pin_this_thread(cpus_[i % cpus_.size()]);
        try {
            members_[i]->context.run();
        } catch (...) {
            {
                const std::lock_guard lock(state_mutex_);
                if (thrown_ == nullptr)
                    thrown_ = std::current_exception();
            }
            stop();
        }
    }

    void join_threads()
    {
        const std::lock_guard lock(threads_mutex_);
        join_threads_locked();
    }
    void join_threads_locked()
    {
        if (!threads_.empty() && process_ != ::getpid())
            ring::forget_inherited(std::move(threads_));
        while (!threads_.empty()) {
            threads_.back().join();
            threads_.pop_back();
        }
    }

    const std::vector<int> cpus_;
    const bool pin_threads_;
    std::vector<std::unique_ptr<member>> members_;
    std::atomic<std::size_t> next_{0};
    std::mutex threads_mutex_;
    std::vector<std::thread> threads_;
    int process_ = -1;       // In which they are.
    std::mutex state_mutex_; // Guards the work guards and what was thrown.
    std::exception_ptr thrown_;
};

namespace detail {

/// SO_REUSEPORT: several sockets listen on one port, and the kernel spreads
/// the connections (Linux 3.9, socket(7)).
struct reuse_port {
    int on = 1;

    template <typename Protocol>
    int level(const Protocol&) const noexcept
    {
        return SOL_SOCKET;
    }
    template <typename Protocol>
    int name(const Protocol&) const noexcept
    {
        return SO_REUSEPORT;
    }
    template <typename Protocol>
    const int* data(const Protocol&) const noexcept
    {
        return &on;
    }
    template <typename Protocol>
    std::size_t size(const Protocol&) const noexcept
    {
        return sizeof on;
    }
};

} // namespace detail

/// An acceptor for each context of `pool`, in order, all of them listening on
/// `endpoint`: the kernel hands each connection to one of them, by a hash of
/// its addresses, so that it is accepted and served by one thread. With port
/// zero all of them are on the one that the first got.
///
/// A connection belongs to the acceptor that the kernel chose: accept on all
/// of them, and close all of them together.
///
/// *Errors*: throws boost::system::system_error.
///
/// *Thread safety*: distinct pools: safe; the acceptors are ordinary objects.
template <typename Protocol>
std::vector<boost::asio::basic_socket_acceptor<Protocol, executor>>
reuse_port_acceptors(io_context_pool& pool, boost::asio::ip::basic_endpoint<Protocol> endpoint,
                     int backlog = boost::asio::socket_base::max_listen_connections)
{
    using acceptor = boost::asio::basic_socket_acceptor<Protocol, executor>;
    std::vector<acceptor> acceptors;
    acceptors.reserve(pool.size());
    for (std::size_t i = 0; i < pool.size(); ++i) {
        acceptor& a = acceptors.emplace_back(pool.at(i), endpoint.protocol());
        a.set_option(typename acceptor::reuse_address(true));
        a.set_option(detail::reuse_port());
        a.bind(endpoint);
        endpoint = a.local_endpoint();
    }
    // They listen when all are bound, so that none gets the connections that
    // were meant for the others.
    for (acceptor& a : acceptors)
        a.listen(backlog);
    return acceptors;
}

} // namespace safer_ring::inline SAFER_RING_ABI
