// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

/// Operations that own their buffer: it goes in by move, and comes back as the
/// last argument of the completion handler, on success, error and cancellation
/// alike.
///
/// They work on every stream, socket, descriptor, pipe and file of Asio, and on
/// the streams of Beast and OpenSSL, with any executor and any completion
/// token; not on sockets of sequenced packets, of which each call has flags. What the plain operation of the same name says about cancellation,
/// errors and thread safety holds for them too.
///
/// *Completion signature*: `void(error_code, std::size_t bytes, owned_buffer)`,
/// or with `shared_buffer` in its place where one was sent.
///
/// *Lifetimes*: the object that is read or written has to live as for the plain
/// operation; of the buffer nothing has to be kept. A token that throws errors,
/// such as a plain `use_awaitable`, drops the buffer with the error, back to
/// where it came from; `as_tuple` and `redirect_error` give it back.
///
/// *Several buffers* go in and come back as a `std::vector` of them, wherever one
/// does, but for `async_read_until` and `append`: reads fill one after the other.
///
/// *Reads* fill the buffer up to its capacity and leave its size at what came
/// in; with `append(std::move(buffer))` they fill what lies behind its size. A
/// buffer that has no room left reads no bytes. *Writes* send `size()` bytes and
/// give the buffer back as it was; `consume()` drops what was sent.
///
/// @code
/// safer_ring::io_context context;
/// net::basic_readable_pipe<safer_ring::executor> reader(context);
/// net::basic_writable_pipe<safer_ring::executor> writer(context);
/// net::connect_pipe(reader, writer);
///
/// safer_ring::async_write(writer, safer_ring::owned_buffer::copy_of("hello"),
///                         [](boost::system::error_code error, std::size_t,
///                            safer_ring::owned_buffer sent) {
///                             assert(!error && sent.text() == "hello");
///                         });
/// safer_ring::async_read_some(reader, safer_ring::owned_buffer(4096),
///                             [](boost::system::error_code error, std::size_t size,
///                                safer_ring::owned_buffer received) {
///                                 assert(!error && size == 5 && received.text() == "hello");
///                             });
/// context.run();
/// @endcode

#include <safer_ring/asio/detail/owned_file_transfer.hpp>
#include <safer_ring/asio/detail/owned_initiation.hpp>
#include <safer_ring/asio/detail/receive_when_ready.hpp>

#include <boost/asio/compose.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_at.hpp>
#include <boost/asio/write.hpp>
#include <boost/asio/write_at.hpp>

#include <cstdint>

