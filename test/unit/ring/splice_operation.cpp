// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulated_loop.hpp"

#include <safer_ring/ring/splice_operation.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <fcntl.h>
#include <memory>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

// What a splice asks of the kernel.

using namespace unit;

namespace {

using test_support::unique_descriptor;

class splice_through : public ring::splice_operation {
protected:
    splice_through(std::shared_ptr<ring::splice_target> target, end from, end to,
                   std::size_t size_bytes) noexcept
        : ring::splice_operation(std::move(target), from, to, size_bytes)
    {
    }
    ~splice_through() = default;

    int final_result() const noexcept { return outcome(); }
};

BOOST_AUTO_TEST_SUITE(splice_operation)

/// Somebody else may have taken the room of the pipe since it was ready, and the
/// worker is one of few.
BOOST_FIXTURE_TEST_CASE(worker_does_not_wait_for_the_pipe, simulated_loop)
{
    const unique_descriptor file(::memfd_create("spliced", MFD_CLOEXEC));
    BOOST_REQUIRE(::pwrite(file.get(), "0123456789", 10, 0) == 10);
    const auto [reader, writer] = test_support::pipe_descriptor_pair();
    ring::descriptor* const source = loop.open(file.get());
    ring::descriptor* const target = loop.open(writer.get());

    record& moved = note();
    auto place = std::make_shared<ring::splice_target>();
    auto op = std::make_unique<recorded<splice_through>>(
        reporter{&moved, nullptr, "", {}}, place,
        ring::splice_operation::end{ring::splice_kind::file, 4},
        ring::splice_operation::end{ring::splice_kind::pipe, backend::file_position}, 3U);
    place->start(loop, *target, *op);
    loop.start(*source, direction::read, *op, nullptr, &last_id);
    op.release();
    run();

    BOOST_TEST(moved.result == 3);
    const auto requests = submitted(opcode::splice);
    BOOST_REQUIRE(requests.size() == 1U);
    BOOST_TEST(requests[0].op_flags == SPLICE_F_NONBLOCK);
    std::array<char, 4> bytes{};
    BOOST_TEST(::read(reader.get(), bytes.data(), bytes.size()) == 3);
    BOOST_TEST(bytes.data() == "456");
    loop.close(source);
    loop.close(target);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
