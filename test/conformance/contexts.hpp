// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <boost/asio.hpp>

#include <chrono>
#include <tuple>
#include <type_traits>

#include <safer_ring/asio.hpp>

// Every test of this suite is written once, as a template on the context, and
// runs on Asio's own context, which proves that what it expects is what Asio
// does, and on ours, which proves that ours does the same. What concerns I/O
// objects is compiled a second time with the drop-in.
namespace conformance {

namespace net = boost::asio;
using net::ip::tcp;
using error_code = boost::system::error_code;

#if defined(SAFER_RING_DROP_IN)

/// Ours, as a program that was not written for it meets it: its I/O objects
/// are those with net::any_io_executor.
class drop_in_context : public safer_ring::io_context {
public:
    using safer_ring::io_context::io_context;
    using executor_type = net::any_io_executor;
    executor_type get_executor() noexcept { return safer_ring::io_context::get_executor(); }
};

/// Asio's, with ours attached: its I/O objects are ours, whatever their type.
class host_context : public net::io_context {
public:
    host_context() { safer_ring::attach(*this); }
    explicit host_context(int concurrency_hint) : net::io_context(concurrency_hint)
    {
        safer_ring::attach(*this);
    }
};

using contexts = std::tuple<drop_in_context, host_context>;
using our_contexts = contexts;

/// Those whose run() and its kin are ours.
using running_contexts = std::tuple<drop_in_context>;

/// The host's run() counts its own handlers, in which ours take their turns.
template <class Ctx>
inline constexpr bool counts_handlers = !std::is_same_v<Ctx, host_context>;

#else

#if defined(SAFER_RING_TEST_OURS_ONLY)
// For tests that a backend of Asio's is known to fail, in a program built for it; and under sanitizers.
using contexts = std::tuple<safer_ring::io_context>;
#else
using contexts = std::tuple<net::io_context, safer_ring::io_context>;
#endif

/// For what Asio does not promise.
using our_contexts = std::tuple<safer_ring::io_context>;

using running_contexts = contexts;

template <class>
inline constexpr bool counts_handlers = true;

#endif

/// Whether the I/O objects of a test are ours.
template <class Ctx>
inline constexpr bool is_ours = !std::is_same_v<Ctx, net::io_context>;

/// Whether run() or one of its kin, which answered `count`, has run as many
/// handlers as expected.
template <class Ctx>
bool ran(const Ctx&, std::size_t count, std::size_t expected)
{
    return !counts_handlers<Ctx> || count == expected;
}

inline constexpr net::cancellation_type all_types[] = {net::cancellation_type::terminal,
                                                       net::cancellation_type::partial,
                                                       net::cancellation_type::total};

template <class Ctx>
using executor_of = typename Ctx::executor_type;

template <class Ctx>
using socket_of = net::basic_stream_socket<tcp, executor_of<Ctx>>;

template <class Ctx>
using acceptor_of = net::basic_socket_acceptor<tcp, executor_of<Ctx>>;

template <class Ctx>
using local_socket_of = net::basic_stream_socket<net::local::stream_protocol, executor_of<Ctx>>;

template <class Ctx>
using local_acceptor_of = net::basic_socket_acceptor<net::local::stream_protocol, executor_of<Ctx>>;

template <class Ctx, class Clock = std::chrono::steady_clock,
          class Traits = net::wait_traits<Clock>>
using timer_of = net::basic_waitable_timer<Clock, Traits, executor_of<Ctx>>;

template <class Ctx>
using signal_set_of = net::basic_signal_set<executor_of<Ctx>>;

template <class Ctx>
using strand_of = net::strand<executor_of<Ctx>>;

/// Of a context of ours, or of one that ours is attached to.
template <class Ctx>
safer_ring::io_context& ring_of(Ctx& ctx)
{
    if constexpr (std::is_base_of_v<safer_ring::io_context, Ctx>)
        return ctx;
    else
        return safer_ring::attach(ctx);
}

/// An acceptor that listens on an ephemeral loopback port.
template <class Ctx>
acceptor_of<Ctx> loopback_acceptor(Ctx& ctx)
{
    return acceptor_of<Ctx>(ctx, tcp::endpoint(net::ip::address_v4::loopback(), 0));
}

} // namespace conformance
