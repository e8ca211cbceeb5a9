// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The parts of the example HTTP server that decide and do no I/O.

#include "../../example/http_server/byte_range.hpp"
#include "../../example/http_server/file_response.hpp"
#include "../../example/http_server/http_date.hpp"
#include "../../example/http_server/mime.hpp"
#include "../../example/http_server/policy.hpp"
#include "../../example/http_server/target.hpp"

#include <boost/beast/http/error.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <limits>
#include <string>

namespace {

using namespace http_server;
using http::field;
using http::status;

request_head get(const std::string& path = "/")
{
    request_head request;
    request.version(11);
    request.method(http::verb::get);
    request.target(path);
    request.set(field::host, "test");
    return request;
}

file_info file_of(std::uint64_t size)
{
    file_info info;
    info.what = file_info::kind::regular;
    info.size = size;
    info.modified = 784111777;
    return info;
}

void check_part(const std::string& header, std::uint64_t size, std::uint64_t offset,
                std::uint64_t length)
{
    const auto range = parse_range(header, size);
    BOOST_TEST_CONTEXT(header << " of " << size)
    {
        BOOST_TEST((range.what == byte_range::kind::part));
        BOOST_TEST(range.offset == offset);
        BOOST_TEST(range.length == length);
    }
}

BOOST_AUTO_TEST_SUITE(http_logic)

BOOST_AUTO_TEST_CASE(range_is_cut_to_the_file)
{
    check_part("bytes=0-0", 10, 0, 1);
    check_part("bytes=3-", 10, 3, 7);
    check_part("bytes=3-9", 10, 3, 7);
    check_part("bytes=3-10", 10, 3, 7);
    check_part("bytes=-4", 10, 6, 4);
    check_part("bytes=-40", 10, 0, 10);
    check_part(" bytes = 1-2 ", 10, 1, 2);
}

BOOST_AUTO_TEST_CASE(range_survives_numbers_beyond_64_bits)
{
    check_part("bytes=1-18446744073709551615", 10, 1, 9);
    check_part("bytes=1-99999999999999999999999999", 10, 1, 9);
    check_part("bytes=-99999999999999999999999999", 10, 0, 10);
    constexpr auto huge = std::numeric_limits<std::uint64_t>::max();
    check_part("bytes=0-18446744073709551615", huge, 0, huge);
    BOOST_TEST((parse_range("bytes=99999999999999999999999999-", 10).what ==
                byte_range::kind::unsatisfiable));
}

BOOST_AUTO_TEST_CASE(range_behind_the_end_is_unsatisfiable)
{
    for (const auto* header : {"bytes=10-", "bytes=10-20", "bytes=-0"})
        BOOST_TEST((parse_range(header, 10).what == byte_range::kind::unsatisfiable), header);
    for (const auto* header : {"bytes=0-", "bytes=0-0", "bytes=-1"})
        BOOST_TEST((parse_range(header, 0).what == byte_range::kind::unsatisfiable), header);
}

BOOST_AUTO_TEST_CASE(range_that_makes_no_sense_means_the_whole)
{
    for (const auto* header :
         {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-a", "bytes=5-4", "bytes=1-2,4-5",
          "bytes=--1", "bytes=+1-2", "items=1-2", "=1-2"})
        BOOST_TEST((parse_range(header, 10).what == byte_range::kind::whole), header);
}

BOOST_AUTO_TEST_CASE(date_is_read_in_all_three_forms)
{
    BOOST_TEST(format_http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
    for (const auto* text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                             "Sun Nov  6 08:49:37 1994"})
        BOOST_TEST(parse_http_date(text).value_or(0) == 784111777, text);
    for (const auto* text : {"", "yesterday", "Sun, 06 Nov 1994 08:49:37", "784111777"})
        BOOST_TEST(!parse_http_date(text), text);
}

BOOST_AUTO_TEST_CASE(content_type_goes_by_the_extension_alone)
{
    BOOST_TEST(content_type("a/b.HTML") == "text/html; charset=utf-8");
    BOOST_TEST(content_type("a.tar.gz") == "application/gzip");
    for (const auto* name : {"html", "a.html/b", "a.", "", "a.unknown"})
        BOOST_TEST(content_type(name) == "application/octet-stream", name);
}

BOOST_AUTO_TEST_CASE(target_becomes_a_path_below_the_root)
{
    const auto path_of = [](const char* text) { return parse_target(text).path; };
    BOOST_TEST(path_of("/") == "");
    BOOST_TEST(path_of("/a/b") == "a/b");
    BOOST_TEST(path_of("//a//./b/") == "a/b");
    BOOST_TEST(path_of("/a%2fb%20c?x=/../y") == "a/b c");
    BOOST_TEST(path_of("https://host:1/a") == "a");
    BOOST_TEST(path_of("http://host?x") == "");
    BOOST_TEST(parse_target("/a?x?y").query == "x?y");
    BOOST_TEST(parse_target("/a/").directory);
    BOOST_TEST(parse_target("/a/.").directory);
    BOOST_TEST(!parse_target("/a").directory);
}

BOOST_AUTO_TEST_CASE(target_that_leads_upwards_is_seen_however_it_is_written)
{
    for (const auto* text : {"/..", "/../a", "/a/..", "/a/../b", "/%2e%2E/a", "/.%2e", "/..%2fa",
                             "/a%2f..%2f..", "http://h/.."})
        BOOST_TEST((parse_target(text).what == target::kind::leads_upwards), text);
    for (const auto* text : {"/...", "/..a", "/a..", "/%252e%252e"})
        BOOST_TEST((parse_target(text).what == target::kind::path), text);
}

BOOST_AUTO_TEST_CASE(target_that_is_malformed_is_refused)
{
    for (const auto* text :
         {"", "a", "*", "host:80", "/%", "/%1", "/%g0", "/%00", "/a%0a", "/%7f", "/#"})
        BOOST_TEST((parse_target(text).what == target::kind::malformed), text);
}

BOOST_AUTO_TEST_CASE(percent_encoding_leaves_nothing_to_inject)
{
    BOOST_TEST(percent_encode("a/b c\r\n\"<\xff") == "a/b%20c%0D%0A%22%3C%FF");
}

BOOST_AUTO_TEST_CASE(request_is_refused_for_its_header)
{
    BOOST_TEST(!refuse(get()));
    const auto status_with = [](field name, const char* value, unsigned version = 11) {
        auto request = get();
        request.version(version);
        request.insert(name, value);
        const auto why = refuse(request);
        return why ? why->status : status::ok;
    };
    BOOST_TEST(status_with(field::host, "another") == status::bad_request);
    BOOST_TEST(status_with(field::transfer_encoding, "Chunked") == status::ok);
    BOOST_TEST(status_with(field::transfer_encoding, "gzip") == status::not_implemented);
    BOOST_TEST(status_with(field::transfer_encoding, "chunked", 10) == status::bad_request);
    BOOST_TEST(status_with(field::expect, "100-Continue") == status::ok);
    BOOST_TEST(status_with(field::expect, "more") == status::expectation_failed);
}

BOOST_AUTO_TEST_CASE(unparsed_request_is_told_what_was_wrong)
{
    using http::error;
    request_head empty;
    const auto status_of = [](error code, const request_head& request, const char* rest) {
        return refuse_unparsed(code, request, rest).status;
    };
    BOOST_TEST(status_of(error::header_limit, empty, "GET /xxxx") == status::uri_too_long);
    BOOST_TEST(status_of(error::header_limit, get(), "X: xxxx") ==
               status::request_header_fields_too_large);
    BOOST_TEST(status_of(error::body_limit, get(), "") == status::payload_too_large);
    BOOST_TEST(status_of(error::bad_version, empty, "GET / HTTP/2.0\r\n") ==
               status::http_version_not_supported);
    BOOST_TEST(status_of(error::bad_version, empty, "GET / FTP/2.0\r\n") == status::bad_request);
    BOOST_TEST(status_of(error::bad_field, get(), "") == status::bad_request);
}

BOOST_AUTO_TEST_CASE(file_is_answered_whole_in_part_or_not_at_all)
{
    const auto info = file_of(100);
    auto request = get();
    auto response = respond_with_file(request, info, "a.txt");
    BOOST_TEST(response.head.result() == status::ok);
    BOOST_TEST(response.length == 100U);

    request.set(field::range, "bytes=10-19");
    response = respond_with_file(request, info, "a.txt");
    BOOST_TEST(response.head.result() == status::partial_content);
    BOOST_TEST(response.head[field::content_range] == "bytes 10-19/100");
    BOOST_TEST(response.offset == 10U);
    BOOST_TEST(response.length == 10U);

    request.set(field::if_range, "\"another\"");
    BOOST_TEST(respond_with_file(request, info, "a.txt").length == 100U);
    request.erase(field::if_range);

    request.set(field::if_none_match, entity_tag(info));
    response = respond_with_file(request, info, "a.txt");
    BOOST_TEST(response.head.result() == status::not_modified);
    BOOST_TEST(response.length == 0U);
}

BOOST_AUTO_TEST_CASE(head_names_the_length_of_what_it_does_not_send)
{
    auto request = get();
    request.method(http::verb::head);
    const auto response = respond_with_file(request, file_of(100), "a.txt");
    BOOST_TEST(response.head[field::content_length] == "100");
    BOOST_TEST(response.length == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
