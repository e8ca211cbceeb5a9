// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "simulated_loop.hpp"

namespace unit {

struct counting_driver final : ring::driver {
    void wake() noexcept override { ++wakes; }
    void wait_for(backend::backend::timeout) noexcept override { is_resting = false; }
    void rest() noexcept override { is_resting = true; }

    int wakes = 0;
    bool is_resting = false;
};

/// A loop on a simulated kernel that takes its turns when the test calls `drive`.
struct driven_loop : simulated_loop {
    driven_loop() : simulated_loop(small_options(), {}, ring::threading::many)
    {
        loop.hand_to(driver);
    }
    ~driven_loop() { loop.shutdown(); }

    /// As often as the loop asks for it.
    void drive()
    {
        do {
            driver.wakes = 0;
            loop.drive(self, [] { return true; });
        } while (driver.wakes != 0);
    }

    counting_driver driver;
};

} // namespace unit
