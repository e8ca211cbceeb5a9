// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"
#include "gated_lookup.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <netdb.h>

// Resolvers: every form of a look-up, and what it answers.
namespace conformance {
namespace {

using net::ip::icmp;
using net::ip::resolver_base;
using net::ip::udp;
using test_support::handler_checks;

template <class Ctx, class Protocol = tcp>
using resolver_of = net::ip::basic_resolver<Protocol, executor_of<Ctx>>;

template <class Protocol>
using results_of = net::ip::basic_resolver_results<Protocol>;

/// What a look-up answered, in a form that can be compared and printed.
struct answer {
    error_code ec;
    std::vector<std::string> entries;

    template <class Results>
    static answer of(const error_code& ec, const Results& results)
    {
        answer a{ec, {}};
        for (const auto& entry : results)
            a.entries.push_back(entry.host_name() + "|" + entry.service_name() + "|" +
                                entry.endpoint().address().to_string() + "|" +
                                std::to_string(entry.endpoint().port()));
        return a;
    }

    friend bool operator==(const answer&, const answer&) = default;
    friend std::ostream& operator<<(std::ostream& out, const answer& a)
    {
        out << a.ec.message();
        for (const std::string& entry : a.entries)
            out << ' ' << entry;
        return out;
    }
};

/// Starts a look-up by `start(handler)`, runs the context, and answers what
/// the handler got.
template <class Protocol = tcp, class Ctx, class Start>
answer looked_up(Ctx& ctx, Start start)
{
    handler_checks checks;
    std::optional<answer> got;
    start(checks.once([&](const error_code& ec, results_of<Protocol> results) {
        got = answer::of(ec, results);
    }));
    BOOST_TEST(!got);
    ctx.restart();
    BOOST_TEST(ran(ctx, ctx.run(), 1u));
    BOOST_REQUIRE(got.has_value());
    return *got;
}

/// The answer of Asio's own resolver to the same question.
template <class Protocol = tcp, class... Args>
answer expected(const Args&... args)
{
    net::io_context ctx;
    net::ip::basic_resolver<Protocol, net::io_context::executor_type> resolver(ctx);
    error_code ec;
    const auto results = resolver.resolve(args..., ec);
    return answer::of(ec, results);
}

/// Asks synchronously, with and without an exception, and asynchronously, and
/// expects the same of all.
template <class Protocol = tcp, class Ctx, class... Args>
answer ask(Ctx& ctx, const Args&... args)
{
    resolver_of<Ctx, Protocol> resolver(ctx);
    error_code ec;
    const answer first = answer::of(ec, results_of<Protocol>());
    const auto results = resolver.resolve(args..., ec);
    const answer with_code = answer::of(ec, results);
    answer thrown = first;
    try {
        thrown = answer::of({}, resolver.resolve(args...));
    } catch (const boost::system::system_error& e) {
        thrown.ec = e.code();
    }
    BOOST_TEST(thrown == with_code);
    const answer asynchronous = looked_up<Protocol>(
        ctx, [&](auto handler) { resolver.async_resolve(args..., std::move(handler)); });
    BOOST_TEST(asynchronous.ec == with_code.ec);
    if (!with_code.ec)
        BOOST_TEST(asynchronous == with_code);
    BOOST_TEST(with_code == expected<Protocol>(args...));
    return with_code;
}

/// Whether the names of services are known here, as they are where there is /etc/services. Asked in the
/// way that the look-ups ask, which may look elsewhere too.
bool knows_names_of_services()
{
    return ::getservbyname("http", "tcp") != nullptr && ::getservbyname("domain", "udp") != nullptr;
}

BOOST_AUTO_TEST_SUITE(resolvers)

BOOST_AUTO_TEST_CASE_TEMPLATE(numeric_host_and_service, Ctx, contexts)
{
    Ctx ctx;
    const auto flags = resolver_base::numeric_host | resolver_base::numeric_service;
    const std::vector<std::string> v4{"127.0.0.1|80|127.0.0.1|80"};
    const std::vector<std::string> v6{"::1|80|::1|80"};
    BOOST_TEST(ask(ctx, "127.0.0.1", "80").entries == v4);
    BOOST_TEST(ask(ctx, "127.0.0.1", "80", flags).entries == v4);
    BOOST_TEST(ask(ctx, tcp::v4(), "127.0.0.1", "80").entries == v4);
    BOOST_TEST(ask(ctx, tcp::v4(), "127.0.0.1", "80", flags).entries == v4);
    BOOST_TEST(ask<udp>(ctx, "127.0.0.1", "80").entries == v4);
    BOOST_TEST(ask<udp>(ctx, udp::v4(), "127.0.0.1", "80", flags).entries == v4);
    BOOST_TEST(ask<icmp>(ctx, "127.0.0.1", "").entries ==
               std::vector<std::string>{"127.0.0.1||127.0.0.1|0"});
    BOOST_TEST(ask<icmp>(ctx, icmp::v4(), "127.0.0.1", "").entries.size() == 1u);
    BOOST_TEST(ask(ctx, "::1", "80", flags).entries == v6);
    BOOST_TEST(ask(ctx, tcp::v6(), "::1", "80", flags).entries == v6);
}

#if !defined(BOOST_ASIO_NO_DEPRECATED) && BOOST_ASIO_VERSION < 103200
BOOST_AUTO_TEST_CASE_TEMPLATE(queries, Ctx, contexts)
{
    Ctx ctx;
    using query = typename resolver_of<Ctx>::query;
    const std::vector<std::string> v4{"127.0.0.1|80|127.0.0.1|80"};
    BOOST_TEST(ask(ctx, query("127.0.0.1", "80")).entries == v4);
    BOOST_TEST(ask(ctx, query(tcp::v4(), "127.0.0.1", "80")).entries == v4);
    BOOST_TEST(ask(ctx, query("80", resolver_base::passive | resolver_base::numeric_service))
                   .entries.size() >= 1u);
}
#endif

BOOST_AUTO_TEST_CASE_TEMPLATE(names_and_flags, Ctx, contexts)
{
    Ctx ctx;
    const error_code of_service[] = {ask(ctx, "localhost", "http").ec,
                                     ask(ctx, tcp::v4(), "localhost", "http").ec,
                                     ask<udp>(ctx, "localhost", "domain").ec};
    BOOST_TEST(!ask(ctx, "localhost", "").ec);
    BOOST_TEST(!ask(ctx, "", "80").ec);
    BOOST_TEST(!ask(ctx, "", "80", resolver_base::passive).ec);
    ask(ctx, "localhost", "80", resolver_base::canonical_name);
    ask(ctx, "localhost", "80", resolver_base::address_configured);
    ask(ctx, tcp::v6(), "127.0.0.1", "80", resolver_base::v4_mapped);
    ask(ctx, tcp::v6(), "127.0.0.1", "80", resolver_base::v4_mapped | resolver_base::all_matching);
    if (!knows_names_of_services())
        SAFER_RING_SKIP("no services have names here, as without /etc/services");
    for (const error_code& ec : of_service)
        BOOST_TEST(ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_not_found_is_reported, Ctx, contexts)
{
    Ctx ctx;
    BOOST_TEST(ask(ctx, unknown_host, "80").ec == net::error::host_not_found);
    BOOST_TEST(ask(ctx, host_of_a_busy_server, "80").ec == net::error::host_not_found_try_again);
    BOOST_TEST(ask(ctx, host_of_a_broken_server, "80").ec == net::error::no_recovery);
    BOOST_TEST(ask(ctx, "localhost", "80", resolver_base::numeric_host).ec ==
               net::error::host_not_found);
    BOOST_TEST(ask(ctx, "127.0.0.1", "no-such-service").ec == net::error::service_not_found);
    BOOST_TEST(!!ask(ctx, "127.0.0.1", "http", resolver_base::numeric_service).ec);
    BOOST_TEST(!!ask(ctx, tcp::v4(), "::1", "80").ec);
    BOOST_TEST(!!ask(ctx, "", "").ec);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(reverse_look_up, Ctx, contexts)
{
    Ctx ctx;
    using net::ip::address_v4;
    const auto loopback = address_v4::loopback();
    const answer http = ask(ctx, tcp::endpoint(loopback, 80));
    BOOST_TEST(!http.ec);
    BOOST_TEST(http.entries.size() == 1u);
    // A port without a name is told as a number.
    BOOST_TEST(!ask(ctx, tcp::endpoint(loopback, 54321)).ec);
    BOOST_TEST(!ask<udp>(ctx, udp::endpoint(loopback, 53)).ec);
    BOOST_TEST(!ask<icmp>(ctx, icmp::endpoint(loopback, 0)).ec);
    ask(ctx, tcp::endpoint(net::ip::address_v6::loopback(), 80));
    // An address without a name is told as a number.
    BOOST_TEST(ask(ctx, tcp::endpoint(unknown_address, 54321)).entries ==
               std::vector<std::string>{"192.0.2.1|54321|192.0.2.1|54321"});
    BOOST_TEST(ask(ctx, tcp::endpoint(address_of_a_busy_server, 80)).ec ==
               net::error::host_not_found_try_again);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(resolve_and_connect, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    resolver_of<Ctx> resolver(ctx);
    socket_of<Ctx> client(ctx);
    error_code connected = test_support::garbage_error();
    tcp::endpoint reached;
    resolver.async_resolve("localhost", std::to_string(acceptor.local_endpoint().port()),
                           checks.once([&](error_code ec, results_of<tcp> results) {
                               BOOST_TEST(!ec);
                               net::async_connect(client, results,
                                                  checks.once([&](error_code e, tcp::endpoint to) {
                                                      connected = e;
                                                      reached = to;
                                                  }));
                           }));
    ctx.run();
    BOOST_TEST(connected == error_code());
    BOOST_TEST((reached == acceptor.local_endpoint()));
    BOOST_TEST(acceptor.accept().is_open());
}

/// Called as Asio's requirements on handlers have it.
struct takes_lvalues {
    template <typename Error, typename Results>
    void operator()(Error&&, Results&&) const
    {
        called = std::is_same_v<Error&&, const error_code&> &&
                 std::is_lvalue_reference_v<Results&&> &&
                 std::is_const_v<std::remove_reference_t<Results>>;
    }
    bool& called;
};

BOOST_AUTO_TEST_CASE_TEMPLATE(handler_gets_const_lvalues, Ctx, contexts)
{
    Ctx ctx;
    net::ip::basic_resolver<tcp, executor_of<Ctx>> resolver(ctx);
    bool here = false, elsewhere = false;
    net::thread_pool pool(1);
    resolver.async_resolve("127.0.0.1", "80", takes_lvalues{here});
    resolver.async_resolve("127.0.0.1", "80", net::bind_executor(pool, takes_lvalues{elsewhere}));
    ctx.run();
    pool.join();
    BOOST_TEST(here);
    BOOST_TEST(elsewhere);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(many_look_ups_at_once, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    resolver_of<Ctx> resolver(ctx);
    resolver_of<Ctx, udp> other(ctx);
    int found = 0;
    const auto count = [&](const error_code& ec, const auto& results) {
        found += !ec && !results.empty();
    };
    for (int i = 0; i < 100; ++i) {
        const auto port = static_cast<unsigned short>(i + 1);
        if (i % 3 == 0)
            resolver.async_resolve("127.0.0.1", std::to_string(port), checks.once(count));
        else if (i % 3 == 1)
            other.async_resolve("127.0.0.1", std::to_string(port), checks.once(count));
        else
            resolver.async_resolve({net::ip::address_v4::loopback(), port}, checks.once(count));
    }
    BOOST_TEST(ran(ctx, ctx.run(), 100u));
    BOOST_TEST(found == 100);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(look_ups_from_many_threads, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    std::atomic<int> found{0};
    auto work = net::make_work_guard(ctx);
    std::vector<std::thread> runners, starters;
    for (int i = 0; i < 2; ++i)
        runners.emplace_back([&] { ctx.run(); });
    for (int i = 0; i < 3; ++i)
        starters.emplace_back([&] {
            resolver_of<Ctx> resolver(ctx);
            std::vector<std::future<results_of<tcp>>> futures;
            for (int n = 0; n < 20; ++n)
                futures.push_back(resolver.async_resolve("127.0.0.1", "80", net::use_future));
            for (auto& future : futures)
                found += static_cast<int>(test_support::wait_for(future).size());
        });
    for (std::thread& thread : starters)
        thread.join();
    work.reset();
    for (std::thread& thread : runners)
        thread.join();
    BOOST_TEST(found == 60);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(completion_tokens, Ctx, contexts)
{
    Ctx ctx;
    resolver_of<Ctx> resolver(ctx);
    auto found = resolver.async_resolve("127.0.0.1", "80", net::use_future);
    auto missing = resolver.async_resolve("x", "80", resolver_base::numeric_host, net::use_future);
    auto deferred = resolver.async_resolve("127.0.0.1", "81", net::deferred);
    ctx.run();
    BOOST_TEST(found.get().size() == 1u);
    BOOST_CHECK_THROW(missing.get(), boost::system::system_error);
    auto reverse =
        resolver.async_resolve(tcp::endpoint(net::ip::address_v4::loopback(), 80), net::use_future);
    auto later = std::move(deferred)(net::use_future);
    ctx.restart();
    ctx.run();
    BOOST_TEST(later.get().begin()->endpoint().port() == 81);
    BOOST_TEST(reverse.get().size() == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(coroutines, Ctx, contexts)
{
    Ctx ctx;
    std::string log;
    net::co_spawn(
        ctx,
        [&]() -> net::awaitable<void, executor_of<Ctx>> {
            constexpr net::use_awaitable_t<executor_of<Ctx>> use_awaitable;
            const auto as_tuple = net::as_tuple(use_awaitable);
            resolver_of<Ctx> resolver(co_await net::this_coro::executor);
            const auto results = co_await resolver.async_resolve("127.0.0.1", "80", use_awaitable);
            log += results.begin()->service_name();
            auto [ec, nothing] =
                co_await resolver.async_resolve("x", "80", resolver_base::numeric_host, as_tuple);
            log += ec == net::error::host_not_found && nothing.empty() ? " not found" : " ?";
            try {
                co_await resolver.async_resolve("127.0.0.1", "no-such-service", use_awaitable);
            } catch (const boost::system::system_error& e) {
                log += e.code() == net::error::service_not_found ? " thrown" : " ?";
            }
        },
        net::detached);
    ctx.run();
    BOOST_TEST(log == "80 not found thrown");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(run_lasts_until_the_look_up_has_ended, Ctx, contexts)
{
    gated_lookup gate;
    handler_checks checks;
    Ctx ctx;
    resolver_of<Ctx> resolver(ctx);
    answer got;
    resolver.async_resolve(gate.host, "80",
                           checks.once([&](error_code ec, results_of<tcp> results) {
                               got = answer::of(ec, results);
                           }));
    BOOST_TEST(ran(ctx, ctx.poll(), 0u));
    BOOST_TEST(!ctx.stopped());
    gate.wait_until_entered(1);
    std::thread opener([&] { gate.open(); });
    BOOST_TEST(ran(ctx, ctx.run(), 1u));
    opener.join();
    BOOST_TEST(got.ec == error_code());
    BOOST_TEST(got.entries == std::vector<std::string>{"gated.invalid|80|127.0.0.1|80"});
}

// Not on a host: what is attached to it is touched by the threads that look up.
BOOST_AUTO_TEST_CASE_TEMPLATE(context_that_no_other_thread_may_touch, Ctx, running_contexts)
{
    Ctx ctx(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE);
    resolver_of<Ctx> resolver(ctx);
    error_code ec;
    BOOST_TEST(resolver.resolve("127.0.0.1", "80", ec).size() == 1u);
    BOOST_TEST(looked_up(ctx, [&](auto handler) {
                   resolver.async_resolve("127.0.0.1", "80", std::move(handler));
               }).ec == net::error::operation_not_supported);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
