// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "random_read/random_read.hpp"

#include <boost/asio/basic_random_access_file.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#include <boost/version.hpp>

#include <array>
#include <deque>

namespace benchmark {

namespace net = boost::asio;

/// The reader for every kind of context with Asio's interface: each completed read starts the next.
template <class Context>
class asio_reader {
public:
    explicit asio_reader(const random_read_options& options)
        : file_(context_.get_executor(), options.path, net::file_base::read_only)
    {
        for (std::size_t i = 0; i < options.depth; ++i)
            slots_.emplace_back();
    }

    void run(random_reads& reads, std::uint64_t count)
    {
        reads_ = &reads;
        left_ = count;
        for (auto& s : slots_)
            start(s);
        context_.restart();
        context_.run();
    }

    Context& context() { return context_; }

    details facts() const
    {
        return {{"boost", std::to_string(BOOST_VERSION / 100000) + '.' +
                              std::to_string(BOOST_VERSION / 100 % 1000) + '.' +
                              std::to_string(BOOST_VERSION % 100)}};
    }

private:
    struct slot {
        alignas(64) std::array<char, random_reads::block_bytes> block;
        std::uint64_t offset = 0;
    };

    void start(slot& s)
    {
        if (left_ == 0)
            return;
        --left_;
        s.offset = reads_->next_offset();
        file_.async_read_some_at(
            s.offset, net::buffer(s.block),
            [this, &s](const boost::system::error_code& error, std::size_t size) {
                if (error || size != s.block.size())
                    throw boost::system::system_error(error, "reading");
                reads_->check(s.offset, s.block.data());
                start(s);
            });
    }

    Context context_{1};
    net::basic_random_access_file<typename Context::executor_type> file_;
    std::deque<slot> slots_;
    random_reads* reads_ = nullptr;
    std::uint64_t left_ = 0;
};

} // namespace benchmark
