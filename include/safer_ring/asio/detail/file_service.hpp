// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/asio/detail/asio_names.hpp>

#if defined(BOOST_ASIO_HAS_FILE)

#include <safer_ring/asio/detail/file_operations.hpp>
#include <safer_ring/asio/detail/native_service_base.hpp>
#include <safer_ring/ring/file_requests.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/file_base.hpp>

#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI::detail {

// Boost deprecates net::null_buffers from 1.90 on, but Asio's objects still hand
// them to their services: who never uses them should not be warned of it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/// fsync(2) or fdatasync(2).
class file_sync : public ring::sync_operation {
protected:
    using ring::sync_operation::sync_operation;
    ~file_sync() = default;

    std::tuple<error_code> take_arguments() const noexcept { return {to_error_code(outcome())}; }
};

/// Opens a file; `refusal`, if any, is why that is not tried.
class file_open : public ring::open_operation {
protected:
    file_open(const std::string& path, int flags, bool is_stream, const error_code& refusal)
        : ring::open_operation(path.c_str(), path.size(), flags, is_stream), refusal_(refusal)
    {
    }
    ~file_open() = default;

    std::tuple<error_code> take_arguments() const noexcept
    {
        return {refusal_ ? refusal_ : to_error_code(result())};
    }

private:
    error_code refusal_;
};

/// The service behind Asio's stream and random-access files, with the
/// interface of Asio's own.
///
/// Operations of a random-access file have no order and no limit of depth.
/// Those of a stream file, reads and writes together, run one at a time and
/// first in, first out, since they share the file's position.
///
/// While a file is opened asynchronously, the object has a descriptor without a
/// number, through which it is cancelled, closed and destroyed as ever. The
/// number is found there when it is first asked for.
class file_service : public net::execution_context::service, private native_service_base {
public:
    using key_type = file_service;
    inline static net::execution_context::id id;

    using native_handle_type = int;
    struct implementation_type {
        int file_ = -1;
        bool is_stream_ = false;
        ring::descriptor* descriptor_ = nullptr;
    };

    /// Handed to a synchronous write of a file, which is how its public interface
    /// leads to the service, tells which it is. To Asio's own service, a buffer
    /// of no bytes.
    class file_question : public net::const_buffer {
    public:
        file_service* service() const noexcept { return service_; }
        implementation_type& implementation() const noexcept { return *implementation_; }

    private:
        friend file_service;
        mutable file_service* service_ = nullptr;
        mutable implementation_type* implementation_ = nullptr;
    };

    explicit file_service(net::execution_context& context)
        : net::execution_context::service(context), native_service_base(context)
    {
    }

    void shutdown() override {}

    void construct(implementation_type& impl) { impl = {}; }

    void move_construct(implementation_type& impl, implementation_type& other) noexcept
    {
        impl = std::exchange(other, {});
        other.is_stream_ = impl.is_stream_;
    }

    void move_assign(implementation_type& impl, file_service&, implementation_type& other)
    {
        destroy(impl);
        move_construct(impl, other);
    }

    void destroy(implementation_type& impl)
    {
        error_code ignored;
        close(impl, ignored);
    }

    error_code open(implementation_type& impl, const char* path, net::file_base::flags flags,
                    error_code& ec)
    {
        if (!is_closed(impl, ec))
            return ec;
        loop().submit_before_blocking(); // A FIFO waits for who opens its other end.
        constexpr mode_t all_that_umask_allows = 0777;
        const int file = ::open(path, static_cast<int>(flags), all_that_umask_allows);
        if (file < 0)
            return ec = last_error();
        try {
            adopt(impl, file);
        } catch (...) {
            ::close(file);
            throw;
        }
        ring::advise_of_use(file, impl.is_stream_);
        return ec = {};
    }

    /// Opens on the ring. The handler is told by `void(error_code)`.
    template <typename Handler, typename IoExecutor>
    void async_open(implementation_type& impl, const std::string& path, net::file_base::flags flags,
                    Handler& handler, const IoExecutor& io_ex)
    {
        using op = handler_operation<file_open, Handler, IoExecutor>;
        error_code refusal;
        if (is_closed(impl, refusal)) {
            if (path.size() >= PATH_MAX)
                refusal = net::error::name_too_long;
            else if (path.find('\0') != std::string::npos)
                refusal = net::error::invalid_argument;
        }
        const int bits = static_cast<int>(flags);
        if (refusal)
            return complete_at_once<op>(-EINVAL, handler, io_ex, path, bits, impl.is_stream_,
                                        refusal);
        if (impl.descriptor_ == nullptr) {
            impl.descriptor_ = loop().open(-1);
            // A path may lie on a disk: who closes or cancels does not wait.
            impl.descriptor_->kind = ring::file_kind::regular;
        }
        start<op>(impl, ring::direction::write, handler, io_ex, path, bits, impl.is_stream_,
                  refusal);
    }

