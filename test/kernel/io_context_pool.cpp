// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"

#include <safer_ring/asio/io_context_pool.hpp>
#include <safer_ring/ring/worker_pool.hpp>

#include <support/blocking_peer.hpp>
#include <support/connected_pair.hpp>
#include <support/forking.hpp>
#include <support/handler_checks.hpp>
#include <support/run_until.hpp>
#include <support/skip.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>
#include <unistd.h>

// Contexts and threads, one for each processor.

namespace kernel {
namespace {

using safer_ring::io_context_pool;
using safer_ring::io_context_pool_options;
using test_support::handler_checks;
using test_support::wait_for;

/// Gives the calling thread back the processors that it had.
class saved_affinity {
public:
    saved_affinity() { ::sched_getaffinity(0, sizeof set_, &set_); }
    saved_affinity(const saved_affinity&) = delete;
    saved_affinity& operator=(const saved_affinity&) = delete;
    ~saved_affinity() { ::sched_setaffinity(0, sizeof set_, &set_); }

private:
    cpu_set_t set_;
};

/// Runs `function` on each context and gives the answers in order.
template <class Function>
auto ask_all(io_context_pool& pool, Function function)
{
    using answer = decltype(function());
    std::vector<answer> answers;
    for (std::size_t i = 0; i < pool.size(); ++i)
        answers.push_back(wait_for(net::post(pool.at(i), std::packaged_task<answer()>(function))));
    return answers;
}

/// What blocks, as a look-up does, and finds the processors of its thread.
class look_up final : public safer_ring::ring::background_operation {
public:
    void perform() noexcept override { found.set_value(safer_ring::ring::usable_cpus()); }
    void complete(safer_ring::ring::event_loop&) override {}
    void destroy() noexcept override {}

    std::promise<std::vector<int>> found;
};

/// Accepts for ever, and tells each client the number of the context.
void serve(acceptor& a, std::size_t number)
{
    a.async_accept([&a, number](error_code ec, socket peer) {
        if (ec)
            return;
        auto client = std::make_shared<socket>(std::move(peer));
        auto text = std::make_shared<std::string>(1, static_cast<char>('0' + number));
        net::async_write(*client, net::buffer(*text), [client, text](error_code, std::size_t) {});
        serve(a, number);
    });
}

BOOST_AUTO_TEST_SUITE(io_context_pool_, *needs_io_uring)

BOOST_AUTO_TEST_CASE(contexts_are_given_in_turn)
{
    io_context_pool pool(3);
    BOOST_TEST(pool.size() == 3u);
    for (int round = 0; round < 2; ++round)
        for (std::size_t i = 0; i < 3; ++i)
            BOOST_TEST(&pool.get_io_context() == &pool.at(i));
    BOOST_TEST((pool.get_executor() == pool.at(0).get_executor()));
    BOOST_CHECK_THROW(static_cast<void>(pool.at(3)), std::out_of_range);
    std::map<context*, std::atomic<int>> given;
    for (std::size_t i = 0; i < 3; ++i)
        given[&pool.at(i)] = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 300; ++i)
                ++given.at(&pool.get_io_context());
        });
    for (std::thread& thread : threads)
        thread.join();
    for (const auto& [unused, count] : given)
        BOOST_TEST(count == 400);
}

BOOST_AUTO_TEST_CASE(each_context_has_a_thread_of_its_own)
{
    io_context_pool pool(3);
    pool.start();
    BOOST_CHECK_THROW(pool.start(), std::logic_error);
    const auto first = ask_all(pool, [] { return std::this_thread::get_id(); });
    const auto second = ask_all(pool, [] { return std::this_thread::get_id(); });
    BOOST_TEST((first == second));
    BOOST_TEST(std::set(first.begin(), first.end()).size() == 3u);
    BOOST_TEST(!std::count(first.begin(), first.end(), std::this_thread::get_id()));
    pool.stop();
    pool.join();
}

