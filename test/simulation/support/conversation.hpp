// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "simulated_context.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>

#include <array>
#include <functional>
#include <memory>
#include <string>

/// Accept, read, write, close: one client and one server on one context. It
/// ends whatever fails, and owns nothing that its handlers do not own.
namespace simulated {

/// Counts objects that live in handlers and coroutine frames, so that one
/// that is never destroyed, or destroyed twice, shows.
class counted_instance {
public:
    counted_instance() noexcept { ++alive; }
    counted_instance(const counted_instance&) noexcept { ++alive; }
    counted_instance& operator=(const counted_instance&) = default;
    ~counted_instance() { --alive; }

    static inline thread_local int alive = 0;
};

struct conversation_result {
    int server_ends = 0; ///< Handlers or frames at the end of the server's side.
    int client_ends = 0;
    int called_twice = 0;
    std::string echoed; ///< What came back to the client.
};

/// A completion handler that may be called once.
template <class Function>
class once {
public:
    once(conversation_result& result, Function function)
        : result_(&result), function_(std::move(function))
    {
    }

    template <class... Args>
    void operator()(Args&&... args)
    {
        if (*called_)
            ++result_->called_twice;
        *called_ = true;
        function_(std::forward<Args>(args)...);
    }

private:
    conversation_result* result_;
    Function function_;
    std::shared_ptr<bool> called_ = std::make_shared<bool>(false);
    counted_instance instance_;
};

inline constexpr std::size_t conversation_message_size = 300;

/// More than a staging buffer, so that it is written from the caller's memory.
inline constexpr std::size_t conversation_large_message_size = 2000;

/// In callback style.
void start_callback_conversation(simulated_context& ring, conversation_result& result,
                                 std::size_t message_size);

/// In coroutine style.
void start_coroutine_conversation(simulated_context& ring, conversation_result& result,
                                  std::size_t message_size);

using conversation_starter = void (*)(simulated_context&, conversation_result&, std::size_t);

} // namespace simulated
