// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/boost_version.hpp>

#include <safer_ring/asio/detail/where_bound.hpp>
#include <safer_ring/asio/io_context.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/version.hpp>

#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {
namespace detail {

/// As Asio's executors call what they are given: up to Boost 1.83 (Asio 1.28) not as a temporary.
template <typename Function>
void call_function(Function& f)
{
#if BOOST_ASIO_VERSION < 103000
    if constexpr (std::is_invocable_v<Function&>) {
        f();
        return;
    } else
#endif
    {
        std::move(f)();
    }
}

/// A function in the loop's queue.
template <typename Function, typename Allocator>
class function_operation final : public ring::operation {
public:
    template <typename F>
    function_operation(F&& f, const Allocator& allocator)
        : allocator_(allocator), function_(std::forward<F>(f))
    {
    }

    void complete(ring::event_loop&) override
    {
        operation_ptr<function_operation, Allocator> self(Allocator(allocator_), this);
        Function f(std::move(function_));
        // The memory is free before the upcall, so that the function can use
        // it for what it posts itself.
        self.reset();
        detail::call_function(f); // Qualified, or a namespace of the program's could have another.
    }

    void destroy() noexcept override
    {
        operation_ptr<function_operation, Allocator> self(Allocator(allocator_), this);
        [[maybe_unused]] Function f(std::move(function_));
        self.reset();
    }

private:
    Allocator allocator_;
    Function function_;
};

inline constexpr unsigned blocking_never_bit = 1;
inline constexpr unsigned continuation_bit = 2;
inline constexpr unsigned tracked_bit = 4;

} // namespace detail

/// The executor of an io_context; see net::io_context::executor_type for its
/// properties, all of which it has. Bits hold the properties known at compile
/// time, the rest travels with the object.
///
/// *Thread safety*: distinct objects: safe. Shared objects: safe.
template <typename Allocator, unsigned Bits>
class basic_executor : Allocator {
    using execution_context = boost::asio::execution_context;
    static constexpr bool tracks_work = (Bits & detail::tracked_bit) != 0;

public:
    basic_executor(const basic_executor& other) noexcept
        : Allocator(static_cast<const Allocator&>(other)), target_(other.target_)
    {
        work_started();
    }
    basic_executor(basic_executor&& other) noexcept
        : Allocator(std::move(static_cast<Allocator&>(other))), target_(other.target_)
    {
        if constexpr (tracks_work)
            other.target_ = 0;
    }
    ~basic_executor() { work_finished(); }

    basic_executor& operator=(const basic_executor& other) noexcept
    {
        if (this != &other) {
            basic_executor copy(other);
            *this = std::move(copy);
        }
        return *this;
    }
    basic_executor& operator=(basic_executor&& other) noexcept
    {
        if (this != &other) {
            work_finished();
            static_cast<Allocator&>(*this) = std::move(static_cast<Allocator&>(other));
            target_ = other.target_;
            if constexpr (tracks_work)
                other.target_ = 0;
        }
        return *this;
    }

    basic_executor require(boost::asio::execution::blocking_t::possibly_t) const
    {
        return {context_pointer(), allocator(), bits() & ~detail::blocking_never_bit};
    }
    basic_executor require(boost::asio::execution::blocking_t::never_t) const
    {
        return {context_pointer(), allocator(), bits() | detail::blocking_never_bit};
    }
    basic_executor require(boost::asio::execution::relationship_t::fork_t) const
    {
        return {context_pointer(), allocator(), bits() & ~detail::continuation_bit};
    }
    basic_executor require(boost::asio::execution::relationship_t::continuation_t) const
    {
        return {context_pointer(), allocator(), bits() | detail::continuation_bit};
    }
    basic_executor<Allocator, Bits | detail::tracked_bit>
    require(boost::asio::execution::outstanding_work_t::tracked_t) const
    {
        return {context_pointer(), allocator(), bits()};
    }
    basic_executor<Allocator, Bits & ~detail::tracked_bit>
    require(boost::asio::execution::outstanding_work_t::untracked_t) const
    {
        return {context_pointer(), allocator(), bits()};
    }
    template <typename OtherAllocator>
    basic_executor<OtherAllocator, Bits>
    require(boost::asio::execution::allocator_t<OtherAllocator> a) const
    {
        return {context_pointer(), a.value(), bits()};
    }
    basic_executor<std::allocator<void>, Bits>
    require(boost::asio::execution::allocator_t<void>) const
    {
        return {context_pointer(), std::allocator<void>(), bits()};
    }

