// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <sys/resource.h>
#include <unistd.h>

namespace test_support {

/// Lowers a soft limit of this process for as long as it lives.
class lowered_limit {
public:
    lowered_limit(int resource, rlim_t at_most) : resource_(resource)
    {
        BOOST_REQUIRE(::getrlimit(resource_, &before_) == 0);
        const rlimit lower{std::min(at_most, before_.rlim_cur), before_.rlim_max};
        BOOST_REQUIRE(::setrlimit(resource_, &lower) == 0);
    }
    lowered_limit(const lowered_limit&) = delete;
    lowered_limit& operator=(const lowered_limit&) = delete;
    ~lowered_limit() { ::setrlimit(resource_, &before_); }

private:
    int resource_;
    rlimit before_{};
};

/// While it lives, every new descriptor is refused with EMFILE. The limit is not zero, for which
/// fcntl(2) with F_DUPFD has another error.
class no_more_descriptors : lowered_limit {
public:
    no_more_descriptors() : lowered_limit(RLIMIT_NOFILE, STDERR_FILENO + 1) {}
};

} // namespace test_support
