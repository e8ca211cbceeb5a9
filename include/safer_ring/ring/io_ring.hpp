// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/buffer_ring.hpp>
#include <safer_ring/ring/ring_operation.hpp>
#include <safer_ring/ring/stream.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

/// A kernel ring, used directly: operations own their buffers, and are waited
/// for by blocking, by callback, or in a coroutine.
///
/// *Destroyed with operations in flight* whose handles are still there, it stops
/// the program with a list of them: the kernel would go on writing to their
/// memory. `shutdown` is the orderly way.
///
/// *Descriptors* have to stay open until their operation is complete: one that
/// was interrupted, or whose thread has exited, is submitted once more, with the
/// same number.
///
/// *Thread safety*: all members may be called from any threads at once. One of
/// them waits in the kernel, the others for it.
///
/// *Kernel requirement*: io_uring, Linux 5.10.
///
/// @code
/// int ends[2];
/// assert(::pipe(ends) == 0);
/// safer_ring::io_ring ring;
/// auto reading = ring.read(ends[0], safer_ring::owned_buffer(4096)).submit();
/// auto writing = ring.write(ends[1], safer_ring::owned_buffer::copy_of("hello")).submit();
/// auto [result, buffer] = std::move(reading).wait().take();
/// assert(result.value() == 5 && buffer.text() == "hello");
/// assert(std::move(writing).wait().result().value() == 5);
/// ::close(ends[0]);
/// ::close(ends[1]);
/// @endcode
class io_ring {
    using core_type = ring::ring_core;

public:
    /// Of `settings` it uses the sizes of the queues. Throws std::system_error
    /// whose text names the likely cause.
    SAFER_RING_API explicit io_ring(const options& settings = {});
    /// On the backend given, as tests do.
    explicit io_ring(std::unique_ptr<backend::backend> kernel) : core_(std::move(kernel)) {}

    io_ring(const io_ring&) = delete;
    io_ring& operator=(const io_ring&) = delete;

    [[nodiscard]] const features& found() const noexcept { return core_.found(); }

    // ---- operations, to be submitted; see namespace ops for what each does

    [[nodiscard]] operation<ops::nop, building> nop() { return make(ops::nop{}); }
    [[nodiscard]] operation<ops::read, building> read(int fd, owned_buffer buffer)
    {
        return make(ops::read{{std::move(buffer)}, fd});
    }
    template <typename Buffer>
    requires std::same_as<Buffer, owned_buffer> || std::same_as<Buffer, shared_buffer>
    [[nodiscard]] operation<ops::write<Buffer>, building> write(int fd, Buffer buffer)
    {
        return make(ops::write<Buffer>{{std::move(buffer)}, fd});
    }
    [[nodiscard]] operation<ops::receive, building> receive(int fd, owned_buffer buffer,
                                                            int flags = 0)
    {
        return make(ops::receive{{std::move(buffer)}, fd, flags});
    }
    template <typename Buffer>
    requires std::same_as<Buffer, owned_buffer> || std::same_as<Buffer, shared_buffer>
    [[nodiscard]] operation<ops::send<Buffer>, building> send(int fd, Buffer buffer, int flags = 0)
    {
        return make(ops::send<Buffer>{{std::move(buffer)}, fd, flags});
    }
    [[nodiscard]] operation<ops::sync, building> fsync(int fd)
    {
        return make(ops::sync{{}, fd, false});
    }
    [[nodiscard]] operation<ops::sync, building> fdatasync(int fd)
    {
        return make(ops::sync{{}, fd, true});
    }
    [[nodiscard]] operation<ops::poll, building> poll(int fd, short events)
    {
        return make(ops::poll{{}, fd, events});
    }
    [[nodiscard]] operation<ops::timeout, building> timeout(std::chrono::nanoseconds time)
    {
        return make(ops::timeout{{}, ring::to_kernel_time(time)});
    }

    [[nodiscard]] operation<ops::accept, building> accept(int fd)
    {
        return make(ops::accept{{}, fd});
    }
    /// Throws std::invalid_argument for an address longer than any.
    [[nodiscard]] SAFER_RING_API operation<ops::connect, building>
    connect(int fd, const sockaddr* address, socklen_t address_size_bytes);
    [[nodiscard]] operation<ops::shutdown, building> shutdown(int fd, int how)
    {
        return make(ops::shutdown{{}, fd, how});
    }
    [[nodiscard]] operation<ops::open, building> open(std::string path, int flags, mode_t mode = 0)
    {
        return make(ops::open{{}, std::move(path), flags, mode});
    }
    [[nodiscard]] operation<ops::close, building> close(owned_descriptor descriptor)
    {
        return make(ops::close{{}, std::move(descriptor)});
    }
    [[nodiscard]] operation<ops::allocate, building>
    allocate(int fd, std::uint64_t offset, std::uint64_t size_bytes, int mode = 0)
    {
        return make(ops::allocate{{}, fd, mode, offset, size_bytes});
    }
    /// Without an offset, `no_offset`, at the position of the file or pipe.
    [[nodiscard]] operation<ops::splice, building> splice(int from, std::uint64_t from_offset,
                                                          int to, std::uint64_t to_offset,
                                                          std::size_t size_bytes)
    {
        return make(ops::splice{{}, from, from_offset, to, to_offset, size_bytes});
    }
    static constexpr std::uint64_t no_offset = backend::file_position;

