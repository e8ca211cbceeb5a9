// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "contexts.hpp"

#include <boost/asio/ip/address_v4.hpp>

#include <type_traits>

namespace conformance {

/// How many look-ups of a context block at the same time.
template <class Ctx>
int look_ups_at_once()
{
    if constexpr (std::is_same_v<Ctx, net::io_context>)
        return 1;
    else
        return static_cast<int>(safer_ring::options{}.resolver_threads);
}

// Look-ups of these are answered within this program, the same on every machine: a name server that
// cannot be reached would take its time, and some know every name.
inline constexpr const char* unknown_host = "unknown.invalid";
inline constexpr const char* host_of_a_busy_server = "busy.invalid";
inline constexpr const char* host_of_a_broken_server = "broken.invalid";
// Reserved for documentation (RFC 5737): nobody has them.
inline const net::ip::address_v4 unknown_address({192, 0, 2, 1});
inline const net::ip::address_v4 address_of_a_busy_server({192, 0, 2, 2});

/// While one exists, a look-up of `gated_lookup::host` by anybody in this
/// program blocks in getaddrinfo() until the gate is opened, and then finds
/// the loopback address: a slow name server, as slow as the test needs it.
/// The next gate is not for those that have come to this one.
class gated_lookup {
public:
    static constexpr const char* host = "gated.invalid";

    gated_lookup();
    gated_lookup(const gated_lookup&) = delete;
    gated_lookup& operator=(const gated_lookup&) = delete;
    ~gated_lookup();

    void open();

    /// Waits until `count` look-ups have come to the gate; fails the test if
    /// they do not.
    void wait_until_entered(int count);

    /// Look-ups that have come to the gate.
    int entered() const;
};

} // namespace conformance
