// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "simulated_context.hpp"

#include <support/full_socket.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <optional>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

namespace simulated {

enum class operation { read, accept, connect, small_write, large_write };
enum class ending { destruction, close, cancel, signal, context, context_elsewhere };
enum class timing {
    prompt, ///< The kernel cancels when it is told to.
    early,  ///< The completion is there already and has not been seen.
    late,   ///< The kernel cannot cancel any more; the completion comes later.
    never,  ///< Nothing comes until the context has given up waiting.
};

/// What became of a handler.
struct handler_state {
    int calls = 0;
    int alive = 0;
    error_code error;
    std::size_t size = 0;
};

/// A handler that owns the I/O objects of its operation, as sessions do.
class owning_handler {
public:
    owning_handler(handler_state& state, std::vector<std::shared_ptr<void>> owned)
        : state_(&state), owned_(std::move(owned))
    {
        ++state_->alive;
    }
    owning_handler(owning_handler&& other) noexcept
        : state_(other.state_), owned_(std::move(other.owned_))
    {
        ++state_->alive;
    }
    owning_handler& operator=(owning_handler&&) = delete;
    ~owning_handler() { --state_->alive; }

    void operator()(const error_code& ec, std::size_t size = 0)
    {
        ++state_->calls;
        state_->error = ec;
        state_->size = size;
    }

private:
    handler_state* state_;
    std::vector<std::shared_ptr<void>> owned_;
};

/// One operation in flight, its end, and the memory that belongs to someone
/// else from then on.
class ended_operation {
public:
    static constexpr char new_owner = '#';
    static constexpr const char* incoming = "data for nobody";

    ended_operation(operation what, ending how, timing when)
        : what_(what), how_(how), when_(when), ring_(options_for(when)),
          memory_(what == operation::large_write ? 1U << 20 : 200U, 'o')
    {
        prepare();
        if (when_ != timing::prompt)
            ring_.kernel->hold_everything();
        start();
        ring_.poll();
        BOOST_REQUIRE(state_.calls == 0);
        BOOST_REQUIRE(ring_.kernel->in_flight_count() == 1U);
    }

    void run()
    {
        check_referenced_memory();
        if (when_ == timing::early) {
            make_ready();
            ring_.kernel->release();
            for (int i = 0; i < 1000 && !ring_.kernel->in_flight().empty(); ++i)
                ring_.kernel->step();
        }
        end();
        delivered_.assign(memory_.data(), memory_.size());
        std::fill(memory_.begin(), memory_.end(), new_owner);
        if (ring_.context != nullptr)
            see_completion();
        if (when_ == timing::never)
            outlive_the_deadline();
        check();
    }

private:
    static options options_for(timing when)
    {
        options settings = small_options();
        if (when == timing::never)
            settings.drain_deadline_ms = 10;
        return settings;
    }

    [[nodiscard]] bool ends_context() const
    {
        return how_ == ending::context || how_ == ending::context_elsewhere;
    }

    void prepare()
    {
        safer_ring::io_context& context = *ring_.context;
        switch (what_) {
        case operation::accept:
            acceptor_ = std::make_shared<tcp_acceptor>(
                context, tcp::endpoint(net::ip::address_v4::loopback(), 0));
            accepted_ = std::make_shared<tcp_socket>(context);
            port_ = acceptor_->local_endpoint().port();
            return;
        case operation::connect:
            socket_ = std::make_shared<tcp_socket>(context, tcp::v4());
            if (when_ == timing::prompt)
                port_ = full_listener_.emplace().port();
            else
                port_ = test_support::local_port(
                    listener_.emplace(test_support::loopback_listener()).get());
            return;
        case operation::read:
        case operation::small_write:
        case operation::large_write:
            auto [ours, theirs] = test_support::tcp_descriptor_pair();
            socket_ = std::make_shared<tcp_socket>(context, tcp::v4(), ours.release());
            peer_.emplace(std::move(theirs));
            if (what_ != operation::read)
                filled_ =
                    test_support::fill_socket(socket_->native_handle()); // A write has to wait.
        }
    }

    void start()
    {
        auto handler = net::bind_cancellation_slot(
            signal_.slot(),
            owning_handler(state_,
                           ends_context()
                               ? std::vector<std::shared_ptr<void>>{socket_, acceptor_, accepted_}
                               : std::vector<std::shared_ptr<void>>{}));
        const auto buffer = net::buffer(memory_.data(), memory_.size());
        switch (what_) {
        case operation::read:
            return socket_->async_read_some(buffer, std::move(handler));
        case operation::accept: // The caller's endpoint lies in the memory that is given away.
            return acceptor_->async_accept(*accepted_, *::new (memory_.data()) tcp::endpoint(),
                                           std::move(handler));
        case operation::connect:
            return socket_->async_connect({net::ip::address_v4::loopback(), port_},
                                          std::move(handler));
        case operation::small_write:
        case operation::large_write:
            return socket_->async_write_some(buffer, std::move(handler));
        }
    }

    /// From now on the kernel can do what it was asked for.
    void make_ready()
    {
        switch (what_) {
        case operation::read:
            return peer_->write(incoming);
        case operation::accept:
            client_.emplace(test_support::loopback_client(port_));
            return;
        case operation::connect:
            return;
        case operation::small_write:
        case operation::large_write:
            peer_->read(filled_);
            return;
        }
    }

