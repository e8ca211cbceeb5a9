// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "support/conversation.hpp"
#include "support/injected_failures.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <map>
#include <new>
#include <system_error>
#include <vector>

// One conversation, again and again, with another call failing each time.
using namespace simulated;

namespace {

struct style {
    const char* name;
    conversation_starter start;
    std::size_t message_size;
};

constexpr style all_styles[] = {
    {"callbacks", start_callback_conversation, conversation_message_size},
    {"callbacks, large message", start_callback_conversation, conversation_large_message_size},
    {"coroutines", start_coroutine_conversation, conversation_message_size},
};

/// Runs until the context is out of work; a handler or a failing ring may
/// throw in between.
void run_to_end(simulated_context& ring)
{
    constexpr int most_exceptions = 100;
    for (int i = 0; i < most_exceptions; ++i) {
        try {
            ring.context->restart();
            ring.context->run_for(std::chrono::seconds(10));
            if (!ring.context->stopped()) {
                BOOST_ERROR("the conversation does not end; in flight:\n"
                            << ring.context->describe());
            }
            return;
        } catch (const std::bad_alloc&) {
        } catch (const boost::system::system_error&) {
        } catch (const std::system_error&) {
        }
    }
    BOOST_ERROR("the context goes on throwing");
}

struct outcome_of_run {
    conversation_result result;
    bool created = false;
    bool started = false;
    bool everything_back = false;
    unsigned enters = 0;
    std::map<opcode, unsigned> entries;
};

/// One conversation from the making of its context to the end of it. What
/// failed may keep it from starting; nothing may stay behind.
outcome_of_run converse(const style& how, const std::function<void(simulation&)>& prepare)
{
    outcome_of_run outcome;
    std::shared_ptr<simulation> kernel;
    try {
        kernel = std::make_shared<simulation>();
        prepare(*kernel);
        const options settings = small_options();
        simulated_context ring(settings, kernel);
        outcome.created = true;
        try {
            how.start(ring, outcome.result, how.message_size);
            outcome.started = true;
        } catch (const std::bad_alloc&) {
        } catch (const boost::system::system_error&) {
        }
        run_to_end(ring);
        outcome.everything_back = ring.everything_is_back();
    } catch (const std::bad_alloc&) {
    } catch (const std::system_error&) {
    }
    injected::allocation_failure::disarm();
    if (kernel == nullptr)
        return outcome;
    outcome.enters = kernel->count(simulation::call::enter);
    for (const opcode op : {opcode::recv, opcode::send, opcode::accept, opcode::connect,
                            opcode::poll_add, opcode::async_cancel, opcode::nop})
        outcome.entries[op] = kernel->count(op);
    return outcome;
}

/// Runs it and checks that everything is back.
outcome_of_run check_conversation(const style& how, const std::function<void(simulation&)>& prepare)
{
    const std::size_t descriptors = open_descriptors();
    const outcome_of_run outcome = converse(how, prepare);
    BOOST_TEST(counted_instance::alive == 0);
    BOOST_TEST(outcome.result.called_twice == 0);
    BOOST_TEST((outcome.everything_back || !outcome.created));
    BOOST_TEST(open_descriptors() == descriptors);
    return outcome;
}

void check_complete(const style& how, const outcome_of_run& outcome)
{
    BOOST_TEST(outcome.result.echoed == std::string(how.message_size, 'm'));
    BOOST_TEST(outcome.result.client_ends == 1);
    BOOST_TEST(outcome.result.server_ends == 1);
}

std::vector<int> errors_of(opcode op)
{
    switch (op) {
    case opcode::recv:
        return {EINTR,     EAGAIN, ENOBUFS, ECONNRESET, ETIMEDOUT,    ENOTCONN,
                ECANCELED, EBADF,  ENOMEM,  EFAULT,     EHOSTUNREACH, EINVAL};
    case opcode::send:
        return {EINTR,     EAGAIN, EPIPE,  ECONNRESET, ENOBUFS, ENOMEM,
                ECANCELED, EBADF,  EFAULT, ENOTCONN,   EACCES,  EINVAL};
    case opcode::accept:
        return {EINTR,   EAGAIN, ECONNABORTED, EPROTO, EMFILE,    ENFILE,
                ENOBUFS, ENOMEM, EPERM,        EBADF,  ECANCELED, EINVAL};
    case opcode::connect:
        return {EINTR,       EAGAIN,        EINPROGRESS, EALREADY, ECONNREFUSED, ETIMEDOUT, EACCES,
                ENETUNREACH, EADDRNOTAVAIL, EADDRINUSE,  EISCONN,  EBADF,        ECANCELED};
    case opcode::poll_add:
        return {EINTR, ECANCELED, EBADF, ENOMEM, EINVAL};
    case opcode::async_cancel:
        return {ENOENT, EALREADY, EINVAL};
    default: // Of files, which have tests of their own, or of no use to a conversation.
        break;
    }
    return {};
}

std::vector<int> errors_of(const std::string& call)
{
    static const std::map<std::string, std::vector<int>> errors{
        {"socket", {EMFILE, ENFILE, ENOMEM, ENOBUFS, EACCES, EAFNOSUPPORT}},
        {"bind", {EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOMEM}},
        {"listen", {EADDRINUSE, EOPNOTSUPP}},
        {"setsockopt", {EINVAL, ENOPROTOOPT, ENOMEM, EPERM}},
        {"getsockopt", {EBADF, ENOBUFS}},
        {"getsockname", {ENOBUFS, EBADF}},
        {"shutdown", {ENOTCONN, EINVAL}},
        {"send", {EINTR, EAGAIN, EPIPE, ECONNRESET, ENOBUFS, ENOMEM}},
        {"sendmsg", {EINTR, EAGAIN, EPIPE, ECONNRESET, ENOBUFS, ENOMEM}},
        {"recvmsg", {EINTR, EAGAIN, ECONNRESET, ENOTCONN, ENOMEM}},
        {"close", {EINTR, EIO, ENOSPC}},
        {"mmap", {ENOMEM, EAGAIN, EPERM}},
    };
    const auto found = errors.find(call);
    BOOST_REQUIRE_MESSAGE(found != errors.end(), "no errors are known for " + call);
    return found->second;
}

} // namespace

