// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "simulated_loop.hpp"

#include <safer_ring/ring/item_source.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace unit {

using safer_ring::stream_limits;

class next_into : public ring::item_operation {
protected:
    explicit next_into(std::string& text) : text_(text) {}
    ~next_into() = default;

    int final_result() noexcept
    {
        const ring::stream_item item = take_item();
        text_ += item.buffer.text();
        if (item.socket.is_open())
            text_ += "socket ";
        return result();
    }

private:
    std::string& text_;
};

/// A stream that is given up as the stream object gives it up.
template <class Source>
class open_stream {
public:
    template <class... Args>
    open_stream(simulated_loop& l, ring::descriptor& d, Args&&... args)
        : loop_(l), source_(std::make_unique<Source>(std::forward<Args>(args)...).release())
    {
        BOOST_REQUIRE(l.loop.open_stream(d, *source_) == 0);
    }
    open_stream(const open_stream&) = delete;
    open_stream& operator=(const open_stream&) = delete;
    ~open_stream() { close(); }

    void close()
    {
        if (source_ != nullptr)
            loop_.loop.close_stream(std::exchange(source_, nullptr));
    }
    record& next(std::string& text, std::string name = {}, std::function<void()> then = {})
    {
        record& r = loop_.note();
        auto op = std::make_unique<recorded<next_into>>(
            reporter{&r, &loop_.order, std::move(name), std::move(then)}, text);
        BOOST_REQUIRE(loop_.loop.start_next(*source_, *op, nullptr, &loop_.last_id));
        op.release();
        return r;
    }
    /// All that is left, and the answer.
    int stop(std::string& text)
    {
        std::vector<ring::stream_item> left;
        const int result = loop_.loop.stop_stream(*source_, left);
        for (const ring::stream_item& item : left)
            text += item.buffer.text();
        return result;
    }
    std::size_t held() { return loop_.loop.items_held(*source_); }
    bool is_open() { return loop_.loop.is_open(*source_); }

private:
    simulated_loop& loop_;
    ring::item_source* source_;
};

using receiving = open_stream<ring::receive_source>;
using accepting = open_stream<ring::accept_source>;

inline std::uint64_t request_in_flight(const simulation& kernel, opcode op)
{
    for (const auto& r : kernel.in_flight())
        if (r.op == op)
            return r.user_data;
    BOOST_FAIL("there is no such request");
    return 0;
}

} // namespace unit
