// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The memory of idle connections on safer_ring::io_ring, each with an owned receive pending. Then
// every one of them gets a message, so that it is seen that they were there.

#include "ring/ring_task.hpp"

#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/io_ring.hpp>

#include <array>
#include <cerrno>
#include <cstring>
#include <malloc.h>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using safer_ring::owned_buffer;

/// The heap of the one thread that there is.
struct heap_bytes {
    std::size_t in_use = 0; ///< With what the allocator adds to each block.
    std::size_t total = 0;  ///< With the gaps between them.

    static heap_bytes now()
    {
        const auto heap = ::mallinfo2();
        return {heap.uordblks + heap.hblkhd, heap.arena + heap.hblkhd};
    }
};

class idle_connections {
public:
    idle_connections(std::size_t connections, std::size_t capacity_bytes, bool from_pool)
        : capacity_bytes_(capacity_bytes)
    {
        benchmark::raise_descriptor_limit();
        ends_.resize(connections);
        for (auto& pair : ends_)
            if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
                benchmark::fail(errno, "creating socket pairs");
        if (from_pool)
            pool_.emplace(connections, capacity_bytes);
        receive(0, make_buffer()); // What is made once is there.
        deliver(0);
        ring_.run();
        sum_ = 0;
    }
    ~idle_connections()
    {
        for (const auto& pair : ends_)
            for (const int end : pair)
                ::close(end);
    }
    idle_connections(const idle_connections&) = delete;
    idle_connections& operator=(const idle_connections&) = delete;

    /// What the receives take of the heap, buffers included that are not from a pool.
    heap_bytes start()
    {
        const heap_bytes before = heap_bytes::now();
        for (std::size_t i = 0; i < ends_.size(); ++i)
            receive(i, make_buffer());
        ring_.flush();
        const heap_bytes after = heap_bytes::now();
        return {after.in_use - before.in_use, after.total - before.total};
    }

    std::uint64_t check()
    {
        for (std::size_t i = 0; i < ends_.size(); ++i)
            deliver(i);
        ring_.run();
        return sum_;
    }

    std::size_t in_flight() { return ring_.in_flight(); }
    benchmark::details facts() const { return {{"ring", ring_.found().describe()}}; }

private:
    owned_buffer make_buffer()
    {
        return pool_ ? std::move(pool_->try_acquire()).value() : owned_buffer(capacity_bytes_);
    }

    void receive(std::size_t index, owned_buffer buffer)
    {
        using received = safer_ring::operation<safer_ring::ops::receive, safer_ring::completed>;
        ring_.receive(ends_[index][0], std::move(buffer))
            .submit()
            .then([this, index](received done) {
                auto [result, message] = std::move(done).take();
                std::uint64_t number = 0;
                if (result.value() == sizeof number)
                    std::memcpy(&number, message.data(), sizeof number);
                if (number != index + 1)
                    benchmark::fail(EPROTO, "what came does not belong to the connection");
                sum_ += benchmark::mix(number);
            });
    }

    void deliver(std::size_t index) const
    {
        const std::uint64_t number = index + 1;
        if (::send(ends_[index][1], &number, sizeof number, MSG_NOSIGNAL) != sizeof number)
            benchmark::fail(errno, "sending to a connection");
    }

    std::size_t capacity_bytes_;
    std::vector<std::array<int, 2>> ends_;
    std::optional<safer_ring::buffer_pool> pool_;
    safer_ring::io_ring ring_;
    std::uint64_t sum_ = 0;
};

int run(int argc, char** argv)
{
    const benchmark::arguments given(argc, argv,
                                     {"--connections", "--capacity", "--pool", "--cpu"});
    const std::size_t connections = given.number("--connections", 1000);
    const std::size_t capacity_bytes = given.number("--capacity", 4096);
    const bool from_pool = given.number("--pool", 0) != 0;
    if (given.has("--cpu"))
        benchmark::pin_to_cpu(static_cast<int>(given.number("--cpu", 0)));
    idle_connections idle(connections, capacity_bytes, from_pool);
    benchmark::print_ready("idle", 0, idle.facts());
    const heap_bytes bytes = idle.start();
    const std::size_t in_flight = idle.in_flight();
    const std::uint64_t sum = idle.check();
    const auto each = [&](std::size_t all) {
        return static_cast<double>(all) / static_cast<double>(connections) -
               static_cast<double>(from_pool ? 0 : capacity_bytes);
    };
    std::printf("result {\"connections\": %zu, \"in_flight\": %zu, \"bytes_each\": %.1f, "
                "\"bytes_with_gaps_each\": %.1f, \"checksum\": \"%016llx\"}\n",
                connections, in_flight, each(bytes.in_use), each(bytes.total),
                static_cast<unsigned long long>(sum));
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &run);
}
