// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "policy.hpp"

#include "ascii.hpp"
#include "authority.hpp"

#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/verb.hpp>

#include <algorithm>

namespace http_server {

namespace {

// Whether a request line is one of some HTTP version, "GET / HTTP/7.3".
bool has_http_version(std::string_view text)
{
    const auto line = text.substr(0, text.find("\r\n"));
    if (line.size() < 9 || std::count(line.begin(), line.end(), ' ') != 2)
        return false;
    const auto tail = line.substr(line.size() - 9);
    return tail.substr(0, 6) == " HTTP/" && is_digit(tail[6]) && tail[7] == '.' &&
           is_digit(tail[8]);
}

std::string_view value(const request_head& request, http::field name)
{
    const auto text = request[name];
    return {text.data(), text.size()};
}

} // namespace

std::optional<refusal> refuse(const request_head& request)
{
    using http::field;
    using http::status;

    const bool http_1_1 = request.version() >= 11;
    const auto hosts = request.count(field::host);
    if (hosts > 1 || (http_1_1 && hosts == 0)) {
        return refusal{status::bad_request, "HTTP/1.1 wants exactly one Host field"};
    }
    // Without a value, the Host field belongs to a target that has no host.
    if (const auto host = value(request, field::host); !host.empty() && !is_authority(host)) {
        return refusal{status::bad_request, "the Host field names no valid host"};
    }
    if (const auto encodings = request.count(field::transfer_encoding); encodings != 0) {
        // A body in an encoding that we cannot delimit could hide a second request.
        if (!http_1_1)
            return refusal{status::bad_request, "Transfer-Encoding does not exist in HTTP/1.0"};
        if (encodings != 1 || !iequals(value(request, field::transfer_encoding), "chunked")) {
            return refusal{status::not_implemented,
                           "no transfer encoding but chunked is known here"};
        }
    }
    if (http_1_1 && request.count(field::expect) != 0 && !expects_continue(request)) {
        return refusal{status::expectation_failed, "no expectation but 100-continue is known here"};
    }
    switch (request.method()) {
    case http::verb::get:
    case http::verb::head:
        return std::nullopt;
    case http::verb::unknown:
        return refusal{status::not_implemented, "the method is not known here", false};
    default:
        return refusal{status::method_not_allowed, "only GET and HEAD are answered here", false};
    }
}

bool expects_continue(const request_head& request)
{
    return request.version() >= 11 && iequals(value(request, http::field::expect), "100-continue");
}

bool keeps_connection(const request_head& request)
{
    const auto lines = request.equal_range(http::field::connection);
    const auto has_option = [&lines](const char* name) {
        return std::any_of(lines.first, lines.second, [name](const auto& line) {
            return http::token_list{line.value()}.exists(name);
        });
    };
    return !has_option("close") && (request.version() >= 11 || has_option("keep-alive"));
}

refusal refuse_unparsed(const boost::beast::error_code& error, const request_head& request,
                        std::string_view rest)
{
    using http::status;

    if (error == http::error::header_limit) {
        if (request.target().empty() && rest.find("\r\n") == std::string_view::npos) {
            return {status::uri_too_long, "the request line is longer than this server accepts"};
        }
        return {status::request_header_fields_too_large,
                "the header is larger than this server accepts"};
    }
    if (error == http::error::body_limit) {
        return {status::payload_too_large, "the body is larger than this server accepts"};
    }
    if (error == http::error::bad_version && has_http_version(rest)) {
        return {status::http_version_not_supported, "HTTP/1.1 and HTTP/1.0 are spoken here"};
    }
    return {status::bad_request, "the request is malformed: " + error.message()};
}

} // namespace http_server
