#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

"""Runs Asio's own unit tests through the drop-in.

    asio_tests.py --tests <libs/asio/test of a Boost> --library <libsafer_ring.a> [--boost <include>]
                  [--report <file>] [--only <part of a name>] [--jobs N]

The tests are copied to a temporary folder, where the name of the context, and nothing else, is
replaced: net::io_context becomes safer_ring::io_context. Each is compiled with the drop-in and run.
The report is a line of a Markdown table for each test.
"""

import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# What concerns I/O objects, contexts, and what is built on them. Left out are tests that contain
# no I/O object or context of ours: of executors of others, buffers, type traits.
NAMES = """
    basic_datagram_socket basic_deadline_timer basic_file basic_random_access_file basic_raw_socket
    basic_readable_pipe basic_seq_packet_socket basic_serial_port basic_signal_set basic_socket
    basic_socket_acceptor basic_stream_file basic_stream_socket basic_waitable_timer
    basic_writable_pipe bind_cancellation_slot bind_executor bind_allocator
    buffered_read_stream buffered_stream buffered_write_stream co_spawn cancel_after cancel_at
    config connect connect_pipe deadline_timer defer deferred dispatch executor_work_guard
    high_resolution_timer io_context io_context_strand packaged_task post random_access_file read
    read_at read_until readable_pipe redirect_error serial_port signal_set socket_base steady_timer
    strand stream_file system_timer this_coro use_awaitable use_future writable_pipe write write_at
    as_tuple
    generic/basic_endpoint generic/datagram_protocol generic/raw_protocol
    generic/seq_packet_protocol generic/stream_protocol
    ip/icmp ip/multicast ip/tcp ip/udp ip/unicast ip/v6_only ip/basic_resolver
    ip/basic_resolver_iterator ip/basic_resolver_query
    local/basic_endpoint local/connect_pair local/datagram_protocol local/seq_packet_protocol
    local/stream_protocol
    posix/basic_descriptor posix/basic_stream_descriptor posix/descriptor posix/descriptor_base
    posix/stream_descriptor
    experimental/awaitable_operators experimental/basic_channel
    experimental/basic_concurrent_channel experimental/channel experimental/co_composed
    experimental/concurrent_channel experimental/parallel_group experimental/promise
    experimental/coro/allocator experimental/coro/cancel experimental/coro/co_spawn
    experimental/coro/exception experimental/coro/executor experimental/coro/partial
    experimental/coro/simple_test experimental/coro/stack_test experimental/coro/use_coro
    ssl/stream
""".split()


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
        self.flags = ["-std=c++20", "-O0", "-w", "-pthread",
                      "-I", str(pathlib.Path(__file__).resolve().parents[2] / "include")]
        if arguments.boost:
            self.flags += ["-isystem", arguments.boost]
        self.flags += arguments.define
        if arguments.through == "drop_in":
            self.flags += ["-include", "safer_ring/drop_in.hpp"]

    def run(self, name):
        source = self.work / "test" / (name + ".cpp")
        if not source.exists():
            return name, "absent", "this Boost has no such test"
        program = self.work / name.replace("/", ".")
        compilation = subprocess.run(
            [self.arguments.compiler, *self.flags, "-I", str(source.parent), str(source), "-o",
             str(program), self.arguments.library, "-luring", "-lssl", "-lcrypto"],
            capture_output=True, text=True)
        if compilation.returncode != 0:
            errors = [l for l in compilation.stderr.splitlines() if "error" in l or "undefined" in l]
            return name, "does not compile", errors[0] if errors else compilation.stderr[-300:]
        try:
            execution = subprocess.run([str(program)], capture_output=True, text=True, timeout=120,
                                       errors="replace")
        except subprocess.TimeoutExpired:
            return name, "hangs", "no end within 120 s"
        finally:
            program.unlink(missing_ok=True)
        output = execution.stdout + execution.stderr
        passed = output.count(" passed")
        failed = [l for l in output.splitlines() if "error" in l.lower() or "fail" in l.lower()]
        if execution.returncode != 0:
            return name, "fails", f"status {execution.returncode}: {' / '.join(failed[:4])}"
        return name, "passes", f"{passed} cases"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tests", required=True, type=pathlib.Path)
    parser.add_argument("--library", required=True)
    parser.add_argument("--boost", help="include folder of the Boost that the tests belong to")
    parser.add_argument("--compiler", default="c++")
    parser.add_argument("--define", action="append", default=[], help="a further flag, as in -DX")
    parser.add_argument("--through", choices=["drop_in", "asio"], default="drop_in",
                        help="asio: unchanged, to see what passes on this machine at all")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--report", type=pathlib.Path)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        shutil.copytree(arguments.tests, work / "test")
        if arguments.through == "drop_in":
            for file in (work / "test").rglob("*.?pp"):
                file.write_text(with_our_context(file.read_text()))
        runner = Runner(arguments, work)
        names = [n for n in NAMES if arguments.only in n]
        lines, bad = [], 0
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            for name, outcome, note in pool.map(runner.run, names):
                if outcome == "absent":
                    continue
                bad += outcome != "passes"
                lines.append(f"| {name} | {outcome} | {note} |")
                print(lines[-1], flush=True)
        if arguments.report:
            arguments.report.write_text("\n".join(lines) + "\n")
        print(f"{len(lines) - bad} pass, {bad} do not")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
