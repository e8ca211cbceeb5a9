// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/item_stream.hpp>
#include <safer_ring/ring/annotations.hpp>
#include <safer_ring/ring/stream_kinds.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <tuple>
#include <utility>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI {

namespace detail {

/// The socket of a connection that was accepted; closes that in case of an error.
template <typename Socket, typename Protocol>
Socket to_socket(owned_descriptor&& accepted, const Protocol& protocol,
                 const typename Socket::executor_type& ex, error_code& ec)
{
    Socket socket(ex);
    try {
        socket.assign(protocol, accepted.get(), ec);
    } catch (const std::bad_alloc&) {
        ec = net::error::no_memory;
    }
    if (!ec)
        static_cast<void>(accepted.release());
    return socket;
}

template <typename Socket, typename Protocol>
class accept_next : public ring::item_operation {
    using executor_type = typename Socket::executor_type;

protected:
    accept_next(const executor_type& ex, const Protocol& protocol)
        : executor_(ex), protocol_(protocol)
    {
    }
    ~accept_next() = default;

    std::tuple<error_code, Socket> take_arguments()
    {
        error_code ec = to_error_code(result());
        if (ec)
            return {ec, Socket(executor_)};
        Socket socket = to_socket<Socket>(take_item().socket, protocol_, executor_, ec);
        return {ec, std::move(socket)};
    }

private:
    executor_type executor_;
    Protocol protocol_;
};

template <typename T>
inline constexpr bool is_acceptor = false;
template <typename Protocol, typename Executor>
inline constexpr bool is_acceptor<net::basic_socket_acceptor<Protocol, Executor>> = true;

template <typename T>
concept acceptor = is_acceptor<T>;

} // namespace detail

/// Accepts whatever connects, from one request of the kernel.
///
/// `async_next(token)` gives the next connection. *Completion signature*:
/// `void(error_code, socket_type)`, as of `async_accept`, with the acceptor's
/// executor. Connections that were gone before they were accepted are passed over,
/// unless the acceptor's `enable_connection_aborted` was set when the stream was
/// made. Another failure, such as EMFILE, is told to one `async_next`, and the next
/// one tries again; with no_memory, where there was none to keep a connection, some
/// are closed. Several may be waited for; they are served in order.
///
/// *The request* begins when the first connection is asked for, behind the accepts
/// that were started before, and takes over what a cancelled one left. One request
/// for all connections: Linux 5.19; elsewhere there is one after the other.
///
/// *Back-pressure*: see stream_limits. With `high_water` connections that nobody has
/// taken, the kernel is asked to stop, and they wait in the backlog; with
/// `low_water` it goes on. What the kernel had accepted by the time it stopped is
/// kept too: at most the backlog.
///
/// *While it is open*, other accepts on the acceptor, and waits for it to become
/// readable, fail with error::stream_is_open, and so does `release()`.
///
/// *Cancellation*: a slot, of any type, or the acceptor's `cancel()` ends
/// `async_next` with operation_aborted; the stream lives on and loses nothing.
/// `close()` and the acceptor's destruction end the stream as well, close the
/// connections it held, and `async_next` fails with bad_descriptor from then on.
///
/// *Lifetimes, thread safety, executor*: as of receive_stream. Destroyed, the stream
/// closes what nobody has taken; `stop()` gives it.
///
/// @code
/// using protocol = net::local::stream_protocol;
/// safer_ring::io_context context;
/// const std::string path = "/tmp/safer_ring_accept_stream." + std::to_string(::getpid());
/// net::basic_socket_acceptor<protocol, safer_ring::executor> acceptor(context, path);
/// net::basic_stream_socket<protocol, safer_ring::executor> first(context), second(context);
/// first.connect(path);
/// second.connect(path);
/// safer_ring::accept_stream stream(acceptor);
/// int connections = 0;
/// for (int i = 0; i < 2; ++i)
///     stream.async_next([&](boost::system::error_code error, auto socket) {
///         assert(!error && socket.is_open());
///         ++connections;
///     });
/// context.run();
/// assert(connections == 2);
/// ::unlink(path.c_str());
/// @endcode
template <detail::acceptor Acceptor>
class [[nodiscard]] SAFER_RING_CONSUMABLE(unconsumed) accept_stream {
public:
    using executor_type = typename Acceptor::executor_type;
    using protocol_type = typename Acceptor::protocol_type;
    using socket_type =
        typename protocol_type::socket::template rebind_executor<executor_type>::other;

