// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "any_operation.hpp"

#include "support/blocking_peer.hpp"
#include "support/socket_path.hpp"

#if defined(BOOST_ASIO_HAS_BOOST_DATE_TIME) && !defined(BOOST_ASIO_NO_DEPRECATED)
#define SAFER_RING_TEST_DEADLINE_TIMERS
#include <boost/asio/deadline_timer.hpp>
#include <boost/date_time/posix_time/posix_time_types.hpp>
#endif

#include <csignal>
#include <deque>

// Operations that transfer nothing: accepting, connecting, and waiting for
// time, signals and look-ups.
namespace conformance {
namespace {

using net::ip::udp;

// ---- acceptors

enum class accept { into_socket, gives_socket, wait };

template <class Protocol>
auto any_endpoint(const test_support::socket_path& path)
{
    // Asio names the local sequenced packets only since 1.84.
    if constexpr (std::is_same_v<Protocol, net::generic::seq_packet_protocol>)
        return typename Protocol::endpoint(net::local::stream_protocol::endpoint(path.string()));
    else if constexpr (std::is_same_v<Protocol, net::local::stream_protocol>)
        return net::local::stream_protocol::endpoint(path.string());
    else
        return typename Protocol::endpoint(net::ip::address_v4::loopback(), 0);
}

/// The listening side of a protocol, and clients that connect without Asio.
template <class Ctx, class Protocol>
class accept_operation final : public typed_operation<accept_operation<Ctx, Protocol>> {
public:
    using acceptor_type = net::basic_socket_acceptor<Protocol, executor_of<Ctx>>;
    using socket_type =
        typename Protocol::socket::template rebind_executor<executor_of<Ctx>>::other;

    static constexpr unsigned abilities =
        waits | fires | cancels | slots | closes | moves | releases;

    accept_operation(Ctx& ctx, accept what)
        : ctx_(ctx), what_(what),
          acceptor_(std::make_unique<acceptor_type>(ctx, any_endpoint<Protocol>(path_))),
          address_(acceptor_->local_endpoint())
    {
    }

    template <class Use>
    auto choose(Use use)
    {
        if (what_ == accept::gives_socket)
            return use([this]<class Token>(Token&& token) {
                return acceptor_->async_accept(std::forward<Token>(token));
            });
        if (what_ == accept::wait)
            return use([this]<class Token>(Token&& token) {
                return acceptor_->async_wait(acceptor_type::wait_read, std::forward<Token>(token));
            });
        return use([this]<class Token>(Token&& token) {
            return acceptor_->async_accept(peers_.emplace_back(ctx_), std::forward<Token>(token));
        });
    }

    net::any_io_executor get_executor() override { return ctx_.get_executor(); }

    void prepare() override
    {
        // What was only waited for is still there.
        error_code ec;
        acceptor_->non_blocking(true);
        while (!ec)
            acceptor_->accept(peers_.emplace_back(ctx_), ec);
        acceptor_->non_blocking(false);
    }
    void fire() override
    {
        const test_support::unique_descriptor& client = clients_.emplace_back(
            ::socket(address_.protocol().family(), address_.protocol().type() | SOCK_CLOEXEC, 0));
        test_support::check_call(
            ::connect(client.get(), address_.data(), static_cast<socklen_t>(address_.size())),
            "connect", client.get());
    }
    void cancel() override { acceptor_->cancel(); }
    void close() override { acceptor_->close(); }
    void destroy() override { acceptor_.reset(); }
    void move() override { acceptor_ = std::make_unique<acceptor_type>(std::move(*acceptor_)); }
    int release() override { return acceptor_->release(); }

private:
    Ctx& ctx_;
    accept what_;
    test_support::socket_path path_;
    std::unique_ptr<acceptor_type> acceptor_;
    typename Protocol::endpoint address_;
    std::deque<socket_type> peers_;
    std::deque<test_support::unique_descriptor> clients_;
};

// ---- connecting

template <class Ctx, class Protocol, class Socket>
class connect_operation final : public typed_operation<connect_operation<Ctx, Protocol, Socket>> {
public:
    static constexpr unsigned abilities = fires;

