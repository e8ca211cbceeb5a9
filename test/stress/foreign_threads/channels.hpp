// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "channel.hpp"

#include <chrono>
#include <cstring>
#include <functional>
#include <optional>
#include <set>

// I/O objects of each kind, used by several threads at once.
namespace stress {

struct stream_progress {
    std::atomic<bool> reading = false, writing = false, replaced = false;
    std::uint64_t read = 0, written = 0; ///< Bytes; those who hold the flags may look.
};

/// Two ends of a stream. One read and one write at a time, so that it is known
/// which bytes they carry; any number of threads may cancel them.
template <class Reader, class Writer>
class stream_channel : public paired_channel<Reader, Writer, stream_progress> {
    using base = paired_channel<Reader, Writer, stream_progress>;
    using base::ends_;
    using base::mutex_;
    using base::progress_;
    using base::wrong_;

public:
    using typename base::ends;

    stream_channel(const std::string& name, complaints& wrong, std::function<ends()> connect)
        : base(wrong, std::move(connect)), reads(name + " read"), writes(name + " write")
    {
    }

    void start(worker& by) override
    {
        const std::shared_lock held(mutex_);
        // More is written than read, so that writes have to wait as well.
        if (by.chance(3))
            start_read(by);
        else
            start_write(by);
    }

    void settle() override
    {
        std::vector<byte> buffer(4096);
        while (progress_->read < progress_->written) {
            const std::size_t n =
                settled(ends_->first.async_read_some(net::buffer(buffer), net::use_future));
            for (std::size_t i = 0; i < n; ++i)
                if (buffer[i] != at(progress_->read + i))
                    wrong_.add(reads.name + ": wrong byte in what was left");
            progress_->read += n;
        }
        ends_->second.close();
        error_code ec;
        ends_->first.read_some(net::buffer(buffer), ec);
        if (progress_->read != progress_->written || ec != net::error::eof)
            wrong_.add(reads.name + ": more was read than was written");
    }

    tally reads, writes;

private:
    static byte at(std::uint64_t position)
    {
        return static_cast<byte>(position * 167 + (position >> 8) * 13);
    }

    void start_read(worker& by)
    {
        if (progress_->reading.exchange(true))
            return;
        ticket& t = by.make_ticket(reads, by.any_size());
        by.start(
            t, by.chance(2),
            [&](auto handler) {
                ends_->first.async_read_some(net::buffer(t.buffer), std::move(handler));
            },
            [&t, p = progress_](const error_code& ec, std::size_t n) {
                t.conclude(ec, p->replaced);
                t.check_read(ec, n, p->replaced, [&](std::size_t i) { return at(p->read + i); });
                p->read += n;
                p->reading = false;
            });
    }

    void start_write(worker& by)
    {
        if (progress_->writing.exchange(true))
            return;
        ticket& t = by.make_ticket(writes, by.any_size());
        t.is_write = true;
        for (std::size_t i = 0; i < t.buffer.size(); ++i)
            t.buffer[i] = at(progress_->written + i);
        by.start(
            t, by.chance(2),
            [&](auto handler) {
                ends_->second.async_write_some(net::buffer(t.buffer), std::move(handler));
            },
            [&t, p = progress_](const error_code& ec, std::size_t n) {
                if (t.conclude(ec, p->replaced) != (n != 0) || n > t.buffer.size())
                    t.complain(std::to_string(n) + " bytes written, " + ec.message());
                p->written += n;
                p->writing = false;
            });
    }
};

struct message_progress {
    std::atomic<std::uint64_t> next = 0;
    std::atomic<bool> replaced = false;
    std::mutex mutex; ///< For the sets.
    std::set<std::uint64_t> sent, received;
};

/// Messages that say which they are, any number of them under way.
template <class Socket>
class message_channel : public paired_channel<Socket, Socket, message_progress> {
    using base = paired_channel<Socket, Socket, message_progress>;
    using base::ends_;
    using base::mutex_;
    using base::progress_;
    using base::wrong_;

public:
    using typename base::ends;
    static constexpr bool is_udp = std::is_same_v<typename Socket::protocol_type, net::ip::udp>;

