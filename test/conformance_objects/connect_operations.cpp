// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "any_operation.hpp"
#include "endpoints.hpp"

#include "conformance/gated_lookup.hpp"

#include "support/blocking_peer.hpp"

#include <deque>
#include <optional>

#include <fcntl.h>
#include <sys/socket.h>

// Connecting, and looking up what to connect to.
namespace conformance {
namespace {

using net::ip::udp;
using test_support::check_call;
using test_support::unique_descriptor;

// ---- connecting

/// Whether a listener has room for a connection.
enum class room { yes, no };

/// What sockets of a protocol connect to, made without Asio: its acceptor is
/// not what is tested here, and has no way to a backlog that is full.
template <class Protocol>
class target {
public:
    explicit target(room r)
    {
        const auto wanted = any_endpoint<Protocol>(path_);
        const int type = wanted.protocol().type();
        fd_ = unique_descriptor(
            check_call(::socket(wanted.protocol().family(), type | SOCK_CLOEXEC, 0), "socket", -1));
        check_call(::bind(fd_.get(), wanted.data(), static_cast<socklen_t>(wanted.size())), "bind",
                   fd_.get());
        if (type == SOCK_STREAM || type == SOCK_SEQPACKET)
            check_call(::listen(fd_.get(), r == room::yes ? 128 : 0), "listen", fd_.get());
        auto size = static_cast<socklen_t>(endpoint_.capacity());
        check_call(::getsockname(fd_.get(), endpoint_.data(), &size), "getsockname", fd_.get());
        endpoint_.resize(size);
    }

    const typename Protocol::endpoint& endpoint() const { return endpoint_; }

