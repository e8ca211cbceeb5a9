// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/caller_buffers.hpp>
#include <safer_ring/asio/detail/handler_operation.hpp>
#include <safer_ring/ring/socket_operations.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/execution_context.hpp>

#include <poll.h>
#include <sys/ioctl.h>
#include <tuple>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::detail {

class readiness_wait : public ring::wait_operation {
protected:
    using ring::wait_operation::wait_operation;
    ~readiness_wait() = default;

    std::tuple<error_code> take_arguments() const noexcept { return {to_error_code(result())}; }
};

/// The wait behind net::null_buffers: completes with a size of zero.
class null_buffers_wait : public ring::wait_operation {
protected:
    using ring::wait_operation::wait_operation;
    ~null_buffers_wait() = default;

    std::tuple<error_code, std::size_t> take_arguments() const noexcept
    {
        return {to_error_code(result()), 0};
    }
};

/// A transfer of no bytes: succeeds, also where a read would end a file.
using empty_transfer = null_buffers_wait;

/// Asks an I/O object for what is behind it. Handed to a synchronous call of its
/// public interface, which is what leads to the service: as a control command, or
/// as a buffer to read into or to write from. To Asio's own services these are a
/// command that changes nothing, and a buffer of no bytes.
class native_question : public net::mutable_buffer {
public:
    /// Null when the object is Asio's own.
    io_context* context() const noexcept { return context_; }
    /// Null while the object is closed.
    ring::descriptor* descriptor() const noexcept { return descriptor_; }
    /// Reads and writes of the object are in one line.
    bool has_one_line() const noexcept { return has_one_line_; }

    int name() const noexcept { return static_cast<int>(FIONREAD); }
    void* data() noexcept { return &ignored_; }

private:
    friend class native_service_base;
    mutable io_context* context_ = nullptr;
    mutable ring::descriptor* descriptor_ = nullptr;
    mutable bool has_one_line_ = false;
    int ignored_ = 0;
};

template <typename Object>
native_question ask(Object& object)
{
    native_question question;
    error_code ignored;
    if constexpr (requires { object.io_control(question, ignored); })
        object.io_control(question, ignored);
    else if constexpr (requires { object.read_some(question, ignored); })
        object.read_some(question, ignored);
    else if constexpr (requires { object.write_some(question, ignored); })
        object.write_some(question, ignored);
    else
        object.read_some_at(0, question, ignored);
    return question;
}

/// What services of native descriptors share. An `Implementation` has a
/// `ring::descriptor* descriptor_`, which is null while the object is closed.
class native_service_base {
protected:
    explicit native_service_base(net::execution_context& context)
        : context_(static_cast<io_context&>(context)), service_(context_.impl())
    {
    }

    /// A buffer sequence for Asio's synchronous calls.
    class io_vectors {
    public:
        template <typename Buffers>
        explicit io_vectors(const Buffers& buffers)
            : vectors_(buffers), all_empty_(measure(buffers).size_bytes == 0)
        {
        }
        iovec* data() noexcept { return vectors_.data(); }
        std::size_t size() const noexcept { return vectors_.size(); }
        const iovec* only() const noexcept { return vectors_.only(); }
        bool all_empty() const noexcept { return all_empty_; }
        /// Goes on behind so many bytes; false when nothing is left.
        bool drop_front(std::size_t size_bytes) noexcept { return vectors_.drop_front(size_bytes); }

    private:
        iovec_array vectors_;
        bool all_empty_;
    };

    ring::event_loop& loop() const noexcept { return service_.loop(); }

    void answer(const native_question& question, ring::descriptor* descriptor,
                bool has_one_line = false) const noexcept
    {
        question.context_ = &context_;
        question.descriptor_ = descriptor;
        question.has_one_line_ = has_one_line;
    }

    /// To be called before whatever must come after the writes that were
    /// started.
    template <typename Implementation>
    void before_synchronous(const Implementation& impl) const
    {
        if (impl.descriptor_ != nullptr)
            loop().attempt_writes(*impl.descriptor_);
    }

