// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

/// Opening files, and bringing them to the disk, without blocking the thread
/// that runs the context: what Asio's files offer as calls that wait only.
///
/// Asio has files where BOOST_ASIO_HAS_IO_URING is defined, which has to be so for
/// the whole program; its headers call liburing then, which the program links.
///
/// They work on `net::basic_stream_file` and `net::basic_random_access_file`
/// with an executor of ours; with one that is known at run time only, where the
/// drop-in has made them ours. On an object that is Asio's own they fail with
/// `operation_not_supported`.
///
/// *Completion signature*: `void(error_code)`.
///
/// *Thread safety*: as for all operations of the object, which is to be used by
/// one thread, or one strand, at a time.

#include <safer_ring/asio/detail/asio_names.hpp>

#if defined(BOOST_ASIO_HAS_FILE)

#include <safer_ring/asio/detail/complete_elsewhere.hpp>
#include <safer_ring/asio/detail/file_service.hpp>
#include <safer_ring/asio/detail/initiation_of.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/file_base.hpp>

#include <concepts>
#include <string>
#include <type_traits>
#include <utility>

namespace safer_ring::inline SAFER_RING_ABI {

/// What of a file is to be on the disk.
enum class sync_scope {
    everything, ///< The data and all of the file's attributes (fsync(2)).
    data_only,  ///< The data, and what it takes to read it (fdatasync(2)).
};

namespace detail {

/// Where the operations of `file` are started; its service is null when the
/// file is Asio's own.
template <typename File>
file_service::file_question service_of_file(File& file)
{
    const file_service::file_question asked;
    error_code ignored;
    if constexpr (requires { file.write_some(asked, ignored); })
        file.write_some(asked, ignored);
    else
        file.write_some_at(0, asked, ignored);
    return asked;
}

template <typename File>
class file_initiation : public initiation_of<File> {
public:
    using initiation_of<File>::initiation_of;

protected:
    /// `start(service, implementation, handler, executor)`, or the failure.
    template <typename Handler, typename Start>
    void initiate(Handler&& handler, Start&& start) const
    {
        std::decay_t<Handler> own(std::forward<Handler>(handler));
        const auto executor = this->get_executor();
        const file_service::file_question found = service_of_file(this->object());
        if (found.service() == nullptr)
            return complete_elsewhere(std::move(own), executor,
                                      error_code(net::error::operation_not_supported));
        start(*found.service(), found.implementation(), own, executor);
    }
};

template <typename File>
class initiate_sync : public file_initiation<File> {
public:
    using file_initiation<File>::file_initiation;

    template <typename Handler>
    void operator()(Handler&& handler, sync_scope what) const
    {
        this->initiate(
            std::forward<Handler>(handler),
            [what](file_service& service, auto& implementation, auto& own, const auto& executor) {
                service.async_sync(implementation, what == sync_scope::data_only, own, executor);
            });
    }
};

template <typename File>
class initiate_open : public file_initiation<File> {
public:
    using file_initiation<File>::file_initiation;

    template <typename Handler>
    void operator()(Handler&& handler, const std::string& path, net::file_base::flags flags) const
    {
        this->initiate(std::forward<Handler>(handler),
                       [&path, flags](file_service& service, auto& implementation, auto& own,
                                      const auto& executor) {
                           service.async_open(implementation, path, flags, own, executor);
                       });
    }
};

} // namespace detail

/// Brings to the disk what has been written to the file: all writes whose
/// handler has been called. What is still under way is covered by a stream file
/// only, whose operations run one after the other; a random-access file's may be
/// written before, meanwhile, or afterwards.
///
/// *Completion signature*: `void(error_code)`.
///
/// *Object lifetimes*: the file may be closed or destroyed meanwhile, which ends
/// it with `operation_aborted`; what the kernel has begun it does all the same.
///
/// *Cancellation*: by the file's `cancel()` and by slot, of every type. One that
/// waits for a worker of the kernel ends at once; one that waits for the disk ends
/// with it, and then tells the truth: success, or the disk's error, which no
/// other call would be told any more.
///
/// *Errors*: those of fsync(2); `invalid_argument` for what is no file on a disk.
/// `no_descriptors` when there is none left for the kernel's worker, which needs
/// another one of the file's; it is closed behind the file's, when the last such request has ended.
///
/// *Thread safety*: as for the file's own operations, one thread at a time.
///
/// *Kernel*: Linux 5.1.
///
/// @code
/// safer_ring::io_context context;
/// net::basic_random_access_file<safer_ring::executor> file(context);
/// const auto flags = net::file_base::read_write | net::file_base::create;
/// safer_ring::async_open(
///     file, "/tmp/safer_ring_example", flags, [&](boost::system::error_code error) {
///         assert(!error);
///         net::write_at(file, 0, net::buffer("hello", 5));
///         safer_ring::async_sync(file, safer_ring::sync_scope::data_only,
///                                [](boost::system::error_code failed) { assert(!failed); });
///     });
/// context.run();
/// ::unlink("/tmp/safer_ring_example");
/// @endcode
template <typename File,
          typename Token = boost::asio::default_completion_token_t<typename File::executor_type>>
auto async_sync(File& file, sync_scope what, Token&& token = Token())
{
    return boost::asio::async_initiate<Token, void(boost::system::error_code)>(
        detail::initiate_sync<File>(file), token, what);
}

/// The same with the data and all of the file's attributes.
template <typename File,
          typename Token = boost::asio::default_completion_token_t<typename File::executor_type>>
requires(!std::same_as<std::decay_t<Token>, sync_scope>) auto async_sync(File& file,
                                                                         Token&& token = Token())
{
    return async_sync(file, sync_scope::everything, std::forward<Token>(token));
}

/// Opens a file, with the flags and the mode that the file's own `open()` has,
/// which would block its thread until the disk or the network has been asked.
/// When the handler is called, the object is open.
///
/// The path is copied. A relative one is looked up from where the working
/// directory is when the kernel gets to it.
///
/// *Completion signature*: `void(error_code)`.
///
/// *Object lifetimes*: the file may be moved, closed or destroyed meanwhile. The
/// two latter end it with `operation_aborted`, and a file that is opened all the
/// same is closed. Until it has ended, the object is not open.
///
/// *Cancellation*: by the file's `cancel()` and by slot, of every type; ends what
/// waits for the other end of a FIFO, too. What has been opened already stays, and
/// is reported as success.
///
/// *Errors*: those of open(2); `already_open`; `already_started` while another
/// one is under way; `name_too_long`; `invalid_argument` for a path with a zero
/// in it.
///
/// *Thread safety*: as for the file's own operations, one thread at a time.
///
/// *Kernel*: Linux 5.6.
///
/// @code
/// safer_ring::io_context context;
/// net::basic_stream_file<safer_ring::executor> file(context);
/// safer_ring::async_open(file, "/nowhere/to/be/found", net::file_base::read_only,
///                        [&](boost::system::error_code error) {
///                            assert(error == boost::system::errc::no_such_file_or_directory);
///                            assert(!file.is_open());
///                        });
/// context.run();
/// @endcode
template <typename File,
          typename Token = boost::asio::default_completion_token_t<typename File::executor_type>>
auto async_open(File& file, std::string path, boost::asio::file_base::flags flags,
                Token&& token = Token())
{
    return boost::asio::async_initiate<Token, void(boost::system::error_code)>(
        detail::initiate_open<File>(file), token, std::move(path), flags);
}

} // namespace safer_ring::inline SAFER_RING_ABI

#endif // defined(BOOST_ASIO_HAS_FILE)
