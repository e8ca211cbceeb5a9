// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/asio_names.hpp>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/recycling_allocator.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// The allocator for operations: the one given, or Asio's recycling one in
/// place of std::allocator, as Asio does for its own.
template <typename T, typename Allocator>
auto operation_allocator(const Allocator& allocator)
{
    if constexpr (std::is_same_v<
                      typename std::allocator_traits<Allocator>::template rebind_alloc<T>,
                      std::allocator<T>>)
        return net::recycling_allocator<T>();
    else
        return typename std::allocator_traits<Allocator>::template rebind_alloc<T>(allocator);
}

/// Owns an operation until the loop takes it over, and again while it
/// completes.
template <typename Op, typename Allocator>
class operation_ptr {
public:
    using allocator_type = decltype(operation_allocator<Op>(std::declval<const Allocator&>()));
    using traits = std::allocator_traits<allocator_type>;

    template <typename... Args>
    static operation_ptr make(const Allocator& source, Args&&... args)
    {
        operation_ptr p(operation_allocator<Op>(source));
        p.memory_ = traits::allocate(p.allocator_, 1);
        p.op_ = ::new (static_cast<void*>(p.memory_)) Op(std::forward<Args>(args)...);
        return p;
    }

    /// Takes over an operation made by `make`.
    operation_ptr(const Allocator& source, Op* op) noexcept
        : allocator_(operation_allocator<Op>(source)), memory_(op), op_(op)
    {
    }
    operation_ptr(operation_ptr&& other) noexcept
        : allocator_(std::move(other.allocator_)), memory_(std::exchange(other.memory_, nullptr)),
          op_(std::exchange(other.op_, nullptr))
    {
    }
    operation_ptr& operator=(operation_ptr&&) = delete;
    ~operation_ptr() { reset(); }

    void reset() noexcept
    {
        if (op_ != nullptr)
            std::exchange(op_, nullptr)->~Op();
        if (memory_ != nullptr)
            traits::deallocate(allocator_, std::exchange(memory_, nullptr), 1);
    }

    Op* get() const noexcept { return op_; }
    Op* operator->() const noexcept { return op_; }
    Op& operator*() const noexcept { return *op_; }

    /// The loop owns it from here on.
    void release() noexcept
    {
        op_ = nullptr;
        memory_ = nullptr;
    }

private:
    explicit operation_ptr(allocator_type allocator) noexcept : allocator_(std::move(allocator)) {}

    allocator_type allocator_;
    Op* memory_ = nullptr;
    Op* op_ = nullptr;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
