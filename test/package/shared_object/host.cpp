// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// A program that uses the library and also loads a shared object that uses it. With the static
// library there are two copies of it in the process then.

#include "../consumer.hpp"

#include <cstdio>
#include <dlfcn.h>

int main(int argc, char* argv[])
{
    if (argc != 2) {
        std::fputs("usage: host <shared object>\n", stderr);
        return 2;
    }
    if (!consumer::run()) {
        std::fputs("host: the handlers of the program itself were not called\n", stderr);
        return 1;
    }
    void* const plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (plugin == nullptr) {
        std::fprintf(stderr, "host: dlopen: %s\n", dlerror());
        return 1;
    }
    const auto plugin_run = reinterpret_cast<int (*)()>(dlsym(plugin, "plugin_run"));
    if (plugin_run == nullptr) {
        std::fprintf(stderr, "host: dlsym: %s\n", dlerror());
        return 1;
    }
    if (plugin_run() != 0) {
        std::fputs("host: the handlers of the shared object were not called\n", stderr);
        return 1;
    }
    if (dlclose(plugin) != 0) {
        std::fprintf(stderr, "host: dlclose: %s\n", dlerror());
        return 1;
    }
    if (!consumer::run()) {
        std::fputs("host: the program does not work after the shared object is gone\n", stderr);
        return 1;
    }
    return 0;
}
