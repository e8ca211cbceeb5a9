// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "every_channel.hpp"

#include "support/awkward_buffers.hpp"
#include "support/lowered_limit.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <vector>

// What no program should do: operations of every object that transfers bytes,
// and of acceptors, on closed and on wrong descriptors, with memory that is
// not there, and with more of it than there can be.
namespace conformance {
namespace {

using test_support::byte_by_byte;
using test_support::huge_region;
using test_support::io_result;
using test_support::more_than_iov_max;

struct memory {
    net::mutable_buffer one;
    std::vector<net::mutable_buffer> several;
};

/// A channel, whose operations are made one after the other.
template <class T>
struct trial : fixture<T> {
    using fixture<T>::c;
    using fixture<T>::ctx;
    using reader_type = decltype(c.reader);
    using writer_type = decltype(c.writer);

    std::array<char, 64> small{};
    memory usable{net::buffer(small), {net::buffer(small, 4), net::buffer(small)}};
    bool fed = false; ///< Something is there for each read.

    template <class Start>
    io_result outcome(Start start)
    {
        io_result result;
        start(this->checks.into(result));
        test_support::run_until_done(ctx, result);
        return result;
    }

    template <class Start, class Call>
    void expect(const error_code& expected, const char* name, Start start, Call call)
    {
        BOOST_TEST_CONTEXT(name)
        {
            if (fed)
                give_message("there");
            const io_result result = outcome(start);
            BOOST_TEST(result.ec == expected);
            BOOST_TEST(result.bytes == 0u);
            error_code ec = test_support::garbage_error();
            if (fed)
                give_message("there");
            BOOST_TEST(call(ec) == 0u);
            BOOST_TEST(ec == expected);
        }
    }

    template <class Buffers>
    void expect_of_reads(const error_code& expected, const Buffers& buffers)
    {
        expect(
            expected, "receive or read",
            [&](auto handler) { async_take(c.reader, buffers, std::move(handler)); },
            [&](error_code& ec) { return take(c.reader, buffers, ec); });
        if constexpr (has_addresses<reader_type>) {
            typename reader_type::endpoint_type sender;
            expect(
                expected, "receive_from",
                [&](auto handler) {
                    c.reader.async_receive_from(buffers, sender, std::move(handler));
                },
                [&](error_code& ec) { return c.reader.receive_from(buffers, sender, 0, ec); });
        }
    }

    template <class Buffers>
    void expect_of_writes(const error_code& expected, const Buffers& buffers)
    {
        expect(
            expected, "send or write",
            [&](auto handler) { async_give(c.writer, buffers, std::move(handler)); },
            [&](error_code& ec) { return give(c.writer, buffers, ec); });
    }

    void expect_of_transfers(const error_code& expected, const memory& m)
    {
        expect_of_reads(expected, m.one);
        expect_of_reads(expected, m.several);
        expect_of_writes(expected, net::const_buffer(m.one));
        expect_of_writes(expected,
                         std::vector<net::const_buffer>(m.several.begin(), m.several.end()));
        if constexpr (has_addresses<writer_type>) {
            const typename writer_type::endpoint_type nobody;
            const net::const_buffer bytes(m.one);
            expect(
                expected, "send_to",
                [&](auto handler) { c.writer.async_send_to(bytes, nobody, std::move(handler)); },
                [&](error_code& ec) { return c.writer.send_to(bytes, nobody, 0, ec); });
        }
    }

    void expect_of_waits(const error_code& expected)
    {
        if constexpr (requires { reader_type::wait_read; }) {
            for (const auto what :
                 {reader_type::wait_read, reader_type::wait_write, reader_type::wait_error}) {
                const io_result result =
                    outcome([&](auto handler) { c.reader.async_wait(what, std::move(handler)); });
                BOOST_TEST(result.ec == expected);
            }
        }
    }

    void assign(int reader, int writer, error_code& ec)
    {
        if constexpr (is_socket<reader_type>) {
            c.reader.assign(T::kind::protocol(), reader, ec);
            if (!ec)
                c.writer.assign(T::kind::protocol(), writer, ec);
        } else {
            c.reader.assign(reader, ec);
            if (!ec)
                c.writer.assign(writer, ec);
        }
    }

