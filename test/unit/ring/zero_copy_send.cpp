// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulated_loop.hpp"

#include <safer_ring/ring/zero_copy_send.hpp>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <memory>
#include <sys/socket.h>
#include <utility>

// What a zero-copy send asks of the kernel.

using namespace unit;

namespace {

using safer_ring::owned_buffer;

class send_owned : public ring::zero_copy_send_operation {
protected:
    explicit send_owned(owned_buffer&& buffer)
        : ring::zero_copy_send_operation(
              std::make_unique<ring::lent_buffer<owned_buffer>>(std::move(buffer)))
    {
    }
    ~send_owned() = default;

    int final_result() noexcept
    {
        take_memory();
        return result();
    }
};

BOOST_AUTO_TEST_SUITE(zero_copy_send)

/// The simulated kernel raises none, and Linux 6.18 adds the flag itself (io_sendmsg_prep).
BOOST_AUTO_TEST_CASE(request_says_that_it_wants_no_signal)
{
    simulation_plan plan;
    plan.zero_copy_send = true;
    simulated_loop l(small_options(), plan);
    connection c(l);
    l.kernel->fail_nth(opcode::send_zc, 1, EOPNOTSUPP);
    const record& sent = l.start<send_owned>(*c, direction::write, owned_buffer::copy_of("text"));
    l.run();
    BOOST_TEST(sent.result == 4);
    for (const opcode op : {opcode::send_zc, opcode::send}) { // The copying one behind it.
        const auto entries = l.submitted(op);
        BOOST_REQUIRE(entries.size() == 1U);
        BOOST_TEST(entries[0].op_flags == static_cast<unsigned>(MSG_NOSIGNAL));
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
