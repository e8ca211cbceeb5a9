// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "results.hpp"

#include <boost/assert/source_location.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>

namespace test_support {

namespace detail {

/// What is known about one handler that a test handed to an operation.
struct handler_record {
    explicit handler_record(boost::source_location where, int calls_expected)
        : location(where), expected(calls_expected)
    {
    }

    boost::source_location location;
    int expected;                  ///< Calls it must have received in the end.
    std::atomic<int> calls{0};     ///< Calls it has received.
    std::atomic<int> instances{0}; ///< Handler objects that hold the function.
};

} // namespace detail

/// A move-only function object that reports calls and destruction to the
/// `handler_checks` that made it.
template <class Function>
class checked_handler {
public:
    checked_handler(Function function, std::shared_ptr<detail::handler_record> record)
        : function_(std::move(function)), record_(std::move(record))
    {
        ++record_->instances;
    }

    checked_handler(checked_handler&& other) noexcept
        : function_(std::move(other.function_)), record_(other.record_)
    {
        // A moved-from handler is an object too, and must be destroyed as well.
        ++record_->instances;
    }

    checked_handler(const checked_handler&) = delete;
    checked_handler& operator=(const checked_handler&) = delete;
    checked_handler& operator=(checked_handler&&) = delete;

    ~checked_handler() { --record_->instances; }

    template <class... Args>
    auto operator()(Args&&... args)
        -> decltype(std::declval<Function&>()(std::forward<Args>(args)...))
    {
        ++record_->calls;
        return function_(std::forward<Args>(args)...);
    }

private:
    Function function_;
    std::shared_ptr<detail::handler_record> record_;
};

/// Makes handlers that have to be called exactly once, or never, and fails
/// the test, naming the line that made the handler, when it was otherwise or
/// when a handler object was not destroyed.
///
/// Declare it before the context, so that it outlives it. Handlers may be
/// called and destroyed on any thread; the verdict is given by the destructor.
class handler_checks {
public:
    handler_checks() = default;
    handler_checks(const handler_checks&) = delete;
    handler_checks& operator=(const handler_checks&) = delete;

    ~handler_checks()
    {
        for (const auto& record : records_) {
            const auto line = record->location.line();
            const auto* file = record->location.file_name();
            BOOST_CHECK_MESSAGE(record->calls == record->expected,
                                file << ":" << line << ": handler called " << record->calls
                                     << " times, expected " << record->expected);
            BOOST_CHECK_MESSAGE(record->instances == 0,
                                file << ":" << line << ": " << record->instances
                                     << " handler objects were not destroyed");
        }
    }

    /// A handler that must be called exactly once.
    template <class Function>
    checked_handler<Function> once(Function function,
                                   boost::source_location where = BOOST_CURRENT_LOCATION)
    {
        return {std::move(function), add(where, 1)};
    }

    /// A handler that must be destroyed without having been called; it owns
    /// `owned` until then.
    template <class Owned>
    auto never_with(Owned owned, boost::source_location where = BOOST_CURRENT_LOCATION)
    {
        auto function = [held = std::move(owned)](auto&&...) { (void)held; };
        return checked_handler<decltype(function)>{std::move(function), add(where, 0)};
    }

    /// A handler that must be destroyed without having been called.
    auto never(boost::source_location where = BOOST_CURRENT_LOCATION)
    {
        return never_with(0, where);
    }

    /// A handler that must be called exactly once and stores what it is given.
    auto into(io_result& result, boost::source_location where = BOOST_CURRENT_LOCATION)
    {
        return once([&result](const boost::system::error_code& ec,
                              const auto&... rest) { result.store(ec, rest...); },
                    where);
    }

private:
    std::shared_ptr<detail::handler_record> add(boost::source_location where, int expected)
    {
        std::lock_guard lock(mutex_);
        records_.push_back(std::make_shared<detail::handler_record>(where, expected));
        return records_.back();
    }

    std::mutex mutex_;
    std::deque<std::shared_ptr<detail::handler_record>> records_;
};

} // namespace test_support
