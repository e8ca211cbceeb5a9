// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "files.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <memory>
#include <thread>

// Once cancel, close or destruction has returned, the caller's memory is not
// touched. Asio's own backend does not promise it, so this is ours alone.
namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;

constexpr std::size_t size = 4 << 20;
/// A disk may have read everything by the time poll() looks, often many times in a row: it is
/// asked until a read was seen in flight, since nothing is shown otherwise.
bool goes_on(int round, bool shown)
{
    return round < 10 || (!shown && round < 1000);
}

[[noreturn]] void skip_too_fast_a_disk()
{
    SAFER_RING_SKIP("the disk of /var/tmp reads 4 MiB before poll() returns");
}

enum class ending { cancel, close, destruction, slot };

/// A direct read in flight loses its file; the memory goes to the next owner
/// at once, and is looked at when the kernel has let go of everything.
template <class Ctx>
void hand_over_while_reading(ending how, bool from_another_thread)
{
    const temporary_file disk(std::string(size, 'x'), storage::direct);
    const test_support::unique_descriptor fd(disk.open());
    if (fd.get() < 0)
        SAFER_RING_SKIP("no O_DIRECT in /var/tmp");
    aligned_memory memory(size);
    int in_flight = 0;
    // With another thread only that one knows what is in flight.
    const auto shown = [&] { return from_another_thread || in_flight != 0; };
    for (int round = 0; goes_on(round, shown()); ++round) {
        handler_checks checks;
        Ctx ctx(from_another_thread ? -1 : 1);
        net::cancellation_signal signal;
        auto reader = std::make_unique<random_file_of<Ctx>>(ctx, ::dup(fd.get()));
        io_result r;
        reader->async_read_some_at(0, memory.buffer(),
                                   net::bind_cancellation_slot(signal.slot(), checks.into(r)));
        std::thread other;
        if (from_another_thread)
            other = std::thread([&] { ctx.run(); });
        else
            ctx.poll();
        in_flight += !from_another_thread && !r.done;
        switch (how) {
        case ending::cancel:
            reader->cancel();
            break;
        case ending::close:
            reader->close();
            break;
        case ending::destruction:
            reader.reset();
            break;
        case ending::slot:
            signal.emit(net::cancellation_type::terminal);
            break;
        }
        memory.fill('N');
        if (other.joinable())
            other.join();
        ctx.restart();
        ctx.run();
        BOOST_TEST(r.done);
        BOOST_TEST((memory.string(size) == std::string(size, 'N')));
    }
    if (!shown())
        skip_too_fast_a_disk();
}

BOOST_AUTO_TEST_SUITE(memory_after_destruction)

BOOST_AUTO_TEST_CASE_TEMPLATE(direct_read_leaves_the_next_owner_alone, Ctx, our_contexts)
{
    for (const ending how : {ending::cancel, ending::close, ending::destruction, ending::slot}) {
        BOOST_TEST_CONTEXT("ending " << static_cast<int>(how))
        hand_over_while_reading<Ctx>(how, false);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(direct_read_leaves_the_next_owner_alone_while_another_thread_runs,
                              Ctx, our_contexts)
{
    for (const ending how : {ending::cancel, ending::close, ending::destruction, ending::slot}) {
        BOOST_TEST_CONTEXT("ending " << static_cast<int>(how))
        hand_over_while_reading<Ctx>(how, true);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(direct_read_of_a_destroyed_context_leaves_the_next_owner_alone, Ctx,
                              our_contexts)
{
    const temporary_file disk(std::string(size, 'x'), storage::direct);
    const test_support::unique_descriptor fd(disk.open());
    if (fd.get() < 0)
        SAFER_RING_SKIP("no O_DIRECT in /var/tmp");
    aligned_memory memory(size);
    const aligned_memory other(size);
    int in_flight = 0;
    for (int round = 0; goes_on(round, in_flight != 0); ++round) {
        bool called = false;
        {
            Ctx ctx;
            random_file_of<Ctx> reader(ctx, ::dup(fd.get()));
            reader.async_read_some_at(0, memory.buffer(),
                                      [&called](error_code, std::size_t) { called = true; });
            ctx.poll();
        }
        in_flight += !called;
        memory.fill('N');
        // What the disk was still busy with is over when it has done the same again.
        BOOST_TEST(::pread(fd.get(), other.buffer().data(), size, 0) == ssize_t(size));
        BOOST_TEST((memory.string(size) == std::string(size, 'N')));
    }
    if (in_flight == 0)
        skip_too_fast_a_disk();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancelled_write_does_not_read_the_memory_any_more, Ctx, our_contexts)
{
    const temporary_file disk;
    handler_checks checks;
    Ctx ctx;
    random_file_of<Ctx> writer(ctx, disk.path(), net::file_base::write_only);
    auto bytes = std::make_unique<std::string>(size, 'w');
    io_result r;
    writer.async_write_some_at(0, net::buffer(*bytes), checks.into(r));
    ctx.poll();
    writer.close();
    std::fill(bytes->begin(), bytes->end(), 'N');
    bytes.reset();
    ctx.restart();
    ctx.run();
    BOOST_TEST(disk.contents().find('N') == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