    explicit connect_operation(Ctx& ctx)
        : ctx_(ctx), listener_(ctx, any_endpoint<Protocol>(path_)), socket_(ctx)
    {
    }

    template <class Use>
    auto choose(Use use)
    {
        return use([this]<class Token>(Token&& token) {
            return socket_.async_connect(listener_.local_endpoint(), std::forward<Token>(token));
        });
    }

    net::any_io_executor get_executor() override { return ctx_.get_executor(); }
    void prepare() override { socket_.close(); }
    void destroy() override { socket_ = Socket(ctx_); }

private:
    using listener_type =
        std::conditional_t<std::is_same_v<Protocol, udp>, Socket,
                           net::basic_socket_acceptor<Protocol, executor_of<Ctx>>>;

    Ctx& ctx_;
    test_support::socket_path path_;
    listener_type listener_;
    Socket socket_;
};

// ---- timers

/// One that is due at once, or one that is not due during the test.
template <class Ctx, class Timer>
class timer_operation final : public typed_operation<timer_operation<Ctx, Timer>> {
public:
    static constexpr unsigned abilities(bool is_due)
    {
        return cancels | slots | moves | (is_due ? fires : waits);
    }

    timer_operation(Ctx& ctx, bool is_due)
        : ctx_(ctx), is_due_(is_due), timer_(std::make_unique<Timer>(ctx))
    {
        prepare();
    }

    template <class Use>
    auto choose(Use use)
    {
        return use([this]<class Token>(Token&& token) {
            return timer_->async_wait(std::forward<Token>(token));
        });
    }

    net::any_io_executor get_executor() override { return ctx_.get_executor(); }

    void prepare() override
    {
        if constexpr (requires { timer_->expires_after(std::chrono::hours(1)); })
            timer_->expires_after(std::chrono::hours(is_due_ ? 0 : 1));
        else
            timer_->expires_from_now(typename Timer::duration_type(is_due_ ? 0 : 1, 0, 0));
    }
    void cancel() override { timer_->cancel(); }
    void destroy() override { timer_.reset(); }
    void move() override { timer_ = std::make_unique<Timer>(std::move(*timer_)); }

private:
    Ctx& ctx_;
    bool is_due_;
    std::unique_ptr<Timer> timer_;
};

// ---- signals

template <class Ctx>
class signal_operation final : public typed_operation<signal_operation<Ctx>> {
public:
    // Signal sets are not movable.
    static constexpr unsigned abilities = waits | fires | cancels | slots;

    explicit signal_operation(Ctx& ctx)
        : ctx_(ctx), signals_(std::make_unique<signal_set_of<Ctx>>(ctx, SIGUSR1))
    {
    }

    template <class Use>
    auto choose(Use use)
    {
        return use([this]<class Token>(Token&& token) {
            return signals_->async_wait(std::forward<Token>(token));
        });
    }

    net::any_io_executor get_executor() override { return ctx_.get_executor(); }
    void fire() override { std::raise(SIGUSR1); }
    void cancel() override { signals_->cancel(); }
    void destroy() override { signals_.reset(); }
    std::size_t number() const override { return SIGUSR1; }

private:
    Ctx& ctx_;
    std::unique_ptr<signal_set_of<Ctx>> signals_;
};

// ---- look-ups

/// Forward or reverse. How one that waits is ended: resolver_lifetime.cpp.
template <class Ctx, class Protocol>
class resolve_operation final : public typed_operation<resolve_operation<Ctx, Protocol>> {
    using resolver_type = net::ip::basic_resolver<Protocol, executor_of<Ctx>>;

public:
    // Asio's resolvers do not know the slots of handlers.
    static constexpr unsigned abilities = fires | moves;

