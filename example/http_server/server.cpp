// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "server.hpp"

#include "descriptor_limit.hpp"
#include "listen.hpp"

#include <boost/asio/co_spawn.hpp>

#include <iostream>
#include <new>
#include <sstream>
#include <utility>

namespace http_server {

namespace {

// Errors of the one connection that was to be accepted (accept(2), "Error handling"): the next may
// do well.
bool is_of_connection(const error_code& error)
{
    switch (error.value()) {
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM:
        return true;
    default:
        return false;
    }
}

std::string with_likely_cause(const error_code& error)
{
    switch (error.value()) {
    case EMFILE:
        return error.message() + " (" + descriptor_limit_advice() + ')';
    case ENFILE:
        return error.message() + " (the limit of the whole machine, /proc/sys/fs/file-max)";
    case ENOBUFS:
    case ENOMEM:
        return error.message() + " (the kernel is short of memory for sockets)";
    default:
        return error.message();
    }
}

} // namespace

server::server(io_context& context, const std::string& address, unsigned short port,
               const limits& limits, const site& site, statistics& numbers)
    : context_(context), limits_(limits), site_(site), numbers_(numbers),
      most_connections_(limits.connections != 0 ? limits.connections : connections_within_limit()),
      acceptor_(listen(context, address, port)), connection_ended_(context), stop_deadline_(context)
{
    // For accept_waiting: without the second, Asio would wait for the client after one that has
    // gone already.
    acceptor_.non_blocking(true);
    acceptor_.set_option(acceptor::enable_connection_aborted{true});
}

std::string server::url() const
{
    std::ostringstream text;
    text << "http://" << acceptor_.local_endpoint(); // with brackets around an IPv6 address
    return text.str();
}

void server::start()
{
    net::co_spawn(context_, accept(), rethrow);
}

task<void> server::accept()
{
    while (!stopping_) {
        if (sessions_.size() >= most_connections_) {
            const auto why = limits_.connections != 0 ? "--connections allows no more"
                                                      : descriptor_limit_advice();
            co_await pause_accepting(why, false);
            continue;
        }
        auto [error] = co_await acceptor_.async_wait(acceptor::wait_read, as_tuple_awaitable);
        if (stopping_)
            co_return;
        if (!error)
            error = accept_waiting();
        if (error) {
            const auto why = with_likely_cause(error);
            co_await pause_accepting(why, true);
        }
    }
}

// Clients that come together are let in together: with one in each turn of the loop, the last of a
// crowd would wait for as many turns as it has members, and each would serve those before it.
error_code server::accept_waiting()
try {
    constexpr int most_at_once = 64; // connections already open get their turn in between
    for (int i = 0; i < most_at_once && sessions_.size() < most_connections_; ++i) {
        error_code error;
        auto connected = acceptor_.accept(error);
        if (error == net::error::would_block) { // Everyone is in.
            if (sessions_.size() < resume_below_)
                resume_below_ = 0;
            break;
        }
        if (!error)
            add(std::move(connected));
        else if (!is_of_connection(error))
            return error;
    }
    return {};
} catch (const std::bad_alloc&) {
    return net::error::no_memory;
}

void server::add(socket connected)
{
    const auto added =
        sessions_.emplace(sessions_.end(), std::move(connected), limits_, site_, numbers_);
    ++numbers_.connections;
    numbers_.open_connections = sessions_.size();
    try {
        net::co_spawn(context_, added->run(),
                      [this, added](std::exception_ptr error) { remove(added, std::move(error)); });
    } catch (...) {
        remove(added, nullptr);
        throw;
    }
}

void server::remove(sessions::iterator ended, std::exception_ptr error)
{
    sessions_.erase(ended);
    numbers_.open_connections = sessions_.size();
    connection_ended_.cancel();
    if (stopping_)
        finish_stop();
    if (!error)
        return;
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        std::cerr << "http_server: a connection was closed because of an exception: " << e.what()
                  << '\n';
    }
}

// New clients wait in the kernel's queue meanwhile. A shortage is reported once, until half of the
// connections it came with are gone and nobody waits: at the limit, each connection that ends is
// followed by the next one, and the next shortage.
task<void> server::pause_accepting(const std::string& why, bool retry)
{
    if (resume_below_ == 0) {
        resume_below_ = sessions_.size() / 2 + 1;
        std::cerr << "http_server: accepting is paused at " << sessions_.size()
                  << " connections: " << why << '\n';
    }
    // The shortage may be another process's doing and end without a connection of ours.
    connection_ended_.expires_at(retry ? steady_clock::now() + std::chrono::seconds{1}
                                       : steady_clock::time_point::max());
    co_await connection_ended_.async_wait(as_tuple_awaitable);
}

void server::stop(std::function<void()> done)
{
    if (stopping_) {
        close_all();
        return;
    }
    stopping_ = true;
    stopped_ = std::move(done);
    error_code ignored;
    acceptor_.close(ignored);
    connection_ended_.cancel();
    for (auto& each : sessions_)
        each.stop();
    stop_deadline_.expires_after(limits_.stop_timeout);
    stop_deadline_.async_wait([this](const error_code& error) {
        if (error)
            return;
        std::cerr << "http_server: closing " << sessions_.size()
                  << " connections that did not finish in time\n";
        close_all();
    });
    finish_stop();
}

void server::close_all()
{
    for (auto& each : sessions_)
        each.close();
}

void server::finish_stop()
{
    if (!sessions_.empty())
        return;
    stop_deadline_.cancel();
    if (const auto done = std::exchange(stopped_, nullptr))
        done();
}

} // namespace http_server
