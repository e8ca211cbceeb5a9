// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace http_server {

// What the server has done so far. One thread runs it, so plain numbers do.
struct statistics {
    std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
    std::size_t open_connections = 0;
    std::uint64_t connections = 0;
    std::uint64_t requests = 0;
};

// The page that says what the server runs on. Only its numbers are made anew for each request.
class landing_page {
public:
    landing_page(std::string_view backend, std::string_view features, std::string_view root,
                 const std::vector<std::string>& files);

    std::string render(const statistics& numbers) const;

private:
    std::string before_numbers_;
    std::string after_numbers_;
};

// A small page for an error, such as "404 Not Found" and a sentence.
std::string error_page(std::string_view title, std::string_view sentence);

} // namespace http_server