    static constexpr boost::asio::execution::mapping_t
    query(boost::asio::execution::mapping_t) noexcept
    {
        return boost::asio::execution::mapping.thread;
    }
#if defined(SAFER_RING_ASIO_HAS_INLINE_EXCEPTION_HANDLING)
    static constexpr boost::asio::execution::inline_exception_handling_t
    query(boost::asio::execution::inline_exception_handling_t) noexcept
    {
        return boost::asio::execution::inline_exception_handling.capture;
    }
#endif
    io_context& query(boost::asio::execution::context_t) const noexcept
    {
        return context();
    }
    boost::asio::execution::blocking_t query(boost::asio::execution::blocking_t) const noexcept
    {
        return (bits() & detail::blocking_never_bit) != 0
                   ? boost::asio::execution::blocking_t(boost::asio::execution::blocking.never)
                   : boost::asio::execution::blocking_t(boost::asio::execution::blocking.possibly);
    }
    boost::asio::execution::relationship_t
    query(boost::asio::execution::relationship_t) const noexcept
    {
        using boost::asio::execution::relationship;
        using boost::asio::execution::relationship_t;
        return (bits() & detail::continuation_bit) != 0 ? relationship_t(relationship.continuation)
                                                        : relationship_t(relationship.fork);
    }
    static constexpr boost::asio::execution::outstanding_work_t
    query(boost::asio::execution::outstanding_work_t) noexcept
    {
        using boost::asio::execution::outstanding_work;
        using boost::asio::execution::outstanding_work_t;
        return tracks_work ? outstanding_work_t(outstanding_work.tracked)
                           : outstanding_work_t(outstanding_work.untracked);
    }
    template <typename OtherAllocator>
    Allocator query(boost::asio::execution::allocator_t<OtherAllocator>) const noexcept
    {
        return allocator();
    }
    Allocator query(boost::asio::execution::allocator_t<void>) const noexcept
    {
        return allocator();
    }

    /// True inside run(), poll() and their kin of this context.
    [[nodiscard]] bool running_in_this_thread() const noexcept
    {
        return context().impl_.current() != nullptr;
    }

    friend bool operator==(const basic_executor& a, const basic_executor& b) noexcept
    {
        return a.target_ == b.target_ && a.allocator() == b.allocator();
    }
    friend bool operator!=(const basic_executor& a, const basic_executor& b) noexcept
    {
        return !(a == b);
    }

    /// Calls `f` at once if blocking is allowed and this thread runs the
    /// context, and queues it otherwise.
    template <typename Function>
    void execute(Function&& f) const
    {
        detail::running_thread* const self = context().impl_.current();
        if ((bits() & detail::blocking_never_bit) == 0 && self != nullptr) {
            std::decay_t<Function> copy(std::forward<Function>(f));
            try {
                detail::call_function(copy);
            } catch (...) {
                // Leaves run() when the current handler is done.
                self->capture_current_exception();
            }
            return;
        }
        queue(std::forward<Function>(f), allocator(), (bits() & detail::continuation_bit) != 0,
              self);
    }

    io_context& context() const noexcept
    {
        return *context_pointer();
    }

#if !defined(BOOST_ASIO_NO_TS_EXECUTORS)
    void on_work_started() const noexcept
    {
        context().impl_.loop().work_started();
    }
    void on_work_finished() const noexcept
    {
        context().impl_.loop().work_finished();
    }
    template <typename Function, typename OtherAllocator>
    void dispatch(Function&& f, const OtherAllocator& a) const
    {
        detail::running_thread* const self = context().impl_.current();
        if (self != nullptr) {
            std::decay_t<Function> copy(std::forward<Function>(f));
            detail::call_function(copy);
        } else {
            queue(std::forward<Function>(f), a, false, self);
        }
    }
    template <typename Function, typename OtherAllocator>
    void post(Function&& f, const OtherAllocator& a) const
    {
        queue(std::forward<Function>(f), a, false, context().impl_.current());
    }
    template <typename Function, typename OtherAllocator>
    void defer(Function&& f, const OtherAllocator& a) const
    {
        queue(std::forward<Function>(f), a, true, context().impl_.current());
    }
#endif

private:
    friend class io_context;
    template <typename OtherAllocator, unsigned OtherBits>
    friend class basic_executor;

