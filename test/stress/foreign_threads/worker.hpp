// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "support/watchdog.hpp"

#include <boost/asio.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

// A thread that starts and cancels operations which another one completes, and
// the account it keeps of them.
namespace stress {

namespace net = boost::asio;
using error_code = boost::system::error_code;
using byte = unsigned char;

/// What threads found wrong: Boost.Test's checks are for one thread.
class complaints {
public:
    void add(std::string text)
    {
        const std::lock_guard held(mutex_);
        if (first_.size() < most)
            first_.push_back(std::move(text));
        ++count_;
    }

    std::size_t count() const { return count_; }
    const std::vector<std::string>& first() const { return first_; }

private:
    static constexpr std::size_t most = 20;
    std::mutex mutex_;
    std::vector<std::string> first_;
    std::atomic<std::size_t> count_ = 0;
};

/// What became of the operations of one kind.
struct tally {
    explicit tally(std::string what) : name(std::move(what)) {}
    std::string name;
    std::atomic<std::uint64_t> started = 0, succeeded = 0, cancelled = 0, cut_off = 0;
};

/// One operation: its buffer, and how often its handler was called.
struct ticket {
    /// In a buffer before its operation: nothing else may be found behind what
    /// was read, and in all of it after a cancelled read.
    static constexpr byte before = 0xcc;
    /// In it from the moment its handler is called: nobody may write to it any
    /// more, and nobody may send it.
    static constexpr byte after = 0xee;

    tally* kind = nullptr;
    complaints* wrong = nullptr;
    std::vector<byte> buffer;
    net::ip::udp::endpoint sender;
    std::shared_ptr<void> object; ///< An I/O object of this operation alone.
    std::atomic<int> calls = 0;
    std::atomic<int> instances = 0; ///< Handler objects that have not been destroyed.
    bool is_write = false;

    std::mutex mutex; ///< For the following, and the buffer once the object was cancelled.
    bool done = false;
    bool given_up = false;
    std::vector<byte> given_up_as;

    void complain(const std::string& text) const { wrong->add(kind->name + ": " + text); }

    /// To be called by the handler. Errors other than a cancellation's are right
    /// where the other end is gone.
    bool conclude(const error_code& ec, bool other_end_gone)
    {
        if (!ec)
            ++kind->succeeded;
        else if (ec == net::error::operation_aborted)
            ++kind->cancelled;
        else if (other_end_gone)
            ++kind->cut_off;
        else
            complain("error: " + ec.message());
        return !ec;
    }

    /// The bytes that were read, and those that were not. A read whose object
    /// was closed may have been over before that: its result is dropped, and the
    /// bytes lie in the buffer.
    template <class Expected>
    void check_read(const error_code& ec, std::size_t n, bool closed, Expected expected)
    {
        if (n > buffer.size() || (ec && n != 0) || (!ec && n == 0))
            return complain(std::to_string(n) + " bytes read, " + ec.message());
        for (std::size_t i = 0; i < n; ++i)
            if (buffer[i] != expected(i))
                return complain("wrong byte at " + std::to_string(i) + " of " + std::to_string(n));
        if (ec && closed)
            return;
        const auto rest = buffer.begin() + static_cast<std::ptrdiff_t>(n);
        if (!std::all_of(rest, buffer.end(), [](byte b) { return b == before; }))
            complain("bytes written behind what was read: " + ec.message());
    }

    /// To be called when cancelling has returned: from then on the buffer is
    /// the caller's, even before the handler has been called.
    void give_up()
    {
        const std::lock_guard held(mutex);
        if (done)
            return;
        if (is_write)
            spoil();
        given_up_as = buffer;
        given_up = true;
    }

    template <class Handler>
    void complete(Handler handler)
    {
        const std::lock_guard held(mutex);
        ++calls;
        if (given_up && buffer != given_up_as)
            complain("buffer written to after its operation was cancelled");
        handler();
        spoil();
        done = true;
    }

    void spoil() { std::fill(buffer.begin(), buffer.end(), after); }

