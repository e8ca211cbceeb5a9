// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/item_stream.hpp>
#include <safer_ring/ring/annotations.hpp>
#include <safer_ring/ring/datagram_source.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/basic_datagram_socket.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <tuple>
#include <utility>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI {

/// A datagram that came in.
template <typename Endpoint>
struct datagram {
    boost::system::error_code error; ///< `message_size` where the buffer has a part of it only.
    owned_buffer bytes;
    Endpoint sender;
};

namespace detail {

template <typename Endpoint>
datagram<Endpoint> unpack_datagram(owned_buffer&& buffer)
{
    using source = ring::datagram_source;
    backend::message_header header{};
    std::memcpy(&header, buffer.data(), sizeof header);
    datagram<Endpoint> d;
    const std::size_t size_bytes = std::min<std::size_t>(
        {header.address_bytes, source::room_for_address_bytes, d.sender.capacity()});
    std::memcpy(d.sender.data(), buffer.data() + sizeof header, size_bytes);
    d.sender.resize(size_bytes);
    if ((header.flags & MSG_TRUNC) != 0)
        d.error = net::error::message_size;
    buffer.consume(source::front_bytes);
    d.bytes = std::move(buffer);
    return d;
}

template <typename Endpoint>
class datagram_next : public ring::item_operation {
protected:
    datagram_next() noexcept = default;
    ~datagram_next() = default;

    std::tuple<error_code, owned_buffer, Endpoint> take_arguments()
    {
        if (result() < 0)
            return {to_error_code(result()), owned_buffer(), Endpoint()};
        auto d = unpack_datagram<Endpoint>(take_item().buffer);
        return {d.error, std::move(d.bytes), std::move(d.sender)};
    }
};

template <typename T>
inline constexpr bool is_datagram_socket = false;
template <typename Protocol, typename Executor>
inline constexpr bool is_datagram_socket<net::basic_datagram_socket<Protocol, Executor>> = true;

// Compilers quote the line to who passes something else.
// clang-format off
template <typename T>
concept datagram_socket = is_datagram_socket<T>; // A net::basic_datagram_socket: the bytes of a stream socket are received by a receive_stream.
// clang-format on

} // namespace detail

/// Receives the datagrams that come in on a socket, connected or not, from one request of
/// the kernel, into buffers that the kernel chooses when there is one.
///
/// `async_next(token)` gives the next one, in order. *Completion signature*:
/// `void(error_code, owned_buffer, endpoint_type)`, with the sender. One without bytes is a
/// datagram as any. One that is longer than options::receive_buffer_size_bytes less 144, in
/// which the sender is noted, is cut, as a receive into a buffer of that size would do, and
/// given with the error message_size. Other errors, such as connection_refused of a connected
/// socket, come alone, and the stream goes on when the next datagram is asked for; with
/// no_memory, where there was none to keep what came, some datagrams are lost.
///
/// *The request*, *back-pressure*, what holds *while it is open*, *cancellation*, *lifetimes*,
/// *thread safety* and *executor* are as of receive_stream; beyond the high-water mark, what the
/// socket's buffer has no room for is lost, as ever. Where the kernel has no such request
/// (Linux 6.0), it waits for readiness and receives into memory of the heap.
///
/// @code
/// safer_ring::io_context context;
/// using socket_type = net::basic_datagram_socket<net::ip::udp, safer_ring::executor>;
/// const net::ip::udp::endpoint loopback(net::ip::address_v4::loopback(), 0);
/// socket_type receiver(context, loopback), sender(context, loopback);
/// safer_ring::datagram_stream datagrams(receiver);
/// sender.send_to(net::buffer("hello", 5), receiver.local_endpoint());
/// datagrams.async_next([&](boost::system::error_code error, safer_ring::owned_buffer bytes,
///                          net::ip::udp::endpoint from) {
///     assert(!error && bytes.text() == "hello" && from == sender.local_endpoint());
/// });
/// context.run();
/// @endcode
template <detail::datagram_socket Socket>
class [[nodiscard]] SAFER_RING_CONSUMABLE(unconsumed) datagram_stream {
public:
    using executor_type = typename Socket::executor_type;
    using endpoint_type = typename Socket::endpoint_type;
    using datagram_type = datagram<endpoint_type>;

