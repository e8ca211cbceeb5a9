// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

namespace boost::asio {
class io_context;
}

bool open_and_close_in_part(boost::asio::io_context& context);

/// What the program calls, if this library is between it and the part.
bool open_and_close(boost::asio::io_context& context)
{
    return open_and_close_in_part(context);
}
