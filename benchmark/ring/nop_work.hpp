// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
#pragma once

#include "ring/ring_task.hpp"

#include <cstdint>

namespace benchmark {

/// Each nop has a number, which its completion has to bring back.
class nop_work {
public:
    explicit nop_work(std::uint64_t seed) : seed_(seed) {}

    void completed(std::uint64_t number) { sum_ += mix(seed_ ^ number); }
    std::uint64_t sum() const { return sum_; }

private:
    std::uint64_t seed_;
    std::uint64_t sum_ = 0;
};

} // namespace benchmark
