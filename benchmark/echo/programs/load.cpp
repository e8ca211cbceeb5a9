// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The load for the echo servers: one message under way per connection, every byte that comes back
// compared with what was sent. It runs on liburing with multishot receives, because it must cost
// less than the servers that it measures. The processor time of the server is read from its clock
// at the two ends of the measured section, under load, so that neither start nor end is counted.

#include "echo/message_pattern.hpp"
#include "support/latency_histogram.hpp"
#include "support/liburing_ring.hpp"
#include "support/program.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cstdio>
#include <ctime>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using benchmark::fail;
using benchmark::liburing_buffers;

std::uint64_t now_ns(clockid_t clock)
{
    timespec time{};
    if (::clock_gettime(clock, &time) != 0)
        fail(errno, "reading a clock (has the server ended?)");
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
           static_cast<std::uint64_t>(time.tv_nsec);
}

struct load_options {
    std::uint16_t port = 0;
    std::size_t connections = 1;
    std::size_t size = 512;
    /// The measured section ends after this many requests, or seconds when it is 0.
    std::uint64_t requests = 0;
    std::uint64_t duration_ns = 0;
    std::uint64_t warm_up_ns = 0;
    /// Whose processor time is counted; 0 for nobody's.
    pid_t server = 0;
};

struct connection {
    int descriptor = -1;
    std::uint64_t number = 0;
    const char* message = nullptr;
    std::size_t received = 0;
    std::uint64_t sent_at_ns = 0;
};

/// The state of all counters at one moment.
struct sample {
    std::uint64_t time_ns = 0;
    std::uint64_t server_cpu_ns = 0;
    std::uint64_t load_cpu_ns = 0;
    std::uint64_t requests = 0;
    std::uint64_t bytes = 0;
};

class load {
public:
    explicit load(const load_options& options)
        : options_(options), pattern_(options.size),
          buffers_(ring_, benchmark::buffer_count(benchmark::receive_size(options.size), 4 << 20),
                   benchmark::receive_size(options.size)),
          connections_(options.connections)
    {
        if (options.server != 0) {
            const int error = ::clock_getcpuclockid(options.server, &server_clock_);
            if (error != 0)
                fail(error, "the processor clock of process " + std::to_string(options.server));
        }
        for (connection& peer : connections_)
            peer.descriptor = connect();
    }

    ~load()
    {
        for (const connection& peer : connections_)
            ::close(peer.descriptor);
    }

    load(const load&) = delete;
    load& operator=(const load&) = delete;

    void run()
    {
        now_ = now_ns(CLOCK_MONOTONIC);
        const std::uint64_t start = now_;
        for (std::size_t i = 0; i < connections_.size(); ++i) {
            arm_receive(i);
            send(i);
        }
        while (!first_reply_everywhere() || now_ < start + options_.warm_up_ns)
            turn();
        begin_ = take_sample();
        latencies_ = {};
        while (!finished())
            turn();
        end_ = take_sample();
    }

    void print() const
    {
        const auto share = [](std::uint64_t a, std::uint64_t b) {
            return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
        };
        const std::uint64_t bytes = end_.bytes - begin_.bytes;
        const std::uint64_t cpu = end_.server_cpu_ns - begin_.server_cpu_ns;
        const std::uint64_t load_cpu = end_.load_cpu_ns - begin_.load_cpu_ns;
        const std::uint64_t time = end_.time_ns - begin_.time_ns;
        // Large messages are under way in parts at both ends: bytes count what was really done.
        const double requests = share(bytes, options_.size);
        std::printf("{\"requests\": %llu, \"bytes\": %llu, \"verified\": true, \"seconds\": %.6f, "
                    "\"server_cpu_us_per_request\": %.4f, \"load_cpu_us_per_request\": %.4f, "
                    "\"server_busy\": %.4f, \"load_busy\": %.4f, "
                    "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
                    static_cast<unsigned long long>(end_.requests - begin_.requests),
                    static_cast<unsigned long long>(bytes), static_cast<double>(time) / 1e9,
                    static_cast<double>(cpu) / requests / 1e3,
                    static_cast<double>(load_cpu) / requests / 1e3, share(cpu, time),
                    share(load_cpu, time), static_cast<double>(latencies_.quantile(0.5)) / 1e3,
                    static_cast<double>(latencies_.quantile(0.99)) / 1e3);
    }

private:
    enum class kind : std::uint64_t { receive, send };

