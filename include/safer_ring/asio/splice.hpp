// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/complete_elsewhere.hpp>
#include <safer_ring/asio/detail/initiation_of.hpp>
#include <safer_ring/asio/detail/native_service_base.hpp>
#include <safer_ring/ring/splice_operation.hpp>

#include <boost/asio/async_result.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

/// Moving bytes from one descriptor to another inside the kernel.
namespace safer_ring::inline SAFER_RING_ABI {
namespace detail {

class splice_transfer : public ring::splice_operation {
protected:
    using ring::splice_operation::splice_operation;
    ~splice_transfer() = default;

    std::tuple<error_code, std::size_t> take_arguments() const noexcept
    {
        if (outcome() == 0)
            return {net::error::eof, 0};
        return {to_error_code(outcome()), outcome() > 0 ? static_cast<std::size_t>(outcome()) : 0};
    }
};

/// One end of a splice, as its object answered, and where in a file it is.
struct splice_place {
    native_question answer;
    std::optional<std::uint64_t> offset; ///< Without one, its own position.
};

class splice_starter : private native_service_base {
public:
    explicit splice_starter(io_context& context)
        : native_service_base(static_cast<net::execution_context&>(context))
    {
    }

    template <typename Handler, typename IoExecutor>
    void start(const splice_place& from, const splice_place& to, std::size_t size_bytes,
               Handler& handler, const IoExecutor& io_ex)
    {
        using empty_op = handler_operation<empty_transfer, Handler, IoExecutor>;
        ring::descriptor* const source = from.answer.descriptor();
        ring::descriptor* const target = to.answer.descriptor();
        if (source == nullptr || target == nullptr)
            return complete_at_once<empty_op>(-EBADF, handler, io_ex, short{0});
        ring::splice_operation::end source_end{{}, offset_of(from)}, target_end{{}, offset_of(to)};
        int error = ring::look_at_end(source->fd, source_end.kind);
        if (error == 0)
            error = ring::look_at_end(target->fd, target_end.kind);
        if (error == 0 &&
            (source == target || !has_place(from, source_end) || !has_place(to, target_end) ||
             (source_end.kind != ring::splice_kind::pipe &&
              target_end.kind != ring::splice_kind::pipe)))
            error = -EINVAL;
        if (error != 0 || size_bytes == 0)
            return complete_at_once<empty_op>(error, handler, io_ex, short{0});
        start(*source, from.answer.has_one_line(), source_end, *target, target_end, size_bytes,
              handler, io_ex);
    }

private:
    static std::uint64_t offset_of(const splice_place& p) noexcept
    {
        return p.offset.value_or(backend::file_position);
    }

    /// Only a file has offsets, as far as off_t goes; the last number of all would be taken
    /// for its own position.
    static bool has_place(const splice_place& p, const ring::splice_operation::end& e) noexcept
    {
        constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
        return !p.offset || (e.kind == ring::splice_kind::file && *p.offset <= most);
    }

    template <typename Handler, typename IoExecutor>
    void start(ring::descriptor& source, bool source_has_one_line,
               const ring::splice_operation::end& source_end, ring::descriptor& target,
               const ring::splice_operation::end& target_end, std::size_t size_bytes,
               Handler& handler, const IoExecutor& io_ex)
    {
        using op_type = handler_operation<splice_transfer, Handler, IoExecutor>;
        auto place = std::make_shared<ring::splice_target>();
        auto slot = net::get_associated_cancellation_slot(handler);
        auto op =
            op_type::make(handler, io_ex, context_, place, source_end, target_end, size_bytes);
        ring::operation_id* id = nullptr;
        if (slot.is_connected())
            id = &slot.template emplace<cancel_by_id>(service_).id;
        const auto line = source_has_one_line ? ring::direction::write : ring::direction::read;
        place->start(loop(), target, *op);
        try {
            loop().start(source, line, *op, service_.current_loop(), id);
        } catch (...) {
            const auto held = loop().lock();
            place->let_go(loop());
            throw;
        }
        op.release();
    }
};

template <typename Source, typename Target>
class initiate_splice : public initiation_of<Source> {
public:
    initiate_splice(Source& from, Target& to) noexcept : initiation_of<Source>(from), to_(&to) {}

