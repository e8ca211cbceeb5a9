// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <boost/beast/core/buffer_traits.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/optional/optional.hpp>

#include <cstddef>
#include <cstdint>

namespace http_server {

// A Body for Beast's parser that forgets what it is given: the server takes no uploads, but has to
// find the end of one.
struct discard_body {
    struct value_type {};

    class reader {
    public:
        template <bool IsRequest, class Fields>
        reader(boost::beast::http::header<IsRequest, Fields>&, value_type&)
        {
        }

        void init(const boost::optional<std::uint64_t>&, boost::beast::error_code& error)
        {
            error = {};
        }

        template <class ConstBufferSequence>
        std::size_t put(const ConstBufferSequence& buffers, boost::beast::error_code& error)
        {
            error = {};
            return boost::beast::buffer_bytes(buffers);
        }

        void finish(boost::beast::error_code& error) { error = {}; }
    };
};

} // namespace http_server
