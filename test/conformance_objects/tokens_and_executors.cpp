// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "every_channel.hpp"

#include "support/counting_allocator.hpp"
#include "support/skip.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/spawn.hpp>
#include <boost/test/unit_test.hpp>
#include <boost/version.hpp>

#include <array>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include <csignal>

// Every kind of completion token, and handlers with executors and allocators
// of their own, with every object: what transfers bytes, and what waits for
// something else.
namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;
using test_support::running_context;
using test_support::wait_for;

constexpr auto use_tuple = net::as_tuple(net::use_awaitable);

/// One operation of an object, and what completes it.
template <class Kind>
struct read_operation {
    template <class Ctx>
    struct object : decltype(Kind::make(std::declval<Ctx&>())) {
        using base = decltype(Kind::make(std::declval<Ctx&>()));
        explicit object(Ctx& ctx) : base(Kind::make(ctx)) {}

        template <class Token>
        auto start(Token&& token)
        {
            return async_take(this->reader, net::buffer(memory), std::forward<Token>(token));
        }
        void fire()
        {
            error_code ec;
            BOOST_TEST(give(this->writer, net::buffer("data", 4), ec) == 4u);
        }
        void cancel() { this->reader.cancel(); }
        void close() { this->reader.close(); }
        static constexpr bool waits = true;

        std::array<char, 64> memory{};
    };
};

/// Writes go through at once.
template <class Kind>
struct write_operation {
    template <class Ctx>
    struct object : read_operation<Kind>::template object<Ctx> {
        using read_operation<Kind>::template object<Ctx>::object;

        template <class Token>
        auto start(Token&& token)
        {
            return async_give(this->writer, net::buffer("data", 4), std::forward<Token>(token));
        }
        void fire() {}
        void cancel() { this->writer.cancel(); }
        void close() { this->writer.close(); }
        static constexpr bool waits = false;
    };
};

struct wait_operation {
    template <class Ctx>
    struct object : read_operation<tcp_channel>::object<Ctx> {
        using read_operation<tcp_channel>::object<Ctx>::object;

        template <class Token>
        auto start(Token&& token)
        {
            return this->reader.async_wait(net::socket_base::wait_read, std::forward<Token>(token));
        }
    };
};

struct accept_operation {
    template <class Ctx>
    struct object {
        explicit object(Ctx& ctx) : acceptor(loopback_acceptor(ctx)), peer(ctx) {}

        template <class Token>
        auto start(Token&& token)
        {
            error_code ignored;
            peer.close(ignored);
            return acceptor.async_accept(peer, std::forward<Token>(token));
        }
        void fire() { client = test_support::loopback_client(acceptor.local_endpoint().port()); }
        void cancel() { acceptor.cancel(); }
        void close() { acceptor.close(); }
        static constexpr bool waits = true;

        acceptor_of<Ctx> acceptor;
        socket_of<Ctx> peer;
        unique_descriptor client;
    };
};

struct connect_operation {
    template <class Ctx>
    struct object {
        explicit object(Ctx& ctx) : acceptor(loopback_acceptor(ctx)), socket(ctx, tcp::v4()) {}

        template <class Token>
        auto start(Token&& token)
        {
            if (socket.is_open()) {
                socket.close();
                socket.open(tcp::v4());
            }
            return socket.async_connect(acceptor.local_endpoint(), std::forward<Token>(token));
        }
        void fire() {}
        void cancel() { socket.cancel(); }
        static constexpr bool waits = false;

        acceptor_of<Ctx> acceptor;
        socket_of<Ctx> socket;
    };
};

struct timer_operation {
    template <class Ctx>
    struct object {
        explicit object(Ctx& ctx) : timer(ctx) {}

        template <class Token>
        auto start(Token&& token)
        {
            timer.expires_after(std::chrono::milliseconds(0));
            return timer.async_wait(std::forward<Token>(token));
        }
        void fire() {}
        void cancel() { timer.cancel(); }
        static constexpr bool waits = false;

        timer_of<Ctx> timer;
    };
};

struct signal_operation {
    template <class Ctx>
    struct object {
        explicit object(Ctx& ctx) : signals(ctx, SIGUSR1) {}

        template <class Token>
        auto start(Token&& token)
        {
            return signals.async_wait(std::forward<Token>(token));
        }
        void fire() { std::raise(SIGUSR1); }
        void cancel() { signals.cancel(); }
        static constexpr bool waits = true;

        signal_set_of<Ctx> signals;
    };
};

struct resolve_operation {
    template <class Ctx>
    struct object {
        explicit object(Ctx& ctx) : resolver(ctx) {}

        template <class Token>
        auto start(Token&& token)
        {
            return resolver.async_resolve("127.0.0.1", "80",
                                          net::ip::resolver_base::numeric_host |
                                              net::ip::resolver_base::numeric_service,
                                          std::forward<Token>(token));
        }
        void fire() {}
        void cancel() { resolver.cancel(); }
        static constexpr bool waits = false;

        net::ip::basic_resolver<tcp, executor_of<Ctx>> resolver;
    };
};

