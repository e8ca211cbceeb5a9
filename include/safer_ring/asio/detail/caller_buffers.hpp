// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/asio_names.hpp>
#include <safer_ring/asio/error.hpp>
#include <safer_ring/ring/io_operation.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <type_traits>
#include <utility>

/// The caller's buffers on their way to system calls, and errors on their way
/// back.
namespace safer_ring::inline SAFER_RING_ABI::detail {

using boost::system::error_code;

/// The error_code of a negated errno, or of an error of ours; no error for
/// anything else.
inline error_code to_error_code(int result) noexcept
{
    if (result == ring::stream_is_open)
        return error::stream_is_open;
    return result < 0 ? error_code(-result, net::error::get_system_category()) : error_code();
}

inline std::byte* bytes_of(const net::mutable_buffer& buffer) noexcept
{
    return static_cast<std::byte*>(buffer.data());
}
inline std::byte* bytes_of(const net::const_buffer& buffer) noexcept
{
    return static_cast<std::byte*>(const_cast<void*>(buffer.data()));
}

/// An element of a sequence, to look at its bytes. What converts to a
/// mutable_buffer alone does not convert to a const_buffer, and what converts to
/// both does not say which of them a const_buffer is to be made from.
template <typename Element>
net::const_buffer view_of(const Element& element) noexcept
{
    if constexpr (std::is_convertible_v<const Element&, net::const_buffer>)
        return element;
    else
        return net::mutable_buffer(element);
}

/// Calls `f(data, size)` for each piece of `buffers` that is not empty, behind
/// the first `skip` bytes and as far as `limit` bytes, until it answers false.
template <typename Buffers, typename F>
void for_each_piece(const Buffers& buffers, std::size_t skip, std::size_t limit, F&& f) noexcept
{
    const auto end = net::buffer_sequence_end(buffers);
    for (auto it = net::buffer_sequence_begin(buffers); it != end && limit != 0; ++it) {
        const net::const_buffer buffer = view_of(*it);
        const std::size_t size = buffer.size();
        if (size <= skip) {
            skip -= size;
            continue;
        }
        const std::size_t piece = std::min(size - skip, limit);
        if (!f(bytes_of(buffer) + skip, piece))
            return;
        skip = 0;
        limit -= piece;
    }
}

/// What a sequence comes to.
struct extent {
    std::size_t size_bytes = 0;
    bool lacks_memory = false; ///< Some part of it has a size and no memory.

    void add(const net::const_buffer& buffer) noexcept
    {
        size_bytes += buffer.size();
        lacks_memory = lacks_memory || (buffer.data() == nullptr && buffer.size() != 0);
    }
};

/// The kernel answers EFAULT where memory is lacking; what is copied by us has
/// to be looked at before.
template <typename Buffers>
extent measure(const Buffers& buffers) noexcept
{
    extent all;
    const auto end = net::buffer_sequence_end(buffers);
    for (auto it = net::buffer_sequence_begin(buffers); it != end; ++it)
        all.add(view_of(*it));
    return all;
}

/// The first buffers of a sequence that are not empty, as the kernel wants them. Asio,
/// too, passes at most this many at a time.
class iovec_array {
public:
    static constexpr std::size_t max_size = 64;

    template <typename Buffers>
    explicit iovec_array(const Buffers& buffers) noexcept
    {
        const auto end = net::buffer_sequence_end(buffers);
        for (auto it = net::buffer_sequence_begin(buffers); it != end && size_ < max_size; ++it) {
            // Of empty ones alone, a read would find the end of a stream.
            if (const net::const_buffer buffer = view_of(*it); buffer.size() != 0)
                iovecs_[size_++] = {const_cast<void*>(buffer.data()), buffer.size()};
        }
    }

