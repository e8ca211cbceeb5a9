// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "kernel.hpp"

#include "support/blocking_peer.hpp"
#include "support/full_socket.hpp"
#include "support/skip.hpp"
#include "support/unnamed_file.hpp"

#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/io_ring.hpp>

#include <boost/test/unit_test.hpp>

#include <climits>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

// Operations of several buffers, messages, and others with more than one thing to give back.
namespace kernel {
namespace {

using namespace std::chrono_literals;
using namespace safer_ring;
using test_support::unique_descriptor;
using test_support::unnamed_file;

struct ends_of_pair {
    explicit ends_of_pair(int type)
    {
        int ends[2];
        BOOST_REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0);
        a = unique_descriptor(ends[0]);
        b = unique_descriptor(ends[1]);
    }
    unique_descriptor a, b;
};

std::vector<owned_buffer> buffers_of(std::initializer_list<std::string_view> texts)
{
    std::vector<owned_buffer> buffers;
    for (const std::string_view text : texts)
        buffers.push_back(owned_buffer::copy_of(text));
    return buffers;
}

std::vector<owned_buffer> buffers_of_sizes(std::initializer_list<std::size_t> sizes)
{
    std::vector<owned_buffer> buffers;
    for (const std::size_t size : sizes)
        buffers.emplace_back(size);
    return buffers;
}

message<owned_buffer> room(std::initializer_list<std::size_t> sizes, std::size_t control = 0)
{
    message<owned_buffer> m;
    m.buffers = buffers_of_sizes(sizes);
    m.control = owned_buffer(control);
    return m;
}

BOOST_AUTO_TEST_SUITE(vectored_operations, *needs_io_uring)

BOOST_AUTO_TEST_CASE(file_is_written_from_and_read_into_several_buffers)
{
    io_ring ring;
    const unique_descriptor file = unnamed_file();
    auto [written, texts] =
        ring.write(file.get(), buffers_of({"one", "", "twelve"})).at(4).submit().wait().take();
    BOOST_TEST(written.value() == 9U);
    BOOST_TEST(texts.size() == 3U);
    BOOST_TEST(texts[2].text() == "twelve");
    auto [read, parts] =
        ring.read(file.get(), buffers_of_sizes({2, 5, 100, 10})).at(4).submit().wait().take();
    BOOST_TEST(read.value() == 9U);
    BOOST_TEST(parts[0].text() == "on");
    BOOST_TEST(parts[1].text() == "etwel");
    BOOST_TEST(parts[2].text() == "ve");
    BOOST_TEST(parts[3].empty());
}

BOOST_AUTO_TEST_CASE(shared_buffers_are_written_together_to_several)
{
    io_ring ring;
    const shared_buffer head = owned_buffer::copy_of("head ").freeze();
    for (int i = 0; i < 2; ++i) {
        ends_of_pair pair(SOCK_STREAM);
        const shared_buffer body = owned_buffer::copy_of("body").freeze();
        auto writing = ring.write(pair.a.get(), std::vector<shared_buffer>{head, body}).submit();
        auto reading = ring.read(pair.b.get(), owned_buffer(100)).submit();
        const auto written_result = std::move(writing).wait().result();
        BOOST_TEST(written_result.value() == 9U);
        const owned_buffer received = std::move(reading).wait().take().second;
        BOOST_TEST(received.text() == "head body");
    }
}

BOOST_AUTO_TEST_CASE(more_buffers_than_the_kernel_takes_are_a_short_count)
{
    io_ring ring;
    const unique_descriptor file = unnamed_file();
    std::vector<owned_buffer> many;
    for (int i = 0; i < IOV_MAX + 10; ++i)
        many.push_back(owned_buffer::copy_of("x"));
    auto [written, back] = ring.write(file.get(), std::move(many)).at(0).submit().wait().take();
    BOOST_TEST(written.value() == static_cast<std::size_t>(IOV_MAX));
    BOOST_TEST(back.size() == static_cast<std::size_t>(IOV_MAX + 10));
}

BOOST_AUTO_TEST_CASE(what_is_linked_does_not_begin_behind_a_short_count)
{
    io_ring ring;
    const unique_descriptor file = unnamed_file();
    const std::vector<shared_buffer> many(IOV_MAX + 1, owned_buffer::copy_of("x").freeze());
    auto [writing, behind] = ring.submit_linked(ring.write(file.get(), many).at(0), ring.nop());
    BOOST_TEST((std::move(behind).wait().result().code() == std::errc::operation_canceled));
    BOOST_TEST((std::move(writing).wait().result().code() == std::errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(datagram_of_more_buffers_than_the_kernel_takes_is_not_cut)
{
    io_ring ring;
    ends_of_pair pair(SOCK_DGRAM);
    message<shared_buffer> of_many;
    of_many.buffers.assign(IOV_MAX + 1, owned_buffer::copy_of("x").freeze());
    auto [sent, back] = ring.send_message(pair.a.get(), std::move(of_many)).submit().wait().take();
    BOOST_TEST((sent.code() == std::errc::message_size));
    BOOST_TEST(back.buffers.size() == static_cast<std::size_t>(IOV_MAX + 1));
    char none = 0;
    BOOST_TEST(::recv(pair.b.get(), &none, 1, MSG_DONTWAIT) < 0);
}

BOOST_AUTO_TEST_CASE(no_buffers_at_all_transfer_nothing)
{
    io_ring ring;
    ends_of_pair pair(SOCK_STREAM);
    auto [written, none] =
        ring.write(pair.a.get(), std::vector<owned_buffer>()).submit().wait().take();
    BOOST_TEST(written.value() == 0U);
    BOOST_TEST(none.empty());
}

BOOST_AUTO_TEST_CASE(cancelled_operation_gives_all_of_its_buffers_back)
{
    buffer_pool pool(3, 64);
    io_ring ring;
    ends_of_pair pair(SOCK_DGRAM);
    {
        std::vector<owned_buffer> buffers;
        buffers.push_back(*pool.try_acquire());
        buffers.push_back(*pool.try_acquire());
        message<owned_buffer> into;
        into.buffers.push_back(*pool.try_acquire());
        auto reading = ring.read(pair.a.get(), std::move(buffers)).submit();
        auto receiving = ring.receive_message(pair.a.get(), std::move(into)).submit();
        ring.flush();
        BOOST_TEST(pool.statistics().available == 0U);
        reading.cancel();
        ring.cancel(receiving.id());
        auto [read, parts] = std::move(reading).wait().take();
        BOOST_TEST((read.code() == std::errc::operation_canceled));
        BOOST_TEST(parts.size() == 2U);
        BOOST_TEST(parts[0].empty());
        auto [received, what] = std::move(receiving).wait().take();
        BOOST_TEST((received.code() == std::errc::operation_canceled));
        BOOST_TEST(what.buffers.size() == 1U);
        BOOST_TEST(what.address_size_bytes == 0U);
    }
    BOOST_TEST(pool.statistics().available == 3U);
}

BOOST_AUTO_TEST_CASE(datagram_comes_with_the_address_of_its_sender_and_is_answered)
{
    io_ring ring;
    unique_descriptor sockets[2];
    sockaddr_in addresses[2]{};
    for (int i = 0; i < 2; ++i) {
        sockets[i] = unique_descriptor(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        addresses[i].sin_family = AF_INET;
        addresses[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof addresses[i];
        auto* const at = reinterpret_cast<sockaddr*>(&addresses[i]);
        BOOST_REQUIRE(::bind(sockets[i].get(), at, size) == 0);
        BOOST_REQUIRE(::getsockname(sockets[i].get(), at, &size) == 0);
    }
    message<owned_buffer> question;
    question.buffers = buffers_of({"quest", "ion"});
    std::memcpy(&question.address, &addresses[1], sizeof addresses[1]);
    question.address_size_bytes = sizeof addresses[1];
    auto sending = ring.send_message(sockets[0].get(), std::move(question)).submit();
    auto [received, asked] =
        ring.receive_message(sockets[1].get(), room({4, 100})).submit().wait().take();
    const auto sent_result = std::move(sending).wait().result();
    BOOST_TEST(sent_result.value() == 8U);
    BOOST_TEST(received.value() == 8U);
    BOOST_TEST(asked.buffers[0].text() == "ques");
    BOOST_TEST(asked.buffers[1].text() == "tion");
    BOOST_TEST(asked.flags == 0);
    BOOST_REQUIRE(asked.address_size_bytes == sizeof addresses[0]);
    sockaddr_in from{};
    std::memcpy(&from, &asked.address, sizeof from);
    BOOST_TEST(from.sin_port == addresses[0].sin_port);

    asked.buffers[0].resize(2); // Back where it came from, with the same buffers.
    asked.buffers[1].resize(0);
    auto answering = ring.send_message(sockets[1].get(), std::move(asked)).submit();
    auto answer = ring.receive(sockets[0].get(), owned_buffer(100)).submit().wait().take().second;
    BOOST_TEST(answer.text() == "qu");
    const auto answered_result = std::move(answering).wait().result();
    BOOST_TEST(answered_result.value() == 2U);
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_told)
{
    io_ring ring;
    ends_of_pair pair(SOCK_DGRAM);
    for (int i = 0; i < 3; ++i)
        BOOST_REQUIRE(::send(pair.a.get(), "0123456789", 10, 0) == 10);
    auto [received, cut] = ring.receive_message(pair.b.get(), room({4})).submit().wait().take();
    BOOST_TEST(received.value() == 4U);
    BOOST_TEST((cut.flags & MSG_TRUNC) != 0);
    BOOST_TEST(cut.buffers[0].text() == "0123");

    // The length of the whole datagram is asked for, of which only a part is there.
    auto [whole, part] =
        ring.receive(pair.b.get(), owned_buffer(4), MSG_TRUNC).submit().wait().take();
    BOOST_TEST(whole.value() == 10U);
    BOOST_TEST(part.text() == "0123");
    auto [whole_message, part_message] =
        ring.receive_message(pair.b.get(), room({4, 2}), MSG_TRUNC).submit().wait().take();
    BOOST_TEST(whole_message.value() == 10U);
    BOOST_TEST(part_message.buffers[1].text() == "45");
}

BOOST_AUTO_TEST_CASE(descriptor_is_passed_in_ancillary_data)
{
    io_ring ring;
    ends_of_pair pair(SOCK_STREAM);
    const auto [reader, writer] = test_support::pipe_descriptor_pair();

    message<owned_buffer> passing;
    passing.buffers = buffers_of({"take it"});
    passing.control = owned_buffer(CMSG_SPACE(sizeof(int)));
    auto* const header = reinterpret_cast<cmsghdr*>(passing.control.data());
    std::memset(header, 0, passing.control.size());
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int passed_on = writer.get();
    std::memcpy(CMSG_DATA(header), &passed_on, sizeof passed_on);
    BOOST_TEST(
        ring.send_message(pair.a.get(), std::move(passing)).submit().wait().result().has_value());

    auto [received, taken] =
        ring.receive_message(pair.b.get(), room({100}, 64)).submit().wait().take();
    BOOST_TEST(received.value() == 7U);
    BOOST_REQUIRE(taken.control.size() >= CMSG_LEN(sizeof(int)));
    int passed = -1;
    std::memcpy(&passed, CMSG_DATA(reinterpret_cast<cmsghdr*>(taken.control.data())),
                sizeof passed);
    const unique_descriptor other_writer(passed);
    BOOST_TEST(::fcntl(passed, F_GETFD) == FD_CLOEXEC);
    BOOST_TEST(::write(passed, "x", 1) == 1);
    char c = 0;
    BOOST_TEST(::read(reader.get(), &c, 1) == 1);
}

// Whoever waits for the end of the pipe waits for the last descriptor of it.
BOOST_AUTO_TEST_CASE(descriptors_in_a_message_that_nobody_takes_are_closed)
{
    ends_of_pair pair(SOCK_STREAM);
    io_ring ring;
    for (const bool is_over : {false, true}) {
        int ends[2];
        BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        const unique_descriptor reader(ends[0]);
        unique_descriptor writers[] = {unique_descriptor(ends[1]),
                                       unique_descriptor(::fcntl(ends[1], F_DUPFD_CLOEXEC, 0))};
        alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
        char byte = 'x';
        iovec part{&byte, 1};
        msghdr header{};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        cmsghdr* const ancillary = CMSG_FIRSTHDR(&header);
        ancillary->cmsg_level = SOL_SOCKET;
        ancillary->cmsg_type = SCM_RIGHTS;
        ancillary->cmsg_len = CMSG_LEN(2 * sizeof(int));
        const int passed[] = {writers[0].get(), writers[1].get()};
        std::memcpy(CMSG_DATA(ancillary), passed, sizeof passed);
        {
            auto receiving = ring.receive_message(pair.b.get(), room({1}, 256)).submit();
            ring.flush();
            BOOST_REQUIRE(::sendmsg(pair.a.get(), &header, 0) == 1);
            if (is_over)
                BOOST_TEST(receiving.wait_for(test_support::watchdog_time));
        }
        BOOST_TEST(ring.shutdown(20s));
        for (unique_descriptor& writer : writers)
            writer.reset();
        pollfd at_its_end{reader.get(), POLLIN, 0};
        BOOST_TEST(::poll(&at_its_end, 1, 0) == 1);
        BOOST_TEST((at_its_end.revents & POLLHUP) != 0);
    }
}

BOOST_AUTO_TEST_CASE(what_comes_in_is_put_behind_what_is_there)
{
    io_ring ring;
    ends_of_pair pair(SOCK_STREAM);
    owned_buffer line(16);
    line.resize(0);
    for (const std::string_view piece : {"GET ", "/ ", "HTTP"}) {
        BOOST_REQUIRE(::send(pair.a.get(), piece.data(), piece.size(), 0) > 0);
        auto [received, so_far] =
            ring.receive(pair.b.get(), std::move(line)).append().submit().wait().take();
        BOOST_TEST(received.value() == piece.size());
        line = std::move(so_far);
    }
    BOOST_TEST(line.text() == "GET / HTTP");
    auto failing = ring.read(-1, std::move(line)).append().submit().wait().take();
    BOOST_TEST(!failing.first.has_value());
    BOOST_TEST(failing.second.text() == "GET / HTTP"); // Nothing is lost.
    BOOST_TEST(failing.first.error().size_bytes == 6U);
}

BOOST_AUTO_TEST_CASE(file_tells_about_itself)
{
    io_ring ring;
    const unique_descriptor file = unnamed_file();
    BOOST_REQUIRE(::ftruncate(file.get(), 12345) == 0);
    const auto of_file = ring.stat(file.get()).submit().wait().result();
    BOOST_TEST(of_file.value().stx_size == 12345U);
    const auto of_folder = ring.stat("/var/tmp").submit().wait().result();
    BOOST_TEST(S_ISDIR(of_folder.value().stx_mode));
    const auto of_nothing = ring.stat("/no/such/file").submit().wait().result();
    BOOST_TEST((of_nothing.code() == std::errc::no_such_file_or_directory));
    BOOST_TEST(of_nothing.error().message().find("stat") == 0U);
}

BOOST_AUTO_TEST_CASE(zero_copy_send_gives_the_buffer_back_when_the_kernel_has_let_go)
{
    buffer_pool pool(1, 1 << 16);
    io_ring ring;
    const auto [sender, receiver] = test_support::tcp_descriptor_pair();
    std::string received;
    for (int i = 0; i < 3; ++i) {
        owned_buffer large = *pool.try_acquire();
        std::memset(large.data(), 'a' + i, large.size());
        auto sending = ring.send_zero_copy(sender.get(), std::move(large)).submit();
        std::size_t missing = 1 << 16;
        while (missing != 0) {
            auto [n, piece] =
                ring.receive(receiver.get(), owned_buffer(missing)).submit().wait().take();
            BOOST_REQUIRE(n.value() != 0U);
            received += piece.text();
            missing -= n.value();
        }
        auto [sent, back] = std::move(sending).wait().take();
        BOOST_TEST(sent.value() == (1U << 16));
        BOOST_TEST(pool.statistics().available == 0U);
        BOOST_TEST(back.text()[0] == 'a' + i);
    }
    BOOST_TEST(pool.statistics().available == 1U);
    BOOST_TEST((received ==
                std::string(1 << 16, 'a') + std::string(1 << 16, 'b') + std::string(1 << 16, 'c')));
}

BOOST_AUTO_TEST_CASE(zero_copy_send_is_an_ordinary_one_where_the_socket_cannot)
{
    io_ring ring;
    ends_of_pair pair(SOCK_STREAM);
    auto [sent, back] =
        ring.send_zero_copy(pair.a.get(), owned_buffer::copy_of("local")).submit().wait().take();
    BOOST_TEST(sent.value() == 5U);
    BOOST_TEST(back.text() == "local");
    auto [received, text] = ring.receive(pair.b.get(), owned_buffer(9)).submit().wait().take();
    BOOST_TEST(text.text() == "local");
}

BOOST_AUTO_TEST_CASE(zero_copy_send_for_which_there_is_no_room_is_timed_out_and_cancelled)
{
    buffer_pool pool(2, 1 << 16);
    io_ring ring;
    const auto [sender, receiver] = test_support::tcp_descriptor_pair();
    test_support::fill_socket(sender.get());
    auto [late, late_buffer] =
        ring.send_zero_copy(sender.get(), *pool.try_acquire()).within(1ms).submit().wait().take();
    BOOST_TEST((late.code() == std::errc::timed_out), late.error().message());
    BOOST_TEST(late_buffer.size() == (1U << 16));
    BOOST_TEST(!late.was_cancelled());
    auto waiting = ring.send_zero_copy(sender.get(), *pool.try_acquire()).submit();
    ring.flush();
    waiting.cancel();
    auto [ended, ended_buffer] = std::move(waiting).wait().take();
    BOOST_TEST((ended.code() == std::errc::operation_canceled), ended.error().message());
    BOOST_TEST(ended_buffer.size() == (1U << 16));
    late_buffer = {};
    ended_buffer = {};
    BOOST_TEST(pool.statistics().available == 2U);
}

BOOST_AUTO_TEST_CASE(zero_copy_send_that_is_given_up_keeps_its_buffer_until_the_kernel_has_let_go)
{
    buffer_pool pool(1, 1 << 20);
    {
        io_ring ring;
        auto [sender, receiver] = test_support::tcp_descriptor_pair();
        {
            // Nobody receives, so that most of it stays in the socket's queues.
            auto sending = ring.send_zero_copy(sender.get(), *pool.try_acquire()).submit();
            ring.flush();
        }
        BOOST_TEST(pool.statistics().available == 0U);
        sender.reset();
        receiver.reset(); // Reset, and nothing is queued any more.
        BOOST_TEST(ring.shutdown(10s));
    }
    BOOST_TEST(pool.statistics().available == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
} // namespace kernel
