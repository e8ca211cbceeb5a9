// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/blocking_peer.hpp"
#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"
#include "support/socket_path.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// Local stream sockets and the protocols that are only known at run time.
namespace conformance {
namespace {

using local = net::local::stream_protocol;
using test_support::connect_to_peer;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;
using test_support::socket_path;

template <class Ctx>
using generic_socket_of = net::basic_stream_socket<net::generic::stream_protocol, executor_of<Ctx>>;

BOOST_AUTO_TEST_SUITE(local_sockets)

BOOST_AUTO_TEST_CASE_TEMPLATE(local_connect_accept_and_echo, Ctx, contexts)
{
    handler_checks checks;
    const socket_path path;
    Ctx ctx;
    local_acceptor_of<Ctx> acceptor(ctx, local::endpoint(path.string()));
    local_socket_of<Ctx> client(ctx), server(ctx);
    io_result accepted, connected, write, read;
    acceptor.async_accept(server, checks.into(accepted));
    client.async_connect(local::endpoint(path.string()), checks.into(connected));
    ctx.run();
    BOOST_TEST(accepted.ec == error_code());
    BOOST_TEST(connected.ec == error_code());
    BOOST_TEST((client.remote_endpoint() == local::endpoint(path.string())));
    std::array<char, 5> buffer{};
    net::async_write(client, net::buffer("hello", 5), checks.into(write));
    net::async_read(server, net::buffer(buffer), checks.into(read));
    ctx.restart();
    ctx.run();
    BOOST_TEST(read.bytes == 5u);
    BOOST_TEST(std::string(buffer.data(), 5) == "hello");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(local_accept_gives_sockets, Ctx, contexts)
{
    handler_checks checks;
    const socket_path path;
    Ctx ctx;
    Ctx other;
    local_acceptor_of<Ctx> acceptor(ctx, local::endpoint(path.string()));
    local_socket_of<Ctx> first(ctx), second(ctx), third(ctx);
    local::endpoint from;
    acceptor.async_accept(checks.once([&](error_code ec, local_socket_of<Ctx> socket) {
        BOOST_TEST(ec == error_code());
        BOOST_TEST(socket.is_open());
    }));
    acceptor.async_accept(other, from, checks.once([&](error_code ec, local_socket_of<Ctx> socket) {
        BOOST_TEST(ec == error_code());
        BOOST_TEST((socket.get_executor() == other.get_executor()));
    }));
    first.connect(local::endpoint(path.string()));
    second.connect(local::endpoint(path.string()));
    ctx.run();
    third.connect(local::endpoint(path.string()));
    BOOST_TEST(acceptor.accept().is_open());
}

/// Who connects, and may use the path, is who the thread is within the call (seteuid(2)).
BOOST_AUTO_TEST_CASE_TEMPLATE(local_connect_of_a_handler_begins_within_the_call, Ctx,
                              running_contexts)
{
    handler_checks checks;
    const socket_path path;
    Ctx ctx;
    local_acceptor_of<Ctx> acceptor(ctx, local::endpoint(path.string()));
    acceptor.native_non_blocking(true);
    local_socket_of<Ctx> client(ctx);
    io_result connected;
    net::post(ctx, checks.once([&] {
        client.async_connect(local::endpoint(path.string()), checks.into(connected));
        const test_support::unique_descriptor accepted(
            ::accept(acceptor.native_handle(), nullptr, nullptr));
        BOOST_TEST(accepted.get() >= 0);
    }));
    ctx.run();
    BOOST_TEST(connected.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(local_connect_without_a_listener_fails, Ctx, contexts)
{
    handler_checks checks;
    const socket_path nothing, deaf;
    Ctx ctx;
    local_socket_of<Ctx> bound(ctx);
    bound.open(local());
    bound.bind(local::endpoint(deaf.string()));
    local_socket_of<Ctx> first(ctx), second(ctx);
    io_result no_file, refused;
    first.async_connect(local::endpoint(nothing.string()), checks.into(no_file));
    second.async_connect(local::endpoint(deaf.string()), checks.into(refused));
    ctx.run();
    BOOST_TEST(no_file.ec == boost::system::errc::no_such_file_or_directory);
    BOOST_TEST(refused.ec == net::error::connection_refused);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(local_address_in_use_is_reported, Ctx, contexts)
{
    const socket_path path;
    Ctx ctx;
    local_acceptor_of<Ctx> acceptor(ctx, local::endpoint(path.string()));
    local_acceptor_of<Ctx> second(ctx, local());
    error_code ec;
    second.bind(local::endpoint(path.string()), ec);
    BOOST_TEST(ec == net::error::address_in_use);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(connect_pair_connects_two_sockets, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    local_socket_of<Ctx> first(ctx), second(ctx);
    net::local::connect_pair(first, second);
    const std::string sent(4 << 20, 'l');
    std::string got(sent.size(), '\0');
    io_result write, read;
    net::async_write(first, net::buffer(sent), checks.into(write));
    net::async_read(second, net::buffer(got), checks.into(read));
    ctx.run();
    BOOST_TEST(write.bytes == sent.size());
    BOOST_TEST((got == sent));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(local_end_of_stream_and_gone_peer, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<local_socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    io_result read, write;
    socket.async_read_some(net::buffer(buffer), checks.into(read));
    ctx.poll();
    peer.close();
    ctx.restart();
    ctx.run();
    socket.async_write_some(net::buffer("x", 1), checks.into(write));
    ctx.restart();
    ctx.run();
    BOOST_TEST(read.ec == net::error::eof);
    BOOST_TEST(write.ec == net::error::broken_pipe);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(local_operations_are_cancelled, Ctx, contexts)
{
    handler_checks checks;
    const socket_path path;
    Ctx ctx;
    local_acceptor_of<Ctx> acceptor(ctx, local::endpoint(path.string()));
    auto [socket, peer] = connect_to_peer<local_socket_of<Ctx>>(ctx);
    std::array<char, 8> buffer{};
    const std::string large(16 << 20, 'l');
    io_result read, write, accept;
    socket.async_read_some(net::buffer(buffer), checks.into(read));
    net::async_write(socket, net::buffer(large), checks.into(write));
    acceptor.async_accept(checks.into(accept));
    ctx.poll();
    BOOST_TEST(!write.done);
    acceptor.cancel();
    socket.close();
    ctx.restart();
    ctx.run();
    BOOST_TEST(read.ec == net::error::operation_aborted);
    BOOST_TEST(write.ec == net::error::operation_aborted);
    BOOST_TEST(accept.ec == net::error::operation_aborted);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(local_writes_followed_by_close_arrive, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<local_socket_of<Ctx>>(ctx);
    io_result results[3];
    for (auto& result : results)
        socket.async_write_some(net::buffer("part;", 5), checks.into(result));
    socket.close();
    BOOST_TEST(peer.read_to_end() == "part;part;part;");
    ctx.run();
    for (const auto& result : results)
        BOOST_TEST(result.ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(local_socket_is_converted_to_a_generic_one, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<local_socket_of<Ctx>>(ctx);
    generic_socket_of<Ctx> generic(std::move(socket));
    std::array<char, 4> buffer{};
    io_result read;
    net::async_read(generic, net::buffer(buffer), checks.into(read));
    peer.write("data");
    ctx.run();
    BOOST_TEST(read.bytes == 4u);
    BOOST_TEST(generic.local_endpoint().protocol().family() == AF_UNIX);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(tcp_socket_is_converted_with_its_pending_read, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    std::array<char, 4> buffer{};
    io_result read, write;
    socket.async_read_some(net::buffer(buffer), checks.into(read));
    ctx.poll();
    generic_socket_of<Ctx> generic(std::move(socket));
    BOOST_TEST(!socket.is_open());
    peer.write("data");
    run_until_done(ctx, read);
    BOOST_TEST(read.bytes == 4u);
    generic_socket_of<Ctx> assigned(ctx);
    assigned = std::move(generic);
    net::async_write(assigned, net::buffer("reply", 5), checks.into(write));
    run_until_done(ctx, write);
    BOOST_TEST(peer.read(5) == "reply");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(generic_socket_connects, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    generic_socket_of<Ctx> client(ctx);
    io_result connected;
    client.async_connect(acceptor.local_endpoint(), checks.into(connected));
    ctx.run();
    BOOST_TEST(connected.ec == error_code());
    BOOST_TEST(acceptor.accept().is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(accept_into_a_generic_socket, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    auto acceptor = loopback_acceptor(ctx);
    generic_socket_of<Ctx> server(ctx);
    io_result accepted;
    acceptor.async_accept(server, checks.into(accepted));
    const auto client = test_support::loopback_client(acceptor.local_endpoint().port());
    ctx.run();
    BOOST_TEST(accepted.ec == error_code());
    BOOST_TEST(server.is_open());
}

// Where nothing else goes on, a small send needs no turn of its context.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_send_that_is_alone_is_made_where_it_starts, Ctx, running_contexts)
{
    handler_checks checks;
    Ctx ctx;
    local_socket_of<Ctx> opened(ctx), idle(ctx), other(ctx);
    net::local::connect_pair(idle, other);
    auto [end, peer_end] = test_support::local_descriptor_pair();
    opened.assign(net::local::stream_protocol(), end.release());
    test_support::blocking_peer peer(std::move(peer_end));
    std::array<char, 1> byte{};
    io_result read, write;
    idle.async_read_some(net::buffer(byte), checks.into(read));
    for (int i = 0; i < 100; ++i)
        ctx.poll();
    opened.async_write_some(net::buffer("hello", 5), checks.into(write));
    BOOST_TEST(peer.read(5) == "hello");
    idle.cancel();
    ctx.run();
    BOOST_TEST(write.bytes == 5u);
    BOOST_TEST(read.ec == net::error::operation_aborted);
}

/// Linux counts the end of such a path, for which there is no room (unix(7), BUGS).
BOOST_AUTO_TEST_CASE_TEMPLATE(peer_whose_path_fills_the_address_is_told_and_can_be_answered, Ctx,
                              contexts)
{
    using datagram = net::local::datagram_protocol;
    handler_checks checks;
    const socket_path folder;
    sockaddr_un full{};
    full.sun_family = AF_UNIX;
    const std::string name =
        folder.string() + std::string(sizeof full.sun_path - folder.string().size(), 'x');
    std::memcpy(full.sun_path, name.data(), name.size());
    const test_support::unique_descriptor sender(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    BOOST_REQUIRE(::bind(sender.get(), reinterpret_cast<sockaddr*>(&full), sizeof full) == 0);

    const socket_path path;
    Ctx ctx;
    net::basic_datagram_socket<datagram, executor_of<Ctx>> socket(
        ctx, datagram::endpoint(path.string()));
    const datagram::endpoint to(path.string());
    BOOST_TEST(::sendto(sender.get(), "abc", 3, 0, reinterpret_cast<const sockaddr*>(to.data()),
                        static_cast<socklen_t>(to.size())) == 3);
    std::array<char, 8> buffer{};
    datagram::endpoint from("of another");
    io_result received;
    if constexpr (!is_ours<Ctx>) {
        const auto receive = [&] {
            socket.async_receive_from(net::buffer(buffer), from, [](error_code, std::size_t) {});
            ctx.run();
        };
        BOOST_CHECK_THROW(receive(), boost::system::system_error);
    } else {
        socket.async_receive_from(net::buffer(buffer), from, checks.into(received));
        run_until_done(ctx, received);
        BOOST_TEST(received.bytes == 3u);
        BOOST_TEST((from.path() == name));
        BOOST_TEST(socket.send_to(net::buffer("answer", 6), from) == 6u);
        BOOST_TEST(::recv(sender.get(), buffer.data(), buffer.size(), 0) == 6);
    }
    ::unlink(name.c_str());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
