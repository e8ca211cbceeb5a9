// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/injected_failures.hpp"
#include "support/simulated_context.hpp"

#include <safer_ring/asio/accept_stream.hpp>
#include <safer_ring/asio/datagram_stream.hpp>
#include <safer_ring/asio/receive_stream.hpp>

#include <boost/test/unit_test.hpp>

#include <memory>
#include <new>
#include <string>
#include <vector>

// A connection by an accept_stream and what comes in on it by a receive_stream, again
// and again, with another allocation failing each time.
using namespace simulated;

namespace {

struct outcome_of_run {
    std::string received;
    std::vector<error_code> errors; ///< But for the end of the stream.
    bool reached_end = false;
    bool threw = false; ///< An initiating function, or a handler's caller.
    bool happened = false;
    unsigned allocations = 0;
};

std::string message()
{
    std::string text; // Of a few buffers.
    for (int i = 0; i < 300; ++i)
        text += std::to_string(i) + ' ';
    return text;
}

class program {
public:
    explicit program(outcome_of_run& outcome) : outcome_(outcome) { client_.open(tcp::v4()); }

    void run()
    {
        client_.connect(acceptor_.local_endpoint());
        net::write(client_, net::buffer(message()));
        client_.shutdown(net::socket_base::shutdown_send);
        accept();
        for (int i = 0; i < 10 && !outcome_.reached_end; ++i) {
            try {
                ring_.context->restart();
                ring_.context->run();
                if (was_called_ && socket_ == nullptr)
                    return; // There was only that connection.
                if (socket_ == nullptr)
                    accept();
                else if (!outcome_.reached_end)
                    receive();
            } catch (const std::bad_alloc&) {
                outcome_.threw = true;
            }
        }
    }

private:
    void accept()
    {
        if (connections_ == nullptr)
            connections_ = std::make_unique<accepting>(acceptor_);
        connections_->async_next([this](error_code ec, tcp_socket socket) {
            was_called_ = true;
            if (ec)
                return outcome_.errors.push_back(ec);
            socket_ = std::make_unique<tcp_socket>(std::move(socket));
            receive();
        });
    }
    void receive()
    {
        if (stream_ == nullptr)
            stream_ = std::make_unique<receiving>(*socket_, safer_ring::stream_limits{3, 1});
        stream_->async_next([this](error_code ec, safer_ring::owned_buffer piece) {
            outcome_.received += piece.text();
            outcome_.reached_end = ec == net::error::eof;
            if (ec && !outcome_.reached_end)
                outcome_.errors.push_back(ec);
            if (!ec)
                receive();
        });
    }

    using accepting = safer_ring::accept_stream<tcp_acceptor>;
    using receiving = safer_ring::receive_stream<tcp_socket>;

