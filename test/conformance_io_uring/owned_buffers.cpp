// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "files.hpp"

#include "support/handler_checks.hpp"
#include "support/owned_outcome.hpp"
#include "support/run_until.hpp"

#include <safer_ring/asio/owned_buffers.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <string>
#include <utility>

// Operations that own their buffer, on files.
namespace conformance {
namespace {

using safer_ring::owned_buffer;
using test_support::handler_checks;

using outcome = test_support::owned_outcome<>;

BOOST_AUTO_TEST_SUITE(owned_buffers_of_files)

BOOST_AUTO_TEST_CASE_TEMPLATE(buffers_are_read_and_written_at_their_places, Ctx, contexts)
{
    for (const storage kept : all_storage) {
        BOOST_TEST_CONTEXT(storage_names[static_cast<int>(kept)])
        {
            handler_checks checks;
            const std::string contents = pattern(16384);
            const temporary_file file(contents, kept);
            Ctx ctx;
            const int fd = file.open();
            if (fd < 0)
                continue;
            random_file_of<Ctx> f(ctx, fd);
            outcome first, all, behind, written;
            // Long enough to be aligned as O_DIRECT wants it.
            safer_ring::async_read_some_at(f, 4096, owned_buffer(4096), checks.once(first.store()));
            safer_ring::async_read_at(f, 0, owned_buffer(32768), checks.once(all.store()));
            ctx.run();
            BOOST_TEST((first.buffer.text() == contents.substr(4096, 4096)));
            BOOST_TEST(all.ec == net::error::eof);
            BOOST_TEST((all.buffer.text() == contents));
            first.buffer.bytes()[0] = std::byte{'!'};
            safer_ring::async_write_at(f, 16384, std::move(first.buffer),
                                       checks.once(written.store()));
            ctx.restart();
            ctx.run();
            BOOST_TEST(written.size == 4096U);
            all.buffer.resize(16384);
            safer_ring::async_read_some_at(f, 16384, safer_ring::append(std::move(all.buffer)),
                                           checks.once(behind.store()));
            ctx.restart();
            ctx.run();
            BOOST_TEST(behind.size == 4096U);
            BOOST_TEST((behind.buffer.text() == contents + "!" + contents.substr(4097, 4095)));
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(deferred_write_of_a_shared_buffer_can_be_started_again, Ctx, contexts)
{
    handler_checks checks;
    const temporary_file file("");
    Ctx ctx;
    random_file_of<Ctx> f(ctx, file.open());
    test_support::owned_outcome<safer_ring::shared_buffer> first, second;
    const auto write =
        safer_ring::async_write_at(f, 0, owned_buffer::copy_of("news").freeze(), net::deferred);
    for (auto* const outcome : {&first, &second}) {
        write(checks.once(outcome->store()));
        ctx.run();
        ctx.restart();
        BOOST_TEST(outcome->size == 4U);
        BOOST_TEST(outcome->buffer.text() == "news");
        BOOST_TEST(f.size() == 4U);
        f.resize(0);
    }
}

/// To the kernel it is where the file's own position is.
BOOST_AUTO_TEST_CASE_TEMPLATE(last_offset_of_all_is_invalid, Ctx, our_contexts)
{
    handler_checks checks;
    const temporary_file file("contents");
    Ctx ctx;
    random_file_of<Ctx> f(ctx, file.open());
    outcome read, written;
    safer_ring::async_read_some_at(f, ~std::uint64_t{0}, owned_buffer(4),
                                   checks.once(read.store()));
    owned_buffer four(4);
    four.resize(4);
    safer_ring::async_write_at(f, ~std::uint64_t{0}, std::move(four), checks.once(written.store()));
    ctx.run();
    BOOST_TEST(read.ec == net::error::invalid_argument);
    BOOST_TEST(written.ec == net::error::invalid_argument);
    BOOST_TEST(file.contents() == "contents");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(stream_file_takes_them_too, Ctx, contexts)
{
    handler_checks checks;
    const std::string contents = pattern(10000);
    const temporary_file file(contents);
    Ctx ctx;
    stream_file_of<Ctx> f(ctx, file.open(O_RDWR));
    outcome first, rest;
    safer_ring::async_read(f, owned_buffer(6000), checks.once(first.store()));
    ctx.run();
    safer_ring::async_read(f, owned_buffer(6000), checks.once(rest.store()));
    ctx.restart();
    ctx.run();
    BOOST_TEST(rest.ec == net::error::eof);
    BOOST_TEST((std::string(first.buffer.text()) + std::string(rest.buffer.text()) == contents));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
