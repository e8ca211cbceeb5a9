#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

"""Runs Asio's own unit tests through the drop-in.

    asio_tests.py --tests <libs/asio/test of a Boost> --library <libsafer_ring.a> [--boost <include>]
                  [--report <file>] [--only <pattern>] [--jobs N]

The tests are copied to a temporary folder, where the name of the context, and nothing else, is
replaced: net::io_context becomes safer_ring::io_context. Each is compiled with the drop-in and run.
The report is a line of a Markdown table for each test.
"""

import argparse
import concurrent.futures
import pathlib
import re
import shutil
import sys
import tempfile

import outcomes

# What concerns I/O objects, contexts, and what is built on them. Left out are tests that contain
# no I/O object or context of ours: of executors of others, buffers, type traits.
NAMES = """
    append as_tuple basic_datagram_socket basic_deadline_timer basic_file
    basic_random_access_file basic_raw_socket basic_readable_pipe basic_seq_packet_socket
    basic_serial_port basic_signal_set basic_socket basic_socket_acceptor basic_stream_file
    basic_stream_socket basic_waitable_timer basic_writable_pipe bind_allocator
    bind_cancellation_slot bind_executor bind_immediate_executor buffered_read_stream
    buffered_stream buffered_write_stream cancel_after cancel_at co_composed co_spawn compose
    composed config connect connect_pipe consign deadline_timer defer deferred dispatch
    execution/context_as executor_work_guard high_resolution_timer inline_or_executor io_context
    io_context_strand is_read_buffered is_write_buffered packaged_task post prepend
    random_access_file read read_at read_until readable_pipe redirect_disposition redirect_error
    serial_port serial_port_base signal_set signal_set_base socket_base spawn steady_timer
    strand stream_file system_timer this_coro use_awaitable use_future writable_pipe write
    write_at
    generic/basic_endpoint generic/datagram_protocol generic/raw_protocol
    generic/seq_packet_protocol generic/stream_protocol
    ip/basic_resolver ip/basic_resolver_iterator ip/basic_resolver_query ip/icmp ip/multicast
    ip/tcp ip/udp ip/unicast ip/v6_only
    local/basic_endpoint local/connect_pair local/datagram_protocol local/seq_packet_protocol
    local/stream_protocol
    posix/basic_descriptor posix/basic_stream_descriptor posix/descriptor posix/descriptor_base
    posix/stream_descriptor
    experimental/awaitable_operators experimental/basic_channel
    experimental/basic_concurrent_channel experimental/channel experimental/co_composed
    experimental/concurrent_channel experimental/coro/allocator experimental/coro/cancel
    experimental/coro/co_spawn experimental/coro/exception experimental/coro/executor
    experimental/coro/partial experimental/coro/simple_test experimental/coro/stack_test
    experimental/coro/use_coro experimental/parallel_group experimental/promise
    ssl/stream
""".split()

# Stackful coroutines.
LIBRARIES = {"spawn": ["-lboost_context"]}


def with_our_context(text):
    """The text of a test with the name of the context replaced."""
    text = re.sub(r"\b(?:boost::)?asio::io_context\b(?!\.)", "safer_ring::io_context", text)
    # A bare name is the type where something is declared with it, and a variable elsewhere.
    return re.sub(r"(?<![:\w/\".])io_context\b(?=\s*(?:[&*]|::|>)|[ \t]+[a-z_])",
                  "safer_ring::io_context", text)


class Runner:
    def __init__(self, arguments, work):
        self.arguments = arguments
        self.work = work
        self.flags = outcomes.flags(arguments)
        if arguments.through == "drop_in":
            self.flags += ["-include", self.precompiled("safer_ring/drop_in.hpp")]

    def precompiled(self, name):
        """A header that includes the named one, and is compiled once for all tests."""
        header = self.work / "precompiled.hpp"
        header.write_text(f"#include <{name}>\n")
        error = outcomes.compile_or_error([self.arguments.compiler, *self.flags, "-x", "c++-header",
                                           header, "-o", f"{header}.gch"])
        if error:
            sys.exit(error)
        return header

    def run(self, name):
        source = self.work / "test" / (name + ".cpp")
        program = self.work / name.replace("/", ".")
        error = outcomes.compile_or_error(
            [self.arguments.compiler, *self.flags, "-I", source.parent, source, "-o", program,
             self.arguments.library, "-luring", "-lssl", "-lcrypto", *LIBRARIES.get(name, [])])
        if error:
            return outcomes.Outcome(name, "does not compile", error)
        execution = outcomes.execute(program, 120)
        program.unlink()
        if execution.status is None:
            return outcomes.Outcome(name, "hangs", "no end within 120 s")
        output = execution.output
        failed = [l for l in output.splitlines() if "error" in l.lower() or "fail" in l.lower()]
        if execution.status != 0:
            return outcomes.Outcome(name, "fails",
                                    f"status {execution.status}: {' / '.join(failed[:4])}")
        return outcomes.Outcome(name, "passes", f"{output.count(' passed')} cases")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    outcomes.add_arguments(parser, "libs/asio/test of a Boost")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        shutil.copytree(arguments.tests, work / "test")
        if arguments.through == "drop_in":
            for file in (work / "test").rglob("*.?pp"):
                file.write_text(with_our_context(file.read_text()))
        runner = Runner(arguments, work)
        names = outcomes.selected(arguments, NAMES, arguments.tests, ".cpp")
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            return outcomes.report(pool.map(runner.run, names), arguments.report)


if __name__ == "__main__":
    sys.exit(main())
