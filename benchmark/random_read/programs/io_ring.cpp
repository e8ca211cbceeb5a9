// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Random reads on safer_ring::io_ring: buffers go in by move and come back to a callback, which
// starts the next read. Registered: the same, from a registered file into the buffers of a registered
// pool.

#include "random_read/random_read.hpp"

#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/io_ring.hpp>

#include <string>
#include <utility>

namespace {

class reader {
public:
    static constexpr bool registers = true;

    explicit reader(const benchmark::random_read_options& options)
        : file_(::open(options.path.c_str(), O_RDONLY)), depth_(options.depth),
          pool_(options.depth, benchmark::random_reads::block_bytes)
    {
        if (file_ < 0)
            benchmark::fail(errno, "opening " + options.path);
        ::posix_fadvise(file_, 0, 0, POSIX_FADV_RANDOM);
        if (options.registered) {
            registered_file_ = ring_.register_file(file_);
            registered_buffers_ = ring_.register_buffers(pool_);
        }
    }
    ~reader() { ::close(file_); }
    reader(const reader&) = delete;
    reader& operator=(const reader&) = delete;

    void run(benchmark::random_reads& reads, std::uint64_t count)
    {
        reads_ = &reads;
        to_start_ = count;
        for (std::size_t i = 0; i < depth_ && to_start_ != 0; ++i)
            start(registered_file_.is_open()
                      ? std::move(*pool_.try_acquire())
                      : safer_ring::owned_buffer(benchmark::random_reads::block_bytes));
        ring_.run();
    }

    benchmark::details facts() const
    {
        return {{"ring", ring_.found().describe() +
                             (registered_file_.is_open() ? "file and buffers registered\n" : "")}};
    }

private:
    using completed_read = safer_ring::operation<safer_ring::ops::read, safer_ring::completed>;

    safer_ring::file_ref file() const
    {
        if (registered_file_.is_open())
            return registered_file_;
        return file_;
    }

    void start(safer_ring::owned_buffer buffer)
    {
        --to_start_;
        const std::uint64_t offset = reads_->next_offset();
        ring_.read(file(), std::move(buffer))
            .at(offset)
            .submit()
            .then([this, offset](completed_read done) {
                auto [result, block] = std::move(done).take();
                if (result.value() != benchmark::random_reads::block_bytes)
                    benchmark::fail(0, "reading");
                reads_->check(offset, block.data());
                if (to_start_ != 0)
                    start(std::move(block));
            });
    }

    safer_ring::io_ring ring_;
    int file_;
    std::size_t depth_;
    safer_ring::buffer_pool pool_;
    safer_ring::registered_file registered_file_;
    safer_ring::registered_buffers registered_buffers_;
    benchmark::random_reads* reads_ = nullptr;
    std::uint64_t to_start_ = 0;
};

int read(int argc, char** argv)
{
    return benchmark::read_randomly<reader>(argc, argv, "io_ring");
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &read);
}
