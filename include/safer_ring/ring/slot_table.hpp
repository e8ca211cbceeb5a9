// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI::ring {

/// Identity of a started operation: slot and generation. It survives the
/// reuse of the slot, so a stale id finds nothing instead of a stranger. The
/// top bit is clear: with it, user data mark entries that carry no operation.
enum class operation_id : std::uint64_t { none = 0 };

/// Maps an operation_id to its operation. A slot's generation grows with
/// every reuse, so an id that outlived its operation is recognised.
template <typename T>
class slot_table {
public:
    /// Throws std::bad_alloc without effect.
    operation_id insert(T& op)
    {
        if (free_ == end)
            add_slot();
        const std::uint32_t index = free_;
        slot& s = slots_[index];
        free_ = s.next_free;
        s.op = &op;
        ++used_;
        return static_cast<operation_id>((std::uint64_t{s.generation} << 32) | index);
    }

    [[nodiscard]] T* find(operation_id id) const noexcept
    {
        const auto value = static_cast<std::uint64_t>(id);
        const auto index = static_cast<std::uint32_t>(value);
        if (index >= slots_.size())
            return nullptr;
        const slot& s = slots_[index];
        return s.generation == value >> 32 ? s.op : nullptr;
    }

    void erase(operation_id id) noexcept
    {
        const auto index = static_cast<std::uint32_t>(static_cast<std::uint64_t>(id));
        slot& s = slots_[index];
        s.op = nullptr;
        // Generation zero would make an id equal to operation_id::none.
        s.generation = (s.generation + 1) & max_generation;
        if (s.generation == 0)
            s.generation = 1;
        s.next_free = free_;
        free_ = index;
        --used_;
    }

    [[nodiscard]] std::size_t size() const noexcept { return used_; }

    template <typename F>
    void for_each(F&& f) const
    {
        for (const slot& s : slots_)
            if (s.op != nullptr)
                f(*s.op);
    }

private:
    struct slot {
        T* op;
        std::uint32_t generation;
        std::uint32_t next_free;
    };

    /// Out of line: it happens once for each slot, and would make the usual case
    /// three times as long.
    [[gnu::noinline]] void add_slot()
    {
        slots_.push_back({nullptr, 1, end});
        free_ = static_cast<std::uint32_t>(slots_.size() - 1);
    }

    static constexpr std::uint32_t end = ~std::uint32_t{0};
    static constexpr std::uint32_t max_generation = 0x7fffffff;

    std::vector<slot> slots_;
    std::uint32_t free_ = end;
    std::size_t used_ = 0;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
