// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/buffer_ring.hpp>
#include <safer_ring/ring/direct_operations.hpp>
#include <safer_ring/ring/message_operations.hpp>
#include <safer_ring/ring/registered_file.hpp>
#include <safer_ring/ring/ring_operation.hpp>
#include <safer_ring/ring/stream.hpp>
#include <safer_ring/ring/vectored_operations.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI {

/// A kernel ring, used directly: operations own their buffers, and are waited
/// for by blocking, by callback, or in a coroutine.
///
/// *Destroyed with operations in flight* that somebody waits for, by a handle, a
/// callback or a coroutine, it stops the program with a list of them: the kernel
/// would go on writing to their memory. `shutdown` is the orderly way. Of those
/// that were given up, by destroying the handle, it waits up to five seconds for
/// the end; memory that the kernel has then still is not freed, and a report says so.
///
/// It must not be destroyed by a callback or a coroutine that it resumes, nor while a thread waits for it or
/// drives it; the latter stops the program.
///
/// *Order*: operations that are in flight together have none, also on one descriptor; the kernel may begin
/// them backwards. `submit_linked` and `submit_in_order` are for those that need one.
///
/// *Descriptors* have to stay open until their operation is complete: one that
/// was interrupted, or whose thread has exited, is submitted once more, with the
/// same number. A registered file stays by itself.
///
/// *Thread safety*: all members may be called from any threads at once. One of
/// them waits in the kernel, the others for it.
///
/// *fork(2)*: the ring stays the parent's. In the child, operations that were in flight
/// can be cancelled and given up, others fail with EBADF, and to wait for one that the
/// parent's kernel has throws; the child makes a ring of its own.
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
    /// Of `settings` it uses the sizes of the queues and of the tables of what is
    /// registered. Throws std::system_error whose text names the likely cause.
    SAFER_RING_API explicit io_ring(const options& settings = {});
    /// On the backend given, as tests do.
    explicit io_ring(std::unique_ptr<backend::backend> kernel) : core_(std::move(kernel)) {}

    io_ring(const io_ring&) = delete;
    io_ring& operator=(const io_ring&) = delete;

    [[nodiscard]] const features& found() const noexcept { return core_.found(); }

    // ---- operations, to be submitted; see namespace ops for what each does

    [[nodiscard]] operation<ops::nop, building> nop() { return make(ops::nop{}); }
    [[nodiscard]] operation<ops::read, building> read(file_ref file, owned_buffer buffer)
    {
        return make(ops::read{{std::move(buffer)}, number(file)}, file);
    }
    template <typename Buffer>
    requires std::same_as<Buffer, owned_buffer> || std::same_as<Buffer, shared_buffer>
    [[nodiscard]] operation<ops::write<Buffer>, building> write(file_ref file, Buffer buffer)
    {
        return make(ops::write<Buffer>{{std::move(buffer)}, number(file)}, file);
    }
    [[nodiscard]] operation<ops::receive, building> receive(file_ref file, owned_buffer buffer,
                                                            int flags = 0)
    {
        return make(ops::receive{{std::move(buffer)}, number(file), flags}, file);
    }
    template <typename Buffer>
    requires std::same_as<Buffer, owned_buffer> || std::same_as<Buffer, shared_buffer>
    [[nodiscard]] operation<ops::send<Buffer>, building> send(file_ref file, Buffer buffer,
                                                              int flags = 0)
    {
        return make(ops::send<Buffer>{{std::move(buffer)}, number(file), flags}, file);
    }
    template <typename Buffer>
    requires std::same_as<Buffer, owned_buffer> || std::same_as<Buffer, shared_buffer>
    [[nodiscard]] operation<ops::send_zero_copy<Buffer>, building>
    send_zero_copy(file_ref file, Buffer buffer, int flags = 0)
    {
        return make(
            ops::send_zero_copy<Buffer>{
                {std::move(buffer)}, number(file), flags, !found().zero_copy_send},
            file);
    }

    // ---- several buffers in one go

    [[nodiscard]] operation<ops::read_vectored, building> read(file_ref file,
                                                               std::vector<owned_buffer> buffers)
    {
        return make(ops::read_vectored{{std::move(buffers)}, number(file)}, file);
    }
    template <typename Buffer>
    requires std::same_as<Buffer, owned_buffer> || std::same_as<Buffer, shared_buffer>
    [[nodiscard]] operation<ops::write_vectored<Buffer>, building>
    write(file_ref file, std::vector<Buffer> buffers)
    {
        return make(ops::write_vectored<Buffer>{{std::move(buffers)}, number(file)}, file);
    }
    [[nodiscard]] operation<ops::receive_message, building>
    receive_message(file_ref file, message<owned_buffer> into, int flags = 0)
    {
        return make(ops::receive_message{{std::move(into)}, number(file), flags}, file);
    }
    template <typename Buffer>
    [[nodiscard]] operation<ops::send_message<Buffer>, building>
    send_message(file_ref file, message<Buffer> what, int flags = 0)
    {
        return make(ops::send_message<Buffer>{{std::move(what)}, number(file), flags}, file);
    }

    // ---- files

    [[nodiscard]] operation<ops::sync, building> fsync(file_ref file)
    {
        return make(ops::sync{{}, number(file), false}, file);
    }
    [[nodiscard]] operation<ops::sync, building> fdatasync(file_ref file)
    {
        return make(ops::sync{{}, number(file), true}, file);
    }
    /// Of a descriptor; the kernel takes no registered file here.
    [[nodiscard]] operation<ops::stat, building> stat(int fd, unsigned mask = STATX_BASIC_STATS)
    {
        return make(ops::stat{{}, fd, {}, AT_EMPTY_PATH, mask});
    }
    [[nodiscard]] operation<ops::stat, building> stat(std::string path, int flags = 0,
                                                      unsigned mask = STATX_BASIC_STATS)
    {
        return make(ops::stat{{}, AT_FDCWD, std::move(path), flags, mask});
    }

    // ---- time, readiness, connections

    [[nodiscard]] operation<ops::poll, building> poll(file_ref file, short events)
    {
        return make(ops::poll{{}, number(file), events}, file);
    }
    [[nodiscard]] operation<ops::timeout, building> timeout(std::chrono::nanoseconds time)
    {
        // The flag is of Linux 5.16, which nothing else tells of.
        const std::uint32_t flags = found().submit_all ? backend::timeout_is_success : 0;
        // The kernel refuses a time below zero, as is left of a point that has passed.
        time = std::max(time, std::chrono::nanoseconds::zero());
        return make(ops::timeout{{}, ring::to_kernel_time(time), flags});
    }

    [[nodiscard]] operation<ops::accept, building> accept(file_ref file)
    {
        return make(ops::accept{{}, number(file)}, file);
    }
    /// Throws std::invalid_argument for an address longer than any.
    [[nodiscard]] SAFER_RING_API operation<ops::connect, building>
    connect(file_ref file, const sockaddr* address, socklen_t address_size_bytes);
    [[nodiscard]] operation<ops::shutdown, building> shutdown(file_ref file, int how)
    {
        return make(ops::shutdown{{}, number(file), how}, file);
    }
    [[nodiscard]] operation<ops::open, building> open(std::string path, int flags, mode_t mode = 0)
    {
        return make(ops::open{{}, {std::move(path), flags, mode}});
    }
    [[nodiscard]] operation<ops::close, building> close(owned_descriptor descriptor)
    {
        return make(ops::close{{}, std::move(descriptor)});
    }
    /// The file of a registration, which ends: pass it on by std::move().
    template <typename File>
    requires std::same_as<File, registered_file>
    [[nodiscard]] operation<ops::close_direct, building> close(File file)
    {
        ring::registration_share closing = std::move(ring::registration_access::share(file));
        ring::require_handle(closing, "registered_file");
        require_mine(closing);
        return make(ops::close_direct{{}, std::move(closing), found().direct_descriptors});
    }
    [[nodiscard]] operation<ops::allocate, building>
    allocate(file_ref file, std::uint64_t offset, std::uint64_t size_bytes, int mode = 0)
    {
        return make(ops::allocate{{}, number(file), mode, offset, size_bytes}, file);
    }
    /// Without an offset, `no_offset`, at the position of the file or pipe.
    [[nodiscard]] operation<ops::splice, building> splice(file_ref from, std::uint64_t from_offset,
                                                          file_ref to, std::uint64_t to_offset,
                                                          std::size_t size_bytes)
    {
        return make(
            ops::splice{
                {}, number(from), from_offset, number(to), to_offset, size_bytes, share(from)},
            to);
    }
    static constexpr std::uint64_t no_offset = backend::file_position;

    [[nodiscard]] operation<ops::socket, building> socket(int domain, int type, int protocol = 0)
    {
        return make(ops::socket{{}, {domain, type, protocol}});
    }
    /// These give a registered file instead of a descriptor: Linux 5.19,
    /// EOPNOTSUPP before.
    [[nodiscard]] operation<ops::accept_direct, building> accept_direct(file_ref file)
    {
        return make(ops::accept_direct{{{}, &core_.registrations()}, number(file)}, file);
    }
    [[nodiscard]] operation<ops::open_direct, building> open_direct(std::string path, int flags,
                                                                    mode_t mode = 0)
    {
        return make(ops::open_direct{{{}, &core_.registrations()}, {std::move(path), flags, mode}});
    }
    [[nodiscard]] operation<ops::socket_direct, building> socket_direct(int domain, int type,
                                                                        int protocol = 0)
    {
        return make(ops::socket_direct{{{}, &core_.registrations()}, {domain, type, protocol}});
    }

    // ---- messages from ring to ring

    /// Where messages to this ring go. Takes two descriptors at the first call,
    /// for which it throws std::system_error.
    [[nodiscard]] ring_address address() { return ring_address(core_.messages()); }
    /// 64 bits for another ring; see ops::message_ring. Throws std::bad_alloc
    /// where there is no memory for it at the other end.
    [[nodiscard]] operation<ops::message_ring, building> message_ring(const ring_address& to,
                                                                      std::uint64_t value)
    {
        return make(
            ops::message_ring{{}, ring::message_ticket(to.box_), value, found().ring_messages});
    }

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
    /// that is an empty datagram, and one longer than a buffer is cut; buffers that
    /// are used in parts are for stream sockets only (std::invalid_argument).
    /// Multishot since Linux 6.0.
    [[nodiscard]] SAFER_RING_API stream<streams::receive>
    receive_stream(int fd, const buffer_ring& buffers, const stream_limits& limits = {});
    /// The events of a descriptor, as in poll(2): those that came since the last
    /// item, in one. Read or write until EAGAIN then: what is left over is not
    /// told of again. Multishot since Linux 5.13; before, and of what is always
    /// ready, such as a regular file, an item tells what is so once the one before
    /// was taken, also again and again.
    [[nodiscard]] stream<streams::poll> poll_stream(int fd, short events)
    {
        return {core_, streams::poll(fd, events), {}};
    }
    /// The number of intervals that passed since the last item, once there is
    /// one. Throws std::invalid_argument for an interval that is not positive.
    /// Multishot since Linux 6.4.
    [[nodiscard]] SAFER_RING_API stream<streams::timeout>
    timeout_stream(std::chrono::nanoseconds interval);

    /// The messages to this ring, also those that came before. One stream at a
    /// time: std::logic_error; std::system_error as of `address`. What one that was
    /// cancelled has not given by then is the new one's, and only its end is left to
    /// it. There is no bound to how many may wait, and its limits are none.
    [[nodiscard]] SAFER_RING_API stream<streams::messages> messages();

    /// Submits them as one: each begins when the one before has succeeded in
    /// full, and is cancelled otherwise: a short read, write, send or splice counts
    /// as a failure, and a send goes on until all is sent (MSG_WAITALL; before Linux
    /// 5.19 it may end short, and fails the chain). A receive has succeeded with
    /// whatever has come, unless it has that flag too. Gives the submitted
    /// operations, in order. Throws std::length_error for more than fit into the
    /// submission queue, and std::bad_alloc; the operations are as they were then.
    ///
    /// What the kernel takes in parts only (more than 0x7ffff000 bytes, more than IOV_MAX buffers) fails
    /// with EINVAL, and what it refuses before it begins, such as a kind of socket that there is not,
    /// takes the whole chain along. When the thread that has submitted a chain exits, whichever it was,
    /// what had not begun by then ends with ECANCELED.
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

    // ---- what is registered; each throws std::system_error, whose text names the likely cause

    /// Registers the file of this descriptor, which stays the caller's. At most
    /// options::registered_file_count at once, nor more than RLIMIT_NOFILE was when
    /// the first was registered: ENFILE beyond. EOPNOTSUPP where the kernel has none
    /// (`features::registered_files`).
    [[nodiscard]] SAFER_RING_API registered_file register_file(int fd);
    /// Puts the file of another descriptor in its place; the handle stays. Fails
    /// with EBUSY while operations use it.
    SAFER_RING_API void replace(registered_file& file, int fd);
    /// Registers all buffers of a pool at once, whose pages are locked in memory:
    /// operations use that by themselves, see registered_buffers. At most 1 GiB (E2BIG), and
    /// options::registered_buffer_count pools at once (ENFILE). ENOMEM tells of
    /// RLIMIT_MEMLOCK. Linux 5.13; EOPNOTSUPP before
    /// (`features::registered_buffers`).
    [[nodiscard]] SAFER_RING_API registered_buffers register_buffers(buffer_pool& pool);
    /// Ends a registration. Refused with EBUSY while operations use it (for
    /// files those that are made and not complete, for buffers those that are
    /// submitted and not complete); the handle is as it was then. Dropped
    /// instead, the registration ends with the last of them.
    SAFER_RING_API void unregister(registered_file&& file);
    SAFER_RING_API void unregister(registered_buffers&& buffers);
    // clang-format off
    void unregister(registered_file&) = delete; // It ends the handle: give it up, unregister(std::move(file)).
    void unregister(registered_buffers&) = delete; // It ends the handle: give it up, unregister(std::move(buffers)).
    // clang-format on

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
    /// Cancels all operations on this descriptor or registered file; the one
    /// does not stand for the other.
    void cancel(file_ref file)
    {
        if (const ring::registration_share registered = share(file))
            core_.cancel_registered(registered->index);
        else
            core_.cancel_descriptor(number(file));
    }
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
        file_ref none(-1);
        return make(std::move(op), none);
    }
    template <typename Op>
    operation<Op, building> make(Op&& op, file_ref& file)
    {
        operation<Op, building> made(core_, std::move(op));
        made.request_->use(core_.registrations(), share(file));
        return made;
    }
    static int number(const file_ref& file) noexcept
    {
        return ring::registration_access::descriptor(file);
    }
    ring::registration_share share(file_ref& file) noexcept
    {
        ring::registration_share of_file = ring::registration_access::take(file);
        if (of_file)
            require_mine(of_file);
        return of_file;
    }
    /// Stops the program if it is registered with another ring.
    SAFER_RING_API void require_mine(const ring::registration_share& share) noexcept;

    template <typename... Ops>
    std::tuple<operation<Ops, submitted>...> submit_chain(std::uint8_t link,
                                                          operation<Ops, building>&... chain)
    {
        const std::array<ring::request*, sizeof...(Ops)> all{&chain.request("submit_chain()")...};
        if (((chain.core_ != &core_) || ...))
            ring::stop_program("submit_linked() or submit_in_order() with an operation of another "
                               "ring; a chain is of operations of the ring that submits it");
        core_.submit(all.data(), all.size(), link);
        return {operation<Ops, submitted>(core_, std::move(chain.request_))...};
    }

    friend class buffer_ring;

    core_type core_;
};

} // namespace safer_ring::inline SAFER_RING_ABI
