// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "files.hpp"

#include "support/awkward_buffers.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <string>
#include <tuple>
#include <vector>

// What no program should do with files: wrong descriptors, memory that is not
// there, and more of it than there can be.
namespace conformance {
namespace {

using test_support::byte_by_byte;
using test_support::huge_region;
using test_support::io_result;
using test_support::more_than_iov_max;

struct random_access {
    template <class Ctx>
    using file = random_file_of<Ctx>;
};
struct stream {
    template <class Ctx>
    using file = stream_file_of<Ctx>;
};

template <class Ctx, class Kind>
struct on {
    using context = Ctx;
    using file = typename Kind::template file<Ctx>;
    static constexpr bool is_stream = std::is_same_v<Kind, stream>;
};

template <class>
struct with_each_kind;
template <class... Ctx>
struct with_each_kind<std::tuple<Ctx...>> {
    using type = std::tuple<on<Ctx, random_access>..., on<Ctx, stream>...>;
};
using kinds = with_each_kind<contexts>::type;

/// A context and the four transfers of one file, from and to its beginning.
template <class T>
struct trial {
    test_support::handler_checks checks;
    typename T::context ctx;
    typename T::file file{ctx};

    explicit trial(int fd) { file.assign(fd); }

    template <class Buffers>
    io_result read(const Buffers& buffers)
    {
        return outcome([&](auto handler) {
            if constexpr (T::is_stream)
                file.async_read_some(buffers, std::move(handler));
            else
                file.async_read_some_at(0, buffers, std::move(handler));
        });
    }

    template <class Buffers>
    io_result write(const Buffers& buffers)
    {
        return outcome([&](auto handler) {
            if constexpr (T::is_stream)
                file.async_write_some(buffers, std::move(handler));
            else
                file.async_write_some_at(0, buffers, std::move(handler));
        });
    }

    template <class Buffers>
    io_result read_synchronously(const Buffers& buffers)
    {
        io_result r;
        if constexpr (T::is_stream)
            r.bytes = file.read_some(buffers, r.ec);
        else
            r.bytes = file.read_some_at(0, buffers, r.ec);
        return r;
    }

    template <class Buffers>
    io_result write_synchronously(const Buffers& buffers)
    {
        io_result r;
        if constexpr (T::is_stream)
            r.bytes = file.write_some(buffers, r.ec);
        else
            r.bytes = file.write_some_at(0, buffers, r.ec);
        return r;
    }

    void rewind()
    {
        if constexpr (T::is_stream)
            file.seek(0, net::file_base::seek_set);
    }

