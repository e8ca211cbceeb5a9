// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/backend/backend.hpp>
#include <safer_ring/ring/annotations.hpp>
#include <safer_ring/ring/stream_kinds.hpp>

#include "support/blocking_peer.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

using namespace safer_ring;

namespace {

/// Remembers the buffers that it is offered, and does nothing else.
class offered_buffers final : public backend::backend {
public:
    int enter(unsigned, unsigned, const timeout*) noexcept override { return 0; }
    int register_buffer_ring(safer_ring::backend::provided_buffer* ring, unsigned,
                             std::uint16_t) noexcept override
    {
        first = ring;
        return 0;
    }
    int close_when_drained(int) noexcept override { return 0; }

    /// As the kernel receives into a bundle: as much into each buffer as its entry says.
    void fill(std::string_view text) const
    {
        for (const safer_ring::backend::provided_buffer* b = first; !text.empty(); ++b) {
            const std::string_view piece = text.substr(0, b->length);
            auto* const memory = reinterpret_cast<std::byte*>(b->address);
            ring::unpoison(memory, piece.size()); // The kernel may write there, we may not.
            std::memcpy(memory, piece.data(), piece.size());
            text.remove_prefix(piece.size());
        }
    }

    safer_ring::backend::provided_buffer* first = nullptr;
};

/// What fills one buffer so far, the next one, and a part of the third.
std::string first_full_and_rest(std::size_t first_bytes)
{
    std::string text(first_bytes, 'a');
    text.append(100, 'b');
    text.append("rest");
    return text;
}

struct bundles {
    bundles() { buffers->attach(kernel, 0); }

    /// All that a completion with so many bytes, from the first buffer on, brings.
    std::string take_in(std::size_t size_bytes)
    {
        constexpr std::uint32_t flags = backend::completion_buffer | backend::completion_more;
        BOOST_TEST(
            (stream.take_in(static_cast<int>(size_bytes), flags) == streams::outcome::goes_on));
        std::string all;
        for (std::size_t n = stream.size(); n != 0; --n)
            all += stream.take(false).second.text();
        return all;
    }

    offered_buffers kernel;
    std::shared_ptr<ring::buffer_group> buffers =
        ring::buffer_group::make(nullptr, 8, 100, ring::buffer_use::whole);
    std::pair<test_support::unique_descriptor, test_support::unique_descriptor> ends =
        test_support::local_descriptor_pair();
    streams::receive stream{ends.first.get(), buffers, stream_limits{16, 8, true}};
};

/// When the request of a kernel without multishots ends.
std::chrono::nanoseconds due(streams::timeout& stream)
{
    backend::submission_entry entry;
    stream.prepare(entry, false);
    const auto* const at = reinterpret_cast<const backend::kernel_time*>(entry.address);
    return std::chrono::seconds(at->seconds) + std::chrono::nanoseconds(at->nanoseconds);
}

} // namespace

BOOST_AUTO_TEST_SUITE(kinds_of_streams)

BOOST_AUTO_TEST_CASE(interval_that_ends_later_than_the_clock_can_tell_ends_last)
{
    using namespace std::chrono_literals;
    const auto last = std::chrono::steady_clock::duration::max();
    for (const auto interval : {std::chrono::nanoseconds::max(), last / 2 + 1ns}) {
        streams::timeout stream(interval);
        BOOST_TEST((due(stream) > std::chrono::steady_clock::now().time_since_epoch()));
        BOOST_TEST((stream.take_in(-ETIME, 0) == streams::outcome::goes_on)); // Before its time.
        BOOST_TEST((due(stream) == last));
        BOOST_TEST((stream.take_in(-ETIME, 0) == streams::outcome::goes_on));
        BOOST_TEST((due(stream) == last));
        BOOST_TEST(stream.take(false).value() == 2U);
    }
}

BOOST_FIXTURE_TEST_CASE(bundle_is_taken_apart_into_its_buffers, bundles)
{
    const std::string text = first_full_and_rest(100);
    kernel.fill(text);
    BOOST_TEST(take_in(text.size()) == text);
}

BOOST_FIXTURE_TEST_CASE(buffer_that_the_kernel_has_shortened_is_not_taken_for_full, bundles)
{
    const std::string text = first_full_and_rest(10);
    kernel.first->length = 10;
    kernel.fill(text);
    BOOST_TEST(take_in(text.size()) == text);
}

BOOST_FIXTURE_TEST_CASE(bundle_is_taken_apart_although_what_took_later_buffers_came_first, bundles)
{
    const std::string text = first_full_and_rest(100);
    kernel.fill(text);
    for (const std::uint32_t id :
         {3U, 4U, 5U}) { // They are offered again, in the places of 0 to 2.
        const std::uint32_t flags =
            backend::completion_buffer | id << backend::completion_buffer_shift;
        BOOST_TEST(buffers->take(flags, 4, true).size() == 4u);
    }
    BOOST_TEST(take_in(text.size()) == text);
}

BOOST_AUTO_TEST_SUITE_END()
