// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "any_operation.hpp"
#include "endpoints.hpp"

#include "support/blocking_peer.hpp"

#if defined(BOOST_ASIO_HAS_BOOST_DATE_TIME) && !defined(BOOST_ASIO_NO_DEPRECATED)
#define SAFER_RING_TEST_DEADLINE_TIMERS
#include <boost/asio/deadline_timer.hpp>
#include <boost/date_time/posix_time/posix_time_types.hpp>
#endif

#include <csignal>
#include <deque>

// Operations that transfer nothing: accepting, and waiting for time and signals.
namespace conformance {
namespace {

// ---- acceptors

enum class accept { into_socket, gives_socket, wait };

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

template <class Ctx>
void add_all(std::vector<kind>& kinds)
{
    add_acceptor<Ctx, tcp>(kinds, "tcp");
    add_acceptor<Ctx, net::local::stream_protocol>(kinds, "local");
    add_acceptor<Ctx, net::generic::stream_protocol>(kinds, "generic_stream");
    // Asio names the local sequenced packets only since 1.84.
    add_acceptor<Ctx, net::generic::seq_packet_protocol>(kinds, "packet");
    add_timer<Ctx, timer_of<Ctx>>(kinds, "steady_timer");
    add_timer<Ctx, timer_of<Ctx, std::chrono::system_clock>>(kinds, "system_timer");
    // In libstdc++ this clock is the system's, and so the timer is of the same type.
    add_timer<Ctx, timer_of<Ctx, std::chrono::high_resolution_clock>>(kinds,
                                                                      "high_resolution_timer");
#if defined(SAFER_RING_TEST_DEADLINE_TIMERS)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" // From Boost 1.88 on.
    using boost::posix_time::ptime;
    add_timer<Ctx, net::basic_deadline_timer<ptime, net::time_traits<ptime>, executor_of<Ctx>>>(
        kinds, "deadline_timer");
#pragma GCC diagnostic pop
#endif
    kinds.push_back(
        kind_of<signal_operation<Ctx>, Ctx>("signal_wait", signal_operation<Ctx>::abilities));
}

template <class... Ctx>
void add_on_each(std::vector<kind>& kinds, const std::tuple<Ctx...>*)
{
    (add_all<Ctx>(kinds), ...);
}

} // namespace

void add_transfers(std::vector<kind>& kinds);
void add_connects(std::vector<kind>& kinds);

std::vector<kind> every_kind()
{
    std::vector<kind> kinds;
    add_transfers(kinds);
    add_connects(kinds);
    add_on_each(kinds, static_cast<contexts*>(nullptr));
    return kinds;
}

} // namespace conformance
