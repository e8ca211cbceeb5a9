// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

#include <memory>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Memory that an operation brought with it and lent to the kernel. On the heap,
/// so that keeping it when the operation has to go takes no memory.
class lent_memory {
public:
    lent_memory() = default;
    lent_memory(const lent_memory&) = delete;
    lent_memory& operator=(const lent_memory&) = delete;
    virtual ~lent_memory() = default;

    std::unique_ptr<lent_memory> next; // Of those that are kept together.
};

/// Any number of them. Does not end them by recursion.
class lent_memories {
public:
    lent_memories() = default;
    lent_memories(lent_memories&&) noexcept = default;
    lent_memories& operator=(lent_memories&&) noexcept = default;
    ~lent_memories()
    {
        while (first_ != nullptr)
            first_ = std::move(first_->next);
    }

    void add(std::unique_ptr<lent_memory> memory) noexcept
    {
        if (memory == nullptr)
            return;
        memory->next = std::move(first_);
        first_ = std::move(memory);
    }

    /// Keeps them for the rest of the process.
    void leak() noexcept { static_cast<void>(first_.release()); }

private:
    std::unique_ptr<lent_memory> first_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
