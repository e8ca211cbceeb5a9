// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "simulated_loop.hpp"

#include <safer_ring/ring/descriptor_operations.hpp>

#include <boost/test/unit_test.hpp>

#include <sys/ioctl.h>
#include <sys/uio.h>
#include <tuple>

using namespace unit;

namespace {

using ring::transfer_mode;
using test_support::unique_descriptor;

class read_into : public ring::descriptor_read_operation {
protected:
    explicit read_into(std::string& buffer) : buffer_(buffer) {}
    ~read_into() = default;

    ssize_t read_now(int fd, int flags) noexcept override
    {
        const iovec vector{buffer_.data(), buffer_.size()};
        const auto n = ::preadv2(fd, &vector, 1, -1, flags);
        return n < 0 ? -errno : n;
    }
    int final_result() const noexcept { return result(); }

private:
    std::string& buffer_;
};

class write_from : public ring::descriptor_write_operation {
protected:
    explicit write_from(std::string& buffer)
        : ring::descriptor_write_operation(buffer.size()), buffer_(buffer)
    {
    }
    ~write_from() = default;

    ssize_t write_now(int fd, int flags) noexcept override
    {
        const iovec vector{buffer_.data(), buffer_.size()};
        const auto n = ::pwritev2(fd, &vector, 1, -1, flags);
        return n < 0 ? -errno : n;
    }
    int final_result() const noexcept { return result(); }

private:
    std::string& buffer_;
};

/// Both ends of a pipe, on a loop.
struct piped : simulated_loop {
    piped() : piped(simulation_plan{}) {}
    explicit piped(const simulation_plan& plan, ring::threading threads = ring::threading::one)
        : simulated_loop(small_options(), plan, threads)
    {
        std::tie(read_end, write_end) = test_support::pipe_descriptor_pair();
        reader = open(read_end);
        writer = open(write_end);
    }
    ~piped()
    {
        close(reader, read_end);
        close(writer, write_end);
    }

    ring::descriptor* open(const unique_descriptor& fd)
    {
        transfer_mode mode{};
        BOOST_TEST(ring::choose_transfer_mode(fd.get(), mode) == 0);
        ring::descriptor* const d = loop.open(fd.get());
        d->transfer = mode;
        return d;
    }
    void close(ring::descriptor*& d, unique_descriptor& fd)
    {
        if (d != nullptr)
            loop.close(std::exchange(d, nullptr));
        fd.reset();
    }

    record& read(std::string& buffer) { return start<read_into>(*reader, direction::read, buffer); }
    record& write(std::string& buffer)
    {
        return start<write_from>(*writer, direction::write, buffer);
    }

    void fill()
    {
        std::string large(1 << 20, 'f');
        const int flags = ::fcntl(write_end.get(), F_GETFL);
        make_nonblocking(write_end.get());
        while (::write(write_end.get(), large.data(), large.size()) > 0) {
        }
        ::fcntl(write_end.get(), F_SETFL, flags);
    }

    /// Makes large writes be put off: one of them has found no room.
    void teach_that_there_is_no_room()
    {
        fill();
        std::string large(5000, 'l');
        const record& r = write(large);
        poll();
        BOOST_TEST(r.open());
        while (r.open()) {
            take(1 << 16);
            poll();
        }
        while (waiting_bytes() != 0)
            take(1 << 16);
    }

    std::size_t waiting_bytes() const
    {
        int count = 0;
        test_support::check_call(::ioctl(read_end.get(), FIONREAD, &count), "ioctl",
                                 read_end.get());
        return static_cast<std::size_t>(count);
    }

    std::string take(std::size_t size)
    {
        std::string got(size, '\0');
        const auto n = ::read(read_end.get(), got.data(), size);
        got.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        return got;
    }

    unique_descriptor read_end, write_end;
    ring::descriptor* reader = nullptr;
    ring::descriptor* writer = nullptr;
};

transfer_mode mode_of(const unique_descriptor& fd)
{
    transfer_mode mode{};
    BOOST_TEST(ring::choose_transfer_mode(fd.get(), mode) == 0);
    return mode;
}

} // namespace

BOOST_AUTO_TEST_SUITE(descriptor_operations)

BOOST_AUTO_TEST_CASE(mode_follows_from_the_kind_of_file)
{
    const auto [read_end, write_end] = test_support::pipe_descriptor_pair();
    BOOST_TEST((mode_of(read_end) == transfer_mode::settable));
    BOOST_TEST((mode_of(write_end) == transfer_mode::settable));
    BOOST_TEST((mode_of(test_support::local_descriptor_pair().first) == transfer_mode::nowait));
    BOOST_TEST((mode_of(unique_descriptor(::open("/dev/null", O_RDWR | O_CLOEXEC))) ==
                transfer_mode::unpollable));
    BOOST_TEST((mode_of(unique_descriptor(::open("/", O_RDONLY | O_CLOEXEC))) ==
                transfer_mode::unpollable));
    transfer_mode mode{};
    BOOST_TEST(ring::choose_transfer_mode(-1, mode) == EBADF);
}

