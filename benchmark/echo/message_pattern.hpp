// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace benchmark {

/// What is sent: a window into pseudo-random bytes, at a place that depends on the connection and
/// on the number of the message. Nothing has to be made up or kept per message, and every byte that
/// comes back can be compared at the speed of the memory, which costs less than a checksum and
/// finds every difference.
class message_pattern {
public:
    explicit message_pattern(std::size_t message_size) : bytes_(window + message_size)
    {
        std::uint64_t state = 0;
        for (std::size_t i = 0; i < bytes_.size(); i += sizeof state) {
            const std::uint64_t word = mix(++state);
            const std::size_t rest = bytes_.size() - i;
            std::memcpy(bytes_.data() + i, &word, rest < sizeof word ? rest : sizeof word);
        }
    }

    const char* message(std::uint64_t connection, std::uint64_t number) const
    {
        return bytes_.data() + mix(connection << 40 ^ number) % window;
    }

private:
    // A prime, and small enough to stay in the second-level cache.
    static constexpr std::size_t window = 65521;

    /// The finaliser of SplitMix64: a bijection whose output bits depend on all input bits.
    static std::uint64_t mix(std::uint64_t x)
    {
        x += 0x9e3779b97f4a7c15U;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
        return x ^ (x >> 31);
    }

    std::vector<char> bytes_;
};

} // namespace benchmark
