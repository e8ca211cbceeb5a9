// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/descriptor.hpp>
#include <safer_ring/ring/event_loop.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

/// Moving bytes between two descriptors inside the kernel, without handlers.
namespace safer_ring::inline SAFER_RING_ABI::ring {

class splice_operation;

/// What is at one end of a splice, which decides how it is kept from blocking.
enum class splice_kind : std::uint8_t {
    pipe,   ///< Never blocks under SPLICE_F_NONBLOCK.
    socket, ///< Never blocks with O_NONBLOCK.
    file,   ///< May wait for a disk.
};

/// The place of a splice in the line of writes to where its bytes go. It has no
/// request of its own: it keeps its place until the splice has ended, and ends
/// the splice when it is cancelled there.
///
/// All but `mutex` and what it guards is under the loop's lock.
class SAFER_RING_API splice_target final : public io_operation,
                                           public std::enable_shared_from_this<splice_target> {
public:
    splice_target() noexcept : io_operation(role::in_two_lines) {}
    splice_target(const splice_target&) = delete;
    splice_target& operator=(const splice_target&) = delete;
    ~splice_target() = default;

    /// Takes its place in the line of `to`, on behalf of `source`, which must be
    /// started afterwards. Throws std::bad_alloc without effect.
    void start(event_loop& loop, descriptor& to, splice_operation& source);

    /// Gives the place up.
    void let_go(event_loop& loop) noexcept;

    /// Its turn has come, and lasts.
    [[nodiscard]] bool has_turn() const noexcept { return has_turn_; }
    /// Held by a splice while it is in a system call, which must not begin when
    /// `ended` is set.
    std::mutex mutex;
    [[nodiscard]] bool ended() const noexcept { return ended_; }
    [[nodiscard]] int native() const noexcept { return native_; }
    /// Of where the bytes go, if that has not `ended`.
    [[nodiscard]] int share_for_worker(worker_descriptor& number) noexcept
    {
        return descriptor_->share_for_worker(number);
    }

private:
    bool takes_turn(event_loop& loop) noexcept override;
    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept override;
    step settle(event_loop& loop) noexcept override;
    void discard(event_loop& loop) noexcept override;
    void complete(event_loop& loop) override;
    void destroy() noexcept override;

    std::shared_ptr<splice_target> self_; // While the loop knows of it.
    splice_operation* source_ = nullptr;
    operation_id source_id_ = operation_id::none;
    int native_ = -1;
    bool has_turn_ = false;
    bool ended_ = false;
};

/// splice(2): moves some bytes from its descriptor to that of a `splice_target`;
/// one of the two is a pipe.
///
/// Between pipes and sockets it is a system call that does not block, made where
/// the operation starts, and then when both ends are ready. What may wait for a
/// disk is left to a worker of the kernel (IORING_OP_SPLICE, Linux 5.7), once the
/// pipe is ready, and does not wait for the pipe there.
class SAFER_RING_API splice_operation : public io_operation {
public:
    struct end {
        splice_kind kind;
        std::uint64_t offset; ///< Of a file; `backend::file_position` for its own.
    };

protected:
    splice_operation(std::shared_ptr<splice_target> target, end from, end to,
                     std::size_t size_bytes) noexcept;
    ~splice_operation() = default;

    /// What the handler is to be told.
    [[nodiscard]] int outcome() const noexcept { return moved_ != 0 ? moved_ : result_; }

    void stage(event_loop& loop) final;
    bool takes_turn(event_loop& loop) noexcept final;
    void prepare(event_loop& loop, backend::submission_entry& entry) noexcept final;
    step settle(event_loop& loop) noexcept final;
    bool attempts_first(event_loop& loop) noexcept final;
    bool perform(int fd) noexcept final;
    void deliver(event_loop& loop) noexcept final;
    void discard(event_loop& loop) noexcept final;
    std::unique_ptr<lent_memory> surrender() noexcept final;

private:
    friend class splice_target;

    enum class waiting : std::uint8_t { for_source, for_target, for_worker };

    [[nodiscard]] bool by_worker() const noexcept
    {
        return from_.kind == splice_kind::file || to_.kind == splice_kind::file;
    }
    void wait_for_other_end() noexcept;
    void end_worker() noexcept;
    void conclude_with(ssize_t result) noexcept;

    std::shared_ptr<splice_target> target_;
    event_loop* loop_ = nullptr;
    end from_;
    end to_;
    std::uint32_t size_bytes_;
    int moved_ = 0;
    worker_descriptor source_of_worker_;
    worker_descriptor target_of_worker_;
    waiting waiting_;
    bool has_turn_ = false;
};

/// What `fd` is; the negated errno for what is no descriptor.
SAFER_RING_API int look_at_end(int fd, splice_kind& kind) noexcept;

} // namespace safer_ring::inline SAFER_RING_ABI::ring
