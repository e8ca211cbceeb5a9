// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "open_file.hpp"

#include "support/lowered_limit.hpp"

#include <safer_ring/ring/file_requests.hpp>

#include <boost/test/unit_test.hpp>

#include <cerrno>

using namespace unit;

namespace {

class sync_of_test : public ring::sync_operation {
protected:
    using ring::sync_operation::sync_operation;
    ~sync_of_test() = default;
    int final_result() const noexcept { return outcome(); }
};

/// A file of the loop that is brought to the disk.
struct file_to_sync : open_file {
    explicit file_to_sync(simulated_loop& l) : open_file(l, "") {}

    record& sync(bool data_only)
    {
        return loop.start<sync_of_test>(*handle, direction::write, data_only);
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(file_requests)

BOOST_AUTO_TEST_CASE(sync_asks_for_what_was_wanted)
{
    simulated_loop loop;
    file_to_sync f(loop);
    record& data = f.sync(true);
    record& everything = f.sync(false);
    loop.run();
    BOOST_TEST(data.result == 0);
    BOOST_TEST(everything.result == 0);
    const auto entries = loop.submitted(opcode::fsync);
    BOOST_REQUIRE(entries.size() == 2U);
    BOOST_TEST(entries[0].op_flags == backend::fsync_data_only);
    BOOST_TEST(entries[1].op_flags == 0U);
}

/// The disk's error comes once for each open file: a cancelled sync must not eat it.
BOOST_AUTO_TEST_CASE(what_the_disk_said_to_a_cancelled_sync_is_told)
{
    for (const int error : {EIO, 0, EINTR}) {
        simulated_loop loop;
        file_to_sync f(loop);
        loop.kernel->hold(opcode::fsync);
        record& sync = f.sync(false);
        loop.poll();
        loop.loop.cancel(loop.last_id);
        BOOST_TEST(sync.open());
        if (error == 0) {
            loop.kernel->release();
        } else { // It ends with the error, in place of what is held.
            const auto held = loop.kernel->in_flight();
            BOOST_REQUIRE(held.size() == 1U);
            loop.kernel->post({held[0].user_data, -error, 0});
        }
        loop.run();
        BOOST_TEST(sync.result == (error == EINTR ? -ECANCELED : -error));
        loop.kernel->release();
    }
}

BOOST_AUTO_TEST_CASE(closed_file_tells_nothing_of_the_disk)
{
    simulated_loop loop;
    file_to_sync f(loop);
    loop.kernel->hold(opcode::fsync);
    record& sync = f.sync(false);
    loop.poll();
    f.close();
    BOOST_TEST(sync.open());
    loop.kernel->release();
    loop.run();
    BOOST_TEST(sync.result == -ECANCELED);
}

/// A worker looks the number up late: what was closed meanwhile may have become
/// another file's, which is then told nothing of its own disk.
BOOST_AUTO_TEST_CASE(worker_that_syncs_has_a_descriptor_of_its_own_until_it_has_ended)
{
    for (const bool closes : {false, true}) {
        simulated_loop loop;
        file_to_sync f(loop);
        loop.kernel->hold(opcode::fsync);
        record& sync = f.sync(false);
        loop.poll();
        const int number = loop.submitted(opcode::fsync).back().fd;
        BOOST_TEST(number != f.file.get());
        BOOST_TEST(is_same_file(number, f.file.get()));
        if (closes)
            f.close();
        BOOST_TEST(::fcntl(number, F_GETFD) >= 0);
        loop.kernel->release();
        loop.run();
        BOOST_TEST(sync.result == (closes ? -ECANCELED : 0));
        BOOST_TEST((::fcntl(number, F_GETFD) < 0) == closes);
        if (!closes)
            f.close();
        BOOST_TEST(::fcntl(number, F_GETFD) < 0);
    }
}

BOOST_AUTO_TEST_CASE(sync_without_a_descriptor_for_its_worker_is_an_error)
{
    simulated_loop loop;
    file_to_sync f(loop);
    record& sync = f.sync(false);
    {
        const test_support::no_more_descriptors limit;
        loop.run();
    }
    BOOST_TEST(sync.result == -EMFILE);
}

BOOST_AUTO_TEST_CASE(interrupted_sync_is_made_again)
{
    for (const int error : {EINTR, 512}) {
        simulated_loop loop;
        file_to_sync f(loop);
        loop.kernel->fail_nth(opcode::fsync, 1, error);
        record& sync = f.sync(false);
        loop.run();
        BOOST_TEST(sync.result == 0);
        BOOST_TEST(loop.kernel->count(opcode::fsync) == 2U);
    }
}

BOOST_AUTO_TEST_SUITE_END()
