// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

/// The drop-in: an Asio program moves to io_uring by constructing a
/// safer_ring::io_context in place of its net::io_context. I/O objects with
/// executors whose context is known only at run time (net::any_io_executor and
/// what is built from it: tcp::socket, net::steady_timer, beast::tcp_stream)
/// are ours on a context of ours, and Asio's elsewhere.
///
/// It changes the layout of Asio's classes, so *all* translation units of a
/// program must have it, before any header of Asio: link the CMake target
/// safer_ring::drop_in, which forces it into each of them.

#if defined(BOOST_ASIO_DETAIL_IO_OBJECT_IMPL_HPP) && !defined(SAFER_RING_DROP_IN)
// clang-format off
#error "safer_ring/drop_in.hpp must come before all headers of Boost.Asio and Boost.Beast: link the CMake target safer_ring::drop_in, or compile with -include safer_ring/drop_in.hpp"
// clang-format on
#endif
#define SAFER_RING_DROP_IN 1

// From Boost 1.92 on, Asio can be in an inline namespace. In one of the
// drop-in, it shares no name with Asio in objects that were compiled without,
// so that no program can mix the two layouts. A header that declares classes
// of Asio by itself, as Boost.Process's first version does, does not compile
// then: SAFER_RING_NO_VERSION_NAMESPACE leaves Asio where it was.
#if !defined(SAFER_RING_NO_VERSION_NAMESPACE)
#undef BOOST_ASIO_VERSION_NAMESPACE
#define BOOST_ASIO_VERSION_NAMESPACE safer_ring_drop_in
#endif

#include <safer_ring/asio/detail/boost_version.hpp>

#include <safer_ring/asio/detail/either_service.hpp>
#include <safer_ring/asio/io_objects.hpp>

// Beast declares ssl::stream itself, which is Asio's when its namespace is
// known before.
#if defined(BOOST_ASIO_INLINE_NAMESPACE_BEGIN)
namespace boost {
namespace asio {
BOOST_ASIO_INLINE_NAMESPACE_BEGIN
namespace ssl {
}
BOOST_ASIO_INLINE_NAMESPACE_END
} // namespace asio
} // namespace boost
#endif

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// Tells the checker that this object file was compiled with the drop-in. Nothing refers to it, so that
/// a linker told to collect such sections (--gc-sections) must be told to retain this one.
#if __has_cpp_attribute(gnu::retain)
[[gnu::retain]]
#endif
[[maybe_unused, gnu::used,
  gnu::section("safer_ring_drop_in")]] inline constexpr char drop_in_marker = 1;

} // namespace safer_ring::inline SAFER_RING_ABI::detail
