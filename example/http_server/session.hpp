// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "context.hpp"
#include "discard_body.hpp"
#include "landing_page.hpp"
#include "limits.hpp"
#include "policy.hpp"
#include "site.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>

#include <optional>
#include <string_view>

namespace http_server {

// One connection. It owns its socket, its buffer and its parser, and must outlive run().
class session {
public:
    session(socket connected, const limits& limits, const site& site, statistics& numbers);

    // Answers one request after the other until either side has had enough.
    task<void> run();

    // Ends an idle connection at once, and any other after the response to the request under way.
    void stop();

    // Ends the connection whatever it is doing.
    void close();

private:
    using parser = http::request_parser<discard_body>;
    using clock = std::chrono::steady_clock;

    enum class outcome {
        request, // request_ is the header of a complete one
        refused, // refusal_ says why; what follows on the connection is of no use
        gone,    // end of stream, error, time-out, or nothing more to be done for a stop
    };

    task<outcome> receive_request();
    void end_at(clock::time_point end);
    void skip_empty_lines();
    std::optional<outcome> parse();
    error_code put();
    bool has_unread();
    std::string_view received() const;
    task<bool> send(answer& response);
    task<void> drain();

    stream stream_;
    const limits& limits_;
    const site& site_;
    statistics& numbers_;
    beast::flat_buffer
        buffer_; // received and not yet parsed: a request in parts, or several at once
    std::optional<parser> parser_;
    // The header, as far as it could be read: what the parser finds behind it, the trailer of a
    // chunked body, is no part of it.
    request_head request_;
    refusal refusal_;
    unsigned empty_lines_ = 0; // skipped before the request
    std::size_t header_bytes_ = 0;
    clock::time_point end_; // of the time for what is being received
    bool idle_ = false;     // waiting for the first byte of a request
    bool stopping_ = false;
};

} // namespace http_server
