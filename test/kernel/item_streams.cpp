// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"
#include "watched_backend.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <safer_ring/asio/accept_stream.hpp>
#include <safer_ring/asio/receive_stream.hpp>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <deque>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

// What receive_stream and accept_stream ask of the kernel, at the bounds of their
// buffers, and where the kernel lacks something.
namespace kernel {
namespace {

namespace backend = safer_ring::backend;
using backend::opcode;
using safer_ring::owned_buffer;
using safer_ring::stream_limits;
using test_support::handler_checks;
using test_support::run_until;

/// Few and small buffers, so that a test reaches their bounds.
safer_ring::options few_buffers(unsigned count = 4)
{
    safer_ring::options settings;
    settings.receive_buffer_count = count;
    settings.receive_buffer_size_bytes = 64;
    return settings;
}

/// A stream on a context whose requests are looked at.
struct watched_stream {
    explicit watched_stream(
        const safer_ring::options& settings = {}, const stream_limits& l = {},
        void (*prepare)(watch&) = [](watch&) {})
        : limits(l), ctx(1, settings, make(settings, prepare))
    {
    }
    std::unique_ptr<backend::backend> make(const safer_ring::options& settings,
                                           void (*prepare)(watch&))
    {
        prepare(*seen);
        return std::make_unique<watched_backend>(settings, seen);
    }

    void write(std::string_view text) { net::write(ends.second, net::buffer(text)); }
    std::optional<owned_buffer> next()
    {
        std::optional<owned_buffer> taken;
        bool done = false;
        stream.async_next(checks.once([&](error_code ec, owned_buffer b) {
            if (!ec)
                taken = std::move(b);
            end = ec;
            done = true;
        }));
        run_until(ctx, [&] { return done; });
        return taken;
    }
    /// Lets the context run until that is so, whether there is work or not.
    template <class Predicate>
    void poll_until(Predicate predicate)
    {
        test_support::poll_until(ctx, std::move(predicate));
    }