BOOST_AUTO_TEST_CASE(threads_are_pinned_to_usable_processors_in_turn)
{
    const std::vector<int> usable = safer_ring::ring::usable_cpus();
    const auto processors = [] { return safer_ring::ring::usable_cpus(); };
    io_context_pool one_each;
    BOOST_TEST(one_each.size() == usable.size());
    io_context_pool more(usable.size() + 1);
    more.start();
    const auto pinned = ask_all(more, processors);
    for (std::size_t i = 0; i < pinned.size(); ++i)
        BOOST_TEST((pinned[i] == std::vector<int>{usable[i % usable.size()]}));
    BOOST_TEST((processors() == usable));

    io_context_pool_options settings;
    settings.size = 2;
    settings.pin_threads = false;
    io_context_pool free(settings);
    free.start();
    for (const auto& cpus : ask_all(free, processors))
        BOOST_TEST((cpus == usable));
}

// Made by a pinned thread, they would take its processor from it.
BOOST_AUTO_TEST_CASE(look_ups_of_pinned_threads_run_on_all_usable_processors)
{
    const std::vector<int> usable = safer_ring::ring::usable_cpus();
    if (usable.size() == 1)
        SAFER_RING_SKIP("needs two processors");
    look_up of_pool, of_thread_pinned_twice, of_free_thread;
    io_context_pool pool(1);
    auto& loop = pool.at(0).impl().loop();
    safer_ring::ring::worker_pool first(loop, 1), second(loop, 1), third(loop, 1);
    net::post(pool.at(0), [&] { first.start(of_pool); });
    pool.start();
    BOOST_TEST((wait_for(of_pool.found.get_future()) == usable));
    std::thread([&] {
        for (const int cpu : {usable.front(), usable.back()})
            BOOST_TEST(safer_ring::ring::pin_this_thread(cpu) == 0);
        second.start(of_thread_pinned_twice);
        BOOST_TEST((safer_ring::ring::usable_cpus() == std::vector<int>{usable.back()}));
    }).join();
    BOOST_TEST((wait_for(of_thread_pinned_twice.found.get_future()) == usable));
    // What the program itself has decided stays.
    const saved_affinity saved;
    BOOST_TEST(safer_ring::ring::use_cpus({usable.back()}) == 0);
    third.start(of_free_thread);
    BOOST_TEST((wait_for(of_free_thread.found.get_future()) == std::vector<int>{usable.back()}));
}

BOOST_AUTO_TEST_CASE(one_usable_processor_makes_one_context)
{
    const saved_affinity saved;
    const int last = safer_ring::ring::usable_cpus().back();
    BOOST_REQUIRE(safer_ring::ring::pin_this_thread(last) == 0);
    io_context_pool pool;
    BOOST_TEST(pool.size() == 1u);
    pool.start();
    BOOST_TEST((ask_all(pool, [] { return safer_ring::ring::usable_cpus(); }).front() ==
                std::vector<int>{last}));
    BOOST_TEST(safer_ring::ring::pin_this_thread(-1) == EINVAL);
    BOOST_TEST(safer_ring::ring::pin_this_thread(1 << 20) == EINVAL);
}

BOOST_AUTO_TEST_CASE(connections_spread_over_all_contexts)
{
    io_context_pool pool(3);
    acceptor listening(pool.at(0), {net::ip::address_v4::loopback(), 0});
    std::map<context*, int> connections;
    std::function<void()> accept = [&] {
        context& next = pool.get_io_context();
        listening.async_accept(next, [&](error_code ec, socket peer) {
            if (ec)
                return;
            ++connections[&safer_ring::io_context_pool::executor_type(peer.get_executor())
                               .query(net::execution::context)];
            accept();
        });
    };
    accept();
    pool.start();
    std::vector<test_support::blocking_peer> clients;
    for (int i = 0; i < 9; ++i) {
        clients.emplace_back(test_support::loopback_client(listening.local_endpoint().port()));
        clients.back().read_to_end(); // Accepted, and closed.
    }
    pool.stop();
    pool.join();
    for (std::size_t i = 0; i < 3; ++i)
        BOOST_TEST(connections[&pool.at(i)] == 3);
}

