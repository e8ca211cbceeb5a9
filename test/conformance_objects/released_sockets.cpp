// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "every_channel.hpp"

#include <boost/test/unit_test.hpp>

// Sockets of every kind that are taken out of their object, and go on in another
// one on another context. Serial ports have no release(), in no Boost.
namespace conformance {
namespace {

using test_support::io_result;

using released_channels =
    on_each<contexts, tcp_channel, local_channel, generic_stream_channel, udp_channel,
            local_datagram_channel, generic_datagram_channel, packet_channel, raw_channel>::type;

BOOST_AUTO_TEST_SUITE(released_sockets)

BOOST_AUTO_TEST_CASE_TEMPLATE(released_sockets_carry_on_elsewhere, T, released_channels)
{
    for (const bool pending : {false, true}) {
        fixture<T> f;
        io_result read, write;
        if (pending) {
            async_take(f.c.reader, net::buffer(f.buffer), f.checks.into(read));
            f.settle();
            async_give(f.c.writer, net::buffer("sent", 4), f.checks.into(write));
        }
        const int writer = f.c.writer.release();
        const int reader = f.c.reader.release();
        BOOST_TEST(!f.c.reader.is_open());
        BOOST_TEST(f.c.reader.native_handle() == -1);
        if (pending) {
            f.run(read, write);
            BOOST_TEST(write.ec == error_code());
            BOOST_TEST((!read.ec || read.ec == net::error::operation_aborted));
        }
        // What the read did not take is still there, and the descriptors are open.
        typename T::context other;
        using reader_type = decltype(f.c.reader);
        using writer_type = decltype(f.c.writer);
        reader_type reader_again(other, T::kind::protocol(), reader);
        writer_type writer_again(other, T::kind::protocol(), writer);
        io_result rest, more;
        if (pending && read.ec) {
            async_take(reader_again, net::buffer(f.buffer), f.checks.into(rest));
            test_support::run_until_done(other, rest);
            BOOST_TEST(f.received(rest) == "sent");
        }
        rest = {};
        async_give(writer_again, net::buffer("more", 4), f.checks.into(more));
        async_take(reader_again, net::buffer(f.buffer), f.checks.into(rest));
        test_support::run_until_done(other, more);
        test_support::run_until_done(other, rest);
        BOOST_TEST(f.received(rest) == "more");
        error_code ec;
        f.c.reader.release(ec);
        BOOST_TEST(ec == net::error::bad_descriptor);
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
