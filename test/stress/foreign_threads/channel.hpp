// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "worker.hpp"

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <stdexcept>
#include <utility>

// I/O objects that several threads use at once. Only what replaces an object,
// and what changes a timer or a resolver, has it for itself: those are the
// program's to serialise.
namespace stress {

class channel {
public:
    explicit channel(complaints& wrong) : wrong_(wrong) {}
    channel(const channel&) = delete;
    channel& operator=(const channel&) = delete;
    virtual ~channel() = default;

    /// Starts an operation of `by`'s.
    virtual void start(worker& by) = 0;
    /// Cancels whatever is pending.
    virtual void cancel() = 0;
    /// Destroys the objects, with all that is pending, and makes new ones.
    virtual void replace() = 0;
    /// When nothing is pending any more: is everything there that was sent?
    virtual void settle() {}

protected:
    std::shared_mutex mutex_;
    complaints& wrong_;
};

/// A channel with two ends, which a function connects. `Progress` says what
/// has gone through, and whether it was replaced; handlers of operations on
/// ends that are gone keep theirs.
template <class Reader, class Writer, class Progress>
class paired_channel : public channel {
public:
    using ends = std::pair<Reader, Writer>;

    paired_channel(complaints& wrong, std::function<ends()> connect)
        : channel(wrong), connect_(std::move(connect)), ends_(connect_())
    {
    }

    void cancel() override
    {
        const std::shared_lock held(mutex_);
        ends_->second.cancel();
        ends_->first.cancel();
    }

    void replace() override
    {
        const std::unique_lock held(mutex_);
        progress_->replaced = true;
        // First the writer: a write to a pipe without a reader raises SIGPIPE.
        ends_->second.close();
        ends_.reset();
        ends_.emplace(connect_());
        progress_ = std::make_shared<Progress>();
    }

private:
    std::function<ends()> connect_;

protected:
    std::optional<ends> ends_;
    std::shared_ptr<Progress> progress_ = std::make_shared<Progress>();
};

/// The end of an operation that a test waits for.
template <class T>
T settled(std::future<T> future)
{
    if (future.wait_for(test_support::watchdog_time) != std::future_status::ready)
        throw std::runtime_error("what was sent does not come");
    return future.get();
}

} // namespace stress