BOOST_AUTO_TEST_CASE(all_acceptors_of_one_port_accept)
{
    io_context_pool pool(2);
    auto acceptors =
        safer_ring::reuse_port_acceptors(pool, tcp::endpoint(net::ip::address_v4::loopback(), 0));
    BOOST_REQUIRE(acceptors.size() == 2u);
    const auto endpoint = acceptors[0].local_endpoint();
    BOOST_TEST(endpoint.port() != 0);
    BOOST_TEST((acceptors[1].local_endpoint() == endpoint));
    for (std::size_t i = 0; i < 2; ++i)
        serve(acceptors[i], i);
    pool.start();
    std::map<std::string, int> served;
    // Which of the two gets a connection is a matter of its port's hash.
    for (int i = 0; i < 1000 && served.size() < 2; ++i) {
        test_support::blocking_peer client(test_support::loopback_client(endpoint.port()));
        ++served[client.read_to_end()];
    }
    BOOST_TEST(served["0"] > 0);
    BOOST_TEST(served["1"] > 0);
    // The port is taken for everybody else.
    acceptor other(pool.at(0), tcp::v4());
    error_code ec;
    other.bind(endpoint, ec);
    BOOST_TEST(ec == net::error::address_in_use);
    pool.stop();
    pool.join();
    BOOST_CHECK_THROW(safer_ring::reuse_port_acceptors(
                          pool, tcp::endpoint(net::ip::make_address("192.0.2.1"), 0)),
                      boost::system::system_error);
}

BOOST_AUTO_TEST_CASE(stop_lets_handlers_in_progress_end)
{
    handler_checks checks;
    io_context_pool pool(2);
    auto [held, peer] = test_support::connect_to_peer<socket>(pool.at(1));
    std::array<char, 8> data{};
    held.async_read_some(net::buffer(data), checks.never());
    std::promise<void> entered, leave;
    bool left = false;
    net::post(pool.at(0), checks.once([&] {
        entered.set_value();
        leave.get_future().wait();
        left = true;
    }));
    net::post(pool.at(0), checks.never());
    pool.start();
    wait_for(entered.get_future());
    pool.stop();
    std::thread releases([&] { leave.set_value(); });
    pool.join();
    releases.join();
    BOOST_TEST(left);
    BOOST_TEST(held.is_open());
}

BOOST_AUTO_TEST_CASE(finish_lets_all_work_end)
{
    handler_checks checks;
    io_context_pool pool(2);
    auto [reader, peer] = test_support::connect_to_peer<socket>(pool.at(1));
    test_support::io_result read;
    std::array<char, 8> data{};
    reader.async_read_some(net::buffer(data), checks.into(read));
    pool.start();
    std::promise<void> finishing;
    net::post(pool.at(0), checks.once([&] {
        pool.finish();
        finishing.set_value();
    }));
    wait_for(finishing.get_future());
    peer.write("x");
    pool.join();
    BOOST_TEST(read.ec == error_code());
    // And once more.
    pool.restart();
    net::post(pool.at(0), checks.once([&] { pool.finish(); }));
    net::post(pool.at(1), checks.once([] {}));
    pool.run();
}

BOOST_AUTO_TEST_CASE(work_guard_holds_the_context_that_work_goes_to)
{
    handler_checks checks;
    io_context_pool pool(2);
    auto guard =
        std::make_shared<net::executor_work_guard<safer_ring::executor>>(pool.at(1).get_executor());
    timer delay(pool.at(0), std::chrono::milliseconds(2));
    delay.async_wait(checks.once([&, guard](error_code) {
        net::post(pool.at(1), checks.once([guard] { guard->reset(); }));
    }));
    guard.reset();
    pool.finish();
    pool.run();
}

