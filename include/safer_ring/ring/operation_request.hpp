// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/ring/operations.hpp>
#include <safer_ring/ring/registered_file.hpp>
#include <safer_ring/ring/request.hpp>

#include <algorithm>
#include <cerrno>
#include <concepts>
#include <cstdint>
#include <system_error>
#include <type_traits>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::ops {

/// An operation as the engine knows it.
template <typename Op>
class request final : public ring::request {
public:
    explicit request(Op&& op) : op_(std::move(op))
    {
        if constexpr (requires { Op::begins_once; })
            may_be_repeated = !Op::begins_once;
    }
    ~request() override
    {
        if constexpr (requires { op_.drop(); })
            op_.drop();
    }

    /// What it may use of its ring's registrations; `file` if it is made on one.
    void use(ring::registry& registered, ring::registration_share&& file) noexcept
    {
        if constexpr (has_range)
            range_.look_in(registered);
        if (!file)
            return;
        registered_file_ = static_cast<std::int32_t>(file->index);
        file_ = std::move(file);
    }

    void prepare(backend::submission_entry& entry) noexcept override
    {
        op_.prepare(entry);
        refusal_ = refusal();
        if (refusal_ != 0)
            return ring::prepare_failure(entry);
        // What is linked to it begins behind all of its bytes: without that flag, part of them
        // is a success to the kernel (io_uring_prep_send(3)).
        if constexpr (requires { Op::may_send_less; })
            if (is_in_chain())
                entry.op_flags |= MSG_WAITALL;
        if constexpr (has_range)
            range_.prepare(entry, Op::with_registered_buffer);
        if (file_) {
            entry.fd = registered_file_;
            entry.flags |= backend::entry_fixed_file;
        }
    }
    void lend() noexcept override
    {
        if constexpr (requires { op_.begin_in_chain(); })
            if (is_in_chain())
                op_.begin_in_chain();
        op_.lend();
        if constexpr (has_range && requires { op_.parts; }) {
            if (file_ && file_->takes_vectors)
                range_.find_all(op_.parts);
        } else if constexpr (has_range) {
            range_.find(op_.memory());
        }
    }
    /// The result, of which a notification is still to come.
    void part(int, std::uint32_t) noexcept override { has_begun_to_end = true; }
    [[nodiscard]] bool goes_on(int result, std::uint32_t) noexcept override
    {
        if constexpr (requires { op_.goes_on(result); }) // The others of a chain cannot.
            return !is_in_chain() && !cancel_requested() && op_.goes_on(result);
        return false;
    }
    int take_back(int result, std::uint32_t) noexcept override
    {
        // What the kernel answered was no result, and nobody wants the next try any more.
        if constexpr (requires { op_.goes_on(result); })
            if (!is_in_chain() && cancel_requested() && op_.goes_on(result))
                result = -ECANCELED;
        if (refusal_ != 0 && result == -EBADF)
            result = -refusal_;
        if constexpr (requires { op_.conclude(result); })
            result = op_.conclude(result);
        op_.take_back(result);
        if constexpr (has_range)
            range_.reset();
        file_.reset();
        return result;
    }
    [[nodiscard]] io_error subject() const noexcept override
    {
        io_error what = op_.subject();
        if (registered_file_ >= 0)
            what.registered_file = registered_file_;
        return what;
    }
    [[nodiscard]] bool is_on(int fd) const noexcept override
    {
        if constexpr (requires { op_.from; })
            if (fd >= 0 && op_.from == fd)
                return true;
        return ring::request::is_on(fd);
    }
    [[nodiscard]] bool is_on_registered(std::uint32_t index) const noexcept override
    {
        if constexpr (requires { op_.registered_from; })
            if (op_.registered_from && op_.registered_from->index == index)
                return true;
        return file_ && file_->index == index;
    }
    [[nodiscard]] const void* memory() const noexcept override { return op_.memory(); }

    [[nodiscard]] Op& op() noexcept { return op_; }

    [[nodiscard]] io_result<typename Op::value_type> outcome() const
    {
        int error = result() < 0 ? -result() : 0;
        if constexpr (std::same_as<Op, timeout>) // What it was started for.
            error = error == ETIME ? 0 : error;
        if (error == 0) {
            if constexpr (requires { op_.value(); })
                return {op_.value(), cancel_requested()};
            else
                return {static_cast<typename Op::value_type>(std::max(result(), 0)),
                        cancel_requested()};
        }
        io_error what = subject();
        what.code = std::error_code(error, std::system_category());
        return {std::move(what), cancel_requested()};
    }

private:
    /// What it is refused with before the kernel sees it, which would refuse a whole chain for it, with
    /// what stands in front; in a chain also what would be cut. Zero if it is not.
    [[nodiscard]] int refusal() const noexcept
    {
        int code = 0;
        if constexpr (requires { op_.refusal(); })
            code = op_.refusal();
        if constexpr (requires { op_.refusal_in_chain(); })
            code = code == 0 && is_in_chain() ? op_.refusal_in_chain() : code;
        return code;
    }

    struct nothing {};
    static constexpr bool has_range = requires { Op::with_registered_buffer; };

    Op op_;
    int refusal_ = 0;
    std::int32_t registered_file_ = -1; // Known also when it is over.
    ring::registration_share file_;
    [[no_unique_address]] std::conditional_t<has_range, ring::registered_range, nothing> range_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::ops
