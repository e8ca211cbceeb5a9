// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>
#include <vector>

// Sequences of what is no buffer of Asio's and converts to one.
namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

/// Converts to a mutable_buffer, and to nothing else.
struct to_mutable {
    operator net::mutable_buffer() const noexcept { return bytes; }
    net::mutable_buffer bytes;
};

/// To a const_buffer alone.
struct to_const {
    operator net::const_buffer() const noexcept { return bytes; }
    net::const_buffer bytes;
};

/// To both, which is enough to receive into it.
struct to_both {
    operator net::mutable_buffer() const noexcept { return bytes; }
    operator net::const_buffer() const noexcept { return bytes; }
    net::mutable_buffer bytes;
};

/// "data", in one element or in two.
template <class Element>
std::vector<Element> halves(std::string& text)
{
    return {{net::buffer(text.data(), 2)}, {net::buffer(text.data() + 2, 2)}};
}
template <class Element>
std::array<Element, 1> whole(std::string& text)
{
    return {Element{net::buffer(text)}};
}

/// Newer Asios take an element for a sequence.
template <class Element>
concept sequence_by_itself = requires(const Element& element)
{
    net::buffer_sequence_begin(element);
};

template <class Ctx>
struct transfers {
    /// Starts an operation and gives what it transferred.
    template <class Start>
    std::size_t wait_for(Start start)
    {
        io_result result;
        start(checks.into(result));
        ctx.restart();
        run_until_done(ctx, result);
        BOOST_TEST(result.ec == error_code());
        return result.bytes;
    }

    /// Sends the bytes of `text` in all ways, each of which `take` takes.
    template <class Element, class Send, class Take>
    void send_as(Send send, Take take)
    {
        std::string text = "data";
        for (const bool in_halves : {true, false}) {
            const std::size_t n =
                in_halves ? send(halves<Element>(text)) : send(whole<Element>(text));
            BOOST_TEST(n == 4U);
            BOOST_TEST(take() == "data");
        }
        if constexpr (sequence_by_itself<Element>) {
            BOOST_TEST(send(Element{net::buffer(text)}) == 4U);
            BOOST_TEST(take() == "data");
        }
    }

    /// Receives what `give` gives in all ways.
    template <class Element, class Receive, class Give>
    void receive_as(Receive receive, Give give)
    {
        for (const bool in_halves : {true, false}) {
            std::string text = "....";
            give("data");
            const std::size_t n =
                in_halves ? receive(halves<Element>(text)) : receive(whole<Element>(text));
            BOOST_TEST(n == 4U);
            BOOST_TEST(text == "data");
        }
        if constexpr (sequence_by_itself<Element>) {
            std::string text = "....";
            give("data");
            BOOST_TEST(receive(Element{net::buffer(text)}) == 4U);
            BOOST_TEST(text == "data");
        }
    }

    handler_checks checks;
    Ctx ctx;
};

/// Of any socket, by the calls that all of them have.
template <class Ctx, class Socket>
struct socket_transfers : transfers<Ctx> {
    socket_transfers() { net::local::connect_pair(from, to); }

    std::string take()
    {
        std::string text(16, '.');
        text.resize(to.receive(net::buffer(text)));
        return text;
    }
    auto taken()
    {
        return [this] { return take(); };
    }
    auto given()
    {
        return [this](std::string_view text) { from.send(net::buffer(text)); };
    }

    template <class Element>
    void send()
    {
        this->template send_as<Element>([&](const auto& b) { return from.send(b); }, taken());
        this->template send_as<Element>(
            [&](const auto& b) {
                return this->wait_for([&](auto h) { from.async_send(b, std::move(h)); });
            },
            taken());
    }
    template <class Element>
    void receive()
    {
        this->template receive_as<Element>([&](const auto& b) { return to.receive(b); }, given());
        this->template receive_as<Element>(
            [&](const auto& b) {
                return this->wait_for([&](auto h) { to.async_receive(b, std::move(h)); });
            },
            given());
    }

    Socket from{this->ctx}, to{this->ctx};
};

BOOST_AUTO_TEST_SUITE(converting_buffers)

BOOST_AUTO_TEST_CASE_TEMPLATE(streams_take_what_converts_to_buffers, Ctx, contexts)
{
    socket_transfers<Ctx, local_socket_of<Ctx>> t;
    t.template send<to_mutable>();
    t.template send<to_const>();
    t.template receive<to_mutable>();
    t.template receive<to_both>();
    t.template send_as<to_mutable>(
        [&](const auto& b) {
            return t.wait_for([&](auto h) { t.from.async_write_some(b, std::move(h)); });
        },
        t.taken());
    t.template receive_as<to_mutable>(
        [&](const auto& b) {
            return t.wait_for([&](auto h) { t.to.async_read_some(b, std::move(h)); });
        },
        t.given());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(datagrams_take_what_converts_to_buffers, Ctx, contexts)
{
    using protocol = net::local::datagram_protocol;
    socket_transfers<Ctx, net::basic_datagram_socket<protocol, executor_of<Ctx>>> t;
    t.template send<to_mutable>();
    t.template send<to_const>();
    t.template receive<to_mutable>();
    t.template receive<to_both>();
    protocol::endpoint sender;
    t.template receive_as<to_mutable>([&](const auto& b) { return t.to.receive_from(b, sender); },
                                      t.given());
    t.template receive_as<to_mutable>(
        [&](const auto& b) {
            return t.wait_for([&](auto h) { t.to.async_receive_from(b, sender, std::move(h)); });
        },
        t.given());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pipes_take_what_converts_to_buffers, Ctx, contexts)
{
    transfers<Ctx> t;
    auto [reader_fd, writer_fd] = test_support::pipe_descriptor_pair();
    net::posix::basic_stream_descriptor<executor_of<Ctx>> reader(t.ctx, reader_fd.release()),
        writer(t.ctx, writer_fd.release());
    const auto take = [&] {
        std::string text(16, '.');
        text.resize(reader.read_some(net::buffer(text)));
        return text;
    };
    const auto give = [&](std::string_view text) { writer.write_some(net::buffer(text)); };
    const auto write = [&](const auto& b) {
        return t.wait_for([&](auto h) { writer.async_write_some(b, std::move(h)); });
    };
    const auto read = [&](const auto& b) {
        return t.wait_for([&](auto h) { reader.async_read_some(b, std::move(h)); });
    };
    t.template send_as<to_mutable>([&](const auto& b) { return writer.write_some(b); }, take);
    t.template send_as<to_mutable>(write, take);
    t.template send_as<to_const>(write, take);
    t.template receive_as<to_mutable>([&](const auto& b) { return reader.read_some(b); }, give);
    t.template receive_as<to_mutable>(read, give);
    t.template receive_as<to_both>(read, give);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