    handler_checks checks;
    std::shared_ptr<watch> seen = std::make_shared<watch>();
    stream_limits limits;
    context ctx;
    std::pair<socket, socket> ends = test_support::connected_pair<socket>(ctx);
    safer_ring::receive_stream<socket> stream{ends.first, limits};
    error_code end;
};

std::future<std::pair<error_code, owned_buffer>>
outcome_of_next(safer_ring::receive_stream<socket>& stream)
{
    std::promise<std::pair<error_code, owned_buffer>> outcome;
    auto future = outcome.get_future();
    stream.async_next([o = std::move(outcome)](error_code ec, owned_buffer b) mutable {
        o.set_value({ec, std::move(b)});
    });
    return future;
}

std::string numbered(int count)
{
    std::string text;
    for (int i = 0; i < count; ++i)
        text += std::to_string(i) + ' ';
    return text;
}

/// Sends all of it from a thread of its own, and reads the stream to its end.
std::string transfer(watched_stream& s, const std::string& text, std::deque<owned_buffer>* kept)
{
    std::thread sender([&] {
        s.write(text);
        s.ends.second.shutdown(net::socket_base::shutdown_send);
    });
    std::string all;
    while (std::optional<owned_buffer> piece = s.next()) {
        all += piece->text();
        if (kept != nullptr)
            kept->push_back(std::move(*piece));
    }
    sender.join();
    BOOST_TEST(s.end == net::error::eof);
    return all;
}

BOOST_AUTO_TEST_SUITE(item_streams, *needs_io_uring)

BOOST_AUTO_TEST_CASE(one_request_is_for_all_pieces)
{
    watched_stream s;
    if (!s.ctx.features().multishot_receive || !s.ctx.features().buffer_ring)
        SAFER_RING_SKIP("no multishot receive (Linux 6.0)");
    for (int i = 0; i < 50; ++i) {
        s.write(std::to_string(i));
        BOOST_TEST(s.next()->text() == std::to_string(i));
    }
    BOOST_TEST(s.seen->count(opcode::recv) == 1U);
    BOOST_TEST(s.seen->count(opcode::poll_add) == 0U);
    BOOST_TEST(s.seen->count(opcode::async_cancel) == 0U);
    // Plain receives have buffers of their own, and all of them.
    BOOST_TEST(s.ctx.impl().loop().buffers().outstanding() == 0U);
}

BOOST_AUTO_TEST_CASE(end_that_comes_together_with_the_last_bytes_is_told)
{
    handler_checks checks;
    const auto seen = std::make_shared<watch>();
    seen->polls_first = true;
    context ctx(1, {}, std::make_unique<watched_backend>(safer_ring::options(), seen));
    using local_socket =
        net::basic_stream_socket<net::local::stream_protocol, safer_ring::executor>;
    local_socket near(ctx), far(ctx);
    net::local::connect_pair(near, far);
    net::write(far, net::buffer("last", 4));
    far.close();
    safer_ring::receive_stream<local_socket> stream(near);
    std::string text;
    error_code end;
    bool is_over = false;
    stream.async_next(checks.once([&](error_code, owned_buffer last) {
        text = last.text();
        stream.async_next(checks.once([&](error_code ec, owned_buffer) {
            end = ec;
            is_over = true;
        }));
    }));
    run_until(ctx, [&] { return is_over; });
    BOOST_TEST(text == "last");
    BOOST_TEST(end == net::error::eof);
}

BOOST_AUTO_TEST_CASE(receives_go_on_without_the_multishot_or_the_buffers)
{
    const std::string text = numbered(20000);
    const auto refuse = [](watch& w) { w.refuses_multishot = true; };
    const auto hurry = [](watch& w) { w.never_waits = true; };
    watched_stream without_multishot({}, {}, refuse);
    BOOST_TEST((transfer(without_multishot, text, nullptr) == text));
    BOOST_TEST(without_multishot.seen->refused <= 1U);
    BOOST_TEST(without_multishot.seen->count(opcode::poll_add) != 0U);
    watched_stream never_waiting({}, {}, hurry);
    BOOST_TEST((transfer(never_waiting, text, nullptr) == text));
    safer_ring::options none;
    none.receive_buffer_count = 0;
    watched_stream without_buffers(none);
    BOOST_TEST((transfer(without_buffers, text, nullptr) == text));
    BOOST_TEST(without_buffers.seen->count(opcode::recv) == 0U);
}

BOOST_AUTO_TEST_CASE(pieces_that_are_kept_starve_nobody)
{
    const std::string text = numbered(5000);
    watched_stream s(few_buffers());
    std::deque<owned_buffer> kept;
    BOOST_TEST((transfer(s, text, &kept) == text));
    std::string all;
    for (const owned_buffer& b : kept)
        all += b.text();
    BOOST_TEST((all == text)); // Nothing was written into what was given away.
    // Each request for want of buffers moved something.
    const unsigned requests = s.seen->count(opcode::recv) + s.seen->count(opcode::poll_add);
    BOOST_TEST(requests <= 3 * kept.size());
}

BOOST_AUTO_TEST_CASE(buffers_outlive_the_context)
{
    std::optional<owned_buffer> piece;
    {
        watched_stream s;
        s.write("kept");
        piece = s.next();
    }
    BOOST_TEST(piece->text() == "kept");
    std::thread([p = std::move(piece)]() mutable { p.reset(); }).join();
}

BOOST_AUTO_TEST_CASE(reader_that_reads_nothing_holds_up_itself_only)
{
    watched_stream s(few_buffers(8), stream_limits{4, 2});
    auto others = test_support::connected_pair<socket>(s.ctx);
    safer_ring::receive_stream other(others.first);
    s.write("begin");
    BOOST_TEST(s.next()->text() == "begin");
    s.ends.second.native_non_blocking(true);
    // Otherwise it takes the kernel a million bytes to be full.
    s.ends.first.set_option(net::socket_base::receive_buffer_size(1));
    s.ends.second.set_option(net::socket_base::send_buffer_size(1));
    std::string sent;
    s.poll_until([&, refused = 0]() mutable {
        const std::string text = std::to_string(sent.size()) + ' ';
        const ssize_t n = ::send(s.ends.second.native_handle(), text.data(), text.size(), 0);
        if (n > 0)
            sent += text.substr(0, static_cast<std::size_t>(n));
        refused = n < 0 ? refused + 1 : 0;
        return refused == 100;
    });
    BOOST_TEST(s.stream.held() >= 4U);
    BOOST_TEST(s.stream.held() <= 4U + 8U);
    const unsigned before = s.seen->enters;
    for (int i = 0; i < 100; ++i) {
        const std::string text = std::to_string(i);
        net::write(others.second, net::buffer(text));
        std::string received;
        other.async_next(s.checks.once([&](error_code, owned_buffer b) { received = b.text(); }));
        run_until(s.ctx, [&] { return !received.empty(); });
        BOOST_TEST(received == text);
    }
    BOOST_TEST(s.seen->enters - before <= 600U); // Nobody asks for it all the time.
    s.ends.second.close();
    std::string all;
    while (const std::optional<owned_buffer> piece = s.next())
        all += piece->text();
    BOOST_TEST((all == sent));
}

BOOST_AUTO_TEST_CASE(many_connections_share_few_buffers)
{
    using local_socket =
        net::basic_stream_socket<net::local::stream_protocol, safer_ring::executor>;
    constexpr std::size_t connections = 200;
    const std::string text = numbered(400);
    context ctx(1, few_buffers(64));
    struct end {
        explicit end(context& c) : near(c), far(c)
        {
            net::local::connect_pair(near, far);
            stream.emplace(near, stream_limits{4, 2});
        }
        void go_on()
        {
            stream->async_next([this](error_code ec, owned_buffer b) {
                received += b.text();
                if (!ec)
                    go_on();
            });
        }
        local_socket near, far;
        std::optional<safer_ring::receive_stream<local_socket>> stream;
        std::string received;
    };
    std::deque<end> ends;
    for (std::size_t i = 0; i < connections; ++i)
        ends.emplace_back(ctx);
    end& idle = ends.front(); // Takes one piece, and then nothing until the others are done.
    idle.stream->async_next([&](error_code, owned_buffer b) { idle.received += b.text(); });
    for (std::size_t i = 1; i < connections; ++i)
        ends[i].go_on();
    for (end& e : ends) {
        net::write(e.far, net::buffer(text));
        e.far.close();
    }
    ctx.run();
    for (std::size_t i = 1; i < connections; ++i)
        BOOST_TEST((ends[i].received == text));
    BOOST_TEST(idle.stream->held() <= 4U + 64U);
    idle.go_on();
    ctx.restart();
    ctx.run();
    BOOST_TEST((idle.received == text));
}

BOOST_AUTO_TEST_CASE(one_request_is_for_all_connections_where_the_kernel_has_that)
{
    for (const bool refused : {false, true}) {
        auto seen = std::make_shared<watch>();
        seen->refuses_multishot = refused;
        handler_checks checks;
        context ctx(1, {}, std::make_unique<watched_backend>(safer_ring::options(), seen));
        acceptor listening(ctx, tcp::endpoint(net::ip::address_v4::loopback(), 0));
        safer_ring::accept_stream stream(listening);
        std::deque<socket> clients;
        for (int i = 0; i < 20; ++i) {
            clients.emplace_back(ctx).connect(listening.local_endpoint());
            bool done = false;
            stream.async_next(checks.once([&](error_code ec, const socket& s) {
                BOOST_TEST(!ec);
                BOOST_TEST(s.remote_endpoint() == clients.back().local_endpoint());
                done = true;
            }));
            run_until(ctx, [&] { return done; });
        }
        if (ctx.features().multishot_accept && !refused)
            BOOST_TEST(seen->count(opcode::accept) == 1U);
        BOOST_TEST(seen->count(opcode::accept) <= 22U);
    }
}

BOOST_AUTO_TEST_CASE(streams_on_threads_keep_their_order)
{
    constexpr int connections = 8;
    const std::string text = numbered(5000);
    handler_checks checks;
    std::deque<std::string> received(connections);
    std::atomic<int> failures = 0;
    context ctx;
    struct session : std::enable_shared_from_this<session> {
        session(std::pair<socket, socket> e, std::string& to)
            : ends(std::move(e)), stream(ends.first, stream_limits{4, 2}), received(to)
        {
        }
        void go_on()
        {
            stream.async_next([self = shared_from_this()](error_code ec, owned_buffer b) {
                self->received += b.text();
                if (!ec)
                    self->go_on();
            });
        }
        std::pair<socket, socket> ends;
        safer_ring::receive_stream<socket> stream;
        std::string& received;
    };
    for (std::string& to : received) {
        auto s = std::make_shared<session>(test_support::connected_pair<socket>(ctx), to);
        net::async_write(s->ends.second, net::buffer(text),
                         checks.once([s, &failures](error_code ec, std::size_t) {
                             failures += ec ? 1 : 0;
                             s->ends.second.shutdown(net::socket_base::shutdown_send);
                         }));
        net::post(ctx, [s] { s->go_on(); });
    }
    std::thread other([&] { ctx.run(); });
    ctx.run();
    other.join();
    BOOST_TEST(failures == 0);
    for (const std::string& got : received)
        BOOST_TEST((got == text));
}

BOOST_AUTO_TEST_CASE(streams_are_stopped_and_dropped_while_another_thread_runs)
{
    for (const int hint : {1, BOOST_ASIO_CONCURRENCY_HINT_DEFAULT}) {
        handler_checks checks;
        context ctx(hint);
        auto guard = net::make_work_guard(ctx);
        std::thread runner([&] { ctx.run(); });
        for (int i = 0; i < 50; ++i) {
            auto ends = test_support::connected_pair<socket>(ctx);
            std::optional<safer_ring::receive_stream<socket>> stream(std::in_place, ends.first);
            net::write(ends.second, net::buffer("12", 2));
            auto first = stream->async_next(net::use_future);
            std::string all(first.get().text());
            net::write(ends.second, net::buffer("34", 2));
            auto second = outcome_of_next(*stream);
            for (const owned_buffer& b : stream->stop())
                all += b.text();
            auto [ec, piece] = second.get();
            BOOST_TEST((!ec || ec == net::error::operation_aborted));
            if (!ec)
                all = all.substr(0, 2) + std::string(piece.text()) + all.substr(2);
            std::string rest(4 - all.size(), ' ');
            net::read(ends.first, net::buffer(rest));
            BOOST_TEST(all + rest == "1234");
            stream.emplace(ends.first);
            auto dropped = outcome_of_next(*stream);
            stream.reset();
            BOOST_TEST(dropped.get().first == net::error::operation_aborted);
            net::write(ends.second, net::buffer("5", 1));
            BOOST_TEST(net::read(ends.first, net::buffer(rest.data(), 0)) == 0U);
            char byte = 0;
            auto plain = ends.first.async_receive(net::buffer(&byte, 1), net::use_future);
            BOOST_TEST(plain.get() == 1U);
            BOOST_TEST(byte == '5');
        }
        guard.reset();
        runner.join();
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
