// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include <safer_ring/ring/quarantine.hpp>

#include <fcntl.h>
#include <list>
#include <mutex>
#include <poll.h>
#include <unistd.h>

namespace safer_ring::inline SAFER_RING_ABI::ring::quarantine {
namespace {

struct held {
    held(receive_buffers&& b, std::unique_ptr<staging_pool>&& s, lent_memories&& l,
         std::shared_ptr<buffer_group>&& of_streams, int d) noexcept
        : buffers(std::move(b)), staging(std::move(s)), lent(std::move(l)),
          stream_buffers(std::move(of_streams)), drained(d)
    {
    }

    receive_buffers buffers;
    std::unique_ptr<staging_pool> staging;
    lent_memories lent;
    std::shared_ptr<buffer_group> stream_buffers;
    int drained; // Hangs up when the ring is gone; -1 when that cannot be told.
};

struct store {
    std::mutex mutex;
    std::list<held> entries;
};

/// Never destroyed: at exit the kernel may still use what is in it.
store& the_store()
{
    alignas(store) static std::byte memory[sizeof(store)];
    static store* const s = ::new (memory) store;
    return *s;
}

int watch(backend::backend& kernel) noexcept
{
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    if (kernel.close_when_drained(ends[1]) == 0)
        return ends[0];
    ::close(ends[0]);
    ::close(ends[1]);
    return -1;
}

/// Keeps a reference for the rest of the process, without memory for it.
void leak(std::shared_ptr<buffer_group>&& group) noexcept
{
    union kept {
        kept() {}
        ~kept() {}
        std::shared_ptr<buffer_group> reference;
    } k;
    std::construct_at(&k.reference, std::move(group));
}

bool is_drained(const held& entry) noexcept
{
    pollfd p{entry.drained, POLLIN, 0};
    return entry.drained >= 0 && ::poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

} // namespace

void keep(std::unique_ptr<backend::backend> kernel, receive_buffers&& buffers,
          std::unique_ptr<staging_pool> staging, lent_memories lent,
          std::shared_ptr<buffer_group> stream_buffers) noexcept
{
    const int drained = watch(*kernel);
    try {
        store& s = the_store();
        const std::lock_guard lock(s.mutex);
        s.entries.emplace_back(std::move(buffers), std::move(staging), std::move(lent),
                               std::move(stream_buffers), drained);
    } catch (const std::bad_alloc&) {
        // Freeing is the one thing that must not happen: leak instead.
        static_cast<void>(staging.release());
        buffers.leak();
        lent.leak();
        leak(std::move(stream_buffers));
    }
    kernel.reset();
}

std::size_t reclaim() noexcept
{
    store& s = the_store();
    const std::lock_guard lock(s.mutex);
    s.entries.remove_if([](const held& entry) {
        if (!is_drained(entry))
            return false;
        ::close(entry.drained);
        return true;
    });
    return s.entries.size();
}

} // namespace safer_ring::inline SAFER_RING_ABI::ring::quarantine
