// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

namespace test_support {

/// What went through the `counting_allocator`s that share it.
struct allocation_counts {
    std::atomic<int> made{0}; ///< Allocations ever made.
    std::atomic<int> live{0}; ///< Allocations not given back yet.
};

/// An allocator that counts.
template <class T = void>
class counting_allocator {
public:
    using value_type = T;

    explicit counting_allocator(allocation_counts& counts) noexcept : counts_(&counts) {}
    template <class U>
    counting_allocator(const counting_allocator<U>& other) noexcept : counts_(other.counts())
    {
    }

    T* allocate(std::size_t n)
    {
        T* p = std::allocator<T>().allocate(n);
        ++counts_->made;
        ++counts_->live;
        return p;
    }

    void deallocate(T* p, std::size_t n) noexcept
    {
        --counts_->live;
        std::allocator<T>().deallocate(p, n);
    }

    allocation_counts* counts() const noexcept { return counts_; }

    template <class U>
    friend bool operator==(const counting_allocator& a, const counting_allocator<U>& b) noexcept
    {
        return a.counts() == b.counts();
    }

private:
    allocation_counts* counts_;
};

} // namespace test_support
