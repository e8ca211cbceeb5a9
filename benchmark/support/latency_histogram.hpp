// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace benchmark {

/// Counts of durations in classes whose width is at most 1/32 of their value.
class latency_histogram {
public:
    void add(std::uint64_t ns)
    {
        ++counts_[index(ns)];
        ++total_;
    }

    /// The lower bound of the class that holds the given share of the durations, or 0 without any.
    std::uint64_t quantile(double share) const
    {
        const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen > wanted)
                return lower_bound(i);
        }
        return 0;
    }

private:
    static constexpr unsigned bits = 5;
    static constexpr std::size_t per_octave = std::size_t{1} << bits;

    static std::size_t index(std::uint64_t ns)
    {
        if (ns < per_octave)
            return ns;
        const auto shift = static_cast<unsigned>(std::bit_width(ns)) - 1 - bits;
        return (shift + 1) * per_octave + ((ns >> shift) - per_octave);
    }

    static std::uint64_t lower_bound(std::size_t i)
    {
        if (i < per_octave)
            return i;
        return (per_octave + i % per_octave) << (i / per_octave - 1);
    }

    std::array<std::uint64_t, (64 - bits + 1) * per_octave> counts_{};
    std::uint64_t total_ = 0;
};

} // namespace benchmark
