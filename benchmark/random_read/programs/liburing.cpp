// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Random reads written by hand: all that have completed are started again and submitted together.
// Registered: from a registered file, into blocks that are registered as one buffer.

#include "random_read/random_read.hpp"
#include "support/liburing_ring.hpp"

#include <sys/uio.h>
#include <vector>

namespace {

class reader {
public:
    static constexpr bool registers = true;

    explicit reader(const benchmark::random_read_options& options)
        : file_(::open(options.path.c_str(), O_RDONLY)), slots_(options.depth),
          registered_(options.registered)
    {
        if (file_ < 0)
            benchmark::fail(errno, "opening " + options.path);
        ::posix_fadvise(file_, 0, 0, POSIX_FADV_RANDOM);
        if (!registered_)
            return;
        const iovec all{slots_.data(), slots_.size() * sizeof(slot)};
        int result = ::io_uring_register_files(ring_.get(), &file_, 1);
        if (result == 0)
            result = ::io_uring_register_buffers(ring_.get(), &all, 1);
        if (result < 0)
            benchmark::fail(-result, "registering file and buffers");
        ring_.note("file and buffers registered");
    }
    ~reader() { ::close(file_); }
    reader(const reader&) = delete;
    reader& operator=(const reader&) = delete;

    void run(benchmark::random_reads& reads, std::uint64_t count)
    {
        std::uint64_t to_start = count;
        std::uint64_t to_end = count;
        for (auto& s : slots_)
            if (to_start != 0) {
                start(s, reads);
                --to_start;
            }
        while (to_end != 0)
            ring_.submit_and_reap(1, [&](const io_uring_cqe& cqe) {
                auto& s = *reinterpret_cast<slot*>(cqe.user_data);
                if (cqe.res != static_cast<int>(sizeof s.block))
                    benchmark::fail(cqe.res < 0 ? -cqe.res : 0, "reading");
                reads.check(s.offset, s.block);
                --to_end;
                if (to_start != 0) {
                    start(s, reads);
                    --to_start;
                }
            });
    }

    benchmark::details facts() const { return {{"ring", ring_.flags()}}; }

private:
    struct slot {
        alignas(64) char block[benchmark::random_reads::block_bytes];
        std::uint64_t offset;
    };

    void start(slot& s, benchmark::random_reads& reads)
    {
        s.offset = reads.next_offset();
        io_uring_sqe* sqe = ring_.entry();
        if (registered_) {
            ::io_uring_prep_read_fixed(sqe, 0, s.block, sizeof s.block, s.offset, 0);
            ::io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
        } else {
            ::io_uring_prep_read(sqe, file_, s.block, sizeof s.block, s.offset);
        }
        ::io_uring_sqe_set_data(sqe, &s);
    }

    benchmark::liburing_ring ring_;
    int file_;
    std::vector<slot> slots_;
    bool registered_;
};

int read(int argc, char** argv)
{
    return benchmark::read_randomly<reader>(argc, argv, "liburing");
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &read);
}
