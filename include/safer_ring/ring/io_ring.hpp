// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/operations.hpp>
#include <safer_ring/ring/ring_core.hpp>

#include <array>
#include <chrono>
#include <coroutine>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

/// The states of an operation. Each transition takes the operation by rvalue
/// and gives it back in its next state, so that what makes no sense in a state
/// does not compile.
struct building {};
struct submitted {};
struct completed {};

template <typename Op, typename State>
class operation;

namespace ring {

/// The two ends of what an operation handle holds on to.
template <typename Op>
using request_ptr = std::unique_ptr<ops::request<Op>>;

/// For a handle that was moved from: C++ lets it be called.
template <typename Op>
ops::request<Op>& held_by(const request_ptr<Op>& request, const char* call)
{
    if (!request)
        stop_program(std::string(call) + " on an operation that was moved from; use what the "
                                         "move gave");
    return *request;
}

/// Makes a chain of them.
inline void link_all(std::span<request* const> chain, std::uint8_t link) noexcept
{
    for (request* r : chain.first(chain.size() - 1))
        r->entry_flags |= link;
}

inline backend::kernel_time to_kernel_time(std::chrono::nanoseconds time) noexcept
{
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(time);
    return {whole.count(), (time - whole).count()};
}

} // namespace ring

// Compilers quote the lines with the deleted functions to who calls one.
// clang-format off

/// An operation that is being put together; its buffer is in it already.
///
/// *Thread safety*: distinct operations may be used at once.
template <typename Op>
class SAFER_RING_CONSUMABLE(unconsumed) operation<Op, building> {
public:
    SAFER_RING_RETURNS(unconsumed) operation(ring::ring_core& core, Op&& op)
        : core_(&core), request_(std::make_unique<ops::request<Op>>(std::move(op)))
    {
    }
    SAFER_RING_RETURNS(unconsumed) operation(operation&&) noexcept = default;
    operation& operator=(operation&&) noexcept = default;
    operation(const operation&) = delete; // An operation has one owner: pass it on by std::move().
    operation& operator=(const operation&) = delete; // An operation has one owner: pass it on by std::move().
    ~operation() = default;

    /// Where in the file, in bytes; the file's own position otherwise.
    SAFER_RING_NOT_AFTER_MOVE operation at(std::uint64_t offset) &&
        requires requires(Op& op) { op.offset; }
    {
        request("at()").op().offset = offset;
        return std::move(*this);
    }

    /// Cancels it after that time, unless it is complete; it fails with
    /// ETIMEDOUT then, or, as a part of a chain, with ECANCELED. Counts from the
    /// flush.
    SAFER_RING_NOT_AFTER_MOVE operation within(std::chrono::nanoseconds limit) &&
    {
        request("within()").has_time_limit = true;
        request("within()").time_limit = ring::to_kernel_time(limit);
        return std::move(*this);
    }

    /// Begins when everything that was submitted before is complete.
    SAFER_RING_NOT_AFTER_MOVE operation drained() &&
    {
        request("drained()").entry_flags |= backend::entry_drain;
        return std::move(*this);
    }

    /// Queues it; the kernel gets it with the next `flush`, `wait`, `poll` or
    /// `run` of the ring, together with all that was queued until then. Throws
    /// std::bad_alloc, and then the buffer is gone with the operation.
    SAFER_RING_NOT_AFTER_MOVE operation<Op, submitted> submit() &&
    {
        ring::request* const one = &request("submit()");
        core_->submit(&one, 1);
        return {*core_, std::move(request_)};
    }

    void wait() & = delete; // Not submitted yet: std::move(operation).submit() first.
    void wait() && = delete; // Not submitted yet: std::move(operation).submit() first.
    void is_done() const = delete; // Not submitted yet: std::move(operation).submit() first.
    void cancel() = delete; // Not submitted yet: std::move(operation).submit() first.
    void take() = delete; // Not submitted yet: std::move(operation).submit().wait() first.
    void submit() & = delete; // As std::move(operation).submit().

private:
    friend class io_ring;

    ops::request<Op>& request(const char* call) const { return ring::held_by<Op>(request_, call); }

    ring::ring_core* core_;
    ring::request_ptr<Op> request_;
};

