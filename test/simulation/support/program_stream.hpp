// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "random_program.hpp"

#include <utility>

namespace programs {

/// A stream of any kind.
class any_stream {
public:
    virtual ~any_stream() = default;
    /// An item or the end, if there is one.
    virtual bool try_next() = 0;
    virtual void call_back() = 0;
    virtual void cancel() = 0;
    [[nodiscard]] bool is_over() const noexcept { return is_over_; }
    [[nodiscard]] bool waits() const noexcept { return waits_; }

    meaning_ptr m;

protected:
    bool is_over_ = false;
    bool waits_ = false;
};

template <typename Kind>
class stream_of final : public any_stream {
    using item = typename stream<Kind>::result_type;

public:
    stream_of(random_program& p, stream<Kind> made, meaning_ptr means)
        : p_(p), stream_(std::move(made))
    {
        m = std::move(means);
    }
    bool try_next() override
    {
        if (waits_ || is_over_)
            return false;
        auto taken = stream_.try_next();
        if (!taken)
            return false;
        take(std::move(*taken));
        return true;
    }
    void call_back() override
    {
        if (waits_ || is_over_)
            return;
        waits_ = true;
        stream_.next().then([this](item&& taken) {
            waits_ = false;
            random_program& p = p_;
            take(std::move(taken));
            p.callback_is_called(); // Which may destroy this.
        });
    }
    void cancel() override
    {
        m->cancel_asked = true;
        stream_.cancel();
    }

private:
    void take(item&& taken)
    {
        is_over_ = stream_.is_over();
        p_.item_came(m, std::move(taken), is_over_);
    }

    random_program& p_;
    stream<Kind> stream_;
};

} // namespace programs