    template <typename Handler>
    void operator()(Handler&& handler, std::optional<std::uint64_t> from_offset,
                    std::optional<std::uint64_t> to_offset, std::size_t size_bytes) const
    {
        std::decay_t<Handler> own(std::forward<Handler>(handler));
        const auto executor = this->get_executor();
        const splice_place from{ask(this->object()), from_offset}, to{ask(*to_), to_offset};
        io_context* const context = from.answer.context();
        if (context == nullptr || context != to.answer.context())
            return complete_elsewhere(std::move(own), executor,
                                      error_code(net::error::operation_not_supported),
                                      std::size_t{0});
        splice_starter(*context).start(from, to, size_bytes, own, executor);
    }

private:
    Target* to_;
};

template <typename Token, typename Source, typename Target>
auto splice(Source& from, std::optional<std::uint64_t> from_offset, Target& to,
            std::optional<std::uint64_t> to_offset, std::size_t size_bytes, Token&& token)
{
    return net::async_initiate<Token, void(error_code, std::size_t)>(
        initiate_splice<Source, Target>(from, to), token, from_offset, to_offset, size_bytes);
}

template <typename T>
concept has_descriptor = requires(T& object)
{
    object.native_handle();
    object.get_executor();
};

template <typename T>
using token_of = net::default_completion_token_t<typename T::executor_type>;

} // namespace detail

/// Moves at least one byte, and at most `size_bytes`, from one object to another
/// without a copy through the memory of the program (splice(2)). One of the two
/// is a pipe, or a FIFO; the other a pipe, a stream socket, or a file. A file is
/// read and written where its own position is; see the overloads below.
///
/// *Completion signature*: `void(error_code, std::size_t bytes)`; `eof` where the
/// source has ended.
///
/// *Object lifetimes*: both objects may be moved, closed or destroyed meanwhile;
/// closing or destroying either ends it with `operation_aborted`, and no byte is
/// taken from one, or comes to the other, any more, but what a worker of the
/// kernel is moving from or to a file at that moment.
///
/// *Order*: it comes after the reads of the source and the writes of the target
/// that were started before, and before those that are started later.
///
/// *Cancellation*: by `cancel()` of either object, and by slot, of every type. What
/// was moved already is told, as success.
///
/// *Errors*: those of splice(2). `invalid_argument` where neither is a pipe, both
/// are the same object, a file was opened to append, or no file has the offset;
/// `operation_not_supported` where an object is Asio's own, or they are of two
/// contexts; `broken_pipe`, for which no signal is raised.
///
/// *Thread safety*: as for a read of the source and a write of the target at once.
///
/// Between pipes and sockets it is a system call that does not block. Sockets are
/// put in non-blocking mode for it, and stay in it, as they do with Asio's own
/// operations. Where there is a file, a worker of the kernel waits for the disk
/// (Linux 5.7), never for the pipe.
///
/// @code
/// safer_ring::io_context context;
/// net::basic_readable_pipe<safer_ring::executor> reader(context);
/// net::basic_writable_pipe<safer_ring::executor> writer(context);
/// net::connect_pipe(reader, writer);
/// net::basic_stream_socket<net::local::stream_protocol, safer_ring::executor> near(context),
///     far(context);
/// net::local::connect_pair(near, far);
///
/// safer_ring::async_splice(reader, near, 1024,
///                          [](boost::system::error_code error, std::size_t size) {
///                              assert(!error && size == 5);
///                          });
/// net::write(writer, net::buffer("hello", 5));
/// context.run();
/// char received[5];
/// assert(net::read(far, net::buffer(received)) == 5);
/// @endcode
template <detail::has_descriptor Source, detail::has_descriptor Target,
          typename Token = detail::token_of<Source>>
requires(!std::integral<std::decay_t<Token>>) // It is an offset, and that a size, of those below.
    auto async_splice(Source& from, Target& to, std::size_t size_bytes, Token&& token = Token())
{
    return detail::splice(from, std::nullopt, to, std::nullopt, size_bytes,
                          std::forward<Token>(token));
}

/// The same from `offset` on in a file, whose own position stays where it is.
template <detail::has_descriptor File, detail::has_descriptor Target,
          typename Token = detail::token_of<File>>
auto async_splice(File& from, std::uint64_t offset, Target& to, std::size_t size_bytes,
                  Token&& token = Token())
{
    return detail::splice(from, offset, to, std::nullopt, size_bytes, std::forward<Token>(token));
}

/// The same to `offset` in a file, whose own position stays where it is.
template <detail::has_descriptor Source, detail::has_descriptor File,
          typename Token = detail::token_of<Source>>
auto async_splice(Source& from, File& to, std::uint64_t offset, std::size_t size_bytes,
                  Token&& token = Token())
{
    return detail::splice(from, std::nullopt, to, offset, size_bytes, std::forward<Token>(token));
}

} // namespace safer_ring::inline SAFER_RING_ABI