BOOST_AUTO_TEST_CASE(exception_stops_all_and_is_rethrown)
{
    handler_checks checks;
    for (const bool at_once : {true, false}) {
        io_context_pool pool(3);
        timer never(pool.at(1), std::chrono::hours(1));
        never.async_wait(checks.never());
        if (at_once)
            net::post(pool.at(2),
                      checks.once([]() -> void { throw std::runtime_error("thrown"); }));
        pool.start();
        if (!at_once) {
            ask_all(pool, [] { return 0; });
            net::post(pool.at(2),
                      checks.once([]() -> void { throw std::runtime_error("thrown"); }));
        }
        BOOST_CHECK_EXCEPTION(pool.join(), std::runtime_error,
                              [](const auto& e) { return e.what() == std::string("thrown"); });
        pool.join(); // It is thrown once.
        BOOST_TEST(pool.at(0).stopped());
        pool.restart();
        net::post(pool.at(0), checks.once([&] { pool.stop(); }));
        pool.run();
    }
}

BOOST_AUTO_TEST_CASE(join_on_a_thread_of_the_pool_is_refused)
{
    io_context_pool pool(1);
    net::post(pool.at(0), [&] { pool.stop(); });
    pool.run();
    pool.restart();
    net::post(pool.at(0), [&] { pool.join(); });
    pool.start();
    BOOST_CHECK_THROW(pool.join(), std::system_error);
}

BOOST_AUTO_TEST_CASE(pool_is_destroyed_while_it_runs)
{
    handler_checks checks;
    std::promise<void> running;
    io_context_pool pool(2);
    net::post(pool.at(1), checks.once([&] { running.set_value(); }));
    timer never(pool.at(0), std::chrono::hours(1));
    never.async_wait(checks.never());
    pool.start();
    wait_for(running.get_future());
}

// There are no threads that it could wait for, and what a new thread has may once have been theirs.
BOOST_AUTO_TEST_CASE(child_of_a_fork_joins_and_destroys_the_pool)
{
    // The child must not inherit a lock that a thread holds, so all are in handlers.
    std::promise<void> leave;
    const std::shared_future<void> left(leave.get_future());
    std::promise<void> entered[2];
    auto pool = std::make_unique<io_context_pool>(2);
    for (std::size_t i = 0; i < 2; ++i)
        net::post(pool->at(i), [&, i] {
            entered[i].set_value();
            left.wait();
        });
    pool->start();
    for (auto& e : entered)
        wait_for(e.get_future());
    const pid_t child = test_support::fork_child([&] {
        ::alarm(30); // Ends a child that hangs.
        std::promise<void> end;
        std::thread other([&] { end.get_future().wait(); });
        pool->join();
        pool.reset();
        end.set_value();
        other.join();
        return true;
    });
    leave.set_value();
    BOOST_TEST(test_support::ended_well(child));
}

// Destroyed one context after the other, the handlers of one would outlive
// the services of the objects that they own.
BOOST_AUTO_TEST_CASE(handlers_own_objects_of_other_contexts)
{
    handler_checks checks;
    std::vector<test_support::blocking_peer> peers;
    io_context_pool pool(3);
    for (std::size_t i = 0; i < 3; ++i) {
        auto here = std::make_shared<timer>(pool.at(i), std::chrono::hours(1));
        auto [there, peer] = test_support::connect_to_peer<socket>(pool.at((i + 1) % 3));
        peers.push_back(std::move(peer));
        auto data = std::make_unique<std::array<char, 8>>();
        const auto buffer = net::buffer(*data);
        auto next = std::make_shared<socket>(std::move(there));
        next->async_read_some(buffer, checks.never_with(std::pair(std::move(data), here)));
        here->async_wait(checks.never_with(std::pair(next, here)));
    }
    pool.start();
    ask_all(pool, [] { return 0; });
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
