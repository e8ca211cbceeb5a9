// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "conformance/contexts.hpp"

#include "support/blocking_peer.hpp"
#include "support/counting_allocator.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/asio.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

// One operation of an object on a context, both of types that only their maker
// knows, so that a test is compiled once for all of them. What reaches the
// object's own async_xxx is a handler of ours with everything that may be
// associated with one, or a token: net::deferred, net::use_future.
namespace conformance {

/// A handler of any type, which passes on what is associated with it.
class any_handler {
public:
    using executor_type = net::any_io_executor;
    using allocator_type = test_support::counting_allocator<>;
    using cancellation_slot_type = net::cancellation_slot;

    template <class Handler>
    any_handler(Handler handler, const executor_type& of_object)
        : executor_(net::get_associated_executor(handler, of_object)),
          slot_(net::get_associated_cancellation_slot(handler)), allocator_(allocator_of(handler))
    {
#if BOOST_ASIO_VERSION >= 102800
        immediate_ = net::get_associated_immediate_executor(handler, of_object);
#endif
        function_ = std::make_unique<holder<Handler>>(std::move(handler));
    }

    template <class... More>
    void operator()(const error_code& ec, const More&... more)
    {
        const auto function = std::move(function_);
        function->call(ec, number(more...));
    }

    executor_type get_executor() const noexcept
    {
        return executor_;
    }
    allocator_type get_allocator() const noexcept
    {
        return allocator_;
    }
    cancellation_slot_type get_cancellation_slot() const noexcept
    {
        return slot_;
    }
#if BOOST_ASIO_VERSION >= 102800
    using immediate_executor_type = net::any_io_executor;
    immediate_executor_type get_immediate_executor() const noexcept
    {
        return immediate_;
    }
#endif

private:
    struct base {
        virtual ~base() = default;
        virtual void call(const error_code& ec, std::size_t n) = 0;
    };
    template <class Handler>
    struct holder final : base {
        explicit holder(Handler&& h) : handler(std::move(h)) {}
        void call(const error_code& ec, std::size_t n) override { std::move(handler)(ec, n); }
        Handler handler;
    };

    /// Only one kind of allocator is of interest.
    template <class Handler>
    static allocator_type allocator_of(const Handler& handler)
    {
        if constexpr (requires { net::get_associated_allocator(handler).counts(); }) {
            return allocator_type(*net::get_associated_allocator(handler).counts());
        } else {
            static test_support::allocation_counts nobodys;
            return allocator_type(nobodys);
        }
    }

    /// The number of bytes or of the signal; what has none counts as zero.
    static std::size_t number()
    {
        return 0;
    }
    template <class Value, class... More>
    static std::size_t number(const Value& value, const More&...)
    {
        if constexpr (std::is_integral_v<Value>)
            return static_cast<std::size_t>(value);
        else
            return 0;
    }

    executor_type executor_;
    cancellation_slot_type slot_;
    allocator_type allocator_;
#if BOOST_ASIO_VERSION >= 102800
    net::any_io_executor immediate_;
#endif
    std::unique_ptr<base> function_;
};

/// A context of any type.
class any_context {
public:
    using executor_type = net::any_io_executor;

    any_context() = default;
    any_context(const any_context&) = delete;
    any_context& operator=(const any_context&) = delete;
    virtual ~any_context() = default;

    virtual executor_type get_executor() = 0;
    virtual void run() = 0;
    virtual std::size_t poll() = 0;
    virtual std::size_t run_one_until(std::chrono::steady_clock::time_point time) = 0;
    virtual void stop() = 0;
    virtual bool stopped() const = 0;
    virtual void restart() = 0;

    /// Waits with a timer of its own, which has an executor of the context's type.
    template <class Token>
    auto wait_for(std::chrono::hours time, Token&& token)
    {
        return net::async_initiate<Token, void(error_code, std::size_t)>(
            [this, time](auto handler) {
                wait_with(time, any_handler(std::move(handler), get_executor()));
            },
            token);
    }

private:
    virtual void wait_with(std::chrono::hours time, any_handler handler) = 0;
};

template <class Ctx>
class context_of final : public any_context {
public:
    executor_type get_executor() override { return context.get_executor(); }
    void run() override { context.run(); }
    std::size_t poll() override { return context.poll(); }
    std::size_t run_one_until(std::chrono::steady_clock::time_point time) override
    {
        return context.run_one_until(time);
    }
    void stop() override { context.stop(); }
    bool stopped() const override { return context.stopped(); }
    void restart() override { context.restart(); }

    Ctx context;

private:
    void wait_with(std::chrono::hours time, any_handler handler) override
    {
        timer_.expires_after(time);
        timer_.async_wait(std::move(handler));
    }

