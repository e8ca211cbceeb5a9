// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <boost/beast/core/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/status.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace http_server {

namespace http = boost::beast::http;
using request_head = http::request_header<>;

// A request that gets nothing but an error, and why.
struct refusal {
    http::status status = http::status::bad_request;
    std::string reason;
    // Where the next request would begin is not known, or not worth finding out.
    bool close = true;
};

// Judges a parsed request by its header alone; nothing when it is a GET or HEAD that may be
// answered.
std::optional<refusal> refuse(const request_head& request);

// Whether the client holds back the body of its request until the server asks for it. This server
// never does, and gives its answer at once instead. HTTP/1.0 has no such thing: its clients send
// the body in any case.
bool expects_continue(const request_head& request);

// Whether the client wants to send further requests on its connection.
bool keeps_connection(const request_head& request);

// The answer for a request that the parser gave up on. `request` is what it had understood before,
// and `rest` what it had in front of it.
refusal refuse_unparsed(const boost::beast::error_code& error, const request_head& request,
                        std::string_view rest);

} // namespace http_server
