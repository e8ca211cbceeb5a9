// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include <boost/asio/version.hpp>
#include <boost/test/unit_test.hpp>

#include <memory>
#include <string>
#include <vector>

// What an executor may be given to call, and how it calls it.
namespace conformance {
namespace {

/// Tells as what it is called.
struct telling {
    void operator()() & { *said += "l"; }
    void operator()() && { *said += "r"; }
    std::string* said;
};

/// A namespace that has functions of names that a library may have, too.
namespace elsewhere {

struct job {
    void operator()() { ++*calls; }
    int* calls;
};
template <typename F>
void call(F&)
{
    BOOST_ERROR("another function was called");
}
template <typename F>
void call_function(F&)
{
    BOOST_ERROR("another function was called");
}

} // namespace elsewhere

BOOST_AUTO_TEST_SUITE(executor_functions)

BOOST_AUTO_TEST_CASE_TEMPLATE(functions_in_namespaces_with_others_are_called, Ctx, contexts)
{
    Ctx ctx;
    int calls = 0;
    using elsewhere::job;
    const auto submit_all = [&] {
        ctx.get_executor().execute(job{&calls});
        net::post(ctx, job{&calls});
        net::dispatch(ctx, job{&calls});
        net::defer(net::make_strand(ctx), job{&calls});
    };
    submit_all();
    net::post(ctx, submit_all);
    ctx.run();
    BOOST_TEST(calls == 8);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(functions_without_arguments_may_be_large_and_move_only, Ctx, contexts)
{
    Ctx ctx;
    std::vector<int> seen;
    struct large {
        char bytes[8192] = {};
    };
    auto owned = std::make_unique<large>();
    owned->bytes[8191] = 7;
    net::post(ctx, [&seen, by_value = *owned, owned = std::move(owned)] {
        seen.push_back(owned->bytes[8191] + by_value.bytes[8191]);
    });
    ctx.run();
    BOOST_TEST(seen == std::vector<int>{14}, boost::test_tools::per_element());
}

/// Up to Boost 1.83 (Asio 1.28) a function need not be callable as a temporary.
BOOST_AUTO_TEST_CASE_TEMPLATE(functions_are_called_as_asio_calls_them, Ctx, contexts)
{
    Ctx ctx;
    const auto ex = ctx.get_executor();
    std::string said;
    const auto submit_all = [&] {
        ex.execute(telling{&said});
        net::prefer(ex, net::execution::blocking.never).execute(telling{&said});
#if !defined(BOOST_ASIO_NO_TS_EXECUTORS)
        const std::allocator<void> allocator;
        ex.dispatch(telling{&said}, allocator);
        ex.post(telling{&said}, allocator);
        ex.defer(telling{&said}, allocator);
#else
        said += BOOST_ASIO_VERSION < 103000 ? "lll" : "rrr";
#endif
    };
    submit_all();
    ex.execute(submit_all);
    ctx.run();
#if BOOST_ASIO_VERSION < 103000
    BOOST_TEST(said == "llllllllll");
    struct only_lvalue {
        void operator()() & { *said += "!"; }
        std::string* said;
    };
    ctx.restart();
    ex.execute(only_lvalue{&said});
    ctx.run();
    BOOST_TEST(said == "llllllllll!");
#else
    BOOST_TEST(said == "rrrrrrrrrr");
#endif
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
