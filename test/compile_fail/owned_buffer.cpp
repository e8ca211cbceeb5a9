// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// No case may compile; what stands behind its name must be in what the compiler says of it. Without
// any of them this file compiles.

#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/shared_buffer.hpp>

#include <optional>

using safer_ring::buffer_pool;
using safer_ring::owned_buffer;
using safer_ring::shared_buffer;

void send(owned_buffer buffer);
void send_shared(shared_buffer buffer);

inline std::size_t right(owned_buffer first, buffer_pool& pool)
{
    owned_buffer second = std::move(first);
    const std::size_t size = second.size();
    send(std::move(second));
    second = owned_buffer(size);
    const shared_buffer shared = std::move(second).freeze();
    send_shared(shared);
    if (std::optional<owned_buffer> pooled = pool.try_acquire())
        send(std::move(*pooled));
    return size;
}

// case copy: one owner: pass it on by std::move
#ifdef case_copy
owned_buffer copy(owned_buffer& buffer)
{
    owned_buffer copy = buffer;
    return copy;
}
#endif

// case pass_by_lvalue: one owner: pass it on by std::move
#ifdef case_pass_by_lvalue
void pass_by_lvalue(owned_buffer& buffer)
{
    send(buffer);
}
#endif

// case assign: one owner: pass it on by std::move
#ifdef case_assign
void assign(owned_buffer& to, const owned_buffer& from)
{
    to = from;
}
#endif

// case implicit_size: no known conversion|could not convert|no viable conversion
#ifdef case_implicit_size
void implicit_size()
{
    send(4096);
}
#endif

// case plain_memory: no known conversion|could not convert|no viable conversion
#ifdef case_plain_memory
void plain_memory(char (&memory)[100])
{
    send(memory);
}
#endif

// case freeze_of_an_lvalue: std::move\(buffer\)\.freeze
#ifdef case_freeze_of_an_lvalue
shared_buffer freeze_of_an_lvalue(owned_buffer& buffer)
{
    return buffer.freeze();
}
#endif

// case change_of_frozen_bytes: read-only|const
#ifdef case_change_of_frozen_bytes
void change_of_frozen_bytes(shared_buffer& buffer)
{
    *buffer.data() = std::byte{1};
}
#endif

// case acquired_but_not_asked_whether: nodiscard
#ifdef case_acquired_but_not_asked_whether
void acquired_but_not_asked_whether(buffer_pool& pool)
{
    pool.try_acquire();
}
#endif

// case use_after_move: in the 'consumed' state [clang]
#ifdef case_use_after_move
std::size_t use_after_move()
{
    owned_buffer buffer(10);
    send(std::move(buffer));
    return buffer.size();
}
#endif

// case use_after_freeze: in the 'consumed' state [clang]
#ifdef case_use_after_freeze
std::size_t use_after_freeze()
{
    owned_buffer buffer(10);
    send_shared(std::move(buffer).freeze());
    return buffer.size();
}
#endif
