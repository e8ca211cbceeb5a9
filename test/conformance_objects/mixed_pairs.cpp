// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "every_channel.hpp"

#include "support/socket_path.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>

// Conversations whose sides are on different contexts: each pair in both
// roles, a server and a client, with nothing between them but the kernel.
namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;

template <class Server, class Client, class Kind>
struct between {
    using server = Server;
    using client = Client;
    using kind = Kind;
};

/// A context against each of the others, in both roles, and two of its kind.
/// Asio with itself has nothing of ours.
template <class Server, class Kind, class... Client>
using mixed = decltype(std::tuple_cat(
    std::declval<std::conditional_t<
        std::is_same_v<Server, net::io_context> && std::is_same_v<Client, net::io_context>,
        std::tuple<>, std::tuple<between<Server, Client, Kind>>>>()...));

template <class Contexts, class... Kinds>
struct pairs_of;
template <class... Ctx, class... Kinds>
struct pairs_of<std::tuple<Ctx...>, Kinds...> {
    template <class Server>
    using with_kinds = decltype(std::tuple_cat(std::declval<mixed<Server, Kinds, Ctx...>>()...));
    using type = decltype(std::tuple_cat(std::declval<with_kinds<Ctx>>()...));
};

#if defined(SAFER_RING_DROP_IN)
/// Asio's own context, ours, and Asio's with ours attached.
using sides =
    decltype(std::tuple_cat(std::declval<std::tuple<net::io_context>>(), std::declval<contexts>()));
#else
using sides = contexts;
#endif

/// One side of two pipes that lead to and fro.
template <class Ctx>
class pipe_side {
public:
    using executor_type = executor_of<Ctx>;

    explicit pipe_side(Ctx& ctx) : from(ctx), to(ctx) {}

    executor_type get_executor() { return from.get_executor(); }

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token)
    {
        return from.async_read_some(buffers, std::forward<Token>(token));
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token)
    {
        return to.async_write_some(buffers, std::forward<Token>(token));
    }
    void close()
    {
        from.close();
        to.close();
    }

    readable_pipe_of<Ctx> from;
    writable_pipe_of<Ctx> to;
};

struct two_pipes_channel {
    template <class Ctx, class Other>
    static auto make(Ctx& ctx, Other& other)
    {
        channel<pipe_side<Ctx>, pipe_side<Other>> c{pipe_side<Ctx>(ctx), pipe_side<Other>(other)};
        net::connect_pipe(c.reader.from, c.writer.to);
        net::connect_pipe(c.writer.from, c.reader.to);
        return c;
    }
};

using connected_pairs =
    pairs_of<sides, tcp_channel, local_channel, generic_stream_channel, udp_channel,
             local_datagram_channel, generic_datagram_channel, packet_channel, raw_channel,
             two_pipes_channel, serial_channel>::type;

// Those that keep no bounds, and those whose end is an event.
using stream_pairs = pairs_of<sides, tcp_channel, local_channel, generic_stream_channel,
                              two_pipes_channel, serial_channel>::type;
using ending_pairs = pairs_of<sides, tcp_channel, local_channel, generic_stream_channel,
                              packet_channel, two_pipes_channel>::type;

/// The other side of a line does not end it, but hangs it up, which may be read
/// as an end or, while it is being done, as EIO (Linux: pty.c, n_tty.c).
template <class T>
inline constexpr bool is_a_line = std::is_same_v<typename T::kind, serial_channel>;

/// Echoes what it receives until the stream ends or it is told to stop.
template <class Socket>
class echo {
public:
    echo(Socket& socket, std::size_t rounds) : socket_(socket), rounds_(rounds) { receive(); }

    error_code ec() const { return ec_; }

private:
    void receive()
    {
        async_take(socket_, net::buffer(memory_), [this](error_code ec, std::size_t n) {
            ec_ = ec;
            if (!ec)
                send(n);
        });
    }
    void send(std::size_t n)
    {
        const auto sent = [this](error_code ec, std::size_t) {
            ec_ = ec;
            if (!ec && --rounds_ != 0)
                receive();
        };
        if constexpr (has_messages<Socket>)
            async_give(socket_, net::buffer(memory_, n), sent);
        else
            net::async_write(socket_, net::buffer(memory_, n), sent);
    }

    Socket& socket_;
    std::size_t rounds_;
    error_code ec_;
    std::array<char, 16'384> memory_{};
};

/// Sends texts of growing length and expects each of them back.
template <class Socket>
class questioner {
public:
    questioner(Socket& socket, std::size_t rounds) : socket_(socket), rounds_(rounds) { ask(); }

