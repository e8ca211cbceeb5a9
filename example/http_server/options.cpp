// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "options.hpp"

#include <boost/program_options.hpp>

#include <cstdint>
#include <filesystem>
#include <iostream>
#include <limits>
#include <stdexcept>

namespace http_server {

namespace {

namespace po = boost::program_options;

// The folder beside this source file, so that the server finds its pages wherever it is started
// from.
std::string default_root()
{
    return (std::filesystem::path{__FILE__}.parent_path() / "www").string();
}

// As a wide signed type, since lexical conversion to an unsigned one takes "-1" for a large number.
template <class T>
po::typed_value<long long>* number(T& target, const char* name, long long least, long long most)
{
    const auto check = [&target, name, least, most](long long value) {
        if (value < least || value > most) {
            throw std::runtime_error{std::string{"--"} + name + " takes a number from " +
                                     std::to_string(least) + " to " + std::to_string(most) +
                                     ", not " + std::to_string(value)};
        }
        target = static_cast<T>(value);
    };
    return po::value<long long>()
        ->default_value(static_cast<long long>(target))
        ->notifier(check)
        ->value_name("N");
}

po::typed_value<long long>* milliseconds(std::chrono::milliseconds& target, const char* name)
{
    constexpr long long most = 24 * 60 * 60 * 1000;
    const auto check = [&target, name](long long value) {
        if (value < 1 || value > most) {
            throw std::runtime_error{std::string{"--"} + name +
                                     " takes a time from 1 ms to a day, not " +
                                     std::to_string(value)};
        }
        target = std::chrono::milliseconds{value};
    };
    return po::value<long long>()->default_value(target.count())->notifier(check)->value_name("MS");
}

} // namespace

std::optional<options> parse_options(int argc, char** argv)
{
    constexpr auto unbounded = std::numeric_limits<std::int32_t>::max();
    // Beast keeps the lengths of fields in 16 bits, and throws for a longer one.
    constexpr auto longest_header_bytes = std::numeric_limits<std::uint16_t>::max();
    options result;
    auto& limits = result.limits;
    po::options_description general{"Options"};
    general.add_options()                 //
        ("help,h", "print this and exit") //
        ("port,p", number(result.port, "port", 0, 65535),
         "port to listen on; 0 lets the system choose") //
        ("root,r", po::value(&result.root)->default_value(default_root())->value_name("FOLDER"),
         "folder to serve") //
        ("address,a",
         po::value(&result.address)->default_value(result.address)->value_name("ADDRESS"),
         "numeric address to listen on; 0.0.0.0 and :: mean all");
    po::options_description tuning{"Limits"};
    tuning.add_options() //
        ("idle-timeout-ms", milliseconds(limits.idle_timeout, "idle-timeout-ms"),
         "between two requests")("header-timeout-ms",
                                 milliseconds(limits.header_timeout, "header-timeout-ms"),
                                 "for a request header, and again for a body")(
            "write-timeout-ms", milliseconds(limits.write_timeout, "write-timeout-ms"),
            "for each 64 KiB of a response")("stop-timeout-ms",
                                             milliseconds(limits.stop_timeout, "stop-timeout-ms"),
                                             "for what is under way when a signal comes")(
            "header-bytes", number(limits.header_bytes, "header-bytes", 64, longest_header_bytes),
            "largest request header")("body-bytes",
                                      number(limits.body_bytes, "body-bytes", 0, unbounded),
                                      "largest request body")(
            "requests", number(limits.requests_per_connection, "requests", 1, unbounded),
            "per connection")("connections",
                              number(limits.connections, "connections", 0, unbounded),
                              "at a time; 0: what the limit of open descriptors allows");
    po::options_description all;
    all.add(general).add(tuning);

    po::variables_map values;
    po::store(po::command_line_parser(argc, argv).options(all).positional({}).run(), values);
    if (values.count("help") != 0) {
        std::cout << "Usage: http_server [options]\nServes the files of a folder over HTTP.\n\n"
                  << all;
        return std::nullopt;
    }
    po::notify(values);
    return result;
}

} // namespace http_server
