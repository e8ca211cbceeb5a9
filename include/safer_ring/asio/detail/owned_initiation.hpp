// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/shared_buffer.hpp>

#include <boost/asio/associator.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/system/error_code.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::detail {

namespace net = boost::asio;

/// What a write takes: bytes that cannot go away while it lasts.
// Compilers quote the line to who passes something else.
// clang-format off
template <typename T>
concept written_buffer = std::same_as<T, owned_buffer> || std::same_as<T, shared_buffer>; // An owned_buffer by std::move(), or a shared_buffer; plain memory goes to the operation of boost::asio.
// clang-format on

/// Where a read puts what comes in, and how long the buffer is afterwards.
struct read_into_buffer {
    static net::mutable_buffer view(owned_buffer& buffer, std::size_t before) noexcept
    {
        return {buffer.data() + before, buffer.capacity() - before};
    }
    static void finish(owned_buffer& buffer, std::size_t before, std::size_t size_bytes)
    {
        buffer.resize(before + size_bytes);
    }
};

/// What a write sends.
struct write_from_buffer {
    template <typename Buffer>
    static net::const_buffer view(const Buffer& buffer, std::size_t) noexcept
    {
        return {buffer.data(), buffer.size()};
    }
    template <typename Buffer>
    static void finish(const Buffer&, std::size_t, std::size_t) noexcept
    {
    }
};

/// A handler together with the buffer that it will be given. Moves with the
/// operation, which holds on to the bytes that way; they stay where they are.
template <typename Way, typename Buffer, typename Handler>
class handler_with_buffer {
public:
    template <typename H>
    handler_with_buffer(H&& handler, Buffer&& buffer, std::size_t before)
        : handler_(std::forward<H>(handler)), buffer_(std::move(buffer)), before_(before)
    {
    }

    void operator()(const boost::system::error_code& error, std::size_t size_bytes)
    {
        Way::finish(buffer_, before_, size_bytes);
        Buffer given(std::move(buffer_));
        std::move(handler_)(error, size_bytes, std::move(given));
    }

    const Handler& handler() const noexcept { return handler_; }
    auto view() noexcept { return Way::view(buffer_, before_); }

private:
    Handler handler_;
    Buffer buffer_;
    std::size_t before_; // The size of the buffer that a read leaves alone.
};

/// Starts a plain operation of `Object` on an owned buffer: `Start` makes the
/// call, with the bytes, the handler, and what else it takes.
template <typename Object, typename Way, typename Start>
class initiate_with_buffer {
public:
    using executor_type = typename Object::executor_type;

    explicit initiate_with_buffer(Object& object) noexcept : object_(&object) {}

    executor_type get_executor() const noexcept { return object_->get_executor(); }

    template <typename Handler, typename Buffer, typename... Args>
    void operator()(Handler&& handler, Buffer&& buffer, std::size_t before, Args&&... args) const
    {
        using handler_type = handler_with_buffer<Way, std::decay_t<Buffer>, std::decay_t<Handler>>;
        handler_type bound(std::forward<Handler>(handler), std::move(buffer), before);
        // The bytes stay where they are when the handler moves, and with it the buffer.
        const auto view = bound.view();
        Start{}(*object_, view, std::move(bound), std::forward<Args>(args)...);
    }

private:
    Object* object_;
};

template <typename Way, typename Start, typename Object, typename Token, typename Buffer,
          typename... Args>
auto with_buffer(Object& object, Token&& token, Buffer&& buffer, std::size_t before, Args&&... args)
{
    return net::async_initiate<Token,
                               void(boost::system::error_code, std::size_t, std::decay_t<Buffer>)>(
        initiate_with_buffer<Object, Way, Start>(object), token, std::move(buffer), before,
        std::forward<Args>(args)...);
}

} // namespace safer_ring::inline SAFER_RING_ABI::detail

/// Executor, allocator, cancellation slot and whatever else is associated with
/// the handler.
template <template <typename, typename> class Associator, typename Way, typename Buffer,
          typename Handler, typename Default>
struct boost::asio::associator<
    Associator, safer_ring::detail::handler_with_buffer<Way, Buffer, Handler>, Default>
    : Associator<Handler, Default> {
    using bound = safer_ring::detail::handler_with_buffer<Way, Buffer, Handler>;

    static typename Associator<Handler, Default>::type get(const bound& b) noexcept
    {
        return Associator<Handler, Default>::get(b.handler());
    }
    static auto get(const bound& b, const Default& fallback) noexcept
        -> decltype(Associator<Handler, Default>::get(b.handler(), fallback))
    {
        return Associator<Handler, Default>::get(b.handler(), fallback);
    }
};