    /// fsync(2) or fdatasync(2) on the ring; a stream file's comes after what
    /// was started before it.
    template <typename Handler, typename IoExecutor>
    void async_sync(implementation_type& impl, bool data_only, Handler& handler,
                    const IoExecutor& io_ex)
    {
        using op = handler_operation<file_sync, Handler, IoExecutor>;
        if (!is_open(impl))
            return complete_at_once<op>(-EBADF, handler, io_ex, data_only);
        start<op>(impl, ring::direction::write, handler, io_ex, data_only);
    }

    /// Takes any number, as Asio's does: a bad one is told by what uses it.
    error_code assign(implementation_type& impl, const native_handle_type& file, error_code& ec)
    {
        if (!is_closed(impl, ec))
            return ec;
        if (file >= 0)
            adopt(impl, file);
        return ec = {};
    }

    void set_is_stream(implementation_type& impl, bool is_stream)
    {
        impl.is_stream_ = is_stream;
        if (impl.descriptor_ != nullptr)
            impl.descriptor_->concurrent = !is_stream;
    }

    bool is_open(const implementation_type& impl) const { return native_handle(impl) != -1; }

    native_handle_type native_handle(const implementation_type& impl) const
    {
        if (impl.file_ != -1 || impl.descriptor_ == nullptr)
            return impl.file_;
        return loop().native(*impl.descriptor_);
    }

    bool is_open(implementation_type& impl) const
    {
        impl.file_ = native_handle(impl);
        return impl.file_ != -1;
    }

    error_code close(implementation_type& impl, error_code& ec)
    {
        ec = {};
        if (impl.descriptor_ == nullptr)
            return ec;
        // Behind the file, whose close(2) is to tell the error of what it writes back: NFS and FUSE
        // write when any number of the file is closed, and tell that call alone.
        ring::worker_descriptor for_workers;
        const int file = loop().close(std::exchange(impl.descriptor_, nullptr),
                                      service_.current_loop(), for_workers);
        impl.file_ = -1;
        if (file != -1 && ::close(file) != 0)
            ec = last_error();
        return ec;
    }

    native_handle_type release(implementation_type& impl, error_code& ec)
    {
        ec = {};
        impl.file_ = -1;
        if (impl.descriptor_ == nullptr)
            return -1;
        return loop().release(std::exchange(impl.descriptor_, nullptr), service_.current_loop());
    }

    error_code cancel(implementation_type& impl, error_code& ec)
    {
        if (!is_open(impl) && (impl.descriptor_ == nullptr || !loop().is_busy(*impl.descriptor_)))
            return ec = net::error::bad_descriptor;
        loop().cancel(*impl.descriptor_, service_.current_loop());
        return ec = {};
    }

    std::uint64_t size(const implementation_type& impl, error_code& ec) const
    {
        before_synchronous(impl);
        struct stat status {};
        ec = to_error(::fstat(native_handle(impl), &status));
        return ec ? 0 : static_cast<std::uint64_t>(status.st_size);
    }

    error_code resize(implementation_type& impl, std::uint64_t n, error_code& ec)
    {
        before_synchronous(impl);
        return ec = to_error(::ftruncate(native_handle(impl), static_cast<off_t>(n)));
    }

    error_code sync_all(implementation_type& impl, error_code& ec)
    {
        before_synchronous(impl);
        return ec = to_error(::fsync(native_handle(impl)));
    }

    error_code sync_data(implementation_type& impl, error_code& ec)
    {
        before_synchronous(impl);
        return ec = to_error(::fdatasync(native_handle(impl)));
    }

    std::uint64_t seek(implementation_type& impl, std::int64_t offset,
                       net::file_base::seek_basis whence, error_code& ec)
    {
        before_synchronous(impl);
        const off_t position = ::lseek(native_handle(impl), offset, static_cast<int>(whence));
        ec = to_error(position);
        return ec ? 0 : static_cast<std::uint64_t>(position);
    }

    // ---- reading

    template <typename Buffers>
    std::size_t read_some(implementation_type& impl, const Buffers& buffers, error_code& ec)
    {
        return read_some_at(impl, at_position, buffers, ec);
    }

    template <typename Buffers>
    std::size_t read_some_at(implementation_type& impl, std::uint64_t offset,
                             const Buffers& buffers, error_code& ec)
    {
        const std::size_t n =
            transfer(impl, POLLIN, offset, buffers, ec, [&impl, offset](const iovec_array& to) {
                return ::preadv2(impl.file_, to.data(), to.count(), static_cast<off_t>(offset), 0);
            });
        if (n == 0 && !ec && measure(buffers).size_bytes != 0)
            ec = net::error::eof;
        return n;
    }

