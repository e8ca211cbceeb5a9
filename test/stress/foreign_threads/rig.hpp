// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "channel.hpp"
#include "stress/soak.hpp"

#include <safer_ring/asio.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <initializer_list>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <thread>

// Contexts, the threads that run them, and those that do not.
namespace stress {

using executor = safer_ring::executor;

inline constexpr unsigned foreign_threads = 4;
inline constexpr unsigned actions_per_round = 48;
inline constexpr std::uint64_t operations_per_thread = 3'000; ///< Of a short run.
inline constexpr std::chrono::seconds full_run{60};

/// A context of ours, or one on the threads of Asio's.
struct own_context {
    explicit own_context(int runners) : ring(runners) {}
    void run() { ring.run(); }
    void stop() { ring.stop(); }
    safer_ring::io_context ring;
};
struct attached_context {
    explicit attached_context(int runners) : host(runners), ring(safer_ring::attach(host)) {}
    void run() { host.run(); }
    void stop() { host.stop(); }
    net::io_context host;
    safer_ring::io_context& ring;
};

/// Runs a context on some threads until its work is done.
template <class Context>
class runners {
public:
    runners(Context& context, int count, complaints& wrong)
        : context_(context), work_(net::make_work_guard(context.ring))
    {
        for (int i = 0; i < count; ++i)
            threads_.emplace_back([&] {
                try {
                    context.run();
                } catch (const std::exception& e) {
                    wrong.add(std::string("run() threw: ") + e.what());
                }
            });
    }
    ~runners()
    {
        context_.stop();
        finish();
    }
    void finish()
    {
        work_.reset();
        for (auto& thread : threads_)
            if (thread.joinable())
                thread.join();
    }

private:
    Context& context_;
    net::executor_work_guard<executor> work_;
    std::vector<std::thread> threads_;
};

/// Channels that all threads share, and their account.
class channel_set {
public:
    channel& any(worker& by) { return *channels_[by.below(static_cast<unsigned>(size()))]; }
    std::size_t size() const { return channels_.size(); }
    void cancel_all()
    {
        for (auto& one : channels_)
            one->cancel();
    }
    void settle()
    {
        for (auto& one : channels_)
            one->settle();
    }

    /// Adds up what has the same name.
    void print(std::ostream& out) const
    {
        std::map<std::string, std::array<std::uint64_t, 4>> sums;
        for (const tally* t : tallies_)
            for (auto* sum : {&sums[t->name], &sums["all"]}) {
                const std::uint64_t counts[] = {t->started, t->succeeded, t->cancelled, t->cut_off};
                for (std::size_t i = 0; i < sum->size(); ++i)
                    (*sum)[i] += counts[i];
            }
        for (const auto& [name, n] : sums)
            out << std::setw(24) << name << ": " << n[0] << " started, " << n[1] << " succeeded, "
                << n[2] << " cancelled, " << n[3] << " cut off by the other end\n";
    }

    std::uint64_t started() const { return sum(&tally::started); }
    std::uint64_t ended() const
    {
        return sum(&tally::succeeded) + sum(&tally::cancelled) + sum(&tally::cut_off);
    }
    std::uint64_t succeeded() const { return sum(&tally::succeeded); }
    std::uint64_t cancelled() const { return sum(&tally::cancelled); }

protected:
    template <class Channel, class... Args>
    Channel& add(Args&&... args)
    {
        auto made = std::make_unique<Channel>(std::forward<Args>(args)...);
        Channel& channel = *made;
        channels_.push_back(std::move(made));
        return channel;
    }
    void account(std::initializer_list<const tally*> more)
    {
        tallies_.insert(tallies_.end(), more);
    }

private:
    std::uint64_t sum(std::atomic<std::uint64_t> tally::*count) const
    {
        std::uint64_t total = 0;
        for (const tally* t : tallies_)
            total += t->*count;
        return total;
    }

    std::vector<std::unique_ptr<channel>> channels_;
    std::vector<const tally*> tallies_;
};

template <class Objects>
void act(worker& self, Objects& objects)
{
    channel& chosen = objects.any(self);
    const unsigned choice = self.below(300);
    if (choice == 0)
        chosen.replace();
    else if (choice < 20)
        chosen.cancel();
    else if (choice < 60)
        self.emit_any();
    else
        chosen.start(self);
}

/// Rounds of actions. At the end of each one, all is cancelled once, which has
/// to reach whatever this thread has started.
template <class Objects>
void work(worker& self, Objects& objects, complaints& wrong)
{
    const bool full = is_full_run();
    const auto deadline = std::chrono::steady_clock::now() + full_run;
    const auto done = [&] {
        return full ? std::chrono::steady_clock::now() >= deadline
                    : self.started() >= operations_per_thread;
    };
    while (!done() && wrong.count() == 0) {
        for (unsigned i = 0; i < actions_per_round; ++i)
            act(self, objects);
        // Some rounds leave more of it to succeed.
        if (self.chance(2))
            self.wait(std::chrono::milliseconds(1));
        self.emit_all();
        objects.cancel_all();
        self.give_up_buffers();
        if (!self.wait(test_support::watchdog_time))
            return wrong.add("operations do not end that were cancelled");
        self.verify();
    }
    self.verify();
}

inline void report(const complaints& wrong)
{
    for (const std::string& text : wrong.first())
        BOOST_TEST_ERROR(text);
    BOOST_TEST(wrong.count() == 0u);
}

/// The whole test: `Objects` are made on a context that `runner_count` threads
/// run.
template <class Context, class Objects>
void start_and_cancel(int runner_count)
{
    complaints wrong;
    std::deque<worker> workers;
    for (unsigned i = 0; i < foreign_threads; ++i)
        workers.emplace_back(i + 1, wrong);
    {
        Context context(runner_count);
        Objects objects(context.ring, wrong);
        runners<Context> running(context, runner_count, wrong);
        std::vector<std::thread> threads;
        for (worker& self : workers)
            threads.emplace_back([&] { work(self, objects, wrong); });
        for (auto& thread : threads)
            thread.join();
        for (worker& self : workers)
            self.drop_objects();
        if (wrong.count() == 0) {
            objects.settle();
            objects.print(std::cout);
            BOOST_TEST(objects.started() == objects.ended());
            BOOST_TEST(objects.succeeded() != 0u);
            BOOST_TEST(objects.cancelled() != 0u);
            running.finish();
        }
    }
    report(wrong);
}

} // namespace stress
