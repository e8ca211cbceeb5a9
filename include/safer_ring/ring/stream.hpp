// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/ring_core.hpp>
#include <safer_ring/ring/stream_request.hpp>

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

template <typename Kind>
class next_item;
class io_ring;

/// Something that keeps happening, as items in order: one request of the kernel
/// that completes again and again, from the making of the object until its end
/// or that of the object. Made by `io_ring::accept_stream` and the like.
///
/// *Back-pressure*: see stream_limits. What the kernel had completed by the time
/// it stops is queued too, so that nothing is lost or reordered: at most as much
/// as there is room for in the completion queue, and for each time that the
/// ring was entered meanwhile.
///
/// *The end* is an item too, the last one, and comes once behind all that was
/// there before: an error, ECANCELED after `cancel`, or what the kind says.
/// ENOMEM means that there was no memory to keep an item, which is lost. To wait
/// for another behind the end stops the program.
///
/// *Destroyed* earlier, it is cancelled; what was queued goes back or is closed.
/// Who still waits for its next item is not called then: a callback is
/// destroyed, a coroutine stays suspended, and is to be destroyed by its owner.
/// Whom another thread has begun to call by then is called all the same, with its
/// item, and may still be running when the stream is gone.
///
/// *Lifetime*: the ring has to live until its end has been taken, or the stream is gone.
///
/// *Thread safety*: distinct streams may be used at once. `cancel` may be called
/// while another thread waits, and a stream be destroyed while another thread runs
/// the ring.
///
/// @code
/// int ends[2];
/// assert(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
/// const safer_ring::owned_descriptor near(ends[0]);
/// safer_ring::owned_descriptor far(ends[1]);
/// safer_ring::io_ring ring;
/// if (ring.found().buffer_ring) {
///     safer_ring::buffer_ring buffers(ring, 64, 4096);
///     auto receiving = ring.receive_stream(near.get(), buffers);
///     assert(::write(far.get(), "hello", 5) == 5);
///     auto [result, buffer] = receiving.next().wait();
///     assert(result.value() == 5 && buffer.text() == "hello");
///     far.close();
///     auto [end, nothing] = receiving.next().wait();
///     assert(end.value() == 0 && receiving.is_over());
/// }
/// @endcode
template <typename Kind>
class [[nodiscard]] SAFER_RING_CONSUMABLE(unconsumed) stream {
    using request_type = ring::stream_request<Kind>;

public:
    /// What an item is: a pair of result and buffer or descriptor, or a result.
    using result_type = typename Kind::result_type;

    SAFER_RING_RETURNS(unconsumed)
    stream(ring::ring_core& core, Kind&& kind, const stream_limits& limits)
        : core_(&core), request_(std::make_unique<request_type>(std::move(kind), limits))
    {
        core.submit(*request_);
    }
    SAFER_RING_RETURNS(unconsumed) stream(stream&&) noexcept = default;
    SAFER_RING_SETS(unconsumed) stream& operator=(stream&& other) noexcept
    {
        stream taken(std::move(other));
        std::swap(core_, taken.core_);
        std::swap(request_, taken.request_);
        return *this;
    }
    // Compilers quote these lines to who tries.
    // clang-format off
    stream(const stream&) = delete; // A stream has one owner: pass it on by std::move().
    stream& operator=(const stream&) = delete; // A stream has one owner: pass it on by std::move().
    // clang-format on
    ~stream()
    {
        if (request_)
            request_type::give_up(*core_, std::move(request_));
    }

    /// The next item, to be waited for; one at a time.
    SAFER_RING_NOT_AFTER_MOVE next_item<Kind> next()
    {
        return next_item<Kind>(*core_, request("next()"));
    }
    /// An item, if there is one already; none behind the end. It does not enter the kernel.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE std::optional<result_type> try_next()
    {
        request("try_next()").check_waiter();
        if (request_->end_is_taken())
            return std::nullopt;
        return request_->take(*core_);
    }

    /// Asks for its end, which comes behind what is there already.
    SAFER_RING_NOT_AFTER_MOVE void cancel()
    {
        if (!request("cancel()").is_over())
            core_->cancel(request_->id());
    }

    /// Its end was taken.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE bool is_over() const
    {
        return request("is_over()").end_is_taken();
    }
    /// How many items there are that nobody has taken, as far as the ring has
    /// looked.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE std::size_t queued() const
    {
        return request("queued()").end_is_taken() ? 0 : request_->queued(*core_);
    }

private:
    friend class io_ring;

