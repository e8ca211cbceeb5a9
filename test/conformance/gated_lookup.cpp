// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "gated_lookup.hpp"

#include "support/watchdog.hpp"

#include <boost/test/unit_test.hpp>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>

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

namespace {

/// The function behind the one of the same name in this program.
template <class Function>
Function* original(const char* name)
{
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

/// What a name server answers to a name that it does not know, or at all.
std::optional<int> told(std::string_view host)
{
    if (host == conformance::unknown_host)
        return EAI_NONAME;
    if (host == conformance::host_of_a_busy_server)
        return EAI_AGAIN;
    if (host == conformance::host_of_a_broken_server)
        return EAI_FAIL;
    return std::nullopt;
}

} // namespace

// These stand before the C library's functions of the same names, which a program
// may replace, and call them.

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** result)
{
    static auto* const behind = original<decltype(getaddrinfo)>("getaddrinfo");
    const std::string_view host = node != nullptr ? node : "";
    if (const std::optional<int> error = told(host))
        return *error;
    if (host == conformance::gated_lookup::host) {
        conformance::gate::get().pass();
        node = "127.0.0.1";
    }
    return behind(node, service, hints, result);
}

extern "C" int getnameinfo(const sockaddr* address, socklen_t address_size, char* host,
                           socklen_t host_size, char* service, socklen_t service_size, int flags)
{
    static auto* const behind = original<decltype(getnameinfo)>("getnameinfo");
    if (address->sa_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(*address);
        const std::uint32_t number = ntohl(v4.sin_addr.s_addr);
        if (number == conformance::address_of_a_busy_server.to_uint())
            return EAI_AGAIN;
        if (number == conformance::unknown_address.to_uint())
            flags |= NI_NUMERICHOST;
    }
    return behind(address, address_size, host, host_size, service, service_size, flags);
}