    timer_of<Ctx> timer_{context};
};

/// What can be done to an operation. That of the object is missing where
/// Asio's has no such function, or where it means nothing for the operation.
enum ability : unsigned {
    waits = 1u << 0,           ///< Is pending until fire(), or until it is ended.
    fires = 1u << 1,           ///< Completes by itself, or after fire().
    cancels = 1u << 2,         ///< The object has cancel().
    slots = 1u << 3,           ///< The slot of its handler cancels it.
    closes = 1u << 4,          ///< The object has close(); then it answers bad_descriptor.
    moves = 1u << 5,           ///< The object can be moved.
    releases = 1u << 6,        ///< The object has release().
    in_part = 1u << 7,         ///< A stream: less than was asked for may be transferred.
    gives_an_object = 1u << 8, ///< Its handler is given an I/O object.
    opens = 1u << 9,           ///< Opens an object that is closed.
    is_alone = 1u << 10        ///< The object has no second one at the same time.
};

class any_operation {
public:
    any_operation() = default;
    any_operation(const any_operation&) = delete;
    any_operation& operator=(const any_operation&) = delete;
    virtual ~any_operation() = default;

    virtual net::any_io_executor get_executor() = 0;

    /// Hand the object's function this handler; net::deferred, whose operation is
    /// started by what is returned; net::use_future, whose value or exception
    /// is waited for by what is returned.
    virtual void start_with(any_handler handler) = 0;
    virtual std::function<void(any_handler)> start_deferred() = 0;
    virtual std::function<void()> start_with_future() = 0;

    /// With any other token.
    template <class Token>
    auto start(Token&& token)
    {
        return net::async_initiate<Token, void(error_code, std::size_t)>(
            [this](auto handler) { start_with(any_handler(std::move(handler), get_executor())); },
            token);
    }

    /// Lets it be started again, after it has ended.
    virtual void prepare() {}
    /// Lets what is pending complete, and what is started next.
    virtual void fire() {}
    /// Lets the next one have more to do than can be done at once.
    virtual void enlarge() {}

    virtual void cancel() {}
    virtual void close() {}
    virtual void destroy() = 0;
    virtual void move() {}
    virtual int release() { return -1; }

    /// What it completes with.
    virtual std::size_t number() const { return 0; }
};

/// Implements the above by what `Derived::choose(use)` does: to call `use` with
/// a function that hands a token to the object, and to return what `use` does.
template <class Derived>
class typed_operation : public any_operation {
public:
    void start_with(any_handler handler) override
    {
        derived().choose([&](auto initiate) { initiate(std::move(handler)); });
    }

    std::function<void(any_handler)> start_deferred() override
    {
        return derived().choose([](auto initiate) -> std::function<void(any_handler)> {
            auto later =
                std::make_shared<decltype(initiate(net::deferred))>(initiate(net::deferred));
            return [later](any_handler handler) { std::move (*later)(std::move(handler)); };
        });
    }

    std::function<void()> start_with_future() override
    {
        return derived().choose([](auto initiate) -> std::function<void()> {
            auto future =
                std::make_shared<decltype(initiate(net::use_future))>(initiate(net::use_future));
            return [future] { (void)test_support::wait_for(*future); };
        });
    }

private:
    Derived& derived() { return static_cast<Derived&>(*this); }
};

/// A context with an object on it, which does one thing.
struct kind {
    struct instance {
        std::unique_ptr<any_context> context;
        std::unique_ptr<any_operation> operation;
    };

    std::string context; ///< As in the names of the tests that are templates on it.
    std::string name;
    unsigned can; ///< Abilities.
    std::function<instance()> make;

    bool has(unsigned abilities) const { return (can & abilities) == abilities; }
};

template <class Ctx>
constexpr const char* context_name()
{
    if constexpr (std::is_same_v<Ctx, net::io_context>)
        return "boost__asio__io_context";
#if defined(SAFER_RING_DROP_IN)
    else if constexpr (std::is_same_v<Ctx, host_context>)
        return "host_context";
    else
        return "drop_in_context";
#else
    else
        return "safer_ring__v1__io_context";
#endif
}

/// `Operation` is constructed from the context and `args`.
template <class Operation, class Ctx, class... Args>
kind kind_of(std::string name, unsigned can, Args... args)
{
    return {context_name<Ctx>(), std::move(name) + "_operation", can, [args...] {
                auto context = std::make_unique<context_of<Ctx>>();
                auto operation = std::make_unique<Operation>(context->context, args...);
                return kind::instance{std::move(context), std::move(operation)};
            }};
}

/// All that the program tests; each file that has some adds them.
std::vector<kind> every_kind();

} // namespace conformance
