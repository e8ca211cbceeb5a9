// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "listen.hpp"

#include "descriptor_limit.hpp"

#include <boost/asio/ip/address.hpp>

#include <stdexcept>

namespace http_server {

namespace {

std::string likely_cause(const error_code& error, unsigned short port)
{
    const auto number = std::to_string(port);
    if (error == net::error::access_denied) {
        return "ports below the one in /proc/sys/net/ipv4/ip_unprivileged_port_start need root or "
               "the capability "
               "CAP_NET_BIND_SERVICE; choose a higher one with --port";
    }
    if (error == net::error::address_in_use) {
        return "another program listens there, `ss -ltnp sport = :" + number +
               "` shows which; choose another "
               "port with --port";
    }
    if (error.value() == EADDRNOTAVAIL)
        return "no network interface of this machine has that address";
    if (error.value() == EAFNOSUPPORT)
        return "this machine has no support for that kind of address";
    if (error == net::error::no_descriptors)
        return descriptor_limit_advice();
    return "check --address and --port";
}

} // namespace

acceptor listen(io_context& context, const std::string& address, unsigned short port)
{
    error_code error;
    const auto parsed = net::ip::make_address(address, error);
    if (error) {
        throw std::runtime_error{"cannot listen on '" + address +
                                 "': --address takes a numeric IPv4 or IPv6 "
                                 "address such as 127.0.0.1, 0.0.0.0 or ::1"};
    }
    const tcp::endpoint endpoint{parsed, port};
    acceptor result{context};
    result.open(endpoint.protocol(), error);
    // Connections of a predecessor that are still in TIME_WAIT do not keep the port busy.
    if (!error)
        result.set_option(tcp::acceptor::reuse_address{true}, error);
    if (!error)
        result.bind(endpoint, error);
    if (!error)
        result.listen(tcp::acceptor::max_listen_connections, error);
    if (error) {
        throw std::runtime_error{"cannot listen on " + address + " port " + std::to_string(port) +
                                 ": " + error.message() + " (" + likely_cause(error, port) + ")"};
    }
    return result;
}

} // namespace http_server
