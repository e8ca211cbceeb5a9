// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/counting_allocator.hpp"
#include "support/handler_checks.hpp"
#include "support/needs_io_uring.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <memory>

// Contexts that are constructed with services, a configuration or an allocator.
namespace conformance {
namespace {

BOOST_AUTO_TEST_SUITE(initial_services)

#if BOOST_ASIO_VERSION < 103400

BOOST_AUTO_TEST_CASE(contexts_take_services, *test_support::needs_io_uring)
{
    SAFER_RING_SKIP("contexts take initial services from Boost 1.87 on");
}

#else

using namespace std::chrono_literals;
using test_support::connect_to_peer;
using test_support::handler_checks;
using test_support::io_result;

/// A service of the user that counts those of its kind.
class counted_service : public net::execution_context::service {
public:
    using key_type = counted_service;
    inline static net::execution_context::id id;
    inline static int alive = 0;

    explicit counted_service(net::execution_context& owner) : service(owner) { ++alive; }
    ~counted_service() override { --alive; }

private:
    void shutdown() override {}
};

struct counted_service_maker : net::execution_context::service_maker {
    void make(net::execution_context& context) const override
    {
        net::make_service<counted_service>(context);
    }
};

/// A handler, a timer and a receive.
template <class Ctx>
void expect_working(Ctx& ctx)
{
    handler_checks checks;
    io_result waited, received;
    bool posted = false;
    net::post(ctx, checks.once([&] { posted = true; }));
    timer_of<Ctx> timer(ctx, 1ms);
    timer.async_wait(checks.into(waited));
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    socket.async_receive(net::buffer(buffer), checks.into(received));
    peer.write("data");
    ctx.run();
    BOOST_TEST(posted);
    BOOST_TEST(waited.ec == error_code());
    BOOST_TEST(received.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_has_the_services_that_were_made_for_it, Ctx, running_contexts)
{
    {
        Ctx ctx{counted_service_maker{}};
        BOOST_TEST(net::has_service<counted_service>(ctx));
        BOOST_TEST(counted_service::alive == 1);
        expect_working(ctx);
    }
    BOOST_TEST(counted_service::alive == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_is_configured, Ctx, running_contexts)
{
    for (const char* const values :
         {"", "scheduler.concurrency_hint=1", "scheduler.concurrency_hint=8",
          "scheduler.locking=0\nreactor.registration_locking=0\nreactor.io_locking=0",
          "reactor.registration_locking=0\nreactor.io_locking=0"}) {
        BOOST_TEST_CONTEXT(values)
        {
            Ctx ctx(net::config_from_string{values});
            expect_working(ctx);
        }
    }
    Ctx ctx(net::config_from_string("scheduler.concurrency_hint=1"));
    BOOST_TEST(net::config(ctx).get("scheduler", "concurrency_hint", 0) == 1);
    Ctx hinted(net::config_from_concurrency_hint(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO));
    expect_working(hinted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(concurrency_hint_is_in_the_configuration, Ctx, running_contexts)
{
    for (const int hint : {1, 42}) {
        Ctx ctx(hint);
        const net::config values(ctx);
        BOOST_TEST(values.get("scheduler", "concurrency_hint", 0) == hint);
        BOOST_TEST(values.get("scheduler", "locking", false));
        BOOST_TEST(values.get("reactor", "io_locking", false));
    }
    Ctx ctx(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
    const net::config values(ctx);
#if defined(SAFER_RING_DROP_IN)
    const bool locking = false;
#else
    // Asio's own machinery on a context of ours goes by it and has a thread.
    const bool locking = is_ours<Ctx>;
#endif
    BOOST_TEST(values.get("scheduler", "locking", !locking) == locking);
    BOOST_TEST(values.get("reactor", "io_locking", !locking) == locking);
}

#if BOOST_ASIO_VERSION >= 103600

BOOST_AUTO_TEST_CASE_TEMPLATE(services_come_from_the_allocator_of_the_context, Ctx,
                              running_contexts)
{
    test_support::allocation_counts counts;
    const test_support::counting_allocator<int> allocator(counts);
    const auto expect_used = [&](Ctx& ctx) {
        const int made = counts.made;
        BOOST_TEST(made > 0);
        if (!net::has_service<counted_service>(ctx)) {
            net::make_service<counted_service>(ctx);
            BOOST_TEST(counts.made > made);
        }
        BOOST_TEST(counted_service::alive == 1);
        expect_working(ctx);
    };
    {
        Ctx ctx(std::allocator_arg, allocator);
        expect_used(ctx);
    }
    {
        Ctx ctx(std::allocator_arg, allocator, 1);
        expect_used(ctx);
    }
    {
        Ctx ctx(std::allocator_arg, allocator, counted_service_maker{});
        expect_used(ctx);
    }
    BOOST_TEST(counts.live == 0);
    BOOST_TEST(counted_service::alive == 0);
}

#endif

#endif

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
