// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// An echo server on liburing alone, without a copy: one multishot receive per connection into a
// shared buffer ring, and sends straight from the buffer that the kernel picked.

#include "echo/liburing_server.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

namespace {

using benchmark::liburing_buffers;

constexpr std::uint16_t no_buffer = 0xffff;
constexpr std::size_t gather_limit = 16;

/// A message header and its buffers for sends of more than one buffer.
struct gather {
    msghdr header{};
    std::array<iovec, gather_limit> parts{};
};

struct connection {
    /// Received buffers in order, linked through `buffer_state::next`; the first `sending` of them
    /// are in the kernel.
    std::uint16_t first = no_buffer;
    std::uint16_t last = no_buffer;
    std::uint16_t sending = 0;
    bool receiving = false;
    bool failed = false;
    /// In the list of connections that have something to send.
    bool ready = false;
    std::uint32_t sending_bytes = 0;
    std::unique_ptr<gather> parts;
};

struct buffer_state {
    std::uint32_t length = 0;
    std::uint16_t next = no_buffer;
};

class multishot_server : public benchmark::liburing_server<multishot_server> {
public:
    multishot_server(const benchmark::server_options& options, std::size_t descriptors)
        : liburing_server(options),
          buffers_(ring(),
                   benchmark::buffer_count(benchmark::receive_size(options.message_size), 4 << 20),
                   benchmark::receive_size(options.message_size)),
          states_(buffers_.count()), free_(buffers_.count()), connections_(descriptors)
    {
    }

    void opened(int descriptor) { arm_receive(descriptor); }

    void received(int descriptor, const io_uring_cqe& cqe)
    {
        connection& peer = at(descriptor);
        if (cqe.flags & IORING_CQE_F_BUFFER)
            keep(peer, liburing_buffers::id_of(cqe), cqe.res);
        if (cqe.res > 0 && peer.sending == 0 && !peer.ready)
            make_ready(descriptor, peer);
        if (cqe.flags & IORING_CQE_F_MORE)
            return;
        peer.receiving = false;
        if (cqe.res > 0 && !peer.failed) {
            arm_receive(descriptor);
        } else if (cqe.res == -ENOBUFS && !peer.failed) {
            starved_.push_back(descriptor);
            peer.receiving = true;
        } else {
            close_if_done(descriptor, peer);
        }
    }

    void sent(int descriptor, const io_uring_cqe& cqe)
    {
        connection& peer = at(descriptor);
        // MSG_WAITALL makes the kernel carry on after a short send: less than everything is an error.
        const bool complete =
            cqe.res >= 0 && static_cast<std::uint32_t>(cqe.res) == peer.sending_bytes;
        for (; peer.sending > 0; --peer.sending)
            release_first(peer);
        if (!complete && !peer.failed) {
            peer.failed = true;
            // Ends the multishot receive, whose last completion closes the connection.
            ::shutdown(descriptor, SHUT_RDWR);
        }
        if (peer.first != no_buffer)
            make_ready(descriptor, peer);
        else
            close_if_done(descriptor, peer);
    }

    bool before_wait()
    {
        for (const int descriptor : ready_)
            send(descriptor);
        ready_.clear();
        buffers_.publish();
        rearm_starved();
        return true;
    }

private:
    connection& at(int descriptor) { return connections_[static_cast<std::size_t>(descriptor)]; }

    void arm_receive(int descriptor)
    {
        io_uring_sqe* sqe = entry(kind::receive, descriptor);
        ::io_uring_prep_recv_multishot(sqe, descriptor, nullptr, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = liburing_buffers::group;
        at(descriptor).receiving = true;
    }

    /// Only as many receives are armed again as there are buffers; more would fail at once.
    void rearm_starved()
    {
        const std::size_t count = std::min<std::size_t>(starved_.size(), free_);
        for (std::size_t i = 0; i < count; ++i)
            arm_receive(starved_[i]);
        starved_.erase(starved_.begin(), starved_.begin() + static_cast<std::ptrdiff_t>(count));
    }

    void keep(connection& peer, std::uint16_t id, int length)
    {
        --free_;
        if (length <= 0) {
            give_back(id);
            return;
        }
        states_[id] = {static_cast<std::uint32_t>(length), no_buffer};
        if (peer.first == no_buffer)
            peer.first = id;
        else
            states_[peer.last].next = id;
        peer.last = id;
    }

    void release_first(connection& peer)
    {
        const std::uint16_t id = peer.first;
        peer.first = states_[id].next;
        give_back(id);
    }

    void give_back(std::uint16_t id)
    {
        buffers_.give_back(id);
        ++free_;
    }

    void make_ready(int descriptor, connection& peer)
    {
        peer.ready = true;
        ready_.push_back(descriptor);
    }

    /// Sends what has arrived, in one operation, because two at once may overtake each other.
    void send(int descriptor)
    {
        connection& peer = at(descriptor);
        peer.ready = false;
        if (peer.failed) {
            while (peer.first != no_buffer)
                release_first(peer);
            close_if_done(descriptor, peer);
            return;
        }
        io_uring_sqe* sqe = entry(kind::send, descriptor);
        constexpr int flags = MSG_WAITALL | MSG_NOSIGNAL;
        const buffer_state& state = states_[peer.first];
        if (state.next == no_buffer) {
            peer.sending = 1;
            peer.sending_bytes = state.length;
            ::io_uring_prep_send(sqe, descriptor, buffers_.data(peer.first), state.length, flags);
        } else {
            ::io_uring_prep_sendmsg(sqe, descriptor, collect(peer), flags);
        }
    }

    const msghdr* collect(connection& peer)
    {
        if (!peer.parts)
            peer.parts = std::make_unique<gather>();
        peer.sending_bytes = 0;
        for (std::uint16_t id = peer.first; id != no_buffer && peer.sending < gather_limit;
             id = states_[id].next) {
            peer.parts->parts[peer.sending++] = {buffers_.data(id), states_[id].length};
            peer.sending_bytes += states_[id].length;
        }
        peer.parts->header.msg_iov = peer.parts->parts.data();
        peer.parts->header.msg_iovlen = peer.sending;
        return &peer.parts->header;
    }

    void close_if_done(int descriptor, connection& peer)
    {
        if (peer.receiving || peer.sending > 0 || peer.ready || peer.first != no_buffer)
            return;
        peer = {};
        close_connection(descriptor);
    }

    liburing_buffers buffers_;
    std::vector<buffer_state> states_;
    /// Buffers that the kernel may pick from, those not published yet included.
    std::size_t free_;
    std::vector<connection> connections_;
    std::vector<int> ready_;
    /// Connections whose receive ended because there was no buffer, oldest first.
    std::vector<int> starved_;
};

int serve(int argc, char** argv)
{
    const benchmark::server_options options = benchmark::start_server(argc, argv);
    multishot_server server(options, benchmark::raise_descriptor_limit());
    benchmark::print_ready("liburing_multishot", server.port(), {{"ring", server.ring_flags()}});
    server.run();
    benchmark::print_cpu_time();
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &serve);
}