BOOST_AUTO_TEST_SUITE(failing_everywhere)

BOOST_AUTO_TEST_CASE(nothing_fails)
{
    for (const style& how : all_styles)
        BOOST_TEST_CONTEXT(how.name)
    check_complete(how, check_conversation(how, [](simulation&) {}));
}

BOOST_AUTO_TEST_CASE(the_nth_enter_fails)
{
    for (const style& how : all_styles) {
        const unsigned enters = converse(how, [](simulation&) {}).enters;
        BOOST_REQUIRE(enters > 5U);
        for (const int error : {EINTR, EAGAIN, EBUSY, ENOMEM, ETIME, EBADF, ENXIO, EFAULT})
            for (unsigned n = 1; n <= enters; ++n)
                BOOST_TEST_CONTEXT(how.name << ", enter " << n << ": " << std::strerror(error))
                {
                    const auto outcome = check_conversation(how, [&](simulation& kernel) {
                        kernel.fail_nth(simulation::call::enter, n, error);
                    });
                    // The kernel is short of something for a moment, or run()
                    // throws and is called again: either way nothing is lost.
                    check_complete(how, outcome);
                }
    }
}

BOOST_AUTO_TEST_CASE(enter_fails_for_a_while)
{
    for (const style& how : all_styles) {
        const unsigned enters = converse(how, [](simulation&) {}).enters;
        for (const int error : {EINTR, EAGAIN, EBUSY, ENOMEM})
            for (unsigned n = 1; n <= enters; n += 3)
                BOOST_TEST_CONTEXT(how.name << ", enters from " << n << ": "
                                            << std::strerror(error))
        check_complete(how, check_conversation(how, [&](simulation& kernel) {
                           kernel.fail_nth(simulation::call::enter, n, error, 10);
                       }));
    }
}

