// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "recorded_backend.hpp"

#include "support/child_process.hpp"

#include <safer_ring/ring/io_ring.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace std::chrono_literals;
namespace backend = safer_ring::backend;

namespace {

/// What the kernel was given, call by call.
struct call_log {
    std::mutex mutex;
    std::condition_variable changed;
    bool armed = false;  // The next call that waits is held up, before it takes anything, ...
    bool opened = false; // ... until `calls_to_go` others have been made.
    int calls_to_go = 2;
    bool held_up = false;
    bool has_taken = false;
    std::vector<std::vector<backend::submission_entry>> taken;
};

/// A kernel that completes everything at once, and in which one thread is
/// overtaken by the others on its way in.
class overtaking_backend final : public backend::backend {
public:
    explicit overtaking_backend(call_log& log) : log_(log)
    {
        sq_ = entries_.data();
        sq_khead_ = &sq_head_;
        sq_ktail_ = &sq_tail_published_;
        sq_kflags_ = &flags_;
        sq_entries_ = static_cast<unsigned>(entries_.size());
        sq_mask_ = sq_entries_ - 1;
        cq_ = completions_.data();
        cq_khead_ = &cq_head_published_;
        cq_ktail_ = &cq_tail_;
        cq_mask_ = static_cast<unsigned>(completions_.size()) - 1;
        features_.submission_entries = sq_entries_;
        features_.completion_entries = static_cast<unsigned>(completions_.size());
    }

    int enter(unsigned to_submit, unsigned min_complete, const timeout* wait) noexcept override
    {
        std::unique_lock held(log_.mutex);
        bool is_overtaken = false;
        if (min_complete != 0 && log_.armed) {
            is_overtaken = true;
            log_.armed = false;
            log_.held_up = true;
            log_.changed.notify_all();
            log_.changed.wait(held, [this] { return log_.opened; });
        } else if (log_.held_up && --log_.calls_to_go == 0) {
            log_.opened = true;
            log_.changed.notify_all();
            log_.changed.wait(held, [this] { return log_.has_taken; });
        }
        const int n = take(to_submit);
        if (is_overtaken) {
            log_.has_taken = true;
            log_.changed.notify_all();
        }
        // Whoever submits less than it asked for does not wait (io_uring_enter(2)).
        if (n == static_cast<int>(to_submit) && wait == nullptr)
            log_.changed.wait(held, [this] {
                return std::atomic_ref(cq_tail_).load() !=
                       std::atomic_ref(cq_head_published_).load();
            });
        return n;
    }

    int register_buffer_ring(::backend::provided_buffer*, unsigned, std::uint16_t) noexcept override
    {
        return -EINVAL;
    }
    int close_when_drained(int) noexcept override { return -EINVAL; }

private:
    int take(unsigned most)
    {
        std::vector<::backend::submission_entry> taken;
        const unsigned tail = std::atomic_ref(*sq_ktail_).load(std::memory_order_acquire);
        unsigned head = std::atomic_ref(*sq_khead_).load();
        for (; head != tail && taken.size() != most; ++head) {
            taken.push_back(sq_[head & sq_mask_]);
            cq_[cq_tail_ & cq_mask_] = {taken.back().user_data, 0, 0};
            std::atomic_ref(*cq_ktail_).store(cq_tail_ + 1, std::memory_order_release);
        }
        std::atomic_ref(*sq_khead_).store(head, std::memory_order_release);
        const auto n = static_cast<int>(taken.size());
        if (n != 0)
            log_.taken.push_back(std::move(taken));
        log_.changed.notify_all();
        return n;
    }

    call_log& log_;
    std::array<::backend::submission_entry, 8> entries_{};
    std::array<::backend::completion_entry, 16> completions_{};
    unsigned sq_head_ = 0;
    unsigned sq_tail_published_ = 0;
    unsigned flags_ = 0;
    unsigned cq_head_published_ = 0;
    unsigned cq_tail_ = 0;
};

} // namespace

