// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Many connections share few buffers: what the others get per second, alone and beside one whose
// reader never reads and whose socket is always full. Both in one process, turn by turn.

#include "ring/ring_task.hpp"

#include <safer_ring/ring/io_ring.hpp>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <utility>

namespace {

using safer_ring::owned_descriptor;

constexpr std::size_t message_bytes = 64;

struct socket_pair {
    socket_pair()
    {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
            benchmark::fail(errno, "creating socket pairs");
        near = owned_descriptor(ends[0]);
        far = owned_descriptor(ends[1]);
    }
    owned_descriptor near, far;
};

/// A ring, its buffers, and connections whose readers take all that comes.
class crowd {
public:
    crowd(std::size_t connections, std::size_t buffers, bool with_one_that_never_reads)
        : buffers_(ring_, buffers, message_bytes * 2)
    {
        if (with_one_that_never_reads) {
            full_.emplace();
            never_.emplace(ring_.receive_stream(full_->near.get(), buffers_));
        }
        for (std::size_t i = 0; i < connections; ++i)
            readers_.emplace_back(*this);
        for (reader& each : readers_)
            each.read();
    }
    ~crowd()
    {
        // The others are not to ask for another item.
        is_ending_ = true;
        static_cast<void>(ring_.shutdown(std::chrono::seconds(20)));
        ring_.run();
    }
    crowd(const crowd&) = delete;
    crowd& operator=(const crowd&) = delete;

    /// As much as the socket takes for the one that never reads.
    void fill() const
    {
        const std::string bytes(1000, '.');
        if (full_)
            while (::send(full_->far.get(), bytes.data(), bytes.size(),
                          MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
            }
    }

    /// One message for each of the others.
    void turn(std::uint64_t number)
    {
        const std::size_t expected = received_ + readers_.size();
        char message[message_bytes] = {};
        for (const reader& each : readers_) {
            const std::uint64_t content = number + 1;
            std::memcpy(message, &content, sizeof content);
            if (::send(each.ends.far.get(), message, sizeof message, MSG_NOSIGNAL) !=
                static_cast<ssize_t>(sizeof message))
                benchmark::fail(errno, "sending to a connection");
        }
        while (received_ < expected)
            ring_.run_one();
    }

    [[nodiscard]] std::uint64_t sum() const { return sum_; }
    [[nodiscard]] auto statistics() const { return buffers_.statistics(); }
    [[nodiscard]] benchmark::details facts() const { return {{"ring", ring_.found().describe()}}; }

private:
    using items = safer_ring::streams::receive;

    struct reader {
        explicit reader(crowd& c)
            : all(c), receiving(c.ring_.receive_stream(ends.near.get(), c.buffers_))
        {
        }
        void read()
        {
            receiving.next().then([this](items::result_type item) { came(std::move(item)); });
        }
        void came(items::result_type item)
        {
            if (all.is_ending_)
                return;
            std::uint64_t content = 0;
            if (item.first.value() != message_bytes)
                benchmark::fail(EPROTO, "a message has come in parts");
            std::memcpy(&content, item.second.data(), sizeof content);
            if (content != ++number)
                benchmark::fail(EPROTO, "messages are out of order");
            all.sum_ += benchmark::mix(content);
            ++all.received_;
            read();
        }
        crowd& all;
        socket_pair ends;
        safer_ring::stream<items> receiving;
        std::uint64_t number = 0;
    };

    safer_ring::io_ring ring_;
    safer_ring::buffer_ring buffers_;
    std::optional<socket_pair> full_;
    std::optional<safer_ring::stream<items>> never_;
    std::deque<reader> readers_;
    std::size_t received_ = 0;
    std::uint64_t sum_ = 0;
    bool is_ending_ = false;
};

double seconds_of(crowd& c, std::uint64_t number)
{
    const auto begin = std::chrono::steady_clock::now();
    c.turn(number);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

int run(int argc, char** argv)
{
    const benchmark::arguments given(argc, argv,
                                     {"--connections", "--buffers", "--turns", "--cpu"});
    const std::size_t connections = given.number("--connections", 1000);
    const std::size_t buffers = given.number("--buffers", 64);
    const std::uint64_t turns = given.number("--turns", 500);
    if (given.has("--cpu"))
        benchmark::pin_to_cpu(static_cast<int>(given.number("--cpu", 0)));
    benchmark::raise_descriptor_limit();
    crowd alone(connections - 1, buffers, false), beside(connections - 1, buffers, true);
    benchmark::print_ready("never_reads", 0, beside.facts());
    double seconds_alone = 0, seconds_beside = 0;
    const std::uint64_t warm_up = turns / 10 + 1;
    for (std::uint64_t number = 0; number < warm_up + turns; ++number) {
        if (number == warm_up)
            seconds_alone = seconds_beside = 0;
        beside.fill();
        if (number % 2 == 0)
            seconds_alone += seconds_of(alone, number);
        seconds_beside += seconds_of(beside, number);
        if (number % 2 != 0)
            seconds_alone += seconds_of(alone, number);
    }
    if (alone.sum() != beside.sum())
        benchmark::fail(EPROTO, "not everybody got the same");
    const auto statistics = beside.statistics();
    std::printf("result {\"messages\": %llu, \"seconds_alone\": %.9f, \"seconds_beside\": %.9f, "
                "\"receives\": %llu, \"without_buffer\": %llu, \"checksum\": \"%016llx\"}\n",
                static_cast<unsigned long long>(turns * (connections - 1)), seconds_alone,
                seconds_beside, static_cast<unsigned long long>(statistics.received),
                static_cast<unsigned long long>(statistics.exhausted),
                static_cast<unsigned long long>(beside.sum()));
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &run);
}