    void close()
    {
        c.reader.close();
        c.writer.close();
    }

    void give_message(const char* text)
    {
        error_code ec;
        give(c.writer, net::buffer(text, std::char_traits<char>::length(text)), ec);
        BOOST_REQUIRE(ec == error_code());
    }
};

/// Calls that tell or change what a socket is.
template <class Socket>
void expect_of_queries(const error_code& expected, Socket& socket)
{
    using ec_type = error_code;
    net::socket_base::keep_alive option(true);
    net::socket_base::bytes_readable command;
    const struct {
        const char* name;
        std::function<void(ec_type&)> call;
    } calls[] = {
        {"local_endpoint", [&](ec_type& ec) { socket.local_endpoint(ec); }},
        {"set_option", [&](ec_type& ec) { socket.set_option(option, ec); }},
        {"get_option", [&](ec_type& ec) { socket.get_option(option, ec); }},
        {"io_control", [&](ec_type& ec) { socket.io_control(command, ec); }},
        {"non_blocking", [&](ec_type& ec) { socket.non_blocking(true, ec); }},
        {"native_non_blocking", [&](ec_type& ec) { socket.native_non_blocking(true, ec); }},
        {"bind", [&](ec_type& ec) { socket.bind(typename Socket::endpoint_type(), ec); }},
    };
    for (const auto& c : calls) {
        ec_type ec = test_support::garbage_error();
        c.call(ec);
        BOOST_TEST(ec == expected, c.name << ": " << ec.message());
    }
    if constexpr (requires(ec_type & ec) { socket.remote_endpoint(ec); }) {
        const struct {
            const char* name;
            std::function<void(ec_type&)> call;
        } more[] = {
            {"remote_endpoint", [&](ec_type& ec) { socket.remote_endpoint(ec); }},
            {"available", [&](ec_type& ec) { socket.available(ec); }},
            {"at_mark", [&](ec_type& ec) { socket.at_mark(ec); }},
            {"shutdown", [&](ec_type& ec) { socket.shutdown(Socket::shutdown_both, ec); }},
        };
        for (const auto& c : more) {
            ec_type ec = test_support::garbage_error();
            c.call(ec);
            BOOST_TEST(ec == expected, c.name << ": " << ec.message());
        }
    }
}

/// Of addresses, not enough for another 2 GiB.
rlim_t little_more_than_now()
{
    unsigned long pages = 0;
    if (std::FILE* const file = std::fopen("/proc/self/statm", "r"); file != nullptr) {
        BOOST_REQUIRE(std::fscanf(file, "%lu", &pages) == 1);
        std::fclose(file);
    }
    return pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + (rlim_t{1} << 30);
}

/// The kernel drops messages that it cannot store, and what terminals read.
template <class T>
inline constexpr bool drops_what_it_cannot_store =
    has_messages<typename trial<T>::reader_type> ||
    std::is_same_v<typename T::kind, serial_channel> ||
    std::is_same_v<typename T::kind, serial_write_channel>;

constexpr int no_descriptors[] = {-1, -5, 99'999};

BOOST_AUTO_TEST_SUITE(bad_input)

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_of_a_closed_object_fail, T, every_channel)
{
    trial<T> t;
    t.close();
    t.expect_of_transfers(net::error::bad_descriptor, t.usable);
    t.expect_of_waits(net::error::bad_descriptor);
    if constexpr (is_socket<decltype(t.c.reader)>)
        expect_of_queries(net::error::bad_descriptor, t.c.reader);
    // A null pointer changes nothing.
    const memory missing{net::mutable_buffer(nullptr, 8), {net::mutable_buffer(nullptr, 8)}};
    t.expect_of_transfers(net::error::bad_descriptor, missing);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operations_on_a_descriptor_that_was_closed_elsewhere_fail, T,
                              every_channel)
{
    if constexpr (!is_ours<typename T::context> && BOOST_ASIO_VERSION >= 103200)
        SAFER_RING_SKIP("Asio from Boost 1.86 on no longer asks the descriptor first, and waits "
                        "for good");
    trial<T> t;
    for (const int fd : {t.c.reader.native_handle(), t.c.writer.native_handle()})
        BOOST_REQUIRE(::close(fd) == 0);
    t.expect_of_transfers(net::error::bad_descriptor, t.usable);
    t.expect_of_waits(net::error::bad_descriptor);
    if constexpr (is_socket<decltype(t.c.reader)>)
        expect_of_queries(net::error::bad_descriptor, t.c.reader);
    error_code ec;
    t.c.reader.close(ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    BOOST_TEST(!t.c.reader.is_open());
    t.c.writer.close(ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cancel_ends_a_read_whose_descriptor_was_closed_elsewhere, T,
                              every_channel)
{
    trial<T> t;
    const int kept = ::dup(t.c.reader.native_handle());
    io_result read;
    async_take(t.c.reader, t.usable.one, t.checks.into(read));
    t.settle();
    BOOST_REQUIRE(::close(t.c.reader.native_handle()) == 0);
    t.settle();
    BOOST_TEST(!read.done);
    t.c.reader.cancel();
    t.run(read);
    BOOST_TEST(read.ec == net::error::operation_aborted);
    error_code ec;
    t.c.reader.close(ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    ::close(kept);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(numbers_that_are_no_descriptors_are_not_taken, T, every_channel)
{
    trial<T> t;
    t.close();
    for (const int number : no_descriptors) {
        error_code ec;
        t.assign(number, number, ec);
        BOOST_TEST(ec == net::error::bad_descriptor);
        BOOST_TEST(!t.c.reader.is_open());
    }
}

// Behind a transfer of a stream that failed, Asio waits for readiness that is there already: each
// is made on a channel of its own.

BOOST_AUTO_TEST_CASE_TEMPLATE(socket_of_a_descriptor_that_is_none_says_so, T, every_channel)
{
    trial<T> t;
    if constexpr (is_socket<decltype(t.c.reader)>) {
        auto [reader, writer] = pipe_descriptor_pair();
        t.close();
        error_code ec;
        t.assign(reader.release(), writer.release(), ec);
        BOOST_TEST(ec == error_code());
        if constexpr (has_messages<decltype(t.c.reader)>)
            t.expect_of_transfers(net::error::not_socket, t.usable);
        else
            t.expect_of_reads(net::error::not_socket, t.usable.one);
        t.expect_of_writes(net::error::not_socket, net::const_buffer(t.usable.one));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(writes_without_memory_give_a_bad_address, T, every_channel)
{
    const std::string large(300'000, 'x');
    const net::const_buffer missing(nullptr, 8);
    trial<T>().expect_of_writes(net::error::fault, missing);
    const std::vector<net::const_buffer> sequences[] = {
        {missing, missing}, {net::buffer("x", 1), missing}, {missing, net::buffer(large)}};
    for (const auto& buffers : sequences) {
        trial<T> t;
        if (net::buffer_size(buffers) < large.size() || !has_messages<decltype(t.c.writer)>)
            t.expect_of_writes(net::error::fault, buffers);
        // Nothing of it was written.
        error_code ec;
        t.give_message("next");
        BOOST_TEST(take(t.c.reader, t.usable.one, ec) == 4u);
        BOOST_TEST(std::string(t.small.data(), 4) == "next");
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(reads_without_memory_give_a_bad_address, T, every_channel)
{
    const net::mutable_buffer missing(nullptr, 8);
    const auto check = [](const auto& buffers) {
        trial<T> t;
        t.fed = true;
        t.expect_of_reads(net::error::fault, buffers);
        if constexpr (drops_what_it_cannot_store<T>)
            return;
        error_code ec;
        BOOST_TEST(take(t.c.reader, net::buffer(t.small, 5), ec) == 5u);
        BOOST_TEST(std::string(t.small.data(), 5) == "there");
    };
    check(missing);
    check(std::vector<net::mutable_buffer>{missing, missing});
}

BOOST_AUTO_TEST_CASE_TEMPLATE(read_that_waits_without_memory_gives_a_bad_address, T, every_channel)
{
    trial<T> t;
    io_result read;
    async_take(t.c.reader, net::mutable_buffer(nullptr, 8), t.checks.into(read));
    t.settle();
    t.give_message("one");
    t.run(read);
    BOOST_TEST(read.ec == net::error::fault);
    BOOST_TEST(read.bytes == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(two_gibibytes_are_transferred_as_far_as_they_go, T, every_channel)
{
    const huge_region huge;
    trial<T> t;
    const test_support::lowered_limit limit(RLIMIT_AS, little_more_than_now());
    const std::array<net::mutable_buffer, 2> twice{huge.buffer(), huge.buffer()};
    t.give_message("one");
    t.give_message("two");
    std::size_t got = 0;
    for (int i = 0; got < 6 && i < 2; ++i) {
        const io_result read = t.outcome([&](auto handler) {
            if (i == 0)
                async_take(t.c.reader, huge.buffer(), std::move(handler));
            else
                async_take(t.c.reader, twice, std::move(handler));
        });
        BOOST_TEST(read.ec == error_code());
        got += read.bytes;
    }
    BOOST_TEST(got == 6u);
    const auto* const text = static_cast<const char*>(huge.buffer().data());
    BOOST_TEST((text[0] == 'o' || text[0] == 't'));

    const io_result written = t.outcome([&](auto handler) {
        async_give(t.c.writer, net::const_buffer(huge.buffer()), std::move(handler));
    });
    if constexpr (has_messages<decltype(t.c.writer)>) {
        BOOST_TEST(written.ec == net::error::message_size);
    } else {
        BOOST_TEST(written.ec == error_code());
        BOOST_TEST(written.bytes > 0u);
        BOOST_TEST(written.bytes < huge_region::size_bytes);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(more_buffers_than_the_kernel_takes_are_used_in_part, T, every_channel)
{
    trial<T> t;
    const std::string out = pattern(more_than_iov_max);
    std::string in(out.size(), '.');
    const auto from = byte_by_byte(out);
    const auto to = byte_by_byte(in);
    const io_result written =
        t.outcome([&](auto handler) { async_give(t.c.writer, from, std::move(handler)); });
    BOOST_TEST(written.ec == error_code());
    BOOST_TEST(written.bytes == 64u);
    const io_result read =
        t.outcome([&](auto handler) { async_take(t.c.reader, to, std::move(handler)); });
    BOOST_TEST(read.ec == error_code());
    BOOST_TEST(read.bytes == 64u);
    BOOST_TEST(in.substr(0, 64) == out.substr(0, 64));

    error_code ec;
    BOOST_TEST(give(t.c.writer, from, ec) == 64u);
    BOOST_TEST(ec == error_code());
    BOOST_TEST(take(t.c.reader, to, ec) == 64u);
    BOOST_TEST(ec == error_code());
}

// ---- acceptors

template <class Acceptor>
struct acceptor_of_kind {
    template <class Ctx>
    using socket =
        typename Acceptor::protocol_type::socket::template rebind_executor<executor_of<Ctx>>::other;
};

template <class Acceptor, class Ctx>
void expect_of_accepts(const error_code& expected, Acceptor& acceptor, Ctx& ctx)
{
    test_support::handler_checks checks;
    typename acceptor_of_kind<Acceptor>::template socket<Ctx> peer(ctx);
    typename Acceptor::endpoint_type from;
    io_result into, with_endpoint, fresh, fresh_with_endpoint, wait;
    acceptor.async_accept(peer, checks.into(into));
    test_support::run_until_done(ctx, into);
    acceptor.async_accept(peer, from, checks.into(with_endpoint));
    acceptor.async_accept(checks.into(fresh));
    acceptor.async_accept(from, checks.into(fresh_with_endpoint));
    for (const io_result* r : {&into, &with_endpoint, &fresh, &fresh_with_endpoint}) {
        test_support::run_until_done(ctx, *r);
        BOOST_TEST(r->ec == expected);
    }
    error_code ec;
    acceptor.accept(peer, ec);
    BOOST_TEST(ec == expected);
    acceptor.accept(peer, from, ec);
    BOOST_TEST(ec == expected);
    BOOST_TEST(!acceptor.accept(ec).is_open());
    BOOST_TEST(ec == expected);
    acceptor.listen(1, ec);
    BOOST_TEST(ec == expected);
}

template <class Ctx, class Protocol>
void acceptors_refuse_bad_descriptors(const Protocol& protocol)
{
    using acceptor_type = net::basic_socket_acceptor<Protocol, executor_of<Ctx>>;
    Ctx ctx;
    acceptor_type acceptor(ctx, protocol);
    acceptor.close();
    expect_of_accepts(net::error::bad_descriptor, acceptor, ctx);
    expect_of_queries(net::error::bad_descriptor, acceptor);
    error_code ec;
    for (const int number : no_descriptors) {
        acceptor.assign(protocol, number, ec);
        BOOST_TEST(ec == net::error::bad_descriptor);
        BOOST_TEST(!acceptor.is_open());
    }
    acceptor.open(protocol);
    BOOST_REQUIRE(::close(acceptor.native_handle()) == 0);
    expect_of_accepts(net::error::bad_descriptor, acceptor, ctx);
    expect_of_queries(net::error::bad_descriptor, acceptor);
    acceptor.close(ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    auto [reader, writer] = pipe_descriptor_pair();
    acceptor.assign(protocol, reader.release(), ec);
    BOOST_TEST(ec == error_code());
    expect_of_accepts(net::error::not_socket, acceptor, ctx);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(acceptors_of_bad_descriptors_fail, Ctx, contexts)
{
    acceptors_refuse_bad_descriptors<Ctx>(tcp::v4());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(local_acceptors_of_bad_descriptors_fail, Ctx, contexts)
{
    acceptors_refuse_bad_descriptors<Ctx>(net::local::stream_protocol());
}

// ---- connecting, and the settings of serial ports

BOOST_AUTO_TEST_CASE_TEMPLATE(connecting_a_descriptor_that_is_no_socket_fails, Ctx, contexts)
{
    test_support::handler_checks checks;
    Ctx ctx;
    const tcp::endpoint nobody(net::ip::address_v4::loopback(), 9);
    socket_of<Ctx> socket(ctx);
    auto [reader, writer] = pipe_descriptor_pair();
    socket.assign(tcp::v4(), reader.release());
    io_result result;
    socket.async_connect(nobody, checks.into(result));
    test_support::run_until_done(ctx, result);
    BOOST_TEST(result.ec == net::error::not_socket);
    error_code ec;
    BOOST_REQUIRE(::close(socket.native_handle()) == 0);
    socket.connect(nobody, ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    io_result gone;
    socket.async_connect(nobody, checks.into(gone));
    test_support::run_until_done(ctx, gone);
    BOOST_TEST(gone.ec == net::error::bad_descriptor);
    socket.close(ec);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(settings_of_what_is_no_serial_port_fail, Ctx, contexts)
{
    Ctx ctx;
    serial_port_of<Ctx> port(ctx);
    net::serial_port_base::baud_rate rate(9600);
    error_code ec;
    const auto settings_give = [&](const error_code& expected) {
        port.set_option(rate, ec);
        BOOST_TEST(ec == expected);
        port.get_option(rate, ec);
        BOOST_TEST(ec == expected);
        port.send_break(ec);
        BOOST_TEST(ec == expected);
    };
    settings_give(net::error::bad_descriptor);
    auto [reader, writer] = pipe_descriptor_pair();
    port.assign(reader.release());
    settings_give(error_code(ENOTTY, net::error::get_system_category()));
    port.close();
    port.open("/dev/null", ec);
    BOOST_TEST(ec == error_code(ENOTTY, net::error::get_system_category()));
    BOOST_TEST(!port.is_open());
    port.open("/dev/not_there", ec);
    BOOST_TEST(ec == boost::system::errc::no_such_file_or_directory);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