    int connect() const
    {
        const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (descriptor < 0)
            fail(errno, "creating a socket (the limit of open descriptors?)");
        const int on = 1;
        ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(options_.port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            fail(errno, "connecting to 127.0.0.1:" + std::to_string(options_.port) +
                            " (is the server running?)");
        return descriptor;
    }

    io_uring_sqe* entry(kind what, std::size_t index)
    {
        io_uring_sqe* sqe = ring_.entry();
        sqe->user_data = index << 8 | static_cast<std::uint64_t>(what);
        return sqe;
    }

    void arm_receive(std::size_t index)
    {
        const int descriptor = connections_[index].descriptor;
        io_uring_sqe* sqe = entry(kind::receive, index);
        ::io_uring_prep_recv_multishot(sqe, descriptor, nullptr, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = liburing_buffers::group;
    }

    void send(std::size_t index)
    {
        connection& peer = connections_[index];
        peer.message = pattern_.message(index, peer.number++);
        peer.received = 0;
        peer.sent_at_ns = now_;
        io_uring_sqe* sqe = entry(kind::send, index);
        ::io_uring_prep_send(sqe, peer.descriptor, peer.message, options_.size,
                             MSG_WAITALL | MSG_NOSIGNAL);
        // Only failures are of interest: what comes back proves what was sent.
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    }

    void turn()
    {
        buffers_.publish();
        for (const std::size_t index : starved_)
            arm_receive(index);
        starved_.clear();
        ring_.submit_and_reap(1, [this, fresh = false](const io_uring_cqe& cqe) mutable {
            // One reading of the clock serves the whole batch.
            if (!fresh)
                now_ = now_ns(CLOCK_MONOTONIC);
            fresh = true;
            const std::size_t index = cqe.user_data >> 8;
            if (static_cast<kind>(cqe.user_data & 0xff) == kind::receive)
                received(index, cqe);
            else if (cqe.res < 0)
                fail(-cqe.res, "sending on connection " + std::to_string(index));
        });
    }

    void received(std::size_t index, const io_uring_cqe& cqe)
    {
        if (cqe.res == -ENOBUFS) {
            starved_.push_back(index);
            return;
        }
        if (cqe.res < 0)
            fail(-cqe.res, "receiving on connection " + std::to_string(index));
        if (cqe.res == 0)
            throw std::runtime_error("the server closed connection " + std::to_string(index));
        const std::uint16_t id = liburing_buffers::id_of(cqe);
        verify(index, buffers_.data(id), static_cast<std::size_t>(cqe.res));
        buffers_.give_back(id);
        if (!(cqe.flags & IORING_CQE_F_MORE))
            starved_.push_back(index);
    }

    void verify(std::size_t index, const char* data, std::size_t count)
    {
        connection& peer = connections_[index];
        if (count > options_.size - peer.received)
            throw std::runtime_error("more came back than was sent on connection " +
                                     std::to_string(index));
        if (std::memcmp(data, peer.message + peer.received, count) != 0)
            throw std::runtime_error(
                "wrong bytes came back on connection " + std::to_string(index) + ", message " +
                std::to_string(peer.number - 1) + ", between byte " +
                std::to_string(peer.received) + " and " + std::to_string(peer.received + count));
        peer.received += count;
        bytes_ += count;
        if (peer.received < options_.size)
            return;
        latencies_.add(now_ - peer.sent_at_ns);
        ++requests_;
        if (peer.number == 1)
            ++answered_;
        send(index);
    }

    bool first_reply_everywhere() const { return answered_ == connections_.size(); }

    bool finished() const
    {
        if (options_.requests == 0)
            return now_ >= begin_.time_ns + options_.duration_ns;
        return bytes_ - begin_.bytes >= options_.requests * options_.size;
    }

    sample take_sample() const
    {
        return {now_ns(CLOCK_MONOTONIC), options_.server == 0 ? 0 : now_ns(server_clock_),
                now_ns(CLOCK_PROCESS_CPUTIME_ID), requests_, bytes_};
    }

    load_options options_;
    benchmark::message_pattern pattern_;
    benchmark::liburing_ring ring_;
    liburing_buffers buffers_;
    std::vector<connection> connections_;
    /// Connections whose receive has ended, for lack of a buffer or because the kernel said so.
    std::vector<std::size_t> starved_;
    clockid_t server_clock_{};
    std::uint64_t now_ = 0;
    std::uint64_t requests_ = 0;
    std::uint64_t bytes_ = 0;
    std::size_t answered_ = 0;
    sample begin_;
    sample end_;
    benchmark::latency_histogram latencies_;
};

int run(int argc, char** argv)
{
    const benchmark::arguments given(argc, argv,
                                     {"--port", "--connections", "--size", "--requests",
                                      "--seconds", "--warm-up-seconds", "--server-pid", "--cpu"});
    load_options options;
    options.port = static_cast<std::uint16_t>(given.number("--port", 0));
    options.connections = given.number("--connections", options.connections);
    options.size = given.number("--size", options.size);
    options.requests = given.number("--requests", 0);
    options.duration_ns = static_cast<std::uint64_t>(given.real("--seconds", 1) * 1e9);
    options.warm_up_ns = static_cast<std::uint64_t>(given.real("--warm-up-seconds", 0.2) * 1e9);
    options.server = static_cast<pid_t>(given.number("--server-pid", 0));
    if (options.port == 0 || options.connections == 0 || options.size == 0)
        throw std::invalid_argument("--port, --connections and --size must be more than 0");
    const std::size_t limit = benchmark::raise_descriptor_limit();
    if (options.connections + 16 > limit)
        throw std::invalid_argument("--connections " + std::to_string(options.connections) +
                                    " is too many for a limit of " + std::to_string(limit) +
                                    " open descriptors");
    if (given.has("--cpu"))
        benchmark::pin_to_cpu(static_cast<int>(given.number("--cpu", 0)));
    const auto measurement = std::make_unique<load>(options);
    measurement->run();
    measurement->print();
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &run);
}