using operations = on_each<contexts, read_operation<tcp_channel>, write_operation<tcp_channel>,
                           read_operation<local_channel>, read_operation<udp_channel>,
                           read_operation<local_datagram_channel>, read_operation<packet_channel>,
                           write_operation<packet_channel>, read_operation<raw_channel>,
                           read_operation<pipe_channel>, read_operation<anonymous_pipe_channel>,
                           read_operation<serial_channel>, accept_operation, connect_operation,
                           timer_operation, signal_operation, resolve_operation>::type;

// byte_channels.cpp and coroutines.cpp have coroutines on others; these templates take longest to
// compile.
using awaited_operations =
    on_each<contexts, read_operation<tcp_channel>, read_operation<udp_channel>,
            read_operation<packet_channel>, wait_operation, accept_operation, signal_operation,
            resolve_operation>::type;

/// A context and an object on it.
template <class T>
struct operation {
    handler_checks checks;
    typename T::context ctx;
    typename T::kind::template object<typename T::context> object{ctx};

    /// Runs until nothing is left to do.
    void run()
    {
        ctx.restart();
        ctx.run();
    }
};

BOOST_AUTO_TEST_SUITE(tokens_and_executors)

BOOST_AUTO_TEST_CASE_TEMPLATE(futures_become_ready, T, operations)
{
    operation<T> o;
    running_context running(o.ctx);
    auto future = o.object.start(net::use_future);
    o.object.fire();
    BOOST_CHECK_NO_THROW((void)wait_for(future));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(futures_carry_errors, T, operations)
{
    operation<T> o;
    if constexpr (o.object.waits) {
        auto future = o.object.start(net::use_future);
        o.ctx.poll();
        o.object.cancel();
        o.run();
        BOOST_CHECK_EXCEPTION(
            (void)wait_for(future), boost::system::system_error,
            [](const auto& e) { return e.code() == net::error::operation_aborted; });
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(coroutines_await_with_every_token, T, awaited_operations)
{
    operation<T> o;
    bool ended = false;
    std::exception_ptr error;
    net::co_spawn(
        o.ctx,
        [&]() -> net::awaitable<void> {
            // What completes them may come before they start: it stays.
            o.object.fire();
            co_await o.object.start(net::use_awaitable);
            if constexpr (!std::is_same_v<typename T::kind, signal_operation>) {
                o.object.fire();
                const auto result = co_await o.object.start(use_tuple);
                BOOST_TEST(std::get<0>(result) == error_code());
                o.object.fire();
                co_await o.object.start(net::deferred);
                auto later = o.object.start(net::as_tuple(net::deferred));
                o.object.fire();
                BOOST_TEST(std::get<0>(co_await std::move(later)) == error_code());
            }
            ended = true;
        },
        [&](std::exception_ptr e) { error = e; });
    o.run();
    BOOST_TEST(!error);
    BOOST_TEST(ended);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(deferred_operations_wait_for_their_handler, T, operations)
{
    operation<T> o;
    auto deferred = o.object.start(net::deferred);
    BOOST_TEST(ran(o.ctx, o.ctx.poll(), 0u));
    io_result result;
    std::move(deferred)(o.checks.into(result));
    o.object.fire();
    o.run();
    BOOST_TEST(result.ec == error_code());
}

#if defined(SAFER_RING_TEST_STACKFUL)
BOOST_AUTO_TEST_CASE_TEMPLATE(stackful_coroutines_yield, T, awaited_operations)
{
    operation<T> o;
    bool ended = false;
    net::spawn(
        o.ctx,
        [&](net::basic_yield_context<executor_of<typename T::context>> yield) {
            o.object.fire();
            error_code ec = test_support::garbage_error();
            o.object.start(yield[ec]);
            BOOST_TEST(ec == error_code());
            ended = true;
        },
        net::detached);
    o.run();
    BOOST_TEST(ended);
}
#else
BOOST_AUTO_TEST_CASE(stackful_coroutines_yield)
{
    SAFER_RING_SKIP("built without Boost.Context, or with a sanitizer, which knows nothing of its "
                    "stacks");
}
#endif

BOOST_AUTO_TEST_CASE_TEMPLATE(groups_run_operations_side_by_side, T, awaited_operations)
{
    operation<T> o;
    timer_of<typename T::context> timer(o.ctx);
    error_code of_object, of_timer;
    const auto race = [&](bool object_first) {
        if (object_first)
            timer.expires_after(std::chrono::hours(1));
        else
            timer.expires_after(std::chrono::milliseconds(0));
        of_object = of_timer = test_support::garbage_error();
        net::experimental::make_parallel_group(o.object.start(net::deferred),
                                               timer.async_wait(net::deferred))
            .async_wait(net::experimental::wait_for_one(),
                        o.checks.once(
                            [&](std::array<std::size_t, 2>, error_code first, const auto&... more) {
                                of_object = first;
                                of_timer = std::get<sizeof...(more) - 1>(std::tie(more...));
                            }));
        if (object_first)
            o.object.fire();
        o.run();
    };
    if constexpr (o.object.waits) {
        race(false);
        BOOST_TEST(of_object == net::error::operation_aborted);
        BOOST_TEST(of_timer == error_code());
    }
    race(true);
    BOOST_TEST(of_object == error_code());
    BOOST_TEST(of_timer == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(results_go_through_channels, T, awaited_operations)
{
    using results =
        net::experimental::basic_channel<executor_of<typename T::context>,
                                         net::experimental::channel_traits<>, void(error_code)>;
    operation<T> o;
    results channel(o.ctx.get_executor());
    io_result received;
    channel.async_receive(o.checks.into(received));
    o.object.start(o.checks.once([&](error_code ec, const auto&...) {
        channel.async_send(ec, o.checks.once([](error_code) {}));
    }));
    o.object.fire();
    o.run();
    BOOST_TEST(received.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handlers_run_on_the_executor_they_are_bound_to, T, operations)
{
    {
        operation<T> o;
        strand_of<typename T::context> strand(o.ctx.get_executor());
        bool inside = false;
        o.object.start(net::bind_executor(strand, o.checks.once([&](error_code, const auto&...) {
            inside = strand.running_in_this_thread();
        })));
        o.object.fire();
        o.run();
        BOOST_TEST(inside);
    }
    const auto called_in = [](const net::any_io_executor& executor) {
        operation<T> o;
        std::promise<std::thread::id> where;
        auto told = where.get_future();
        o.object.start(net::bind_executor(executor, [&](error_code, const auto&...) {
            where.set_value(std::this_thread::get_id());
        }));
        o.object.fire();
        o.run();
        return wait_for(told);
    };
    net::thread_pool pool(1);
    BOOST_TEST((called_in(pool.get_executor()) != std::this_thread::get_id()));
    pool.join();
    // This one runs what it is given wherever it is given it, unless told not to.
    BOOST_TEST((called_in(net::require(net::system_executor(), net::execution::blocking.never)) !=
                std::this_thread::get_id()));
    BOOST_TEST((called_in(net::system_executor()) != std::thread::id()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(memory_comes_from_the_handlers_allocator, T, operations)
{
    test_support::allocation_counts counts;
    const test_support::counting_allocator<> allocator(counts);
    {
        operation<T> o;
        io_result result;
        o.object.start(net::bind_allocator(allocator, o.checks.into(result)));
        BOOST_TEST(counts.made > 0);
        o.object.fire();
        o.run();
        BOOST_TEST(result.ec == error_code());
        BOOST_TEST(counts.live == 0);

        o.object.start(net::bind_allocator(allocator, o.checks.never()));
    }
    BOOST_TEST(counts.live == 0);
}

#if BOOST_VERSION >= 108200
BOOST_AUTO_TEST_CASE_TEMPLATE(immediate_completions_use_the_immediate_executor, T, operations)
{
    if constexpr (requires(operation<T> & o) { o.object.close(); }) {
        operation<T> o;
        typename T::context other;
        o.object.close();
        io_result result;
        o.object.start(net::bind_immediate_executor(other.get_executor(), o.checks.into(result)));
        o.ctx.poll();
        BOOST_TEST(!result.done);
        other.run();
        BOOST_TEST(result.ec == net::error::bad_descriptor);
    }
}
#endif

// ---- release

using released_channels = on_each<contexts, tcp_channel, local_channel, udp_channel,
                                  local_datagram_channel, packet_channel, raw_channel>::type;

BOOST_AUTO_TEST_CASE_TEMPLATE(released_sockets_carry_on_elsewhere, T, released_channels)
{
    for (const bool pending : {false, true}) {
        fixture<T> f;
        io_result read, write;
        if (pending) {
            async_take(f.c.reader, net::buffer(f.buffer), f.checks.into(read));
            f.settle();
            async_give(f.c.writer, net::buffer("sent", 4), f.checks.into(write));
        }
        const int writer = f.c.writer.release();
        const int reader = f.c.reader.release();
        BOOST_TEST(!f.c.reader.is_open());
        BOOST_TEST(f.c.reader.native_handle() == -1);
        if (pending) {
            f.run(read, write);
            BOOST_TEST(write.ec == error_code());
            BOOST_TEST((!read.ec || read.ec == net::error::operation_aborted));
        }
        // What the read did not take is still there, and the descriptors are open.
        typename T::context other;
        using reader_type = decltype(f.c.reader);
        using writer_type = decltype(f.c.writer);
        reader_type reader_again(other, T::kind::protocol(), reader);
        writer_type writer_again(other, T::kind::protocol(), writer);
        io_result rest, more;
        if (pending && read.ec) {
            async_take(reader_again, net::buffer(f.buffer), f.checks.into(rest));
            test_support::run_until_done(other, rest);
            BOOST_TEST(f.received(rest) == "sent");
        }
        rest = {};
        async_give(writer_again, net::buffer("more", 4), f.checks.into(more));
        async_take(reader_again, net::buffer(f.buffer), f.checks.into(rest));
        test_support::run_until_done(other, more);
        test_support::run_until_done(other, rest);
        BOOST_TEST(f.received(rest) == "more");
        error_code ec;
        f.c.reader.release(ec);
        BOOST_TEST(ec == net::error::bad_descriptor);
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
