// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/buffer_group.hpp>
#include <safer_ring/ring/io_result.hpp>
#include <safer_ring/ring/owned_descriptor.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI {

/// How far a stream goes ahead of who takes its items.
struct stream_limits {
    /// With so many items that nobody has taken, the kernel is asked to stop.
    std::size_t high_water = 16;
    /// With no more than so many it begins again.
    std::size_t low_water = 8;
    /// Of a receive_stream on a SOCK_STREAM socket, with buffers used whole: one
    /// completion may bring as many buffers as there is data for (Linux 6.10;
    /// no effect elsewhere).
    bool bundles = false;
};

/// What the streams of an io_ring are of: the entry of each, what a completion
/// of it brings, and what of that a program gets.
namespace streams {

/// What a completion means for the stream.
enum class outcome : std::uint8_t {
    goes_on,
    starves, ///< It needs a buffer, and there was none.
    is_over,
    is_lost, ///< There was no memory to keep what it brought.
};

/// Items that nobody has taken, the oldest first.
template <typename T>
class fifo {
public:
    [[nodiscard]] std::size_t size() const noexcept { return items_.size() - taken_; }

    [[nodiscard]] outcome push(T&& item) noexcept
    {
        if (has_lost_) // A gap is not to be hidden by what comes behind it.
            return outcome::is_lost;
        try {
            if (items_.size() == items_.capacity() && taken_ * 2 > items_.size())
                drop_taken();
            items_.push_back(std::move(item));
            return outcome::goes_on;
        } catch (const std::bad_alloc&) {
            has_lost_ = true;
            return outcome::is_lost;
        }
    }

    /// Who takes the items has been told of the gap.
    void forget_loss() noexcept { has_lost_ = false; }

    [[nodiscard]] T pop() noexcept
    {
        T item = std::move(items_[taken_++]);
        if (taken_ == items_.size()) {
            if (items_.capacity() > kept)
                std::vector<T>().swap(items_);
            drop_taken();
        }
        return item;
    }

private:
    /// An idle stream keeps so many places at most.
    static constexpr std::size_t kept = 4;

    void drop_taken() noexcept
    {
        items_.erase(items_.begin(),
                     items_.begin() + static_cast<std::ptrdiff_t>(std::min(taken_, items_.size())));
        taken_ = 0;
    }

    std::vector<T> items_;
    std::size_t taken_ = 0; // At the front.
    bool has_lost_ = false;
};

/// Connections, each with its descriptor.
class SAFER_RING_API accept {
public:
    using result_type = std::pair<io_result<int>, owned_descriptor>;

    explicit accept(int fd) noexcept : fd_(fd) {}
    void prepare(backend::submission_entry& entry, bool multishot) noexcept;
    outcome take_in(int result, std::uint32_t flags) noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
    [[nodiscard]] result_type take(bool cancelled) noexcept;
    static result_type end(const io_error& error, bool cancelled);
    [[nodiscard]] io_error subject() const noexcept { return {{}, "accept stream", fd_}; }

private:
    int fd_;
    fifo<owned_descriptor> items_;
};

/// Bytes of a stream socket in order, or datagrams.
class SAFER_RING_API receive {
public:
    using result_type = std::pair<io_result<std::size_t>, owned_buffer>;

    /// Throws std::invalid_argument for datagrams in parts of buffers.
    receive(int fd, std::shared_ptr<ring::buffer_group> buffers, const stream_limits& limits);
    void prepare(backend::submission_entry& entry, bool multishot) noexcept;
    outcome take_in(int result, std::uint32_t flags) noexcept;
    /// The kernel refused the entry: whether there is a simpler one.
    [[nodiscard]] bool simplify() noexcept { return std::exchange(bundles_, false); }
    [[nodiscard]] bool is_supplied(std::uint64_t turn) noexcept { return buffers_->supplies(turn); }
    /// Whether the request has to be made again, since it might not tell of the end.
    [[nodiscard]] bool begins_anew(int result, std::uint32_t flags) const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
    [[nodiscard]] result_type take(bool cancelled) noexcept;
    static result_type end(const io_error& error, bool cancelled);
    [[nodiscard]] io_error subject() const noexcept { return {{}, "receive stream", fd_}; }

private:
    int fd_;
    bool has_end_; // Where zero bytes are no message of none.
    std::shared_ptr<ring::buffer_group> buffers_;
    std::size_t high_water_;
    bool bundles_;
    fifo<owned_buffer> items_;
};

/// Events of a descriptor; those that came until they are taken are one item.
class SAFER_RING_API poll {
public:
    using result_type = io_result<int>;

    poll(int fd, short events) noexcept : fd_(fd), events_(events) {}
    /// Single requests report what goes on being so again and again; not before
    /// somebody has taken it.
    static constexpr std::size_t high_water(bool multishot) noexcept
    {
        return multishot ? std::numeric_limits<std::size_t>::max() : 1;
    }
    /// Where a multishot ends with its first completion, again and again: that is of
    /// what nobody is woken for, such as a regular file, which is always ready.
    static constexpr bool remains(int result) noexcept { return result >= 0; }
    void prepare(backend::submission_entry& entry, bool multishot) noexcept;
    outcome take_in(int result, std::uint32_t flags) noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return there_ != 0 ? 1 : 0; }
    [[nodiscard]] result_type take(bool cancelled) noexcept;
    static result_type end(const io_error& error, bool cancelled) { return {error, cancelled}; }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "poll stream", fd_}; }

private:
    int fd_;
    short events_;
    int there_ = 0;
};

/// Intervals; those that passed until they are taken are one item, their count.
class SAFER_RING_API timeout {
public:
    using result_type = io_result<std::uint64_t>;

    explicit timeout(std::chrono::nanoseconds interval) noexcept;
    static constexpr std::size_t high_water(bool) noexcept
    {
        return std::numeric_limits<std::size_t>::max();
    }
    void prepare(backend::submission_entry& entry, bool multishot) noexcept;
    outcome take_in(int result, std::uint32_t flags) noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return passed_ != 0 ? 1 : 0; }
    [[nodiscard]] result_type take(bool cancelled) noexcept;
    static result_type end(const io_error& error, bool cancelled) { return {error, cancelled}; }
    [[nodiscard]] io_error subject() const noexcept { return {{}, "timeout stream"}; }

private:
    std::chrono::nanoseconds interval_;
    std::chrono::steady_clock::time_point due_; // Of one that is single.
    bool is_single_ = false;
    backend::kernel_time time_{};
    std::uint64_t passed_ = 0;
};

} // namespace streams
} // namespace safer_ring::inline SAFER_RING_ABI
