// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "any_operation.hpp"

#include <boost/test/unit_test.hpp>

#include <memory>
#include <string>
#include <utility>

// Tests that are made once for every operation that has what they need, without
// being compiled once for each.
namespace conformance {

/// A new context with a new object on it.
struct trial {
    explicit trial(const kind& k) : trial(k.make()) {}

    void run()
    {
        ctx.restart();
        ctx.run();
    }
    void settle()
    {
        for (int i = 0; i < 3; ++i) {
            ctx.restart();
            ctx.poll();
        }
    }

    /// Once more, to the end.
    void expect_usable()
    {
        test_support::io_result result;
        operation->prepare();
        operation->start(checks.into(result));
        operation->fire();
        run();
        BOOST_TEST(result.ec == error_code());
        BOOST_TEST(result.bytes == operation->number());
    }

    test_support::handler_checks checks;
    std::unique_ptr<any_context> owner;
    any_context& ctx;
    std::unique_ptr<any_operation> operation;

private:
    explicit trial(kind::instance made)
        : owner(std::move(made.context)), ctx(*owner), operation(std::move(made.operation))
    {
    }
};

/// Adds a test to the suite for each kind that has all of the abilities.
struct for_every_kind {
    for_every_kind(void (*body)(const kind&), const char* name, std::size_t line, unsigned needed,
                   unsigned excluded = 0)
    {
        auto& suite = boost::unit_test::framework::current_auto_test_suite();
        for (const kind& k : every_kind())
            if (k.has(needed) && (k.can & excluded) == 0)
                suite.add(boost::unit_test::make_test_case(
                    [body, k] { body(k); }, name + ("<" + k.context + "_ " + k.name + ">"),
                    __FILE__, line));
    }
};

/// A test of every kind with the abilities that are named, and without those
/// that are named behind them.
#define SAFER_RING_TEST_OF_EVERY(name, ...)                                                        \
    void name(const kind& k);                                                                      \
    const for_every_kind name##_of_every_kind(name, #name, __LINE__, __VA_ARGS__);                 \
    void name([[maybe_unused]] const kind& k)

} // namespace conformance
