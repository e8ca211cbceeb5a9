// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "conformance/contexts.hpp"

#include "support/socket_path.hpp"

#include <boost/asio.hpp>

namespace conformance {

/// Where nobody is yet: a free port of the loopback address, or `path`, which
/// generic protocols are given as well.
template <class Protocol>
typename Protocol::endpoint any_endpoint(const test_support::socket_path& path)
{
    using endpoint = typename Protocol::endpoint;
    if constexpr (requires(endpoint e) { e.address(); })
        return endpoint(net::ip::address_v4::loopback(), 0);
    else if constexpr (requires(endpoint e) { e.path(); })
        return endpoint(path.string());
    else
        return endpoint(net::local::stream_protocol::endpoint(path.string()));
}

} // namespace conformance
