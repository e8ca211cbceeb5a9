// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "any_operation.hpp"
#include "every_channel.hpp"

#include "support/full_socket.hpp"

#include <string>
#include <type_traits>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

// Reads and writes of everything that transfers bytes, and waits for it.
namespace conformance {
namespace {

/// What is done with a channel: at its reader, or at its writer.
enum class transfer {
    read,
    receive_from,
    wait_read,
    write,
    blocked_write, ///< Has to wait, since the other end has no room.
    send_to,
    wait_write, ///< Has to wait as well.
};

constexpr bool of_the_reader(transfer what)
{
    return what == transfer::read || what == transfer::receive_from || what == transfer::wait_read;
}

constexpr bool is_blocked(transfer what)
{
    return what == transfer::blocked_write || what == transfer::wait_write;
}

/// A descriptor that does not block for as long as this lives.
class non_blocking {
public:
    explicit non_blocking(int fd) : fd_(fd), before_(::fcntl(fd, F_GETFL))
    {
        ::fcntl(fd, F_SETFL, before_ | O_NONBLOCK);
    }
    non_blocking(const non_blocking&) = delete;
    non_blocking& operator=(const non_blocking&) = delete;
    ~non_blocking() { ::fcntl(fd_, F_SETFL, before_); }

private:
    int fd_;
    int before_;
};

/// Leaves no room for anything.
void fill(int writer, bool in_messages)
{
    const non_blocking guard(writer);
    const std::string much(1 << 16, 'm');
    test_support::fill_up(writer, [&] {
        if (in_messages)
            return ::write(writer, "fill", 4) > 0;
        // Byte by byte only the rest: what the kernel moves on makes room for much once more.
        return ::write(writer, much.data(), much.size()) > 0 || ::write(writer, "f", 1) > 0;
    });
}

void drain(int reader)
{
    const non_blocking guard(reader);
    char bytes[1 << 16];
    while (::read(reader, bytes, sizeof bytes) > 0)
        continue;
}

/// Reads until the writer has room again.
void make_room(int reader, int writer)
{
    const auto deadline = std::chrono::steady_clock::now() + test_support::watchdog_time;
    do {
        drain(reader);
    } while (!test_support::is_ready(writer, POLLOUT, 1) &&
             std::chrono::steady_clock::now() < deadline);
}

template <class Ctx, class Channel>
class transfer_operation final : public typed_operation<transfer_operation<Ctx, Channel>> {
    using channel_type = decltype(Channel::make(std::declval<Ctx&>()));
    using reader_type = decltype(channel_type::reader);
    using writer_type = decltype(channel_type::writer);

public:
    template <class Object>
    static constexpr bool has_waits = requires
    {
        Object::wait_read;
    };
    static constexpr bool addresses = has_addresses<reader_type>;
    /// The line of a serial port is stopped, as by an XOFF of the other side:
    /// how much a pseudo terminal holds is not fixed (pty.c, tty_buffer.c).
    static constexpr bool has_flow_control = std::is_same_v<writer_type, serial_port_of<Ctx>>;

    static constexpr unsigned abilities(transfer what)
    {
        const bool reads = of_the_reader(what);
        unsigned can = fires | cancels | slots | closes | moves;
        if (reads || is_blocked(what))
            can |= waits;
        if (reads ? requires(reader_type & r) { r.release(); }
                  : requires(writer_type & w) { w.release(); })
            can |= releases;
        if (!has_messages<writer_type> && what == transfer::write)
            can |= in_part;
        return can;
    }

    transfer_operation(Ctx& ctx, transfer what) : ctx_(ctx), what_(what)
    {
        channel_type c = Channel::make(ctx);
        reader_ = std::make_unique<reader_type>(std::move(c.reader));
        writer_ = std::make_unique<writer_type>(std::move(c.writer));
        if constexpr (addresses)
            if (what == transfer::send_to)
                give_an_address(*reader_);
        prepare();
    }

    template <class Use>
    auto choose(Use use)
    {
        switch (what_) {
        case transfer::receive_from:
            if constexpr (addresses)
                return use([this]<class Token>(Token&& token) {
                    return reader_->async_receive_from(net::buffer(memory_), sender_,
                                                       std::forward<Token>(token));
                });
            break;
        case transfer::send_to:
            if constexpr (addresses)
                return use([this]<class Token>(Token&& token) {
                    return writer_->async_send_to(data(), reader_->local_endpoint(),
                                                  std::forward<Token>(token));
                });
            break;
        case transfer::wait_read:
            if constexpr (has_waits<reader_type>)
                return use([this]<class Token>(Token&& token) {
                    return reader_->async_wait(reader_type::wait_read, std::forward<Token>(token));
                });
            break;
        case transfer::wait_write:
            if constexpr (has_waits<writer_type>)
                return use([this]<class Token>(Token&& token) {
                    return writer_->async_wait(writer_type::wait_write, std::forward<Token>(token));
                });
            break;
        case transfer::write:
        case transfer::blocked_write:
            return use([this]<class Token>(Token&& token) {
                return async_give(*writer_, data(), std::forward<Token>(token));
            });
        case transfer::read:
            break;
        }
        return use([this]<class Token>(Token&& token) {
            return async_take(*reader_, net::buffer(memory_), std::forward<Token>(token));
        });
    }

