// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "session.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/core/buffer_traits.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/fields.hpp>

#include <algorithm>
#include <cerrno>
#include <iostream>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace http_server {

namespace {

constexpr std::size_t read_size = 4 * 1024;
// A response of up to this size leaves in one write, header and body together; a larger one in
// blocks of it.
constexpr std::size_t block_size = 64 * 1024;
// How much, and for how long, is taken off a connection so that the client gets to see the last
// answer.
constexpr std::uint64_t drain_limit = 8 * 1024 * 1024;
constexpr std::chrono::seconds drain_timeout{2};

// So many empty lines are skipped before a request: some clients send one behind a body (RFC 9112,
// section 2.2).
constexpr unsigned empty_lines_limit = 2;

template <class Buffers>
void append_bytes(beast::flat_buffer& out, const Buffers& bytes)
{
    out.commit(net::buffer_copy(out.prepare(beast::buffer_bytes(bytes)), bytes));
}

void append_head(beast::flat_buffer& out, const response_head& head)
{
    http::fields::writer writer{head, head.version(), head.result_int()};
    append_bytes(out, writer.get());
}

// Appends up to `size` bytes of the file. Returns what was read, 0 when the file has become
// shorter.
std::size_t append_file(beast::flat_buffer& out, int fd, std::uint64_t offset, std::size_t size)
{
    for (;;) {
        const auto space = out.prepare(size);
        const auto n = ::pread(fd, space.data(), space.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR)
            continue;
        const auto read = n > 0 ? static_cast<std::size_t>(n) : 0;
        out.commit(read);
        return read;
    }
}

} // namespace

session::session(socket connected, const limits& limits, const site& site, statistics& numbers)
    : stream_(std::move(connected)), limits_(limits), site_(site), numbers_(numbers),
      buffer_(limits.header_bytes + read_size)
{
    // Responses leave in whole writes: waiting to fill a segment would only delay the end of a
    // large one.
    error_code ignored;
    stream_.socket().set_option(tcp::no_delay{true}, ignored);
}

task<void> session::run()
{
    for (std::size_t answered = 1;; ++answered) {
        const auto received = co_await receive_request();
        if (received == outcome::gone)
            co_return;
        ++numbers_.requests;

        auto response = received == outcome::request ? site_.respond(request_)
                                                     : site_.respond(request_, refusal_);
        const bool client_stays = received == outcome::request && keeps_connection(request_);
        const bool keep = client_stays && !response.close && !stopping_ &&
                          answered < limits_.requests_per_connection;
        response.head.keep_alive(keep);
        if (!co_await send(response))
            co_return;
        if (keep)
            continue;
        co_await drain();
        co_return;
    }
}

task<session::outcome> session::receive_request()
{
    parser_.emplace();
    parser_->header_limit(limits_.header_bytes);
    parser_->body_limit(limits_.body_bytes);
    request_ = {};
    empty_lines_ = 0;
    header_bytes_ = 0;
    skip_empty_lines();
    const auto idle_until = clock::now() + limits_.idle_timeout;
    idle_ = buffer_.size() == 0;
    end_at(idle_ ? idle_until : clock::now() + limits_.header_timeout);
    bool in_body = false;
    for (;;) {
        if (idle_ && stopping_ && !has_unread())
            co_return outcome::gone;
        if (buffer_.size() != 0) {
            if (const auto done = parse())
                co_return *done;
        }
        if (!in_body && parser_->is_header_done()) {
            in_body = true;
            end_at(clock::now() + limits_.header_timeout);
        }
        const auto space = std::min(read_size, buffer_.max_size() - buffer_.size());
        const auto [error, n] =
            co_await stream_.async_read_some(buffer_.prepare(space), as_tuple_awaitable);
        // The stream's own limit ends a read that waits. Who sends fast enough never lets one wait.
        if (error || clock::now() >= end_) {
            // What came in time for the stop is answered.
            if (error == net::error::operation_aborted && idle_ && stopping_ && has_unread() &&
                clock::now() < end_)
                continue;
            idle_ = false;
            co_return outcome::gone;
        }
        buffer_.commit(n);
        skip_empty_lines();
        const bool was_idle = std::exchange(idle_, buffer_.size() == 0 && !parser_->got_some());
        if (idle_ != was_idle)
            end_at(idle_ ? idle_until : clock::now() + limits_.header_timeout);
    }
}

void session::end_at(clock::time_point end)
{
    end_ = end;
    stream_.expires_at(end);
}

