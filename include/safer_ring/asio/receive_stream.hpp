// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/item_stream.hpp>
#include <safer_ring/ring/annotations.hpp>
#include <safer_ring/ring/owned_buffer.hpp>
#include <safer_ring/ring/stream_kinds.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/basic_stream_socket.hpp>

#include <cstddef>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI {

namespace detail {

class receive_next : public ring::item_operation {
protected:
    ~receive_next() = default;

    std::tuple<error_code, owned_buffer> take_arguments() noexcept
    {
        const error_code ec = result() == 0 ? net::error::eof : to_error_code(result());
        return {ec, take_item().buffer};
    }
};

template <typename T>
inline constexpr bool is_stream_socket = false;
template <typename Protocol, typename Executor>
inline constexpr bool is_stream_socket<net::basic_stream_socket<Protocol, Executor>> = true;

// Compilers quote the line to who passes something else.
// clang-format off
template <typename T>
concept stream_socket = is_stream_socket<T>; // A net::basic_stream_socket: datagrams are received by a datagram_stream.
// clang-format on

} // namespace detail

/// Receives whatever comes in on a stream socket, from one request of the kernel,
/// into buffers that the kernel chooses when there is data: an idle connection
/// holds none.
///
/// `async_next(token)` gives the next piece, in order. *Completion signature*:
/// `void(error_code, owned_buffer)`; `eof` at the end of the stream, with no
/// bytes, and whatever a receive may fail with. As with receives one after the
/// other, the stream goes on behind an error when the next piece is asked for; but
/// where there was no memory to keep a piece, it is over, and every later one fails
/// with no_memory, since bytes are missing.
/// Several may be waited for; they are served in order.
///
/// *The request* begins when the first piece is asked for, behind the receives that
/// were started before, and takes over what a cancelled one left. Buffers are as
/// long as options::receive_buffer_size_bytes, and there are
/// options::receive_buffer_count of them for all receive_streams of a context,
/// registered by the first. With few of them left, pieces are copied to memory of
/// their own, so that who keeps its pieces does not starve others; with none left,
/// the stream waits for readiness and reads into memory of the heap for once. Where
/// the kernel has no multishot receive (Linux 6.0), or the buffers are turned off,
/// it always does.
///
/// *Back-pressure*: see stream_limits, whose `bundles` have no effect here. With
/// `high_water` pieces that nobody has taken, the kernel is asked to stop, and the
/// peer finds the socket's buffer full; with `low_water` it goes on. What the kernel
/// had received by the time it stopped is kept too: at most as many buffers as there
/// are.
///
/// *While it is open*, other receives on the socket, and waits for it to become
/// readable, fail with error::stream_is_open, and so does `release()`. Sending,
/// out-of-band data, options and `shutdown()` are as ever.
///
/// *Cancellation*: a slot, of any type, or the socket's `cancel()` ends
/// `async_next` with operation_aborted; the stream lives on and loses nothing.
/// `close()` and the socket's destruction end the stream as well, what it held is
/// dropped, and `async_next` fails with bad_descriptor from then on.
///
/// *Lifetimes*: the socket may be moved; whoever owns it, it has to be closed or
/// destroyed, and the stream destroyed, before the context is. Destroyed with the
/// socket open, the stream drops what nobody has taken; `stop()` gives it. A receive
/// that is started then begins when the kernel has let go of the request.
///
/// *Thread safety*: distinct streams may be used at once; a stream and its socket
/// count as one object.
///
/// *Executor*: that of the socket, unless the handler has one. The socket has to be
/// on a safer_ring::io_context, which is checked when the stream is made: for
/// executors known at run time only, the drop-in makes it so.
///
/// @code
/// safer_ring::io_context context;
/// net::basic_stream_socket<net::local::stream_protocol, safer_ring::executor> near(context),
///     far(context);
/// net::local::connect_pair(near, far);
/// safer_ring::receive_stream stream(near);
/// net::write(far, net::buffer("hello", 5));
/// stream.async_next([&](boost::system::error_code error, safer_ring::owned_buffer piece) {
///     assert(!error && piece.text() == "hello");
///     far.close();
///     stream.async_next([](boost::system::error_code end, safer_ring::owned_buffer) {
///         assert(end == net::error::eof);
///     });
/// });
/// context.run();
/// @endcode
template <detail::stream_socket Socket>
class [[nodiscard]] SAFER_RING_CONSUMABLE(unconsumed) receive_stream {
public:
    using executor_type = typename Socket::executor_type;

    /// Throws boost::system::system_error: bad_descriptor for a socket that is
    /// closed, error::stream_is_open, error::not_on_a_ring. Throws
    /// std::invalid_argument when the low-water mark is not below the high one, and
    /// std::bad_alloc.
    SAFER_RING_RETURNS(unconsumed)
    explicit receive_stream(Socket& socket, const stream_limits& limits = {})
        : stream_(base::bind(socket), std::make_unique<ring::receive_source>(limits),
                  socket.get_executor())
    {
    }
    SAFER_RING_RETURNS(unconsumed) receive_stream(receive_stream&&) noexcept = default;
    /// Ends the stream that was there, as its destruction does.
    SAFER_RING_SETS(unconsumed)
    receive_stream& operator=(receive_stream&&) noexcept = default;
    // Compilers quote these lines to who tries.
    // clang-format off
    receive_stream(const receive_stream&) = delete; // A stream has one owner: pass it on by std::move().
    receive_stream& operator=(const receive_stream&) = delete; // A stream has one owner: pass it on by std::move().
    // clang-format on
    ~receive_stream() = default;

    [[nodiscard]] executor_type get_executor() const noexcept { return stream_.get_executor(); }

    template <typename Token = boost::asio::default_completion_token_t<executor_type>>
    SAFER_RING_NOT_AFTER_MOVE auto async_next(Token&& token = Token())
    {
        return boost::asio::async_initiate<Token, void(boost::system::error_code, owned_buffer)>(
            typename base::template start_next<detail::receive_next>(stream_), token);
    }

    /// Ends the stream and gives what nobody has taken, in order; who waits for a
    /// piece gets operation_aborted. Waits for the kernel to let go of the request,
    /// which takes microseconds. An error that came behind the pieces is that of
    /// the socket's next receive.
    ///
    /// Throws, or sets `ec` to, timed_out when the kernel does not let go within a
    /// second, with the stream still open; no_memory when there was none to keep a
    /// piece, with the stream over; `stop(ec)` gives the others, which go with the
    /// exception. Throws std::bad_alloc, with the stream still open.
    SAFER_RING_NOT_AFTER_MOVE std::vector<owned_buffer> stop()
    {
        boost::system::error_code ec;
        std::vector<owned_buffer> left = stop(ec);
        if (ec)
            throw boost::system::system_error(ec, "safer_ring: receive_stream::stop");
        return left;
    }
    SAFER_RING_NOT_AFTER_MOVE std::vector<owned_buffer> stop(boost::system::error_code& ec)
    {
        std::vector<owned_buffer> left;
        std::vector<ring::stream_item> items = stream_.stop(left, ec);
        for (ring::stream_item& item : items)
            left.push_back(std::move(item.buffer));
        return left;
    }

    /// Neither stopped, nor the socket closed.
    [[nodiscard]] bool is_open() const { return stream_.is_open(); }
    /// How many pieces there are that nobody has taken.
    [[nodiscard]] std::size_t held() const { return stream_.held(); }

private:
    using base = detail::item_stream<executor_type>;

    base stream_;
};

} // namespace safer_ring::inline SAFER_RING_ABI
