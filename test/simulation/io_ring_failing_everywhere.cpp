// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/injected_failures.hpp"
#include "support/simulated_ring.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <coroutine>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <thread>

// One conversation with everything that an io_ring offers, run again and again
// with the n-th call failing, n = 1, 2, 3 and so on until it runs through.
using namespace simulated;
using namespace std::chrono_literals;
using namespace safer_ring;

BOOST_AUTO_TEST_SUITE(io_ring_failing_everywhere)

namespace {

struct task {
    struct promise_type {
        task get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { throw; }
    };
};

task add_in_coroutine(operation<ops::read, submitted> reading, std::string& to)
{
    auto [result, buffer] = (co_await std::move(reading)).take();
    if (result)
        to += buffer.text();
}

/// What came of a conversation. Filled without an allocation that is not of the
/// conversation.
struct outcome {
    std::string received; // By a wait, a callback, and a coroutine; short.
    bool chain_went_on = false;
    bool hard_link_went_on = false;
    bool cancelled = false;
    bool timed_out = false;
    bool without_effect = true; // What threw.
    unsigned thrown = 0;
};

/// Calls `f`, and once more when it has thrown for lack of memory: only one
/// allocation fails.
template <typename F>
auto with_retry(io_ring& ring, outcome& o, F f)
{
    const std::size_t before = ring.in_flight();
    try {
        return f();
    } catch (const std::bad_alloc&) {
        ++o.thrown;
        o.without_effect = o.without_effect && ring.in_flight() == before;
        return f();
    }
}

class conversation {
public:
    explicit conversation(ring_with_pipe& with) : with_(with), ring_(*with.ring) {}

    outcome run()
    {
        waits();
        calls_back();
        chains();
        sends_a_message();
        ends_early();
        ring_.run();
        if (!ring_.shutdown(20s) || ring_.in_flight() != 0)
            o_.without_effect = false;
        return o_;
    }

private:
    template <typename F>
    auto retry(F f)
    {
        return with_retry(ring_, o_, f);
    }
    /// Made and submitted; either may lack memory.
    template <typename Make>
    auto submit(Make make)
    {
        auto op = retry(make);
        return retry([&op] { return std::move(op).submit(); });
    }
    auto submit_read()
    {
        return submit([this] { return with_.read(); });
    }
    auto submit_write(const char* text)
    {
        return submit([this, text] { return with_.write(text); });
    }

    void waits()
    {
        auto reading = submit_read();
        auto writing = submit_write("a");
        auto [result, buffer] = std::move(reading).wait().take();
        o_.received += buffer.text();
        static_cast<void>(std::move(writing).wait());
        shared_buffer text = retry([this] {
            owned_buffer bytes = with_.buffer();
            bytes.resize(1);
            *bytes.data() = std::byte{'b'};
            return std::move(bytes).freeze();
        });
        auto shared = submit([&] { return ring_.write(with_.writer.get(), text); });
        o_.received += submit_read().wait().take().second.text();
        static_cast<void>(std::move(shared).wait());
    }

    void calls_back()
    {
        auto reading = submit_read();
        retry([&] {
            std::move(reading).then([this](operation<ops::read, completed> over) {
                o_.received += std::move(over).take().second.text();
            });
        });
        static_cast<void>(submit_write("c").wait());
        ring_.run();
        try {
            add_in_coroutine(submit_read(), o_.received);
        } catch (const std::bad_alloc&) { // Of its frame: the operation is given up.
            ++o_.thrown;
            add_in_coroutine(submit_read(), o_.received);
        }
        static_cast<void>(submit_write("d").wait());
        ring_.run();
    }

    void chains()
    {
        auto first = retry([this] { return with_.write("e"); });
        auto second = retry([this] { return with_.read(); });
        auto third = retry([this] { return ring_.nop().within(1h); });
        auto [written, read, nothing] = retry([&] {
            return ring_.submit_linked(std::move(first), std::move(second), std::move(third));
        });
        // Of 64 bytes one came, which ends the chain.
        o_.chain_went_on = std::move(nothing).wait().result().has_value();
        o_.received += std::move(read).wait().take().second.text();
        static_cast<void>(std::move(written).wait());
        auto failing = retry([this] { return ring_.read(-1, owned_buffer(8)); });
        auto behind = retry([this] { return ring_.timeout(0s); });
        auto [failed, went_on] =
            retry([&] { return ring_.submit_in_order(std::move(failing), std::move(behind)); });
        o_.hard_link_went_on = std::move(went_on).wait().result().has_value();
        static_cast<void>(std::move(failed).wait());
    }

