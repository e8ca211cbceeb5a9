// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// No case may compile; what stands behind its name must be in what the compiler says of it. Without
// any of them this file compiles.

#include <safer_ring/ring/io_ring.hpp>

using safer_ring::buffer_ring;
using safer_ring::io_ring;
using safer_ring::stream;
using ticks = stream<safer_ring::streams::timeout>;

inline std::size_t right(io_ring& ring, buffer_ring& buffers)
{
    auto receiving = ring.receive_stream(0, buffers);
    auto elsewhere = std::move(receiving);
    auto [result, buffer] = elsewhere.next().wait();
    return result.value() + buffer.size();
}

// case stream_copied: A stream has one owner
#ifdef case_stream_copied
void stream_copied(ticks& ticking)
{
    ticks copy = ticking;
}
#endif

// case stream_dropped: nodiscard
#ifdef case_stream_dropped
void stream_dropped(io_ring& ring)
{
    ring.accept_stream(0);
}
#endif

// case next_item_not_waited_for: nodiscard
#ifdef case_next_item_not_waited_for
void next_item_not_waited_for(ticks& ticking)
{
    ticking.next();
}
#endif

// case next_item_waited_for_twice: As stream\.next\(\)\.wait\(\)
#ifdef case_next_item_waited_for_twice
void next_item_waited_for_twice(ticks& ticking)
{
    auto item = ticking.next();
    item.wait();
    item.wait();
}
#endif

// case buffer_ring_copied: deleted
#ifdef case_buffer_ring_copied
void buffer_ring_copied(buffer_ring& buffers)
{
    buffer_ring copy = buffers;
}
#endif

// case used_after_a_move: in the 'consumed' state [clang]
#ifdef case_used_after_a_move
void used_after_a_move(ticks ticking)
{
    auto elsewhere = std::move(ticking);
    ticking.cancel();
}
#endif
