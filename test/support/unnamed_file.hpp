// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "blocking_peer.hpp"

#include <boost/test/unit_test.hpp>

#include <string>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

namespace test_support {

/// An empty file without a name. It has one at first, since overlayfs, which is what containers have,
/// knows O_TMPFILE only since Linux 6.10.
inline unique_descriptor unnamed_file()
{
    std::string name = "/var/tmp/safer_ring_XXXXXX";
    unique_descriptor file(::mkostemp(name.data(), O_CLOEXEC));
    BOOST_REQUIRE(file.get() >= 0);
    ::unlink(name.c_str());
    return file;
}

} // namespace test_support