    void sends_a_message()
    {
        auto messages = retry([this] { return ring_.messages(); });
        auto sending = submit([this] { return ring_.message_ring(ring_.address(), 'f'); });
        static_cast<void>(std::move(sending).wait());
        o_.received += static_cast<char>(messages.next().wait().value());
    }

    void ends_early()
    {
        auto limited = submit([this] { return with_.read().within(0s); });
        o_.timed_out = std::move(limited).wait().result().code() == std::errc::timed_out;
        auto pending = submit_read();
        ring_.flush();
        pending.cancel();
        o_.cancelled = std::move(pending).wait().result().was_cancelled();
        {
            auto given_up = submit_read();
            ring_.flush();
        }
        auto drained = submit([this] { return ring_.nop().drained(); });
        static_cast<void>(std::move(drained).wait());
        const std::string text = retry([this] { return ring_.describe(); });
        ring_.cancel_all();
    }

    ring_with_pipe& with_;
    io_ring& ring_;
    outcome o_;
};

/// With everything of the fixture gone but the memory, which has to be back.
void check(const outcome& o, const ring_with_pipe& with)
{
    BOOST_TEST(o.received == "abcdef");
    BOOST_TEST(!o.chain_went_on);
    BOOST_TEST(o.hard_link_went_on);
    BOOST_TEST(o.timed_out);
    BOOST_TEST(o.cancelled);
    BOOST_TEST(o.without_effect);
    BOOST_TEST(with.all_back());
    BOOST_TEST(with.kernel->in_flight_count() == 0U);
}

} // namespace

BOOST_AUTO_TEST_CASE(the_nth_enter_fails_and_nothing_is_lost)
{
    unsigned enters = 0;
    {
        ring_with_pipe with;
        check(conversation(with).run(), with);
        enters = with.kernel->count(simulation::call::enter);
    }
    BOOST_REQUIRE(enters > 10U);
    for (const int error : {EBUSY, EAGAIN, ENOMEM, EINTR})
        for (const unsigned times : {1U, 3U})
            for (unsigned n = 1; n <= enters; ++n)
                BOOST_TEST_CONTEXT("enter " << n << ", " << times
                                            << " times: " << std::strerror(error))
                {
                    ring_with_pipe with;
                    with.kernel->fail_nth(simulation::call::enter, n, error, times);
                    check(conversation(with).run(), with);
                    BOOST_TEST(with.kernel->failures_spent());
                }
}

/// Longer than one call of the ring tries it.
BOOST_AUTO_TEST_CASE(kernel_that_takes_nothing_for_a_while_gets_it_later)
{
    for (const int error : {EBUSY, EAGAIN, ENOMEM, EINTR}) {
        ring_with_pipe with;
        with.kernel->fail_nth(simulation::call::enter, 1, error, 200);
        auto reading = with.read().submit();
        with.ring->flush();
        BOOST_TEST(with.kernel->submitted().empty());
        with.write_plain("text");
        const owned_buffer back = std::move(reading).wait().take().second;
        BOOST_TEST(back.text() == "text");
    }
}

BOOST_AUTO_TEST_CASE(the_nth_allocation_fails_and_what_threw_had_no_effect)
{
    unsigned thrown = 0;
    bool happened = true;
    for (unsigned n = 1; happened; ++n)
        BOOST_TEST_CONTEXT("allocation " << n)
        {
            ring_with_pipe with;
            outcome o;
            // Of a thread that keeps no memory of operations that are over.
            std::thread([&] {
                const injected::allocation_failure failing(n);
                o = conversation(with).run();
                happened = failing.happened();
            }).join();
            thrown += o.thrown;
            BOOST_TEST(o.thrown == (happened ? 1U : 0U));
            check(o, with);
            BOOST_REQUIRE(n < 1000U);
        }
    BOOST_TEST(thrown > 8U);
}

BOOST_AUTO_TEST_SUITE_END()
