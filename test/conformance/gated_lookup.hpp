// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "contexts.hpp"

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
