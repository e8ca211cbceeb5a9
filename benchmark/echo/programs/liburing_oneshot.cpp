// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// An echo server on liburing alone, with the copies that Asio's interface asks for: the kernel
// picks a buffer when data is there, its content is copied to the connection's own buffer, from
// there to a staging buffer for the send, and the next receive starts when the send has completed.

#include "echo/liburing_server.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

namespace {

using benchmark::liburing_buffers;

struct connection {
    /// The buffer of the application, as a session in an Asio program has one.
    std::unique_ptr<char[]> own;
    /// The copy that is being sent; null while a receive is under way.
    char* staging = nullptr;
    std::uint32_t sending_bytes = 0;
    /// The turn in which the receive is submitted.
    std::uint64_t receive_turn = 0;
    /// Whether the next receive is likely to find data at once.
    bool data_expected = false;
};

/// Buffers for sends; the one used last is used first, since the cache still has it.
class staging_buffers {
public:
    explicit staging_buffers(std::size_t size) : size_(size) {}

    char* acquire()
    {
        if (free_.empty()) {
            memory_.push_back(std::make_unique<char[]>(size_));
            return memory_.back().get();
        }
        char* buffer = free_.back();
        free_.pop_back();
        return buffer;
    }

    void release(char* buffer) { free_.push_back(buffer); }

private:
    std::size_t size_;
    std::vector<std::unique_ptr<char[]>> memory_;
    std::vector<char*> free_;
};

class oneshot_server : public benchmark::liburing_server<oneshot_server> {
public:
    oneshot_server(const benchmark::server_options& options, std::size_t descriptors)
        : liburing_server(options),
          buffers_(ring(),
                   benchmark::buffer_count(benchmark::receive_size(options.message_size), 4 << 20),
                   benchmark::receive_size(options.message_size)),
          staging_(buffers_.size()), connections_(descriptors)
    {
    }

    void opened(int descriptor)
    {
        at(descriptor).own = std::make_unique<char[]>(buffers_.size());
        arm_receive(descriptor);
    }

    void received(int descriptor, const io_uring_cqe& cqe)
    {
        if (cqe.res == -ENOBUFS) {
            starved_.push_back(descriptor);
            return;
        }
        if (cqe.res <= 0) {
            if (cqe.flags & IORING_CQE_F_BUFFER)
                buffers_.give_back(liburing_buffers::id_of(cqe));
            close(descriptor);
            return;
        }
        connection& peer = at(descriptor);
        const std::uint16_t id = liburing_buffers::id_of(cqe);
        peer.sending_bytes = static_cast<std::uint32_t>(cqe.res);
        // Under load the next message is often there when the receive starts; then trying at once
        // saves the poll. Otherwise trying is in vain. A connection tends to stay as it was.
        peer.data_expected =
            (cqe.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0 || peer.receive_turn >= turn();
        std::memcpy(peer.own.get(), buffers_.data(id), peer.sending_bytes);
        buffers_.give_back(id);
        peer.staging = staging_.acquire();
        std::memcpy(peer.staging, peer.own.get(), peer.sending_bytes);
        ::io_uring_prep_send(entry(kind::send, descriptor), descriptor, peer.staging,
                             peer.sending_bytes, MSG_WAITALL | MSG_NOSIGNAL);
    }

    void sent(int descriptor, const io_uring_cqe& cqe)
    {
        connection& peer = at(descriptor);
        staging_.release(peer.staging);
        peer.staging = nullptr;
        // MSG_WAITALL makes the kernel carry on after a short send: less than everything is an error.
        if (cqe.res >= 0 && static_cast<std::uint32_t>(cqe.res) == peer.sending_bytes)
            receive_in_turn(descriptor);
        else
            close(descriptor);
    }

    bool before_wait()
    {
        buffers_.publish();
        // Every buffer is given back in the batch that brought it, so all of them are there. More
        // receives than buffers would fail at once, again and again.
        const std::size_t count = std::min<std::size_t>(starved_.size(), buffers_.count());
        for (std::size_t i = 0; i < count; ++i)
            arm_receive(starved_[i]);
        starved_.erase(starved_.begin(), starved_.begin() + static_cast<std::ptrdiff_t>(count));
        // Those armed may be idle while those still in line have data.
        return starved_.empty();
    }

private:
    connection& at(int descriptor) { return connections_[static_cast<std::size_t>(descriptor)]; }

    /// Connections that wait for a buffer go first, or busy ones would keep them waiting for ever.
    void receive_in_turn(int descriptor)
    {
        if (starved_.empty())
            arm_receive(descriptor);
        else
            starved_.push_back(descriptor);
    }

    void arm_receive(int descriptor)
    {
        io_uring_sqe* sqe = entry(kind::receive, descriptor);
        ::io_uring_prep_recv(sqe, descriptor, nullptr, buffers_.size(), 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = liburing_buffers::group;
        connection& peer = at(descriptor);
        peer.receive_turn = turn() + 1;
        if (!peer.data_expected)
            sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }

    void close(int descriptor)
    {
        at(descriptor) = {};
        close_connection(descriptor);
    }

    liburing_buffers buffers_;
    staging_buffers staging_;
    std::vector<connection> connections_;
    /// Connections whose receive found no buffer, and those that came after them; oldest first.
    std::vector<int> starved_;
};

int serve(int argc, char** argv)
{
    const benchmark::server_options options = benchmark::start_server(argc, argv);
    oneshot_server server(options, benchmark::raise_descriptor_limit());
    benchmark::print_ready("liburing_oneshot", server.port(), {{"ring", server.ring_flags()}});
    server.run();
    benchmark::print_cpu_time();
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &serve);
}
