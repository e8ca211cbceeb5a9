// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <coroutine>
#include <exception>
#include <utility>

namespace kernel {

/// A coroutine that goes with its owner.
struct task {
    struct promise_type {
        task get_return_object()
        {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
    task(std::coroutine_handle<promise_type> h) : handle(h) {}
    task(task&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
    ~task() { reset(); }
    void reset()
    {
        if (handle)
            std::exchange(handle, nullptr).destroy();
    }
    std::coroutine_handle<promise_type> handle;
};

} // namespace kernel
