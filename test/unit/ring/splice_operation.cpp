// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "open_file.hpp"

#include <safer_ring/ring/splice_operation.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <fcntl.h>
#include <memory>
#include <tuple>
#include <unistd.h>
#include <utility>

using namespace unit;

namespace {

class splice_of_test : public ring::splice_operation {
protected:
    using ring::splice_operation::splice_operation;
    ~splice_of_test() = default;
    int final_result() const noexcept { return outcome(); }
};

int open_descriptors()
{
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd)
        count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    return count;
}

/// From a file to a pipe, which a worker of the kernel does.
struct file_to_pipe {
    explicit file_to_pipe(simulated_loop& l, bool begins = true) : loop(l), from(l, digits)
    {
        std::tie(out, in) = test_support::pipe_descriptor_pair();
        to = l.loop.open(in.get());
        const auto target = std::make_shared<ring::splice_target>();
        auto op = std::make_unique<recorded<splice_of_test>>(
            reporter{&r, nullptr, "", {}}, target,
            ring::splice_operation::end{ring::splice_kind::file, 0},
            ring::splice_operation::end{ring::splice_kind::pipe, backend::file_position}, 4U);
        target->start(l.loop, *to, *op);
        l.loop.start(*from.handle, direction::read, *op, nullptr, &l.last_id);
        op.release();
        while (begins && l.submitted(opcode::splice).empty())
            l.poll();
    }
    ~file_to_pipe() { close_target(); }

    void close_target()
    {
        if (to != nullptr)
            loop.loop.close(std::exchange(to, nullptr));
        in.reset();
    }

    simulated_loop& loop;
    open_file from;
    test_support::unique_descriptor out, in;
    ring::descriptor* to = nullptr;
    record& r = loop.note();
};

/// The other way round.
struct pipe_to_file {
    explicit pipe_to_file(simulated_loop& l) : loop(l), to(l, digits)
    {
        std::tie(out, in) = test_support::pipe_descriptor_pair();
        from = l.loop.open(out.get());
    }
    ~pipe_to_file() { close_source(); }

    void start()
    {
        const auto target = std::make_shared<ring::splice_target>();
        auto op = std::make_unique<recorded<splice_of_test>>(
            reporter{&r, nullptr, "", {}}, target,
            ring::splice_operation::end{ring::splice_kind::pipe, backend::file_position},
            ring::splice_operation::end{ring::splice_kind::file, 0}, 4U);
        target->start(loop.loop, *to.handle, *op);
        loop.loop.start(*from, direction::read, *op, nullptr, &loop.last_id);
        op.release();
    }
    void write(const std::string& bytes)
    {
        BOOST_REQUIRE(::write(in.get(), bytes.data(), bytes.size()) ==
                      static_cast<ssize_t>(bytes.size()));
    }
    void close_source()
    {
        if (from != nullptr)
            loop.loop.close(std::exchange(from, nullptr));
        out.reset();
    }

    simulated_loop& loop;
    open_file to;
    test_support::unique_descriptor out, in;
    ring::descriptor* from = nullptr;
    record& r = loop.note();
};

} // namespace

BOOST_AUTO_TEST_SUITE(splice_operation)

/// Somebody else may have taken the room of the pipe since it was ready, and the
/// worker is one of few.
BOOST_FIXTURE_TEST_CASE(worker_does_not_wait_for_the_pipe, simulated_loop)
{
    file_to_pipe f(*this);
    run();
    BOOST_TEST(f.r.result == 4);
    const auto requests = submitted(opcode::splice);
    BOOST_REQUIRE(requests.size() == 1U);
    BOOST_TEST(requests[0].op_flags == SPLICE_F_NONBLOCK);
    std::array<char, 5> bytes{};
    BOOST_TEST(::read(f.out.get(), bytes.data(), bytes.size()) == 4);
    BOOST_TEST(bytes.data() == "0123");
}

/// A worker looks the numbers up late: those of what was closed meanwhile may have
/// become other files'.
BOOST_AUTO_TEST_CASE(worker_has_descriptors_of_its_own_until_it_has_ended)
{
    for (const bool closes : {false, true}) {
        const int before = open_descriptors();
        {
            simulated_loop l;
            l.kernel->hold(opcode::splice);
            file_to_pipe f(l);
            const auto entry = l.submitted(opcode::splice).back();
            BOOST_TEST(entry.fd != f.in.get());
            BOOST_TEST(entry.file_index != f.from.file.get());
            if (closes) {
                f.close_target();
                f.from.close();
            }
            BOOST_TEST(::fcntl(entry.fd, F_GETFD) >= 0);
            BOOST_TEST(::fcntl(entry.file_index, F_GETFD) >= 0);
            l.kernel->release();
            l.run();
            BOOST_TEST(f.r.result == 4);
        }
        BOOST_TEST(open_descriptors() == before);
    }
}