    /// To be called before what may wait for a peer, or looks what has come from one:
    /// that peer may be another object of this context, whose write has not gone yet.
    /// Answers how many completions there have been: see uninterrupted.hpp.
    template <typename Implementation>
    unsigned before_blocking(const Implementation& impl) const
    {
        before_synchronous(impl);
        return loop().submit_before_blocking();
    }

    template <typename Implementation>
    error_code cancel_all(Implementation& impl, error_code& ec)
    {
        if (impl.descriptor_ == nullptr)
            return ec = net::error::bad_descriptor;
        loop().cancel(*impl.descriptor_, service_.current_loop());
        return ec = {};
    }

    /// Ends all operations and leaves the native descriptor open.
    template <typename Implementation>
    void give_up(Implementation& impl)
    {
        loop().release(std::exchange(impl.descriptor_, nullptr), service_.current_loop());
    }

    /// `WaitBase` names the kinds of wait: net::socket_base or
    /// net::posix::descriptor_base.
    template <typename WaitBase, typename Implementation, typename Handler, typename IoExecutor>
    void start_wait(Implementation& impl, typename WaitBase::wait_type w, Handler& handler,
                    const IoExecutor& io_ex)
    {
        using op = handler_operation<readiness_wait, Handler, IoExecutor>;
        switch (w) {
        case WaitBase::wait_read:
            return start<op>(impl, ring::direction::read, handler, io_ex, short{POLLIN});
        case WaitBase::wait_write:
            return start<op>(impl, ring::direction::write, handler, io_ex, short{POLLOUT});
        case WaitBase::wait_error:
            return start<op>(impl, ring::direction::except, handler, io_ex, short{POLLPRI});
        default:
            return complete_at_once<op>(-EINVAL, handler, io_ex, short{0});
        }
    }

    /// An operation says so if not every type of cancellation ends it.
    template <typename Op>
    static constexpr net::cancellation_type_t cancelled_by() noexcept
    {
        if constexpr (requires { Op::cancelled_by; })
            return Op::cancelled_by;
        else
            return cancel_by_id::every_type;
    }

    template <typename Op, typename Implementation, typename Handler, typename IoExecutor,
              typename... Args>
    void start(Implementation& impl, ring::direction dir, Handler& handler, const IoExecutor& io_ex,
               Args&&... args)
    {
        if (impl.descriptor_ == nullptr)
            return complete_at_once<Op>(-EBADF, handler, io_ex, std::forward<Args>(args)...);
        auto slot = net::get_associated_cancellation_slot(handler);
        auto op = Op::make(handler, io_ex, context_, std::forward<Args>(args)...);
        ring::operation_id* id = nullptr;
        if (slot.is_connected())
            id = &slot.template emplace<cancel_by_id>(service_, cancelled_by<Op>()).id;
        loop().start(*impl.descriptor_, dir, *op, service_.current_loop(), id);
        op.release();
    }

    template <typename Op, typename Handler, typename IoExecutor, typename... Args>
    void complete_at_once(int result, Handler& handler, const IoExecutor& io_ex, Args&&... args)
    {
        auto op = Op::make(handler, io_ex, context_, std::forward<Args>(args)...);
        if constexpr (binds_immediate_executor<Handler, IoExecutor>) {
            Op::complete_immediately(std::move(op), result, io_ex);
        } else {
            loop().complete_at_once(*op, result, false, service_.current_loop());
            op.release();
        }
    }

    io_context& context_;
    loop_service& service_;
};

/// Starts operations on an object of which only the descriptor is known.
class native_starter : private native_service_base {
public:
    explicit native_starter(io_context& context)
        : native_service_base(static_cast<net::execution_context&>(context))
    {
    }

    /// `Base` is made of `args`. Where there is no descriptor, it fails with bad_descriptor.
    template <typename Base, typename Handler, typename IoExecutor, typename... Args>
    void start(ring::descriptor* descriptor, ring::direction dir, Handler& handler,
               const IoExecutor& io_ex, Args&&... args)
    {
        struct {
            ring::descriptor* descriptor_;
        } implementation{descriptor};
        native_service_base::start<handler_operation<Base, Handler, IoExecutor>>(
            implementation, dir, handler, io_ex, std::forward<Args>(args)...);
    }
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
