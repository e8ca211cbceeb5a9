// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/random_conversations.hpp"

#include "support/watchdog.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <thread>

// Seeded random conversations. A failing seed is printed; SAFER_RING_SEED
// replays one, SAFER_RING_SOAK=full runs many more.
using namespace simulated;

namespace {

bool is_soak()
{
    const char* const soak = std::getenv("SAFER_RING_SOAK");
    return soak != nullptr && std::string_view(soak) == "full";
}

/// The seeds of one run: some hundred, in a soak as many as fit into its time.
class seed_range {
public:
    seed_range()
    {
        if (const char* const one = std::getenv("SAFER_RING_SEED")) {
            next_ = std::strtoull(one, nullptr, 10);
            end_ = next_ + 1;
            single_ = true;
        }
    }

    std::optional<std::uint64_t> next()
    {
        const bool more =
            next_ < end_ || (!single_ && is_soak() && std::chrono::steady_clock::now() < soak_end_);
        return more ? std::optional(next_++) : std::nullopt;
    }
    [[nodiscard]] bool single() const { return single_; }

private:
    std::uint64_t next_ = 1;
    std::uint64_t end_ = 401;
    bool single_ = false;
    std::chrono::steady_clock::time_point soak_end_ =
        std::chrono::steady_clock::now() + test_support::soak_time;
};

} // namespace

BOOST_AUTO_TEST_SUITE(conversations)

BOOST_AUTO_TEST_CASE(streams_arrive_whole_whatever_the_kernel_does)
{
    random_conversations::totals totals;
    std::size_t conversations = 0;
    seed_range seeds;
    while (const auto seed = seeds.next()) {
        ++conversations;
        const std::size_t descriptors = open_descriptors();
        {
            random_conversations all(*seed);
            all.run();
            for (const std::string& problem : all.problems())
                BOOST_ERROR(problem << "\n" << all.describe());
            totals.bytes_received += all.counted().bytes_received;
            totals.operations += all.counted().operations;
            totals.aborted += all.counted().aborted;
            totals.cancelled_with_data += all.counted().cancelled_with_data;
            totals.streams_completed += all.counted().streams_completed;
        }
        BOOST_REQUIRE_MESSAGE(open_descriptors() == descriptors,
                              "descriptors are left open by seed " << *seed);
    }
    BOOST_TEST_MESSAGE(conversations << " conversations, " << totals.operations << " operations, "
                                     << totals.aborted << " aborted, " << totals.cancelled_with_data
                                     << " cancelled with a result, " << totals.bytes_received
                                     << " bytes received, " << totals.streams_completed
                                     << " streams complete");
    if (!seeds.single()) {
        BOOST_TEST(totals.bytes_received > 100000U);
        BOOST_TEST(totals.aborted > 100U);
        BOOST_TEST(totals.cancelled_with_data > 10U);
        BOOST_TEST(totals.streams_completed > 100U);
    }
}

BOOST_AUTO_TEST_CASE(sessions_are_destroyed_by_one_thread_while_another_completes_them)
{
    struct session {
        explicit session(local_socket s) : socket(std::move(s)) {}
        // Destroyed after the socket, which is what ends the read into it.
        std::vector<char> memory = std::vector<char>(64, 'm');
        local_socket socket;
    };
    constexpr int rounds = 150;
    simulation_plan plan;
    plan.late_start = 0.3;
    plan.late_completion = 0.5;
    plan.missed_cancel = 0.3;
    plan.reorder = 0.5;
    simulated_context ring(small_options(), plan, 2);
    std::atomic<int> calls{0};
    std::thread runner([&] {
        const auto work = net::make_work_guard(*ring.context);
        ring.context->run();
    });
    for (int i = 0; i < rounds; ++i) {
        std::vector<std::unique_ptr<session>> sessions;
        std::vector<test_support::blocking_peer> peers;
        for (int j = 0; j < 8; ++j) {
            auto [ours, theirs] = test_support::local_descriptor_pair();
            peers.emplace_back(std::move(theirs));
            auto& s = *sessions.emplace_back(std::make_unique<session>(
                local_socket(*ring.context, net::local::stream_protocol(), ours.release())));
            s.socket.async_read_some(net::buffer(s.memory),
                                     [&calls](const error_code&, std::size_t) { ++calls; });
        }
        for (auto& peer : peers)
            peer.write("data that comes while its session goes");
        sessions.clear(); // Their memory is freed, and the sanitizers watch it.
    }
    const auto deadline = std::chrono::steady_clock::now() + test_support::watchdog_time;
    while (calls != 8 * rounds && std::chrono::steady_clock::now() < deadline)
        std::this_thread::yield();
    BOOST_TEST(calls == 8 * rounds);
    ring.context->stop();
    runner.join();
    BOOST_TEST(ring.context->impl().loop().buffers().outstanding() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
