// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Says which backend and which kernel features safer-ring would use on this machine.

#include <safer_ring/ring.hpp>

#include <exception>
#include <iostream>

int main()
{
    try {
        std::cout << safer_ring::features::probe().describe() << std::flush;
        return std::cout ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << "info: " << error.what() << '\n';
        return 1;
    }
}
