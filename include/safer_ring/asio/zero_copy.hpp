// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/initiation_of.hpp>
#include <safer_ring/asio/detail/native_service_base.hpp>
#include <safer_ring/asio/detail/owned_initiation.hpp>
#include <safer_ring/ring/zero_copy_send.hpp>

#include <boost/asio/async_result.hpp>

#include <cerrno>
#include <concepts>
#include <cstddef>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

/// Sending without a copy.
namespace safer_ring::inline SAFER_RING_ABI {
namespace detail {

template <typename Buffer>
class zero_copy_send : public ring::zero_copy_send_operation {
protected:
    explicit zero_copy_send(Buffer&& buffer)
        : ring::zero_copy_send_operation(
              std::make_unique<ring::lent_buffer<Buffer>>(std::move(buffer)))
    {
    }
    ~zero_copy_send() = default;

    std::tuple<error_code, std::size_t, Buffer> take_arguments() noexcept
    {
        const auto memory = take_memory();
        return {to_error_code(result()), result() > 0 ? static_cast<std::size_t>(result()) : 0,
                std::move(static_cast<ring::lent_buffer<Buffer>&>(*memory).buffer)};
    }
};

struct start_copying_send {
    void operator()(auto& socket, auto view, auto handler) const
    {
        socket.async_send(view, std::move(handler));
    }
};

template <typename Socket>
class initiate_zero_copy_send : public initiation_of<Socket> {
public:
    using initiation_of<Socket>::initiation_of;

    template <typename Handler, typename Buffer>
    void operator()(Handler&& handler, Buffer&& buffer) const
    {
        const native_question answer = ask(this->object());
        // No bytes are an end in itself for a datagram only, as the plain one has it.
        if (answer.context() == nullptr || buffer.size() == 0)
            return initiate_with_buffer<Socket, write_from_buffer, start_copying_send>(
                this->object())(std::forward<Handler>(handler), std::forward<Buffer>(buffer),
                                std::size_t{0});
        std::decay_t<Handler> own(std::forward<Handler>(handler));
        native_starter(*answer.context())
            .template start<zero_copy_send<std::decay_t<Buffer>>>(
                answer.descriptor(), ring::direction::write, own, this->get_executor(),
                std::decay_t<Buffer>(std::forward<Buffer>(buffer)));
    }
};

// Compilers quote the line to who passes something else.
// clang-format off
template <typename T>
concept zero_copy_buffer = std::same_as<T, owned_buffer> || std::same_as<T, shared_buffer>; // An owned_buffer by std::move(), or a shared_buffer: the network reads it until the handler is called.
// clang-format on

} // namespace detail

/// Sends one datagram, of a stream some bytes, from the buffer itself: it comes
/// back when the network has done with it, that is, for TCP, when the peer has
/// acknowledged them. Pays for large messages, from some ten kilobytes on; to
/// an address of the same machine the bytes are copied when they are received.
///
/// *Completion signature*: `void(error_code, std::size_t bytes, owned_buffer)`, or
/// with `shared_buffer` in its place where one was sent.
///
/// *Object lifetimes*: of the buffer nothing has to be kept. The socket may be closed
/// or destroyed meanwhile, and the handler is called all the same when the kernel
/// has let go; so it is called late, or when the peer has gone, where the peer takes
/// nothing. A context that is destroyed waits for that as long as its options say,
/// and sets the buffer aside where that was not enough.
///
/// *Order*: the bytes keep their place among all sends of the socket. Its handler may
/// be called after those of later ones, which do not wait for the peer.
///
/// *Cancellation*: by the socket's `cancel()` and by slot, of every type, until the
/// bytes are sent; afterwards, it is reported as the success that it is.
///
/// *Errors*: those of send(2).
///
/// *Thread safety*: as for the socket's own operations, one thread at a time.
///
/// *Kernel*: Linux 6.0. Before, on sockets that cannot (local ones), where
/// RLIMIT_MEMLOCK is too low, and on sockets that are Asio's own, the bytes are copied,
/// and nothing else is different.
///
/// @code
/// safer_ring::io_context context;
/// net::basic_stream_socket<net::local::stream_protocol, safer_ring::executor> near(context),
///     far(context);
/// net::local::connect_pair(near, far);
/// safer_ring::async_send_zero_copy(
///     near, safer_ring::owned_buffer::copy_of("hello"),
///     [](boost::system::error_code error, std::size_t size, safer_ring::owned_buffer back) {
///         assert(!error && size == 5 && back.text() == "hello");
///     });
/// context.run();
/// @endcode
template <typename Socket, detail::zero_copy_buffer Buffer,
          typename Token = boost::asio::default_completion_token_t<typename Socket::executor_type>>
auto async_send_zero_copy(Socket& socket, Buffer buffer, Token&& token = Token())
{
    return boost::asio::async_initiate<Token, void(boost::system::error_code, std::size_t, Buffer)>(
        detail::initiate_zero_copy_send<Socket>(socket), token, std::move(buffer));
}

} // namespace safer_ring::inline SAFER_RING_ABI
