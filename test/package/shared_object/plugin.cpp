// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "../consumer.hpp"

extern "C" __attribute__((visibility("default"))) int plugin_run()
{
    return consumer::run() ? 0 : 1;
}
