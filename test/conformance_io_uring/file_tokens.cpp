// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "files.hpp"

#include "support/counting_allocator.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <string>
#include <thread>

// Every kind of completion token, and handlers that run elsewhere.
namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;
using test_support::running_context;
using test_support::wait_for;

constexpr auto use_tuple = net::as_tuple(net::use_awaitable);

/// A file of both kinds, in the page cache and not.
template <class Ctx>
struct two_files {
    explicit two_files(Ctx& ctx, storage kept = storage::cached)
        : disk("0123456789", kept), random(ctx, disk.path(), net::file_base::read_write),
          stream(ctx, disk.path(), net::file_base::read_write)
    {
    }
    temporary_file disk;
    random_file_of<Ctx> random;
    stream_file_of<Ctx> stream;
    std::array<char, 4> buffer{};
    std::array<char, 4> other{};
};

BOOST_AUTO_TEST_SUITE(file_tokens)

BOOST_AUTO_TEST_CASE_TEMPLATE(futures_carry_results_and_errors, Ctx, contexts)
{
    Ctx ctx;
    two_files<Ctx> f(ctx);
    running_context<Ctx> running(ctx);
    auto read = f.random.async_read_some_at(2, net::buffer(f.buffer), net::use_future);
    BOOST_TEST(wait_for(read) == 4u);
    auto end = f.random.async_read_some_at(10, net::buffer(f.buffer), net::use_future);
    BOOST_CHECK_THROW(wait_for(end), boost::system::system_error);
    auto write = f.stream.async_write_some(net::buffer("ab", 2), net::use_future);
    BOOST_TEST(wait_for(write) == 2u);
    BOOST_TEST(std::string(f.buffer.data(), 4) == "2345");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(coroutines_await_files, Ctx, contexts)
{
    for (const storage kept : {storage::cached, storage::uncached, storage::memory}) {
        Ctx ctx;
        two_files<Ctx> f(ctx, kept);
        bool ended = false;
        net::co_spawn(
            ctx,
            [&]() -> net::awaitable<void> {
                BOOST_TEST(co_await f.random.async_read_some_at(6, net::buffer(f.buffer),
                                                                net::use_awaitable) == 4u);
                auto [ec, n] =
                    co_await f.random.async_read_some_at(10, net::buffer(f.buffer), use_tuple);
                BOOST_TEST(ec == net::error::eof);
                BOOST_TEST(n == 0u);
                auto [write_ec, written] =
                    co_await net::async_write(f.stream, net::buffer("xyz", 3), use_tuple);
                BOOST_TEST(write_ec == error_code());
                BOOST_TEST(
                    co_await net::async_read(f.stream, net::buffer(f.other), net::deferred) == 4u);
            },
            [&](std::exception_ptr e) {
                ended = true;
                BOOST_TEST(!e);
            });
        ctx.run();
        BOOST_TEST(ended);
        BOOST_TEST(std::string(f.buffer.data(), 4) == "6789");
        BOOST_TEST(std::string(f.other.data(), 4) == "3456");
        BOOST_TEST(f.disk.contents() == "xyz3456789");
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(deferred_operations_start_when_they_are_called, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    two_files<Ctx> f(ctx);
    auto read = f.random.async_read_some_at(0, net::buffer(f.buffer), net::deferred);
    BOOST_TEST(ctx.poll() == 0u);
    BOOST_TEST(f.buffer[0] == '\0');
    ctx.restart();
    io_result r;
    std::move(read)(checks.into(r));
    ctx.run();
    BOOST_TEST(r.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handlers_run_on_the_executor_bound_to_them, Ctx, contexts)
{
    for (const storage kept : {storage::cached, storage::uncached}) {
        handler_checks checks;
        Ctx ctx;
        two_files<Ctx> f(ctx, kept);
        net::thread_pool pool(1);
        const auto strand = net::make_strand(ctx);
        std::thread::id ran;
        bool in_strand = false;
        io_result elsewhere, here;
        f.random.async_read_some_at(
            0, net::buffer(f.buffer),
            net::bind_executor(pool, checks.once([&](error_code ec, std::size_t n) {
                ran = std::this_thread::get_id();
                elsewhere.store(ec, n);
            })));
        f.stream.async_read_some(
            net::buffer(f.other),
            net::bind_executor(strand, checks.once([&](error_code ec, std::size_t n) {
                in_strand = strand.running_in_this_thread();
                here.store(ec, n);
            })));
        ctx.run();
        pool.join();
        BOOST_TEST(elsewhere.bytes == 4u);
        BOOST_TEST((ran != std::this_thread::get_id()));
        BOOST_TEST(here.bytes == 4u);
        BOOST_TEST(in_strand);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(files_on_a_strand, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const temporary_file disk("0123456789");
    net::basic_random_access_file<strand_of<Ctx>> file(net::make_strand(ctx), disk.path(),
                                                       net::file_base::read_only);
    std::array<char, 4> buffer{};
    bool in_strand = false;
    file.async_read_some_at(0, net::buffer(buffer), checks.once([&](error_code, std::size_t) {
        in_strand = file.get_executor().running_in_this_thread();
    }));
    ctx.run();
    BOOST_TEST(in_strand);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_handlers_allocator_is_used, Ctx, contexts)
{
    handler_checks checks;
    test_support::allocation_counts counts;
    Ctx ctx;
    two_files<Ctx> f(ctx);
    io_result r;
    f.random.async_read_some_at(
        0, net::buffer(f.buffer),
        net::bind_allocator(test_support::counting_allocator<>(counts), checks.into(r)));
    BOOST_TEST(counts.made > 0);
    ctx.run();
    BOOST_TEST(r.bytes == 4u);
    BOOST_TEST(counts.live == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(files_in_a_parallel_group, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    two_files<Ctx> f(ctx);
    net::experimental::make_parallel_group(
        f.random.async_read_some_at(0, net::buffer(f.buffer), net::deferred),
        f.random.async_read_some_at(4, net::buffer(f.other), net::deferred))
        .async_wait(net::experimental::wait_for_all(),
                    checks.once([](std::array<std::size_t, 2>, error_code first, std::size_t n,
                                   error_code second, std::size_t m) {
                        BOOST_TEST(first == error_code());
                        BOOST_TEST(second == error_code());
                        BOOST_TEST(n == 4u);
                        BOOST_TEST(m == 4u);
                    }));
    ctx.run();
    BOOST_TEST(std::string(f.buffer.data(), 4) == "0123");
    BOOST_TEST(std::string(f.other.data(), 4) == "4567");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(handlers_that_start_the_next_read, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const temporary_file disk(pattern(4096 * 100));
    random_file_of<Ctx> file(ctx, disk.path(), net::file_base::read_only);
    std::string all;
    std::array<char, 4096> buffer{};
    int handlers = 0, depth = 0, deepest = 0;
    std::function<void()> next = [&] {
        file.async_read_some_at(all.size(), net::buffer(buffer), [&](error_code ec, std::size_t n) {
            deepest = std::max(deepest, ++depth);
            ++handlers;
            all.append(buffer.data(), n);
            if (!ec)
                next();
            --depth;
        });
    };
    next();
    ctx.run();
    BOOST_TEST(handlers == 101);
    BOOST_TEST(deepest == 1); // Never from inside the call that starts the next.
    BOOST_TEST((all == disk.contents()));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
