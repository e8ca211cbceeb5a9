// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The tasks on safer_ring::io_ring: operations that own their buffers, with callbacks that start
// what comes next.

#include "ring/ring_program.hpp"

#include <safer_ring/ring/io_ring.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

namespace {

using benchmark::ring_task;
using safer_ring::completed;
using safer_ring::operation;
using safer_ring::owned_buffer;
namespace ops = safer_ring::ops;

class nops {
public:
    explicit nops(const ring_task& task) : depth_(task.depth) {}

    void run(benchmark::nop_work& work, std::uint64_t count)
    {
        for (std::uint64_t first = 0; first < count; first += depth_) {
            const std::uint64_t end = std::min<std::uint64_t>(first + depth_, count);
            for (std::uint64_t number = first; number != end; ++number)
                ring_.nop().submit().then([&work, number](operation<ops::nop, completed> done) {
                    static_cast<void>(done.result().value()); // Throws, if it failed.
                    work.completed(number);
                });
            ring_.run();
        }
    }

    benchmark::details facts() const { return {{"ring", ring_.found().describe()}}; }

private:
    safer_ring::io_ring ring_;
    std::size_t depth_;
};

/// Each buffer goes from the read to the write of a block, and on to the read of the next one.
class copy {
public:
    explicit copy(const ring_task& task)
    {
        for (std::size_t i = 0; i < task.depth; ++i)
            idle_.emplace_back(benchmark::copy_work::block_bytes);
    }

    void run(benchmark::copy_work& work, std::uint64_t count)
    {
        work_ = &work;
        to_start_ = count;
        while (!idle_.empty() && to_start_ != 0) {
            owned_buffer buffer = std::move(idle_.back());
            idle_.pop_back();
            read(std::move(buffer));
        }
        ring_.run();
    }

    benchmark::details facts() const { return {{"ring", ring_.found().describe()}}; }

private:
    void read(owned_buffer buffer)
    {
        --to_start_;
        const auto [from, to] = work_->next_offsets();
        ring_.read(work_->from(), std::move(buffer))
            .at(from)
            .submit()
            .then([this, to = to](operation<ops::read, completed> done) {
                auto [result, block] = std::move(done).take();
                benchmark::copy_work::check_length(result.value());
                write(std::move(block), to);
            });
    }

    void write(owned_buffer block, std::uint64_t offset)
    {
        ring_.write(work_->to(), std::move(block))
            .at(offset)
            .submit()
            .then([this](operation<ops::write<owned_buffer>, completed> done) {
                auto [result, buffer] = std::move(done).take();
                benchmark::copy_work::check_length(result.value());
                if (to_start_ != 0)
                    read(std::move(buffer));
                else
                    idle_.push_back(std::move(buffer));
            });
    }

    safer_ring::io_ring ring_;
    std::vector<owned_buffer> idle_;
    benchmark::copy_work* work_ = nullptr;
    std::uint64_t to_start_ = 0;
};

class echo {
public:
    explicit echo(const ring_task& task)
    {
        if (task.polls_first)
            throw std::invalid_argument("an io_ring cannot be asked to poll first");
    }

    void run(benchmark::echo_work& work)
    {
        work_ = &work;
        for (const int fd : work.connections())
            receive(fd, owned_buffer(work.message_bytes()));
        ring_.run();
    }

    benchmark::details facts() const { return {{"ring", ring_.found().describe()}}; }

private:
    void receive(int fd, owned_buffer buffer)
    {
        ring_.receive(fd, std::move(buffer))
            .submit()
            .then([this, fd](operation<ops::receive, completed> done) {
                auto [result, message] = std::move(done).take();
                if (result.value() != 0)
                    send(fd, std::move(message));
                else
                    ::close(fd);
            });
    }

    void send(int fd, owned_buffer message)
    {
        ring_.send(fd, std::move(message))
            .submit()
            .then([this, fd](operation<ops::send<owned_buffer>, completed> done) {
                auto [result, buffer] = std::move(done).take();
                if (result.value() == buffer.size())
                    work_->answered();
                receive(fd, std::move(buffer));
            });
    }

    safer_ring::io_ring ring_;
    benchmark::echo_work* work_ = nullptr;
};

int run(int argc, char** argv)
{
    return benchmark::run_ring_task<nops, copy, echo>(argc, argv, "io_ring");
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &run);
}
