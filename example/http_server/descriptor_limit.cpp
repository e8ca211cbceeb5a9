// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "descriptor_limit.hpp"

#include <algorithm>

#include <sys/resource.h>

namespace http_server {

namespace {

rlim_t descriptor_limit()
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

} // namespace

std::size_t connections_within_limit()
{
    const auto limit = static_cast<std::size_t>(std::min<rlim_t>(descriptor_limit(), 1'000'000));
    const auto reserve = std::clamp<std::size_t>(limit / 4, 24, 256);
    return limit > reserve ? limit - reserve : 1;
}

std::string descriptor_limit_advice()
{
    return "the limit of open file descriptors, RLIMIT_NOFILE, is " +
           std::to_string(descriptor_limit()) + "; `ulimit -n` raises it";
}

} // namespace http_server