    void expect_of_all(const error_code& expected, const net::mutable_buffer& buffer)
    {
        const std::vector<net::mutable_buffer> several{buffer, buffer};
        const std::vector<net::const_buffer> to_write(several.begin(), several.end());
        const io_result results[] = {
            read(buffer),
            read(several),
            read_synchronously(buffer),
            read_synchronously(several),
            write(net::const_buffer(buffer)),
            write(to_write),
            write_synchronously(net::const_buffer(buffer)),
            write_synchronously(to_write),
        };
        for (const io_result& r : results) {
            BOOST_TEST(r.ec == expected, "transfer " << &r - results << ": " << r.ec.message());
            BOOST_TEST(r.bytes == 0u);
        }
    }

private:
    template <class Start>
    io_result outcome(Start start)
    {
        io_result result;
        start(checks.into(result));
        test_support::run_until_done(ctx, result);
        return result;
    }
};

constexpr storage written_storage[] = {storage::cached, storage::memory};

BOOST_AUTO_TEST_SUITE(bad_file_input)

BOOST_AUTO_TEST_CASE_TEMPLATE(transfers_of_closed_files_fail, T, kinds)
{
    const temporary_file disk("contents");
    trial<T> t(disk.open());
    std::array<char, 4> buffer{};
    t.file.close();
    t.expect_of_all(net::error::bad_descriptor, net::buffer(buffer));
    t.expect_of_all(net::error::bad_descriptor, net::mutable_buffer(nullptr, 8));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(transfers_of_files_that_were_closed_elsewhere_fail, T, kinds)
{
    const temporary_file disk("contents");
    trial<T> t(disk.open());
    std::array<char, 4> buffer{};
    BOOST_REQUIRE(::close(t.file.native_handle()) == 0);
    t.expect_of_all(net::error::bad_descriptor, net::buffer(buffer));
    error_code ec[5];
    t.file.size(ec[0]);
    t.file.resize(1, ec[1]);
    t.file.sync_all(ec[2]);
    t.file.sync_data(ec[3]);
    t.file.close(ec[4]);
    for (const auto& e : ec)
        BOOST_TEST(e == net::error::bad_descriptor, "call " << &e - ec << ": " << e.message());
    BOOST_TEST(!t.file.is_open());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(transfers_of_numbers_that_are_no_descriptors_fail, T, kinds)
{
    trial<T> t(99'999);
    std::array<char, 4> buffer{};
    t.expect_of_all(net::error::bad_descriptor, net::buffer(buffer));
    error_code ec;
    t.file.close(ec);
    BOOST_TEST(ec == net::error::bad_descriptor);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(transfers_without_memory_give_a_bad_address, T, kinds)
{
    for (const storage kept : written_storage) {
        const temporary_file disk("contents", kept);
        trial<T> t(disk.open());
        t.expect_of_all(net::error::fault, net::mutable_buffer(nullptr, 8));
        BOOST_TEST(disk.contents() == "contents");
        // Neither the file nor its position has changed.
        std::array<char, 16> buffer{};
        const io_result r = t.read(net::buffer(buffer));
        BOOST_TEST(std::string(buffer.data(), r.bytes) == "contents");
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(two_gibibytes_are_transferred_as_far_as_they_go, T, kinds)
{
    const huge_region region;
    const net::mutable_buffer huge = region.buffer();
    // With O_DIRECT the kernel would pin, and so allocate, all of it.
    for (const storage kept : {storage::cached, storage::uncached, storage::memory}) {
        const temporary_file disk(std::string(8192, 'c'), kept);
        trial<T> t(disk.open());
        BOOST_TEST(t.read(huge).bytes == 8192u);
        t.rewind();
        BOOST_TEST(t.read_synchronously(huge).bytes == 8192u);
    }
    trial<T> full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    BOOST_TEST(full.write(net::const_buffer(huge)).ec == boost::system::errc::no_space_on_device);
    trial<T> sink(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    const io_result written = sink.write(net::const_buffer(huge));
    BOOST_TEST(written.ec == error_code());
    BOOST_TEST(written.bytes > 0u);
    BOOST_TEST(written.bytes < huge_region::size_bytes);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(more_buffers_than_the_kernel_takes_are_used_in_part, T, kinds)
{
    for (const storage kept : written_storage) {
        const std::string out = pattern(more_than_iov_max);
        std::string in(out.size(), '.');
        const auto from = byte_by_byte(out);
        const auto to = byte_by_byte(in);
        const temporary_file disk("", kept);
        trial<T> t(disk.open());
        const io_result written = t.write(from);
        BOOST_TEST(written.ec == error_code());
        BOOST_TEST(written.bytes >= 64u);
        BOOST_TEST((disk.contents() == out.substr(0, written.bytes)));
        t.rewind();
        const io_result read = t.read(to);
        BOOST_TEST(read.ec == error_code());
        BOOST_TEST(read.bytes >= 64u);
        BOOST_TEST((in.substr(0, read.bytes) == out.substr(0, read.bytes)));
        t.rewind();
        BOOST_TEST(t.write_synchronously(from).bytes >= 64u);
        t.rewind();
        BOOST_TEST(t.read_synchronously(to).bytes >= 64u);
    }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
