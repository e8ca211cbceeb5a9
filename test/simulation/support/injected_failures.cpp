// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "injected_failures.hpp"

#include <safer_ring/backend/simulated.hpp>

#include <support/sanitizer.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

// ThreadSanitizer calls these two while it sets itself up, when nothing that
// it has instrumented can run yet.
#if defined(SAFER_RING_TEST_THREAD_SANITIZER)
#define SAFER_RING_TEST_REPLACES_MEMORY_CALLS 0
#else
#define SAFER_RING_TEST_REPLACES_MEMORY_CALLS 1
#endif

// The replaced functions of this program. Everything they use is trivial, so
// that they work before and after everything else.
namespace injected {
namespace {

struct counter {
    bool armed = false;
    bool happened = false;
    unsigned count = 0;
    unsigned fail_at = 0;
    int error = 0;

    bool due() noexcept
    {
        if (!armed || safer_ring::backend::simulation::executing())
            return false;
        if (++count != fail_at)
            return false;
        happened = true;
        return true;
    }
};

thread_local constinit counter allocations;
thread_local constinit counter system_calls;

constexpr std::size_t longest_trace = 4096;
thread_local constinit const char* trace[longest_trace] = {};

/// True when the call of this name is to fail; errno is set then.
bool call_is_due(const char* name) noexcept
{
    const unsigned before = system_calls.count;
    const bool due = system_calls.due();
    if (system_calls.count != before && before < longest_trace)
        trace[before] = name;
    if (due)
        errno = system_calls.error;
    return due;
}

/// The function of this name that the one of this program stands in front of.
template <class Function>
Function* next_definition(const char* name) noexcept
{
    // clang links its sanitizers into the program itself: theirs is no next one, but has this name too.
    char of_a_sanitizer[64] = "__interceptor_";
    std::strncat(of_a_sanitizer, name, sizeof of_a_sanitizer - sizeof "__interceptor_");
    void* next = ::dlsym(RTLD_DEFAULT, of_a_sanitizer);
    if (next == nullptr)
        next = ::dlsym(RTLD_NEXT, name);
    return reinterpret_cast<Function*>(next);
}

} // namespace

allocation_failure::allocation_failure(unsigned fail_at) noexcept
{
    allocations = {true, false, 0, fail_at, 0};
}
allocation_failure::~allocation_failure()
{
    allocations.armed = false;
}
unsigned allocation_failure::count() const noexcept
{
    return allocations.count;
}
bool allocation_failure::happened() const noexcept
{
    return allocations.happened;
}
void allocation_failure::disarm() noexcept
{
    allocations.armed = false;
}

system_call_failure::system_call_failure(unsigned fail_at, int error) noexcept
{
    system_calls = {true, false, 0, fail_at, error};
}
system_call_failure::~system_call_failure()
{
    system_calls.armed = false;
}
std::vector<std::string> system_call_failure::calls() const
{
    const bool armed = system_calls.armed;
    system_calls.armed = false;
    std::vector<std::string> names(
        trace, trace + std::min<std::size_t>(system_calls.count, longest_trace));
    system_calls.armed = armed;
    return names;
}
bool system_call_failure::happened() const noexcept
{
    return system_calls.happened;
}

} // namespace injected

// ---- allocation

void* operator new(std::size_t size)
{
    if (injected::allocations.due())
        throw std::bad_alloc();
    if (void* const p = std::malloc(size != 0 ? size : 1))
        return p;
    throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept
{
    return injected::allocations.due() ? nullptr : std::malloc(size != 0 ? size : 1);
}
void operator delete(void* p) noexcept
{
    std::free(p);
}
void operator delete(void* p, std::size_t) noexcept
{
    std::free(p);
}
void operator delete(void* p, const std::nothrow_t&) noexcept
{
    std::free(p);
}

extern "C" {

#if SAFER_RING_TEST_REPLACES_MEMORY_CALLS

// Asio takes the memory of operations and coroutine frames from here.
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept
{
    static auto* const next =
        injected::next_definition<void*(std::size_t, std::size_t)>("aligned_alloc");
    if (injected::allocations.due())
        return nullptr;
    return next(alignment, size);
}

void* mmap(void* address, std::size_t size, int protection, int flags, int fd,
           off_t offset) noexcept
{
    static auto* const next =
        injected::next_definition<void*(void*, std::size_t, int, int, int, off_t)>("mmap");
    if (injected::call_is_due("mmap"))
        return MAP_FAILED;
    return next(address, size, protection, flags, fd, offset);
}

#endif

// ---- system calls

#define SAFER_RING_TEST_FAILING_CALL(result, name, parameters, arguments)                          \
    result name parameters                                                                         \
    {                                                                                              \
        static auto* const next = injected::next_definition<result parameters>(#name);             \
        if (injected::call_is_due(#name))                                                          \
            return static_cast<result>(-1);                                                        \
        return next arguments;                                                                     \
    }

SAFER_RING_TEST_FAILING_CALL(int, socket, (int a, int b, int c) noexcept, (a, b, c))
SAFER_RING_TEST_FAILING_CALL(int, bind, (int s, const sockaddr* a, socklen_t n) noexcept, (s, a, n))
SAFER_RING_TEST_FAILING_CALL(int, listen, (int s, int n) noexcept, (s, n))
SAFER_RING_TEST_FAILING_CALL(int, setsockopt,
                             (int s, int level, int option, const void* p, socklen_t n) noexcept,
                             (s, level, option, p, n))
SAFER_RING_TEST_FAILING_CALL(int, getsockopt,
                             (int s, int level, int option, void* p, socklen_t* n) noexcept,
                             (s, level, option, p, n))
SAFER_RING_TEST_FAILING_CALL(int, getsockname, (int s, sockaddr* a, socklen_t* n) noexcept,
                             (s, a, n))
SAFER_RING_TEST_FAILING_CALL(int, shutdown, (int s, int how) noexcept, (s, how))
SAFER_RING_TEST_FAILING_CALL(ssize_t, send, (int s, const void* p, std::size_t n, int f),
                             (s, p, n, f))
SAFER_RING_TEST_FAILING_CALL(ssize_t, sendmsg, (int s, const msghdr* m, int f), (s, m, f))
SAFER_RING_TEST_FAILING_CALL(ssize_t, recvmsg, (int s, msghdr* m, int f), (s, m, f))

// The kernel has closed the descriptor whatever close() answers.
int close(int fd)
{
    static auto* const next = injected::next_definition<int(int)>("close");
    const bool fails = injected::call_is_due("close");
    const int result = next(fd);
    if (!fails)
        return result;
    errno = injected::system_calls.error;
    return -1;
}

} // extern "C"
