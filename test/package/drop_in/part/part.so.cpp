// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "part.hpp"

namespace {

// By address, so that the compiler cannot inline the member away.
void (boost::asio::ip::tcp::socket::basic_socket::*const close_member)() =
    &boost::asio::ip::tcp::socket::basic_socket::close;

} // namespace

bool open_and_close_in_part(boost::asio::io_context& context)
{
    boost::asio::ip::tcp::socket socket(context, boost::asio::ip::tcp::v4());
    const bool opened = socket.is_open();
    (socket.*close_member)();
    return opened && !socket.is_open();
}

bool open_and_close(boost::asio::io_context& context)
{
    return open_and_close_in_part(context);
}
