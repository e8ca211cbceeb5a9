// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// No case may compile; what stands behind its name must be in what the compiler says of it. Without
// any of them this file compiles.

#include <safer_ring/ring/io_ring.hpp>

using safer_ring::buffer_pool;
using safer_ring::io_ring;
using safer_ring::owned_buffer;
using safer_ring::registered_buffers;
using safer_ring::registered_file;

inline void right(io_ring& ring, buffer_pool& pool)
{
    registered_file first = ring.register_file(0);
    registered_file file = std::move(first);
    registered_buffers buffers = ring.register_buffers(pool);
    auto reading = ring.read(file, owned_buffer(8));
    ring.cancel(file);
    first = ring.register_file(1);
    ring.replace(first, 2);
    auto closing = ring.close(ring.register_file(3));
    ring.unregister(std::move(file));
    ring.unregister(std::move(buffers));
}

// case file_handle_copied: one handle: pass it on by std::move
#ifdef case_file_handle_copied
void file_handle_copied(registered_file& file)
{
    registered_file copy = file;
}
#endif

// case file_handle_assigned: one handle: pass it on by std::move
#ifdef case_file_handle_assigned
void file_handle_assigned(registered_file& file, registered_file& to)
{
    to = file;
}
#endif

// case file_closed_without_giving_it_up: one handle: pass it on by std::move
#ifdef case_file_closed_without_giving_it_up
void wrong(io_ring& ring, registered_file& file)
{
    auto closing = ring.close(file);
}
#endif

// case buffers_handle_copied: one handle: pass it on by std::move
#ifdef case_buffers_handle_copied
void buffers_handle_copied(registered_buffers& buffers)
{
    registered_buffers copy = buffers;
}
#endif

// case file_handle_made_implicitly: ask for it by ring\.register_file\(fd\)
#ifdef case_file_handle_made_implicitly
registered_file file_handle_made_implicitly(int fd)
{
    return fd;
}
#endif

// case file_handle_passed_implicitly: ask for it by ring\.register_file\(fd\)
#ifdef case_file_handle_passed_implicitly
void file_handle_passed_implicitly(io_ring& ring)
{
    ring.unregister(registered_file(7));
}
#endif

// case buffers_handle_made_implicitly: ask for it by ring\.register_buffers\(pool\)
#ifdef case_buffers_handle_made_implicitly
registered_buffers buffers_handle_made_implicitly(buffer_pool& pool)
{
    return pool;
}
#endif

// case file_unregistered_without_giving_it_up: give it up, unregister\(std::move\(file\)\)
#ifdef case_file_unregistered_without_giving_it_up
void file_unregistered_without_giving_it_up(io_ring& ring, registered_file& file)
{
    ring.unregister(file);
}
#endif

// case buffers_unregistered_without_giving_them_up: give it up, unregister\(std::move\(buffers\)\)
#ifdef case_buffers_unregistered_without_giving_them_up
void buffers_unregistered_without_giving_them_up(io_ring& ring, registered_buffers& buffers)
{
    ring.unregister(buffers);
}
#endif

// case handle_dropped_at_once: nodiscard
#ifdef case_handle_dropped_at_once
void handle_dropped_at_once(io_ring& ring)
{
    ring.register_file(7);
}
#endif

// case used_after_unregistering: in the 'consumed' state [clang]
#ifdef case_used_after_unregistering
void used_after_unregistering(io_ring& ring, registered_file file)
{
    ring.unregister(std::move(file));
    auto reading = ring.read(file, owned_buffer(8));
}
#endif

// case cancelled_after_a_move: in the 'consumed' state [clang]
#ifdef case_cancelled_after_a_move
void cancelled_after_a_move(io_ring& ring, registered_file file)
{
    registered_file elsewhere = std::move(file);
    ring.cancel(file);
}
#endif

// case index_of_no_file: in the 'consumed' state [clang]
#ifdef case_index_of_no_file
int index_of_no_file()
{
    registered_file none;
    return none.index();
}
#endif

// case buffers_used_after_unregistering: in the 'consumed' state [clang]
#ifdef case_buffers_used_after_unregistering
std::size_t buffers_used_after_unregistering(io_ring& ring, registered_buffers buffers)
{
    ring.unregister(std::move(buffers));
    return buffers.size_bytes();
}
#endif