    std::size_t read_some(implementation_type& impl, const native_question& question,
                          error_code& ec)
    {
        answer(question, is_open(impl) ? impl.descriptor_ : nullptr, impl.is_stream_);
        ec = {};
        return 0;
    }
    std::size_t read_some_at(implementation_type& impl, std::uint64_t,
                             const native_question& question, error_code& ec)
    {
        return read_some(impl, question, ec);
    }

    std::size_t read_some(implementation_type& impl, const net::null_buffers&, error_code& ec)
    {
        return wait(impl, POLLIN, ec);
    }
    std::size_t read_some_at(implementation_type& impl, std::uint64_t, const net::null_buffers&,
                             error_code& ec)
    {
        return wait(impl, POLLIN, ec);
    }

    template <typename Buffers, typename Handler, typename IoExecutor>
    void async_read_some(implementation_type& impl, const Buffers& buffers, Handler& handler,
                         const IoExecutor& io_ex)
    {
        async_read_some_at(impl, at_position, buffers, handler, io_ex);
    }

    template <typename Buffers, typename Handler, typename IoExecutor>
    void async_read_some_at(implementation_type& impl, std::uint64_t offset, const Buffers& buffers,
                            Handler& handler, const IoExecutor& io_ex)
    {
        start_transfer<file_read>(impl, ring::direction::read, offset, buffers, handler, io_ex);
    }

    template <typename Handler, typename IoExecutor>
    void async_read_some(implementation_type& impl, const net::null_buffers&, Handler& handler,
                         const IoExecutor& io_ex)
    {
        start_wait(impl, ring::direction::read, POLLIN, handler, io_ex);
    }
    template <typename Handler, typename IoExecutor>
    void async_read_some_at(implementation_type& impl, std::uint64_t, const net::null_buffers&,
                            Handler& handler, const IoExecutor& io_ex)
    {
        start_wait(impl, ring::direction::read, POLLIN, handler, io_ex);
    }

    // ---- writing

    template <typename Buffers>
    std::size_t write_some(implementation_type& impl, const Buffers& buffers, error_code& ec)
    {
        return write_some_at(impl, at_position, buffers, ec);
    }

    template <typename Buffers>
    std::size_t write_some_at(implementation_type& impl, std::uint64_t offset,
                              const Buffers& buffers, error_code& ec)
    {
        return transfer(impl, POLLOUT, offset, buffers, ec,
                        [&impl, offset](const iovec_array& from) {
                            return ::pwritev2(impl.file_, from.data(), from.count(),
                                              static_cast<off_t>(offset), 0);
                        });
    }

    std::size_t write_some(implementation_type& impl, const file_question& asked, error_code& ec)
    {
        asked.service_ = this;
        asked.implementation_ = &impl;
        ec = {};
        return 0;
    }
    std::size_t write_some_at(implementation_type& impl, std::uint64_t, const file_question& asked,
                              error_code& ec)
    {
        return write_some(impl, asked, ec);
    }

    std::size_t write_some(implementation_type& impl, const net::null_buffers&, error_code& ec)
    {
        return wait(impl, POLLOUT, ec);
    }
    std::size_t write_some_at(implementation_type& impl, std::uint64_t, const net::null_buffers&,
                              error_code& ec)
    {
        return wait(impl, POLLOUT, ec);
    }

    template <typename Buffers, typename Handler, typename IoExecutor>
    void async_write_some(implementation_type& impl, const Buffers& buffers, Handler& handler,
                          const IoExecutor& io_ex)
    {
        async_write_some_at(impl, at_position, buffers, handler, io_ex);
    }

    template <typename Buffers, typename Handler, typename IoExecutor>
    void async_write_some_at(implementation_type& impl, std::uint64_t offset,
                             const Buffers& buffers, Handler& handler, const IoExecutor& io_ex)
    {
        start_transfer<file_write>(impl, ring::direction::write, offset, buffers, handler, io_ex);
    }

    template <typename Handler, typename IoExecutor>
    void async_write_some(implementation_type& impl, const net::null_buffers&, Handler& handler,
                          const IoExecutor& io_ex)
    {
        start_wait(impl, ring::direction::write, POLLOUT, handler, io_ex);
    }
    template <typename Handler, typename IoExecutor>
    void async_write_some_at(implementation_type& impl, std::uint64_t, const net::null_buffers&,
                             Handler& handler, const IoExecutor& io_ex)
    {
        start_wait(impl, ring::direction::write, POLLOUT, handler, io_ex);
    }

private:
    static constexpr std::uint64_t at_position = ring::file_operation::at_position;