/// An operation on its way. Its buffer is the kernel's: under AddressSanitizer
/// the bytes are poisoned until it is complete.
///
/// *Destroyed before it is complete*, it is cancelled; the buffer goes back
/// where it came from when the kernel has let go of it.
///
/// *Lifetime*: the ring has to live until it is complete.
///
/// *Thread safety*: distinct operations may be used at once.
template <typename Op>
class SAFER_RING_CONSUMABLE(unconsumed) operation<Op, submitted> {
public:
    SAFER_RING_RETURNS(unconsumed)
    operation(ring::ring_core& core, ring::request_ptr<Op>&& request) noexcept
        : core_(&core), request_(std::move(request))
    {
    }
    SAFER_RING_RETURNS(unconsumed) operation(operation&&) noexcept = default;
    SAFER_RING_SETS(unconsumed) operation& operator=(operation&& other) noexcept
    {
        operation taken(std::move(other));
        std::swap(core_, taken.core_);
        std::swap(request_, taken.request_);
        return *this;
    }
    operation(const operation&) = delete; // An operation has one owner: pass it on by std::move().
    operation& operator=(const operation&) = delete; // An operation has one owner: pass it on by std::move().
    ~operation()
    {
        if (request_ && !request_->is_over())
            core_->abandon(std::move(request_));
    }

    /// Whether it is complete, as far as the ring has looked.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE bool is_done() const
    {
        return request("is_done()").is_over();
    }

    /// Flushes the ring and waits until it is complete.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE operation<Op, completed> wait() &&
    {
        if (!request("wait()").is_over())
            core_->wait(*request_, ring::ring_core::for_ever);
        return operation<Op, completed>(std::move(request_));
    }
    /// The same for so long at most; true when it is complete, and `wait()`
    /// returns at once.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE bool wait_for(std::chrono::nanoseconds limit)
    {
        return request("wait_for()").is_over() || core_->wait(*request_, limit);
    }

    /// Asks for its end. It completes with ECANCELED, or with what it achieved
    /// before; what is being done by a disk cannot be ended.
    SAFER_RING_NOT_AFTER_MOVE void cancel() { core_->cancel(request("cancel()").id()); }

    /// For `io_ring::cancel`, also from another thread and when it is over.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE ring::request_id id() const
    {
        return request("id()").id();
    }

    /// Calls `handler(operation<Op, completed>)` from the ring's `poll` or
    /// `run` when it is complete.
    template <typename F>
    SAFER_RING_NOT_AFTER_MOVE void then(F handler) &&
    {
        auto next = std::make_unique<callback<F>>(std::move(handler), std::move(request_));
        ring::request& to_continue = ring::held_by<Op>(next->request, "then()");
        core_->continue_with(to_continue, *next.release());
    }

    /// In any coroutine, which is resumed by the ring's `poll` or `run`; gives
    /// the completed operation.
    SAFER_RING_NOT_AFTER_MOVE auto operator co_await() &&
    {
        request("co_await");
        return awaiter(*core_, std::move(request_));
    }

    void submit() = delete; // It is submitted already.
    void at(std::uint64_t) = delete; // It is submitted already: say so before submit().
    void within(std::chrono::nanoseconds) = delete; // It is submitted already: say so before submit().
    void drained() = delete; // It is submitted already: say so before submit().
    void wait() & = delete; // As std::move(operation).wait().
    void take() = delete; // Not complete yet: std::move(operation).wait() first.
    void result() const = delete; // Not complete yet: std::move(operation).wait() first.

private:
    friend class io_ring;

    // clang-format on
    template <typename F>
    struct callback final : ring::continuation {
        callback(F&& f, ring::request_ptr<Op>&& r) : handler(std::move(f)), request(std::move(r)) {}
        void resume() override
        {
            const std::unique_ptr<callback> self(this);
            handler(operation<Op, completed>(std::move(request)));
        }
        void drop() noexcept override { delete this; }
        F handler;
        ring::request_ptr<Op> request;
    };

