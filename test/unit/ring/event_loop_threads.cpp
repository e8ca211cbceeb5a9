// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulated_loop.hpp"

#include "support/thread_state.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <future>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>

// What threads of one loop do between two steps of each other.
using namespace unit;

namespace {

struct many_threads : simulated_loop {
    many_threads() : simulated_loop(small_options(), {}, ring::threading::many) {}
};

/// Calls `attempt` when its descriptor is readable, until that answers true.
class attempted : public ring::io_operation {
protected:
    explicit attempted(std::function<bool()> attempt) : attempt_(std::move(attempt)) {}
    ~attempted() = default;
    int final_result() const noexcept { return result(); }

private:
    void prepare(ring::event_loop&, backend::submission_entry& entry) noexcept override
    {
        prepare_poll(entry, POLLIN);
    }
    step settle(ring::event_loop&) noexcept override
    {
        return result_ > 0 ? step::perform : step::done;
    }
    bool perform(int) noexcept override { return attempt_(); }

    std::function<bool()> attempt_;
};

} // namespace

BOOST_AUTO_TEST_SUITE(event_loop_threads)

// The other one has the turn by then, so that there is nothing in the queue. An attempt that was in
// vain before leaves it to a later time, which the other one has to know of.
template <int in_vain_before>
struct vain_attempts : many_threads {
    void run();
};

template <int in_vain_before>
void vain_attempts<in_vain_before>::run()
{
    connection c(*this);
    loop.work_started();
    std::promise<void> attempting;
    std::atomic<bool> in_vain{false}, has_returned{false};
    std::atomic<int> attempts{0};
    record& r = start<attempted>(*c, direction::read, [&] {
        const int number = attempts++;
        if (number != in_vain_before)
            return number > in_vain_before;
        kernel->hold_waits();
        attempting.set_value();
        kernel->await_held_wait();
        in_vain = true;
        return false;
    });
    c.peer.write("x");
    std::promise<pid_t> id;
    std::thread first([&] {
        id.set_value(::gettid());
        ring::loop_thread mine;
        loop.run(mine, [] {});
        has_returned = true;
    });
    std::thread second([&] {
        attempting.get_future().wait();
        ring::loop_thread mine;
        loop.run(mine, [] {});
    });
    const pid_t its_id = id.get_future().get();
    while (!in_vain)
        std::this_thread::yield();
    while (!has_returned && !test_support::sleeps(its_id))
        std::this_thread::yield();
    BOOST_TEST(!has_returned);
    kernel->release_waits();
    while (attempts < in_vain_before + 2)
        std::this_thread::yield();
    loop.work_finished();
    first.join();
    second.join();
    BOOST_TEST(r.done());
}

BOOST_AUTO_TEST_CASE(thread_whose_attempt_was_in_vain_goes_on_running)
{
    vain_attempts<0>().run();
}

BOOST_AUTO_TEST_CASE(thread_in_the_kernel_hears_of_what_is_to_be_attempted_later)
{
    vain_attempts<1>().run();
}

// Whenever the lock is given up, another thread may have its turn.
BOOST_FIXTURE_TEST_CASE(what_goes_to_the_kernel_during_a_close_is_cancelled_there, many_threads)
{
    connection c(*this);
    std::string buffer(8, '.');
    record& in_kernel = start<receive_into>(*c, direction::read, buffer);
    poll();
    kernel->hold(opcode::recv);
    record& pending = start<wait_for_events>(*c, direction::except, short{POLLPRI});
    std::thread other([&] {
        while (kernel->count(opcode::async_cancel) == 0)
            std::this_thread::yield();
        ring::loop_thread mine;
        loop.poll(mine, [] {});
        kernel->release();
    });
    c.close();
    other.join();
    BOOST_TEST(kernel->in_flight_count() == 0U);
    poll();
    BOOST_TEST(in_kernel.done());
    BOOST_TEST(pending.done());
    BOOST_TEST(pending.result == -ECANCELED);
}

/// A request is its submitter's, which may exit or stay away: of who starts from elsewhere, a connect, and
/// nothing of others. A write needs none.
BOOST_FIXTURE_TEST_CASE(thread_from_elsewhere_submits_what_has_an_effect_only, many_threads)
{
    const test_support::unique_descriptor listener(
        ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{AF_UNIX, ""}; // The kernel chooses a name (unix(7), autobind).
    socklen_t size = sizeof address;
    BOOST_REQUIRE(
        ::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)) == 0);
    BOOST_REQUIRE(::listen(listener.get(), 1) == 0);
    BOOST_REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    const test_support::unique_descriptor client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ring::descriptor* const to_connect = loop.open(client.get());
    connection to_read(*this), to_write(*this);
    std::string buffer(8, '.');
    std::string data = "x";
    const std::size_t before = kernel->submitted().size();
    record *reads = nullptr, *writes = nullptr, *connects = nullptr;
    std::vector<backend::submission_entry> submitted;
    in_handler([&] {
        reads = &start<receive_into>(*to_read, direction::read, buffer);
        std::thread([&] {
            within_handler = false;
            starts_elsewhere = true;
            writes = &start<send_from>(*to_write, direction::write, data);
            connects = &start<connect_to>(*to_connect, direction::write, &address, size);
        }).join();
        submitted = kernel->submitted();
        within_handler = true;
    });
    poll();
    BOOST_REQUIRE(submitted.size() == before + 1);
    BOOST_TEST((submitted.back().op == opcode::connect));
    BOOST_TEST(to_write.peer.read(1) == "x");
    poll();
    BOOST_TEST(writes->done());
    BOOST_TEST(connects->result == 0);
    to_read.peer.write("y");
    poll();
    BOOST_TEST(reads->done());
    loop.close(to_connect);
}

/// The kernel takes what it refused first, when it has memory again.
BOOST_FIXTURE_TEST_CASE(waiting_thread_is_woken_behind_what_the_kernel_refused, many_threads)
{
    connection c(*this);
    std::string buffer(8, '\0');
    loop.work_started();
    std::promise<pid_t> id;
    std::thread waiting([&] {
        id.set_value(::gettid());
        ring::loop_thread mine;
        loop.run(mine, [] {});
    });
    const pid_t its_id = id.get_future().get();
    while (kernel->count(simulation::call::enter) == 0 || !test_support::sleeps(its_id))
        std::this_thread::yield();
    constexpr unsigned forever = 1'000'000'000;
    kernel->fail_nth(simulation::call::enter, 1, EAGAIN, forever);
    within_handler = true; // On another thread of the loop.
    record& r = start<receive_into>(*c, direction::read, buffer);
    within_handler = false;
    kernel->fail_no_more(simulation::call::enter);
    std::promise<void> called;
    post("", [&] { called.set_value(); });
    called.get_future().wait();
    loop.work_finished();
    c.close();
    waiting.join();
    BOOST_TEST(r.result == -ECANCELED);
}

BOOST_AUTO_TEST_SUITE_END()
