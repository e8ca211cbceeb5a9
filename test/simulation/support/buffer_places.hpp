// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <unordered_map>

namespace programs {

using report = std::function<void(const std::string&)>;

/// The bytes of everything that is written: the first one of a piece has the
/// highest bit and the piece's tag, the others never have that bit.
inline constexpr unsigned tags = 127;
inline std::byte byte_of(unsigned tag, std::size_t position) noexcept
{
    if (position == 0)
        return static_cast<std::byte>(0x80U | tag);
    return static_cast<std::byte>(((position * 0x9e3779b97f4a7c15U) >> 40 ^ tag * 31U) & 0x7fU);
}
inline void fill(std::span<std::byte> bytes, unsigned tag) noexcept
{
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = byte_of(tag, i);
}
inline bool is_filled(std::span<const std::byte> bytes, unsigned tag) noexcept
{
    for (std::size_t i = 0; i < bytes.size(); ++i)
        if (bytes[i] != byte_of(tag, i))
            return false;
    return true;
}

/// Where the memory of each buffer has to be. What one owner has is in one place
/// exactly; what is shared is where its owners are.
class buffer_places {
public:
    enum place : unsigned { caller, operation, given_up };

    explicit buffer_places(report problem) : problem_(std::move(problem)) {}

    /// A new buffer is the caller's. What was given up is back, then.
    void came(const std::byte* memory, bool from_pool)
    {
        where& w = known_[memory];
        if (w.at[caller] + w.at[operation] != 0)
            problem_("a buffer was given out that somebody has");
        w = {};
        w.at[caller] = 1;
        w.from_pool = from_pool;
    }
    void moves(const std::byte* memory, place from, place to)
    {
        where& w = known_[memory];
        if (w.at[from] == 0)
            return problem_("a buffer is not where it was left");
        --w.at[from];
        ++w.at[to];
        if (!w.shared && w.at[caller] + w.at[operation] + w.at[given_up] != 1)
            problem_("a buffer is in two places");
    }
    void becomes_shared(const std::byte* memory) { known_[memory].shared = true; }
    /// Of what is shared.
    void is_copied(const std::byte* memory, place to) { ++known_[memory].at[to]; }
    void leaves(const std::byte* memory, place from)
    {
        const auto found = known_.find(memory);
        if (found == known_.end() || found->second.at[from] == 0)
            return problem_("a buffer is gone that was not there");
        where& w = found->second;
        --w.at[from];
        if (w.at[caller] + w.at[operation] + w.at[given_up] == 0)
            known_.erase(found);
    }
    /// Nothing that was given up is in flight any more.
    void given_up_is_over()
    {
        for (auto it = known_.begin(); it != known_.end();) {
            it->second.at[given_up] = 0;
            const where& w = it->second;
            it = w.at[caller] + w.at[operation] == 0 ? known_.erase(it) : std::next(it);
        }
    }

    /// `available` buffers are in a pool of `count`.
    void check_pool(std::size_t available, std::size_t count) const
    {
        std::size_t out = 0, uncertain = 0;
        for (const auto& [memory, w] : known_)
            if (w.from_pool)
                ++(w.at[caller] + w.at[operation] != 0 ? out : uncertain);
        if (available > count - out)
            problem_("the pool has buffers that somebody has");
        if (available < count - out - uncertain)
            problem_("the pool lacks buffers that nobody has");
    }
    [[nodiscard]] std::size_t size() const noexcept { return known_.size(); }

private:
    struct where {
        unsigned at[3] = {};
        bool from_pool = false;
        bool shared = false;
    };
    std::unordered_map<const std::byte*, where> known_;
    report problem_;
};

} // namespace programs