    message_channel(const std::string& name, complaints& wrong, std::function<ends()> connect)
        : base(wrong, std::move(connect)), receives(name + " receive"), sends(name + " send")
    {
    }

    void start(worker& by) override
    {
        const std::shared_lock held(mutex_);
        if (by.chance(is_udp ? 2 : 3))
            start_receive(by);
        else
            start_send(by);
    }

    void settle() override
    {
        // UDP may lose messages; none may come twice, or come unsent.
        auto& p = *progress_;
        std::vector<byte> buffer(longest);
        while (!is_udp && p.received.size() < p.sent.size()) {
            const auto n =
                settled(ends_->first.async_receive(net::buffer(buffer), net::use_future));
            p.received.insert(number_of(buffer.data(), n));
        }
        if (!std::includes(p.sent.begin(), p.sent.end(), p.received.begin(), p.received.end()))
            wrong_.add(receives.name + ": messages came whose sends were cancelled");
    }

    tally receives, sends;

private:
    static constexpr std::size_t longest = 256, shortest = sizeof(std::uint64_t);

    static byte at(std::uint64_t number, std::size_t position)
    {
        return static_cast<byte>(number * 59 + position * 31);
    }

    static std::uint64_t number_of(const byte* message, std::size_t size)
    {
        std::uint64_t number = 0;
        std::memcpy(&number, message, std::min(size, shortest));
        return number;
    }

    static std::size_t size_of(std::uint64_t number)
    {
        return shortest + number * 7919 % (longest - shortest);
    }

    void start_receive(worker& by)
    {
        ticket& t = by.make_ticket(receives, longest);
        by.start(
            t, by.chance(2),
            [&](auto handler) {
                if constexpr (is_udp)
                    ends_->first.async_receive_from(net::buffer(t.buffer), t.sender,
                                                    std::move(handler));
                else
                    ends_->first.async_receive(net::buffer(t.buffer), std::move(handler));
            },
            [&t, p = progress_, from = sender()](const error_code& ec, std::size_t n) {
                const std::uint64_t number = number_of(t.buffer.data(), n);
                t.check_read(ec, n, p->replaced, [&](std::size_t i) {
                    return i < shortest ? t.buffer[i] : at(number, i);
                });
                if (!t.conclude(ec, p->replaced))
                    return;
                if (n != size_of(number) || number >= p->next || (is_udp && t.sender != from))
                    t.complain("not a message that was sent");
                const std::lock_guard held(p->mutex);
                if (!p->received.insert(number).second)
                    t.complain("the same message twice");
            });
    }

    void start_send(worker& by)
    {
        const std::uint64_t number = progress_->next++;
        ticket& t = by.make_ticket(sends, size_of(number));
        t.is_write = true;
        std::memcpy(t.buffer.data(), &number, shortest);
        for (std::size_t i = shortest; i < t.buffer.size(); ++i)
            t.buffer[i] = at(number, i);
        by.start(
            t, by.chance(2),
            [&](auto handler) {
                if constexpr (is_udp)
                    ends_->second.async_send_to(net::buffer(t.buffer),
                                                ends_->first.local_endpoint(), std::move(handler));
                else
                    ends_->second.async_send(net::buffer(t.buffer), std::move(handler));
            },
            [&t, p = progress_, number](const error_code& ec, std::size_t n) {
                if (t.conclude(ec, p->replaced) ? n != t.buffer.size() : n != 0)
                    t.complain(std::to_string(n) + " bytes sent, " + ec.message());
                const std::lock_guard held(p->mutex);
                if (!ec)
                    p->sent.insert(number);
            });
    }

    net::ip::udp::endpoint sender() const
    {
        if constexpr (is_udp)
            return ends_->second.local_endpoint();
        else
            return {};
    }
};

template <class Timer, class Context>
class timer_channel : public channel {
public:
    timer_channel(Context& context, complaints& wrong)
        : channel(wrong), waits("timer wait"), context_(context), timer_(std::in_place, context)
    {
    }