    request_type& request(const char* call) const
    {
        if (!request_)
            ring::stop_program(std::string(call) + " on a stream that was moved from; use what "
                                                   "the move gave");
        return *request_;
    }

    ring::ring_core* core_;
    std::unique_ptr<request_type> request_;
};

/// The next item of a stream, which has to live until it is there. To wait for two of one
/// stream at a time, or for one behind the end, stops the program.
///
/// @code
/// safer_ring::io_ring ring;
/// auto ticking = ring.timeout_stream(std::chrono::milliseconds(1));
/// std::uint64_t intervals = 0;
/// ticking.next().then(
///     [&](safer_ring::io_result<std::uint64_t> passed) { intervals = passed.value(); });
/// assert(ring.run() == 1);
/// assert(intervals >= 1);
/// @endcode
template <typename Kind>
class [[nodiscard]] next_item {
    using request_type = ring::stream_request<Kind>;
    using result_type = typename Kind::result_type;

public:
    next_item(ring::ring_core& core, request_type& request) : core_(&core), request_(&request)
    {
        request.check_next();
    }
    next_item(const next_item&) = delete;
    next_item& operator=(const next_item&) = delete;

    /// Flushes the ring and waits.
    [[nodiscard]] result_type wait() &&
    {
        request_->check_next();
        for (;;) {
            if (std::optional<result_type> item = request_->take(*core_))
                return std::move(*item);
            core_->wait(*request_, ring::ring_core::for_ever);
        }
    }
    /// The same for so long at most; nothing when there was no item by then.
    [[nodiscard]] std::optional<result_type> wait_for(std::chrono::nanoseconds limit) &&
    {
        request_->check_next();
        std::optional<result_type> item = request_->take(*core_);
        if (!item && core_->wait(*request_, limit))
            item = request_->take(*core_);
        return item;
    }

    /// Calls `handler(result_type)` from the ring's `poll` or `run`.
    template <typename F>
    void then(F handler) &&
    {
        request_->check_next();
        auto callback = std::make_unique<calling<F>>(*core_, *request_, std::move(handler));
        ring::continuation& c = *callback;
        request_->set_waiter(callback.release());
        core_->continue_with(*request_, c);
    }

    /// In any coroutine, which is resumed by the ring's `poll` or `run`, unless
    /// there is an item already.
    auto operator co_await() &&
    {
        request_->check_next();
        return awaiter(*core_, *request_);
    }

    // clang-format off
    void wait() & = delete; // As stream.next().wait().
    // clang-format on

private:
    template <typename F>
    struct calling final : ring::stream_waiter {
        calling(ring::ring_core& c, request_type& r, F&& f)
            : core(&c), request(&r), handler(std::move(f))
        {
        }
        void claim(ring::engine_lock& held) noexcept override { request->claim(*core, held, item); }
        void resume() override
        {
            const std::unique_ptr<calling> self(this);
            if (item)
                handler(std::move(*item)); // Which may destroy the stream.
        }
        void drop() noexcept override
        {
            request->set_waiter(nullptr);
            delete this;
        }
        void give_up() noexcept override { delete this; }

        ring::ring_core* core;
        request_type* request;
        std::optional<result_type> item;
        F handler;
    };

    struct awaiter final : ring::stream_waiter {
        awaiter(ring::ring_core& c, request_type& r) noexcept : core(&c), request(&r) {}
        awaiter(awaiter&&) = delete;
        /// The coroutine may be destroyed while it waits.
        ~awaiter()
        {
            if (!is_waiting || request == nullptr)
                return;
            request->set_waiter(nullptr);
            core->discontinue(*request);
        }
        bool await_ready()
        {
            item = request->take(*core);
            return item.has_value();
        }
        void await_suspend(std::coroutine_handle<> handle)
        {
            coroutine = handle;
            is_waiting = true;
            request->set_waiter(this);
            core->continue_with(*request, *this);
        }
        result_type await_resume() { return std::move(*item); }
        void claim(ring::engine_lock& held) noexcept override
        {
            is_waiting = false;
            request->claim(*core, held, item);
        }
        void resume() override { coroutine.resume(); }
        void drop() noexcept override
        {
            is_waiting = false;
            request->set_waiter(nullptr);
        }
        void give_up() noexcept override { request = nullptr; }

        ring::ring_core* core;
        request_type* request;
        bool is_waiting = false;
        std::coroutine_handle<> coroutine;
        std::optional<result_type> item;
    };

    ring::ring_core* core_;
    request_type* request_;
};

} // namespace safer_ring::inline SAFER_RING_ABI