    /// To be called when the operation has ended, and again later.
    void verify() const
    {
        if (calls != 1)
            complain("handler called " + std::to_string(calls) + " times");
        if (instances != 0)
            complain("handler not destroyed");
        if (!std::all_of(buffer.begin(), buffer.end(), [](byte b) { return b == after; }))
            complain("buffer touched after completion");
    }
};

/// Operations that are under way. Outlives the context.
class pending_operations {
public:
    void begin()
    {
        const std::lock_guard held(mutex_);
        ++count_;
    }
    void end()
    {
        const std::lock_guard held(mutex_);
        if (--count_ == 0)
            none_.notify_all();
    }
    /// False when some are left.
    template <class Duration>
    bool wait(Duration limit)
    {
        std::unique_lock held(mutex_);
        return none_.wait_for(held, limit, [this] { return count_ == 0; });
    }

private:
    std::mutex mutex_;
    std::condition_variable none_;
    int count_ = 0;
};

/// A handler that accounts for its calls and its end.
template <class Function>
class counted_handler {
public:
    counted_handler(Function f, ticket& t, pending_operations& p)
        : function_(std::move(f)), ticket_(&t), pending_(&p)
    {
        ++ticket_->instances;
        pending_->begin();
    }
    counted_handler(counted_handler&& other) noexcept
        : function_(std::move(other.function_)), ticket_(other.ticket_), pending_(other.pending_)
    {
        ++ticket_->instances;
    }
    counted_handler& operator=(counted_handler&&) = delete;
    ~counted_handler()
    {
        // What was moved from counts until it is destroyed as well.
        if (--ticket_->instances == 0)
            pending_->end();
    }

    template <class... Args>
    void operator()(Args&&... args)
    {
        ticket_->complete([&] { function_(std::forward<Args>(args)...); });
    }

private:
    Function function_;
    ticket* ticket_;
    pending_operations* pending_;
};

/// A foreign thread's side. Outlives the context, which may still have its
/// handlers when something went wrong.
class worker {
public:
    worker(unsigned seed, complaints& wrong) : random_(seed), wrong_(wrong) {}

    /// One in `n`.
    bool chance(unsigned n) { return below(n) == 0; }
    unsigned below(unsigned n) { return static_cast<unsigned>(random_() >> 8) % n; }
    /// Small ones mostly; some that go without a copy, and fill what they go to.
    std::size_t any_size() { return chance(12) ? 20'000 : 1 + below(300); }

    ticket& make_ticket(tally& kind, std::size_t size)
    {
        ticket& made = tickets_.emplace_back();
        made.kind = &kind;
        made.wrong = &wrong_;
        made.buffer.assign(size, ticket::before);
        return made;
    }

    /// Starts an operation by `initiate(handler)`.
    template <class Initiate, class Function>
    void start(ticket& t, bool by_slot, Initiate initiate, Function handler)
    {
        ++t.kind->started;
        ++started_;
        net::cancellation_slot slot;
        if (by_slot) {
            if (signals_in_use_ == signals_.size())
                signals_.emplace_back();
            slot = signals_[signals_in_use_++].slot();
        }
        initiate(net::bind_cancellation_slot(
            slot, counted_handler<Function>(std::move(handler), t, pending_)));
    }

    void emit_any()
    {
        if (signals_in_use_ != 0)
            emit(below(static_cast<unsigned>(signals_in_use_)));
    }
    void emit_all()
    {
        for (std::size_t i = 0; i < signals_in_use_; ++i)
            emit(i);
    }

    /// To be called when all has been cancelled.
    void give_up_buffers()
    {
        for (ticket& t : tickets_)
            t.give_up();
    }

    template <class Duration>
    bool wait(Duration limit)
    {
        return pending_.wait(limit);
    }

    /// Looks at the operations since the last call, all of which have ended,
    /// and once more at those before.
    void verify()
    {
        for (const auto* some : {&earlier_, &tickets_})
            for (const ticket& t : *some)
                t.verify();
        earlier_.clear();
        earlier_.swap(tickets_);
        signals_in_use_ = 0;
    }

    /// To be called before the context ends, also when operations are left.
    void drop_objects()
    {
        for (auto* some : {&earlier_, &tickets_})
            for (ticket& t : *some)
                t.object.reset();
    }

    std::uint64_t started() const { return started_; }

private:
    void emit(std::size_t i)
    {
        using net::cancellation_type;
        constexpr cancellation_type types[] = {
            cancellation_type::terminal, cancellation_type::partial, cancellation_type::total};
        signals_[i].emit(types[below(3)]);
    }

    std::minstd_rand random_;
    complaints& wrong_;
    pending_operations pending_;
    std::deque<ticket> tickets_, earlier_;
    std::deque<net::cancellation_signal> signals_;
    std::size_t signals_in_use_ = 0;
    std::uint64_t started_ = 0;
};

} // namespace stress
