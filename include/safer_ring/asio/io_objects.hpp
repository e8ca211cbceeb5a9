// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

/// What Asio's I/O objects need to be on a safer_ring::io_context, and the
/// functions and classes for them that bring no token of Asio's along. The
/// drop-in puts this in front of whole programs, which may have names of their
/// own for what they did not include: Asio's coroutines, from Boost 1.92 on,
/// declare a `boost::asio::throw_exception` beside `boost::throw_exception`,
/// and a program that imports the namespace no longer has one of its own.

#include <safer_ring/asio/detail/boost_version.hpp>

#include <safer_ring/asio/attach.hpp>
#include <safer_ring/asio/detail/descriptor_service.hpp>
#include <safer_ring/asio/detail/file_service.hpp>
#include <safer_ring/asio/detail/io_object_impl.hpp>
#include <safer_ring/asio/detail/resolver_service.hpp>
#include <safer_ring/asio/detail/serial_port_service.hpp>
#include <safer_ring/asio/detail/signal_set_service.hpp>
#include <safer_ring/asio/detail/socket_service.hpp>
#include <safer_ring/asio/detail/timed_cancel.hpp>
#include <safer_ring/asio/detail/timer_service.hpp>
#include <safer_ring/asio/executor.hpp>
#include <safer_ring/asio/file_functions.hpp>
#include <safer_ring/asio/io_context.hpp>
#include <safer_ring/asio/registrations.hpp>
#include <safer_ring/asio/splice.hpp>
#include <safer_ring/asio/strand.hpp>
#include <safer_ring/asio/zero_copy.hpp>

namespace safer_ring::inline SAFER_RING_ABI::detail {

template <typename Protocol>
struct replaced_service<asio_socket_service<Protocol>> {
    using type = socket_service<Protocol>;
};
template <>
struct replaced_service<asio_descriptor_service> {
    using type = descriptor_service;
};
#if defined(BOOST_ASIO_HAS_SERIAL_PORT)
template <>
struct replaced_service<asio_serial_port_service> {
    using type = serial_port_service;
};
#endif
template <typename TimeTraits>
struct replaced_service<asio_timer_service<TimeTraits>> {
    using type = timer_service<TimeTraits>;
};
template <typename Protocol>
struct replaced_service<asio_resolver_service<Protocol>> {
    using type = resolver_service<Protocol>;
};
template <>
struct replaced_service<asio_signal_set_service> {
    using type = signal_set_service;
};
#if defined(BOOST_ASIO_HAS_FILE)
template <>
struct replaced_service<asio_file_service> {
    using type = file_service;
};
#endif

} // namespace safer_ring::inline SAFER_RING_ABI::detail