    outcome_of_run& outcome_;
    simulated_context ring_;
    tcp_acceptor acceptor_{*ring_.context, tcp::endpoint(net::ip::address_v4::loopback(), 0)};
    tcp_socket client_{*ring_.context};
    std::unique_ptr<tcp_socket> socket_;
    std::unique_ptr<accepting> connections_;
    std::unique_ptr<receiving> stream_;
    bool was_called_ = false;
};

outcome_of_run run_failing_at(unsigned n)
{
    outcome_of_run outcome;
    // What a test gathers fails by itself.
    outcome.received.reserve(2 * message().size());
    outcome.errors.reserve(100);
    const injected::allocation_failure failure(n);
    try {
        program(outcome).run();
    } catch (const std::bad_alloc&) {
        outcome.threw = true;
    }
    injected::allocation_failure::disarm();
    outcome.happened = failure.happened();
    outcome.allocations = failure.count();
    return outcome;
}

/// Items come by `bring`, some of them while nobody asks for one, and are asked for, with
/// an allocation failing meanwhile.
template <class Stream, class Bring>
outcome_of_run take_failing_at(unsigned n, simulated_context& ring, Stream& stream, Bring bring)
{
    outcome_of_run outcome;
    outcome.errors.reserve(100);
    const auto ask = [&] {
        stream.async_next([&](error_code ec, const auto&...) {
            outcome.reached_end = !ec; // As far as this program goes.
            if (ec)
                outcome.errors.push_back(ec);
        });
    };
    const auto guarded = [&](auto f) {
        try {
            ring.context->restart();
            f();
        } catch (const std::bad_alloc&) {
            outcome.threw = true;
        }
    };
    ask();
    bring();
    ring.context->run();
    const auto work = net::make_work_guard(*ring.context);
    const injected::allocation_failure failure(n);
    for (int i = 0; i < 5; ++i)
        guarded([&] {
            bring();
            ring.context->poll();
        });
    const auto take_one = [&] {
        bring();
        ask();
        ring.context->run_one();
    };
    for (int i = 0; i < 10; ++i)
        guarded(take_one);
    injected::allocation_failure::disarm();
    outcome.happened = failure.happened();
    outcome.allocations = failure.count();
    guarded(take_one);
    return outcome;
}

/// A stream of items each of which means something without the others tells once that one
/// was lost.
template <class Run>
void expect_to_go_on(Run run)
{
    const outcome_of_run whole = run(0);
    BOOST_TEST(whole.errors.empty());
    BOOST_TEST(whole.allocations != 0U);
    unsigned lost = 0;
    for (unsigned n = 1; n <= whole.allocations; ++n) {
        const outcome_of_run one = run(n);
        BOOST_TEST_CONTEXT("allocation " << n << " of " << whole.allocations)
        {
            BOOST_TEST(one.happened);
            BOOST_TEST(one.errors.size() <= 1U);
            BOOST_TEST(one.reached_end);
            for (const error_code& ec : one.errors)
                BOOST_TEST(ec == net::error::no_memory);
            lost += one.errors.empty() ? 0U : 1U;
        }
    }
    BOOST_TEST(lost != 0U);
}

BOOST_AUTO_TEST_SUITE(item_streams)

BOOST_AUTO_TEST_CASE(no_allocation_that_fails_loses_or_repeats_anything_in_silence)
{
    const std::size_t descriptors = open_descriptors();
    const outcome_of_run whole = run_failing_at(0);
    BOOST_TEST((whole.received == message()));
    BOOST_TEST(whole.errors.empty());
    unsigned recovered = 0;
    for (unsigned n = 1; n <= whole.allocations; ++n) {
        const outcome_of_run run = run_failing_at(n);
        BOOST_TEST_CONTEXT("allocation " << n << " of " << whole.allocations)
        {
            BOOST_TEST(message().starts_with(run.received));
            const bool told = run.threw || !run.errors.empty();
            BOOST_TEST((told || run.received == message()));
            BOOST_TEST((told || run.reached_end));
            for (const error_code& ec : run.errors)
                BOOST_TEST(ec == net::error::no_memory);
            BOOST_TEST(run.happened);
            BOOST_TEST(open_descriptors() == descriptors);
            recovered += run.received == message() ? 1U : 0U;
        }
    }
    BOOST_TEST(recovered != 0U); // The others kept the program from beginning.
}

BOOST_AUTO_TEST_CASE(datagrams_go_on_behind_one_that_was_lost)
{
    using socket_type = net::basic_datagram_socket<net::local::datagram_protocol, executor>;
    expect_to_go_on([](unsigned n) {
        simulated_context ring;
        socket_type sender(*ring.context), receiver(*ring.context);
        net::local::connect_pair(sender, receiver);
        safer_ring::datagram_stream<socket_type> stream(receiver);
        return take_failing_at(n, ring, stream, [&] { sender.send(net::buffer("text", 4)); });
    });
}

BOOST_AUTO_TEST_CASE(connections_go_on_behind_one_that_was_lost)
{
    expect_to_go_on([](unsigned n) {
        simulated_context ring;
        tcp_acceptor acceptor(*ring.context, {net::ip::address_v4::loopback(), 0});
        std::vector<tcp_socket> clients;
        for (int i = 0; i < 20; ++i)
            clients.emplace_back(*ring.context).open(tcp::v4());
        auto next = clients.begin();
        safer_ring::accept_stream<tcp_acceptor> stream(acceptor);
        return take_failing_at(n, ring, stream,
                               [&] { (next++)->connect(acceptor.local_endpoint()); });
    });
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
