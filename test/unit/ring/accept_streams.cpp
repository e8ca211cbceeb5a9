// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "open_stream.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <string>
#include <unistd.h>

// Streams of connections, whose items are descriptors.

using namespace unit;

namespace {

BOOST_AUTO_TEST_SUITE(accept_streams)

BOOST_FIXTURE_TEST_CASE(connections_beyond_the_mark_are_kept_and_the_request_is_ended,
                        listening_loop)
{
    auto stream = std::make_unique<accepting>(*this, *handle, stream_limits{2, 1}, false);
    std::string text;
    stream->next(text);
    poll();
    const std::uint64_t request = request_in_flight(*kernel, opcode::accept);
    const auto accepted = [&](std::uint32_t flags) {
        return backend::completion_entry{request, ::dup(listener.get()), flags};
    };
    for (int i = 0; i < 6; ++i)
        kernel->post(accepted(backend::completion_more));
    run();
    BOOST_TEST(text == "socket ");
    turn();
    BOOST_TEST(stream->held() == 5U);
    turn();
    turn();
    BOOST_TEST(submitted(opcode::async_cancel).size() == 1U);
    BOOST_TEST(kernel->in_flight_count() == 0U);
    for (int i = 0; i < 4; ++i) {
        BOOST_TEST(kernel->in_flight_count() == 0U);
        stream->next(text);
        run();
        poll();
    }
    turn();
    BOOST_TEST(stream->held() == 1U);
    BOOST_TEST(kernel->in_flight_count() == 1U); // At the low mark it began again.
    // What comes behind the end of the stream is closed.
    kernel->hold(opcode::accept);
    stream.reset();
    const int late = ::dup(listener.get());
    kernel->post({request_in_flight(*kernel, opcode::accept), late, backend::completion_more});
    turn();
    BOOST_TEST(::fcntl(late, F_GETFD) == -1);
    kernel->release();
    turn();
    BOOST_TEST(everything_is_back());
}

// A handler may close very many, and take in completions each time.
BOOST_FIXTURE_TEST_CASE(request_is_ended_although_no_turn_comes, listening_loop)
{
    accepting stream(*this, *handle, stream_limits{2, 1}, false);
    std::string text;
    stream.next(text);
    poll();
    const std::uint64_t request = request_in_flight(*kernel, opcode::accept);
    std::string buffer(8, '.');
    connection other(*this);
    start<receive_into>(*other, direction::read, buffer);
    poll();
    std::size_t asked = 0;
    in_handler([&] {
        for (int i = 0; i < 6; ++i)
            kernel->post({request, ::dup(listener.get()), backend::completion_more});
        other.close();
        for (const auto& e : submitted(opcode::async_cancel))
            asked += e.address == request ? 1U : 0U;
    });
    run();
    BOOST_TEST(asked == 1U);
    stream.close();
    turn();
    turn();
}

BOOST_FIXTURE_TEST_CASE(aborted_connections_are_passed_over_unless_asked_for, listening_loop)
{
    for (const int error : {ECONNABORTED, EPROTO})
        for (const bool reports_aborted : {false, true}) {
            accepting stream(*this, *handle, stream_limits(), reports_aborted);
            std::string text;
            kernel->fail_nth(opcode::accept, 1, error);
            const auto peer = client();
            const record& first = stream.next(text);
            run();
            BOOST_TEST(first.result == (reports_aborted ? -error : 0));
            if (reports_aborted) {
                BOOST_TEST(text == "");
                stream.next(text);
                run();
            }
            BOOST_TEST(text == "socket ");
        }
}

BOOST_FIXTURE_TEST_CASE(lack_of_descriptors_is_told_only_when_there_is_a_connection, listening_loop)
{
    for (const int error : {EMFILE, ENFILE}) {
        accepting stream(*this, *handle, stream_limits(), false);
        std::string text;
        const auto fails_without_connection = [&] {
            const record& r = stream.next(text);
            const unsigned before = kernel->count(opcode::accept);
            for (int i = 0; i < 10; ++i)
                poll();
            BOOST_TEST(kernel->count(opcode::accept) <= before + 1);
            BOOST_TEST(request_in_flight(*kernel, opcode::poll_add) != 0U);
            return &r;
        };
        kernel->fail_nth(opcode::accept, 1, error);
        const record* const first = fails_without_connection();
        BOOST_TEST(first->open());
        kernel->fail_nth(opcode::accept, 1, error);
        const auto waiting = client();
        run();
        BOOST_TEST(first->result == -error);
        // It has not gone, and is taken once there are descriptors again.
        kernel->fail_nth(opcode::accept, 2, error);
        stream.next(text);
        run();
        BOOST_TEST(text == "socket ");
        // That there was a connection then does not mean that there is one now.
        const record* const second = fails_without_connection();
        BOOST_TEST(second->open());
        const auto later = client();
        run();
        BOOST_TEST(text == "socket socket ");
    }
}

BOOST_FIXTURE_TEST_CASE(other_errors_of_an_accept_are_told_and_end_nothing, listening_loop)
{
    for (const int error : {ENOBUFS, ENOMEM, EPERM}) {
        accepting stream(*this, *handle, stream_limits(), false);
        std::string text;
        kernel->fail_nth(opcode::accept, 1, error);
        const auto peer = client();
        const record& first = stream.next(text);
        run();
        BOOST_TEST(first.result == -error);
        const unsigned asked = kernel->count(opcode::accept);
        turn();
        turn();
        BOOST_TEST(kernel->count(opcode::accept) == asked); // Not before somebody wants one.
        stream.next(text);
        run();
        BOOST_TEST(text == "socket ");
    }
}

BOOST_FIXTURE_TEST_CASE(refused_accept_is_told_when_it_is_refused_again, listening_loop)
{
    accepting stream(*this, *handle, stream_limits(), false);
    std::string text;
    kernel->fail_nth(opcode::accept, 1, EINVAL); // As for the multishot.
    kernel->fail_nth(opcode::accept, 2, EINVAL);
    const record& r = stream.next(text);
    run();
    BOOST_TEST(r.result == -EINVAL);
    BOOST_TEST(kernel->count(opcode::accept) == 2U);
}

/// The result of a poll is no descriptor, although it looks like one.
BOOST_FIXTURE_TEST_CASE(readiness_that_comes_too_late_closes_nothing, listening_loop)
{
    const test_support::unique_descriptor in_place_of_it(::dup(listener.get()));
    accepting stream(*this, *handle, stream_limits(), false);
    std::string text;
    kernel->fail_nth(opcode::accept, 1, EMFILE);
    stream.next(text);
    kernel->hold(opcode::poll_add);
    while (submitted(opcode::poll_add).empty())
        poll();
    const std::uint64_t request = request_in_flight(*kernel, opcode::poll_add);
    stream.close();
    kernel->post({request, in_place_of_it.get(), backend::completion_more});
    turn();
    BOOST_TEST(::fcntl(in_place_of_it.get(), F_GETFD) != -1);
    kernel->release();
    turn();
    BOOST_TEST(everything_is_back());
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace
