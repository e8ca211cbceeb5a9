// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/asio_names.hpp>
#include <safer_ring/asio/io_context.hpp>

#include <concepts>
#include <map>
#include <memory>
#include <mutex>
#include <type_traits>

namespace safer_ring::inline SAFER_RING_ABI::detail {

namespace net = boost::asio;

/// A service in the older style, whose constructor takes the io_context
/// itself. Asio's registry can make such services for net::io_context only.
template <typename Service>
concept takes_io_context = std::derived_from<Service, net::execution_context::service> &&
                           std::is_constructible_v<Service, io_context&> &&
                           !std::is_constructible_v<Service, net::execution_context&> &&
                           requires
{
    Service::id;
};

/// Finds services of that style again: by the address of their id, since
/// Asio's registry hands out only what it could also make.
class services_of_ours : public net::execution_context::service {
public:
    using key_type = services_of_ours;
    inline static net::execution_context::id id;

    explicit services_of_ours(net::execution_context& owner)
        : net::execution_context::service(owner)
    {
    }

    template <typename Service>
    Service& use(io_context& owner)
    {
        if (auto* const found = find(&Service::id))
            return *static_cast<Service*>(found);
        // Without the lock, since the constructor may use other services.
        auto made = std::make_unique<Service>(owner);
        std::lock_guard held(mutex_);
        auto& entry = services_[&Service::id];
        if (entry == nullptr) {
            add_made_service(static_cast<net::execution_context&>(owner), made.get());
            entry = made.release();
        }
        return *static_cast<Service*>(entry);
    }

    template <typename Service>
    void add(io_context& owner, Service* made)
    {
        std::lock_guard held(mutex_);
        // For this there may be no memory, and then `made` is still the caller's.
        auto& entry = services_[&Service::id];
        add_made_service(static_cast<net::execution_context&>(owner), made);
        entry = made;
    }

private:
    void shutdown() override {}

    net::execution_context::service* find(const void* wanted)
    {
        std::lock_guard held(mutex_);
        const auto found = services_.find(wanted);
        return found != services_.end() ? found->second : nullptr;
    }

    std::mutex mutex_;
    std::map<const void*, net::execution_context::service*> services_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail

namespace boost::asio {

/// net::use_service and net::add_service for services whose constructor takes
/// a safer_ring::io_context, as Asio has them for net::io_context.
template <typename Service>
requires safer_ring::detail::takes_io_context<Service> Service&
use_service(safer_ring::io_context& context)
{
    execution_context& base = context;
    return use_service<safer_ring::detail::services_of_ours>(base).template use<Service>(context);
}

template <typename Service>
requires safer_ring::detail::takes_io_context<Service>
void add_service(safer_ring::io_context& context, Service* service)
{
    execution_context& base = context;
    use_service<safer_ring::detail::services_of_ours>(base).add(context, service);
}

} // namespace boost::asio
