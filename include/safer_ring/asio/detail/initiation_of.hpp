// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

namespace safer_ring::inline SAFER_RING_ABI::detail {

/// What starts an operation of `Object`, with the executor that tokens ask it for.
template <typename Object>
class initiation_of {
public:
    using executor_type = typename Object::executor_type;

    explicit initiation_of(Object& object) noexcept : object_(&object) {}

    executor_type get_executor() const noexcept { return object_->get_executor(); }

protected:
    ~initiation_of() = default;

    [[nodiscard]] Object& object() const noexcept { return *object_; }

private:
    Object* object_;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail
