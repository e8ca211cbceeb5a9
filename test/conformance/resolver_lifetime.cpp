// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"
#include "gated_lookup.hpp"

#include "support/counting_allocator.hpp"
#include "support/handler_checks.hpp"
#include "support/machinery.hpp"
#include "support/needs_io_uring.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <signal.h>
#include <unistd.h>

// Resolvers that are cancelled, moved and destroyed while their look-ups wait
// for a thread, block, or are done; and the threads themselves.
namespace conformance {
namespace {

using net::error::operation_aborted;
using test_support::handler_checks;
using test_support::io_result;
using test_support::living_threads;
using test_support::run_until_done;

template <class Ctx>
using resolver_of = net::ip::basic_resolver<tcp, executor_of<Ctx>>;
using results = net::ip::basic_resolver_results<tcp>;

/// Occupies all threads of a context, so that further look-ups have to wait.
template <class Ctx>
class occupied {
public:
    explicit occupied(Ctx& ctx) : resolver_(ctx), looked_up_(std::size_t(look_ups_at_once<Ctx>()))
    {
        for (io_result& result : looked_up_)
            resolver_.async_resolve(gate_.host, "80", checks_.into(result));
        gate_.wait_until_entered(look_ups_at_once<Ctx>());
    }

    /// Lets them go on; they must have been successful in the end.
    void run_to_end(Ctx& ctx)
    {
        gate_.open();
        ctx.restart();
        ctx.run();
        for (const io_result& result : looked_up_)
            BOOST_TEST(result.ec == error_code());
    }