    void drop_objects()
    {
        socket_.reset();
        acceptor_.reset();
        accepted_.reset();
    }

    void end()
    {
        switch (how_) {
        case ending::destruction:
            return drop_objects(); // The accepted socket too, as a session's members are.
        case ending::close:
            return acceptor_ ? acceptor_->close() : socket_->close();
        case ending::cancel:
            return acceptor_ ? acceptor_->cancel() : socket_->cancel();
        case ending::signal:
            return signal_.emit(net::cancellation_type::terminal);
        case ending::context:
            return end_context();
        case ending::context_elsewhere:
            // The thread that ran the context has exited by then.
            std::thread([this] {
                if (when_ != timing::early)
                    ring_.poll();
            }).join();
            std::thread([this] { end_context(); }).join();
            return;
        }
    }

    void end_context()
    {
        drop_objects(); // The handler has them.
        if (when_ != timing::late)
            return ring_.context.reset();
        // The completion comes while the destructor waits for it.
        std::thread late([this] {
            const auto cancelled = [this] {
                const auto flying = ring_.kernel->in_flight();
                return flying.empty() || flying.front().cancel_requested;
            };
            while (!cancelled())
                std::this_thread::yield();
            make_ready();
            ring_.kernel->release();
        });
        ring_.context.reset();
        late.join();
    }

    void see_completion()
    {
        ring_.settle();
        if (when_ != timing::late)
            return;
        BOOST_TEST(state_.calls == 0); // The kernel has not let go.
        make_ready();
        ring_.kernel->release();
        ring_.settle();
    }

    /// The context goes although the kernel has not let go; then the kernel
    /// does what it was asked to do.
    void outlive_the_deadline()
    {
        BOOST_TEST(state_.calls == 0);
        drop_objects();
        ring_.context.reset();
        BOOST_TEST(state_.alive == 0);
        BOOST_TEST(ring_.kernel->closed());
        BOOST_TEST(ring_.kernel->in_flight_count() == 1U);
        const std::size_t kept = safer_ring::ring::quarantine::reclaim();
        BOOST_TEST(kept > 0U);
        check_referenced_memory();
        make_ready();
        ring_.kernel->release();
        BOOST_TEST(ring_.kernel->in_flight_count() == 0U);
        BOOST_TEST(safer_ring::ring::quarantine::reclaim() == kept - 1);
    }

    void check_referenced_memory() const
    {
        for (const auto& range : ring_.kernel->referenced_memory()) {
            BOOST_TEST(!range.overlaps(memory_.data(), memory_.size()));
            BOOST_TEST(!range.overlaps(this, sizeof *this));
        }
    }

    void check()
    {
        BOOST_TEST(
            std::all_of(memory_.begin(), memory_.end(), [](char c) { return c == new_owner; }));
        const bool destroyed = ends_context() || when_ == timing::never;
        BOOST_TEST(state_.calls == (destroyed ? 0 : 1));
        BOOST_TEST(state_.alive == 0);
        if (!destroyed)
            check_result();
        drop_objects();
        if (ring_.context != nullptr) {
            ring_.settle();
            BOOST_TEST(ring_.everything_is_back());
        }
        if (peer_) { // Nothing that the new owner wrote was sent.
            const std::string sent = peer_->read_to_end_or_reset();
            BOOST_TEST(sent.find(new_owner) == std::string::npos);
        }
    }

    void check_result() const
    {
        const bool goes_on = how_ == ending::cancel || how_ == ending::signal;
        if (!state_.error) {
            // What the kernel has done is told to those who can go on; what
            // was sent was sent, also when the socket is closed.
            BOOST_TEST(
                (goes_on || what_ == operation::small_write || what_ == operation::large_write));
            const bool tells_late = what_ == operation::small_write && when_ == timing::late;
            BOOST_TEST((when_ == timing::early || tells_late));
            if (what_ == operation::read)
                BOOST_TEST(delivered_.substr(0, state_.size) == incoming);
            return;
        }
        BOOST_TEST(state_.error == net::error::operation_aborted);
        // A result that was there when it was cancelled is not lost; that a
        // socket was ready is no result.
        BOOST_TEST((!goes_on || when_ != timing::early || what_ == operation::large_write));
    }

    const operation what_;
    const ending how_;
    const timing when_;
    handler_state state_;
    simulated_context ring_;
    net::cancellation_signal signal_;
    std::vector<char> memory_;
    std::string delivered_;
    std::shared_ptr<tcp_socket> socket_;
    std::shared_ptr<tcp_acceptor> acceptor_;
    std::shared_ptr<tcp_socket> accepted_;
    std::optional<test_support::blocking_peer> peer_;
    std::optional<test_support::unique_descriptor> listener_;
    std::optional<test_support::unique_descriptor> client_;
    std::optional<test_support::full_listener> full_listener_;
    unsigned short port_ = 0;
    std::size_t filled_ = 0;
};

inline std::ostream& operator<<(std::ostream& out, ending e)
{
    constexpr const char* names[] = {"destruction", "close",   "cancel",
                                     "signal",      "context", "context on another thread"};
    return out << names[static_cast<std::size_t>(e)];
}

inline std::ostream& operator<<(std::ostream& out, timing t)
{
    constexpr const char* names[] = {"prompt", "early", "late", "never"};
    return out << names[static_cast<std::size_t>(t)];
}

} // namespace simulated
