// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/initiation_of.hpp>
#include <safer_ring/ring/owned_transfer.hpp>
#include <safer_ring/ring/shared_buffer.hpp>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associator.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/system/error_code.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI::detail {

namespace net = boost::asio;

/// What a write takes: bytes that cannot go away while it lasts.
// Compilers quote the line to who passes something else.
// clang-format off
template <typename T>
concept written_buffer = std::same_as<T, owned_buffer> || std::same_as<T, shared_buffer> || std::same_as<T, std::vector<owned_buffer>> || std::same_as<T, std::vector<shared_buffer>>; // An owned_buffer by std::move(), or a shared_buffer; plain memory goes to the operation of boost::asio.
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

    static std::vector<net::mutable_buffer> view(std::vector<owned_buffer>& buffers, std::size_t)
    {
        std::vector<net::mutable_buffer> views;
        views.reserve(buffers.size());
        for (owned_buffer& b : buffers)
            views.emplace_back(b.data(), b.capacity());
        return views;
    }
    /// The first ones full.
    static void finish(std::vector<owned_buffer>& buffers, std::size_t, std::size_t size_bytes)
    {
        for (owned_buffer& b : buffers) {
            b.resize(size_bytes < b.capacity() ? size_bytes : b.capacity());
            size_bytes -= b.size();
        }
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
    static std::vector<net::const_buffer> view(const std::vector<Buffer>& buffers, std::size_t)
    {
        std::vector<net::const_buffer> views;
        views.reserve(buffers.size());
        for (const Buffer& b : buffers)
            views.emplace_back(b.data(), b.size());
        return views;
    }
    template <typename Buffer>
    static void finish(const Buffer&, std::size_t, std::size_t) noexcept
    {
    }
};

/// The buffer in the box is as long as it was left; the memory of the box is
/// free before the handler is called.
struct unboxed {
    static void finish(const std::shared_ptr<owned_buffer>&, std::size_t, std::size_t) noexcept {}
    static owned_buffer give(std::shared_ptr<owned_buffer>& box) noexcept
    {
        return std::move(*std::exchange(box, nullptr));
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
        if constexpr (requires { Way::give(buffer_); }) {
            std::move(handler_)(error, size_bytes, Way::give(buffer_));
        } else {
            Buffer given(std::move(buffer_));
            std::move(handler_)(error, size_bytes, std::move(given));
        }
    }

    const Handler& handler() const noexcept { return handler_; }
    auto view() { return Way::view(buffer_, before_); }

private:
    Handler handler_;
    Buffer buffer_;
    std::size_t before_; // The size of the buffer that a read leaves alone.
};

/// Starts a plain operation of `Object` on an owned buffer: `Start` makes the
/// call, with the bytes, the handler, and what else it takes.
template <typename Object, typename Way, typename Start>
class initiate_with_buffer : public initiation_of<Object> {
public:
    using initiation_of<Object>::initiation_of;

    template <typename Handler, typename Buffer, typename... Args>
    void operator()(Handler&& handler, Buffer&& buffer, std::size_t before, Args&&... args) const
    {
        using buffer_type = std::decay_t<Buffer>;
        using handler_type = handler_with_buffer<Way, buffer_type, std::decay_t<Handler>>;
        // A deferred operation that can be started again gives its shared_buffer as an lvalue.
        handler_type bound(std::forward<Handler>(handler),
                           buffer_type(std::forward<Buffer>(buffer)), before);
        // The bytes stay where they are when the handler moves, and with it the buffer.
        const auto view = bound.view();
        Start{}(this->object(), view, std::move(bound), std::forward<Args>(args)...);
    }
};

using ring::transfer_extent;

/// What starts an operation. Objects that the kernel can ask for the buffer itself
/// have another: see owned_file_transfer.hpp.
template <typename Object, typename Way, typename Start, typename Buffer>
struct initiation {
    using type = initiate_with_buffer<Object, Way, Start>;
};

template <typename Way, typename Start, typename Object, typename Token, typename Buffer,
          typename... Args>
auto with_buffer(Object& object, Token&& token, Buffer&& buffer, std::size_t before, Args&&... args)
{
    return net::async_initiate<Token,
                               void(boost::system::error_code, std::size_t, std::decay_t<Buffer>)>(
        typename initiation<Object, Way, Start, std::decay_t<Buffer>>::type(object), token,
        std::move(buffer), before, std::forward<Args>(args)...);
}

/// A dynamic buffer of Asio (DynamicBuffer_v2) that grows within the memory of
/// an owned one. Its bytes move to the front when there is no room behind them.
class growing_view {
public:
    using const_buffers_type = net::const_buffer;
    using mutable_buffers_type = net::mutable_buffer;

    explicit growing_view(owned_buffer& buffer) noexcept : buffer_(&buffer) {}

    std::size_t size() const noexcept { return buffer_->size(); }
    std::size_t max_size() const noexcept { return ring::buffer_access::whole_capacity(*buffer_); }
    std::size_t capacity() const noexcept { return max_size(); }
    mutable_buffers_type data(std::size_t from, std::size_t size_bytes) noexcept
    {
        return net::buffer(net::buffer(buffer_->data(), size()) + from, size_bytes);
    }
    const_buffers_type data(std::size_t from, std::size_t size_bytes) const noexcept
    {
        return net::buffer(net::const_buffer(buffer_->data(), size()) + from, size_bytes);
    }
    /// Throws std::length_error above the capacity.
    void grow(std::size_t size_bytes)
    {
        if (size_bytes > buffer_->spare().size())
            buffer_->compact();
        buffer_->resize(size() + size_bytes);
    }
    void shrink(std::size_t size_bytes)
    {
        buffer_->resize(size() - (size_bytes < size() ? size_bytes : size()));
    }
    void consume(std::size_t size_bytes) noexcept { buffer_->consume(size_bytes); }

private:
    owned_buffer* buffer_;
};

/// Starts Asio's `async_read_until`, which looks at the size of the buffer while
/// the handler moves: so the buffer is in memory of the handler's allocator.
template <typename Stream>
class initiate_read_until : public initiation_of<Stream> {
public:
    using initiation_of<Stream>::initiation_of;

    template <typename Handler, typename Delimiter>
    void operator()(Handler&& handler, owned_buffer&& buffer, const Delimiter& delimiter) const
    {
        using handler_type =
            handler_with_buffer<unboxed, std::shared_ptr<owned_buffer>, std::decay_t<Handler>>;
        auto box = std::allocate_shared<owned_buffer>(net::get_associated_allocator(handler),
                                                      std::move(buffer));
        growing_view view(*box);
        net::async_read_until(this->object(), view, delimiter,
                              handler_type(std::forward<Handler>(handler), std::move(box), 0));
    }
};

template <typename Stream, typename Token, typename Delimiter>
auto read_until_with_buffer(Stream& stream, Token&& token, owned_buffer&& buffer,
                            const Delimiter& delimiter)
{
    using signature = void(boost::system::error_code, std::size_t, owned_buffer);
    if constexpr (std::convertible_to<const Delimiter&, std::string_view>)
        // A token may start it when the caller's string is gone.
        return net::async_initiate<Token, signature>(initiate_read_until<Stream>(stream), token,
                                                     std::move(buffer),
                                                     std::string(std::string_view(delimiter)));
    else
        return net::async_initiate<Token, signature>(initiate_read_until<Stream>(stream), token,
                                                     std::move(buffer), delimiter);
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
