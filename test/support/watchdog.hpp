// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <boost/test/framework.hpp>
#include <boost/test/tree/decorator.hpp>
#include <boost/test/tree/observer.hpp>
#include <boost/test/tree/test_unit.hpp>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>

#include <pthread.h>
#include <unistd.h>

namespace test_support {

/// How long a single wait inside a test may last. It is no assertion about
/// speed: it only turns a hang into a failure.
inline constexpr std::chrono::seconds watchdog_time{30};

/// How long a whole test case may last before the program is aborted. Waits
/// that cannot be bounded by themselves, such as `io_context::run()`, rely on
/// it, and so does the joining of a thread that hangs. Under a sanitizer, on a machine
/// that does five other things, some test cases take more than a minute.
inline constexpr std::chrono::seconds test_case_time{400};

/// Decorator of test cases that may last longer than that, and how long they may: under --full a soak of
/// many connections takes minutes even without a sanitizer.
inline const boost::unit_test::decorator::label takes_long{"takes_long"};
inline constexpr std::chrono::seconds long_test_case_time{3600};

/// To be called by a child of fork(2), which whoever waits for it would wait for until the whole program
/// is aborted when it hangs: lets a signal end it before.
inline void limit_time_of_child()
{
    ::alarm(static_cast<unsigned>(test_case_time.count()) / 2);
}

/// How long a test case goes on under --full that could do so for ever.
inline constexpr std::chrono::seconds soak_time{75};

/// Aborts the program, naming the test case, when a test case hangs. All
/// programs have one, by support/watchdog.cpp.
class test_case_watchdog : public boost::unit_test::test_observer {
public:
    test_case_watchdog()
    {
        // The watching thread must never be the one that a test's signal hits.
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        thread_ = std::thread([this] { watch(); });
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        boost::unit_test::framework::register_observer(*this);
    }

    ~test_case_watchdog() override
    {
        boost::unit_test::framework::deregister_observer(*this);
        {
            std::lock_guard lock(mutex_);
            leaving_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }

    void test_unit_start(boost::unit_test::test_unit const& unit) override
    {
        if (unit.p_type == boost::unit_test::TUT_CASE)
            arm(unit.full_name(),
                unit.has_label("takes_long") ? long_test_case_time : test_case_time);
    }

    void test_unit_finish(boost::unit_test::test_unit const& unit, unsigned long) override
    {
        if (unit.p_type == boost::unit_test::TUT_CASE)
            arm({}, {});
    }

private:
    void arm(std::string name, std::chrono::seconds limit)
    {
        {
            std::lock_guard lock(mutex_);
            name_ = std::move(name);
            limit_ = limit;
            ++generation_;
        }
        changed_.notify_one();
    }

    void watch()
    {
        std::unique_lock lock(mutex_);
        while (!leaving_) {
            const auto generation = generation_;
            const auto moved_on = [&] { return leaving_ || generation_ != generation; };
            if (name_.empty()) {
                changed_.wait(lock, moved_on);
            } else if (!changed_.wait_for(lock, limit_, moved_on)) {
                std::fprintf(stderr,
                             "\nwatchdog: test case \"%s\" has not ended within %lld s; "
                             "it hangs, or the machine is overloaded: aborting\n",
                             name_.c_str(), static_cast<long long>(limit_.count()));
                // Boost.Test must not take this for one more failed test case.
                std::signal(SIGABRT, SIG_DFL);
                std::abort();
            }
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::string name_;             ///< Test case that is running, or empty.
    std::chrono::seconds limit_{}; ///< How long it may last.
    unsigned long generation_ = 0; ///< Counts changes of `name_`.
    bool leaving_ = false;
    std::thread thread_;
};

} // namespace test_support
