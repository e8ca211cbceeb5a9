// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// No case may compile; what stands behind its name must be in what the compiler says of it. Without
// any of them this file compiles.

#include <safer_ring/ring/io_ring.hpp>

using safer_ring::building;
using safer_ring::completed;
using safer_ring::io_ring;
using safer_ring::operation;
using safer_ring::owned_buffer;
using safer_ring::submitted;
using read_op = safer_ring::ops::read;

inline std::size_t right(io_ring& ring, owned_buffer buffer)
{
    operation<read_op, building> reading = ring.read(0, std::move(buffer)).at(4096);
    operation<read_op, submitted> going_on = std::move(reading).submit();
    operation<read_op, completed> over = std::move(going_on).wait();
    auto [result, filled] = std::move(over).take();
    return result.value() + filled.size();
}

// case submitted_twice: It is submitted already
#ifdef case_submitted_twice
void submitted_twice(operation<read_op, submitted> op)
{
    std::move(op).submit();
}
#endif

// case submitted_by_lvalue: As std::move\(operation\)\.submit\(\)
#ifdef case_submitted_by_lvalue
void submitted_by_lvalue(operation<read_op, building> op)
{
    op.submit();
}
#endif

// case changed_after_submission: say so before submit\(\)
#ifdef case_changed_after_submission
void changed_after_submission(operation<read_op, submitted> op)
{
    op.at(4096);
}
#endif

// case appended_after_submission: say so before submit\(\)
#ifdef case_appended_after_submission
void appended_after_submission(operation<read_op, submitted> op)
{
    op.append();
}
#endif

// case result_taken_early: std::move\(operation\)\.wait\(\) first
#ifdef case_result_taken_early
void result_taken_early(operation<read_op, submitted> op)
{
    std::move(op).take();
}
#endif

// case result_taken_before_submission: std::move\(operation\)\.submit\(\)\.wait\(\) first
#ifdef case_result_taken_before_submission
void result_taken_before_submission(operation<read_op, building> op)
{
    std::move(op).take();
}
#endif

// case waited_for_before_submission: std::move\(operation\)\.submit\(\) first
#ifdef case_waited_for_before_submission
void waited_for_before_submission(operation<read_op, building> op)
{
    std::move(op).wait();
}
#endif

// case polled_before_submission: std::move\(operation\)\.submit\(\) first
#ifdef case_polled_before_submission
bool polled_before_submission(const operation<read_op, building>& op)
{
    return op.is_done();
}
#endif

// case taken_by_lvalue: Once only: std::move\(operation\)\.take\(\)
#ifdef case_taken_by_lvalue
void taken_by_lvalue(operation<read_op, completed> op)
{
    auto both = op.take();
}
#endif

// case completed_operation_submitted_again: It is complete: make a new one
#ifdef case_completed_operation_submitted_again
void completed_operation_submitted_again(operation<read_op, completed> op)
{
    std::move(op).submit();
}
#endif

// case operation_copied: An operation has one owner
#ifdef case_operation_copied
void operation_copied(operation<read_op, submitted>& op)
{
    operation<read_op, submitted> copy = op;
}
#endif

// case plain_memory: no known conversion|could not convert|cannot convert|no viable conversion
#ifdef case_plain_memory
void plain_memory(io_ring& ring, char (&memory)[100])
{
    auto op = ring.read(0, memory);
}
#endif

// case one_buffer_for_two: one owner: pass it on by std::move
#ifdef case_one_buffer_for_two
void one_buffer_for_two(io_ring& ring, owned_buffer& buffer)
{
    auto first = ring.read(0, buffer);
    auto second = ring.read(0, buffer);
}
#endif

// case offset_of_what_has_none: constraints not satisfied|no matching member function
#ifdef case_offset_of_what_has_none
void offset_of_what_has_none(io_ring& ring)
{
    auto op = ring.nop().at(4096);
}
#endif

// case submitted_operation_dropped: nodiscard
#ifdef case_submitted_operation_dropped
void submitted_operation_dropped(io_ring& ring)
{
    ring.nop();
}
#endif

// case result_taken_twice: in the 'consumed' state [clang]
#ifdef case_result_taken_twice
void result_taken_twice(operation<read_op, completed> op)
{
    auto first = std::move(op).take();
    auto second = std::move(op).take();
}
#endif

// case used_after_submission: in the 'consumed' state [clang]
#ifdef case_used_after_submission
void used_after_submission(io_ring& ring)
{
    auto building_one = ring.nop();
    auto first = std::move(building_one).submit();
    auto second = std::move(building_one).submit();
}
#endif
