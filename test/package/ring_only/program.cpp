// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring.hpp>

int main()
{
    return safer_ring::features::probe().describe().empty() ? 1 : 0;
}