    /// A part of a sequence: what is not empty behind the first `skip` bytes, at
    /// most `limit` bytes.
    template <typename Buffers>
    iovec_array(const Buffers& buffers, std::size_t skip, std::size_t limit) noexcept
    {
        for_each_piece(buffers, skip, limit, [this](std::byte* data, std::size_t size) {
            iovecs_[size_++] = {data, size};
            return size_ != max_size;
        });
    }

    /// The buffer, if it is the only one: send(2) and recv(2) cost less than
    /// sendmsg(2) and recvmsg(2), which read their arguments from memory.
    [[nodiscard]] const iovec* only() const noexcept
    {
        return size_ == 1 ? iovecs_.data() : nullptr;
    }

    [[nodiscard]] iovec* data() noexcept { return iovecs_.data(); }
    [[nodiscard]] const iovec* data() const noexcept { return iovecs_.data(); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// Goes on behind so many bytes; false when nothing is left.
    bool drop_front(std::size_t size_bytes) noexcept
    {
        std::size_t first = 0;
        for (; first != size_ && iovecs_[first].iov_len <= size_bytes; ++first)
            size_bytes -= iovecs_[first].iov_len;
        size_ -= first;
        std::memmove(iovecs_.data(), iovecs_.data() + first, size_ * sizeof(iovec));
        if (size_ == 0)
            return false;
        iovecs_[0] = {static_cast<std::byte*>(iovecs_[0].iov_base) + size_bytes,
                      iovecs_[0].iov_len - size_bytes};
        return true;
    }

    /// The number of buffers, as readv(2) and its kin take it.
    [[nodiscard]] int count() const noexcept { return static_cast<int>(size_); }

    /// All buffers together.
    [[nodiscard]] extent measure() const noexcept
    {
        extent all;
        for (std::size_t i = 0; i < size_; ++i)
            all.add(net::const_buffer(iovecs_[i].iov_base, iovecs_[i].iov_len));
        return all;
    }

    msghdr header() noexcept
    {
        msghdr h{};
        h.msg_iov = iovecs_.data();
        h.msg_iovlen = size_;
        return h;
    }

private:
    std::array<iovec, max_size> iovecs_;
    std::size_t size_ = 0;
};

/// Repeats a system call that a signal interrupted; the negated errno on
/// failure.
template <typename F>
ssize_t retry_interrupted(F&& call) noexcept
{
    for (;;) {
        const ssize_t n = call();
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

/// The caller's buffers in an operation that knows their size.
template <typename Buffers>
class kept_buffers {
public:
    explicit kept_buffers(const Buffers& buffers) : buffers_(buffers) {}
    const Buffers& get(std::size_t) const noexcept { return buffers_; }

private:
    Buffers buffers_;
};

template <typename T, typename Buffer>
inline constexpr bool is_derived_buffer = std::is_convertible_v<const T*, const Buffer*>;

/// Asio's own buffers and what adds nothing to them. Another type may own the
/// memory, or be a sequence that also converts to a buffer, and is kept whole.
template <typename T>
inline constexpr bool is_plain_buffer = std::is_trivially_copyable_v<T> &&
                                        sizeof(T) == 2 * sizeof(void*) &&
                                        (is_derived_buffer<T, net::const_buffer> ||
                                         is_derived_buffer<T, net::mutable_buffer>);

/// One buffer, without its size. A buffer that has just been made is copied
/// by a load of 16 bytes from two stores of 8, for which the processor waits
/// until all earlier stores are done: 1 % of an echo each time.
template <typename Buffer>
requires is_plain_buffer<Buffer>
class kept_buffers<Buffer> {
    using buffer = std::conditional_t<is_derived_buffer<Buffer, net::mutable_buffer>,
                                      net::mutable_buffer, net::const_buffer>;

public:
    explicit kept_buffers(const Buffer& b) noexcept : data_(static_cast<const buffer&>(b).data()) {}
    buffer get(std::size_t size_bytes) const noexcept { return buffer(data_, size_bytes); }

private:
    decltype(std::declval<buffer>().data()) data_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