    void start(worker& by) override
    {
        ticket& t = by.make_ticket(waits, 0);
        const std::unique_lock held(mutex_);
        if (by.chance(2))
            timer_->expires_after(std::chrono::microseconds(by.below(2000)));
        by.start(
            t, by.chance(2), [&](auto handler) { timer_->async_wait(std::move(handler)); },
            [&t, due = timer_->expiry()](const error_code& ec) {
                if (t.conclude(ec, false) && Timer::clock_type::now() < due)
                    t.complain("too early");
            });
    }

    void cancel() override
    {
        const std::unique_lock held(mutex_);
        timer_->cancel_one();
        timer_->cancel();
    }

    void replace() override
    {
        const std::unique_lock held(mutex_);
        timer_.emplace(context_);
    }

    tally waits;

private:
    Context& context_;
    std::optional<Timer> timer_;
};

template <class Resolver, class Context>
class resolver_channel : public channel {
public:
    resolver_channel(Context& context, complaints& wrong)
        : channel(wrong), lookups("look-up"), context_(context), resolver_(std::in_place, context)
    {
    }

    void start(worker& by) override
    {
        ticket& t = by.make_ticket(lookups, 0);
        const auto port = static_cast<unsigned short>(1 + by.below(60'000));
        const std::unique_lock held(mutex_);
        by.start(
            t, false,
            [&](auto handler) {
                using net::ip::resolver_base;
                resolver_->async_resolve("127.0.0.1", std::to_string(port),
                                         resolver_base::numeric_host |
                                             resolver_base::numeric_service,
                                         std::move(handler));
            },
            [&t, port](const error_code& ec, const auto& results) {
                const net::ip::tcp::endpoint expected(net::ip::address_v4::loopback(), port);
                if (t.conclude(ec, false) &&
                    (results.empty() || results.begin()->endpoint() != expected))
                    t.complain("another address");
            });
    }

    void cancel() override
    {
        const std::unique_lock held(mutex_);
        resolver_->cancel();
    }

    void replace() override
    {
        const std::unique_lock held(mutex_);
        resolver_.emplace(context_);
    }

    tally lookups;

private:
    Context& context_;
    std::optional<Resolver> resolver_;
};

/// Connections that are made, accepted, and reset when both ends are dropped.
template <class Acceptor, class Socket, class Context>
class connecting_channel : public channel {
public:
    connecting_channel(Context& context, complaints& wrong)
        : channel(wrong), accepts("TCP accept"), connects("TCP connect"), context_(context)
    {
        replace();
    }

    void start(worker& by) override
    {
        const std::shared_lock held(mutex_);
        if (by.chance(2))
            start_accept(by);
        else
            start_connect(by);
    }

    void cancel() override
    {
        const std::shared_lock held(mutex_);
        acceptor_->cancel();
    }

    void replace() override
    {
        const std::unique_lock held(mutex_);
        if (replaced_)
            *replaced_ = true;
        replaced_ = std::make_shared<std::atomic<bool>>(false);
        acceptor_.reset();
        acceptor_.emplace(context_, net::ip::tcp::endpoint(net::ip::address_v4::loopback(), 0));
    }

    tally accepts, connects;

private:
    void start_accept(worker& by)
    {
        ticket& t = by.make_ticket(accepts, 0);
        by.start(
            t, by.chance(2), [&](auto handler) { acceptor_->async_accept(std::move(handler)); },
            [&t](const error_code& ec, const Socket& accepted) {
                if (t.conclude(ec, false) != accepted.is_open())
                    t.complain("no socket, or one too many");
            });
    }

    void start_connect(worker& by)
    {
        ticket& t = by.make_ticket(connects, 0);
        const auto socket = std::make_shared<Socket>(context_, net::ip::tcp::v4());
        // Otherwise the ports of what was closed stay taken for a minute.
        socket->set_option(net::socket_base::linger(true, 0));
        t.object = socket;
        by.start(
            t, true,
            [&](auto handler) {
                socket->async_connect(acceptor_->local_endpoint(), std::move(handler));
            },
            [&t, replaced = replaced_](const error_code& ec) { t.conclude(ec, *replaced); });
    }

    Context& context_;
    std::optional<Acceptor> acceptor_;
    std::shared_ptr<std::atomic<bool>> replaced_;
};

} // namespace stress
