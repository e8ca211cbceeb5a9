// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

namespace safer_ring::inline SAFER_RING_ABI::ring {

class event_loop;

/// A unit of work in the loop's queue: an intrusive node, so that queueing
/// never allocates and never fails.
class operation {
public:
    operation(const operation&) = delete;
    operation& operator=(const operation&) = delete;

    /// Frees the node, then calls the handler. May throw what the handler
    /// throws.
    virtual void complete(event_loop& loop) = 0;

    /// Frees the node and destroys the handler without calling it.
    virtual void destroy() noexcept = 0;

    /// True for io_operation, whose result is settled just before the handler.
    [[nodiscard]] bool is_io() const noexcept { return is_io_; }

protected:
    explicit operation(bool is_io = false) noexcept : is_io_(is_io) {}
    ~operation() = default;

private:
    friend class operation_queue;

    operation* next_ = nullptr;
    operation* previous_ = nullptr;
    bool is_io_;
};

/// First-in-first-out queue of operations that it does not own. Doubly
/// linked, so that a cancelled one can leave the middle.
class operation_queue {
public:
    operation_queue() = default;
    operation_queue(const operation_queue&) = delete;
    operation_queue& operator=(const operation_queue&) = delete;

    [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
    [[nodiscard]] operation* front() const noexcept { return head_; }
    static operation* after(const operation& op) noexcept { return op.next_; }
    /// True when there is something besides `op`.
    [[nodiscard]] bool holds_more_than(const operation* op) const noexcept
    {
        return head_ != nullptr && (head_ != op || tail_ != op);
    }

    void push_back(operation* op) noexcept
    {
        op->next_ = nullptr;
        op->previous_ = tail_;
        (tail_ != nullptr ? tail_->next_ : head_) = op;
        tail_ = op;
    }

    operation* pop_front() noexcept
    {
        operation* op = head_;
        if (op != nullptr)
            remove(op);
        return op;
    }

    void remove(operation* op) noexcept
    {
        (op->previous_ != nullptr ? op->previous_->next_ : head_) = op->next_;
        (op->next_ != nullptr ? op->next_->previous_ : tail_) = op->previous_;
        op->next_ = op->previous_ = nullptr;
    }

    /// Moves everything in `other` behind what is here.
    void splice_back(operation_queue& other) noexcept
    {
        if (other.head_ == nullptr)
            return;
        other.head_->previous_ = tail_;
        (tail_ != nullptr ? tail_->next_ : head_) = other.head_;
        tail_ = other.tail_;
        other.head_ = other.tail_ = nullptr;
    }

private:
    operation* head_ = nullptr;
    operation* tail_ = nullptr;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
