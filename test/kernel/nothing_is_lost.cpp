// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"

#include <support/connected_pair.hpp>
#include <support/handler_checks.hpp>
#include <support/run_until.hpp>
#include <support/skip.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

// Contract: nothing is lost where epoll loses nothing, and order is kept.

namespace kernel {
namespace {

/// Numbers 0, 1, 2, … as four bytes each.
std::string numbered(std::uint32_t from, std::uint32_t count)
{
    std::string text(std::size_t{count} * 4, '\0');
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t number = from + i;
        std::memcpy(&text[std::size_t{i} * 4], &number, 4);
    }
    return text;
}

/// Collects a numbered stream in pieces of any size.
class number_checker {
public:
    void take(const char* data, std::size_t size)
    {
        pending_.append(data, size);
        std::size_t used = 0;
        for (; pending_.size() - used >= 4; used += 4) {
            std::uint32_t number = 0;
            std::memcpy(&number, pending_.data() + used, 4);
            if (number != next_)
                BOOST_FAIL("expected number " << next_ << ", got " << number);
            ++next_;
        }
        pending_.erase(0, used);
    }
    [[nodiscard]] std::uint32_t next() const noexcept { return next_; }

private:
    std::string pending_;
    std::uint32_t next_ = 0;
};

} // namespace

BOOST_AUTO_TEST_SUITE(nothing_is_lost, *needs_io_uring)

BOOST_AUTO_TEST_CASE(socket_is_released_to_another_context_with_a_read_pending)
{
    constexpr int moves = 1000;
    constexpr std::uint32_t numbers = 300'000; // More than so many reads can take.
    context first(1);
    context second(1);
    context* contexts[] = {&first, &second};
    auto [start, peer] = test_support::connect_to_peer<socket>(first);
    std::thread sender([&to = peer] {
        constexpr std::uint32_t piece = 50;
        for (std::uint32_t sent = 0; sent < numbers; sent += piece)
            to.write(numbered(sent, piece));
        to.shutdown_write();
    });

    number_checker received;
    socket current = std::move(start);
    std::array<char, 1024> buffer;
    bool ended = false;
    int moved = 0;
    for (; moved < moves && !ended; ++moved) {
        bool done = false;
        current.async_read_some(net::buffer(buffer), [&](error_code ec, std::size_t n) {
            received.take(buffer.data(), n);
            ended = ec == net::error::eof;
            done = true;
        });
        context& here = *contexts[moved % 2];
        context& there = *contexts[(moved + 1) % 2];
        here.restart();
        here.poll();
        const int native = current.release();
        // What the kernel delivered before the release is the handler's.
        here.restart();
        here.run();
        BOOST_REQUIRE(done);
        current = socket(there, tcp::v4(), native);
    }
    while (!ended) {
        error_code ec;
        const std::size_t n = current.read_some(net::buffer(buffer), ec);
        received.take(buffer.data(), n);
        ended = ec == net::error::eof;
    }
    sender.join();
    BOOST_TEST(moved == moves);
    BOOST_TEST(received.next() == numbers);
}

BOOST_AUTO_TEST_CASE(write_is_attempted_before_each_synchronous_call_that_follows_it)
{
    using action = void (*)(socket&);
    const action actions[] = {
        [](socket& s) { s.shutdown(tcp::socket::shutdown_send); },
        [](socket& s) { s.close(); },
        [](socket& s) { s.cancel(); },
        [](socket& s) { net::write(s, net::buffer("!", 1)); },
        [](socket& s) { s.set_option(tcp::no_delay(true)); },
        [](socket& s) { socket gone(std::move(s)); },
    };
    for (const int hint : {1, -1})
        for (const action act : actions) {
            context ioc(hint);
            auto [mine, peer] = test_support::connect_to_peer<socket>(ioc);
            error_code result = test_support::garbage_error();
            mine.async_write_some(net::buffer("hello", 5),
                                  [&](error_code ec, std::size_t) { result = ec; });
            act(mine);
            BOOST_TEST(peer.read(5) == "hello");
            ioc.run();
            BOOST_TEST(!result);
        }
}

BOOST_AUTO_TEST_CASE(writes_started_at_once_arrive_in_order)
{
    context ioc(1);
    auto [mine, peer] = test_support::connect_to_peer<socket>(ioc);
    constexpr std::uint32_t writes = 10;
    std::vector<std::string> pieces;
    for (std::uint32_t i = 0; i < writes; ++i)
        pieces.push_back(numbered(i * 100, 100));
    std::vector<std::size_t> completed;
    for (std::size_t i = 0; i < pieces.size(); ++i)
        mine.async_write_some(net::buffer(pieces[i]),
                              [&completed, i](error_code ec, std::size_t n) {
                                  BOOST_TEST(!ec);
                                  BOOST_TEST(n == 400u);
                                  completed.push_back(i);
                              });
    ioc.run();
    BOOST_TEST(std::is_sorted(completed.begin(), completed.end()));
    BOOST_TEST(completed.size() == writes);
    number_checker received;
    const std::string all = peer.read(writes * 400);
    received.take(all.data(), all.size());
    BOOST_TEST(received.next() == writes * 100);
}

BOOST_AUTO_TEST_CASE(read_cancelled_by_an_earlier_handler_of_the_batch_keeps_its_data)
{
    context ioc(1);
    auto [one, one_peer] = test_support::connect_to_peer<socket>(ioc);
    auto [two, two_peer] = test_support::connect_to_peer<socket>(ioc);
    std::array<char, 8> first{};
    std::array<char, 8> second{};
    std::string got;
    error_code second_result = test_support::garbage_error();
    one.async_read_some(net::buffer(first),
                        [&, &other = two](error_code, std::size_t) { other.cancel(); });
    two.async_read_some(net::buffer(second), [&](error_code ec, std::size_t n) {
        second_result = ec;
        got.append(second.data(), n);
    });
    one_peer.write("1");
    two_peer.write("kept");
    ioc.run();
    if (second_result) { // Cancelled before the kernel took the data: it is still there.
        std::array<char, 4> rest{};
        net::read(two, net::buffer(rest));
        got.append(rest.data(), rest.size());
    }
    BOOST_TEST(got == "kept");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace kernel
