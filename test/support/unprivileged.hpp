// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <unistd.h>

namespace test_support {

/// Makes this process one that limits hold for, which has to be a child: there is no way back. Fails where
/// root has nobody else to be, as in a user namespace of one.
inline bool give_up_privileges()
{
    constexpr uid_t nobody = 65534;
    return ::getuid() != 0 || ::setuid(nobody) == 0;
}

} // namespace test_support
