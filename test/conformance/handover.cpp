// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "contexts.hpp"

#include "support/connected_pair.hpp"
#include "support/handler_checks.hpp"
#include "support/run_until.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>
#include <semaphore>
#include <string>
#include <system_error>
#include <thread>

// Giving a descriptor away with release(), and taking one in with assign().
namespace conformance {
namespace {

using test_support::connect_to_peer;
using test_support::handler_checks;
using test_support::io_result;
using test_support::run_until_done;

BOOST_AUTO_TEST_SUITE(handover)

BOOST_AUTO_TEST_CASE_TEMPLATE(release_gives_the_descriptor_away, Ctx, contexts)
{
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    const int number = socket.native_handle();
    error_code ec = test_support::garbage_error();
    test_support::unique_descriptor fd(socket.release(ec));
    BOOST_TEST(ec == error_code());
    BOOST_TEST(fd.get() == number);
    BOOST_TEST(!socket.is_open());
    test_support::blocking_peer plain(std::move(fd));
    peer.write("data");
    BOOST_TEST(plain.read(4) == "data");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(release_aborts_what_is_pending, Ctx, contexts)
{
    for (const bool seen_by_run : {false, true}) {
        handler_checks checks;
        Ctx ctx;
        auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
        std::array<char, 16> buffer{};
        const std::string large(16 << 20, 'w');
        io_result read, write;
        socket.async_read_some(net::buffer(buffer), checks.into(read));
        net::async_write(socket, net::buffer(large), checks.into(write));
        if (seen_by_run)
            ctx.poll();
        test_support::unique_descriptor fd(socket.release());
        BOOST_TEST(!read.done);
        peer.write("data");
        ctx.restart();
        ctx.run();
        BOOST_TEST(read.ec == net::error::operation_aborted);
        // A composed write whose first part is done by then goes on with a socket
        // that is closed.
        BOOST_TEST((write.ec == net::error::operation_aborted ||
                    (!seen_by_run && write.ec == net::error::bad_descriptor)));
        test_support::blocking_peer plain(std::move(fd));
        BOOST_TEST(plain.read(4) == "data");
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(release_of_a_closed_socket_fails, Ctx, contexts)
{
    Ctx ctx;
    socket_of<Ctx> socket(ctx);
    error_code ec;
    BOOST_TEST(socket.release(ec) == -1);
    BOOST_TEST(ec == net::error::bad_descriptor);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(assigned_socket_works_on_another_context, Ctx, contexts)
{
    handler_checks checks;
    Ctx first;
    Ctx second;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(first);
    std::array<char, 16> buffer{};
    io_result aborted, read, write;
    socket.async_read_some(net::buffer(buffer), checks.into(aborted));
    first.poll();
    socket_of<Ctx> other(second);
    other.assign(tcp::v4(), socket.release());
    other.async_read_some(net::buffer(buffer), checks.into(read));
    other.async_write_some(net::buffer("reply", 5), checks.into(write));
    peer.write("data");
    second.run();
    first.restart();
    first.run();
    BOOST_TEST(aborted.ec == net::error::operation_aborted);
    BOOST_TEST(read.bytes == 4u);
    BOOST_TEST(write.bytes == 5u);
    BOOST_TEST(peer.read(5) == "reply");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(socket_is_handed_between_asios_context_and_this_one, Ctx, contexts)
{
    handler_checks checks;
    net::io_context theirs;
    Ctx ours;
    auto [socket, peer] = connect_to_peer<socket_of<net::io_context>>(theirs);
    std::array<char, 16> buffer{};
    for (int i = 0; i < 20; ++i) {
        io_result first_aborted, first_read, second_aborted;
        socket.async_read_some(net::buffer(buffer), checks.into(first_aborted));
        theirs.restart();
        theirs.poll();
        socket_of<Ctx> other(ours, tcp::v4(), socket.release());
        other.async_read_some(net::buffer(buffer), checks.into(first_read));
        peer.write("data");
        run_until_done(ours, first_read);
        other.async_read_some(net::buffer(buffer), checks.into(second_aborted));
        ours.restart();
        ours.poll();
        socket.assign(tcp::v4(), other.release());
        run_until_done(theirs, first_aborted);
        run_until_done(ours, second_aborted);
        BOOST_TEST(first_read.bytes == 4u);
        BOOST_TEST(first_aborted.ec == net::error::operation_aborted);
        BOOST_TEST(second_aborted.ec == net::error::operation_aborted);
    }
}

/// Sends the numbers from zero on, one for each permit.
class numbered_sender {
public:
    numbered_sender(test_support::blocking_peer& peer, std::uint32_t count)
        : all_(static_cast<int>(count)), thread_([this, &peer, count] { send(peer, count); })
    {
    }

    // A test that fails must still see its thread end.
    ~numbered_sender()
    {
        permits_.release(all_);
        join();
    }

    void allow(int n) { permits_.release(n); }
    void join()
    {
        if (thread_.joinable())
            thread_.join();
    }

    bool failed() const { return failed_; }

private:
    void send(test_support::blocking_peer& peer, std::uint32_t count)
    {
        try {
            for (std::uint32_t n = 0; n < count; ++n) {
                permits_.acquire();
                char bytes[sizeof n];
                std::memcpy(bytes, &n, sizeof n);
                peer.write({bytes, sizeof n});
            }
        } catch (const std::system_error&) {
            failed_ = true; // Somebody has closed the other end too early.
        }
        peer.close();
    }

    int all_;
    std::atomic<bool> failed_{false};
    std::counting_semaphore<> permits_{0};
    std::thread thread_;
};

/// Numbers in `bytes` that are not the successor of the one before them.
std::size_t gaps(const std::string& bytes)
{
    std::size_t found = 0;
    for (std::uint32_t i = 0; i < bytes.size() / 4; ++i) {
        std::uint32_t n = 0;
        std::memcpy(&n, bytes.data() + 4 * i, 4);
        if (n != i)
            ++found;
    }
    return found;
}

BOOST_AUTO_TEST_CASE_TEMPLATE(thousand_handovers_with_a_read_pending_lose_nothing, Ctx, contexts)
{
    constexpr int rounds = 1000;
    constexpr std::uint32_t numbers = 3 * rounds;
    handler_checks checks;
    std::optional<Ctx> contexts_of_both[2];
    for (auto& ctx : contexts_of_both)
        ctx.emplace();
    auto [first, peer] = connect_to_peer<socket_of<Ctx>>(*contexts_of_both[0]);
    numbered_sender sender(peer, numbers);
    int fd = first.release();
    std::string got;
    std::array<char, 8> buffer{};
    for (int round = 0; round < rounds; ++round) {
        auto& ctx = *contexts_of_both[round % 2];
        socket_of<Ctx> socket(ctx, tcp::v4(), fd);
        io_result read;
        if (round % 3 == 0)
            sender.allow(3);
        socket.async_read_some(net::buffer(buffer), checks.into(read));
        if (round % 3 == 1)
            sender.allow(3);
        ctx.restart();
        ctx.poll();
        if (round % 3 == 2)
            sender.allow(3);
        fd = socket.release();
        run_until_done(ctx, read);
        if (!read.ec)
            got.append(buffer.data(), read.bytes);
        else
            BOOST_REQUIRE_EQUAL(read.ec, net::error::operation_aborted);
    }
    test_support::blocking_peer rest{test_support::unique_descriptor(fd)};
    got += rest.read_to_end();
    sender.join();
    BOOST_TEST(!sender.failed());
    BOOST_TEST(got.size() == numbers * 4);
    BOOST_TEST(gaps(got) == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(thousand_cancels_with_a_read_pending_lose_nothing, Ctx, contexts)
{
    constexpr int rounds = 1000;
    constexpr std::uint32_t numbers = 3 * rounds;
    handler_checks checks;
    Ctx ctx;
    auto [socket, peer] = connect_to_peer<socket_of<Ctx>>(ctx);
    numbered_sender sender(peer, numbers);
    std::string got;
    std::array<char, 8> buffer{};
    for (int round = 0; round < rounds; ++round) {
        io_result read;
        socket.async_read_some(net::buffer(buffer), checks.into(read));
        sender.allow(3);
        ctx.restart();
        ctx.poll();
        socket.cancel();
        run_until_done(ctx, read);
        if (!read.ec)
            got.append(buffer.data(), read.bytes);
        else
            BOOST_REQUIRE_EQUAL(read.ec, net::error::operation_aborted);
    }
    error_code ec;
    std::string rest;
    net::read(socket, net::dynamic_buffer(rest), ec);
    BOOST_TEST(ec == net::error::eof);
    sender.join();
    BOOST_TEST(!sender.failed());
    got += rest;
    BOOST_TEST(got.size() == numbers * 4);
    BOOST_TEST(gaps(got) == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace conformance
