// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "site.hpp"

#include "http_date.hpp"

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>

#include <cerrno>
#include <ctime>
#include <system_error>

namespace http_server {

namespace {

using http::field;
using http::status;

// Beast keeps the length of a field in 16 bits, and throws for a longer one.
constexpr std::size_t longest_location = 60'000;

void set_common_fields(response_head& head, const request_head& request)
{
    head.version(request.version() == 10 ? 10 : 11);
    head.set(field::server, "safer-ring-example");
    head.set(field::date, current_http_date());
    head.set("X-Content-Type-Options", "nosniff");
}

answer html(const request_head& request, status code, std::string text)
{
    answer result;
    set_common_fields(result.head, request);
    result.head.result(code);
    result.head.set(field::content_type, "text/html; charset=utf-8");
    result.head.set(field::content_length, std::to_string(text.size()));
    if (request.method() != http::verb::head)
        result.text = std::move(text);
    return result;
}

} // namespace

site::site(const document_root& root, const landing_page& page, const statistics& numbers)
    : root_(root), page_(page), numbers_(numbers)
{
}

answer site::respond(const request_head& request) const
{
    if (const auto why = refuse(request))
        return respond(request, *why);
    const auto text = request.target();
    const auto where = parse_target({text.data(), text.size()});
    switch (where.what) {
    case target::kind::malformed:
        return respond(request, {status::bad_request, std::string{where.reason}, false});
    case target::kind::leads_upwards:
        return respond(request, {status::forbidden, std::string{where.reason}, false});
    case target::kind::path:
        break;
    }
    if (where.path == "status" && !where.directory)
        return respond_with_page(request);
    return respond_to_path(request, where);
}

answer site::respond(const request_head& request, const refusal& why) const
{
    const auto reason = http::obsolete_reason(why.status);
    auto title = std::to_string(static_cast<unsigned>(why.status)) + ' ';
    title.append(reason.data(), reason.size());
    auto result = html(request, why.status, error_page(title, why.reason));
    if (why.status == status::method_not_allowed)
        result.head.set(field::allow, "GET, HEAD");
    if (why.status == status::service_unavailable)
        result.head.set(field::retry_after, "1");
    result.close = why.close;
    return result;
}

answer site::respond_to_path(const request_head& request, const target& where) const
{
    const bool is_root = where.path.empty();
    auto name = where.path;
    if (where.directory || is_root)
        name += is_root ? "index.html" : "/index.html";
    auto opened = root_.open(name);
    if (is_root && opened.error == ENOENT)
        return respond_with_page(request);
    if (opened.error != 0)
        return respond_with_errno(request, opened.error);

    switch (opened.info.what) {
    case file_info::kind::other:
        return respond(request, {status::forbidden, "this is neither a file nor a folder", false});
    case file_info::kind::directory: {
        if (name != where.path)
            return respond_with_errno(request, ENOENT); // a folder named index.html
        auto location = '/' + percent_encode(where.path) + '/';
        if (!where.query.empty())
            location += '?' + where.query;
        if (location.size() > longest_location)
            return respond(request, {status::uri_too_long,
                                     "the folder's name ends with a slash; with that, the target "
                                     "is too long to be sent there",
                                     false});
        auto result = respond(
            request, {status::moved_permanently, "the folder's name ends with a slash", false});
        result.head.set(field::location, location);
        return result;
    }
    case file_info::kind::regular:
        break;
    }
    auto response = respond_with_file(request, opened.info, name, std::time(nullptr));
    answer result;
    result.head = std::move(response.head);
    set_common_fields(result.head, request);
    result.offset = response.offset;
    result.length = response.length;
    if (result.length != 0)
        result.file = std::move(opened.fd);
    return result;
}

answer site::respond_with_page(const request_head& request) const
{
    auto result = html(request, status::ok, page_.render(numbers_));
    result.head.set(field::cache_control, "no-store");
    return result;
}

answer site::respond_with_errno(const request_head& request, int error) const
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
        return respond(request, {status::not_found, "there is no such file", false});
    case EACCES:
    case EPERM:
        return respond(request, {status::forbidden, "the server may not read this file", false});
    case ENXIO: // a local socket, or a device
    case ENODEV:
        return respond(request, {status::forbidden, "this is neither a file nor a folder", false});
    case EXDEV:
    case ELOOP:
        return respond(request,
                       {status::forbidden,
                        "a symbolic link is absolute, or leads out of the served folder", false});
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return respond(request,
                       {status::service_unavailable,
                        "the server has no free file descriptor or memory at the moment (" +
                            std::generic_category().message(error) + ')',
                        false});
    default:
        return respond(
            request, {status::internal_server_error,
                      "the file cannot be read: " + std::generic_category().message(error), false});
    }
}

} // namespace http_server
