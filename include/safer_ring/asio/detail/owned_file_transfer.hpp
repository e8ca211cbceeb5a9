// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/native_service_base.hpp>
#include <safer_ring/asio/detail/owned_initiation.hpp>
#include <safer_ring/ring/owned_transfer.hpp>

#if defined(BOOST_ASIO_HAS_FILE)

#include <boost/asio/basic_random_access_file.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

/// Transfers of random-access files that the kernel makes in the owned buffer
/// itself.
namespace safer_ring::inline SAFER_RING_ABI::detail {

template <typename Way, typename Buffer, transfer_extent Extent>
class owned_file_transfer : public ring::owned_transfer_operation {
public:
    /// Of several pieces the first may have been moved when the second is cancelled, so
    /// that who wants all or nothing is not served: as with Asio's composed operations.
    static constexpr net::cancellation_type_t cancelled_by =
        net::cancellation_type::terminal | net::cancellation_type::partial |
        (Extent == transfer_extent::all ? net::cancellation_type::none
                                        : net::cancellation_type::total);

protected:
    owned_file_transfer(std::unique_ptr<ring::lent_buffer<Buffer>>&& memory, std::size_t before,
                        std::uint64_t offset)
        : owned_file_transfer(Way::view(memory->buffer, before), memory, before, offset)
    {
    }
    ~owned_file_transfer() = default;

    std::tuple<error_code, std::size_t, Buffer> take_arguments()
    {
        const auto memory = take_memory();
        Buffer& buffer = static_cast<ring::lent_buffer<Buffer>&>(*memory).buffer;
        Way::finish(buffer, before_, moved_bytes());
        return {outcome(), moved_bytes(), std::move(buffer)};
    }

private:
    static constexpr bool reads = std::same_as<Way, read_into_buffer>;

    template <typename View>
    owned_file_transfer(const View& view, std::unique_ptr<ring::lent_buffer<Buffer>>& memory,
                        std::size_t before, std::uint64_t offset)
        : ring::owned_transfer_operation(
              reads ? ring::direction::read : ring::direction::write, Extent, std::move(memory),
              {static_cast<const std::byte*>(view.data()), view.size()}, offset),
          before_(before)
    {
    }

    error_code outcome() const noexcept
    {
        if (is_all_moved() || (Extent == transfer_extent::some && moved_bytes() != 0))
            return {};
        return result() == 0 && reads ? error_code(net::error::eof) : to_error_code(result());
    }

    std::size_t before_;
};

/// Of our own files only the kernel is asked to work on the buffer itself;
/// elsewhere `Start` is called as ever.
template <typename File, typename Way, typename Start, transfer_extent Extent>
class initiate_file_transfer : public initiation_of<File> {
public:
    using initiation_of<File>::initiation_of;

    template <typename Handler, typename Buffer>
    void operator()(Handler&& handler, Buffer&& buffer, std::size_t before,
                    std::uint64_t offset) const
    {
        using buffer_type = std::decay_t<Buffer>;
        const native_question answer = ask(this->object());
        ring::descriptor* const file = answer.descriptor();
        if (file == nullptr || file->kind != ring::file_kind::regular ||
            Way::view(buffer, before).size() == 0 || offset == ring::file_operation::at_position)
            return initiate_with_buffer<File, Way, Start>(this->object())(
                std::forward<Handler>(handler), std::forward<Buffer>(buffer), before, offset);
        using transfer = owned_file_transfer<Way, buffer_type, Extent>;
        constexpr bool reads = std::same_as<Way, read_into_buffer>;
        std::decay_t<Handler> own(std::forward<Handler>(handler));
        auto memory = std::make_unique<ring::lent_buffer<buffer_type>>(
            buffer_type(std::forward<Buffer>(buffer)));
        native_starter(*answer.context())
            .template start<transfer>(file, reads ? ring::direction::read : ring::direction::write,
                                      own, this->get_executor(), std::move(memory), before, offset);
    }
};

template <typename Executor, typename Way, typename Start, typename Buffer>
requires(std::same_as<Buffer, owned_buffer> || std::same_as<Buffer, shared_buffer>) && requires
{
    Start::extent;
}
struct initiation<net::basic_random_access_file<Executor>, Way, Start, Buffer> {
    using type =
        initiate_file_transfer<net::basic_random_access_file<Executor>, Way, Start, Start::extent>;
};

} // namespace safer_ring::inline SAFER_RING_ABI::detail

#endif // defined(BOOST_ASIO_HAS_FILE)