BOOST_AUTO_TEST_CASE(pipe_of_a_standard_stream_is_not_to_be_made_nonblocking)
{
    const auto [read_end, write_end] = test_support::pipe_descriptor_pair();
    const unique_descriptor before(::dup(STDIN_FILENO));
    test_support::check_call(::dup2(read_end.get(), STDIN_FILENO), "dup2", read_end.get());
    const transfer_mode mode = mode_of(read_end);
    ::dup2(before.get(), STDIN_FILENO);
    BOOST_TEST((mode == transfer_mode::nowait));
}

BOOST_FIXTURE_TEST_CASE(read_shows_the_kernel_no_memory_at_all, piped)
{
    std::string buffer(100, '\0');
    const record& r = read(buffer);
    poll();
    BOOST_TEST(r.open());
    BOOST_TEST(::write(write_end.get(), "data", 4) == 4);
    run();
    BOOST_TEST(r.result == 4);
    BOOST_TEST(buffer.substr(0, 4) == "data");
    const auto entries = kernel->submitted();
    BOOST_REQUIRE(entries.size() == 1U);
    BOOST_TEST((entries[0].op == opcode::poll_add));
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(buffer_destroyed_with_its_read_pending_is_left_alone, piped)
{
    auto buffer = std::make_unique<std::string>(100, '#');
    const record& r = read(*buffer);
    poll();
    close(reader, read_end);
    *buffer = std::string(100, '%'); // The next owner's.
    run();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(*buffer == std::string(100, '%'));
}

BOOST_FIXTURE_TEST_CASE(cancelled_read_consumes_nothing, piped)
{
    kernel->hold(opcode::poll_add);
    std::string buffer(100, '#');
    const record& r = read(buffer);
    poll();
    BOOST_TEST(::write(write_end.get(), "late", 4) == 4);
    loop.cancel(*reader);
    kernel->release();
    run();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(buffer == std::string(100, '#'));
    std::string again(100, '\0');
    const record& next = read(again);
    run();
    BOOST_TEST(next.result == 4);
    BOOST_TEST(again.substr(0, 4) == "late");
}

BOOST_FIXTURE_TEST_CASE(read_is_attempted_first_until_that_is_in_vain, piped)
{
    BOOST_TEST(::write(write_end.get(), "12345678", 8) == 8);
    std::string buffer(4, '\0');
    const record& first = read(buffer);
    BOOST_TEST(buffer == "1234");
    run();
    BOOST_TEST(first.result == 4);
    const record& second = read(buffer);
    BOOST_TEST(buffer == "5678");
    run();
    BOOST_TEST(second.result == 4);
    BOOST_TEST(kernel->submitted().empty());
    const record& third = read(buffer);
    poll();
    BOOST_TEST(::write(write_end.get(), "9abcdefg", 8) == 8);
    run();
    BOOST_TEST(third.result == 4);
    const record& fourth = read(buffer);
    BOOST_TEST(buffer == "9abc"); // It waits first,
    run();
    BOOST_TEST(fourth.result == 4);
    BOOST_TEST(buffer == "defg");
    BOOST_TEST(::write(write_end.get(), "hijk", 4) == 4);
    read(buffer); // which was in vain in its turn.
    BOOST_TEST(buffer == "hijk");
    run();
}

BOOST_FIXTURE_TEST_CASE(write_is_made_within_the_call_that_starts_it, piped)
{
    std::string text = "before";
    const record& r = write(text);
    text = "AFTER!";
    BOOST_TEST(take(100) == "before");
    run();
    BOOST_TEST(r.result == 6);
    BOOST_TEST(kernel->submitted().empty());
}

BOOST_FIXTURE_TEST_CASE(large_write_is_put_off_to_the_end_of_its_turn_when_there_was_no_room, piped)
{
    teach_that_there_is_no_room();
    const std::size_t submitted_before = kernel->submitted().size();
    std::string large(5000, 'L');
    const record* r = nullptr;
    in_handler([&] {
        r = &write(large);
        BOOST_TEST(waiting_bytes() == 0U);
    });
    run();
    BOOST_TEST(r->result == 5000);
    BOOST_TEST(take(6000) == large);
    BOOST_TEST(kernel->submitted().size() == submitted_before);
}

BOOST_FIXTURE_TEST_CASE(write_that_was_put_off_is_submitted_before_its_handler_blocks, piped)
{
    teach_that_there_is_no_room();
    std::string large(5000, 'L');
    const record* r = nullptr;
    in_handler([&] {
        r = &write(large);
        BOOST_TEST(waiting_bytes() == 0U);
        loop.submit_before_blocking();
        BOOST_TEST(waiting_bytes() == 5000U);
    });
    run();
    BOOST_TEST(r->result == 5000);
    BOOST_TEST(take(6000) == large);
}

BOOST_AUTO_TEST_CASE(write_that_was_put_off_is_submitted_before_the_next_handler_blocks)
{
    for (const auto threads : {ring::threading::one, ring::threading::many}) {
        piped p(simulation_plan{}, threads);
        p.teach_that_there_is_no_room();
        std::string large(5000, 'L');
        const record* r = nullptr;
        std::size_t seen = 0;
        p.in_handler([&] {
            p.post("", [&] {
                p.loop.submit_before_blocking();
                seen = p.waiting_bytes();
            });
            r = &p.write(large);
        });
        p.run();
        BOOST_TEST(seen == 5000U);
        BOOST_TEST(r->result == 5000);
    }
}

BOOST_FIXTURE_TEST_CASE(small_write_is_made_within_the_call_that_starts_it_all_the_same, piped)
{
    teach_that_there_is_no_room();
    std::string small(PIPE_BUF, 's');
    in_handler([&] {
        write(small);
        BOOST_TEST(waiting_bytes() == small.size());
    });
    run();
}

BOOST_FIXTURE_TEST_CASE(write_that_was_put_off_is_made_before_its_descriptor_is_closed, piped)
{
    teach_that_there_is_no_room();
    std::string large(5000, 'L'), behind(5000, 'B');
    const record *first = nullptr, *second = nullptr;
    in_handler([&] {
        first = &write(large);
        second = &write(behind);
        close(writer, write_end);
        BOOST_TEST(waiting_bytes() == 10000U);
    });
    run();
    BOOST_TEST(first->result == 5000);
    BOOST_TEST(second->result == 5000);
    BOOST_TEST(take(20000) == large + behind);
}

BOOST_FIXTURE_TEST_CASE(writes_that_were_put_off_end_in_their_order, piped)
{
    const auto start_named = [this](const char* name, std::string& text) {
        simulated_loop::start_named<write_from>(name, {}, *writer, direction::write, text);
    };
    const auto cancel = [&](std::string&) { loop.cancel(*writer); };
    const auto close_it = [&](std::string&) { close(writer, write_end); };
    const auto synchronous_write = [&](std::string& small) {
        loop.attempt_writes(*writer);
        start_named("small", small);
    };
    for (const std::function<void(std::string&)>& next :
         {std::function<void(std::string&)>(cancel),
          std::function<void(std::string&)>(synchronous_write),
          std::function<void(std::string&)>(close_it)}) {
        teach_that_there_is_no_room();
        order.clear();
        std::string first(5000, '1'), second(5000, '2'), small(10, 's');
        in_handler([&] {
            start_named("first", first);
            start_named("second", second);
            next(small);
        });
        run();
        BOOST_TEST(order[1] == "first");
        BOOST_TEST(order[2] == "second");
        while (waiting_bytes() != 0)
            take(1 << 16);
    }
}

BOOST_FIXTURE_TEST_CASE(write_that_was_put_off_is_not_made_after_its_memory_may_be_gone, piped)
{
    teach_that_there_is_no_room();
    fill();
    auto large = std::make_unique<std::string>(5000, 'L');
    const record* r = nullptr;
    in_handler([&] {
        r = &write(*large);
        loop.cancel(*writer);
        large.reset();
        while (waiting_bytes() != 0)
            take(1 << 16);
    });
    run();
    BOOST_TEST(r->result == -ECANCELED);
    BOOST_TEST(waiting_bytes() == 0U);
}

BOOST_FIXTURE_TEST_CASE(loop_that_ends_destroys_the_write_that_was_put_off, piped)
{
    teach_that_there_is_no_room();
    std::string large(5000, 'L');
    const record* r = nullptr;
    in_handler([&] {
        r = &write(large);
        loop.stop();
    });
    loop.restart();
    loop.run(self, [] {});
    BOOST_TEST(r->open());
    close(writer, write_end);
    loop.shutdown();
    BOOST_TEST(r->destroyed());
}

BOOST_FIXTURE_TEST_CASE(stream_from_a_program_to_itself_hardly_waits, piped)
{
    // As much as fits, written and read at a time, by handlers that know nothing of each other.
    const std::size_t size = static_cast<std::size_t>(::fcntl(write_end.get(), F_GETPIPE_SZ));
    std::string out(size, 'o'), in(size, '\0');
    constexpr int blocks = 200;
    int to_write = blocks;
    std::size_t received = 0;
    std::function<void()> write_next, read_next;
    write_next = [&] {
        if (to_write-- == 0)
            return;
        within_handler = true;
        start_named<write_from>("", write_next, *writer, direction::write, out);
        within_handler = false;
    };
    record* reading = nullptr;
    read_next = [&] {
        if (reading != nullptr)
            received += static_cast<std::size_t>(reading->result);
        if (received == blocks * size)
            return;
        within_handler = true;
        reading = &start_named<read_into>("", read_next, *reader, direction::read, in);
        within_handler = false;
    };
    post("", read_next);
    post("", write_next);
    run();
    BOOST_TEST(received == blocks * size);
    BOOST_TEST(submitted(opcode::poll_add).size() < blocks / 4U);
}

BOOST_FIXTURE_TEST_CASE(ten_writes_started_at_once_arrive_in_order, piped)
{
    std::vector<std::string> texts;
    for (char c = '0'; c <= '9'; ++c)
        texts.push_back(std::string(c == '5' ? 1000 : 20, c));
    std::string all;
    for (std::string& text : texts) {
        write(text);
        all += text;
    }
    run();
    BOOST_TEST(take(all.size() + 1) == all);
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(writes_are_made_before_the_descriptor_is_closed, piped)
{
    std::string first = "first ", second = "second";
    const record& one = write(first);
    const record& two = write(second);
    close(writer, write_end);
    BOOST_TEST(take(100) == "first second");
    run();
    BOOST_TEST(one.result == 6);
    BOOST_TEST(two.result == 6);
    BOOST_TEST(everything_is_back());
}

BOOST_FIXTURE_TEST_CASE(large_write_destroyed_while_it_waits_is_not_read_again, piped)
{
    fill();
    auto large = std::make_unique<std::string>(100'000, 'l');
    const record& r = write(*large);
    poll();
    BOOST_TEST(r.open());
    close(writer, write_end);
    large.reset();
    std::string got;
    for (std::string part = take(1 << 16); !part.empty(); part = take(1 << 16))
        got += part;
    run();
    BOOST_TEST(r.result == -ECANCELED);
    BOOST_TEST(got.find('l') == std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(waiting_write_without_a_reader_raises_no_signal_when_it_is_cancelled, piped)
{
    // SIGPIPE would end this program.
    fill();
    std::string small = "x", large(100'000, 'l');
    const record *first = nullptr, *second = nullptr;
    in_handler([&] {
        first = &write(small);
        second = &write(large);
        close(reader, read_end);
        close(writer, write_end);
    });
    run();
    BOOST_TEST(first->result == -EPIPE);
    BOOST_TEST(second->result == -EPIPE);
}

BOOST_FIXTURE_TEST_CASE(pipe_that_the_user_made_nonblocking_waits_all_the_same, piped)
{
    fill();
    make_nonblocking(write_end.get());
    std::string small = "small";
    const record& r = write(small);
    poll();
    BOOST_TEST(r.open());
    while (r.open()) {
        take(1 << 16);
        poll();
    }
    BOOST_TEST(r.result == 5);
}

BOOST_AUTO_TEST_CASE(numbered_bytes_survive_every_kind_of_trouble)
{
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        piped p(simulation_plan::random(seed));
        const std::string text = "0123456789abcdefghijklmnopqrstuvwxyz";
        std::string sent(600, 's'), got; // There is always something to read.
        BOOST_TEST(::write(p.write_end.get(), sent.data(), sent.size()) == 600);
        for (int i = 0; i < 100; ++i) {
            std::string piece = text.substr(static_cast<std::size_t>(i) % 30, 6);
            std::string buffer(4, '\0');
            const record& w = p.write(piece);
            const record& r = p.read(buffer);
            if (i % 3 == 0)
                p.loop.cancel(*p.reader);
            p.run();
            if (w.result > 0)
                sent += piece.substr(0, static_cast<std::size_t>(w.result));
            if (r.result > 0)
                got += buffer.substr(0, static_cast<std::size_t>(r.result));
        }
        p.close(p.writer, p.write_end);
        p.run();
        for (std::string part = p.take(4096); !part.empty(); part = p.take(4096))
            got += part;
        BOOST_TEST(got == sent, "seed " << seed);
    }
}

BOOST_AUTO_TEST_SUITE_END()