    basic_executor(io_context* context, const Allocator& a, unsigned bits) noexcept
        : Allocator(a), target_(reinterpret_cast<std::uintptr_t>(context) | bits)
    {
        static_assert(alignof(io_context) > bits_mask);
        work_started();
    }

    const Allocator& allocator() const noexcept
    {
        return *this;
    }

    void work_started() const noexcept
    {
        if constexpr (tracks_work)
            if (context_pointer() != nullptr) {
                detail::loop_service& impl = context().impl_;
                impl.loop().work_started(impl.current_loop());
            }
    }
    void work_finished() const noexcept
    {
        if constexpr (tracks_work)
            if (context_pointer() != nullptr) {
                detail::loop_service& impl = context().impl_;
                impl.loop().work_finished(impl.current_loop());
            }
    }

    template <typename Function, typename OtherAllocator>
    void queue(Function&& f, const OtherAllocator& a, bool is_continuation,
               detail::running_thread* self) const
    {
        using op_type = detail::function_operation<std::decay_t<Function>, OtherAllocator>;
        auto op =
            detail::operation_ptr<op_type, OtherAllocator>::make(a, std::forward<Function>(f), a);
        context().impl_.loop().post(op.get(), is_continuation,
                                    self != nullptr ? &self->loop : nullptr);
        op.release();
    }

    /// Null for what has been moved from, whatever was asked of it since.
    io_context* context_pointer() const noexcept
    {
        return reinterpret_cast<io_context*>(target_ & ~bits_mask);
    }

    unsigned bits() const noexcept
    {
        return static_cast<unsigned>(target_ & bits_mask);
    }

    static constexpr std::uintptr_t bits_mask =
        detail::blocking_never_bit | detail::continuation_bit;

    /// The context, with the bits in its address: executors are copied and
    /// moved many times for an operation of an application protocol.
    std::uintptr_t target_;
};

/// The executor to give to I/O objects: `net::basic_stream_socket<tcp,
/// safer_ring::executor>`.
using executor = io_context::executor_type;

inline io_context::executor_type io_context::get_executor() noexcept
{
    return {this, std::allocator<void>(), 0};
}

#if !defined(BOOST_ASIO_NO_DEPRECATED)
/// (Deprecated: use net::executor_work_guard.) Keeps run() from returning.
class io_context::work {
public:
    explicit work(io_context& context) : loop_(context.impl_.loop()), context_(context)
    {
        loop_.work_started();
    }
    work(const work& other) : loop_(other.loop_), context_(other.context_) { loop_.work_started(); }
    work& operator=(const work&) = delete;
    ~work() { loop_.work_finished(); }
    io_context& get_io_context() { return context_; }

private:
    ring::event_loop& loop_;
    io_context& context_;
};

template <typename Handler>
auto io_context::dispatch(Handler&& handler)
{
    // Unlike net::dispatch(), which keeps exceptions for run() to throw.
    return boost::asio::async_initiate<Handler, void()>(
        [](auto&& function, io_context* context) {
            using function_type = std::decay_t<decltype(function)>;
            const executor where = context->get_executor();
            if (!where.running_in_this_thread())
                return boost::asio::dispatch(where, std::forward<decltype(function)>(function));
            function_type copy(std::forward<decltype(function)>(function));
            detail::call_function(copy);
        },
        handler, this);
}

template <typename Handler>
auto io_context::post(Handler&& handler)
{
    return boost::asio::post(get_executor(), std::forward<Handler>(handler));
}

template <typename Handler>
auto io_context::wrap(Handler handler)
{
    return [this, handler = std::move(handler)]<typename... Args>(Args&&... args) {
        auto call = detail::bound_call(handler, std::forward<Args>(args)...);
        if (this->get_executor().running_in_this_thread())
            call();
        else
            this->dispatch(detail::where_bound(handler, std::move(call)));
    };
}
#endif

} // namespace safer_ring::inline SAFER_RING_ABI

#include <safer_ring/asio/strand.hpp>