/// As when the process is stopped and goes on (SIGSTOP, a debugger).
BOOST_AUTO_TEST_CASE(interrupted_worker_is_asked_again_or_was_cancelled)
{
    constexpr int restart_system_call = 512; // ERESTARTSYS of the kernel.
    for (const bool closes : {false, true}) {
        simulated_loop l;
        l.kernel->fail_nth(opcode::splice, 1, restart_system_call);
        if (closes)
            l.kernel->hold(opcode::splice);
        file_to_pipe f(l);
        if (closes)
            f.close_target();
        l.kernel->release();
        l.run();
        BOOST_TEST(f.r.result == (closes ? -ECANCELED : 4));
        BOOST_TEST(l.submitted(opcode::splice).size() == (closes ? 1U : 2U));
    }
}

/// The worker finds no room, and nobody waits for it any more.
BOOST_FIXTURE_TEST_CASE(target_that_is_closed_while_the_pipe_is_full_cancels_it, simulated_loop)
{
    kernel->hold(opcode::splice);
    file_to_pipe f(*this);
    BOOST_REQUIRE(::fcntl(f.in.get(), F_SETFL, O_NONBLOCK) == 0);
    const std::array<char, 4096> page{};
    while (::write(f.in.get(), page.data(), page.size()) > 0) {
    }
    f.close_target();
    kernel->release();
    run();
    BOOST_TEST(f.r.result == -ECANCELED);
}

/// What is written to the file meanwhile has no place in the line of the splice.
BOOST_FIXTURE_TEST_CASE(file_that_is_being_written_ends_a_splice_into_it, simulated_loop)
{
    pipe_to_file f(*this);
    kernel->hold(opcode::write);
    std::string bytes = "ab";
    record& write = f.to.write(bytes, 8);
    poll();
    f.start();
    poll();
    loop.cancel(*f.to.handle);
    f.write("late");
    for (int i = 0; i < 5; ++i)
        poll();
    BOOST_TEST(f.r.result == -ECANCELED);
    BOOST_TEST(submitted(opcode::splice).empty());
    kernel->release();
    run();
    BOOST_TEST(write.result == 2);
    BOOST_TEST(f.to.contents() == "01234567ab");
}

/// It has descriptors of its own, and may be with a disk.
BOOST_FIXTURE_TEST_CASE(who_closes_the_source_does_not_wait_for_the_worker, simulated_loop)
{
    pipe_to_file f(*this);
    kernel->hold(opcode::splice);
    f.write("late");
    f.start();
    while (submitted(opcode::splice).empty())
        poll();
    const unsigned enters = kernel->count(simulation::call::enter);
    f.close_source();
    // One to hand in the cancellation; waiting would take many.
    BOOST_TEST(kernel->count(simulation::call::enter) <= enters + 1);
    kernel->release();
    run();
    BOOST_TEST(f.r.result == 4); // What it had moved is told.
}

/// The pipe was ready, and the next thing would have been to leave it to a worker.
BOOST_FIXTURE_TEST_CASE(target_that_is_closed_before_the_worker_is_asked_is_no_end_of_file,
                        simulated_loop)
{
    connection c(*this);
    c.peer.write("x");
    file_to_pipe f(*this, false);
    std::string byte(1, '\0');
    start_named<receive_into>(
        "", [&f] { f.close_target(); }, *c, direction::read, byte);
    run();
    BOOST_TEST(submitted(opcode::poll_add).size() == 1U);
    BOOST_TEST(submitted(opcode::splice).empty());
    BOOST_TEST(f.r.result == -ECANCELED);
}

/// It waits for a worker of the kernel then, and none has taken it on yet.
BOOST_AUTO_TEST_CASE(cancelled_before_it_began_it_gives_the_descriptors_of_its_worker_up)
{
    simulation_plan plan;
    plan.late_start = 1;
    plan.longest_delay_enters = 64;
    int cancelled = 0;
    for (plan.seed = 1; plan.seed <= 20; ++plan.seed) {
        const int before = open_descriptors();
        {
            simulated_loop l(small_options(), plan);
            file_to_pipe f(l);
            l.loop.cancel(l.last_id);
            l.run();
            BOOST_TEST((f.r.result == 4 || f.r.result == -ECANCELED));
            cancelled += f.r.result == -ECANCELED ? 1 : 0;
        }
        BOOST_TEST(open_descriptors() == before);
    }
    BOOST_TEST(cancelled > 0);
}

BOOST_AUTO_TEST_SUITE_END()
