// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The tasks written by hand: state in structures whose addresses are the user data, everything that
// has completed started again and submitted together.

#include "ring/ring_program.hpp"
#include "support/liburing_ring.hpp"

#include <algorithm>
#include <deque>
#include <memory>

namespace {

using benchmark::ring_task;

void check(int result, const char* what)
{
    if (result < 0)
        benchmark::fail(-result, what);
}

class nops {
public:
    explicit nops(const ring_task& task) : depth_(task.depth) {}

    void run(benchmark::nop_work& work, std::uint64_t count)
    {
        for (std::uint64_t first = 0; first < count; first += depth_) {
            const std::uint64_t end = std::min<std::uint64_t>(first + depth_, count);
            for (std::uint64_t number = first; number != end; ++number) {
                io_uring_sqe* const sqe = ring_.entry();
                ::io_uring_prep_nop(sqe);
                ::io_uring_sqe_set_data64(sqe, number);
            }
            auto left = static_cast<unsigned>(end - first);
            while (left != 0)
                ring_.submit_and_reap(left, [&](const io_uring_cqe& cqe) {
                    check(cqe.res, "nop");
                    work.completed(cqe.user_data);
                    --left;
                });
        }
    }

    benchmark::details facts() const { return {{"ring", ring_.flags()}}; }

private:
    benchmark::liburing_ring ring_;
    std::size_t depth_;
};

class copy {
public:
    explicit copy(const ring_task& task) : slots_(task.depth) {}

    void run(benchmark::copy_work& work, std::uint64_t count)
    {
        std::uint64_t to_start = count;
        std::uint64_t to_end = count;
        for (slot& s : slots_)
            if (to_start != 0) {
                --to_start;
                read(s, work);
            }
        while (to_end != 0)
            ring_.submit_and_reap(1, [&](const io_uring_cqe& cqe) {
                slot& s = *reinterpret_cast<slot*>(cqe.user_data);
                check(cqe.res, s.is_writing ? "writing" : "reading");
                benchmark::copy_work::check_length(static_cast<std::uint64_t>(cqe.res));
                if (!s.is_writing)
                    return write(s, work);
                --to_end;
                if (to_start != 0) {
                    --to_start;
                    read(s, work);
                }
            });
    }

    benchmark::details facts() const { return {{"ring", ring_.flags()}}; }

private:
    struct slot {
        alignas(4096) char block[benchmark::copy_work::block_bytes];
        std::uint64_t to;
        bool is_writing;
    };

    void read(slot& s, benchmark::copy_work& work)
    {
        const auto [from, to] = work.next_offsets();
        s.to = to;
        s.is_writing = false;
        io_uring_sqe* const sqe = ring_.entry();
        ::io_uring_prep_read(sqe, work.from(), s.block, sizeof s.block, from);
        ::io_uring_sqe_set_data(sqe, &s);
    }

    void write(slot& s, const benchmark::copy_work& work)
    {
        s.is_writing = true;
        io_uring_sqe* const sqe = ring_.entry();
        ::io_uring_prep_write(sqe, work.to(), s.block, sizeof s.block, s.to);
        ::io_uring_sqe_set_data(sqe, &s);
    }

    benchmark::liburing_ring ring_;
    std::deque<slot> slots_;
};

/// A receive into the buffer of the connection, a send of what came, the next receive.
class echo {
public:
    explicit echo(const ring_task& task) : polls_first_(task.polls_first) {}

    void run(benchmark::echo_work& work)
    {
        for (const int fd : work.connections()) {
            peers_.push_back({fd, 0, std::make_unique<char[]>(work.message_bytes())});
            receive(peers_.back(), work);
        }
        std::size_t open = peers_.size();
        while (open != 0)
            ring_.submit_and_reap(1, [&](const io_uring_cqe& cqe) {
                peer& p = *reinterpret_cast<peer*>(cqe.user_data);
                check(cqe.res, p.sending_bytes != 0 ? "sending" : "receiving");
                if (p.sending_bytes != 0) {
                    if (cqe.res == p.sending_bytes)
                        work.answered();
                    receive(p, work);
                } else if (cqe.res != 0) {
                    send(p, cqe.res);
                } else {
                    ::close(p.fd);
                    --open;
                }
            });
    }

    benchmark::details facts() const { return {{"ring", ring_.flags()}}; }

private:
    struct peer {
        int fd;
        int sending_bytes;
        std::unique_ptr<char[]> buffer;
    };

    void receive(peer& p, const benchmark::echo_work& work)
    {
        p.sending_bytes = 0;
        io_uring_sqe* const sqe = ring_.entry();
        ::io_uring_prep_recv(sqe, p.fd, p.buffer.get(), work.message_bytes(), 0);
        if (polls_first_)
            sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
        ::io_uring_sqe_set_data(sqe, &p);
    }

    void send(peer& p, int bytes)
    {
        p.sending_bytes = bytes;
        io_uring_sqe* const sqe = ring_.entry();
        ::io_uring_prep_send(sqe, p.fd, p.buffer.get(), static_cast<std::size_t>(bytes),
                             MSG_NOSIGNAL);
        ::io_uring_sqe_set_data(sqe, &p);
    }

    benchmark::liburing_ring ring_;
    bool polls_first_;
    std::deque<peer> peers_;
};

int run(int argc, char** argv)
{
    return benchmark::run_ring_task<nops, copy, echo>(argc, argv, "liburing");
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &run);
}
