// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "gated_lookup.hpp"

#include "support/watchdog.hpp"

#include <boost/test/unit_test.hpp>

#include <condition_variable>
#include <cstring>
#include <mutex>

#include <dlfcn.h>
#include <netdb.h>

namespace conformance {
namespace {

struct gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool open = true;
    unsigned generation = 0;
    int entered = 0;

    static gate& get()
    {
        static gate instance;
        return instance;
    }

    void pass()
    {
        std::unique_lock lock(mutex);
        ++entered;
        changed.notify_all();
        const unsigned mine = generation;
        changed.wait(lock, [&] { return open || generation != mine; });
    }
};

} // namespace

gated_lookup::gated_lookup()
{
    gate& g = gate::get();
    const std::lock_guard lock(g.mutex);
    g.open = false;
    ++g.generation;
    g.entered = 0;
    g.changed.notify_all();
}

gated_lookup::~gated_lookup()
{
    open();
}

void gated_lookup::open()
{
    gate& g = gate::get();
    const std::lock_guard lock(g.mutex);
    g.open = true;
    g.changed.notify_all();
}

void gated_lookup::wait_until_entered(int count)
{
    gate& g = gate::get();
    std::unique_lock lock(g.mutex);
    const bool came =
        g.changed.wait_for(lock, test_support::watchdog_time, [&] { return g.entered >= count; });
    lock.unlock();
    BOOST_REQUIRE(came);
}

int gated_lookup::entered() const
{
    gate& g = gate::get();
    const std::lock_guard lock(g.mutex);
    return g.entered;
}

} // namespace conformance

/// Stands before the C library's function of the same name, which a program
/// may replace, and calls it.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** result)
{
    using function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
    static const auto original = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    if (node != nullptr && std::strcmp(node, conformance::gated_lookup::host) == 0) {
        conformance::gate::get().pass();
        node = "127.0.0.1";
    }
    return original(node, service, hints, result);
}
