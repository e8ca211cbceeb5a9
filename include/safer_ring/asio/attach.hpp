// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/attachment.hpp>

namespace safer_ring::inline SAFER_RING_ABI {

/// The ring context of an ordinary net::io_context: for programs whose loop is
/// somebody else's, and for code whose functions take a net::io_context&. It
/// takes its turns inside `host.run()`, on any thread that runs it. The first
/// call makes it, with `settings`; later ones answer the same context.
///
/// I/O objects on its executor are ours. With the drop-in, so are all objects
/// that are constructed on `host` or its executors after the first call,
/// whatever their executor type; those from before stay Asio's.
///
/// Pending operations count as work of the host. What is started is flushed
/// once for each turn. A turn costs system calls of the host's reactor as
/// well, so this is slower than a safer_ring::io_context of one's own. To the
/// host a turn is one handler, whatever it runs of ours, up to 256: that is what
/// `host.run()` counts, and `run_one()` may so call none of them, or many.
///
/// *Object lifetimes*: the context belongs to the host; it is cancelled and
/// drained in the host's destructor.
///
/// *Errors*: throws std::system_error, as the constructor of
/// safer_ring::io_context does. Its run(), poll(), stop() and their kin throw
/// std::logic_error.
///
/// *Thread safety*: may be called from any thread. The host must not have been
/// made with one of the UNSAFE concurrency hints: threads that look up names,
/// among others, post to it.
///
/// *Kernel*: as safer_ring::io_context; the host's own reactor, epoll or Asio's
/// io_uring, waits for the ring's descriptor.
///
/// @code
/// net::io_context host;
/// safer_ring::io_context& attached = safer_ring::attach(host);
/// net::basic_waitable_timer<std::chrono::steady_clock,
///                           net::wait_traits<std::chrono::steady_clock>, safer_ring::executor>
///     timer(attached, std::chrono::milliseconds(1));
/// bool expired = false;
/// timer.async_wait([&](boost::system::error_code error) { expired = !error; });
/// host.run();
/// assert(expired);
/// @endcode
inline io_context& attach(boost::asio::io_context& host, const options& settings = {})
{
    boost::asio::execution_context& base = host;
    while (!boost::asio::has_service<detail::attachment>(base)) {
        auto made = std::make_unique<detail::attachment>(base, settings);
        try {
            detail::add_made_service(base, made.get());
            made.release();
        } catch (const boost::asio::service_already_exists&) {
            // Another thread was faster; its context is the one.
        }
    }
    return boost::asio::use_service<detail::attachment>(base).context();
}

} // namespace safer_ring::inline SAFER_RING_ABI
