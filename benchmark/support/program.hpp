// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace benchmark {

/// Command line arguments of the form `--name value`.
class arguments {
public:
    /// Throws `std::invalid_argument` for a name that is not among `known`, or one without a value.
    arguments(int argc, char** argv, std::initializer_list<std::string_view> known);

    std::uint64_t number(std::string_view name, std::uint64_t otherwise) const;
    double real(std::string_view name, double otherwise) const;
    std::string text(std::string_view name, const std::string& otherwise) const;
    bool has(std::string_view name) const;

private:
    const std::string* find(std::string_view name) const;

    std::vector<std::pair<std::string, std::string>> values_;
};

/// What every server program is told.
struct server_options {
    std::uint16_t port = 0;
    std::size_t message_size = 512;
};

/// Reads `--port`, `--message-size` and `--cpu`, raises the descriptor limit and pins the process.
server_options start_server(int argc, char** argv);

/// The size of one receive: a whole message, but never more than 64 KiB, as a program written for
/// messages of that size would have it.
std::size_t receive_size(std::size_t message_size);

/// Raises the soft limit of open descriptors to the hard one. Returns the limit now in force.
std::size_t raise_descriptor_limit();

/// Binds the calling thread to one processor; does nothing for a negative number.
void pin_to_cpu(int cpu);

/// A listening TCP socket on 127.0.0.1 with TCP_NODELAY, which accepted sockets inherit.
int listen_on_loopback(std::uint16_t port);
std::uint16_t local_port(int descriptor);

/// Facts about a server, printed for the driver.
using details = std::vector<std::pair<std::string, std::string>>;

/// Prints one line, `ready {json}`, which tells the driver that connections are accepted.
void print_ready(std::string_view program, std::uint16_t port, const details& facts);

/// Prints one line with the processor time that the process has used.
void print_cpu_time();

/// Throws `std::system_error` for `error_number` with `what` as its text.
[[noreturn]] void fail(int error_number, const std::string& what);

/// Calls `body` and turns an exception into a message on standard error and exit status 1.
int guarded_main(int argc, char** argv, int (*body)(int, char**));

} // namespace benchmark
