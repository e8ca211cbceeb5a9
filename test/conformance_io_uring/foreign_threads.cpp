// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "files.hpp"

#include "stress/foreign_threads/rig.hpp"

#include "support/needs_io_uring.hpp"

#include <boost/test/unit_test.hpp>

#include <optional>
#include <string>

// Files that four threads, none of which runs the context, read and write at
// once; what is in them stays the same all the time. The rest of the kinds of
// objects: test/stress/foreign_threads.cpp.
namespace {

using namespace stress;
using conformance::storage;
using random_file = net::basic_random_access_file<executor>;
using stream_file = net::basic_stream_file<executor>;
using context_of_ours = safer_ring::io_context;

constexpr std::size_t file_bytes = 1 << 20;

template <class File>
class file_channel : public channel {
public:
    file_channel(context_of_ours& context, complaints& wrong, storage kept, const char* name)
        : channel(wrong), reads(std::string(name) + " read"), writes(std::string(name) + " write"),
          contents_(conformance::pattern(file_bytes)), place_(contents_, kept), context_(context),
          file_(std::in_place, open())
    {
    }

    void start(worker& by) override
    {
        const std::shared_lock held(mutex_);
        const std::size_t size = by.any_size();
        const std::size_t offset = by.below(file_bytes);
        if constexpr (std::is_same_v<File, stream_file>)
            read_on(by, size);
        else if (by.chance(3))
            write_at(by, offset, std::min(size, file_bytes - offset));
        else
            read_at(by, offset, size);
    }

    void cancel() override
    {
        const std::shared_lock held(mutex_);
        file_->cancel();
    }

    void replace() override
    {
        const std::unique_lock held(mutex_);
        *replaced_ = true;
        file_.reset();
        file_.emplace(open());
        replaced_ = std::make_shared<std::atomic<bool>>(false);
        reading_ = std::make_shared<reading>();
    }

    tally reads, writes;

private:
    struct reading {
        std::atomic<bool> claimed = false;
        std::uint64_t position = 0;
    };

    File open() { return File(context_, place_.path(), net::file_base::read_write); }

    void read_at(worker& by, std::size_t offset,
                 std::size_t size) requires std::is_same_v<File, random_file>
    {
        ticket& t = by.make_ticket(reads, size);
        by.start(
            t, by.chance(2),
            [&](auto handler) {
                file_->async_read_some_at(offset, net::buffer(t.buffer), std::move(handler));
            },
            [&t, this, offset, r = replaced_](const error_code& ec, std::size_t n) {
                t.conclude(ec, false);
                t.check_read(ec, n, *r, [&](std::size_t i) { return at(offset + i); });
            });
    }

    /// Writes what is there already.
    void write_at(worker& by, std::size_t offset,
                  std::size_t size) requires std::is_same_v<File, random_file>
    {
        ticket& t = by.make_ticket(writes, size);
        t.is_write = true;
        for (std::size_t i = 0; i < size; ++i)
            t.buffer[i] = at(offset + i);
        by.start(
            t, by.chance(2),
            [&](auto handler) {
                file_->async_write_some_at(offset, net::buffer(t.buffer), std::move(handler));
            },
            [&t](const error_code& ec, std::size_t n) {
                if (t.conclude(ec, false) ? n == 0 : n != 0)
                    t.complain(std::to_string(n) + " bytes written, " + ec.message());
            });
    }

    /// One read at a time, from where the last one ended.
    void read_on(worker& by, std::size_t size) requires std::is_same_v<File, stream_file>
    {
        if (reading_->claimed.exchange(true))
            return;
        if (reading_->position == file_bytes)
            reading_->position = file_->seek(0, net::file_base::seek_set);
        ticket& t = by.make_ticket(reads, size);
        by.start(
            t, by.chance(2),
            [&](auto handler) {
                file_->async_read_some(net::buffer(t.buffer), std::move(handler));
            },
            [&t, this, p = reading_, r = replaced_](const error_code& ec, std::size_t n) {
                t.conclude(ec, false);
                t.check_read(ec, n, *r, [&](std::size_t i) { return at(p->position + i); });
                p->position += n;
                p->claimed = false;
            });
    }

    byte at(std::uint64_t position) const
    {
        return static_cast<byte>(contents_[static_cast<std::size_t>(position)]);
    }

    const std::string contents_;
    conformance::temporary_file place_;
    context_of_ours& context_;
    std::optional<File> file_;
    std::shared_ptr<std::atomic<bool>> replaced_ = std::make_shared<std::atomic<bool>>(false);
    std::shared_ptr<reading> reading_ = std::make_shared<reading>();
};

class shared_files : public channel_set {
public:
    shared_files(context_of_ours& ring, complaints& wrong)
    {
        for (const storage kept : conformance::all_storage)
            if (kept != storage::direct) { // Takes aligned buffers only.
                auto& random = add<file_channel<random_file>>(ring, wrong, kept, "random access");
                auto& stream = add<file_channel<stream_file>>(ring, wrong, kept, "stream file");
                account({&random.reads, &random.writes, &stream.reads});
            }
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(foreign_threads, *test_support::needs_io_uring)

BOOST_AUTO_TEST_CASE(read_write_and_cancel_files_that_one_thread_runs)
{
    start_and_cancel<own_context, shared_files>(1);
}

BOOST_AUTO_TEST_CASE(read_write_and_cancel_files_that_two_threads_run)
{
    start_and_cancel<own_context, shared_files>(2);
}

BOOST_AUTO_TEST_SUITE_END()
