// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <boost/version.hpp>

// Ahead of what an older one does not have: Debian 12 has 1.74 under the plain name.
#if BOOST_VERSION < 108100
#error "safer_ring needs Boost 1.81 or later (Debian 12: libboost1.81-dev)"
#endif
