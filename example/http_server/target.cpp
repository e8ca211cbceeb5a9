// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "target.hpp"

#include "ascii.hpp"
#include "authority.hpp"

#include <optional>

namespace http_server {

namespace {

target refused(target::kind what, std::string_view reason)
{
    target result;
    result.what = what;
    result.reason = reason;
    return result;
}

std::optional<std::string> percent_decode(std::string_view text)
{
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        if (i + 2 >= text.size())
            return std::nullopt;
        const auto high = hex_digit(text[i + 1]);
        const auto low = hex_digit(text[i + 2]);
        if (!high || !low)
            return std::nullopt;
        decoded += static_cast<char>(*high * 16 + *low);
        i += 2;
    }
    return decoded;
}

// "http://host/path" is what a client sends to a proxy; a server has to accept it too. Nothing when
// there is no valid host.
std::optional<std::string_view> without_authority(std::string_view text) noexcept
{
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!iequals(text.substr(0, scheme.size()), scheme))
            continue;
        text.remove_prefix(scheme.size());
        const auto authority = text.substr(0, text.find_first_of("/?"));
        if (!is_authority(authority))
            return std::nullopt;
        text.remove_prefix(authority.size());
        return text.starts_with('/') ? text : std::string_view{"/"};
    }
    return text;
}

} // namespace

target parse_target(std::string_view text)
{
    const auto local = without_authority(text);
    if (!local)
        return refused(target::kind::malformed, "the target names no valid host");
    text = *local;
    if (text.empty() || text.front() != '/')
        return refused(target::kind::malformed, "the target is not a path");
    if (text.find('#') != std::string_view::npos)
        return refused(target::kind::malformed, "the target has a fragment");

    target result;
    if (const auto question = text.find('?'); question != std::string_view::npos) {
        result.query = text.substr(question + 1);
        text = text.substr(0, question);
    }
    const auto decoded = percent_decode(text);
    if (!decoded)
        return refused(target::kind::malformed, "the target has a broken percent-encoding");
    for (const char c : *decoded) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            return refused(target::kind::malformed, "the target has a control character");
        }
    }

    std::string_view rest = *decoded;
    while (!rest.empty()) {
        rest.remove_prefix(1); // the slash
        const auto segment = rest.substr(0, rest.find('/'));
        rest.remove_prefix(segment.size());
        if (segment == "..")
            return refused(target::kind::leads_upwards, "the target leads upwards");
        result.directory = segment.empty() || segment == ".";
        if (result.directory)
            continue;
        if (!result.path.empty())
            result.path += '/';
        result.path += segment;
    }
    return result;
}

std::string percent_encode(std::string_view path)
{
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;
    for (const char c : path) {
        if (plain.find(c) != std::string_view::npos) {
            encoded += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        encoded += '%';
        encoded += digits[byte / 16];
        encoded += digits[byte % 16];
    }
    return encoded;
}

} // namespace http_server