// A connection that got nothing but an empty line is as idle as before.
void session::skip_empty_lines()
{
    for (; !parser_->got_some() && empty_lines_ < empty_lines_limit; ++empty_lines_) {
        if (!received().starts_with("\r\n"))
            return;
        buffer_.consume(2);
    }
}

// Whether something waits to be read. Closing would reset the connection then, with what of the
// last answer the client has not read yet.
bool session::has_unread()
{
    error_code ignored;
    return stream_.socket().available(ignored) != 0;
}

std::optional<session::outcome> session::parse()
{
    // The parser would refuse what is half of an empty line.
    if (!parser_->got_some() && empty_lines_ < empty_lines_limit && received() == "\r")
        return std::nullopt;
    // It asserts that behind the line of a last chunk two bytes or more have come (Boost 1.81 to
    // 1.88), which matters if that is the first chunk. Whatever these four are, they are not the end.
    if (parser_->is_header_done() && received().size() == 4 && received().starts_with("0\r\n") &&
        parser_->chunked())
        return std::nullopt;
    const bool in_header = !parser_->is_header_done();
    auto error = put();
    if (in_header && (error || parser_->is_header_done())) {
        // As long as it is not eager, the parser stops behind the header. It would add the fields
        // of a trailer to it, where they must not count (RFC 9110, section 6.5.1).
        request_ = std::move(parser_->get().base());
        parser_->eager(true);
        if (!error && !parser_->is_done() && buffer_.size() != 0)
            error = put();
    }
    if (error) {
        refusal_ = refuse_unparsed(error, request_, received());
        return outcome::refused;
    }
    if (parser_->is_done())
        return outcome::request;
    if (parser_->is_header_done() && expects_continue(request_)) {
        refusal_ = refuse(request_).value_or(
            refusal{http::status::expectation_failed,
                    "no body is taken here, so there is nothing to wait for"});
        return outcome::refused;
    }
    // The parser does not limit chunk extensions and trailers.
    if (buffer_.size() == buffer_.max_size()) {
        refusal_ = {http::status::bad_request,
                    "the body has an endless chunk extension or trailer"};
        return outcome::refused;
    }
    return std::nullopt;
}

// Gives the parser what was received. That it needs more is no error.
error_code session::put()
{
    const bool in_header = !parser_->is_header_done();
    error_code error;
    const auto parsed = parser_->put(buffer_.data(), error);
    if (error == http::error::need_more)
        error = {};
    if (error)
        return error;
    buffer_.consume(parsed);
    // In Boost 1.81 and 1.83 the parser's own limit is for what one call is given, now and then.
    header_bytes_ += in_header ? parsed : 0;
    if (header_bytes_ > limits_.header_bytes)
        error = http::error::header_limit;
    return error;
}

std::string_view session::received() const
{
    const auto bytes = buffer_.data();
    return {static_cast<const char*>(bytes.data()), bytes.size()};
}

task<bool> session::send(answer& response)
{
    // Lives only as long as there is something to send: an idle connection costs nothing here.
    beast::flat_buffer out;
    out.reserve(std::min<std::uint64_t>(block_size, 512 + response.text.size() + response.length));
    append_head(out, response.head);
    append_bytes(out, net::buffer(response.text));
    do {
        if (response.length != 0) {
            const auto space = block_size - std::min(out.size(), block_size);
            const auto size =
                static_cast<std::size_t>(std::min<std::uint64_t>(space, response.length));
            const auto read = append_file(out, response.file.get(), response.offset, size);
            if (read == 0 && size != 0) {
                std::cerr
                    << "http_server: a file became shorter, or unreadable, while it was sent\n";
                co_return false;
            }
            response.offset += read;
            response.length -= read;
        }
        stream_.expires_after(limits_.write_timeout);
        const auto [error, n] = co_await net::async_write(stream_, out.data(), as_tuple_awaitable);
        if (error)
            co_return false;
        out.consume(n);
    } while (response.length != 0);
    co_return true;
}

// Closing a socket with unread bytes resets the connection, and the client may lose the answer that
// tells it what was wrong. So: say that there is no more to come, and wait for the client to close.
task<void> session::drain()
{
    error_code error;
    stream_.socket().shutdown(tcp::socket::shutdown_send, error);
    buffer_.clear();
    stream_.expires_after(drain_timeout);
    for (std::uint64_t drained = 0; !error && drained < drain_limit;) {
        const auto [read_error, n] =
            co_await stream_.async_read_some(buffer_.prepare(read_size), as_tuple_awaitable);
        error = read_error;
        drained += n;
    }
}

void session::stop()
{
    stopping_ = true;
    if (idle_)
        stream_.cancel();
}

void session::close()
{
    stopping_ = true;
    stream_.close();
}

} // namespace http_server