    struct awaiter final : ring::continuation {
        awaiter(ring::ring_core& c, ring::request_ptr<Op>&& r) noexcept
            : core(&c), request(std::move(r))
        {
        }
        awaiter(awaiter&&) = delete;
        /// The coroutine may be destroyed while it waits.
        ~awaiter()
        {
            if (request && core != nullptr)
                core->abandon(std::move(request));
        }
        bool await_ready() const noexcept { return request->is_over(); }
        void await_suspend(std::coroutine_handle<> handle)
        {
            coroutine = handle;
            core->continue_with(*request, *this);
        }
        operation<Op, completed> await_resume()
        {
            return operation<Op, completed>(std::move(request));
        }
        void resume() override { coroutine.resume(); }
        void drop() noexcept override { core = nullptr; }

        ring::ring_core* core;
        ring::request_ptr<Op> request;
        std::coroutine_handle<> coroutine;
    };
    // clang-format off

    ops::request<Op>& request(const char* call) const { return ring::held_by<Op>(request_, call); }

    ring::ring_core* core_;
    ring::request_ptr<Op> request_;
};

/// An operation that is over, with its result and its buffer. It does not need
/// its ring any more.
template <typename Op>
class SAFER_RING_CONSUMABLE(unconsumed) operation<Op, completed> {
public:
    using result_type = io_result<typename Op::value_type>;

    SAFER_RING_RETURNS(unconsumed) explicit operation(ring::request_ptr<Op>&& request) noexcept
        : request_(std::move(request))
    {
    }
    SAFER_RING_RETURNS(unconsumed) operation(operation&&) noexcept = default;
    operation& operator=(operation&&) noexcept = default;
    operation(const operation&) = delete; // An operation has one owner: pass it on by std::move().
    operation& operator=(const operation&) = delete; // An operation has one owner: pass it on by std::move().
    ~operation() = default;

    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE result_type result() const
    {
        return ring::held_by<Op>(request_, "result()").outcome();
    }

    /// Result and buffer, or result and new descriptor, as a pair; the result
    /// alone where there is neither.
    [[nodiscard]] SAFER_RING_NOT_AFTER_MOVE auto take() &&
    {
        const ring::request_ptr<Op> over = std::move(request_);
        ops::request<Op>& request = ring::held_by<Op>(over, "take()");
        if constexpr (requires(Op& op) { op.buffer; })
            return std::pair(request.outcome(), std::move(request.op().buffer));
        else if constexpr (requires(Op& op) { op.descriptor; })
            return std::pair(request.outcome(), std::move(request.op().descriptor));
        else
            return request.outcome();
    }

    void take() & = delete; // Once only: std::move(operation).take().
    void submit() = delete; // It is complete: make a new one.
    void wait() = delete; // It is complete already.
    void cancel() = delete; // It is complete already.

private:
    ring::request_ptr<Op> request_;
};

// clang-format on

/// A kernel ring, used directly: operations own their buffers, and are waited
/// for by blocking, by callback, or in a coroutine.
///
/// *Destroyed with operations in flight* whose handles are still there, it stops
/// the program with a list of them: the kernel would go on writing to their
/// memory. `shutdown` is the orderly way.
///
/// *Descriptors* have to stay open until their operation is flushed; the kernel
/// keeps its own reference from then on.
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
        return make(ops::accept{fd, {}});
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
        return make(ops::open{std::move(path), flags, mode, {}});
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

    /// Submits them as one: each begins when the one before has succeeded in
    /// full, and is cancelled otherwise (a short read or write counts as a
    /// failure). Gives the submitted operations, in order. Throws
    /// std::length_error for more than fit into the submission queue.
    template <typename... Ops>
    [[nodiscard]] std::tuple<operation<Ops, submitted>...>
    submit_linked(operation<Ops, building>... chain)
    {
        return submit_chain(backend::entry_link, chain...);
    }
    /// The same, but each begins whatever became of the one before.
    template <typename... Ops>
    [[nodiscard]] std::tuple<operation<Ops, submitted>...>
    submit_in_order(operation<Ops, building>... chain)
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
    void cancel(ring::request_id id) { core_.cancel(id); }
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
        ring::link_all(all, link);
        core_.submit(all.data(), all.size());
        return {operation<Ops, submitted>(core_, std::move(chain.request_))...};
    }

    core_type core_;
};

} // namespace safer_ring::inline SAFER_RING_ABI
