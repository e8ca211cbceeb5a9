// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/counting_allocator.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

// What happens to handlers, and to what they own, when they have been called
// and when their context is destroyed.
namespace conformance {
namespace {

using namespace std::chrono_literals;
using test_support::connect_to_peer;
using test_support::handler_checks;
using test_support::io_result;

/// Everything a handler may own that belongs to the context itself.
template <class Ctx>
struct owned_objects {
    explicit owned_objects(Ctx& ctx)
        : connection(connect_to_peer<socket_of<Ctx>>(ctx)), timer(ctx, 1h),
          acceptor(loopback_acceptor(ctx))
    {
    }
    test_support::socket_and_peer<socket_of<Ctx>> connection;
    timer_of<Ctx> timer;
    acceptor_of<Ctx> acceptor;
    std::array<char, 16> buffer{};
};

/// Starts one operation of every kind on `objects`; each handler shares the
/// ownership of them, which makes a cycle that only the context can break.
template <class Ctx>
void start_operations(const std::shared_ptr<owned_objects<Ctx>>& objects, handler_checks& checks)
{
    auto& o = *objects;
    o.connection.socket.async_read_some(net::buffer(o.buffer), checks.never_with(objects));
    o.connection.socket.async_wait(net::socket_base::wait_read, checks.never_with(objects));
    o.connection.socket.async_wait(net::socket_base::wait_error, checks.never_with(objects));
    o.timer.async_wait(checks.never_with(objects));
    o.acceptor.async_accept(checks.never_with(objects));
}

BOOST_AUTO_TEST_SUITE(lifetime)

BOOST_AUTO_TEST_CASE_TEMPLATE(posted_functions_are_destroyed_with_the_context, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    for (int i = 0; i < 100; ++i) {
        net::post(ctx, checks.never_with(std::make_unique<int>(i)));
        net::defer(ctx, checks.never_with(std::make_unique<int>(i)));
        net::dispatch(ctx, checks.never_with(std::make_unique<int>(i)));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pending_operations_are_destroyed_with_the_context, Ctx, contexts)
{
    for (const bool seen_by_run : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        start_operations(std::make_shared<owned_objects<Ctx>>(ctx), checks);
        if (seen_by_run)
            ctx.poll();
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(completed_operations_not_yet_run_are_destroyed_with_the_context, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto objects = std::make_shared<owned_objects<Ctx>>(ctx);
    start_operations(objects, checks);
    objects->connection.socket.close();
    objects->timer.cancel();
    objects->acceptor.cancel();
    objects.reset();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(data_that_has_come_does_not_disturb_destruction, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto objects = std::make_shared<owned_objects<Ctx>>(ctx);
    start_operations(objects, checks);
    ctx.poll();
    objects->connection.peer.write("data");
    const auto client = test_support::loopback_client(objects->acceptor.local_endpoint().port());
    objects.reset();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(stopped_context_destroys_what_is_pending, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    start_operations(std::make_shared<owned_objects<Ctx>>(ctx), checks);
    net::post(ctx, [&] { ctx.stop(); });
    ctx.run();
    net::post(ctx, checks.never());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_is_destroyed_while_an_exception_is_on_its_way, Ctx, contexts)
{
    handler_checks checks;
    const auto run = [&] {
        Ctx ctx;
        start_operations(std::make_shared<owned_objects<Ctx>>(ctx), checks);
        net::post(ctx, [] { throw std::runtime_error("thrown by a handler"); });
        net::post(ctx, checks.never());
        ctx.run();
    };
    BOOST_CHECK_THROW(run(), std::runtime_error);
}

/// Puts a thousand operations in flight, on sockets owned by their handlers.
template <class Ctx>
void start_a_thousand(Ctx& ctx, handler_checks& checks,
                      std::vector<test_support::unique_descriptor>& peers)
{
    for (int i = 0; i < 250; ++i) {
        auto [fd, peer] = test_support::local_descriptor_pair();
        auto socket = std::make_shared<local_socket_of<Ctx>>(ctx, net::local::stream_protocol(),
                                                             fd.release());
        auto memory = std::make_shared<std::array<char, 4096>>();
        auto owned = std::make_pair(socket, memory);
        socket->async_read_some(net::buffer(*memory), checks.never_with(owned));
        socket->async_read_some(net::buffer(*memory), checks.never_with(owned));
        socket->async_wait(net::socket_base::wait_read, checks.never_with(owned));
        socket->async_wait(net::socket_base::wait_error, checks.never_with(owned));
        peers.push_back(std::move(peer));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(thousand_operations_are_destroyed_with_the_context, Ctx, contexts)
{
    BOOST_REQUIRE(test_support::allow_descriptors(600));
    handler_checks checks;
    std::vector<test_support::unique_descriptor> peers;
    Ctx ctx;
    start_a_thousand(ctx, checks, peers);
    ctx.poll();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_is_destroyed_by_a_thread_that_never_ran_it, Ctx, contexts)
{
    BOOST_REQUIRE(test_support::allow_descriptors(600));
    for (const int hint : {1, 2}) {
        handler_checks checks;
        std::vector<test_support::unique_descriptor> peers;
        Ctx ctx(hint);
        std::thread runner([&] {
            start_a_thousand(ctx, checks, peers);
            ctx.run_for(2ms);
        });
        runner.join();
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_is_destroyed_after_stop_from_outside, Ctx, contexts)
{
    for (const int hint : {1, 2}) {
        handler_checks checks;
        Ctx ctx(hint);
        start_operations(std::make_shared<owned_objects<Ctx>>(ctx), checks);
        std::thread runner([&] { ctx.run(); });
        ctx.stop();
        runner.join();
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(suspended_coroutines_are_destroyed_with_the_context, Ctx, contexts)
{
    struct witness {
        explicit witness(int& count) : alive(count) { ++alive; }
        witness(const witness&) = delete;
        witness& operator=(const witness&) = delete;
        ~witness() { --alive; }
        int& alive;
    };
    int alive = 0;
    {
        Ctx ctx;
        for (int i = 0; i < 20; ++i)
            net::co_spawn(
                ctx,
                [&ctx, &alive, i]() -> net::awaitable<void> {
                    const witness local(alive);
                    auto connection = connect_to_peer<socket_of<Ctx>>(ctx);
                    timer_of<Ctx> timer(ctx, 1h);
                    std::array<char, 16> buffer{};
                    if (i % 2 == 0)
                        co_await connection.socket.async_read_some(net::buffer(buffer),
                                                                   net::use_awaitable);
                    else
                        co_await timer.async_wait(net::use_awaitable);
                },
                net::detached);
        ctx.poll();
        BOOST_TEST(alive == 20);
    }
    BOOST_TEST(alive == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(coroutines_that_never_started_are_destroyed_with_the_context, Ctx,
                              contexts)
{
    const auto owned = std::make_shared<int>(0);
    {
        Ctx ctx;
        net::co_spawn(
            ctx, [copy = owned]() -> net::awaitable<void> { co_return; }, net::detached);
        BOOST_TEST(owned.use_count() > 1);
    }
    BOOST_TEST(owned.use_count() == 1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(functions_on_a_strand_are_destroyed_with_the_context, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    strand_of<Ctx> strand(ctx.get_executor());
    for (int i = 0; i < 10; ++i)
        net::post(strand, checks.never_with(std::make_unique<int>(i)));
    timer_of<Ctx> timer(ctx, 1h);
    timer.async_wait(net::bind_executor(strand, checks.never_with(strand)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(io_objects_may_outlive_the_last_run_but_not_the_context, Ctx,
                              contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    timer_of<Ctx> timer(ctx, 1h);
    std::array<char, 16> buffer{};
    socket.async_read_some(net::buffer(buffer), checks.never());
    timer.async_wait(checks.never());
    ctx.poll();
}

/// Calls a function when it is destroyed, unless it was moved from.
class at_destruction {
public:
    explicit at_destruction(std::function<void()> function) : function_(std::move(function)) {}
    at_destruction(at_destruction&& other) noexcept : function_(std::exchange(other.function_, {}))
    {
    }
    at_destruction& operator=(at_destruction&&) = delete;
    ~at_destruction()
    {
        if (function_)
            function_();
    }

private:
    std::function<void()> function_;
};

BOOST_AUTO_TEST_CASE_TEMPLATE(destructor_of_a_called_handler_may_start_operations, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    timer_of<Ctx> timer(ctx, 1ms);
    std::array<char, 16> buffer{};
    io_result read;
    bool posted = false;
    const auto start = [&, &end = socket] {
        net::post(ctx, checks.once([&] { posted = true; }));
        end.async_read_some(net::buffer(buffer), checks.into(read));
    };
    timer.async_wait([guard = at_destruction(start)](error_code) {});
    peer.write("data");
    ctx.run();
    BOOST_TEST(posted);
    BOOST_TEST(read.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(destructor_of_a_handler_may_post_while_the_context_is_destroyed, Ctx,
                              contexts)
{
    handler_checks checks;
    int destroyed = 0;
    {
        Ctx ctx;
        auto objects = std::make_shared<owned_objects<Ctx>>(ctx);
        auto& o = *objects;
        const auto post = [&] {
            ++destroyed;
            net::post(ctx, checks.never());
        };
        net::post(ctx, [guard = at_destruction(post)] {});
        o.timer.async_wait([objects, guard = at_destruction(post)](error_code) {});
        o.connection.socket.async_read_some(
            net::buffer(o.buffer),
            [objects, guard = at_destruction(post)](error_code, std::size_t) {});
        ctx.poll_one();
    }
    BOOST_TEST(destroyed == 3);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(
    destructor_of_a_handler_may_end_operations_while_the_context_is_destroyed, Ctx, contexts)
{
    handler_checks checks;
    int destroyed = 0;
    {
        Ctx ctx;
        auto objects = std::make_shared<owned_objects<Ctx>>(ctx);
        start_operations(objects, checks);
        const auto end = [objects, &destroyed] {
            ++destroyed;
            error_code ignored;
            objects->connection.socket.cancel(ignored);
            objects->connection.socket.close(ignored);
            objects->acceptor.close(ignored);
            objects->timer.cancel();
        };
        net::post(ctx, [guard = at_destruction(end)] {});
    }
    BOOST_TEST(destroyed == 1);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(memory_of_an_operation_is_given_back_before_its_handler_is_called,
                              Ctx, contexts)
{
    handler_checks checks;
    test_support::allocation_counts counts;
    const test_support::counting_allocator<> allocator(counts);
    Ctx ctx;
    timer_of<Ctx> timer(ctx, 1ms);
    int live = -1;
    timer.async_wait(
        net::bind_allocator(allocator, checks.once([&](error_code) { live = counts.live; })));
    BOOST_TEST(counts.live > 0);
    ctx.run();
    BOOST_TEST(live == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(memory_from_allocators_is_given_back_by_destruction, Ctx, contexts)
{
    test_support::allocation_counts counts;
    {
        handler_checks checks;
        const test_support::counting_allocator<> allocator(counts);
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        timer_of<Ctx> timer(ctx, 1h);
        std::array<char, 16> buffer{};
        socket.async_read_some(net::buffer(buffer), net::bind_allocator(allocator, checks.never()));
        timer.async_wait(net::bind_allocator(allocator, checks.never()));
        net::post(ctx, net::bind_allocator(allocator, checks.never()));
        // A net::any_io_executor does not pass the allocator of posted work on.
        constexpr bool erased = std::is_same_v<executor_of<Ctx>, net::any_io_executor>;
        BOOST_TEST(counts.live >= (erased ? 2 : 3));
    }
    BOOST_TEST(counts.live == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(large_and_move_only_handlers_are_called, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 16> buffer{};
    std::array<char, 10'000> large{};
    large.back() = 'l';
    char seen = 0;
    int owned = 0;
    socket.async_read_some(
        net::buffer(buffer),
        checks.once([&seen, &owned, large, p = std::make_unique<int>(7)](error_code, std::size_t) {
            seen = large.back();
            owned = *p;
        }));
    peer.write("x");
    ctx.run();
    BOOST_TEST(seen == 'l');
    BOOST_TEST(owned == 7);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_may_destroy_its_own_io_object, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto connection = std::make_unique<test_support::socket_and_peer<socket_of<Ctx>>>(
        connect_to_peer<socket_of<Ctx>>(ctx));
    auto timer = std::make_unique<timer_of<Ctx>>(ctx, 1ms);
    std::array<char, 16> buffer{};
    io_result second;
    connection->socket.async_read_some(
        net::buffer(buffer), checks.once([&](error_code, std::size_t) { connection.reset(); }));
    connection->socket.async_read_some(net::buffer(buffer), checks.into(second));
    timer->async_wait(checks.once([&](error_code) { timer.reset(); }));
    connection->peer.write("x");
    ctx.run();
    BOOST_TEST(second.ec == net::error::operation_aborted);
}

/// A service of the user that records what the context does with it.
class recording_service : public net::execution_context::service {
public:
    using key_type = recording_service;
    static inline net::execution_context::id id;
    explicit recording_service(net::execution_context& owner, std::string* record = nullptr)
        : service(owner), record_(record)
    {
    }
    ~recording_service() override
    {
        if (record_)
            *record_ += "destroyed;";
    }

private:
    void shutdown() override
    {
        if (record_)
            *record_ += "shutdown;";
    }
    std::string* record_;
};

BOOST_AUTO_TEST_CASE_TEMPLATE(services_of_the_user_are_shut_down_and_destroyed, Ctx, contexts)
{
    std::string record;
    {
        Ctx ctx;
        BOOST_TEST(!net::has_service<recording_service>(ctx));
        net::make_service<recording_service>(ctx, &record);
        BOOST_TEST(net::has_service<recording_service>(ctx));
        BOOST_TEST(&net::use_service<recording_service>(ctx) != nullptr);
        BOOST_CHECK_THROW(net::make_service<recording_service>(ctx), net::service_already_exists);
    }
    // Newer Boosts shut the services of a net::io_context down twice.
    if (std::is_base_of_v<net::io_context, Ctx> && record.starts_with("shutdown;shutdown;"))
        record.erase(0, std::string_view("shutdown;").size());
    BOOST_TEST(record == "shutdown;destroyed;");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(contexts_come_and_go, Ctx, contexts)
{
    for (int round = 0; round < 200; ++round) {
        handler_checks checks;
        Ctx ctx;
        start_operations(std::make_shared<owned_objects<Ctx>>(ctx), checks);
        net::post(ctx, checks.once([] {}));
        ctx.poll();
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
