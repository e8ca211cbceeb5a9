// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "context.hpp"

namespace http_server {

#ifdef HTTP_SERVER_ON_ASIO

std::string backend_name(io_context&)
{
#ifdef BOOST_ASIO_HAS_IO_URING_AS_DEFAULT
    return "Asio io_uring";
#else
    return "Asio epoll";
#endif
}

std::string describe_backend(io_context& context)
{
    return "backend: " + backend_name(context) +
           ", the same source built without safer-ring for comparison\n";
}

#else

std::string backend_name(io_context& context)
{
    return context.features().io_uring ? "io_uring" : "epoll";
}

std::string describe_backend(io_context& context)
{
    return context.features().describe();
}

#endif

} // namespace http_server