    /// Takes all the room of a backlog that has next to none. Over TCP the last
    /// of them are in progress for ever.
    void fill()
    {
        for (int i = 0; i < 8; ++i) {
            unique_descriptor& client = clients_.emplace_back(
                check_call(::socket(endpoint_.protocol().family(),
                                    endpoint_.protocol().type() | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
                           "socket", -1));
            if (::connect(client.get(), endpoint_.data(),
                          static_cast<socklen_t>(endpoint_.size())) != 0 &&
                errno == EAGAIN)
                return;
        }
        test_support::wait_readable(fd_.get());
    }

    /// Accepts what has come, and so makes room.
    void make_room()
    {
        ::fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
        do
            accepted_.emplace_back(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        while (accepted_.back().get() >= 0);
        ::fcntl(fd_.get(), F_SETFL, 0);
    }

private:
    test_support::socket_path path_;
    unique_descriptor fd_;
    typename Protocol::endpoint endpoint_;
    std::deque<unique_descriptor> clients_;
    std::deque<unique_descriptor> accepted_;
};

template <class Ctx, class Protocol>
class connect_operation final : public typed_operation<connect_operation<Ctx, Protocol>> {
    using socket_type =
        typename Protocol::socket::template rebind_executor<executor_of<Ctx>>::other;

public:
    static constexpr unsigned abilities =
        fires | cancels | slots | closes | moves | releases | opens;

    connect_operation(Ctx& ctx, room r)
        : ctx_(ctx), room_(r), target_(r), socket_(std::make_unique<socket_type>(ctx))
    {
        prepare();
    }

    template <class Use>
    auto choose(Use use)
    {
        return use([this]<class Token>(Token&& token) {
            return socket_->async_connect(target_.endpoint(), std::forward<Token>(token));
        });
    }

    net::any_io_executor get_executor() override { return ctx_.get_executor(); }

    void prepare() override
    {
        socket_->close();
        if (room_ == room::no)
            target_.fill();
    }
    void fire() override
    {
        if (room_ == room::no)
            target_.make_room();
    }
    void cancel() override
    {
        error_code ignored; // Before it has been started, its socket is closed.
        socket_->cancel(ignored);
    }
    void close() override { socket_->close(); }
    void destroy() override { socket_.reset(); }
    void move() override { socket_ = std::make_unique<socket_type>(std::move(*socket_)); }
    int release() override { return socket_->release(); }

    /// None, unless a socket that is there has not got its peer.
    std::size_t number() const override
    {
        error_code ec;
        const bool is_wrong =
            socket_ && socket_->is_open() && socket_->remote_endpoint(ec) != target_.endpoint();
        return is_wrong ? 1 : 0;
    }

private:
    Ctx& ctx_;
    room room_;
    target<Protocol> target_;
    std::unique_ptr<socket_type> socket_;
};

template <class Ctx, class Protocol>
void add_connect(std::vector<kind>& kinds, const std::string& name)
{
    using operation = connect_operation<Ctx, Protocol>;
    kinds.push_back(kind_of<operation, Ctx>(name + "_connect", operation::abilities, room::yes));
}

/// One that waits for room. A second one of the same socket is refused.
template <class Ctx, class Protocol>
void add_waiting_connect(std::vector<kind>& kinds, const std::string& name)
{
    using operation = connect_operation<Ctx, Protocol>;
    unsigned can = operation::abilities | waits | is_alone;
    // The client's next attempt is a second later, and each has to be waited for (tcp(7)).
    if constexpr (std::is_same_v<Protocol, tcp>)
        can &= ~fires;
    kinds.push_back(kind_of<operation, Ctx>(name + "_waiting_connect", can, room::no));
}

// ---- look-ups

/// Forward or reverse; and at once, or waiting behind others that occupy all
/// threads which look up, until they have their answer.
template <class Ctx, class Protocol>
class resolve_operation final : public typed_operation<resolve_operation<Ctx, Protocol>> {
    using resolver_type = net::ip::basic_resolver<Protocol, executor_of<Ctx>>;

public:
    // Asio's resolvers do not know the slots of handlers.
    static constexpr unsigned abilities = fires | cancels | moves;

    resolve_operation(Ctx& ctx, bool reverse, bool waiting)
        : ctx_(ctx), reverse_(reverse), waiting_(waiting), others_(ctx),
          resolver_(std::make_unique<resolver_type>(ctx))
    {
        prepare();
    }

    template <class Use>
    auto choose(Use use)
    {
        if (reverse_)
            return use([this]<class Token>(Token&& token) {
                return resolver_->async_resolve(
                    typename Protocol::endpoint(net::ip::address_v4::loopback(), 54321),
                    std::forward<Token>(token));
            });
        return use([this]<class Token>(Token&& token) {
            return resolver_->async_resolve("127.0.0.1", "80",
                                            net::ip::resolver_base::numeric_host |
                                                net::ip::resolver_base::numeric_service,
                                            std::forward<Token>(token));
        });
    }

    net::any_io_executor get_executor() override { return ctx_.get_executor(); }

    void prepare() override
    {
        if (!waiting_ || gate_)
            return;
        gate_.emplace();
        for (int i = 0; i < look_ups_at_once<Ctx>(); ++i)
            others_.async_resolve(gate_->host, "80", [](const auto&...) {});
        gate_->wait_until_entered(look_ups_at_once<Ctx>());
    }
    void fire() override { gate_.reset(); }

    // Asio's look-ups are told of their end when their turn comes.
    void cancel() override
    {
        resolver_->cancel();
        gate_.reset();
    }
    void destroy() override
    {
        resolver_.reset();
        gate_.reset();
    }
    void move() override { resolver_ = std::make_unique<resolver_type>(std::move(*resolver_)); }

private:
    Ctx& ctx_;
    bool reverse_;
    bool waiting_;
    net::ip::basic_resolver<Protocol, executor_of<Ctx>> others_;
    std::unique_ptr<resolver_type> resolver_;
    std::optional<gated_lookup> gate_;
};

template <class Ctx, class Protocol>
void add_resolve(std::vector<kind>& kinds, const std::string& name)
{
    using operation = resolve_operation<Ctx, Protocol>;
    for (const bool reverse : {false, true})
        for (const bool waiting : {false, true})
            kinds.push_back(kind_of<operation, Ctx>(
                name + (waiting ? "_waiting" : "") + (reverse ? "_reverse_resolve" : "_resolve"),
                operation::abilities | (waiting ? waits : 0u), reverse, waiting));
}

// ---- all of them

template <class Ctx>
void add_all(std::vector<kind>& kinds)
{
    using local = net::local::stream_protocol;
    add_connect<Ctx, tcp>(kinds, "tcp");
    add_connect<Ctx, local>(kinds, "local");
    add_connect<Ctx, net::generic::stream_protocol>(kinds, "generic_stream");
    add_connect<Ctx, udp>(kinds, "udp");
    add_connect<Ctx, net::local::datagram_protocol>(kinds, "local_datagram");
    add_connect<Ctx, net::generic::datagram_protocol>(kinds, "generic_datagram");
    add_connect<Ctx, net::generic::seq_packet_protocol>(kinds, "packet");
    add_connect<Ctx, net::generic::raw_protocol>(kinds, "raw");
    add_waiting_connect<Ctx, tcp>(kinds, "tcp");
    // Asio's own report success to a local socket that has found no room (1.81).
    if constexpr (is_ours<Ctx>) {
        add_waiting_connect<Ctx, local>(kinds, "local");
        add_waiting_connect<Ctx, net::generic::stream_protocol>(kinds, "generic_stream");
        add_waiting_connect<Ctx, net::generic::seq_packet_protocol>(kinds, "packet");
    }
    add_resolve<Ctx, tcp>(kinds, "tcp");
    add_resolve<Ctx, udp>(kinds, "udp");
}

template <class... Ctx>
void add_on_each(std::vector<kind>& kinds, const std::tuple<Ctx...>*)
{
    (add_all<Ctx>(kinds), ...);
}

} // namespace

void add_connects(std::vector<kind>& kinds)
{
    add_on_each(kinds, static_cast<contexts*>(nullptr));
}

} // namespace conformance
