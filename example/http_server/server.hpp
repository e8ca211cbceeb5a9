// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "context.hpp"
#include "landing_page.hpp"
#include "limits.hpp"
#include "session.hpp"
#include "site.hpp"

#include <cstddef>
#include <exception>
#include <functional>
#include <list>
#include <string>

namespace http_server {

// Accepts connections and keeps track of them. Everything happens on the one thread that runs the
// context.
class server {
public:
    // Listens. Throws std::runtime_error with the likely cause when that cannot be.
    // `limits`, `site` and `numbers` must outlive the server.
    server(io_context& context, const std::string& address, unsigned short port,
           const limits& limits, const site& site, statistics& numbers);

    // "http://127.0.0.1:8080"
    std::string url() const;

    void start();

    // Stops accepting, closes idle connections, lets the others finish what is under way, and
    // closes those too when the time for that is up. Calls `done` when the last one is gone. A
    // second call closes everything at once.
    void stop(std::function<void()> done);

private:
    using sessions = std::list<session>;

    task<void> accept();
    error_code accept_waiting();
    void add(socket connected);
    void remove(sessions::iterator ended, std::exception_ptr error);
    task<void> pause_accepting(const std::string& why, bool retry);
    void close_all();
    void finish_stop();

    io_context& context_;
    const limits& limits_;
    const site& site_;
    statistics& numbers_;
    std::size_t most_connections_;
    acceptor acceptor_;
    timer connection_ended_; // never meant to expire: cancelled whenever a connection goes
    timer stop_deadline_;
    sessions sessions_;
    std::size_t resume_below_ =
        0; // while above 0, a shortage has been reported and is not over yet
    bool stopping_ = false;
    std::function<void()> stopped_;
};

} // namespace http_server