BOOST_AUTO_TEST_SUITE(engine_of_a_ring)

// Its own entry submitted by another thread, it might take the first of these two instead, and the
// kernel ends a chain where a call ends: no time limit.
BOOST_AUTO_TEST_CASE(thread_on_its_way_into_the_kernel_breaks_no_chain)
{
    call_log log;
    safer_ring::io_ring ring(std::make_unique<overtaking_backend>(log));
    log.armed = true;
    std::thread waiting([&ring] { BOOST_TEST(ring.nop().submit().wait().result().has_value()); });
    {
        std::unique_lock held(log.mutex);
        log.changed.wait(held, [&log] { return log.held_up; });
    }
    ring.flush();
    auto limited = ring.fsync(0).within(1s).submit();
    waiting.join();
    const bool is_done = std::move(limited).wait().result().has_value();
    BOOST_TEST(is_done);

    const auto is_limited = [](const backend::submission_entry& entry) {
        return entry.op == backend::opcode::fsync;
    };
    const auto call = std::find_if(log.taken.begin(), log.taken.end(), [&](const auto& entries) {
        return std::any_of(entries.begin(), entries.end(), is_limited);
    });
    BOOST_REQUIRE(call != log.taken.end());
    const auto limited_entry = std::find_if(call->begin(), call->end(), is_limited);
    BOOST_REQUIRE(limited_entry + 1 != call->end());
    BOOST_TEST(((limited_entry + 1)->op == backend::opcode::link_timeout));
}

// The kernel wants its completions taken before it takes more, and among them is the one waited
// for: nothing else may ever complete.
BOOST_AUTO_TEST_CASE(what_completed_on_the_way_into_the_kernel_is_not_waited_for)
{
    test_support::backend_record record;
    safer_ring::io_ring ring(std::make_unique<test_support::recorded_backend>(record));
    record.holds_reads = true;
    auto first = ring.nop().submit();
    std::vector<decltype(first)> others;
    for (unsigned i = 1; i < 2 * ring.found().submission_entries; ++i)
        others.push_back(ring.nop().submit());
    auto reading = ring.read(7, safer_ring::owned_buffer(8)).submit();
    const auto over = std::move(first).wait();
    BOOST_TEST(over.result().has_value());
    BOOST_TEST(record.endless_waits == 0U);
    record.holds_reads = false;
    static_cast<void>(std::move(reading).wait());
    for (auto& other : others)
        static_cast<void>(std::move(other).wait());
}

BOOST_AUTO_TEST_CASE(descriptor_is_closed_also_when_the_time_of_its_close_is_over)
{
    test_support::backend_record record;
    safer_ring::io_ring ring(std::make_unique<test_support::recorded_backend>(record));
    record.result = -ECANCELED;
    const int fd = ::dup(0);
    BOOST_REQUIRE(fd >= 0);
    auto closing = ring.close(safer_ring::owned_descriptor(fd)).within(0s).submit();
    const auto result = std::move(closing).wait().result();
    BOOST_TEST(result.code().value() == ETIMEDOUT);
    BOOST_TEST(::fcntl(fd, F_GETFD) == -1);
}

// What a worker of the kernel was doing: that it was interrupted is all that it tells.
BOOST_AUTO_TEST_CASE(interruption_by_a_cancellation_is_told_as_one)
{
    test_support::backend_record record;
    safer_ring::io_ring ring(std::make_unique<test_support::recorded_backend>(record));
    record.holds_reads = true;
    auto reading = ring.read(7, safer_ring::owned_buffer(8)).submit();
    ring.flush();
    reading.cancel();
    record.holds_reads = false;
    record.result = -EINTR;
    const auto cancelled = std::move(reading).wait().result();
    BOOST_TEST(cancelled.code().value() == ECANCELED);
    record.entries.clear();
    const auto late = ring.read(7, safer_ring::owned_buffer(8)).within(0s).submit().wait().result();
    BOOST_TEST(late.code().value() == ETIMEDOUT);
    const auto reads = std::count_if(record.entries.begin(), record.entries.end(),
                                     [](const auto& e) { return e.op == backend::opcode::read; });
    BOOST_TEST(reads == 1);
}

