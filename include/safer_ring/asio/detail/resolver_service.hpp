// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/as_asio.hpp>
#include <safer_ring/asio/detail/handler_operation.hpp>
#include <safer_ring/ring/worker_pool.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/basic_resolver_query.hpp>
#include <boost/asio/ip/basic_resolver_results.hpp>
#include <boost/system/error_code.hpp>

#include <memory>
#include <netdb.h>
#include <new>
#include <tuple>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::detail {

using boost::system::error_code;

/// The threads on which look-ups block, one pool for all protocols of a
/// context.
class resolver_threads : public net::execution_context::service {
public:
    using key_type = resolver_threads;
    inline static net::execution_context::id id;

    explicit resolver_threads(net::execution_context& context)
        : resolver_threads(context, static_cast<io_context&>(context).impl().loop())
    {
    }

    /// Throws boost::system::system_error where there can be no thread.
    void start(ring::background_operation& look_up)
    {
        as_asio([&] { pool_.start(look_up); });
    }

    void shutdown() override { pool_.shutdown(); }

private:
    void notify_fork(net::execution_context::fork_event event) override
    {
        if (event == net::execution_context::fork_prepare)
            pool_.pause();
        else
            as_asio([this] { pool_.resume(); });
    }

    resolver_threads(net::execution_context& context, ring::event_loop& loop)
        : net::execution_context::service(context), pool_(loop, loop.settings().resolver_threads)
    {
    }

    ring::worker_pool pool_;
};

/// The service behind Asio's resolvers, with the interface of Asio's own. The
/// answers are those of Asio's calls to getaddrinfo(3) and getnameinfo(3);
/// only the threads that make them are ours.
///
/// Cancelling is Asio's too: a look-up that has begun cannot be called back
/// and is delivered, one that still waits for a thread is aborted.
template <typename Protocol>
class resolver_service : public net::execution_context::service {
public:
    using key_type = resolver_service;
    inline static net::execution_context::id id;

    /// Look-ups hold a weak reference to it, and are cancelled by its end. A
    /// moved-from resolver has none, and aborts what is started with it.
    using implementation_type = std::shared_ptr<void>;

    using endpoint_type = typename Protocol::endpoint;
    using query_type = net::ip::basic_resolver_query<Protocol>;
    using results_type = net::ip::basic_resolver_results<Protocol>;

    explicit resolver_service(net::execution_context& context)
        : net::execution_context::service(context), context_(static_cast<io_context&>(context)),
          threads_(net::use_service<resolver_threads>(context))
    {
    }

    void shutdown() override {}

    void construct(implementation_type& impl) { impl = std::make_shared<char>(); }
    void destroy(implementation_type& impl) { impl.reset(); }

    void move_construct(implementation_type& impl, implementation_type& other)
    {
        impl = std::move(other);
    }
    void move_assign(implementation_type& impl, resolver_service&, implementation_type& other)
    {
        impl = std::move(other);
    }
    void converting_move_construct(implementation_type& impl, resolver_service&,
                                   implementation_type& other)
    {
        move_construct(impl, other);
    }
    void converting_move_assign(implementation_type& impl, resolver_service& other_service,
                                implementation_type& other)
    {
        move_assign(impl, other_service, other);
    }

    void cancel(implementation_type& impl) { construct(impl); }

    results_type resolve(implementation_type&, const query_type& query, error_code& ec)
    {
        context_.impl().loop().submit_before_blocking(); // What was started is not to wait for it.
        return look_up(query, ec);
    }
    results_type resolve(implementation_type&, const endpoint_type& endpoint, error_code& ec)
    {
        context_.impl().loop().submit_before_blocking();
        results_type results = look_up(endpoint, ec);
        return ec ? results_type() : results;
    }

    /// `what` is a query or an endpoint.
    template <typename What, typename Handler, typename IoExecutor>
    void async_resolve(implementation_type& impl, const What& what, Handler& handler,
                       const IoExecutor& io_ex)
    {
        using op_type = handler_operation<resolve_operation<What>, Handler, IoExecutor>;
        auto op = op_type::make(handler, io_ex, context_, impl, what);
        ring::event_loop& loop = context_.impl().loop();
        if (loop.thread_safe()) {
            threads_.start(*op);
        } else {
            op->refuse(net::error::operation_not_supported);
            loop.post(op.get(), false, context_.impl().current_loop());
        }
        op.release();
    }

private:
    /// A look-up without its handler.
    template <typename What>
    class resolve_operation : public ring::background_operation {
    public:
        void refuse(const error_code& ec) noexcept { ec_ = ec; }

    protected:
        resolve_operation(const implementation_type& owner, const What& what)
            : owner_(owner), what_(what)
        {
        }
        ~resolve_operation() = default;

        std::tuple<error_code, results_type> take_arguments() { return {ec_, std::move(results_)}; }

    private:
        void perform() noexcept final
        {
            try {
                if (owner_.expired())
                    results_ = nothing_found(what_, ec_ = net::error::operation_aborted);
                else
                    results_ = look_up(what_, ec_);
            } catch (const std::bad_alloc&) {
                ec_ = net::error::no_memory;
            }
        }

        std::weak_ptr<void> owner_;
        What what_;
        error_code ec_;
        results_type results_;
    };

    struct free_address_info {
        void operator()(addrinfo* list) const noexcept { socket_ops::freeaddrinfo(list); }
    };

    static results_type look_up(const query_type& query, error_code& ec)
    {
        addrinfo* list = nullptr;
        socket_ops::getaddrinfo(query.host_name().c_str(), query.service_name().c_str(),
                                query.hints(), &list, ec);
        const std::unique_ptr<addrinfo, free_address_info> owned(list);
        return ec ? nothing_found(query, ec)
                  : results_type::create(list, query.host_name(), query.service_name());
    }

    static results_type look_up(const endpoint_type& endpoint, error_code& ec)
    {
        char host[NI_MAXHOST] = "";
        char service[NI_MAXSERV] = "";
        socket_ops::sync_getnameinfo(endpoint.data(), endpoint.size(), host, sizeof host, service,
                                     sizeof service, endpoint.protocol().type(), ec);
        return results_type::create(endpoint, host, service);
    }

    static results_type nothing_found(const query_type&, const error_code&) { return {}; }

    /// Asio's asynchronous reverse look-up tells the endpoint also when it
    /// fails.
    static results_type nothing_found(const endpoint_type& endpoint, const error_code&)
    {
        return results_type::create(endpoint, "", "");
    }

    io_context& context_;
    resolver_threads& threads_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