    // ---- streams, begun already; see class stream. Each throws std::bad_alloc,
    // and std::invalid_argument for limits that make no sense.

    /// The connections of a listening socket, close-on-exec. Ends with an
    /// error, such as EMFILE; the connection waits in the backlog then, for the
    /// next stream. Multishot since Linux 5.19.
    [[nodiscard]] stream<streams::accept> accept_stream(int fd, const stream_limits& limits = {})
    {
        return {core_, streams::accept(fd), limits};
    }
    /// What a socket receives, in buffers that the kernel chooses of `buffers`,
    /// which have to be of this ring (std::invalid_argument). Ends with zero
    /// and an empty buffer at the end of a stream socket; of a datagram socket
    /// that is an empty datagram, and one longer than a buffer is cut.
    /// Multishot since Linux 6.0.
    [[nodiscard]] SAFER_RING_API stream<streams::receive>
    receive_stream(int fd, const buffer_ring& buffers, const stream_limits& limits = {});
    /// The events of a descriptor, as in poll(2): those that came since the last
    /// item, in one. Read or write until EAGAIN then: what is left over is not
    /// told of again. Multishot since Linux 5.13; before, an item tells what is
    /// so once the one before was taken, also again and again.
    [[nodiscard]] stream<streams::poll> poll_stream(int fd, short events)
    {
        return {core_, streams::poll(fd, events), {}};
    }
    /// The number of intervals that passed since the last item, once there is
    /// one. Throws std::invalid_argument for an interval that is not positive.
    /// Multishot since Linux 6.4.
    [[nodiscard]] SAFER_RING_API stream<streams::timeout>
    timeout_stream(std::chrono::nanoseconds interval);

    /// Submits them as one: each begins when the one before has succeeded in
    /// full, and is cancelled otherwise (a short read or write counts as a
    /// failure). Gives the submitted operations, in order. Throws
    /// std::length_error for more than fit into the submission queue, and
    /// std::bad_alloc; the operations are as they were then.
    template <typename... Ops>
    [[nodiscard]] std::tuple<operation<Ops, submitted>...>
    submit_linked(operation<Ops, building>&&... chain)
    {
        return submit_chain(backend::entry_link, chain...);
    }
    /// The same, but each begins whatever became of the one before.
    template <typename... Ops>
    [[nodiscard]] std::tuple<operation<Ops, submitted>...>
    submit_in_order(operation<Ops, building>&&... chain)
    {
        return submit_chain(backend::entry_hard_link, chain...);
    }

    // ---- driving it

    /// Hands what is queued to the kernel, without waiting.
    void flush() { core_.flush(); }
    /// Looks for completions and calls what is due; the number of callbacks.
    std::size_t poll() { return core_.poll(); }
    /// The same until no callback or coroutine waits for an operation.
    std::size_t run() { return core_.run(); }
    /// The same for one callback, and for so long at most.
    std::size_t run_one(std::chrono::nanoseconds limit = core_type::for_ever)
    {
        return core_.run_one(limit);
    }

    // ---- ending it

    /// Cancels one operation, if it is not over.
    void cancel(ring::operation_id id) { core_.cancel(id); }
    /// Cancels all operations on this descriptor.
    void cancel(int fd) { core_.cancel_descriptor(fd); }
    void cancel_all() { core_.cancel_all(); }
    /// Cancels everything and waits for its end; true when nothing is in flight
    /// any more.
    [[nodiscard]] bool shutdown(std::chrono::nanoseconds deadline)
    {
        return core_.shutdown(deadline);
    }

    /// A line for each operation in flight: what it is, on which descriptor,
    /// its buffer, state and age.
    [[nodiscard]] std::string describe() { return core_.describe(); }
    [[nodiscard]] std::size_t in_flight() { return core_.in_flight(); }

private:
    template <typename Op>
    operation<Op, building> make(Op&& op)
    {
        return operation<Op, building>(core_, std::move(op));
    }

    template <typename... Ops>
    std::tuple<operation<Ops, submitted>...> submit_chain(std::uint8_t link,
                                                          operation<Ops, building>&... chain)
    {
        const std::array<ring::request*, sizeof...(Ops)> all{&chain.request("submit_chain()")...};
        core_.submit(all.data(), all.size(), link);
        return {operation<Ops, submitted>(core_, std::move(chain.request_))...};
    }

    friend class buffer_ring;

    core_type core_;
};

} // namespace safer_ring::inline SAFER_RING_ABI
