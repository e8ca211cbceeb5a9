// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "random_program.hpp"

#include <chrono>
#include <iterator>
#include <utility>
#include <variant>

namespace programs {

/// Tells the program when its callback is destroyed without a call.
struct callback_token {
    callback_token(random_program& of, meaning_ptr means) : p(&of), m(std::move(means)) {}
    callback_token(callback_token&&) noexcept = default;
    callback_token& operator=(callback_token&&) = delete;
    ~callback_token()
    {
        if (!m)
            return;
        --p->callbacks_;
        ++p->totals_.dropped_callbacks;
        p->is_dropped(m, true);
    }
    random_program* p;
    meaning_ptr m;
};

template <typename Op>
waiting_coroutine wait_in_coroutine(random_program& p, operation<Op, submitted> op, meaning_ptr m);

template <typename Op>
class handle_of final : public handle {
public:
    handle_of(random_program& p, operation<Op, building> op, meaning_ptr means)
        : p_(p), state_(std::move(op))
    {
        m = std::move(means);
    }
    handle_of(random_program& p, operation<Op, submitted> op, meaning_ptr means)
        : p_(p), state_(std::move(op))
    {
        m = std::move(means);
        m->id = as<submitted>().id();
    }

    bool is_building() const override { return state_.index() == 0; }
    bool is_submitted() const override { return state_.index() == 1; }
    bool is_over() const override
    {
        return state_.index() == 2 ||
               (state_.index() == 1 && std::get<operation<Op, submitted>>(state_).is_done());
    }
    void submit() override
    {
        p_.begins(m);
        state_ = std::move(as<building>()).submit();
        m->id = as<submitted>().id();
    }
    void cancel() override { as<submitted>().cancel(); }
    bool wait(std::chrono::nanoseconds limit) override { return as<submitted>().wait_for(limit); }
    void complete() override { state_ = std::move(as<submitted>()).wait(); }
    void take() override { take_from(p_, *m, std::move(as<completed>())); }
    void call_back() override
    {
        ++p_.callbacks_;
        std::move(as<submitted>())
            .then([token = callback_token(p_, m)](operation<Op, completed> over) mutable {
                const meaning_ptr means = std::move(token.m);
                random_program& p = *token.p;
                --p.callbacks_;
                ++p.totals_.callbacks;
                take_from(p, *means, std::move(over));
                p.callback_is_called();
            });
    }
    void await() override
    {
        // The list has it before it may run to its end.
        waiting_coroutine started = wait_in_coroutine(p_, std::move(as<submitted>()), m);
        started.m = m;
        p_.coroutines_.push_back(started);
    }
    std::unique_ptr<handle> moved() override
    {
        return std::make_unique<handle_of>(std::move(*this));
    }

    static void take_from(random_program& p, meaning& m, operation<Op, completed>&& over)
    {
        const auto result = over.result();
        const int value = result ? static_cast<int>(result.value()) : -result.code().value();
        p.is_over(m, value, result.was_cancelled());
        if (!result &&
            (result.error().descriptor != m.fd || result.error().registered_file != m.place))
            p.problem("an error names another descriptor");
        if constexpr (requires(Op & op) { op.buffer; }) {
            auto [again, buffer] = std::move(over).take();
            if constexpr (std::same_as<decltype(buffer), owned_buffer>)
                p.come_back(m, value, std::move(buffer));
            else
                p.come_back(m, std::move(buffer));
        } else if constexpr (requires(Op & op) { op.buffers; }) {
            auto [again, buffers] = std::move(over).take();
            p.come_back(m, value, std::move(buffers));
        } else if constexpr (requires(Op & op) { op.message; }) {
            auto [again, message] = std::move(over).take();
            if (message.flags != 0)
                p.problem("a message says that something did not fit");
            p.come_back(m, value, std::move(message.buffers));
        } else if constexpr (requires(Op & op) { op.descriptor; }) {
            auto [again, descriptor] = std::move(over).take();
            p.come_back(m, value, std::move(descriptor));
        } else {
            static_cast<void>(std::move(over).take());
        }
        p.leave_channel(m);
    }

private:
    template <typename State>
    operation<Op, State>& as()
    {
        return std::get<operation<Op, State>>(state_);
    }

    random_program& p_;
    std::variant<operation<Op, building>, operation<Op, submitted>, operation<Op, completed>>
        state_;
};

template <typename Op>
waiting_coroutine wait_in_coroutine(random_program& p, operation<Op, submitted> op, meaning_ptr m)
{
    operation<Op, completed> over = co_await std::move(op);
    ++p.totals_.coroutines;
    handle_of<Op>::take_from(p, *m, std::move(over));
}

template <typename Op>
void random_program::limit(operation<Op, building>& op, meaning& m, unsigned per_mille)
{
    if (!chance(per_mille))
        return;
    m.limited = true;
    // Short times are left to the kernel that is here: a simulated run has to replay.
    using namespace std::chrono_literals;
    const std::chrono::nanoseconds times[] = {0ns, 1h, kernel_ ? 1h : 50us, kernel_ ? 0ns : 2ms};
    op = std::move(op).within(times[below(std::size(times))]);
}

template <typename Op>
void random_program::start(operation<Op, building> op, meaning_ptr m)
{
    limit(op, *m, 80);
    if (chance(8)) {
        m->drained = true;
        op = std::move(op).drained();
    }
    handles_.push_back(std::make_unique<handle_of<Op>>(*this, std::move(op), std::move(m)));
    if (!chance(100))
        handles_.back()->submit();
    else if (chance(500))
        handles_.back() = handles_.back()->moved();
}

} // namespace programs
