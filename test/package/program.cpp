// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "consumer.hpp"

#include <cstdio>

int main()
{
    if (consumer::run())
        return 0;
    std::fputs("program: the posted handler or the timer was not called\n", stderr);
    return 1;
}
