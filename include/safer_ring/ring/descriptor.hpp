// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/io_operation.hpp>
#include <safer_ring/ring/registry.hpp>
#include <safer_ring/ring/worker_descriptor.hpp>

#include <atomic>
#include <cstdint>

namespace safer_ring::inline SAFER_RING_ABI::ring {

class item_source;

/// How reads and writes on a descriptor that is no socket are kept from
/// blocking, which sockets have MSG_DONTWAIT for.
enum class transfer_mode : std::uint8_t {
    nowait,      ///< RWF_NOWAIT with each call, until the file refuses it.
    settable,    ///< A pipe of the program's own, to be set to O_NONBLOCK by the first call.
    nonblocking, ///< Set to O_NONBLOCK by us, or by who opened it.
    unpollable,  ///< Nothing waits: a regular file, or a device that is always ready.
};

/// What a descriptor is open on, as far as files go.
enum class file_kind : std::uint8_t {
    none,    ///< A socket or the like, or nobody has asked.
    regular, ///< Has positions; a request lasts as long as the disk does.
    other,   ///< A pipe or a device opened as a file: readiness tells when it does not block.
};

/// Whether operations of one direction are worth an attempt where they start.
/// Where messages go back and forth, reads are not, since the data comes later,
/// and each attempt is a system call; where a wait ends in the turn in which it
/// began, the data may have been there already. Attempts that are in vain all
/// the same, as when a program talks to itself, are made ever more rarely.
class attempts {
public:
    [[nodiscard]] bool pay() const noexcept { return to_skip_ == 0; }
    void failed() noexcept
    {
        to_skip_ = patience_;
        patience_ =
            patience_ < most_patience ? static_cast<std::uint8_t>(2 * patience_) : patience_;
    }
    void succeeded() noexcept { *this = {}; }
    /// Comes one nearer to the next: what began without an attempt ended at
    /// once, or the time for another may have come.
    void come_nearer() noexcept
    {
        if (to_skip_ != 0)
            --to_skip_;
    }

private:
    static constexpr std::uint8_t most_patience = 64;
    std::uint8_t to_skip_ = 0;
    std::uint8_t patience_ = 1;
};

/// The loop's side of an open descriptor: its operations in order, and what
/// the kernel delivered that no operation could take any more.
///
/// Lives from `event_loop::open` to `event_loop::close` or `release`; I/O
/// objects that move pass the pointer on.
///
/// What a transfer looks at comes first.
struct descriptor {
    explicit descriptor(int native) noexcept : fd(native) {}

    /// The user's descriptor. The kernel takes its own reference to the file
    /// at submission and keeps it until the last completion.
    int fd;
    /// Where it is registered with the ring, if it is: requests name that place.
    registration_share place;

    /// Recent receives filled a whole buffer: read in bulk.
    bool bulk_read = false;
    /// The last receive left data behind (IORING_CQE_F_SOCK_NONEMPTY).
    bool expect_data = false;
    /// The kernel drops what of a message does not fit into the memory it is
    /// given, so that has to be the caller's, even where the caller's object is
    /// one for streams.
    bool has_messages = false;
    /// A socket of the AF_UNIX family, whose sends cost little.
    bool is_local = false;
    /// Somebody has waited for urgent data or errors on this socket, and reads take care of it,
    /// but those of streams.
    bool minds_urgent_data = false;
    /// Of reads that wait for readiness, and of writes to what is no socket.
    attempts early_reads;
    attempts early_writes;
    /// Of writes that found no room at the end of their turn, in the next one.
    attempts repeated_writes;
    /// Reads of what is no socket find something later in their turn.
    bool late_reads = false;
    /// Of a descriptor that is no socket. Calls without the loop's lock read
    /// and change it.
    std::atomic<transfer_mode> transfer{transfer_mode::nowait};
    /// That is open on it: no other read begins.
    item_source* stream = nullptr;

    /// Bytes of a receive that completed after its cancellation, in provided
    /// buffer `leftover_buffer`.
    static constexpr std::uint32_t none = ~std::uint32_t{0};
    std::uint32_t leftover_buffer = none;
    /// The error, negated, that a receive met after its cancellation. The
    /// kernel tells most of them once, as it does ECONNRESET.
    int leftover_error = 0;
    /// The socket of an accept that completed after its cancellation.
    int leftover_socket = -1;
    std::uint32_t leftover_offset = 0;

private:
    struct list {
        /// Changed under the lock, and looked at without it to see whether there is anything.
        std::atomic<io_operation*> head = nullptr;
        io_operation* tail = nullptr;
    };

    static std::size_t index(direction d) noexcept { return static_cast<std::size_t>(d); }

    list lists[direction_count];

public:
    std::uint32_t leftover_size = 0;
    file_kind kind = file_kind::none;
    /// Operations have no order: each begins when it is started.
    bool concurrent = false;
    /// Opened past the page cache (O_DIRECT): nothing is ever there at once.
    bool direct = false;
    /// Opened for writes that go to the end, wherever the position is (O_APPEND).
    bool appends = false;
    /// A set of `direction` bits: the file system has no RWF_NOWAIT for them.
    std::uint8_t refuses_nowait = 0;
    worker_descriptor for_workers;
    descriptor* previous = nullptr; // In the loop's list of open descriptors.
    descriptor* next = nullptr;

    [[nodiscard]] bool has_leftover() const noexcept
    {
        return leftover_buffer != none || leftover_error != 0 || leftover_socket >= 0;
    }

    /// Zero, or the negated errno.
    [[nodiscard]] int share_for_worker(worker_descriptor& number) noexcept
    {
        const int error = for_workers.open(fd);
        if (error == 0)
            number = for_workers;
        return error;
    }

    [[nodiscard]] io_operation* front(direction d) const noexcept
    {
        return lists[index(d)].head.load(std::memory_order_relaxed);
    }

    void push_back(io_operation& op) noexcept
    {
        list& l = lists[index(op.direction_)];
        op.after_ = nullptr;
        op.before_ = l.tail;
        if (l.tail != nullptr)
            l.tail->after_ = &op;
        else
            l.head.store(&op, std::memory_order_relaxed);
        l.tail = &op;
    }

    void remove(io_operation& op) noexcept
    {
        list& l = lists[index(op.direction_)];
        if (op.before_ != nullptr)
            op.before_->after_ = op.after_;
        else
            l.head.store(op.after_, std::memory_order_relaxed);
        (op.after_ != nullptr ? op.after_->before_ : l.tail) = op.before_;
        op.after_ = op.before_ = nullptr;
    }
};

} // namespace safer_ring::inline SAFER_RING_ABI::ring