BOOST_AUTO_TEST_CASE(no_descriptor_stands_for_no_operation)
{
    test_support::backend_record record;
    safer_ring::io_ring ring(std::make_unique<test_support::recorded_backend>(record));
    const safer_ring::registered_file from = ring.register_file(7);
    const safer_ring::registered_file to = ring.register_file(8);
    auto splicing = ring.splice(from, 0, to, 0, 1).submit();
    ring.cancel(-1);
    const auto over = std::move(splicing).wait();
    BOOST_TEST(over.result().has_value());
}

// Its place among the registered files would be another ring's file.
BOOST_AUTO_TEST_CASE(chain_with_an_operation_of_another_ring_stops_the_program)
{
    const std::string said = test_support::last_words([] {
        test_support::backend_record record, elsewhere;
        safer_ring::io_ring ring(std::make_unique<test_support::recorded_backend>(record));
        safer_ring::io_ring other(std::make_unique<test_support::recorded_backend>(elsewhere));
        const safer_ring::registered_file file = other.register_file(7);
        auto reading = other.read(file, safer_ring::owned_buffer(8));
        auto both = ring.submit_linked(ring.nop(), std::move(reading));
        ring.flush();
    });
    BOOST_TEST(said.find("an operation of another ring") != std::string::npos);
}

// It keeps its place, for the chain breaks there, or goes on.
BOOST_AUTO_TEST_CASE(operation_of_a_chain_that_was_cancelled_before_it_went_is_not_begun)
{
    test_support::backend_record record;
    safer_ring::io_ring ring(std::make_unique<test_support::recorded_backend>(record));
    auto [first, cancelled, last] = ring.submit_in_order(
        ring.nop(), ring.write(7, safer_ring::owned_buffer::copy_of("x")).within(1s), ring.nop());
    cancelled.cancel();
    const auto result = std::move(cancelled).wait().result();
    BOOST_TEST(result.code().value() == ECANCELED);
    BOOST_TEST(std::move(first).wait().result().has_value());
    BOOST_TEST(std::move(last).wait().result().has_value());
    BOOST_REQUIRE(record.entries.size() >= 3U);
    BOOST_TEST((record.entries[1].flags & backend::entry_hard_link) != 0);
    for (const auto& entry : record.entries)
        BOOST_TEST((entry.op != backend::opcode::write));
}

// There is no second try in a chain.
BOOST_AUTO_TEST_CASE(zero_copy_send_in_a_chain_is_an_ordinary_one_where_the_socket_cannot)
{
    test_support::backend_record record;
    safer_ring::io_ring ring(std::make_unique<test_support::recorded_backend>(record));
    const safer_ring::owned_descriptor local(::socket(AF_UNIX, SOCK_DGRAM, 0));
    const safer_ring::owned_descriptor udp(::socket(AF_INET, SOCK_DGRAM, 0));
    const auto send_on = [&ring](int fd) {
        return ring.send_zero_copy(fd, safer_ring::owned_buffer::copy_of("x"));
    };
    auto [first, second] = ring.submit_linked(send_on(local.get()), send_on(udp.get()));
    static_cast<void>(std::move(first).wait());
    static_cast<void>(std::move(second).wait());
    BOOST_REQUIRE(record.entries.size() == 2U);
    BOOST_TEST((record.entries[0].op == backend::opcode::send));
    BOOST_TEST((record.entries[1].op == backend::opcode::send_zc));
    static_cast<void>(send_on(local.get()).submit().wait());
    BOOST_TEST((record.entries[2].op == backend::opcode::send_zc)); // Tried.
}

BOOST_AUTO_TEST_SUITE_END()
