// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/caller_buffers.hpp>
#include <safer_ring/asio/detail/handler_operation.hpp>
#include <safer_ring/asio/detail/native_service_base.hpp>
#include <safer_ring/asio/error.hpp>
#include <safer_ring/ring/item_source.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// What receive_stream and accept_stream share: a source of items on the loop of
/// an object, until it is stopped or destroyed.
template <typename Executor>
class item_stream {
public:
    /// Throws boost::system::system_error for an object that is closed, not on a
    /// ring, or has a stream already.
    template <typename Object>
    static native_question bind(Object& object)
    {
        const native_question answer = ask(object);
        if (answer.context() == nullptr)
            throw boost::system::system_error(error::not_on_a_ring, "safer_ring: stream");
        if (answer.descriptor() == nullptr)
            throw boost::system::system_error(net::error::bad_descriptor, "safer_ring: stream");
        return answer;
    }

    template <typename Source>
    item_stream(const native_question& bound, std::unique_ptr<Source> source, const Executor& ex)
        : context_(bound.context()), place_(std::make_shared<ring::item_source*>()), executor_(ex)
    {
        const int result = loop().open_stream(*bound.descriptor(), *source);
        if (result != 0)
            throw boost::system::system_error(to_error_code(result), "safer_ring: stream");
        *place_ = source.release();
    }
    item_stream(item_stream&& other) noexcept
        : context_(other.context_), place_(std::move(other.place_)), executor_(other.executor_)
    {
    }
    item_stream& operator=(item_stream&& other) noexcept
    {
        item_stream taken(std::move(other));
        std::swap(context_, taken.context_);
        std::swap(place_, taken.place_);
        // Not every executor can be assigned.
        std::destroy_at(&executor_);
        std::construct_at(&executor_, taken.executor_);
        return *this;
    }
    ~item_stream()
    {
        if (source() != nullptr)
            loop().close_stream(std::exchange(*place_, nullptr));
    }

    [[nodiscard]] const Executor& get_executor() const noexcept { return executor_; }
    [[nodiscard]] bool is_open() const { return source() != nullptr && loop().is_open(*source()); }
    [[nodiscard]] std::size_t held() const
    {
        return source() != nullptr ? loop().items_held(*source()) : 0;
    }

    /// `out` has room for what there is before the stream is over.
    template <typename T>
    std::vector<ring::stream_item> stop(std::vector<T>& out, error_code& ec)
    {
        std::vector<ring::stream_item> left;
        ec = {};
        if (source() != nullptr)
            ec = to_error_code(
                loop().stop_stream(*source(), left, [&out](std::size_t n) { out.reserve(n); }));
        return left;
    }

    /// Starts `Leaf`, made of `args`, as the next item's operation. May be called when the
    /// stream has gone, as a deferred operation is.
    template <typename Leaf>
    class start_next {
    public:
        using executor_type = Executor;

        explicit start_next(const item_stream& s)
            : context_(s.context_), place_(s.place_), executor_(s.executor_)
        {
        }
        [[nodiscard]] const executor_type& get_executor() const noexcept { return executor_; }

        template <typename Handler, typename... Args>
        void operator()(Handler&& handler, Args&&... args) const
        {
            using op_type = handler_operation<Leaf, std::decay_t<Handler>, Executor>;
            loop_service& service = context_->impl();
            std::decay_t<Handler> kept(std::forward<Handler>(handler));
            auto slot = net::get_associated_cancellation_slot(kept);
            auto op = op_type::make(kept, executor_, *context_, std::forward<Args>(args)...);
            ring::operation_id* id = nullptr;
            if (slot.is_connected())
                id = &slot.template emplace<cancel_by_id>(service).id;
            ring::item_source* const source = place_ != nullptr ? *place_ : nullptr;
            if (source != nullptr &&
                service.loop().start_next(*source, *op, service.current_loop(), id)) {
                op.release();
                return;
            }
            if constexpr (binds_immediate_executor<std::decay_t<Handler>, Executor>) {
                op_type::complete_immediately(std::move(op), -EBADF, executor_);
            } else {
                service.loop().complete_at_once(*op, -EBADF, false, service.current_loop());
                op.release();
            }
        }

    private:
        io_context* context_;
        std::shared_ptr<ring::item_source*> place_;
        Executor executor_;
    };

private:
    [[nodiscard]] ring::item_source* source() const noexcept
    {
        return place_ != nullptr ? *place_ : nullptr;
    }
    [[nodiscard]] ring::event_loop& loop() const noexcept { return context_->impl().loop(); }

    io_context* context_;
    // Of the source; null when the stream has gone, which operations that were made before
    // and are begun afterwards find out here.
    std::shared_ptr<ring::item_source*> place_;
    Executor executor_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
