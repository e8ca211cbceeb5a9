// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "file_response.hpp"

#include "byte_range.hpp"
#include "http_date.hpp"
#include "mime.hpp"

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace http_server {

namespace {

using http::field;
using http::status;

std::string_view value(const request_head& request, field name)
{
    const auto text = request[name];
    return {text.data(), text.size()};
}

// How an entity tag of a client is compared with ours, which is a strong one.
enum class comparison {
    weak,   // a tag marked as weak, W/"a", is equal too
    strong, // it is not
};

// Whether a list such as `"a", W/"b"` has the tag.
bool has_tag(std::string_view list, std::string_view tag, comparison how)
{
    if (list == "*")
        return true;
    while (!list.empty()) {
        const auto open = list.find('"');
        if (open == std::string_view::npos)
            return false;
        const auto close = list.find('"', open + 1);
        if (close == std::string_view::npos)
            return false;
        const bool weak = open >= 2 && list.substr(open - 2, 2) == "W/";
        if (list.substr(open, close + 1 - open) == tag && (!weak || how == comparison::weak))
            return true;
        list.remove_prefix(close + 1);
    }
    return false;
}

// A list may be spread over several lines of the header.
bool lists_tag(const request_head& request, field name, std::string_view tag, comparison how)
{
    const auto lines = request.equal_range(name);
    return std::any_of(lines.first, lines.second, [tag, how](const auto& line) {
        const auto text = line.value();
        return has_tag({text.data(), text.size()}, tag, how);
    });
}

// Nothing for what is not one date: such a condition has to be ignored.
std::optional<std::time_t> date_in(const request_head& request, field name)
{
    if (request.count(name) != 1)
        return std::nullopt;
    return parse_http_date(value(request, name));
}

// What is answered instead of the file when a condition does not hold. The order is that of
// RFC 9110, section 13.2.2: a date counts only where there is no list of tags.
std::optional<status> failed_condition(const request_head& request, const file_info& info,
                                       std::string_view tag)
{
    if (request.count(field::if_match) != 0) {
        if (!lists_tag(request, field::if_match, tag, comparison::strong))
            return status::precondition_failed;
    } else if (const auto since = date_in(request, field::if_unmodified_since);
               since && info.modified > *since) {
        return status::precondition_failed;
    }
    if (request.count(field::if_none_match) != 0) {
        if (lists_tag(request, field::if_none_match, tag, comparison::weak))
            return status::not_modified;
    } else if (const auto since = date_in(request, field::if_modified_since);
               since && info.modified <= *since) {
        return status::not_modified;
    }
    return std::nullopt;
}

byte_range requested_range(const request_head& request, const file_info& info, std::string_view tag)
{
    // Ranges are defined for GET only; HEAD has to ignore them (RFC 9110, section 14.2).
    if (request.method() != http::verb::get || request.count(field::range) != 1)
        return {};
    // A date never holds: the file may have changed twice within a second (RFC 9110, sections
    // 8.8.2.2 and 13.1.5).
    if (const auto conditions = request.count(field::if_range);
        conditions != 0 && (conditions != 1 || value(request, field::if_range) != tag))
        return {};
    return parse_range(value(request, field::range), info.size);
}

} // namespace

std::string entity_tag(const file_info& info)
{
    std::string tag = "\"";
    const auto append = [&tag](std::uint64_t number) {
        std::array<char, 16> digits{};
        tag.append(digits.data(),
                   std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr);
    };
    append(static_cast<std::uint64_t>(info.modified));
    tag += '.';
    append(static_cast<std::uint64_t>(info.modified_ns));
    tag += '-';
    append(info.size);
    tag += '"';
    return tag;
}

file_response respond_with_file(const request_head& request, const file_info& info,
                                std::string_view file_name, std::time_t now)
{
    file_response response;
    auto& head = response.head;
    head.version(request.version());
    const auto tag = entity_tag(info);
    head.set(field::etag, tag);
    // A file may have a time in the future, which must not be told (RFC 9110, section 8.8.2.1). The
    // conditions are judged by the file's own time: what a client was told of such a file never
    // makes it count as unchanged.
    head.set(field::last_modified, format_http_date(std::min(info.modified, now)));
    if (const auto instead = failed_condition(request, info, tag)) {
        head.result(*instead);
        if (*instead == status::precondition_failed)
            head.set(field::content_length, "0");
        return response;
    }

    head.set(field::accept_ranges, "bytes");
    const auto size = std::to_string(info.size);
    const auto range = requested_range(request, info, tag);
    if (range.what == byte_range::kind::unsatisfiable) {
        head.result(status::range_not_satisfiable);
        head.set(field::content_range, "bytes */" + size);
        head.set(field::content_length, "0");
        return response;
    }

    const auto type = content_type(file_name);
    head.set(field::content_type, boost::beast::string_view{type.data(), type.size()});
    head.result(status::ok);
    response.length = info.size;
    if (range.what == byte_range::kind::part) {
        head.result(status::partial_content);
        head.set(field::content_range, "bytes " + std::to_string(range.offset) + '-' +
                                           std::to_string(range.offset + range.length - 1) + '/' +
                                           size);
        response.offset = range.offset;
        response.length = range.length;
    }
    head.set(field::content_length, std::to_string(response.length));
    if (request.method() == http::verb::head)
        response.length = 0;
    return response;
}

} // namespace http_server
