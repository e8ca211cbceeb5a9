// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "backend/fork_watch.hpp"

#include "support/forking.hpp"

#include <boost/test/unit_test.hpp>

#include <optional>

using safer_ring::backend::fork_watch;
using test_support::ended_well;
using test_support::fork_child;

namespace {

class watcher final : public fork_watch {
public:
    watcher() { watch(); }
    ~watcher() { ignore(); }
    void watch() { watch_forks(); }
    void ignore() { ignore_forks(); }
    int seen = 0;

private:
    void forked() noexcept override { ++seen; }
};

} // namespace

BOOST_AUTO_TEST_SUITE(fork_watches)

BOOST_AUTO_TEST_CASE(child_is_told_and_has_another_number)
{
    watcher first, second;
    const unsigned here = fork_watch::generation();
    BOOST_TEST(ended_well(fork_child(
        [&] { return first.seen == 1 && second.seen == 1 && fork_watch::generation() != here; })));
    BOOST_TEST(first.seen == 0);
    BOOST_TEST(fork_watch::generation() == here);
}

// As that of the signals does, of which there is one for all contexts.
BOOST_AUTO_TEST_CASE(one_that_comes_again_is_behind_nobody_who_has_gone)
{
    watcher again;
    std::optional<watcher> younger(std::in_place);
    again.ignore();
    younger.reset();
    again.watch();
    again.ignore();
    watcher last;
    BOOST_TEST(ended_well(fork_child([&] { return last.seen == 1 && again.seen == 0; })));
}

BOOST_AUTO_TEST_CASE(one_that_comes_again_is_told_once)
{
    watcher again, younger;
    again.ignore();
    again.watch();
    again.ignore();
    BOOST_TEST(ended_well(fork_child([&] { return younger.seen == 1 && again.seen == 0; })));
    again.watch();
    BOOST_TEST(ended_well(fork_child([&] { return younger.seen == 1 && again.seen == 1; })));
}

BOOST_AUTO_TEST_SUITE_END()