    static error_code last_error() { return {errno, net::error::get_system_category()}; }
    static error_code to_error(std::int64_t result)
    {
        return result < 0 ? last_error() : error_code();
    }

    /// Whether it can be opened; `ec` tells why not.
    bool is_closed(implementation_type& impl, error_code& ec)
    {
        ec = {};
        if (is_open(impl))
            ec = net::error::already_open;
        else if (impl.descriptor_ != nullptr && loop().is_busy(*impl.descriptor_))
            ec = net::error::already_started;
        return !ec;
    }

    /// Takes over an open file. Throws std::bad_alloc without effect.
    void adopt(implementation_type& impl, int file)
    {
        ring::descriptor* const opened = loop().open(file);
        if (impl.descriptor_ != nullptr) // It was to be opened asynchronously, in vain.
            loop().close(impl.descriptor_);
        impl.descriptor_ = opened;
        ring::look_at_file(*impl.descriptor_);
        impl.descriptor_->concurrent = !impl.is_stream_;
        impl.file_ = file;
    }

    /// A pipe or a device opened as a file may be in non-blocking mode, and is
    /// waited for all the same, as Asio does.
    template <typename Buffers, typename Call>
    std::size_t transfer(implementation_type& impl, short events, std::uint64_t offset,
                         const Buffers& buffers, error_code& ec, Call&& call)
    {
        ec = {};
        if (!is_open(impl)) {
            ec = net::error::bad_descriptor;
            return 0;
        }
        if (impl.descriptor_->kind == ring::file_kind::other)
            before_blocking(impl);
        else
            before_synchronous(impl);
        const iovec_array vectors(buffers, 0, ~std::size_t{0});
        if (vectors.size() == 0)
            return 0;
        if (is_no_offset(impl, offset)) {
            ec = net::error::invalid_argument;
            return 0;
        }
        for (;;) {
            const ssize_t n = call(vectors);
            if (n >= 0)
                return static_cast<std::size_t>(n);
            ec = last_error();
            if (ec != net::error::would_block && ec != net::error::try_again)
                return 0;
            wait(impl, events, ec);
            if (ec)
                return 0;
        }
    }

    std::size_t wait(implementation_type& impl, short events, error_code& ec)
    {
        ec = {};
        if (!is_open(impl)) {
            ec = net::error::bad_descriptor;
            return 0;
        }
        before_blocking(impl);
        pollfd entry{impl.file_, events, 0};
        ec = to_error(::poll(&entry, 1, -1));
        return 0;
    }

    template <template <typename> class Transfer, typename Buffers, typename Handler,
              typename IoExecutor>
    void start_transfer(implementation_type& impl, ring::direction dir, std::uint64_t offset,
                        const Buffers& buffers, Handler& handler, const IoExecutor& io_ex)
    {
        using op = handler_operation<Transfer<Buffers>, Handler, IoExecutor>;
        const extent all = measure(buffers);
        if (all.size_bytes == 0)
            return complete_at_once<handler_operation<empty_transfer, Handler, IoExecutor>>(
                0, handler, io_ex, short{0});
        if (!is_open(impl) || all.lacks_memory)
            return complete_at_once<op>(is_open(impl) ? -EFAULT : -EBADF, handler, io_ex, buffers,
                                        offset);
        if (is_no_offset(impl, offset))
            return complete_at_once<op>(-EINVAL, handler, io_ex, buffers, offset);
        start<op>(impl, line_of(impl, dir), handler, io_ex, buffers, offset);
    }

    template <typename Handler, typename IoExecutor>
    void start_wait(implementation_type& impl, ring::direction dir, short events, Handler& handler,
                    const IoExecutor& io_ex)
    {
        using op = handler_operation<null_buffers_wait, Handler, IoExecutor>;
        if (!is_open(impl))
            return complete_at_once<op>(-EBADF, handler, io_ex, events);
        start<op>(impl, line_of(impl, dir), handler, io_ex, events);
    }

    /// Of a random-access file the last offset of all is no more one than others that no file
    /// has, although it stands for the position of a stream, and with the kernel too.
    static bool is_no_offset(const implementation_type& impl, std::uint64_t offset) noexcept
    {
        return !impl.is_stream_ && offset == at_position;
    }

    /// One line for both ways of a stream, whose operations share a position.
    static ring::direction line_of(const implementation_type& impl, ring::direction dir) noexcept
    {
        return impl.is_stream_ ? ring::direction::write : dir;
    }
};

#pragma GCC diagnostic pop

} // namespace safer_ring::inline SAFER_RING_ABI::detail

#endif // defined(BOOST_ASIO_HAS_FILE)