    /// Throws boost::system::system_error: bad_descriptor for an acceptor that is
    /// closed, error::stream_is_open, error::not_on_a_ring. Throws
    /// std::invalid_argument when the low-water mark is not below the high one, and
    /// std::bad_alloc.
    SAFER_RING_RETURNS(unconsumed)
    explicit accept_stream(Acceptor& acceptor, const stream_limits& limits = {})
        : stream_(base::bind(acceptor),
                  std::make_unique<ring::accept_source>(limits, reports_aborted(acceptor)),
                  acceptor.get_executor()),
          protocol_(acceptor.local_endpoint().protocol())
    {
    }
    SAFER_RING_RETURNS(unconsumed) accept_stream(accept_stream&&) noexcept = default;
    /// Ends the stream that was there, as its destruction does.
    SAFER_RING_SETS(unconsumed)
    accept_stream& operator=(accept_stream&&) noexcept = default;
    // Compilers quote these lines to who tries.
    // clang-format off
    accept_stream(const accept_stream&) = delete; // A stream has one owner: pass it on by std::move().
    accept_stream& operator=(const accept_stream&) = delete; // A stream has one owner: pass it on by std::move().
    // clang-format on
    ~accept_stream() = default;

    [[nodiscard]] executor_type get_executor() const noexcept { return stream_.get_executor(); }

    template <typename Token = boost::asio::default_completion_token_t<executor_type>>
    SAFER_RING_NOT_AFTER_MOVE auto async_next(Token&& token = Token())
    {
        using next = detail::accept_next<socket_type, protocol_type>;
        return boost::asio::async_initiate<Token, void(boost::system::error_code, socket_type)>(
            typename base::template start_next<next>(stream_), token, stream_.get_executor(),
            protocol_);
    }

    /// Ends the stream and gives the connections that nobody has taken, in order; who
    /// waits for one gets operation_aborted. Waits for the kernel to let go of the
    /// request, which takes microseconds.
    ///
    /// Throws, or sets `ec` to, timed_out when the kernel does not let go within a
    /// second, with the stream still open; another error, with the stream over, when
    /// a connection could not be kept or made a socket, and was closed; `stop(ec)`
    /// gives the others, which go with the exception. Throws std::bad_alloc, with the
    /// stream still open.
    SAFER_RING_NOT_AFTER_MOVE std::vector<socket_type> stop()
    {
        boost::system::error_code ec;
        std::vector<socket_type> left = stop(ec);
        if (ec)
            throw boost::system::system_error(ec, "safer_ring: accept_stream::stop");
        return left;
    }
    SAFER_RING_NOT_AFTER_MOVE std::vector<socket_type> stop(boost::system::error_code& ec)
    {
        std::vector<socket_type> left;
        std::vector<ring::stream_item> items = stream_.stop(left, ec);
        for (ring::stream_item& item : items) {
            boost::system::error_code failure;
            left.push_back(detail::to_socket<socket_type>(std::move(item.socket), protocol_,
                                                          stream_.get_executor(), failure));
            if (failure) {
                left.pop_back();
                ec = failure;
            }
        }
        return left;
    }

    /// Neither stopped, nor the acceptor closed.
    [[nodiscard]] bool is_open() const { return stream_.is_open(); }
    /// How many connections there are that nobody has taken.
    [[nodiscard]] std::size_t held() const { return stream_.held(); }

private:
    using base = detail::item_stream<executor_type>;

    static bool reports_aborted(const Acceptor& acceptor)
    {
        boost::asio::socket_base::enable_connection_aborted option;
        boost::system::error_code ignored;
        acceptor.get_option(option, ignored);
        return option.value();
    }

    base stream_;
    protocol_type protocol_;
};

} // namespace safer_ring::inline SAFER_RING_ABI