BOOST_AUTO_TEST_CASE(the_nth_entry_fails)
{
    for (const style& how : all_styles) {
        const auto undisturbed = converse(how, [](simulation&) {});
        unsigned runs = 0;
        for (const auto& [op, count] : undisturbed.entries)
            for (const int error : errors_of(op))
                for (unsigned n = 1; n <= count; ++n)
                    BOOST_TEST_CONTEXT(how.name << ", entry " << n << " of opcode "
                                                << static_cast<int>(op) << ": "
                                                << std::strerror(error))
                    {
                        ++runs;
                        const auto outcome =
                            check_conversation(how, [&, kind = op](simulation& kernel) {
                                kernel.fail_nth(kind, n, error);
                            });
                        const bool passes_over =
                            error == EINTR || error == ECANCELED ||
                            (error == EAGAIN && op != opcode::connect) ||
                            (error == ENOBUFS && op == opcode::recv) ||
                            op == opcode::async_cancel ||
                            (op == opcode::accept && (error == ECONNABORTED || error == EPROTO));
                        if (passes_over)
                            check_complete(how, outcome);
                    }
        BOOST_TEST(runs > 50U);
    }
}

BOOST_AUTO_TEST_CASE(the_nth_registration_fails)
{
    for (const style& how : all_styles)
        for (const int error : {EINVAL, ENOMEM, EEXIST, EPERM, EFAULT})
            BOOST_TEST_CONTEXT(how.name << ": " << std::strerror(error))
    check_complete(how, check_conversation(how, [&](simulation& kernel) {
                       kernel.fail_nth(simulation::call::register_buffer_ring, 1, error);
                   }));
}

BOOST_AUTO_TEST_CASE(the_nth_system_call_outside_the_ring_fails)
{
    for (const style& how : all_styles) {
        std::vector<std::string> calls;
        {
            const injected::system_call_failure counting;
            converse(how, [](simulation&) {});
            calls = counting.calls();
        }
        BOOST_REQUIRE(calls.size() > 10U);
        for (unsigned n = 1; n <= calls.size(); ++n)
            for (const int error : errors_of(calls[n - 1]))
                BOOST_TEST_CONTEXT(how.name << ", call " << n << ", " << calls[n - 1] << ": "
                                            << std::strerror(error))
                {
                    const std::size_t descriptors = open_descriptors();
                    outcome_of_run outcome;
                    bool happened = false;
                    {
                        const injected::system_call_failure failing(n, error);
                        outcome = converse(how, [](simulation&) {});
                        happened = failing.happened();
                    }
                    BOOST_TEST(happened);
                    BOOST_TEST(counted_instance::alive == 0);
                    BOOST_TEST(outcome.result.called_twice == 0);
                    BOOST_TEST((outcome.everything_back || !outcome.created));
                    BOOST_TEST(open_descriptors() == descriptors);
                }
    }
}

BOOST_AUTO_TEST_CASE(the_nth_allocation_fails)
{
    for (const style& how : all_styles) {
        unsigned n = 0;
        for (bool happened = true; happened;) {
            ++n;
            BOOST_TEST_CONTEXT(how.name << ", allocation " << n)
            {
                const std::size_t descriptors = open_descriptors();
                outcome_of_run outcome;
                {
                    const injected::allocation_failure failing(n);
                    outcome = converse(how, [](simulation&) {});
                    happened = failing.happened();
                }
                BOOST_TEST(counted_instance::alive == 0);
                BOOST_TEST(outcome.result.called_twice == 0);
                BOOST_TEST((outcome.everything_back || !outcome.created));
                BOOST_TEST(open_descriptors() == descriptors);
                if (!happened)
                    check_complete(how, outcome);
            }
            BOOST_REQUIRE(n < 5000U);
        }
        BOOST_TEST(n > 20U);
    }
}

BOOST_AUTO_TEST_SUITE_END()
