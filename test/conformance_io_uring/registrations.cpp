// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "files.hpp"

#include "support/handler_checks.hpp"
#include "support/owned_outcome.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <safer_ring/asio/file_functions.hpp>
#include <safer_ring/asio/owned_buffers.hpp>
#include <safer_ring/asio/registrations.hpp>
#include <safer_ring/asio/splice.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/test/unit_test.hpp>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

// Files that are registered with the ring of their context, and transfers in buffers of
// the program's, registered or not.
namespace conformance {
namespace {

using safer_ring::buffer_pool;
using safer_ring::owned_buffer;
using safer_ring::shared_buffer;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

template <class Buffer = owned_buffer>
using outcome = test_support::owned_outcome<Buffer>;

template <class Ctx>
void need_registrations(Ctx& ctx)
{
    const safer_ring::features& found = ring_of(ctx).features();
    if (!found.registered_files || !found.registered_buffers)
        SAFER_RING_SKIP("the kernel registers no files or no buffers");
}

owned_buffer take_from(buffer_pool& pool)
{
    std::optional<owned_buffer> buffer = pool.try_acquire();
    BOOST_REQUIRE(buffer);
    return std::move(*buffer);
}

std::size_t missing(const buffer_pool& pool)
{
    return pool.statistics().count - pool.statistics().available;
}

template <class Ctx>
void run(Ctx& ctx)
{
    ctx.restart();
    ctx.run();
}

BOOST_AUTO_TEST_SUITE(registrations_of_files)

BOOST_AUTO_TEST_CASE_TEMPLATE(registered_file_is_read_and_written_as_any, Ctx, our_contexts)
{
    for (const storage kept : all_storage)
        for (const bool registers_buffers : {false, true}) {
            BOOST_TEST_CONTEXT(storage_names[static_cast<int>(kept)])
            {
                const std::string contents = pattern(16384);
                const temporary_file file(contents, kept);
                handler_checks checks;
                Ctx ctx;
                need_registrations(ctx);
                const int fd = file.open();
                if (fd < 0)
                    SAFER_RING_SKIP("the file system has no O_DIRECT");
                random_file_of<Ctx> f(ctx, fd);
                safer_ring::register_file(f);
                safer_ring::register_file(f);
                buffer_pool pool(3, 8192);
                safer_ring::registered_buffers registered;
                if (registers_buffers)
                    registered = safer_ring::register_buffers(ring_of(ctx), pool);
                outcome<> first, end, all, written;
                const aligned_memory plain(4096);
                io_result read;
                safer_ring::async_read_some_at(f, 4096, take_from(pool),
                                               checks.once(first.store()));
                safer_ring::async_read_at(f, 12288, take_from(pool), checks.once(end.store()));
                safer_ring::async_read_at(f, 0, take_from(pool), checks.once(all.store()));
                f.async_read_some_at(8192, plain.buffer(), checks.into(read));
                BOOST_TEST(missing(pool) == 3U);
                run(ctx);
                BOOST_TEST((first.buffer.text() == contents.substr(4096, 8192)));
                BOOST_TEST(first.ec == error_code());
                BOOST_TEST(end.ec == net::error::eof);
                BOOST_TEST(end.size == 4096U);
                BOOST_TEST((end.buffer.text() == contents.substr(12288)));
                BOOST_TEST(all.ec == error_code());
                BOOST_TEST((all.buffer.text() == contents.substr(0, 8192)));
                BOOST_TEST(read.bytes == 4096U);
                BOOST_TEST((plain.string(4096) == contents.substr(8192, 4096)));
                safer_ring::async_write_at(f, 8192, std::move(all.buffer),
                                           checks.once(written.store()));
                run(ctx);
                BOOST_TEST(written.ec == error_code());
                BOOST_TEST(written.size == 8192U);
                BOOST_TEST(
                    (file.contents() == contents.substr(0, 8192) + contents.substr(0, 8192)));
                error_code ec = net::error::fault;
                safer_ring::unregister_file(f, ec);
                BOOST_TEST(ec == error_code());
                safer_ring::async_read_at(f, 0, std::move(written.buffer),
                                          checks.once(all.store()));
                run(ctx);
                BOOST_TEST((all.buffer.text() == contents.substr(0, 8192)));
            }
        }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(appended_read_leaves_what_was_there, Ctx, contexts)
{
    const std::string contents = pattern(10000);
    const temporary_file file(contents);
    handler_checks checks;
    Ctx ctx;
    random_file_of<Ctx> f(ctx, file.open());
    owned_buffer buffer(8000);
    buffer.resize(3);
    std::copy_n("abc", 3, reinterpret_cast<char*>(buffer.data()));
    outcome<> some, rest;
    safer_ring::async_read_at(f, 7000, safer_ring::append(std::move(buffer)),
                              checks.once(some.store()));
    run(ctx);
    BOOST_TEST(some.ec == net::error::eof);
    BOOST_TEST(some.size == 3000U);
    BOOST_TEST((some.buffer.text() == "abc" + contents.substr(7000)));
    safer_ring::async_read_some_at(f, 10000, safer_ring::append(std::move(some.buffer)),
                                   checks.once(rest.store()));
    run(ctx);
    BOOST_TEST(rest.ec == net::error::eof);
    BOOST_TEST((rest.buffer.text() == "abc" + contents.substr(7000)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(shared_buffer_is_written_by_several, Ctx, contexts)
{
    const temporary_file file;
    handler_checks checks;
    Ctx ctx;
    random_file_of<Ctx> f(ctx, file.open());
    const std::string bytes = pattern(5000);
    const shared_buffer shared = owned_buffer::copy_of(std::as_bytes(std::span(bytes))).freeze();
    outcome<shared_buffer> first, second;
    safer_ring::async_write_at(f, 0, shared, checks.once(first.store()));
    safer_ring::async_write_at(f, 5000, shared, checks.once(second.store()));
    run(ctx);
    BOOST_TEST(first.size == 5000U);
    BOOST_TEST(second.size == 5000U);
    BOOST_TEST(first.buffer.data() == shared.data());
    BOOST_TEST((file.contents() == bytes + bytes));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(registered_stream_file_keeps_its_position, Ctx, our_contexts)
{
    const temporary_file file("0123456789");
    handler_checks checks;
    Ctx ctx;
    need_registrations(ctx);
    stream_file_of<Ctx> f(ctx, file.open());
    safer_ring::register_file(f);
    std::string bytes(4, '.');
    io_result read, written, synced;
    f.async_read_some(net::buffer(bytes), checks.into(read));
    f.async_write_some(net::buffer("ab", 2), checks.into(written));
    run(ctx);
    BOOST_TEST(bytes == "0123");
    BOOST_TEST(file.contents() == "0123ab6789");
    f.seek(1, net::file_base::seek_set);
    f.async_read_some(net::buffer(bytes), checks.into(read));
    run(ctx);
    BOOST_TEST(bytes == "123a");
}

/// Of a request that a worker carries out the kernel looks for the file when that begins.
BOOST_AUTO_TEST_CASE_TEMPLATE(sync_reaches_the_file_that_is_unregistered_meanwhile, Ctx,
                              our_contexts)
{
    const temporary_file file("0123"), other("0123");
    handler_checks checks;
    Ctx ctx;
    need_registrations(ctx);
    random_file_of<Ctx> f(ctx, file.open());
    unsigned failed = 0;
    for (int i = 0; i != 200; ++i) {
        safer_ring::register_file(f);
        safer_ring::async_sync(f, checks.once([&failed](error_code ec) { failed += !!ec; }));
        ctx.restart();
        ctx.poll();
        error_code ec;
        safer_ring::unregister_file(f, ec);
        BOOST_REQUIRE(ec == error_code());
        run(ctx);
    }
    BOOST_TEST(failed == 0U);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(splice_takes_registered_files_at_both_ends, Ctx, our_contexts)
{
    const std::string contents = pattern(5000);
    const temporary_file from(contents), to;
    handler_checks checks;
    Ctx ctx;
    need_registrations(ctx);
    stream_file_of<Ctx> source(ctx, from.open()), target(ctx, to.open());
    net::basic_readable_pipe<executor_of<Ctx>> reader(ctx);
    net::basic_writable_pipe<executor_of<Ctx>> writer(ctx);
    net::connect_pipe(reader, writer);
    safer_ring::register_file(source);
    safer_ring::register_file(target);
    safer_ring::register_file(reader);
    safer_ring::register_file(writer);
    io_result in, out;
    safer_ring::async_splice(reader, target, 5000, checks.into(out)); // Waits for the other.
    safer_ring::async_splice(source, writer, 5000, checks.into(in));
    run(ctx);
    BOOST_TEST(in.bytes == 5000U);
    BOOST_TEST(out.bytes > 0U);
    BOOST_TEST((to.contents() == contents.substr(0, out.bytes)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(file_that_is_moved_or_opened_anew_is_what_it_was, Ctx, our_contexts)
{
    const temporary_file file("0123"), other("abcd");
    handler_checks checks;
    Ctx ctx;
    need_registrations(ctx);
    random_file_of<Ctx> first(ctx, file.open());
    safer_ring::register_file(first);
    random_file_of<Ctx> f(std::move(first));
    std::string bytes(4, '.');
    io_result read;
    f.async_read_some_at(0, net::buffer(bytes), checks.into(read));
    run(ctx);
    BOOST_TEST(bytes == "0123");
    f.close();
    f.open(other.path(), net::file_base::read_only);
    f.async_read_some_at(0, net::buffer(bytes), checks.into(read));
    run(ctx);
    BOOST_TEST(bytes == "abcd");
    safer_ring::register_file(f);
    const test_support::unique_descriptor released(f.release());
    f.assign(file.open());
    f.async_read_some_at(0, net::buffer(bytes), checks.into(read));
    run(ctx);
    BOOST_TEST(bytes == "0123");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(file_may_go_while_the_kernel_has_the_buffer, Ctx, our_contexts)
{
    const std::string contents = pattern(1 << 20);
    for (const bool destroys : {false, true}) {
        const temporary_file file(contents, storage::uncached);
        handler_checks checks;
        Ctx ctx;
        need_registrations(ctx);
        buffer_pool pool(8, 65536);
        const auto registered = safer_ring::register_buffers(ring_of(ctx), pool);
        std::optional<random_file_of<Ctx>> f(std::in_place, ctx, file.open());
        safer_ring::register_file(*f);
        std::deque<outcome<>> reads(8);
        for (std::size_t i = 0; i != reads.size(); ++i)
            safer_ring::async_read_at(*f, i * 65536, take_from(pool),
                                      checks.once(reads[i].store()));
        ctx.restart();
        ctx.poll_one();
        if (destroys)
            f.reset();
        else
            f->close();
        run(ctx);
        for (std::size_t i = 0; i != reads.size(); ++i) {
            BOOST_TEST((!reads[i].ec || reads[i].ec == net::error::operation_aborted));
            BOOST_TEST(reads[i].buffer.size() == reads[i].size);
            BOOST_TEST((reads[i].buffer.text() == contents.substr(i * 65536, reads[i].size)));
            reads[i].buffer = owned_buffer();
        }
        BOOST_TEST(missing(pool) == 0U);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancelled_transfer_gives_the_buffer_back, Ctx, contexts)
{
    const temporary_file file(pattern(4096));
    for (const net::cancellation_type type : all_types)
        for (const bool all : {false, true}) {
            handler_checks checks;
            Ctx ctx;
            random_file_of<Ctx> f(ctx, file.open());
            net::cancellation_signal signal;
            outcome<> read;
            auto handler = net::bind_cancellation_slot(signal.slot(), checks.once(read.store()));
            if (all)
                safer_ring::async_read_at(f, 0, owned_buffer(4096), std::move(handler));
            else
                safer_ring::async_read_some_at(f, 0, owned_buffer(4096), std::move(handler));
            signal.emit(type);
            run(ctx);
            // An operation of several steps does not promise all or nothing, and goes on.
            if (all && type == net::cancellation_type::total)
                BOOST_TEST(read.ec == error_code());
            const std::size_t size = read.ec ? 0U : 4096U;
            BOOST_TEST((!read.ec || read.ec == net::error::operation_aborted));
            BOOST_TEST(read.size == size);
            BOOST_TEST(read.buffer.capacity() == 4096U);
            BOOST_TEST(read.buffer.size() == size);
        }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_cannot_be_registered_is_told, Ctx, contexts)
{
    const temporary_file file("0123");
    Ctx ctx;
    random_file_of<Ctx> f(ctx), open(ctx, file.open());
    const error_code of_closed =
        is_ours<Ctx> ? net::error::bad_descriptor : net::error::operation_not_supported;
    error_code ec;
    BOOST_TEST(safer_ring::register_file(f, ec) == of_closed);
    BOOST_TEST(ec == of_closed);
    BOOST_TEST(safer_ring::unregister_file(f, ec) == of_closed);
    const auto thrown = [](auto& object) {
        try {
            safer_ring::register_file(object);
        } catch (const boost::system::system_error& e) {
            return e.code();
        }
        return error_code();
    };
    BOOST_TEST(thrown(f) == of_closed);
    if constexpr (!is_ours<Ctx>) {
        BOOST_TEST(safer_ring::register_file(open, ec) == net::error::operation_not_supported);
        BOOST_TEST(thrown(open) == net::error::operation_not_supported);
    }
}

#if !defined(SAFER_RING_DROP_IN)

safer_ring::options with_one_file()
{
    safer_ring::options settings;
    settings.registered_file_count = 1;
    return settings;
}

BOOST_AUTO_TEST_CASE(full_table_is_told_with_its_option)
{
    const temporary_file file("0123");
    safer_ring::io_context ctx(1, with_one_file());
    need_registrations(ctx);
    random_file_of<safer_ring::io_context> first(ctx, file.open()), second(ctx, file.open());
    safer_ring::register_file(first);
    error_code ec;
    BOOST_TEST(safer_ring::register_file(second, ec).value() == ENFILE);
    try {
        safer_ring::register_file(second);
        BOOST_ERROR("nothing was thrown");
    } catch (const boost::system::system_error& e) {
        BOOST_TEST(e.code() == ec);
        BOOST_TEST(std::string(e.what()).find("registered_file_count") != std::string::npos);
    }
    first.close();
    BOOST_TEST(safer_ring::register_file(second, ec) == error_code());
}

#endif

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
