// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "document_root.hpp"
#include "file_response.hpp"
#include "landing_page.hpp"
#include "policy.hpp"
#include "target.hpp"

#include <cstdint>
#include <string>

namespace http_server {

// A response that is ready to be sent: its header, then `text`, then a part of `file`.
struct answer {
    response_head head;
    std::string text;
    file_descriptor file;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool close = false; // whether the connection is of no use afterwards
};

// Makes requests into answers: finds the file, or the generated page, or the error.
class site {
public:
    site(const document_root& root, const landing_page& page, const statistics& numbers);

    answer respond(const request_head& request) const;

    // `request` is the header as far as it could be read.
    answer respond(const request_head& request, const refusal& why) const;

private:
    answer respond_to_path(const request_head& request, const target& where) const;
    answer respond_with_page(const request_head& request) const;
    answer respond_with_errno(const request_head& request, int error) const;

    const document_root& root_;
    const landing_page& page_;
    const statistics& numbers_;
};

} // namespace http_server
