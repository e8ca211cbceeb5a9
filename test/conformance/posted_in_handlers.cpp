// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/handler_checks.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <string>
#include <unistd.h>

// What a handler posts runs before the handlers of operations that it ends
// afterwards, or that end at once. With concurrency hint 1, what is posted waits in a
// queue of the thread, and must not be overtaken there.
namespace conformance {
namespace {

using test_support::handler_checks;

/// Objects on which something can be made to end.
template <class Ctx>
struct end_objects {
    using pipe_end = net::posix::basic_stream_descriptor<executor_of<Ctx>>;

    explicit end_objects(Ctx& ctx)
        : socket(ctx), peer(ctx), reader(ctx), writer(ctx), signals(ctx, SIGUSR1)
    {
        net::local::connect_pair(socket, peer);
        int ends[2];
        BOOST_REQUIRE(::pipe(ends) == 0);
        reader.assign(ends[0]);
        writer.assign(ends[1]);
    }

    /// What is called when something has ended.
    auto ended()
    {
        return net::bind_cancellation_slot(signal.slot(),
                                           checks.once([this](auto&&...) { order += "ended"; }));
    }

    handler_checks checks;
    std::string order;
    net::cancellation_signal signal;
    local_socket_of<Ctx> socket, peer;
    pipe_end reader, writer;
    signal_set_of<Ctx> signals;
    char byte = 'x';
};

template <class Ctx>
using step = void (*)(end_objects<Ctx>&);

/// Begins something, posts a function in a handler, and then, in the same one, ends
/// what was begun.
template <class Ctx>
void expect_posted_first(step<Ctx> begin, step<Ctx> end)
{
    for (const int hint : {BOOST_ASIO_CONCURRENCY_HINT_SAFE, 1}) {
        Ctx ctx(hint);
        end_objects<Ctx> objects(ctx);
        begin(objects);
        ctx.poll();
        net::post(ctx, [&] {
            net::post(ctx, [&] { objects.order += "posted "; });
            end(objects);
        });
        ctx.restart();
        ctx.run();
        BOOST_TEST(objects.order == "posted ended", "hint " << hint << ": " << objects.order);
    }
}

BOOST_AUTO_TEST_SUITE(posted_in_handlers)

BOOST_AUTO_TEST_CASE_TEMPLATE(runs_before_the_handler_of_what_is_cancelled, Ctx, running_contexts)
{
    const step<Ctx> reads = [](auto& o) {
        o.socket.async_read_some(net::buffer(&o.byte, 1), o.ended());
    };
    expect_posted_first<Ctx>(reads, [](auto& o) { o.socket.cancel(); });
    expect_posted_first<Ctx>(reads, [](auto& o) { o.socket.close(); });
    expect_posted_first<Ctx>(reads, [](auto& o) { ::close(o.socket.release()); });
    expect_posted_first<Ctx>(reads,
                             [](auto& o) { o.signal.emit(net::cancellation_type::terminal); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(runs_before_the_handler_of_a_wait_at_a_pipe_that_is_cancelled, Ctx,
                              running_contexts)
{
    const step<Ctx> reads = [](auto& o) {
        o.reader.async_read_some(net::buffer(&o.byte, 1), o.ended());
    };
    expect_posted_first<Ctx>(reads, [](auto& o) { o.reader.cancel(); });
    expect_posted_first<Ctx>(reads, [](auto& o) { o.reader.close(); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(runs_before_the_handler_of_a_cancelled_wait_for_a_signal, Ctx,
                              running_contexts)
{
    const step<Ctx> waits = [](auto& o) { o.signals.async_wait(o.ended()); };
    expect_posted_first<Ctx>(waits, [](auto& o) { o.signals.cancel(); });
    expect_posted_first<Ctx>(waits,
                             [](auto& o) { o.signal.emit(net::cancellation_type::terminal); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(runs_before_the_handler_of_what_ends_at_once, Ctx, running_contexts)
{
    const step<Ctx> nothing = [](auto&) {};
    expect_posted_first<Ctx>(
        nothing, [](auto& o) { o.writer.async_write_some(net::buffer(&o.byte, 1), o.ended()); });
    const step<Ctx> writes = [](auto& o) {
        BOOST_TEST(o.writer.write_some(net::buffer("a")) > 0u);
    };
    expect_posted_first<Ctx>(
        writes, [](auto& o) { o.reader.async_read_some(net::buffer(&o.byte, 1), o.ended()); });
    expect_posted_first<Ctx>(
        nothing, [](auto& o) { o.socket.async_read_some(net::buffer(&o.byte, 0), o.ended()); });
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