    resolve_operation(Ctx& ctx, bool reverse)
        : ctx_(ctx), reverse_(reverse), resolver_(std::make_unique<resolver_type>(ctx))
    {
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
    void destroy() override { resolver_.reset(); }
    void move() override { resolver_ = std::make_unique<resolver_type>(std::move(*resolver_)); }

private:
    Ctx& ctx_;
    bool reverse_;
    std::unique_ptr<resolver_type> resolver_;
};

// ---- all of them

template <class Ctx, class Timer>
void add_timer(std::vector<kind>& kinds, const std::string& name)
{
    using operation = timer_operation<Ctx, Timer>;
    kinds.push_back(kind_of<operation, Ctx>(name + "_due", operation::abilities(true), true));
    kinds.push_back(kind_of<operation, Ctx>(name, operation::abilities(false), false));
}

template <class Ctx, class Protocol>
void add_acceptor(std::vector<kind>& kinds, const std::string& name)
{
    using operation = accept_operation<Ctx, Protocol>;
    kinds.push_back(
        kind_of<operation, Ctx>(name + "_accept", operation::abilities, accept::into_socket));
    kinds.push_back(kind_of<operation, Ctx>(name + "_accept_of_a_socket",
                                            operation::abilities | gives_an_object,
                                            accept::gives_socket));
    kinds.push_back(
        kind_of<operation, Ctx>(name + "_acceptor_wait", operation::abilities, accept::wait));
}

template <class Ctx, class Protocol, class Socket>
void add_connect(std::vector<kind>& kinds, const std::string& name)
{
    using operation = connect_operation<Ctx, Protocol, Socket>;
    kinds.push_back(kind_of<operation, Ctx>(name + "_connect", operation::abilities));
}

template <class Ctx>
void add_all(std::vector<kind>& kinds)
{
    using local = net::local::stream_protocol;
    add_acceptor<Ctx, tcp>(kinds, "tcp");
    add_acceptor<Ctx, local>(kinds, "local");
    add_acceptor<Ctx, net::generic::seq_packet_protocol>(kinds, "packet");
    add_connect<Ctx, tcp, socket_of<Ctx>>(kinds, "tcp");
    add_connect<Ctx, local, local_socket_of<Ctx>>(kinds, "local");
    add_connect<Ctx, udp, net::basic_datagram_socket<udp, executor_of<Ctx>>>(kinds, "udp");
    add_timer<Ctx, timer_of<Ctx>>(kinds, "steady_timer");
    add_timer<Ctx, timer_of<Ctx, std::chrono::system_clock>>(kinds, "system_timer");
    // In libstdc++ this clock is the system's, and so the timer is of the same type.
    add_timer<Ctx, timer_of<Ctx, std::chrono::high_resolution_clock>>(kinds,
                                                                      "high_resolution_timer");
#if defined(SAFER_RING_TEST_DEADLINE_TIMERS)
    using boost::posix_time::ptime;
    add_timer<Ctx, net::basic_deadline_timer<ptime, net::time_traits<ptime>, executor_of<Ctx>>>(
        kinds, "deadline_timer");
#endif
    kinds.push_back(
        kind_of<signal_operation<Ctx>, Ctx>("signal_wait", signal_operation<Ctx>::abilities));
    using resolve = resolve_operation<Ctx, tcp>;
    kinds.push_back(kind_of<resolve, Ctx>("resolve", resolve::abilities, false));
    kinds.push_back(kind_of<resolve, Ctx>("reverse_resolve", resolve::abilities, true));
}

template <class... Ctx>
void add_on_each(std::vector<kind>& kinds, const std::tuple<Ctx...>*)
{
    (add_all<Ctx>(kinds), ...);
}

} // namespace

void add_transfers(std::vector<kind>& kinds);

std::vector<kind> every_kind()
{
    std::vector<kind> kinds;
    add_transfers(kinds);
    add_on_each(kinds, static_cast<contexts*>(nullptr));
    return kinds;
}

} // namespace conformance
