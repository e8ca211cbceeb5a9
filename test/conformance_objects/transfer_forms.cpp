// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "any_operation.hpp"
#include "every_channel.hpp"

#include <boost/test/unit_test.hpp>

#include <functional>
#include <string>
#include <vector>

// The overloads by which sockets of every kind transfer bytes.
namespace conformance {
namespace {

using test_support::io_result;

/// One way to call it, which gives the number of bytes.
struct form {
    const char* name;
    std::function<std::size_t()> call;
};

/// A pair of sockets, and all the ways to write to one and to read the other.
template <class T>
struct sockets : fixture<T> {
    using socket_type = decltype(fixture<T>::c.reader);
    static constexpr bool addresses = has_addresses<socket_type>;
    static constexpr bool packets = has_packets<socket_type>;

    std::vector<form> gives, takes;
    net::const_buffer data{"data", 4};
    net::mutable_buffer room{net::buffer(this->buffer)};
    net::socket_base::message_flags received_flags = 0;
    error_code ec;
    typename socket_type::endpoint_type sender;

    sockets()
    {
        add_plain();
        if constexpr (addresses)
            add_with_addresses();
        else if constexpr (packets)
            add_packets();
        else
            add_streams();
    }

    template <class Start>
    std::size_t wait_for(Start start)
    {
        io_result result;
        start(any_handler(this->checks.into(result), this->ctx.get_executor()));
        test_support::run_until_done(this->ctx, result);
        ec = result.ec;
        return result.bytes;
    }

    /// With an error code that every call has to set.
    template <class Call>
    std::size_t with_error(Call call)
    {
        ec = test_support::garbage_error();
        return call();
    }

    void add_plain()
    {
        auto& from = this->c.reader;
        auto& to = this->c.writer;
        gives = {
            {"send(b, flags)", [&] { return to.send(data, 0); }},
            {"send(b, flags, ec)",
             [&] { return with_error([&] { return to.send(data, 0, ec); }); }},
            {"async_send(b, flags)",
             [&] {
                 return wait_for([&](any_handler h) { to.async_send(data, 0, std::move(h)); });
             }},
        };
        if constexpr (!packets) {
            gives.push_back({"send(b)", [&] { return to.send(data); }});
            gives.push_back({"async_send(b)", [&] {
                                 return wait_for(
                                     [&](any_handler h) { to.async_send(data, std::move(h)); });
                             }});
            takes = {
                {"receive(b)", [&] { return from.receive(room); }},
                {"receive(b, flags)", [&] { return from.receive(room, 0); }},
                {"receive(b, flags, ec)",
                 [&] { return with_error([&] { return from.receive(room, 0, ec); }); }},
                {"async_receive(b)",
                 [&] {
                     return wait_for(
                         [&](any_handler h) { from.async_receive(room, std::move(h)); });
                 }},
                {"async_receive(b, flags)",
                 [&] {
                     return wait_for(
                         [&](any_handler h) { from.async_receive(room, 0, std::move(h)); });
                 }},
            };
        }
    }

    void add_streams()
    {
        auto& from = this->c.reader;
        auto& to = this->c.writer;
        const form more_gives[] = {
            {"write_some(b)", [&] { return to.write_some(data); }},
            {"write_some(b, ec)",
             [&] { return with_error([&] { return to.write_some(data, ec); }); }},
            {"async_write_some(b)",
             [&] {
                 return wait_for([&](any_handler h) { to.async_write_some(data, std::move(h)); });
             }},
        };
        const form more_takes[] = {
            {"read_some(b)", [&] { return from.read_some(room); }},
            {"read_some(b, ec)",
             [&] { return with_error([&] { return from.read_some(room, ec); }); }},
            {"async_read_some(b)",
             [&] {
                 return wait_for([&](any_handler h) { from.async_read_some(room, std::move(h)); });
             }},
        };
        gives.insert(gives.end(), std::begin(more_gives), std::end(more_gives));
        takes.insert(takes.end(), std::begin(more_takes), std::end(more_takes));
    }

