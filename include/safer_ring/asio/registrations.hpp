// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/native_service_base.hpp>
#include <safer_ring/asio/io_context.hpp>
#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/registered_file.hpp>

#include <boost/system/system_error.hpp>

#include <string>
#include <system_error>

/// Files and buffers that a context has registered with the kernel, which spares it
/// a look-up, of the descriptor or of the memory's pages, for each request.
namespace safer_ring::inline SAFER_RING_ABI {
namespace detail {

/// What an object is, or why it cannot be registered.
template <typename Object>
native_question ask_open(Object& object, error_code& ec)
{
    const native_question answer = ask(object);
    ec = {};
    if (answer.context() == nullptr)
        ec = net::error::operation_not_supported;
    else if (answer.descriptor() == nullptr)
        ec = net::error::bad_descriptor;
    return answer;
}

/// As Asio would tell it.
inline error_code of_system(const std::system_error& failure) noexcept
{
    return {failure.code().value(), net::error::get_system_category()};
}

/// The same with its text, of which Boost appends the code's message itself.
inline boost::system::system_error as_boost(const std::system_error& failure)
{
    std::string text = failure.what();
    if (const std::string message = ": " + failure.code().message(); text.ends_with(message))
        text.resize(text.size() - message.size());
    return {of_system(failure), text};
}

template <typename Object>
concept has_native_handle = requires(Object& object)
{
    object.native_handle();
    object.get_executor();
};

} // namespace detail

/// Registers what an I/O object is open on, a socket, acceptor, pipe, descriptor or
/// file, with the ring of its context: its operations name it by its place there, but for
/// `async_sync`, which gains nothing by it. Pays for what makes many requests, as a file
/// of a database does; to register costs about what a system call does, and to end it too.
/// Again is without effect.
///
/// *Lifetime*: until the object is closed, released or destroyed, or given to
/// `unregister_file`; it goes with the object when that is moved.
///
/// *When the file itself is closed*: with the object, as ever. Linux before 6.13 may keep
/// it, and a socket's peer waiting for the end, until operations on other registered files
/// that were begun earlier are complete; call `shutdown()` there first.
///
/// *Errors*: `operation_not_supported` for an object that is Asio's own, or where the
/// kernel or a sandbox allows no registration; `bad_descriptor` for one that is closed;
/// ENFILE when as many are registered as `options::registered_file_count`, or
/// RLIMIT_NOFILE, allows. Throws boost::system::system_error, whose text names the likely cause.
///
/// *Thread safety*: as for a synchronous call of the object.
///
/// *Kernel*: Linux 5.5 (`features::registered_files`).
///
/// @code
/// safer_ring::io_context context;
/// net::basic_stream_socket<net::local::stream_protocol, safer_ring::executor> near(context),
///     far(context);
/// net::local::connect_pair(near, far);
/// boost::system::error_code error;
/// safer_ring::register_file(near, error);
/// assert(!error || !context.features().registered_files);
/// net::async_write(near, net::buffer("hello", 5),
///                  [](boost::system::error_code failed, std::size_t) { assert(!failed); });
/// context.run();
/// @endcode
template <detail::has_native_handle Object>
void register_file(Object& object)
{
    boost::system::error_code ec;
    const detail::native_question answer = detail::ask_open(object, ec);
    if (ec)
        throw boost::system::system_error(ec, "safer_ring::register_file");
    try {
        answer.context()->impl().loop().register_file(*answer.descriptor());
    } catch (const std::system_error& failure) {
        throw detail::as_boost(failure);
    }
}

/// The same, without exceptions.
template <detail::has_native_handle Object>
boost::system::error_code register_file(Object& object, boost::system::error_code& ec)
{
    const detail::native_question answer = detail::ask_open(object, ec);
    if (ec)
        return ec;
    try {
        answer.context()->impl().loop().register_file(*answer.descriptor());
    } catch (const std::system_error& failure) {
        ec = detail::of_system(failure);
    }
    return ec;
}

/// Ends the registration of the object's file; operations that are under way keep it
/// until they are complete. Without effect where there is none.
///
/// *Errors*: as of `register_file`; `try_again` while the kernel is too short of memory
/// to take what is to be submitted.
template <detail::has_native_handle Object>
boost::system::error_code unregister_file(Object& object, boost::system::error_code& ec)
{
    const detail::native_question answer = detail::ask_open(object, ec);
    if (!ec && !answer.context()->impl().loop().unregister_file(*answer.descriptor()))
        ec = boost::asio::error::try_again;
    return ec;
}

/// The same, which throws boost::system::system_error.
template <detail::has_native_handle Object>
void unregister_file(Object& object)
{
    boost::system::error_code ec;
    if (unregister_file(object, ec))
        throw boost::system::system_error(ec, "safer_ring::unregister_file");
}

/// Registers the buffers of a pool with the ring of `context`, as
/// `io_ring::register_buffers` does with its own. They are used as such by the
/// operations in which the kernel works on the buffer itself: transfers of random-access
/// files, and zero-copy sends. Nothing else changes in how the buffers are used.
///
/// *Lifetime*: the handle may outlive pool and context. Destroyed, it ends the
/// registration; operations that are under way keep it until they are complete.
///
/// *Errors*: throws std::system_error whose text names the likely cause, RLIMIT_MEMLOCK
/// among them. The buffers can be used all the same then.
///
/// *Thread safety*: may be called by any thread.
///
/// *Kernel*: Linux 5.13 (`features::registered_buffers`).
///
/// @code
/// safer_ring::buffer_pool pool(8, 4096);
/// safer_ring::io_context context;
/// safer_ring::registered_buffers registered;
/// if (context.features().registered_buffers)
///     registered = safer_ring::register_buffers(context, pool);
/// net::basic_random_access_file<safer_ring::executor> file(context, "/proc/self/exe",
///                                                          net::file_base::read_only);
/// safer_ring::async_read_at(
///     file, 0, std::move(*pool.try_acquire()),
///     [](boost::system::error_code error, std::size_t size, safer_ring::owned_buffer bytes) {
///         assert(!error && size == 4096 && bytes.text().substr(1, 3) == "ELF");
///     });
/// context.run();
/// @endcode
[[nodiscard]] inline registered_buffers register_buffers(io_context& context, buffer_pool& pool)
{
    return ring::registration_access::buffers(
        context.impl().loop().register_memory(ring::registration_access::memory(pool)));
}

} // namespace safer_ring::inline SAFER_RING_ABI