    error_code ec() const { return ec_; }
    std::size_t answered() const { return answered_; }

private:
    void ask()
    {
        text_ = pattern(1 + 97 * answered_);
        answer_.assign(text_.size(), '.');
        const auto sent = [this](error_code ec, std::size_t) {
            ec_ = ec;
            if (!ec)
                listen();
        };
        if constexpr (has_messages<Socket>)
            async_give(socket_, net::buffer(text_), sent);
        else
            net::async_write(socket_, net::buffer(text_), sent);
    }
    void listen()
    {
        const auto received = [this](error_code ec, std::size_t) {
            ec_ = ec;
            if (!ec && answer_ == text_ && ++answered_ != rounds_)
                ask();
        };
        if constexpr (has_messages<Socket>)
            async_take(socket_, net::buffer(answer_), received);
        else
            net::async_read(socket_, net::buffer(answer_), received);
    }

    Socket& socket_;
    std::size_t rounds_;
    std::size_t answered_ = 0;
    error_code ec_;
    std::string text_;
    std::string answer_;
};

/// A stream keeps no bounds, so that its echo may take more turns.
template <class Socket>
std::size_t turns(std::size_t rounds)
{
    return has_messages<Socket> ? rounds : ~std::size_t{0};
}

/// What the server is told when the client has gone.
template <class T>
void expect_end(const error_code& ec)
{
    if constexpr (is_a_line<T>)
        BOOST_TEST((ec == net::error::eof || ec == boost::system::errc::io_error));
    else
        BOOST_TEST(ec == net::error::eof);
}

BOOST_AUTO_TEST_SUITE(mixed_pairs)