    net::any_io_executor get_executor() override { return ctx_.get_executor(); }

    void prepare() override
    {
        if (what_ == transfer::wait_read)
            drain(reader_->native_handle());
        if (!is_blocked(what_))
            return;
        if constexpr (has_flow_control)
            ::tcflow(writer_->native_handle(), TCOOFF);
        else
            fill(writer_->native_handle(), in_messages());
    }
    void fire() override
    {
        if (of_the_reader(what_)) {
            error_code ec;
            BOOST_TEST(give(*writer_, net::const_buffer("data", 4), ec) == 4u);
        } else if (is_blocked(what_)) {
            if constexpr (has_flow_control)
                ::tcflow(writer_->native_handle(), TCOON);
            else
                make_room(reader_->native_handle(), writer_->native_handle());
        }
    }
    void enlarge() override { large_.assign(16 << 20, 'l'); }

    void cancel() override
    {
        with_object([](auto& object) { object->cancel(); });
    }
    void close() override
    {
        with_object([](auto& object) { object->close(); });
    }
    void destroy() override
    {
        with_object([](auto& object) { object.reset(); });
    }
    void move() override
    {
        with_object([](auto& object) {
            using type = typename std::decay_t<decltype(object)>::element_type;
            object = std::make_unique<type>(std::move(*object));
        });
    }
    int release() override
    {
        int fd = -1;
        with_object([&](auto& object) {
            if constexpr (requires { object->release(); })
                fd = object->release();
        });
        return fd;
    }

    std::size_t number() const override
    {
        return what_ == transfer::wait_read || what_ == transfer::wait_write ? 0 : 4;
    }

private:
    static constexpr bool in_messages() { return has_messages<writer_type>; }

    net::const_buffer data() const
    {
        return large_.empty() ? net::const_buffer("data", 4)
                              : net::const_buffer(net::buffer(large_));
    }

    template <class Function>
    void with_object(Function function)
    {
        if (of_the_reader(what_))
            function(reader_);
        else
            function(writer_);
    }

    template <class Object>
    struct sender_of {
        using type = int;
    };
    template <class Object>
    requires has_addresses<Object>
    struct sender_of<Object> {
        using type = typename Object::endpoint_type;
    };

    Ctx& ctx_;
    transfer what_;
    std::unique_ptr<reader_type> reader_;
    std::unique_ptr<writer_type> writer_;
    std::array<char, 64> memory_{};
    std::string large_;
    typename sender_of<reader_type>::type sender_{};
};

template <class Ctx, class Channel>
void add(std::vector<kind>& kinds, const std::string& name,
         std::initializer_list<std::pair<transfer, const char*>> transfers)
{
    using operation = transfer_operation<Ctx, Channel>;
    for (const auto& [what, suffix] : transfers)
        kinds.push_back(
            kind_of<operation, Ctx>(name + "_" + suffix, operation::abilities(what), what));
}

template <class Ctx>
void add_all(std::vector<kind>& kinds)
{
    using enum transfer;
    const std::pair<transfer, const char*> reads{read, "read"}, writes{write, "write"},
        blocked{blocked_write, "blocked_write"}, from{receive_from, "receive_from"},
        to{send_to, "send_to"}, readable{wait_read, "wait_read"},
        writable{wait_write, "wait_write"};
    add<Ctx, tcp_channel>(kinds, "tcp", {reads, writes, blocked, readable, writable});
    add<Ctx, local_channel>(kinds, "local", {reads, writes, blocked, readable, writable});
    add<Ctx, generic_stream_channel>(kinds, "generic_stream",
                                     {reads, writes, blocked, readable, writable});
    // What a receiver over UDP has no room for is dropped (udp(7)).
    add<Ctx, udp_channel>(kinds, "udp", {reads, writes, from, to, readable});
    add<Ctx, local_datagram_channel>(kinds, "local_datagram",
                                     {reads, writes, blocked, from, to, readable, writable});
    add<Ctx, generic_datagram_channel>(kinds, "generic_datagram",
                                       {reads, writes, blocked, from, to, readable, writable});
    add<Ctx, packet_channel>(kinds, "packet", {reads, writes, blocked, readable, writable});
    add<Ctx, raw_channel>(kinds, "raw", {reads, writes, blocked, from, to, readable, writable});
    add<Ctx, pipe_channel>(kinds, "pipe", {reads, writes, blocked});
    add<Ctx, anonymous_pipe_channel>(kinds, "descriptor",
                                     {reads, writes, blocked, readable, writable});
    add<Ctx, socket_channel>(kinds, "socket_descriptor", {reads, writes, blocked});
    add<Ctx, serial_channel>(kinds, "serial", {reads});
    add<Ctx, serial_write_channel>(kinds, "serial", {writes, blocked});
}

template <class... Ctx>
void add_on_each(std::vector<kind>& kinds, const std::tuple<Ctx...>*)
{
    (add_all<Ctx>(kinds), ...);
}

} // namespace

void add_transfers(std::vector<kind>& kinds)
{
    add_on_each(kinds, static_cast<contexts*>(nullptr));
}

} // namespace conformance
