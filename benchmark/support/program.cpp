// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#include "support/program.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <limits>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdexcept>
#include <sys/resource.h>
#include <sys/socket.h>
#include <system_error>

namespace benchmark {

namespace {

std::string json_quoted(std::string_view text)
{
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += ' ';
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string compiler()
{
#if defined(__clang__)
    return "clang " + std::to_string(__clang_major__) + '.' + std::to_string(__clang_minor__);
#else
    return "g++ " + std::to_string(__GNUC__) + '.' + std::to_string(__GNUC_MINOR__);
#endif
}

double milliseconds(const timeval& time)
{
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
}

} // namespace

arguments::arguments(int argc, char** argv, std::initializer_list<std::string_view> known)
{
    for (int i = 1; i < argc; i += 2) {
        const std::string_view name = argv[i];
        if (std::find(known.begin(), known.end(), name) == known.end()) {
            std::string text = "unknown option '" + std::string(name) + "'; known are";
            for (const std::string_view option : known)
                text += ' ' + std::string(option);
            throw std::invalid_argument(text);
        }
        if (i + 1 == argc)
            throw std::invalid_argument("option '" + std::string(name) + "' needs a value");
        values_.emplace_back(name, argv[i + 1]);
    }
}

const std::string* arguments::find(std::string_view name) const
{
    for (const auto& [key, value] : values_)
        if (key == name)
            return &value;
    return nullptr;
}

bool arguments::has(std::string_view name) const
{
    return find(name) != nullptr;
}

std::uint64_t arguments::number(std::string_view name, std::uint64_t otherwise) const
{
    const std::string* text = find(name);
    if (!text)
        return otherwise;
    std::size_t used = 0;
    std::uint64_t value = 0;
    // stoull would take a sign and wrap negative numbers around.
    if (!text->empty() && (*text)[0] >= '0' && (*text)[0] <= '9')
        value = std::stoull(*text, &used);
    if (used == 0 || used != text->size())
        throw std::invalid_argument("option '" + std::string(name) + "': '" + *text +
                                    "' is not a number");
    return value;
}

double arguments::real(std::string_view name, double otherwise) const
{
    const std::string* text = find(name);
    return text ? std::stod(*text) : otherwise;
}

std::string arguments::text(std::string_view name, const std::string& otherwise) const
{
    const std::string* found = find(name);
    return found ? *found : otherwise;
}

server_options start_server(int argc, char** argv)
{
    const arguments given(argc, argv, {"--port", "--message-size", "--cpu"});
    server_options options;
    const std::uint64_t port = given.number("--port", 0);
    if (port > std::numeric_limits<std::uint16_t>::max())
        throw std::invalid_argument("option '--port': " + std::to_string(port) +
                                    " is more than 65535");
    options.port = static_cast<std::uint16_t>(port);
    options.message_size = given.number("--message-size", options.message_size);
    if (options.message_size == 0)
        throw std::invalid_argument("option '--message-size' must be at least 1");
    raise_descriptor_limit();
    if (given.has("--cpu"))
        pin_to_cpu(static_cast<int>(given.number("--cpu", 0)));
    return options;
}

std::size_t receive_size(std::size_t message_size)
{
    return std::min<std::size_t>(message_size, 64 * 1024);
}

std::size_t raise_descriptor_limit()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
        fail(errno, "getrlimit(RLIMIT_NOFILE)");
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
        fail(errno, "setrlimit(RLIMIT_NOFILE)");
    return limit.rlim_cur;
}

void pin_to_cpu(int cpu)
{
    if (cpu < 0)
        return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(cpu), &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0)
        fail(errno,
             "binding to processor " + std::to_string(cpu) + " (is there such a processor?)");
}

int listen_on_loopback(std::uint16_t port)
{
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        fail(errno, "creating the listening socket");
    const int on = 1;
    ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        fail(errno, "binding to 127.0.0.1:" + std::to_string(port) +
                        " (is another program using the port?)");
    if (::listen(descriptor, SOMAXCONN) != 0)
        fail(errno, "listening on 127.0.0.1:" + std::to_string(port));
    return descriptor;
}

std::uint16_t local_port(int descriptor)
{
    sockaddr_in address{};
    socklen_t length = sizeof address;
    if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0)
        fail(errno, "asking for the port of descriptor " + std::to_string(descriptor));
    return ntohs(address.sin_port);
}

void print_ready(std::string_view program, std::uint16_t port, const details& facts)
{
    std::string line = "ready {\"program\": " + json_quoted(program) +
                       ", \"port\": " + std::to_string(port) +
                       ", \"compiler\": " + json_quoted(compiler());
#if defined(__OPTIMIZE__)
    line += ", \"optimised\": true";
#else
    line += ", \"optimised\": false";
#endif
    for (const auto& [name, value] : facts)
        line += ", " + json_quoted(name) + ": " + json_quoted(value);
    std::printf("%s}\n", line.c_str());
    std::fflush(stdout);
}

void print_cpu_time()
{
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    std::printf("cpu {\"user_ms\": %.3f, \"system_ms\": %.3f}\n", milliseconds(usage.ru_utime),
                milliseconds(usage.ru_stime));
    std::fflush(stdout);
}

void fail(int error_number, const std::string& what)
{
    throw std::system_error(error_number, std::generic_category(), what);
}

int guarded_main(int argc, char** argv, int (*body)(int, char**))
{
    try {
        return body(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argc > 0 ? argv[0] : "benchmark", error.what());
        return 1;
    }
}

} // namespace benchmark