    /// Throws boost::system::system_error: bad_descriptor for a socket that is
    /// closed, error::stream_is_open, error::not_on_a_ring. Throws
    /// std::invalid_argument when the low-water mark is not below the high one, or where
    /// options::receive_buffer_size_bytes leaves no room for a datagram, and std::bad_alloc.
    SAFER_RING_RETURNS(unconsumed)
    explicit datagram_stream(Socket& socket, const stream_limits& limits = {})
        : stream_(bind(socket), std::make_unique<ring::datagram_source>(limits),
                  socket.get_executor())
    {
    }
    SAFER_RING_RETURNS(unconsumed) datagram_stream(datagram_stream&&) noexcept = default;
    /// Ends the stream that was there, as its destruction does.
    SAFER_RING_SETS(unconsumed)
    datagram_stream& operator=(datagram_stream&&) noexcept = default;
    // Compilers quote these lines to who tries.
    // clang-format off
    datagram_stream(const datagram_stream&) = delete; // A stream has one owner: pass it on by std::move().
    datagram_stream& operator=(const datagram_stream&) = delete; // A stream has one owner: pass it on by std::move().
    // clang-format on
    ~datagram_stream() = default;

    [[nodiscard]] executor_type get_executor() const noexcept { return stream_.get_executor(); }

    template <typename Token = boost::asio::default_completion_token_t<executor_type>>
    SAFER_RING_NOT_AFTER_MOVE auto async_next(Token&& token = Token())
    {
        return boost::asio::async_initiate<Token, void(boost::system::error_code, owned_buffer,
                                                       endpoint_type)>(
            typename base::template start_next<detail::datagram_next<endpoint_type>>(stream_),
            token);
    }

    /// Ends the stream and gives what nobody has taken, in order, as receive_stream does. An
    /// error that came behind them is that of the socket's next receive.
    ///
    /// Throws, or sets `ec` to, timed_out when the kernel does not let go within a
    /// second, with the stream still open; no_memory when there was none to keep a
    /// datagram, with the stream over; `stop(ec)` gives the others, which go with the
    /// exception. Throws std::bad_alloc, with the stream still open.
    SAFER_RING_NOT_AFTER_MOVE std::vector<datagram_type> stop()
    {
        boost::system::error_code ec;
        std::vector<datagram_type> left = stop(ec);
        if (ec)
            throw boost::system::system_error(ec, "safer_ring: datagram_stream::stop");
        return left;
    }
    SAFER_RING_NOT_AFTER_MOVE std::vector<datagram_type> stop(boost::system::error_code& ec)
    {
        std::vector<datagram_type> left;
        std::vector<ring::stream_item> items = stream_.stop(left, ec);
        for (ring::stream_item& item : items)
            left.push_back(detail::unpack_datagram<endpoint_type>(std::move(item.buffer)));
        return left;
    }

    /// Neither stopped, nor the socket closed.
    [[nodiscard]] bool is_open() const { return stream_.is_open(); }
    /// How many datagrams there are that nobody has taken.
    [[nodiscard]] std::size_t held() const { return stream_.held(); }

private:
    using base = detail::item_stream<executor_type>;

    static detail::native_question bind(Socket& socket)
    {
        const detail::native_question answer = base::bind(socket);
        const unsigned size_bytes =
            answer.context()->impl().loop().settings().receive_buffer_size_bytes;
        if (size_bytes <= ring::datagram_source::front_bytes)
            throw std::invalid_argument(
                "safer_ring: options::receive_buffer_size_bytes of " + std::to_string(size_bytes) +
                " leaves no room for a datagram; " +
                std::to_string(ring::datagram_source::front_bytes) + " go to its sender");
        return answer;
    }

    base stream_;
};

} // namespace safer_ring::inline SAFER_RING_ABI