namespace safer_ring::inline SAFER_RING_ABI {

/// A buffer that a read is to make longer; see `append`.
struct appended_buffer {
    owned_buffer buffer;
};

/// Passed to a read, keeps the bytes up to `size()` and fills what lies behind. Where less room is left
/// there than was consumed in front, the bytes move to the front of the memory first, and views of
/// them, as from `text()`, are of no use any more.
inline appended_buffer append(owned_buffer buffer) noexcept
{
    ring::buffer_access::make_room(buffer);
    return {std::move(buffer)};
}

namespace detail {

struct start_read_some {
    void operator()(auto& stream, auto view, auto handler) const
    {
        stream.async_read_some(view, std::move(handler));
    }
};
struct start_read {
    void operator()(auto& stream, auto view, auto handler) const
    {
        net::async_read(stream, view, std::move(handler));
    }
};
struct start_write_some {
    void operator()(auto& stream, auto view, auto handler) const
    {
        stream.async_write_some(view, std::move(handler));
    }
};
struct start_write {
    void operator()(auto& stream, auto view, auto handler) const
    {
        if constexpr (requires { stream.async_write(view, std::move(handler)); })
            stream.async_write(view, std::move(handler));
        else
            net::async_write(stream, view, std::move(handler));
    }
};
struct start_read_some_at {
    static constexpr auto extent = transfer_extent::some;
    void operator()(auto& file, auto view, auto handler, std::uint64_t offset) const
    {
        file.async_read_some_at(offset, view, std::move(handler));
    }
};
struct start_read_at {
    static constexpr auto extent = transfer_extent::all;
    void operator()(auto& file, auto view, auto handler, std::uint64_t offset) const
    {
        net::async_read_at(file, offset, view, std::move(handler));
    }
};
struct start_write_some_at {
    static constexpr auto extent = transfer_extent::some;
    void operator()(auto& file, auto view, auto handler, std::uint64_t offset) const
    {
        file.async_write_some_at(offset, view, std::move(handler));
    }
};
struct start_write_at {
    static constexpr auto extent = transfer_extent::all;
    void operator()(auto& file, auto view, auto handler, std::uint64_t offset) const
    {
        net::async_write_at(file, offset, view, std::move(handler));
    }
};
struct start_receive {
    void operator()(auto& socket, auto view, auto handler) const
    {
        socket.async_receive(view, std::move(handler));
    }
};
struct start_receive_from {
    void operator()(auto& socket, auto view, auto handler, auto* sender) const
    {
        socket.async_receive_from(view, *sender, std::move(handler));
    }
};
struct start_send {
    void operator()(auto& socket, auto view, auto handler) const
    {
        socket.async_send(view, std::move(handler));
    }
};
struct start_send_to {
    void operator()(auto& socket, auto view, auto handler, const auto& receiver) const
    {
        socket.async_send_to(view, receiver, std::move(handler));
    }
};

/// `Start` as a read into an owned buffer, or behind what is in one.
template <typename Start, typename Object, typename Token, typename... Args>
auto read_with_buffer(Object& object, owned_buffer&& buffer, Token&& token, Args&&... args)
{
    return with_buffer<read_into_buffer, Start>(object, std::forward<Token>(token),
                                                std::move(buffer), std::size_t{0},
                                                std::forward<Args>(args)...);
}
template <typename Start, typename Object, typename Token, typename... Args>
auto read_with_buffer(Object& object, std::vector<owned_buffer>&& buffers, Token&& token,
                      Args&&... args)
{
    return with_buffer<read_into_buffer, Start>(object, std::forward<Token>(token),
                                                std::move(buffers), std::size_t{0},
                                                std::forward<Args>(args)...);
}
template <typename Start, typename Object, typename Token, typename... Args>
auto read_with_buffer(Object& object, appended_buffer&& appended, Token&& token, Args&&... args)
{
    const std::size_t before = appended.buffer.size();
    return with_buffer<read_into_buffer, Start>(object, std::forward<Token>(token),
                                                std::move(appended.buffer), before,
                                                std::forward<Args>(args)...);
}

// Compilers quote the line to who passes something else.
// clang-format off
template <typename T>
concept filled_buffer = std::same_as<T, owned_buffer> || std::same_as<T, appended_buffer> || std::same_as<T, std::vector<owned_buffer>>; // An owned_buffer by std::move(); plain memory goes to the operation of boost::asio.
// clang-format on

template <typename Object>
using default_token = net::default_completion_token_t<typename Object::executor_type>;

} // namespace detail

// ------------------------------------------------------------------ streams

/// Reads at least one byte, unless the stream ends.
template <typename Stream, detail::filled_buffer Buffer,
          typename Token = detail::default_token<Stream>>
auto async_read_some(Stream& stream, Buffer buffer, Token&& token = Token())
{
    return detail::read_with_buffer<detail::start_read_some>(stream, std::move(buffer),
                                                             std::forward<Token>(token));
}

/// Reads until the buffer is full, or until an error, `eof` among them, which
/// leaves what came in before.
template <typename Stream, detail::filled_buffer Buffer,
          typename Token = detail::default_token<Stream>>
auto async_read(Stream& stream, Buffer buffer, Token&& token = Token())
{
    return detail::read_with_buffer<detail::start_read>(stream, std::move(buffer),
                                                        std::forward<Token>(token));
}

/// Reads until the delimiter is in the buffer: a character, a string, a regular
/// expression, or a match condition, as Asio's function of this name has them.
/// What is in the buffer up to `size()` is looked at first, and kept. The handler
/// gets the bytes up to and with the delimiter as size; there may be more behind.
/// `consume()` drops what was dealt with, and the rest goes into the next call.
///
/// Fails with `not_found` when the buffer is full. The bytes move to the front of the memory, over
/// those that were consumed, when there is no room behind them.
///
/// @code
/// safer_ring::io_context context;
/// net::basic_readable_pipe<safer_ring::executor> reader(context);
/// net::basic_writable_pipe<safer_ring::executor> writer(context);
/// net::connect_pipe(reader, writer);
/// net::write(writer, net::buffer("one\ntwo", 7));
///
/// safer_ring::owned_buffer line(80);
/// line.resize(0);
/// safer_ring::async_read_until(reader, std::move(line), '\n',
///                              [](boost::system::error_code error, std::size_t size,
///                                 safer_ring::owned_buffer lines) {
///                                  assert(!error && lines.text().substr(0, size) == "one\n");
///                                  lines.consume(size);
///                                  assert(lines.text() == "two");
///                              });
/// context.run();
/// @endcode
template <typename Stream, typename Delimiter, typename Token = detail::default_token<Stream>>
auto async_read_until(Stream& stream, owned_buffer buffer, const Delimiter& delimiter,
                      Token&& token = Token())
{
    return detail::read_until_with_buffer(stream, std::forward<Token>(token), std::move(buffer),
                                          delimiter);
}

/// Writes at least one byte.
template <typename Stream, detail::written_buffer Buffer,
          typename Token = detail::default_token<Stream>>
auto async_write_some(Stream& stream, Buffer buffer, Token&& token = Token())
{
    return detail::with_buffer<detail::write_from_buffer, detail::start_write_some>(
        stream, std::forward<Token>(token), std::move(buffer), std::size_t{0});
}

/// Writes all of the buffer, or as much as goes before an error; to a WebSocket
/// stream of Beast, one message.
template <typename Stream, detail::written_buffer Buffer,
          typename Token = detail::default_token<Stream>>
auto async_write(Stream& stream, Buffer buffer, Token&& token = Token())
{
    return detail::with_buffer<detail::write_from_buffer, detail::start_write>(
        stream, std::forward<Token>(token), std::move(buffer), std::size_t{0});
}

// -------------------------------------------------------------------- files
//
// Of a `net::basic_random_access_file` of ours, opened on what has positions, the
// kernel fills and writes the buffer itself, with no copy in between, and with
// O_DIRECT, too, whose rules a fresh buffer meets. One that is registered with the
// context is used as such. The file may be closed or destroyed meanwhile, which nobody
// waits for: the handler is called when the kernel has let go of the buffer. What a
// cancelled one moved all the same is told. Several buffers go the way of the plain
// operation.

/// Reads at least one byte from `offset` on, unless the file ends.
template <typename File, detail::filled_buffer Buffer, typename Token = detail::default_token<File>>
auto async_read_some_at(File& file, std::uint64_t offset, Buffer buffer, Token&& token = Token())
{
    return detail::read_with_buffer<detail::start_read_some_at>(file, std::move(buffer),
                                                                std::forward<Token>(token), offset);
}

/// Reads from `offset` on until the buffer is full, or until an error.
template <typename File, detail::filled_buffer Buffer, typename Token = detail::default_token<File>>
auto async_read_at(File& file, std::uint64_t offset, Buffer buffer, Token&& token = Token())
{
    return detail::read_with_buffer<detail::start_read_at>(file, std::move(buffer),
                                                           std::forward<Token>(token), offset);
}

/// Writes at least one byte at `offset`.
template <typename File, detail::written_buffer Buffer,
          typename Token = detail::default_token<File>>
auto async_write_some_at(File& file, std::uint64_t offset, Buffer buffer, Token&& token = Token())
{
    return detail::with_buffer<detail::write_from_buffer, detail::start_write_some_at>(
        file, std::forward<Token>(token), std::move(buffer), std::size_t{0}, offset);
}

/// Writes all of the buffer at `offset`, or as much as goes before an error.
template <typename File, detail::written_buffer Buffer,
          typename Token = detail::default_token<File>>
auto async_write_at(File& file, std::uint64_t offset, Buffer buffer, Token&& token = Token())
{
    return detail::with_buffer<detail::write_from_buffer, detail::start_write_at>(
        file, std::forward<Token>(token), std::move(buffer), std::size_t{0}, offset);
}

// ---------------------------------------------------------------- datagrams

/// Receives one datagram, of a stream some bytes; what does not fit into the
/// buffer is lost to a datagram, as with the plain operation.
template <typename Socket, detail::filled_buffer Buffer,
          typename Token = detail::default_token<Socket>>
auto async_receive(Socket& socket, Buffer buffer, Token&& token = Token())
{
    return detail::read_with_buffer<detail::start_receive>(socket, std::move(buffer),
                                                           std::forward<Token>(token));
}

/// Receives what comes next into a buffer that is made when it is there, as large
/// as that: a connection that waits holds no memory for it. Of a stream, 64 KiB at
/// most are taken, and the rest is left to the next call; a message comes whole (of a socket
/// from which others take some as well, one may be up to 64 KiB longer than that before it).
///
/// *Completion signature*: `void(error_code, owned_buffer)`.
///
/// *Lifetime*: it waits first and receives then, so the socket has to live until
/// the handler is called, as for every composed operation. Cancelling or closing
/// it ends the wait.
///
/// Costs two system calls more than a receive into a buffer, so it is for
/// connections that are mostly idle.
///
/// @code
/// safer_ring::io_context context;
/// net::basic_stream_socket<net::local::stream_protocol, safer_ring::executor> near(context),
///     far(context);
/// net::local::connect_pair(near, far);
/// safer_ring::async_receive(
///     near, [](boost::system::error_code error, safer_ring::owned_buffer received) {
///         assert(!error && received.text() == "hello" && received.capacity() == 5);
///     });
/// net::write(far, net::buffer("hello", 5));
/// context.run();
/// @endcode
template <typename Socket, typename Token = detail::default_token<Socket>>
requires(!detail::filled_buffer<std::decay_t<Token>>) auto async_receive(Socket& socket,
                                                                         Token&& token = Token())
{
    return boost::asio::async_compose<Token, void(boost::system::error_code, owned_buffer)>(
        detail::receive_when_ready<Socket>(socket), token, socket);
}

/// The same as into a buffer, and tells who sent it. `sender` has to live until the handler is
/// called.
template <typename Socket, detail::filled_buffer Buffer,
          typename Token = detail::default_token<Socket>>
auto async_receive_from(Socket& socket, Buffer buffer, typename Socket::endpoint_type& sender,
                        Token&& token = Token())
{
    return detail::read_with_buffer<detail::start_receive_from>(
        socket, std::move(buffer), std::forward<Token>(token), &sender);
}

/// Sends one datagram, of a stream some bytes.
template <typename Socket, detail::written_buffer Buffer,
          typename Token = detail::default_token<Socket>>
auto async_send(Socket& socket, Buffer buffer, Token&& token = Token())
{
    return detail::with_buffer<detail::write_from_buffer, detail::start_send>(
        socket, std::forward<Token>(token), std::move(buffer), std::size_t{0});
}

/// Sends one datagram to `receiver`, which is copied.
template <typename Socket, detail::written_buffer Buffer,
          typename Token = detail::default_token<Socket>>
auto async_send_to(Socket& socket, Buffer buffer, const typename Socket::endpoint_type& receiver,
                   Token&& token = Token())
{
    return detail::with_buffer<detail::write_from_buffer, detail::start_send_to>(
        socket, std::forward<Token>(token), std::move(buffer), std::size_t{0}, receiver);
}

} // namespace safer_ring::inline SAFER_RING_ABI