    void add_packets()
    {
        auto& from = this->c.reader;
        auto& flags = received_flags;
        takes = {
            {"receive(b, flags&)", [&] { return from.receive(room, flags); }},
            {"receive(b, flags, flags&)", [&] { return from.receive(room, 0, flags); }},
            {"receive(b, flags, flags&, ec)",
             [&] { return with_error([&] { return from.receive(room, 0, flags, ec); }); }},
            {"async_receive(b, flags&)",
             [&] {
                 return wait_for(
                     [&](any_handler h) { from.async_receive(room, flags, std::move(h)); });
             }},
            {"async_receive(b, flags, flags&)",
             [&] {
                 return wait_for(
                     [&](any_handler h) { from.async_receive(room, 0, flags, std::move(h)); });
             }},
        };
    }

    void add_with_addresses()
    {
        auto& from = this->c.reader;
        auto& to = this->c.writer;
        give_an_address(from);
        const auto address = from.local_endpoint();
        const form more_gives[] = {
            {"send_to(b, e)", [&to, address, this] { return to.send_to(data, address); }},
            {"send_to(b, e, flags)", [&to, address, this] { return to.send_to(data, address, 0); }},
            {"send_to(b, e, flags, ec)",
             [&to, address, this] {
                 return with_error([&] { return to.send_to(data, address, 0, ec); });
             }},
            {"async_send_to(b, e)",
             [&to, address, this] {
                 return wait_for(
                     [&](any_handler h) { to.async_send_to(data, address, std::move(h)); });
             }},
            {"async_send_to(b, e, flags)",
             [&to, address, this] {
                 return wait_for(
                     [&](any_handler h) { to.async_send_to(data, address, 0, std::move(h)); });
             }},
        };
        const form more_takes[] = {
            {"receive_from(b, e)", [&] { return from.receive_from(room, sender); }},
            {"receive_from(b, e, flags)", [&] { return from.receive_from(room, sender, 0); }},
            {"receive_from(b, e, flags, ec)",
             [&] { return with_error([&] { return from.receive_from(room, sender, 0, ec); }); }},
            {"async_receive_from(b, e)",
             [&] {
                 return wait_for(
                     [&](any_handler h) { from.async_receive_from(room, sender, std::move(h)); });
             }},
            {"async_receive_from(b, e, flags)",
             [&] {
                 return wait_for([&](any_handler h) {
                     from.async_receive_from(room, sender, 0, std::move(h));
                 });
             }},
        };
        gives.insert(gives.end(), std::begin(more_gives), std::end(more_gives));
        takes.insert(takes.end(), std::begin(more_takes), std::end(more_takes));
    }
};

using socket_channels =
    on_each<contexts, tcp_channel, local_channel, generic_stream_channel, udp_channel,
            local_datagram_channel, generic_datagram_channel, packet_channel, raw_channel>::type;

BOOST_AUTO_TEST_SUITE(transfer_forms)

BOOST_AUTO_TEST_CASE_TEMPLATE(each_is_received_by_each, T, socket_channels)
{
    sockets<T> s;
    for (const form& give : s.gives)
        for (const form& take : s.takes)
            BOOST_TEST_CONTEXT(give.name << ", " << take.name)
            {
                BOOST_TEST(give.call() == 4u);
                BOOST_TEST(s.ec == error_code());
                s.buffer.fill('.');
                BOOST_TEST(take.call() == 4u);
                BOOST_TEST(s.ec == error_code());
                BOOST_TEST(std::string(s.buffer.data(), 5) == "data.");
            }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(each_fails_when_closed, T, socket_channels)
{
    sockets<T> s;
    s.c.reader.close();
    s.c.writer.close();
    for (const auto* forms : {&s.gives, &s.takes})
        for (const form& f : *forms)
            BOOST_TEST_CONTEXT(f.name)
            {
                s.ec = error_code();
                std::size_t n = 0;
                try {
                    n = f.call();
                } catch (const boost::system::system_error& e) {
                    s.ec = e.code();
                }
                BOOST_TEST(n == 0u);
                BOOST_TEST(s.ec == net::error::bad_descriptor);
            }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
