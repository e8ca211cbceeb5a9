// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "byte_channels.hpp"

#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <string>

// What only serial ports have, on a pseudo terminal. What they share with the
// rest: byte_channels.cpp.
namespace conformance {
namespace {

using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;
using base = net::serial_port_base;

termios settings_of(int fd)
{
    termios settings{};
    check_call(::tcgetattr(fd, &settings), "tcgetattr", fd);
    return settings;
}

/// Sets an option, and tells what the port then has.
template <class Option, class Port>
auto set_and_get(Port& port, const Option& option)
{
    port.set_option(option);
    Option found;
    port.get_option(found);
    return found.value();
}

BOOST_AUTO_TEST_SUITE(serial_ports)

BOOST_AUTO_TEST_CASE_TEMPLATE(opening_makes_a_port_of_plain_bytes, Ctx, contexts)
{
    Ctx ctx;
    const terminal t;
    serial_port_of<Ctx> port(ctx);
    BOOST_TEST(!port.is_open());
    port.open(t.name);
    BOOST_TEST(port.is_open());
    const termios s = settings_of(port.native_handle());
    BOOST_TEST((s.c_lflag & (ECHO | ICANON | ISIG | IEXTEN)) == 0u);
    BOOST_TEST((s.c_oflag & OPOST) == 0u);
    BOOST_TEST((s.c_iflag & IGNPAR) != 0u);
    BOOST_TEST((s.c_cflag & (CREAD | CLOCAL)) == static_cast<tcflag_t>(CREAD | CLOCAL));
    BOOST_TEST((s.c_cflag & CSIZE) == static_cast<tcflag_t>(CS8));
    error_code ec;
    port.open(t.name, ec);
    BOOST_TEST(ec == net::error::already_open);
    port.close();
    BOOST_TEST(!port.is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_no_port_is_not_opened, Ctx, contexts)
{
    Ctx ctx;
    serial_port_of<Ctx> port(ctx);
    error_code ec;
    port.open("/nowhere/at/all", ec);
    BOOST_TEST(ec == boost::system::errc::no_such_file_or_directory);
    port.open("/dev/null", ec);
    BOOST_TEST(ec == boost::system::errc::inappropriate_io_control_operation);
    BOOST_TEST(!port.is_open());
    BOOST_CHECK_THROW(serial_port_of<Ctx>(ctx, "/dev/null"), boost::system::system_error);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(options_are_set_and_read_back, Ctx, contexts)
{
    Ctx ctx;
    const terminal t;
    serial_port_of<Ctx> port(ctx, t.name);
    for (const unsigned rate : {9600u, 115200u, 50u})
        BOOST_TEST(set_and_get(port, base::baud_rate(rate)) == rate);
    for (const auto flow :
         {base::flow_control::software, base::flow_control::hardware, base::flow_control::none})
        BOOST_TEST(set_and_get(port, base::flow_control(flow)) == flow);
    for (const auto bits : {base::stop_bits::two, base::stop_bits::one})
        BOOST_TEST(set_and_get(port, base::stop_bits(bits)) == bits);
    BOOST_TEST(set_and_get(port, base::parity(base::parity::none)) == base::parity::none);
    BOOST_TEST(set_and_get(port, base::character_size(8)) == 8u);
    // A pseudo terminal has eight bits and no parity, whatever it is told
    // (pty.c, pty_set_termios); whether that is an error is the C library's.
    error_code ignored;
    port.set_option(base::parity(base::parity::even), ignored);
    port.set_option(base::character_size(7), ignored);
    base::parity parity;
    base::character_size size;
    port.get_option(parity);
    port.get_option(size);
    BOOST_TEST(parity.value() == base::parity::none);
    BOOST_TEST(size.value() == 8u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(options_that_cannot_be_are_errors, Ctx, contexts)
{
    Ctx ctx;
    const terminal t;
    serial_port_of<Ctx> port(ctx, t.name);
    error_code ec;
    port.set_option(base::baud_rate(12345), ec);
    BOOST_TEST(ec == net::error::invalid_argument);
    port.set_option(base::stop_bits(base::stop_bits::onepointfive), ec);
    BOOST_TEST(ec == net::error::operation_not_supported);
    port.set_option(base::baud_rate(9600), ec);
    BOOST_TEST(ec == error_code());
    port.close();
    base::baud_rate rate;
    port.set_option(base::baud_rate(9600), ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    port.get_option(rate, ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    port.send_break(ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
    BOOST_CHECK_THROW(port.send_break(), boost::system::system_error);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(break_is_sent, Ctx, contexts)
{
    Ctx ctx;
    const terminal t;
    serial_port_of<Ctx> port(ctx, t.name);
    error_code ec = net::error::fault;
    port.send_break(ec);
    BOOST_TEST(ec == error_code());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(port_takes_a_native_descriptor, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const terminal t;
    const int fd = check_call(::open(t.name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC), "open", -1);
    serial_port_of<Ctx> port(ctx, fd);
    std::array<char, 8> buffer{};
    io_result read;
    port.async_read_some(net::buffer(buffer), checks.into(read));
    check_call(::write(t.master.get(), "line\n", 5), "write", t.master.get());
    run_until_done(ctx, read);
    BOOST_TEST(std::string(buffer.data(), read.bytes) == "line\n");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(write_started_before_an_option_is_set_comes_first, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    const terminal t;
    serial_port_of<Ctx> port(ctx, t.name);
    io_result write;
    port.async_write_some(net::buffer("data", 4), checks.into(write));
    port.set_option(base::baud_rate(9600));
    std::array<char, 4> got{};
    check_call(::read(t.master.get(), got.data(), got.size()), "read", t.master.get());
    BOOST_TEST(std::string(got.data(), 4) == "data");
    run_until_done(ctx, write);
    BOOST_TEST(write.bytes == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(hang_up_ends_a_waiting_read, Ctx, contexts)
{
    handler_checks checks;
    Ctx ctx;
    terminal t;
    serial_port_of<Ctx> port(ctx, t.name);
    std::array<char, 8> buffer{};
    io_result read;
    port.async_read_some(net::buffer(buffer), checks.into(read));
    ctx.poll();
    t.master.reset();
    run_until_done(ctx, read);
    BOOST_TEST((read.ec == net::error::eof || read.ec == boost::system::errc::io_error));
    BOOST_TEST(read.bytes == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
