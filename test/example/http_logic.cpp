// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// The parts of the example HTTP server that decide and do no I/O.

#include "../../example/http_server/authority.hpp"
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
#include <ctime>
#include <limits>
#include <string>
#include <utility>
#include <vector>

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

// A second after the time of file_of().
constexpr std::time_t now = 784111778;

file_response answer_to(const request_head& request, const file_info& info)
{
    return respond_with_file(request, info, "a.txt", now);
}

using header_line = std::pair<field, std::string>;

// What a request for file_of(100) comes to with these lines in its header.
status status_with(const std::vector<header_line>& lines)
{
    auto request = get();
    for (const auto& [name, value] : lines)
        request.insert(name, value);
    return answer_to(request, file_of(100)).head.result();
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
         {"http:///a", "http://", "http://?x", "http://:80/a", "https://a@b/", "http://a%/", "",
          "a", "*", "host:80", "/%", "/%1", "/%g0", "/%00", "/a%0a", "/%7f", "/#"})
        BOOST_TEST((parse_target(text).what == target::kind::malformed), text);
}

BOOST_AUTO_TEST_CASE(authority_is_a_host_and_perhaps_a_port)
{
    for (const auto* text : {"a", "a.example:80", "A-b_c~!$&'()*+,;=", "%41%c3", "127.0.0.1",
                             "127.0.0.1:8080", "a:", "[::1]", "[::1]:80", "[::ffff:127.0.0.1]:"})
        BOOST_TEST(is_authority(text), text);
    for (const auto* text :
         {"",    ":",    ":80",     "a b",     "a b/c@@", "a/b", "a@b",  "a?b",
          "a#b", "a:b",  "a:8 0",   "a:80:80", "%",       "%4",  "%4g",  "[",
          "[]",  "[::1", "[::1]80", "[::1]:x", "[host]",  "::1", "a\"b", "\xc3\xbc"})
        BOOST_TEST(!is_authority(text), text);
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
    BOOST_TEST(status_with(field::expect, "more", 10) == status::ok);
}

BOOST_AUTO_TEST_CASE(host_field_has_to_name_a_host)
{
    auto request = get();
    for (const auto* host : {"", "a", "a:80", "[::1]:80"}) {
        request.set(field::host, host);
        BOOST_TEST(!refuse(request), host);
    }
    for (const unsigned version : {10U, 11U}) {
        request.version(version);
        for (const auto* host : {"a b/c@@", ":80", "http://a"}) {
            request.set(field::host, host);
            const auto why = refuse(request);
            BOOST_TEST((why ? why->status : status::ok) == status::bad_request, host);
        }
    }
}

BOOST_AUTO_TEST_CASE(only_http_1_1_holds_back_a_body)
{
    auto request = get();
    BOOST_TEST(!expects_continue(request));
    request.set(field::expect, "100-Continue");
    BOOST_TEST(expects_continue(request));
    request.version(10);
    BOOST_TEST(!expects_continue(request));
    BOOST_TEST(!refuse(request));
}

BOOST_AUTO_TEST_CASE(connection_is_kept_unless_one_of_its_lines_says_otherwise)
{
    const auto kept = [](unsigned version, const std::vector<std::string>& lines) {
        auto request = get();
        request.version(version);
        for (const auto& line : lines)
            request.insert(field::connection, line);
        return keeps_connection(request);
    };
    BOOST_TEST(kept(11, {}));
    BOOST_TEST(kept(11, {"x, keep-alive"}));
    BOOST_TEST(!kept(11, {"x, Close"}));
    BOOST_TEST(!kept(11, {"x", "close"}));
    BOOST_TEST(!kept(10, {}));
    BOOST_TEST(kept(10, {"x", "Keep-Alive"}));
    BOOST_TEST(!kept(10, {"keep-alive", "close"}));
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
    auto response = answer_to(request, info);
    BOOST_TEST(response.head.result() == status::ok);
    BOOST_TEST(response.length == 100U);

    request.set(field::range, "bytes=10-19");
    response = answer_to(request, info);
    BOOST_TEST(response.head.result() == status::partial_content);
    BOOST_TEST(response.head[field::content_range] == "bytes 10-19/100");
    BOOST_TEST(response.offset == 10U);
    BOOST_TEST(response.length == 10U);

    request.set(field::if_range, "\"another\"");
    BOOST_TEST(answer_to(request, info).length == 100U);
    request.erase(field::if_range);

    request.set(field::if_none_match, entity_tag(info));
    response = answer_to(request, info);
    BOOST_TEST(response.head.result() == status::not_modified);
    BOOST_TEST(response.length == 0U);
}

