// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"
#include "watched_backend.hpp"

#include <support/connected_pair.hpp>
#include <support/handler_checks.hpp>
#include <support/owned_outcome.hpp>
#include <support/run_until.hpp>
#include <support/skip.hpp>

#include <safer_ring/asio/zero_copy.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <cstring>
#include <future>
#include <linux/net_tstamp.h>
#include <memory>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <unistd.h>

// What a poll tells need not be what makes a call possible; to poll again at once
// would keep a processor busy until it is.

namespace kernel {
namespace {

using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;
using udp = net::ip::udp;

constexpr std::size_t more_than_fits = 16 << 20;
constexpr int turns = 1000;
constexpr unsigned few = 20;
using local_datagram = net::local::datagram_protocol;
using local_datagram_socket = net::basic_datagram_socket<local_datagram, safer_ring::executor>;

struct watched_context {
    explicit watched_context(bool old_kernel = false) { seen->refuses_multishot = old_kernel; }
    unsigned polls() const { return seen->count(safer_ring::backend::opcode::poll_add); }
    /// How many polls there are in so many turns.
    unsigned polls_of_turns()
    {
        const unsigned before = polls();
        ioc.restart();
        for (int i = 0; i < turns; ++i)
            ioc.poll();
        return polls() - before;
    }

    /// The same, where few of a millisecond are borne.
    void expect_few_polls()
    {
        const auto begin = std::chrono::steady_clock::now();
        const unsigned polls = polls_of_turns();
        const auto passed =
            std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
        BOOST_TEST(polls <= 10 * (static_cast<unsigned>(passed.count()) + 1));
    }

