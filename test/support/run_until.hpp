// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "results.hpp"
#include "watchdog.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/assert/source_location.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <future>
#include <thread>

namespace test_support {

/// Runs handlers of `context` until `predicate()` holds. Fails the test when
/// the context runs out of work before, or when `limit` has passed.
template <class Context, class Predicate>
void run_until(Context& context, Predicate predicate, std::chrono::seconds limit = watchdog_time,
               boost::source_location where = BOOST_CURRENT_LOCATION)
{
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!predicate()) {
        if (context.stopped())
            context.restart();
        if (context.run_one_until(deadline) == 0 && !predicate()) {
            const bool late = std::chrono::steady_clock::now() >= deadline;
            BOOST_FAIL(where.file_name() << ":" << where.line() << ": "
                                         << (late ? "nothing happened until the watchdog's deadline"
                                                  : "the context ran out of work, or was stopped")
                                         << ", and what was waited for has not come");
        }
    }
}

/// Runs handlers of `context` until the operation has completed.
template <class Context>
void run_until_done(Context& context, const io_result& result,
                    boost::source_location where = BOOST_CURRENT_LOCATION)
{
    run_until(
        context, [&] { return result.done; }, watchdog_time, where);
}

/// Lets `context` run until `predicate()` holds, which no handler has to bring about, whether there
/// is work or not.
template <class Context, class Predicate>
void poll_until(Context& context, Predicate predicate)
{
    const auto guard = boost::asio::make_work_guard(context);
    const auto deadline = std::chrono::steady_clock::now() + watchdog_time;
    while (!predicate()) {
        BOOST_REQUIRE(std::chrono::steady_clock::now() < deadline);
        context.restart();
        context.poll();
    }
}

/// Waits for a future and gives its value; fails the test if it does not come.
template <class T>
T wait_for(std::future<T>& future, boost::source_location where = BOOST_CURRENT_LOCATION)
{
    if (future.wait_for(watchdog_time) != std::future_status::ready)
        BOOST_FAIL(where.file_name() << ":" << where.line() << ": the future did not become ready");
    return future.get();
}

template <class T>
T wait_for(std::future<T>&& future, boost::source_location where = BOOST_CURRENT_LOCATION)
{
    return wait_for(future, where);
}

/// Runs a context on a thread of its own. Leaves nothing running when a test
/// fails and unwinds.
template <class Context>
class running_context {
public:
    explicit running_context(Context& context)
        : context_(context), work_(boost::asio::make_work_guard(context.get_executor())),
          thread_([&context] { context.run(); })
    {
    }

    ~running_context()
    {
        if (thread_.joinable())
            context_.stop();
        join();
    }

    /// Waits until the context has run out of work.
    void join()
    {
        work_.reset();
        if (thread_.joinable())
            thread_.join();
    }

    std::thread::id id() const { return thread_.get_id(); }

private:
    Context& context_;
    boost::asio::executor_work_guard<typename Context::executor_type> work_;
    std::thread thread_;
};

} // namespace test_support
