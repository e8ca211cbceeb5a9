// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

namespace conformance {

/// While one exists, a look-up of `gated_lookup::host` by anybody in this
/// program blocks in getaddrinfo() until the gate is opened, and then finds
/// the loopback address: a slow name server, as slow as the test needs it.
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