    std::shared_ptr<watch> seen = std::make_shared<watch>();
    context ioc{1, {}, std::make_unique<watched_backend>(safer_ring::options(), seen)};
};

/// A stream socket whose peer sends nothing more.
template <class Socket>
test_support::socket_and_peer<Socket> half_closed(context& ioc)
{
    auto ends = test_support::connect_to_peer<Socket>(ioc);
    ends.peer.shutdown_write();
    test_support::wait_readable(ends.socket.native_handle()); // Its end has come.
    return ends;
}

std::string pattern(std::size_t size)
{
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<char>(i * 31 + i / 4096);
    return bytes;
}

using local_socket = net::basic_stream_socket<net::local::stream_protocol, safer_ring::executor>;

struct ring_is_here {
    ring_is_here()
    {
        if (const std::string why = no_io_uring(); !why.empty())
            test_support::skip(why);
    }
};

BOOST_FIXTURE_TEST_SUITE(polls, ring_is_here)

template <class Socket>
void write_to_half_closed(bool old_kernel)
{
    handler_checks checks;
    watched_context w(old_kernel);
    auto [socket, peer] = half_closed<Socket>(w.ioc);
    const std::string bytes = pattern(more_than_fits);
    io_result written;
    net::async_write(socket, net::buffer(bytes), checks.into(written));
    const unsigned polls = w.polls_of_turns();
    if (!old_kernel)
        BOOST_TEST(polls <= few);
    BOOST_TEST(!written.done);
    auto received = std::async(std::launch::async, [&p = peer] { return p.read(more_than_fits); });
    w.ioc.restart();
    run_until_done(w.ioc, written);
    BOOST_TEST(written.ec == error_code());
    BOOST_TEST(written.bytes == more_than_fits);
    BOOST_TEST((received.get() == bytes));
}

BOOST_AUTO_TEST_CASE(write_to_a_peer_that_has_ended_its_side_waits_for_room_in_the_kernel)
{
    write_to_half_closed<socket>(false);
    write_to_half_closed<local_socket>(false);
}

BOOST_AUTO_TEST_CASE(write_to_such_a_peer_goes_on_where_polls_are_refused_that_tell_of_changes)
{
    write_to_half_closed<socket>(true);
}

BOOST_AUTO_TEST_CASE(wait_for_room_that_such_a_peer_leaves_can_be_cancelled)
{
    for (const bool closes : {false, true}) {
        handler_checks checks;
        watched_context w;
        auto [socket, peer] = half_closed<kernel::socket>(w.ioc);
        const std::string bytes = pattern(more_than_fits);
        io_result written;
        net::async_write(socket, net::buffer(bytes), checks.into(written));
        w.polls_of_turns();
        if (closes)
            socket.close();
        else
            socket.cancel();
        w.ioc.restart();
        w.ioc.run();
        BOOST_TEST(written.ec == net::error::operation_aborted);
        BOOST_TEST(written.bytes < more_than_fits);
    }
}

BOOST_AUTO_TEST_CASE(socket_without_room_is_not_writable_for_its_peer_having_ended)
{
    handler_checks checks;
    watched_context w;
    auto [socket, peer] = half_closed<kernel::socket>(w.ioc);
    const std::string bytes = pattern(more_than_fits);
    socket.non_blocking(true);
    error_code ec;
    std::size_t written = 0;
    while (!ec)
        written += socket.write_some(net::buffer(bytes), ec);
    io_result room, exception;
    socket.async_wait(socket::wait_write, checks.into(room));
    socket.async_wait(socket::wait_error, checks.into(exception));
    BOOST_TEST(w.polls_of_turns() <= few);
    BOOST_TEST(!room.done);
    BOOST_TEST(!exception.done);
    auto received =
        std::async(std::launch::async, [&p = peer, written] { return p.read(written).size(); });
    run_until_done(w.ioc, room);
    BOOST_TEST(room.ec == error_code());
    BOOST_TEST(received.get() == written);
    BOOST_TEST(!exception.done);
    socket.close();
    run_until_done(w.ioc, exception);
    BOOST_TEST(exception.ec == net::error::operation_aborted);
}

/// The error queue that IP_RECVERR fills keeps POLLERR set until somebody reads it.
BOOST_AUTO_TEST_CASE(queue_of_errors_that_nobody_reads_does_not_keep_a_receive_busy)
{
    using udp_socket = net::basic_datagram_socket<udp, safer_ring::executor>;
    handler_checks checks;
    watched_context w;
    udp_socket receiver(w.ioc, udp::v4());
    auto peer =
        std::make_unique<udp_socket>(w.ioc, udp::endpoint(net::ip::address_v4::loopback(), 0));
    const udp::endpoint place = peer->local_endpoint();
    peer.reset();
    receiver.connect(place);
    const int on = 1;
    BOOST_REQUIRE(::setsockopt(receiver.native_handle(), IPPROTO_IP, IP_RECVERR, &on, sizeof on) ==
                  0);
    std::array<char, 8> buffer{};
    for (int round = 0; round < 3; ++round) {
        io_result refused;
        receiver.async_receive(net::buffer(buffer), checks.into(refused));
        // Nothing that came before is told twice, and what comes now is told.
        BOOST_TEST(w.polls_of_turns() <= few);
        BOOST_TEST(!refused.done);
        receiver.send(net::buffer("?", 1));
        run_until_done(w.ioc, refused);
        BOOST_TEST(refused.ec == net::error::connection_refused);
    }
    io_result received;
    receiver.async_receive(net::buffer(buffer), checks.into(received));
    BOOST_TEST(w.polls_of_turns() <= few);
    peer = std::make_unique<udp_socket>(w.ioc, place);
    peer->send_to(net::buffer("here", 4), receiver.local_endpoint());
    run_until_done(w.ioc, received);
    BOOST_TEST(received.ec == error_code());
    BOOST_TEST(received.bytes == 4u);
}

// Which datagram sockets have none of; who waits for it is woken by errors, too.
BOOST_AUTO_TEST_CASE(queue_of_errors_that_nobody_reads_does_not_keep_a_receive_of_urgent_data_busy)
{
    using udp_socket = net::basic_datagram_socket<udp, safer_ring::executor>;
    handler_checks checks;
    watched_context w;
    udp_socket receiver(w.ioc, udp::v4());
    const udp::endpoint nobody =
        udp_socket(w.ioc, udp::endpoint(net::ip::address_v4::loopback(), 0)).local_endpoint();
    receiver.connect(nobody);
    const int on = 1;
    BOOST_REQUIRE(::setsockopt(receiver.native_handle(), IPPROTO_IP, IP_RECVERR, &on, sizeof on) ==
                  0);
    receiver.send(net::buffer("?", 1));
    BOOST_REQUIRE(test_support::wait_ready(receiver.native_handle(), POLLERR));
    error_code refused;
    receiver.receive(net::mutable_buffer(), 0, refused);
    BOOST_TEST(refused == net::error::connection_refused);
    std::array<char, 8> buffer{};
    io_result urgent;
    receiver.async_receive(net::buffer(buffer), udp_socket::message_out_of_band,
                           checks.into(urgent));
    BOOST_TEST(w.polls_of_turns() <= few);
    BOOST_TEST(!urgent.done);
    receiver.cancel();
    run_until_done(w.ioc, urgent);
    BOOST_TEST(urgent.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE(queue_of_errors_that_nobody_reads_does_not_keep_a_zero_copy_send_busy)
{
    handler_checks checks;
    watched_context w;
    auto [socket, peer] = test_support::connect_to_peer<kernel::socket>(w.ioc);
    // When they are sent, bytes leave a note in the queue of errors.
    const int notes = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
                      SOF_TIMESTAMPING_OPT_TSONLY | SOF_TIMESTAMPING_OPT_ID;
    BOOST_REQUIRE(::setsockopt(socket.native_handle(), SOL_SOCKET, SO_TIMESTAMPING, &notes,
                               sizeof notes) == 0);
    socket.non_blocking(true);
    // Given, they do not grow while the test waits for room.
    const int room = 65536;
    for (const int fd : {socket.native_handle(), peer.fd()})
        for (const int name : {SO_SNDBUF, SO_RCVBUF})
            BOOST_REQUIRE(::setsockopt(fd, SOL_SOCKET, name, &room, sizeof room) == 0);
    const std::string bytes = pattern(65536);
    std::string sent;
    for (error_code full; !full;)
        sent += bytes.substr(0, socket.write_some(net::buffer(bytes), full));
    pollfd queue{socket.native_handle(), 0, 0};
    BOOST_REQUIRE(::poll(&queue, 1, 0) == 1);
    BOOST_REQUIRE((queue.revents & POLLERR) != 0);

    test_support::owned_outcome<> last;
    safer_ring::async_send_zero_copy(socket, safer_ring::owned_buffer::copy_of("last"),
                                     checks.once(last.store()));
    BOOST_TEST(w.polls_of_turns() <= few);
    BOOST_TEST(!last.done);
    auto received = std::async(std::launch::async,
                               [&p = peer, size = sent.size() + 4] { return p.read(size); });
    w.ioc.restart();
    test_support::run_until(w.ioc, [&] { return last.done; });
    BOOST_TEST(last.ec == error_code());
    BOOST_TEST(last.size == 4U);
    BOOST_TEST((received.get() == sent + "last"));
}

// A poll of a socket that is not connected does not look at the one it sends to.
BOOST_AUTO_TEST_CASE(datagram_to_a_receiver_without_room_does_not_keep_a_processor_busy)
{
    handler_checks checks;
    watched_context w;
    local_datagram_socket from(w.ioc, local_datagram()), to(w.ioc, local_datagram());
    to.bind(local_datagram::endpoint(std::string("\0safer_ring polls", 17) +
                                     std::to_string(::getpid())));
    from.non_blocking(true);
    unsigned sent = 0;
    for (error_code full; !full; sent += full ? 0 : 1)
        from.send_to(net::buffer("text", 4), to.local_endpoint(), 0, full);
    io_result last;
    from.async_send_to(net::buffer("last", 4), to.local_endpoint(), checks.into(last));
    w.expect_few_polls();
    BOOST_TEST(!last.done);
    std::array<char, 8> bytes{};
    BOOST_TEST(to.receive(net::buffer(bytes)) == 4u);
    w.ioc.restart();
    run_until_done(w.ioc, last);
    BOOST_TEST(last.ec == error_code());
    for (; sent != 0; --sent)
        BOOST_TEST(to.receive(net::buffer(bytes)) == 4u);
    BOOST_TEST(std::string(bytes.data(), 4) == "last");
}

struct shut_down {
    explicit shut_down(context& ioc)
        : socket(ioc, udp::endpoint(net::ip::address_v4::loopback(), 0))
    {
        socket.connect(socket.local_endpoint());
        socket.async_wait(socket.wait_error, checks.into(waited));
        ioc.poll();
        socket.cancel(); // It has been waited for errors here, whatever came of it.
        socket.async_receive(net::buffer(bytes), checks.into(received));
        socket.shutdown(socket.shutdown_both);
    }

    handler_checks checks;
    net::basic_datagram_socket<udp, safer_ring::executor> socket;
    std::array<char, 8> bytes{};
    io_result waited, received;
};

BOOST_AUTO_TEST_CASE(receives_of_datagram_sockets_that_were_shut_down_do_not_either)
{
    for (const bool end_by_close : {false, true}) {
        watched_context w;
        shut_down first(w.ioc), second(w.ioc);
        w.expect_few_polls();
        for (shut_down* each : {&first, &second}) {
            BOOST_TEST(!each->received.done);
            if (end_by_close)
                each->socket.close();
            else
                each->socket.cancel();
            w.ioc.restart();
            run_until_done(w.ioc, each->received);
            BOOST_TEST(each->received.ec == net::error::operation_aborted);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
