// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "greeting.hpp"

const char* greeting()
{
    return "ping";
}