    resolver_of<Ctx>& resolver() { return resolver_; }

private:
    handler_checks checks_;
    gated_lookup gate_;
    resolver_of<Ctx> resolver_;
    std::vector<io_result> looked_up_;
};

BOOST_AUTO_TEST_SUITE(resolver_lifetime)

BOOST_AUTO_TEST_CASE_TEMPLATE(look_up_that_waits_is_aborted_by, Ctx, contexts)
{
    using resolver = resolver_of<Ctx>;
    // Each ends the resolver's interest in what it has started.
    void (*const ways[])(std::optional<resolver>&, resolver&) = {
        [](std::optional<resolver>& r, resolver&) { r->cancel(); },
        [](std::optional<resolver>& r, resolver&) { r.reset(); },
        [](std::optional<resolver>& r, resolver& other) { *r = std::move(other); },
        [](std::optional<resolver>& r, resolver&) {
            resolver target(std::move(*r));
            target.cancel();
        },
        [](std::optional<resolver>& r, resolver&) { const resolver target(std::move(*r)); },
    };
    for (const auto way : ways) {
        handler_checks checks;
        Ctx ctx;
        occupied<Ctx> busy(ctx);
        std::optional<resolver> waiting(std::in_place, ctx);
        resolver other(ctx);
        io_result forward, reverse, others;
        waiting->async_resolve("127.0.0.1", "80", checks.into(forward));
        waiting->async_resolve(tcp::endpoint(net::ip::address_v4::loopback(), 80),
                               checks.into(reverse));
        other.async_resolve("127.0.0.1", "80", checks.into(others));
        way(waiting, other);
        BOOST_TEST(!forward.done);
        busy.run_to_end(ctx);
        BOOST_TEST(forward.ec == operation_aborted);
        BOOST_TEST(reverse.ec == operation_aborted);
        BOOST_TEST(others.ec == error_code());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(aborted_look_up_tells_what_it_knows, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    occupied<Ctx> busy(ctx);
    resolver_of<Ctx> resolver(ctx);
    const tcp::endpoint endpoint(net::ip::address_v4::loopback(), 80);
    std::optional<results> forward, reverse;
    resolver.async_resolve("127.0.0.1", "80",
                           checks.once([&](error_code, results r) { forward = r; }));
    resolver.async_resolve(endpoint, checks.once([&](error_code, results r) { reverse = r; }));
    resolver.cancel();
    busy.run_to_end(ctx);
    BOOST_TEST(forward->empty());
    BOOST_REQUIRE(reverse->size() == 1u);
    BOOST_TEST((reverse->begin()->endpoint() == endpoint));
    BOOST_TEST(reverse->begin()->host_name().empty());
}

// getaddrinfo(3) cannot be called back; its answer is delivered.
BOOST_AUTO_TEST_CASE_TEMPLATE(look_up_that_has_begun_is_delivered, Ctx, contexts)
{
    Ctx ctx;
    occupied<Ctx> busy(ctx);
    busy.resolver().cancel();
    busy.run_to_end(ctx);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_before_and_after_changes_nothing, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    resolver_of<Ctx> resolver(ctx);
    resolver.cancel();
    for (int i = 0; i < 2; ++i) {
        io_result result;
        resolver.async_resolve("127.0.0.1", "80", checks.into(result));
        run_until_done(ctx, result);
        resolver.cancel();
        BOOST_TEST(result.ec == error_code());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(moved_resolver_keeps_its_look_ups, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    occupied<Ctx> busy(ctx);
    std::optional<resolver_of<Ctx>> source(std::in_place, ctx);
    resolver_of<Ctx> assigned(ctx);
    io_result pending, started_with_source, started_with_target;
    source->async_resolve("127.0.0.1", "80", checks.into(pending));
    resolver_of<Ctx> target(std::move(*source));
    source->async_resolve("127.0.0.1", "80", checks.into(started_with_source));
    source.reset();
    assigned = std::move(target);
    assigned.async_resolve("127.0.0.1", "80", checks.into(started_with_target));
    busy.run_to_end(ctx);
    BOOST_TEST(pending.ec == error_code());
    BOOST_TEST(started_with_target.ec == error_code());
    // Nothing is left in it to keep a look-up going.
    BOOST_TEST(started_with_source.ec == operation_aborted);
    BOOST_TEST((assigned.get_executor() == ctx.get_executor()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(resolver_is_moved_to_another_context_and_executor, Ctx, contexts)
{
    handler_checks checks;
    Ctx first, second;
    resolver_of<Ctx> resolver(first), other(second);
    resolver = std::move(other);
    BOOST_TEST((resolver.get_executor() == second.get_executor()));
    net::ip::basic_resolver<tcp, strand_of<Ctx>> on_strand(net::make_strand(first));
    on_strand = net::ip::basic_resolver<tcp, strand_of<Ctx>>(net::make_strand(second));
    io_result result, strand_result;
    resolver.async_resolve("127.0.0.1", "80", checks.into(result));
    on_strand.async_resolve("127.0.0.1", "80", checks.into(strand_result));
    first.run();
    BOOST_TEST(!result.done);
    second.run();
    BOOST_TEST(result.ec == error_code());
    BOOST_TEST(strand_result.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_is_destroyed_with_look_ups_pending, Ctx, contexts)
{
    handler_checks checks;
    gated_lookup gate;
    std::optional<Ctx> ctx(std::in_place);
    std::optional<resolver_of<Ctx>> resolver(std::in_place, *ctx);
    for (int i = 0; i < 20; ++i)
        resolver->async_resolve(gate.host, "80", checks.never_with(std::make_unique<int>(i)));
    resolver->async_resolve(tcp::endpoint(net::ip::address_v4::loopback(), 80), checks.never());
    gate.wait_until_entered(look_ups_at_once<Ctx>());
    resolver.reset();
    // The destructor waits for the look-ups that have begun, and for no other.
    std::thread opener([&] { gate.open(); });
    ctx.reset();
    opener.join();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_is_destroyed_with_look_ups_that_nobody_ran, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    resolver_of<Ctx> resolver(ctx), owned(ctx);
    error_code ec;
    resolver.async_resolve("127.0.0.1", "80", checks.never_with(std::move(owned)));
    resolver.resolve("127.0.0.1", "80", ec);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_runs_on_its_executor_and_with_its_allocator, Ctx, contexts)
{
    handler_checks checks;
    test_support::allocation_counts counts;
    net::thread_pool pool(1);
    Ctx ctx;
    resolver_of<Ctx> resolver(ctx);
    auto strand = net::make_strand(ctx);
    std::promise<bool> in_pool;
    bool in_strand = false;
    resolver.async_resolve("127.0.0.1", "80",
                           net::bind_executor(pool, checks.once([&](error_code, results) {
                               in_pool.set_value(pool.get_executor().running_in_this_thread());
                           })));
    resolver.async_resolve(
        "127.0.0.1", "80",
        net::bind_executor(strand, net::bind_allocator(test_support::counting_allocator<>(counts),
                                                       checks.once([&](error_code, results) {
                                                           in_strand =
                                                               strand.running_in_this_thread();
                                                           BOOST_TEST(counts.live <= 1);
                                                       }))));
    BOOST_TEST(counts.made >= 1);
    ctx.run();
    BOOST_TEST(in_strand);
    BOOST_TEST(test_support::wait_for(in_pool.get_future()));
    BOOST_TEST(counts.live == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(threads_are_started_when_needed_and_bounded, Ctx, contexts)
{
    const std::size_t before = living_threads().size();
    const auto bound = static_cast<std::size_t>(look_ups_at_once<Ctx>());
    {
        Ctx ctx;
        resolver_of<Ctx> resolver(ctx);
        error_code ec;
        resolver.resolve("127.0.0.1", "80", ec);
        BOOST_TEST(living_threads().size() == before);
        handler_checks checks;
        occupied<Ctx> busy(ctx);
        BOOST_TEST(living_threads().size() == before + bound);
        for (int i = 0; i < 50; ++i)
            resolver.async_resolve("127.0.0.1", "80", checks.once([](error_code, results) {}));
        BOOST_TEST(living_threads().size() == before + bound);
        busy.run_to_end(ctx);
        BOOST_TEST(living_threads().size() == before + bound);
    }
    BOOST_TEST(living_threads().size() == before);
}

/// The signals that a thread blocks, as a bit mask.
unsigned long long blocked_signals(const std::string& thread)
{
    std::ifstream status("/proc/self/task/" + thread + "/status");
    for (std::string word; status >> word;)
        if (word == "SigBlk:" && status >> word)
            return std::stoull(word, nullptr, 16);
    return 0;
}

BOOST_AUTO_TEST_CASE(threads_take_no_signals, *test_support::needs_io_uring)
{
    const auto before = living_threads();
    safer_ring::io_context ctx;
    occupied<safer_ring::io_context> busy(ctx);
    for (const std::string& thread : living_threads()) {
        if (std::binary_search(before.begin(), before.end(), thread))
            continue;
        for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD})
            BOOST_TEST(((blocked_signals(thread) >> (number - 1)) & 1u) == 1u);
    }
    BOOST_TEST(blocked_signals(std::to_string(::gettid())) == 0u);
    busy.run_to_end(ctx);
}

BOOST_AUTO_TEST_CASE(number_of_threads_is_an_option, *test_support::needs_io_uring)
{
    safer_ring::options settings;
    settings.resolver_threads = 1;
    const std::size_t before = living_threads().size();
    gated_lookup gate;
    safer_ring::io_context ctx(settings);
    handler_checks checks;
    resolver_of<safer_ring::io_context> resolver(ctx);
    std::vector<io_result> looked_up(3);
    for (io_result& result : looked_up)
        resolver.async_resolve(gate.host, "80", checks.into(result));
    gate.wait_until_entered(1);
    BOOST_TEST(living_threads().size() == before + 1);
    gate.open();
    ctx.run();
    BOOST_TEST(looked_up.back().ec == error_code());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