BOOST_AUTO_TEST_CASE(tags_decide_whether_a_file_is_sent)
{
    const auto tag = entity_tag(file_of(100));
    const auto weak = "W/" + tag;
    const std::string other = "\"other\"";
    for (const auto& value : {tag, other + ", " + tag, weak + "," + tag, std::string{"*"}})
        BOOST_TEST(status_with({{field::if_match, value}}) == status::ok, value);
    for (const auto& value : {weak, other, other + ", " + weak, std::string{}, std::string{"x"}})
        BOOST_TEST(status_with({{field::if_match, value}}) == status::precondition_failed, value);
    for (const auto& value : {tag, weak, other + ", " + weak, std::string{"*"}})
        BOOST_TEST(status_with({{field::if_none_match, value}}) == status::not_modified, value);
    for (const auto& value : {other, std::string{}, std::string{"x"}})
        BOOST_TEST(status_with({{field::if_none_match, value}}) == status::ok, value);
}

BOOST_AUTO_TEST_CASE(list_of_tags_may_have_several_lines)
{
    const auto tag = entity_tag(file_of(100));
    for (const auto name : {field::if_match, field::if_none_match}) {
        const auto found = name == field::if_match ? status::ok : status::not_modified;
        const auto missed = name == field::if_match ? status::precondition_failed : status::ok;
        BOOST_TEST(status_with({{name, "\"a\""}, {name, "\"b\", " + tag}}) == found);
        BOOST_TEST(status_with({{name, tag}, {name, "\"b\""}}) == found);
        BOOST_TEST(status_with({{name, "\"a\""}, {name, "\"b\""}}) == missed);
    }
}

BOOST_AUTO_TEST_CASE(dates_decide_whether_a_file_is_sent)
{
    const auto modified = file_of(100).modified;
    const auto before = format_http_date(modified - 1);
    const auto at = format_http_date(modified);
    const auto after = format_http_date(modified + 1);
    BOOST_TEST(status_with({{field::if_unmodified_since, before}}) == status::precondition_failed);
    BOOST_TEST(status_with({{field::if_unmodified_since, at}}) == status::ok);
    BOOST_TEST(status_with({{field::if_unmodified_since, after}}) == status::ok);
    BOOST_TEST(status_with({{field::if_modified_since, before}}) == status::ok);
    BOOST_TEST(status_with({{field::if_modified_since, at}}) == status::not_modified);
    BOOST_TEST(status_with({{field::if_modified_since, after}}) == status::not_modified);
    // What is not one date is ignored.
    for (const auto name : {field::if_unmodified_since, field::if_modified_since}) {
        BOOST_TEST(status_with({{name, "yesterday"}}) == status::ok);
        const auto& failing = name == field::if_modified_since ? at : before;
        BOOST_TEST(status_with({{name, failing}, {name, failing}}) == status::ok);
    }
}

BOOST_AUTO_TEST_CASE(conditions_are_judged_in_their_order)
{
    const auto info = file_of(100);
    const header_line has_it{field::if_match, entity_tag(info)};
    const header_line lacks_it{field::if_match, "\"other\""};
    const header_line knows_it{field::if_none_match, entity_tag(info)};
    const header_line knows_another{field::if_none_match, "\"other\""};
    const header_line too_old{field::if_unmodified_since, format_http_date(info.modified - 1)};
    const header_line seen{field::if_modified_since, format_http_date(info.modified)};
    const header_line beyond{field::range, "bytes=100-"};

    BOOST_TEST(status_with({too_old, has_it}) == status::ok);
    BOOST_TEST(status_with({lacks_it, knows_it}) == status::precondition_failed);
    BOOST_TEST(status_with({too_old, knows_it}) == status::precondition_failed);
    BOOST_TEST(status_with({has_it, knows_it}) == status::not_modified);
    BOOST_TEST(status_with({seen, knows_another}) == status::ok);
    BOOST_TEST(status_with({beyond, lacks_it}) == status::precondition_failed);
    BOOST_TEST(status_with({beyond, knows_it}) == status::not_modified);
    BOOST_TEST(status_with({beyond, has_it}) == status::range_not_satisfiable);
}

BOOST_AUTO_TEST_CASE(answer_to_a_failed_condition_has_no_body)
{
    auto request = get();
    request.set(field::if_match, "\"other\"");
    const auto response = answer_to(request, file_of(100));
    BOOST_TEST(response.head[field::content_length] == "0");
    BOOST_TEST(response.length == 0U);
}

BOOST_AUTO_TEST_CASE(file_is_never_told_to_be_younger_than_now)
{
    auto info = file_of(100);
    BOOST_TEST(answer_to(get(), info).head[field::last_modified] == format_http_date(now - 1));
    info.modified = now + 3600;
    const auto told = format_http_date(now);
    BOOST_TEST(answer_to(get(), info).head[field::last_modified] == told);

    // Such a file changes unseen, as far as that date goes.
    auto request = get();
    request.set(field::if_modified_since, told);
    BOOST_TEST(answer_to(request, info).head.result() == status::ok);
    request = get();
    request.set(field::range, "bytes=0-1");
    request.set(field::if_range, told);
    BOOST_TEST(answer_to(request, info).head.result() == status::ok);
}

BOOST_AUTO_TEST_CASE(head_names_the_length_of_what_it_does_not_send)
{
    auto request = get();
    request.method(http::verb::head);
    const auto response = answer_to(request, file_of(100));
    BOOST_TEST(response.head[field::content_length] == "100");
    BOOST_TEST(response.length == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
