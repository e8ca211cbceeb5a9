// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/descriptor_service.hpp>

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <termios.h>
#include <unistd.h>

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// The service behind Asio's serial ports: a descriptor with the settings of a
/// terminal.
class serial_port_service : public net::execution_context::service, public descriptor_service_base {
public:
    using key_type = serial_port_service;
    inline static net::execution_context::id id;

    explicit serial_port_service(net::execution_context& context)
        : net::execution_context::service(context), descriptor_service_base(context)
    {
    }

    /// Opens the device for bytes as they are: no line editing, no modem
    /// control. Throws std::bad_alloc without effect.
    error_code open(implementation_type& impl, const std::string& device, error_code& ec)
    {
        if (is_open(impl))
            return ec = net::error::already_open;
        // Without O_NONBLOCK, opening would wait for a carrier.
        opened_file file(::open(device.c_str(), O_RDWR | O_NONBLOCK | O_NOCTTY));
        if (file.fd < 0)
            return ec = last_error();
        termios settings{};
        if (::tcgetattr(file.fd, &settings) != 0)
            return ec = last_error();
        ::cfmakeraw(&settings);
        settings.c_iflag |= IGNPAR;
        settings.c_cflag |= CREAD | CLOCAL;
        if (::tcsetattr(file.fd, TCSANOW, &settings) != 0)
            return ec = last_error();
        if (!assign(impl, file.fd, ec))
            file.fd = -1;
        return ec;
    }

    template <typename Option>
    error_code set_option(implementation_type& impl, const Option& option, error_code& ec)
    {
        before_synchronous(impl);
        termios settings{};
        if (::tcgetattr(impl.native_, &settings) != 0)
            return ec = last_error();
        ec = {};
        option.store(settings, ec);
        if (!ec && ::tcsetattr(impl.native_, TCSANOW, &settings) != 0)
            ec = last_error();
        return ec;
    }

    template <typename Option>
    error_code get_option(const implementation_type& impl, Option& option, error_code& ec) const
    {
        termios settings{};
        if (::tcgetattr(impl.native_, &settings) != 0)
            return ec = last_error();
        ec = {};
        option.load(settings, ec);
        return ec;
    }

    error_code send_break(implementation_type& impl, error_code& ec)
    {
        before_blocking(impl);
        return ec = ::tcsendbreak(impl.native_, 0) != 0 ? last_error() : error_code();
    }

private:
    struct opened_file {
        explicit opened_file(int native) noexcept : fd(native) {}
        opened_file(const opened_file&) = delete;
        opened_file& operator=(const opened_file&) = delete;
        ~opened_file()
        {
            if (fd >= 0)
                ::close(fd);
        }
        int fd;
    };

    static error_code last_error() noexcept { return to_error_code(-errno); }

    void shutdown() override {}
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
