// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "simulated_context.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace simulated {

/// Many connections that send numbered streams both ways, while operations
/// are cancelled and sockets are closed and destroyed at random; everything
/// follows from the seed. What does not hold is told by `problems()`.
class random_conversations {
public:
    explicit random_conversations(std::uint64_t seed);
    random_conversations(const random_conversations&) = delete;
    random_conversations& operator=(const random_conversations&) = delete;
    ~random_conversations();

    /// Some hundred random actions; then lets all streams that are still
    /// whole come to their end, or destroys the context in the middle.
    void run();

    [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }
    [[nodiscard]] std::string describe() const;

    /// How much happened, so that a test of nothing shows.
    struct totals {
        std::size_t bytes_received = 0;
        std::size_t operations = 0;
        std::size_t aborted = 0;
        std::size_t cancelled_with_data = 0;
        std::size_t streams_completed = 0;
    };
    [[nodiscard]] const totals& counted() const { return totals_; }

private:
    struct end_point;
    struct operation_in_flight;
    class handler;

    /// Memory that was the caller's while an operation ran, with its new
    /// owner's pattern in it.
    struct given_away {
        std::vector<char> memory;
    };

    std::size_t below(std::size_t bound);
    bool chance(unsigned percent);
    void problem(const std::string& what);

    void act();
    void start_read(end_point& e);
    void start_write(end_point& e, std::size_t most);
    void on_read(end_point& e, operation_in_flight& op, const error_code& ec, std::size_t n);
    void on_write(end_point& e, operation_in_flight& op, const error_code& ec, std::size_t n);
    void take_memory(operation_in_flight& op);
    void after_cancel(end_point& e);
    void end(end_point& e, bool by_destruction);
    void drain();
    void check_end();

    std::mt19937_64 random_;
    const std::uint64_t seed_;
    options settings_;
    simulated_context ring_;
    std::deque<end_point> ends_;
    std::deque<given_away> given_away_;
    std::vector<std::string> problems_;
    totals totals_;
    int handlers_alive_ = 0;
    int handlers_called_ = 0;
    int handlers_made_ = 0;
};

} // namespace simulated
