// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "landing_page.hpp"

#include "target.hpp"

namespace http_server {

namespace {

constexpr std::string_view page_start = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>)";

constexpr std::string_view style = R"(</title>
<style>
:root { color-scheme: light dark; --line: #8884; --accent: #0a7d5a; }
@media (prefers-color-scheme: dark) { :root { --accent: #4fd1a5; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; border-bottom: 3px solid var(--accent); padding-bottom: .4rem; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
pre { border: 1px solid var(--line); border-radius: 6px; padding: 1rem;
  overflow-x: auto; font-size: .85rem; }
dl { display: grid; grid-template-columns: max-content auto; gap: .2rem 1.5rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; }
a { color: var(--accent); }
</style>
</head>
<body>
)";

constexpr std::string_view page_end = "</body>\n</html>\n";

std::string escape(std::string_view text)
{
    std::string escaped;
    escaped.reserve(text.size());
    for (const char c : text) {
        switch (c) {
        case '&':
            escaped += "&amp;";
            break;
        case '<':
            escaped += "&lt;";
            break;
        case '>':
            escaped += "&gt;";
            break;
        case '"':
            escaped += "&quot;";
            break;
        default:
            escaped += c;
        }
    }
    return escaped;
}

void append_number(std::string& html, std::string_view name, std::uint64_t number)
{
    html += "<dt>";
    html += name;
    html += "</dt><dd>";
    html += std::to_string(number);
    html += "</dd>\n";
}

} // namespace

landing_page::landing_page(std::string_view backend, std::string_view features,
                           std::string_view root, const std::vector<std::string>& files)
{
    const auto heading = "Boost.Beast on " + escape(backend);
    before_numbers_ += page_start;
    before_numbers_ += heading;
    before_numbers_ += style;
    before_numbers_ += "<h1>" + heading + "</h1>\n<h2>What it runs on</h2>\n<pre>";
    before_numbers_ += escape(features);
    before_numbers_ += "</pre>\n<h2>So far</h2>\n<dl>\n";

    after_numbers_ += "</dl>\n<h2>Files</h2>\n<p>From <code>" + escape(root) +
                      "</code>, as of the start:</p>\n<ul>\n";
    for (const auto& file : files) {
        after_numbers_ +=
            "<li><a href=\"/" + percent_encode(file) + "\">" + escape(file) + "</a></li>\n";
    }
    after_numbers_ += "</ul>\n<p>This page is always at <a href=\"/status\">/status</a>, and at / "
                      "while the folder "
                      "has no index.html.</p>\n";
    after_numbers_ += page_end;
}

std::string landing_page::render(const statistics& numbers) const
{
    const auto up = std::chrono::steady_clock::now() - numbers.started;
    std::string html;
    html.reserve(before_numbers_.size() + after_numbers_.size() + 256);
    html += before_numbers_;
    append_number(
        html, "seconds up",
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(up).count()));
    append_number(html, "connections open", numbers.open_connections);
    append_number(html, "connections accepted", numbers.connections);
    append_number(html, "requests answered", numbers.requests);
    html += after_numbers_;
    return html;
}

std::string error_page(std::string_view title, std::string_view sentence)
{
    const auto heading = escape(title);
    std::string html;
    html += page_start;
    html += heading;
    html += style;
    html += "<h1>" + heading + "</h1>\n<p>" + escape(sentence) + ".</p>\n";
    html += page_end;
    return html;
}

} // namespace http_server