BOOST_AUTO_TEST_CASE_TEMPLATE(contexts_talk_to_each_other, T, connected_pairs)
{
    constexpr std::size_t rounds = 100;
    typename T::server here;
    typename T::client there;
    auto c = T::kind::make(here, there);
    using server_type = decltype(c.reader);
    echo<server_type> server(c.reader, turns<server_type>(rounds));
    test_support::running_context running(here);
    questioner client(c.writer, rounds);
    there.run();
    BOOST_TEST(client.ec() == error_code());
    BOOST_TEST(client.answered() == rounds);
    if constexpr (!is_socket<server_type>)
        c.writer.close();
    else if constexpr (!has_messages<server_type>)
        c.writer.shutdown(net::socket_base::shutdown_send);
    running.join();
    if constexpr (has_messages<server_type>)
        BOOST_TEST(server.ec() == error_code());
    else
        expect_end<T>(server.ec());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(contexts_take_turns_in_one_thread, T, connected_pairs)
{
    constexpr std::size_t rounds = 20;
    typename T::server here;
    typename T::client there;
    auto c = T::kind::make(here, there);
    using server_type = decltype(c.reader);
    echo<server_type> server(c.reader, turns<server_type>(rounds));
    questioner client(c.writer, rounds);
    const auto deadline = std::chrono::steady_clock::now() + test_support::watchdog_time;
    while (client.answered() != rounds && std::chrono::steady_clock::now() < deadline) {
        here.restart();
        here.poll();
        there.restart();
        there.poll();
    }
    BOOST_TEST(client.answered() == rounds);
    c.writer.close();
    if constexpr (!has_messages<server_type>) {
        test_support::run_until(here, [&] { return server.ec().failed(); });
        expect_end<T>(server.ec());
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(much_data_goes_one_way, T, stream_pairs)
{
    handler_checks checks;
    typename T::server here;
    typename T::client there;
    auto c = T::kind::make(here, there);
    const std::string sent = pattern(3'000'000);
    std::string got(sent.size(), '.');
    io_result read, write;
    net::async_read(c.reader, net::buffer(got), checks.into(read));
    net::async_write(c.writer, net::buffer(sent), checks.into(write));
    test_support::running_context running(here);
    there.run();
    running.join();
    BOOST_TEST(write.bytes == sent.size());
    BOOST_TEST(read.bytes == sent.size());
    BOOST_TEST((got == sent));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_end_of_one_side_is_seen_by_the_other, T, ending_pairs)
{
    handler_checks checks;
    typename T::server here;
    typename T::client there;
    auto c = T::kind::make(here, there);
    using reader_type = decltype(c.reader);
    std::array<char, 8> buffer{};
    io_result write, read, end;
    async_give(c.writer, net::buffer("last", 4), checks.into(write));
    c.writer.close();
    there.run();
    BOOST_TEST(write.ec == error_code());
    async_take(c.reader, net::buffer(buffer), checks.into(read));
    async_take(c.reader, net::buffer(buffer), checks.into(end));
    here.run();
    BOOST_TEST(std::string(buffer.data(), read.bytes) == "last");
    BOOST_TEST(end.bytes == 0u);
    BOOST_TEST(end.ec == (has_packets<reader_type> ? error_code() : error_code(net::error::eof)));
}

// ---- accepting and connecting

using accepting_pairs = pairs_of<sides, tcp_channel, local_channel>::type;

BOOST_AUTO_TEST_CASE_TEMPLATE(servers_accept_clients_of_the_other_context, T, accepting_pairs)
{
    using protocol = std::decay_t<decltype(T::kind::protocol())>;
    using acceptor_type = net::basic_socket_acceptor<protocol, executor_of<typename T::server>>;
    using server_type = net::basic_stream_socket<protocol, executor_of<typename T::server>>;
    using client_type = net::basic_stream_socket<protocol, executor_of<typename T::client>>;
    constexpr std::size_t clients = 10;
    constexpr std::size_t rounds = 10;
    handler_checks checks;
    const test_support::socket_path path;
    typename protocol::endpoint endpoint;
    if constexpr (std::is_same_v<protocol, tcp>)
        endpoint = typename protocol::endpoint(net::ip::address_v4::loopback(), 0);
    else
        endpoint = typename protocol::endpoint(path.string());

    typename T::server here;
    typename T::client there;
    acceptor_type acceptor(here, endpoint);
    std::deque<server_type> accepted;
    std::deque<echo<server_type>> echoes;
    // Checks are for the thread of the test.
    error_code accept_error, connect_error;
    std::function<void()> accept = [&] {
        acceptor.async_accept([&](error_code ec, server_type peer) {
            if (ec) {
                accept_error = ec;
                return;
            }
            accepted.push_back(std::move(peer));
            echoes.emplace_back(accepted.back(), ~std::size_t{0});
            if (accepted.size() != clients)
                accept();
        });
    };
    accept();
    std::deque<client_type> sockets;
    std::deque<questioner<client_type>> questioners;
    for (std::size_t i = 0; i < clients; ++i) {
        client_type& socket = sockets.emplace_back(there);
        socket.async_connect(acceptor.local_endpoint(), checks.once([&](error_code ec) {
            if (ec)
                connect_error = ec;
            else
                questioners.emplace_back(socket, rounds);
        }));
    }
    test_support::running_context running(here);
    there.run();
    for (auto& socket : sockets)
        socket.close();
    running.join();
    BOOST_TEST(accept_error == error_code());
    BOOST_TEST(connect_error == error_code());
    BOOST_TEST(questioners.size() == clients);
    for (const auto& q : questioners)
        BOOST_TEST(q.answered() == rounds);
    for (const auto& e : echoes)
        BOOST_TEST(e.ec() == net::error::eof);
}

// ---- datagrams with addresses

using addressed_pairs = pairs_of<sides, udp_channel, local_datagram_channel>::type;

template <class Socket>
void answer_one(Socket& socket, std::array<char, 64>& memory,
                typename Socket::endpoint_type& sender, handler_checks& checks)
{
    socket.async_receive_from(
        net::buffer(memory), sender, checks.once([&](error_code ec, std::size_t n) {
            BOOST_TEST(ec == error_code());
            socket.async_send_to(
                net::buffer(memory, n), sender,
                checks.once([](error_code e, std::size_t) { BOOST_TEST(e == error_code()); }));
        }));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(datagrams_are_answered_to_their_senders, T, addressed_pairs)
{
    using protocol = std::decay_t<decltype(T::kind::protocol())>;
    using server_type = net::basic_datagram_socket<protocol, executor_of<typename T::server>>;
    using client_type = net::basic_datagram_socket<protocol, executor_of<typename T::client>>;
    handler_checks checks;
    const test_support::socket_path paths[2];
    typename protocol::endpoint endpoints[2];
    for (int i = 0; i < 2; ++i) {
        if constexpr (std::is_same_v<protocol, net::ip::udp>)
            endpoints[i] = typename protocol::endpoint(net::ip::address_v4::loopback(), 0);
        else
            endpoints[i] = typename protocol::endpoint(paths[i].string());
    }
    typename T::server here;
    typename T::client there;
    server_type server(here, endpoints[0]);
    client_type client(there, endpoints[1]);
    for (int i = 0; i < 5; ++i) {
        std::array<char, 64> memory{}, answer{};
        typename protocol::endpoint from_client, from_server;
        io_result sent, received;
        answer_one(server, memory, from_client, checks);
        const std::string text = "question " + std::to_string(i);
        client.async_send_to(net::buffer(text), server.local_endpoint(), checks.into(sent));
        client.async_receive_from(net::buffer(answer), from_server, checks.into(received));
        there.restart();
        test_support::run_until_done(there, sent);
        here.restart();
        here.run();
        there.restart();
        there.run();
        BOOST_TEST(received.ec == error_code());
        BOOST_TEST(std::string(answer.data(), received.bytes) == text);
        BOOST_TEST((from_server == server.local_endpoint()));
        BOOST_TEST((from_client == client.local_endpoint()));
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
