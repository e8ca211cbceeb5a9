// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/io_result.hpp>

#include <sstream>

namespace safer_ring::inline SAFER_RING_ABI {

std::string io_error::message() const
{
    std::ostringstream text;
    text << operation;
    if (size_bytes != 0)
        text << " of " << size_bytes << " bytes";
    if (offset != backend::file_position)
        text << " at " << offset;
    if (descriptor >= 0)
        text << " on descriptor " << descriptor;
    if (registered_file >= 0)
        text << " on registered file " << registered_file;
    if (code)
        text << ": " << code.message();
    return text.str();
}

} // namespace safer_ring::inline SAFER_RING_ABI
