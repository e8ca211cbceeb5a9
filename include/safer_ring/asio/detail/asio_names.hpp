// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

// The only header that names what lives in boost::asio::detail. Asio does not
// promise these names; they have been stable since Asio 1.14, and keeping
// them in one place makes a change visible at once.

#include <boost/asio/detail/call_stack.hpp>
#include <boost/asio/detail/concurrency_hint.hpp>
#include <boost/asio/detail/descriptor_ops.hpp>
#include <boost/asio/detail/io_object_impl.hpp>
#include <boost/asio/detail/socket_ops.hpp>
#include <boost/asio/detail/thread_context.hpp>
#include <boost/asio/detail/thread_info_base.hpp>

#include <boost/asio/basic_file.hpp>
#include <boost/asio/basic_serial_port.hpp>
#include <boost/asio/basic_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/basic_resolver.hpp>
#include <boost/asio/posix/basic_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/version.hpp>
#if BOOST_ASIO_VERSION >= 102800
#include <boost/asio/associated_immediate_executor.hpp>
#endif
// Time limits of operations came with Boost 1.86.
#if BOOST_ASIO_VERSION >= 103200
#include <boost/asio/cancel_after.hpp>
#include <boost/asio/cancel_at.hpp>
#define SAFER_RING_ASIO_HAS_CANCEL_AFTER 1
#endif

// Contexts take initial services from Boost 1.87 on, and an allocator from 1.89.
#if BOOST_ASIO_VERSION >= 103400
#define SAFER_RING_ASIO_HAS_SERVICE_MAKER 1
#endif
#if BOOST_ASIO_VERSION >= 103600
#define SAFER_RING_ASIO_HAS_CONTEXT_ALLOCATOR 1
#endif

// Executors say what becomes of exceptions from Boost 1.90 on.
#if BOOST_ASIO_VERSION >= 103700
#define SAFER_RING_ASIO_HAS_INLINE_EXCEPTION_HANDLING 1
#endif

// Asio's deprecated hook by which a handler has what completes it run where it wants. It went with
// Boost 1.84, the macro with a later one.
#if BOOST_ASIO_VERSION < 103000 && defined(BOOST_ASIO_HAS_HANDLER_HOOKS) &&                        \
    !defined(BOOST_ASIO_NO_DEPRECATED)
#include <boost/asio/detail/handler_invoke_helpers.hpp>
#define SAFER_RING_ASIO_HAS_HANDLER_HOOKS 1
#endif

#include <safer_ring/export.hpp>

namespace safer_ring::inline SAFER_RING_ABI::detail {

namespace net = boost::asio;

/// Synchronous socket calls with Asio's handling of modes and errors.
namespace socket_ops = boost::asio::detail::socket_ops;

/// The same for other descriptors.
namespace descriptor_ops = boost::asio::detail::descriptor_ops;

/// Per-thread state through which Asio recycles handler memory and carries
/// exceptions out of executors.
using thread_info_base = boost::asio::detail::thread_info_base;

/// Gives access to Asio's stack of running contexts of this thread.
class thread_context : public boost::asio::detail::thread_context {
public:
    using call_stack = thread_call_stack;
};

// Asio's names for the services behind its I/O objects, used as tags only.
#if defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
template <typename Protocol>
using asio_socket_service = boost::asio::detail::io_uring_socket_service<Protocol>;
using asio_descriptor_service = boost::asio::detail::io_uring_descriptor_service;
#else
template <typename Protocol>
using asio_socket_service = boost::asio::detail::reactive_socket_service<Protocol>;
using asio_descriptor_service = boost::asio::detail::reactive_descriptor_service;
#endif
template <typename TimeTraits>
using asio_timer_service = boost::asio::detail::deadline_timer_service<TimeTraits>;
#if defined(BOOST_ASIO_HAS_SERIAL_PORT)
using asio_serial_port_service = boost::asio::detail::posix_serial_port_service;
#endif
template <typename Protocol>
using asio_resolver_service = boost::asio::detail::resolver_service<Protocol>;
/// What Asio's own signal sets install. From Boost 1.92 on, the name follows
/// Asio's versioned namespace.
#if defined(BOOST_ASIO_VERSIONED_NAME)
inline constexpr void (*asio_signal_handler)(int) =
    &boost::asio::detail::BOOST_ASIO_VERSIONED_NAME(signal_handler);
#else
inline constexpr void (*asio_signal_handler)(int) = &boost::asio::detail::boost_asio_signal_handler;
#endif
using asio_signal_set_service = boost::asio::detail::signal_set_service;
// Asio has files where it was told that there is io_uring, whatever its
// sockets use.
#if defined(BOOST_ASIO_HAS_FILE)
using asio_file_service = boost::asio::detail::io_uring_file_service;
#endif

/// Calls `f`, which has the handler in it, by the hook of that.
template <typename F, typename Handler>
void invoke_by_hook(F& f, [[maybe_unused]] Handler& handler)
{
#if defined(SAFER_RING_ASIO_HAS_HANDLER_HOOKS)
    boost_asio_handler_invoke_helpers::invoke(f, handler);
#else
    f();
#endif
}

/// True when a handler says where it is to be called if its operation ends
/// inside of the initiating function. Asio asks for it from Boost 1.82 on.
#if BOOST_ASIO_VERSION >= 102800
template <typename Handler, typename IoExecutor>
concept binds_immediate_executor = !requires
{
    typename net::associated_immediate_executor<
        Handler, IoExecutor>::asio_associated_immediate_executor_is_unspecialised;
};
#else
template <typename Handler, typename IoExecutor>
concept binds_immediate_executor = false;
#endif

#if defined(SAFER_RING_ASIO_HAS_CANCEL_AFTER)
/// An operation with a time limit, which holds its handler and its timer.
template <typename Handler, typename Timer, typename... Signatures>
using asio_timed_cancel_op = boost::asio::detail::timed_cancel_op<Handler, Timer, Signatures...>;
#endif

/// net::add_service, which Boost deprecates from 1.90 on in favour of
/// net::make_service. That one makes the service itself, and knows the context
/// as a net::execution_context only.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
template <typename Service>
void add_made_service(net::execution_context& context, Service* service)
{
    net::add_service(context, service);
}
#pragma GCC diagnostic pop

} // namespace safer_ring::inline SAFER_RING_ABI::detail
