// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <boost/asio/wait_traits.hpp>

#include <atomic>
#include <chrono>

namespace test_support {

/// A clock that only moves when the test says so. Every `Tag` is a clock of
/// its own.
template <class Tag>
struct manual_clock {
    using duration = std::chrono::milliseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<manual_clock>;
    static constexpr bool is_steady = false;

    static time_point now() noexcept { return time_point(duration(now_ms)); }
    static void advance(duration by) noexcept { now_ms += by.count(); }

private:
    static inline std::atomic<rep> now_ms{1'000'000};
};

/// Wait traits for a clock that has nothing to do with real time: the context
/// has to look at it again every millisecond.
template <class Clock>
struct polling_wait_traits {
    static typename Clock::duration to_wait_duration(const typename Clock::duration& d)
    {
        return shorten(d);
    }
    static typename Clock::duration to_wait_duration(const typename Clock::time_point& t)
    {
        return shorten(t - Clock::now());
    }

private:
    static typename Clock::duration shorten(typename Clock::duration d)
    {
        const typename Clock::duration step{std::chrono::milliseconds(1)};
        return d > step ? step : d;
    }
};

} // namespace test_support
