// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// Random reads on safer_ring::io_context. Asio has files only where it was told of io_uring.
#define BOOST_ASIO_HAS_IO_URING 1

#include <safer_ring/asio.hpp>

#include "random_read/asio_random_read.hpp"

namespace {

class reader : public benchmark::asio_reader<safer_ring::io_context> {
public:
    using benchmark::asio_reader<safer_ring::io_context>::asio_reader;

    benchmark::details facts()
    {
        auto known = benchmark::asio_reader<safer_ring::io_context>::facts();
        known.emplace_back("ring", context().features().describe());
        return known;
    }
};

int read(int argc, char** argv)
{
    return benchmark::read_randomly<reader>(argc, argv, "safer_ring");
}

} // namespace

int main(int argc, char** argv)
{
    return benchmark::guarded_main(argc, argv, &read);
}
