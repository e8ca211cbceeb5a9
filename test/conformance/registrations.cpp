// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/needs_io_uring.hpp"
#include "support/owned_outcome.hpp"
#include "support/run_until.hpp"
#include "support/skip.hpp"

#include <safer_ring/asio/accept_stream.hpp>
#include <safer_ring/asio/receive_stream.hpp>
#include <safer_ring/asio/registrations.hpp>
#include <safer_ring/asio/zero_copy.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

// What is registered with the ring of its context behaves as what is not.
namespace conformance {
namespace {

using safer_ring::register_file;
using test_support::connect_to_peer;
using test_support::connected_pair;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until;
using test_support::run_until_done;
using test_support::unique_descriptor;

template <class Ctx>
void need_registered_files(Ctx& ctx)
{
    if (!ring_of(ctx).features().registered_files)
        SAFER_RING_SKIP("the kernel registers no files");
}

template <class Ctx>
void run_again(Ctx& ctx)
{
    ctx.restart();
    ctx.run();
}

/// Lets what was started begin.
template <class Ctx>
void settle(Ctx& ctx)
{
    for (int i = 0; i != 3; ++i) {
        ctx.restart();
        ctx.poll();
    }
}

BOOST_AUTO_TEST_SUITE(registrations)

template <class Socket, class Ctx>
void check_that_registered_sockets_talk(Ctx& ctx)
{
    handler_checks checks;
    auto [near, far] = connected_pair<Socket>(ctx);
    register_file(near);
    register_file(far);
    io_result sent, received, readable, nothing;
    std::string bytes(16, '.');
    far.async_wait(net::socket_base::wait_read, checks.into(readable));
    far.async_receive(net::buffer(bytes), checks.into(received));
    settle(ctx);
    near.async_send(net::buffer("hello", 5), checks.into(sent));
    run_again(ctx);
    BOOST_TEST(readable.ec == error_code());
    BOOST_TEST(sent.bytes == 5U);
    BOOST_TEST(received.bytes == 5U);
    BOOST_TEST(bytes.substr(0, 5) == "hello");
    // The synchronous calls are as ever.
    near.send(net::buffer("again", 5));
    BOOST_TEST(far.receive(net::buffer(bytes)) == 5U);

    far.async_receive(net::buffer(bytes), checks.into(nothing));
    settle(ctx);
    far.cancel();
    run_again(ctx);
    BOOST_TEST(nothing.ec == net::error::operation_aborted);
    error_code ec = net::error::fault;
    BOOST_TEST(safer_ring::unregister_file(far, ec) == error_code());
    far.async_receive(net::buffer(bytes), checks.into(received));
    near.async_send(net::buffer("more", 4), checks.into(sent));
    run_again(ctx);
    BOOST_TEST(bytes.substr(0, 4) == "more");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(registered_sockets_send_receive_wait_and_cancel, Ctx, our_contexts)
{
    Ctx ctx;
    need_registered_files(ctx);
    check_that_registered_sockets_talk<socket_of<Ctx>>(ctx);
    check_that_registered_sockets_talk<local_socket_of<Ctx>>(ctx);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(registered_acceptor_accepts_and_a_registered_socket_connects, Ctx,
                              our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    need_registered_files(ctx);
    auto acceptor = loopback_acceptor(ctx);
    register_file(acceptor);
    socket_of<Ctx> server(ctx), client(ctx, tcp::v4());
    register_file(client);
    io_result accepted, connected;
    acceptor.async_accept(server, checks.into(accepted));
    client.async_connect(acceptor.local_endpoint(), checks.into(connected));
    ctx.run();
    BOOST_TEST(accepted.ec == error_code());
    BOOST_TEST(connected.ec == error_code());
    BOOST_TEST(server.remote_endpoint() == client.local_endpoint());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(port_is_free_when_a_registered_acceptor_is_closed, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    need_registered_files(ctx);
    for (const bool destroys : {false, true}) {
        auto first = std::make_optional(loopback_acceptor(ctx));
        const tcp::endpoint endpoint = first->local_endpoint();
        register_file(*first);
        socket_of<Ctx> server(ctx);
        io_result accepted;
        first->async_accept(server, checks.into(accepted));
        settle(ctx);
        if (destroys)
            first.reset();
        else
            first->close();
        acceptor_of<Ctx> second(ctx);
        second.open(tcp::v4());
        error_code ec;
        second.bind(endpoint, ec);
        BOOST_TEST(ec == error_code());
        second.listen(1, ec);
        BOOST_TEST(ec == error_code());
        run_again(ctx);
        BOOST_TEST(accepted.ec == net::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(peer_sees_the_end_when_a_registered_socket_is_closed, Ctx,
                              our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    need_registered_files(ctx);
    for (const bool destroys : {false, true}) {
        auto [made, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::optional<socket_of<Ctx>> socket(std::move(made));
        register_file(*socket);
        char byte = 0;
        io_result received;
        socket->async_receive(net::buffer(&byte, 1), checks.into(received));
        settle(ctx);
        if (destroys)
            socket.reset();
        else
            socket->close();
        // Blocks, with nobody to run the context.
        BOOST_TEST(peer.read(1).empty());
        run_again(ctx);
        BOOST_TEST(received.ec == net::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(registration_goes_with_the_socket_that_is_moved, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    need_registered_files(ctx);
    auto [first, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    register_file(first);
    std::string bytes(8, '.');
    io_result before, after;
    first.async_receive(net::buffer(bytes, 1), checks.into(before));
    settle(ctx);
    socket_of<Ctx> second(std::move(first));
    error_code ec;
    BOOST_TEST(safer_ring::unregister_file(first, ec) == net::error::bad_descriptor);
    peer.write("ab");
    run_again(ctx);
    BOOST_TEST(before.bytes == 1U);
    second.async_receive(net::buffer(bytes), checks.into(after));
    run_again(ctx);
    BOOST_TEST(bytes[0] == 'b');
    second.close();
    BOOST_TEST(peer.read(1).empty());
}

/// The next descriptor has the number of the last.
BOOST_AUTO_TEST_CASE_TEMPLATE(released_socket_works_on_and_the_object_takes_another, Ctx,
                              our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    need_registered_files(ctx);
    for (const bool registers_again : {false, true}) {
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        auto [other, other_peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        register_file(socket);
        std::string bytes(8, '.');
        io_result received, aborted;
        socket.async_receive(net::buffer(bytes), checks.into(aborted));
        settle(ctx);
        const unique_descriptor released(socket.release());
        peer.write("raw");
        BOOST_TEST(::recv(released.get(), bytes.data(), 3, 0) == 3);
        socket.assign(tcp::v4(), other.release());
        if (registers_again)
            register_file(socket);
        socket.async_receive(net::buffer(bytes), checks.into(received));
        other_peer.write("other");
        run_until_done(ctx, received);
        BOOST_TEST(bytes.substr(0, 5) == "other");
        run_again(ctx);
        BOOST_TEST(aborted.ec == net::error::operation_aborted);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(context_with_registered_objects_goes_while_they_wait, Ctx,
                              our_contexts)
{
    handler_checks checks;
    auto [first, second] = test_support::local_descriptor_pair();
    test_support::blocking_peer peer(std::move(second));
    std::array<char, 8> bytes{};
    {
        Ctx ctx;
        need_registered_files(ctx);
        local_socket_of<Ctx> socket(ctx, net::local::stream_protocol(), first.release());
        auto acceptor = loopback_acceptor(ctx);
        register_file(socket);
        register_file(acceptor);
        socket.async_receive(net::buffer(bytes), checks.never());
        acceptor.async_accept(checks.never());
        settle(ctx);
    }
    BOOST_TEST(peer.read(1).empty());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(registered_datagram_sockets_keep_messages_apart, Ctx, our_contexts)
{
    using udp = net::ip::udp;
    using datagram_socket = net::basic_datagram_socket<udp, executor_of<Ctx>>;
    handler_checks checks;
    Ctx ctx;
    need_registered_files(ctx);
    const udp::endpoint loopback(net::ip::address_v4::loopback(), 0);
    datagram_socket near(ctx, loopback), far(ctx, loopback);
    register_file(near);
    register_file(far);
    std::array<char, 8> first{}, second{};
    udp::endpoint from;
    io_result sent, sent_too, received, received_too;
    far.async_receive_from(net::buffer(first), from, checks.into(received));
    far.async_receive(net::buffer(second), checks.into(received_too));
    near.async_send_to(net::buffer("one", 3), far.local_endpoint(), checks.into(sent));
    near.async_send_to(net::buffer("three", 5), far.local_endpoint(), checks.into(sent_too));
    ctx.run();
    BOOST_TEST(received.bytes == 3U);
    BOOST_TEST(received_too.bytes == 5U);
    BOOST_TEST(from == near.local_endpoint());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(registered_pipes_and_descriptors_carry_bytes_and_end, Ctx,
                              our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    need_registered_files(ctx);
    net::basic_readable_pipe<executor_of<Ctx>> reader(ctx);
    net::basic_writable_pipe<executor_of<Ctx>> writer(ctx);
    net::connect_pipe(reader, writer);
    register_file(reader);
    register_file(writer);
    int ends[2];
    BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    net::posix::basic_stream_descriptor<executor_of<Ctx>> in(ctx, ends[0]), out(ctx, ends[1]);
    register_file(in);
    register_file(out);
    std::array<std::string, 2> bytes{std::string(3, '.'), std::string(3, '.')};
    std::array<io_result, 2> read, written, end;
    reader.async_read_some(net::buffer(bytes[0]), checks.into(read[0]));
    in.async_read_some(net::buffer(bytes[1]), checks.into(read[1]));
    settle(ctx);
    writer.async_write_some(net::buffer("abc", 3), checks.into(written[0]));
    out.async_write_some(net::buffer("def", 3), checks.into(written[1]));
    run_again(ctx);
    BOOST_TEST(bytes[0] + bytes[1] == "abcdef");
    reader.async_read_some(net::buffer(bytes[0]), checks.into(end[0]));
    in.async_read_some(net::buffer(bytes[1]), checks.into(end[1]));
    settle(ctx);
    writer.close();
    out.close();
    run_again(ctx);
    BOOST_TEST(end[0].ec == net::error::eof);
    BOOST_TEST(end[1].ec == net::error::eof);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(streams_of_registered_objects_give_their_items, Ctx, our_contexts)
{
    handler_checks checks;
    Ctx ctx;
    need_registered_files(ctx);
    auto acceptor = loopback_acceptor(ctx);
    register_file(acceptor);
    safer_ring::accept_stream<acceptor_of<Ctx>> arrivals(acceptor);
    std::optional<socket_of<Ctx>> server;
    arrivals.async_next(checks.once([&](error_code ec, socket_of<Ctx> s) {
        BOOST_TEST(ec == error_code());
        server.emplace(std::move(s));
    }));
    socket_of<Ctx> client(ctx);
    client.connect(acceptor.local_endpoint());
    run_until(ctx, [&] { return server.has_value(); });
    register_file(*server);
    safer_ring::receive_stream<socket_of<Ctx>> stream(*server);
    std::string text;
    stream.async_next(checks.once([&](error_code ec, safer_ring::owned_buffer bytes) {
        BOOST_TEST(ec == error_code());
        text = bytes.text();
    }));
    settle(ctx);
    client.send(net::buffer("hello", 5));
    run_until(ctx, [&] { return !text.empty(); });
    BOOST_TEST(text == "hello");
    server->close();
    acceptor.close();
    std::array<char, 1> byte;
    error_code ec;
    BOOST_TEST(client.receive(net::buffer(byte), 0, ec) == 0U);
    BOOST_TEST(ec == net::error::eof);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(registered_buffer_is_sent_without_a_copy_and_comes_back, Ctx,
                              our_contexts)
{
    handler_checks checks;
    safer_ring::buffer_pool pool(2, 4096);
    Ctx ctx;
    if (!ring_of(ctx).features().registered_buffers)
        SAFER_RING_SKIP("the kernel registers no buffers");
    safer_ring::registered_buffers registered = safer_ring::register_buffers(ring_of(ctx), pool);
    auto [near, far] = connected_pair<socket_of<Ctx>>(ctx);
    test_support::owned_outcome<> sent;
    auto buffer = pool.try_acquire();
    std::memset(buffer->data(), 's', buffer->size());
    async_send_zero_copy(near, std::move(*buffer), checks.once(sent.store()));
    std::string bytes(4096, '.');
    io_result received;
    net::async_read(far, net::buffer(bytes), checks.into(received));
    registered = safer_ring::registered_buffers(); // What is under way keeps it.
    ctx.run();
    BOOST_TEST(sent.size == 4096U);
    BOOST_TEST((bytes == std::string(4096, 's')));
    sent.buffer = safer_ring::owned_buffer();
    BOOST_TEST(pool.statistics().available == 2U);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(closed_object_and_one_of_asio_are_refused, Ctx, contexts)
{
    Ctx ctx;
    socket_of<Ctx> closed(ctx), open(ctx, tcp::v4());
    const error_code of_closed =
        is_ours<Ctx> ? net::error::bad_descriptor : net::error::operation_not_supported;
    error_code ec;
    BOOST_TEST(register_file(closed, ec) == of_closed);
    BOOST_TEST(ec == of_closed);
    BOOST_TEST(safer_ring::unregister_file(closed, ec) == of_closed);
    BOOST_CHECK_EXCEPTION(register_file(closed), boost::system::system_error,
                          [&](const auto& e) { return e.code() == of_closed; });
    BOOST_CHECK_EXCEPTION(safer_ring::unregister_file(closed), boost::system::system_error,
                          [&](const auto& e) { return e.code() == of_closed; });
    if (!is_ours<Ctx>)
        BOOST_TEST(register_file(open, ec) == net::error::operation_not_supported);
    else if (ring_of(ctx).features().registered_files)
        BOOST_TEST(register_file(open, ec) == error_code());
}

BOOST_AUTO_TEST_CASE(what_was_thrown_names_the_cause_once, *test_support::needs_io_uring)
{
    safer_ring::options settings;
    settings.registered_file_count = 1;
    safer_ring::io_context ctx(settings);
    if (!ctx.features().registered_files)
        SAFER_RING_SKIP("the kernel registers no files");
    tcp::socket::rebind_executor<safer_ring::executor>::other one(ctx, tcp::v4()),
        other(ctx, tcp::v4());
    register_file(one);
    const auto is_told_well = [](const boost::system::system_error& e) {
        const std::string text = e.what(), message = e.code().message();
        return e.code().value() == ENFILE &&
               text.find("registered_file_count") != std::string::npos &&
               text.find(message) == text.rfind(message) && text.find(message) != std::string::npos;
    };
    BOOST_CHECK_EXCEPTION(register_file(other), boost::system::system_error, is_told_well);
    safer_ring::unregister_file(one);
    register_file(other);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
